//! Says what in a template would lose orders or money, without AWS.
//!
//! `stack` is the template with its values; `sources`, `queues`, `tables`, `budgets` and `policies` check it, and `pair` compares the
//! mapping with the detector file. Each finding says what
//! would be right, and that is what template.yaml says. A [`TemplateReport`] has them all.

mod budgets;
mod checker;
mod finding;
mod pair;
mod policies;
mod queues;
mod sources;
mod stack;
mod tables;
#[cfg(test)]
mod tests;
mod values;

use std::io;
use std::path::Path;

use thiserror::Error;

pub use crate::cloudformation::inputs::TemplateInputs;
use crate::cloudformation::problem::InvalidTemplate;
pub(crate) use budgets::QUOTA;
use checker::TemplateChecker;
pub use finding::{Finding, FindingSeverity, TemplateReport};
pub use pair::check_pair;
use stack::StackTemplate;

/// Why a template cannot be checked.
#[derive(Debug, Error)]
pub enum DoctorError {
    /// The file cannot be read.
    #[error("cannot read `{file}`: {source}; give the SAM template of the deployment")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is no template, or one that cannot be evaluated: each problem with its place.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
    /// It deploys something else.
    #[error(
        "{file} has no function with the variable DECISIONS_TABLE, so it does not deploy fraudstream; give a template such as template.yaml"
    )]
    NotThisProduct {
        /// Its name.
        file: String,
    },
}

impl TemplateReport {
    /// Checks the template in a file; `quota` is how many calls a second of Amazon Fraud Detector the account has.
    pub fn read(path: &Path, inputs: &TemplateInputs, quota: u32) -> Result<Self, DoctorError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::check(&file, &text, inputs, quota),
            Err(source) => Err(DoctorError::Unreadable { file, source }),
        }
    }

    /// Checks the template in `text`; `file` is its name.
    pub fn check(
        file: &str,
        text: &str,
        inputs: &TemplateInputs,
        quota: u32,
    ) -> Result<Self, DoctorError> {
        let stack = StackTemplate::parse(text, inputs)
            .map_err(|problems| InvalidTemplate::new(file, problems))?;
        let tables = tables::find_tables(&stack);
        if tables.is_empty() {
            let file = file.to_owned();
            return Err(DoctorError::NotThisProduct { file });
        }
        let sources = sources::find_sources(&stack);
        let mut checker = TemplateChecker::new(&stack);
        for source in &sources {
            sources::check_source(&mut checker, source);
        }
        queues::check_queues(&mut checker, &sources);
        tables::check_tables(&mut checker, &tables, &sources);
        budgets::check_budgets(&mut checker, &sources, quota);
        policies::check_policies(&mut checker);
        Ok(checker.into_report(file))
    }
}
