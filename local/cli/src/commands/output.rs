//! Prints what a command has to say: text for people, or JSON for programs.

use std::fmt;
use std::io::{self, Write as _};

use serde::Serialize;

use super::CommandError;

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
    write!(io::stdout(), "{text}")?;
    Ok(())
}

/// Prints a line.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn print_line(line: impl fmt::Display) -> Result<(), CommandError> {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}
