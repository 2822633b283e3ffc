//! Prints what a command has to say: text for people, or JSON for programs.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

use super::CommandError;
use crate::exit_status::explain_write_error;

/// Prints `value` as JSON if `json`, otherwise `text`, which ends with its own line break.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_result(
    json: bool,
    value: &impl Serialize,
    text: impl fmt::Display,
) -> Result<(), CommandError> {
    if json {
        return print_line(serde_json::to_string_pretty(value)?);
    }
    write_out(format_args!("{text}"))
}

/// Prints a line.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_line(line: impl fmt::Display) -> Result<(), CommandError> {
    write_out(format_args!("{line}\n"))
}

/// The one place that writes to standard output: a reader that has seen enough ends the command without a word.
fn write_out(text: fmt::Arguments<'_>) -> Result<(), CommandError> {
    let mut output = io::stdout().lock();
    let written = output.write_fmt(text).and_then(|()| output.flush());
    written.map_err(explain_write_error)
}
