//! `fraudstream simulate`: writes the files of a simulated shop.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

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
    /// Print the folder, the seed and the number of orders as JSON.
    #[arg(long)]
    json: bool,
}

impl SimulateArgs {
    /// Writes the files, and says what was written.
    pub(crate) fn run(&self) -> Result<(), CommandError> {
        let mut options = simulator::SimulationOptions::default();
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
        std::fs::create_dir_all(&self.out)
            .map_err(|error| format!("cannot use {}: {error}", self.out.display()))?;
        let shop = simulator::simulate_shop(&options);
        simulator::write_files(&shop, &self.out)?;
        let written = SimulatedFiles {
            out: &self.out,
            seed: options.seed,
            history: shop.history.len(),
            orders: shop.orders.len(),
        };
        print_result(self.json, &written, format_args!("{written}\n"))
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct SimulatedFiles<'a> {
    out: &'a Path,
    seed: u64,
    /// Orders of the history.
    history: usize,
    /// Lines of the new orders.
    orders: usize,
}

impl fmt::Display for SimulatedFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            out,
            seed,
            history,
            orders,
        } = self;
        write!(
            f,
            "wrote shop {seed} into {}: {history} orders of the history, {orders} new ones, their chargebacks, and the truth about each",
            out.display()
        )
    }
}
