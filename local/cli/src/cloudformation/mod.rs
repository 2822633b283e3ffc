//! Templates of CloudFormation: YAML, parameters, conditions and functions, evaluated as far as that is possible without a
//! deployment. What the resources mean is not known here.

mod assertions;
mod conditions;
pub(crate) mod evaluator;
mod function_names;
mod functions;
pub(crate) mod inputs;
mod mappings;
pub(crate) mod node;
mod parameters;
mod partial_text;
pub(crate) mod problem;
mod sections;
pub(crate) mod text_part;
pub(crate) mod truth;
