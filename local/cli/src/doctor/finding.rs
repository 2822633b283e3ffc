//! What was found in a template.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingSeverity {
    /// Records or decisions are lost as soon as something fails that fails now and then.
    Error,
    /// Something else has to go wrong before something is lost, or it costs money only.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: FindingSeverity,
    /// The logical id of the resource.
    pub resource: String,
    /// The line of the resource.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub advice: String,
}

/// Everything that was found in a template, in the order of its resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TemplateReport {
    /// The template.
    pub file: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What could not be checked, and why.
    pub notes: Vec<String>,
}

impl fmt::Display for FindingSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for TemplateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let Finding {
                severity,
                resource,
                line,
                problem,
                advice,
            } = finding;
            writeln!(
                f,
                "{severity}: {resource} ({}:{line}) {problem}; {advice}",
                self.file
            )?;
        }
        for note in &self.notes {
            writeln!(f, "not checked: {note}")?;
        }
        if self.findings.is_empty() {
            writeln!(
                f,
                "{}: nothing found that would lose orders or money",
                self.file
            )?;
        }
        Ok(())
    }
}
