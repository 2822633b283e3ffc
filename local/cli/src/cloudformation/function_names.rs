//! The names of CloudFormation's functions.

/// The functions that a condition consists of.
pub(crate) const CONDITION_FUNCTIONS: &[&str] = &["And", "Condition", "Equals", "Not", "Or"];

/// The name of a function in its long form.
pub(crate) fn name_function(function: &str) -> String {
    match function {
        "Ref" | "Condition" => function.to_owned(),
        _ => format!("Fn::{function}"),
    }
}
