//! With which status the command ends: one table for the code, the help and the documentation.

use std::error::Error;
use std::io;

use thiserror::Error;

/// Standard output is closed, because its reader, such as `head`, has seen enough.
#[derive(Debug, Error)]
#[error("nobody reads the output any more")]
pub struct OutputClosed;

/// Standard output cannot be written for another reason, such as a full disk.
#[derive(Debug, Error)]
#[error("standard output cannot be written: {0}")]
struct OutputFailed(io::Error);

/// A run stopped because its records were all refused for one reason.
#[derive(Debug, Error)]
#[error(
    "the first {refused} records were all refused for one reason ({class}); none of them is kept, and nothing else was done"
)]
pub struct AllRefusedError {
    /// How many were refused.
    pub refused: usize,
    /// The class of the refusals.
    pub class: &'static str,
}

/// The command failed.
const FAILED: u8 = 1;
/// The records of a run were all refused for one reason.
const ALL_REFUSED: u8 = 3;
/// What a shell reports for a program whose output was closed: 128 and SIGPIPE.
const OUTPUT_CLOSED: u8 = 128 + 13;

/// For the help of every command.
pub(crate) const HELP: &str = "Exit status:
  0      done
  1      failed; the last line on standard error says why
  2      the command line is wrong
  3      `run` stopped: its first 50 records were all refused for one reason, and none was kept
  128+N  ended by signal N before it reached a safe point, such as 130 after Ctrl-C
  141    the reader of the output, such as `head`, closed it";

/// The status for an error that ends the command.
pub fn find_exit_status(error: &(dyn Error + 'static)) -> u8 {
    if error.is::<OutputClosed>() {
        return OUTPUT_CLOSED;
    }
    if error.is::<AllRefusedError>() {
        return ALL_REFUSED;
    }
    FAILED
}

/// What a failed write to standard output means for the command.
pub(crate) fn explain_write_error(error: io::Error) -> Box<dyn Error> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return OutputClosed.into();
    }
    OutputFailed(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_status_and_the_documentation_has_all() {
        let refused = AllRefusedError {
            refused: 50,
            class: "missing-member",
        };
        let closed = explain_write_error(io::ErrorKind::BrokenPipe.into());
        let full = explain_write_error(io::ErrorKind::StorageFull.into());
        assert_eq!(find_exit_status(&refused), 3);
        assert_eq!(find_exit_status(closed.as_ref()), 141);
        assert_eq!(find_exit_status(full.as_ref()), 1);
        let page = include_str!("../../../docs/operating.md");
        for status in [FAILED, ALL_REFUSED, OUTPUT_CLOSED] {
            assert!(page.contains(&format!("\n| {status} | ")), "{status}");
            assert!(HELP.contains(&format!("\n  {status:<6} ")), "{status}");
        }
    }
}
