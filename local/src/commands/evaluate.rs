//! `fraudstream evaluate`: trains a model on a file and measures it on another.

use clap::Args;

use super::CommandError;
use crate::evaluate::Evaluate;

/// The arguments of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    evaluate: Evaluate,
}

impl EvaluateArgs {
    /// Prints the evaluation.
    pub(crate) fn run(&self) -> Result<(), CommandError> {
        Ok(self.evaluate.run()?)
    }
}
