//! `fraudstream check`: what a file is for the mapping and the rules, without writing anything.

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use super::apply::ParameterArgs;
use super::csv_args::CsvArgs;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use crate::apply::{DetectorTemplate, TemplateInputs};
use crate::check::FileCheck;
use crate::detector_rules::DetectorRules;
use crate::progress_bar::start_progress_bar;

/// The arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Orders: JSON lines, or CSV (.csv, .tsv), plain or gzip; `-` is standard input.
    file: String,
    /// The detector file whose rules are judged.
    #[arg(
        long = "rules",
        value_name = "FILE",
        default_value = "config/detector.yaml"
    )]
    rules: PathBuf,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    csv: CsvArgs,
    /// How many threads map and judge; default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// End with status 1 if a record would be rejected or a rule cannot fire.
    #[arg(long)]
    strict: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// Checks the file, and prints what was found.
    pub(crate) fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let (input, mapping) = self.csv.open_orders(workspace, &self.file)?;
        let mapping = mapping.with_locations(workspace.read_locations()?);
        let inputs = TemplateInputs::new(self.parameters.parameters);
        let template = DetectorTemplate::read(&self.rules, &inputs)?;
        let rules = DetectorRules::compile(&template, mapping.detector().as_str())?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let check = FileCheck {
            path: &self.file,
            mapping: &mapping,
            rules: &rules,
            threads: self.threads.map_or(processors, usize::from),
        };
        let bar = start_progress_bar(!self.json, 0);
        let report = check.run(input, |records| bar.set_position(records))?;
        bar.finish_and_clear();
        print_result(self.json, &report, &report)?;
        if !self.strict {
            return Ok(());
        }
        let dead = report.rules_that_cannot_fire().count();
        let rejected: u64 = report.rejected.iter().map(|class| class.count).sum();
        match (rejected, dead) {
            (0, 0) => Ok(()),
            _ => Err(format!(
                "{rejected} records would be rejected, and {dead} rules cannot fire on this data"
            )
            .into()),
        }
    }
}
