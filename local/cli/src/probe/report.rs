//! The steps of a probe with their results, and what follows from them.

use std::fmt;

use serde::Serialize;

use super::step::ProbeStep;

/// What was seen in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepResult {
    /// The step.
    pub step: ProbeStep,
    /// Whether it was as the pipeline needs it.
    pub passed: bool,
    /// What was seen.
    pub seen: String,
    /// What to do; only if it did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl StepResult {
    pub(super) fn pass(step: ProbeStep, seen: impl Into<String>) -> Self {
        Self {
            step,
            passed: true,
            seen: seen.into(),
            advice: None,
        }
    }

    pub(super) fn fail(
        step: ProbeStep,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            step,
            passed: false,
            seen: seen.into(),
            advice: Some(advice.into()),
        }
    }
}

impl fmt::Display for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = if self.passed { "ok" } else { "FAILED" };
        write!(f, "{:<10} {result:<7} {}", self.step.name(), self.seen)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// What was seen of a table, and which setting follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeReport {
    /// The table.
    pub table: String,
    /// The steps that were made, in their order.
    pub steps: Vec<StepResult>,
    /// Whether `DecisionWrites=statements` may be set.
    pub statements_may_be_used: bool,
    /// The value for the template's parameter `DecisionWrites`.
    pub decision_writes: &'static str,
    /// Why, as a sentence.
    pub verdict: String,
}

impl ProbeReport {
    /// The report on `table`; `is_interrupted` says that not all steps could be made.
    pub fn new(table: &str, steps: Vec<StepResult>, is_interrupted: bool) -> Self {
        let is_complete = ProbeStep::NEEDED
            .iter()
            .all(|needed| steps.iter().any(|result| result.step == *needed));
        let failed = steps
            .iter()
            .find(|result| !result.passed && ProbeStep::NEEDED.contains(&result.step));
        let statements_may_be_used = is_complete && failed.is_none();
        let verdict = match failed {
            _ if statements_may_be_used => format!(
                "Statements may be used on table {table}: deploy with DecisionWrites=statements."
            ),
            Some(failed) => format!(
                "Keep DecisionWrites=put-item for table {table}: {}.",
                failed.step.consequence()
            ),
            None if is_interrupted => {
                format!(
                    "Keep DecisionWrites=put-item for table {table}: the probe was interrupted."
                )
            }
            None => format!(
                "Keep DecisionWrites=put-item for table {table}: the probe did not make all steps."
            ),
        };
        Self {
            table: table.to_owned(),
            steps,
            statements_may_be_used,
            decision_writes: if statements_may_be_used {
                "statements"
            } else {
                "put-item"
            },
            verdict,
        }
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        writeln!(f, "{}", self.verdict)
    }
}
