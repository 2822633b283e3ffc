//! Problems with the values of an order.

use serde::{Deserialize, Serialize};

/// A value of an order that could not be read and was left out, with the reason. It quotes no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataQualityProblem {
    /// The variable, the endpoint of an external model, `entity` or `revision`.
    pub variable: String,
    /// What was wrong with it.
    pub problem: String,
    /// Whether the decision gets the `on_undetermined` outcomes because of it.
    pub undetermined: bool,
}

impl DataQualityProblem {
    pub(crate) fn undetermined(variable: &str, problem: impl Into<String>) -> Self {
        Self {
            variable: variable.to_owned(),
            problem: problem.into(),
            undetermined: true,
        }
    }
}
