//! The problems of a template, with their places.

use std::fmt;

use thiserror::Error;

/// A place in a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: u64,
    /// The character in the line, from 1.
    pub column: u64,
}

impl fmt::Display for LineColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// Where.
    pub at: LineColumn,
    /// What is wrong, and what is expected: a fragment that starts in lower case.
    pub message: String,
}

impl TemplateProblem {
    pub(crate) fn new(at: LineColumn, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

/// All problems of a template, in the order of its lines.
///
/// `Display` gives each problem a line: ``detector.yaml:12:9: there is no resource `Blok` ``.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct InvalidTemplate {
    file: String,
    problems: Vec<TemplateProblem>,
}

impl InvalidTemplate {
    pub(crate) fn new(file: &str, mut problems: Vec<TemplateProblem>) -> Self {
        problems.sort_by_key(|problem| problem.at);
        // A resource that is referred to twice is read twice.
        problems.dedup();
        Self {
            file: file.to_owned(),
            problems,
        }
    }

    /// The problems: at least one.
    pub fn problems(&self) -> &[TemplateProblem] {
        &self.problems
    }
}

impl fmt::Display for InvalidTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, TemplateProblem { at, message }) in self.problems.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{}:{at}: {message}", self.file)?;
        }
        Ok(())
    }
}
