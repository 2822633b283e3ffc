//! `fraudstream simulate`: writes the files of a simulated shop.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::CommandError;
use super::output::print_result;

/// The arguments of `simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Folder to write to.
    #[arg(long, default_value = "simulated", value_name = "DIR")]
    out: PathBuf,
    /// Seed; the same seed gives the same files.
    #[arg(long)]
    seed: Option<u64>,
    /// Print folder and seed as JSON.
    #[arg(long)]
    json: bool,
}

impl SimulateArgs {
    /// Writes the files, and prints the seed.
    pub(crate) fn run(&self) -> Result<(), CommandError> {
        let mut options = simulator::SimulationOptions::default();
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
        std::fs::create_dir_all(&self.out)
            .map_err(|error| format!("cannot use {}: {error}", self.out.display()))?;
        simulator::write_files(&simulator::simulate_shop(&options), &self.out)?;
        let done = json!({"out": self.out, "seed": options.seed});
        let sentence = format!(
            "wrote the files of a simulated shop to {}, with seed {}\n",
            self.out.display(),
            options.seed
        );
        print_result(self.json, &done, sentence)
    }
}
