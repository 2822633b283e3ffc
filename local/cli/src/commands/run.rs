//! `fraudstream run`: puts a file through a function: orders, history or chargebacks.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use event::DetectorVersionId;
use shared::mapping::Mapping;

use super::CommandError;
use super::csv_args::{CsvArgs, open_message_rows};
use super::output::print_result;
use super::workspace::{WorkspaceArgs, durability_for};
use crate::exit_status::AllRefusedError;
use crate::file_run::{FileRun, PipelineFunction};
use crate::first_refusals::AllRefused;
use crate::forget::ForgottenSubjects;
use crate::input::{
    MessageKind, RecordInput, has_label_headers, is_csv, make_label_mapping, open_csv_file,
};
use crate::run_summary::RunSummary;
use crate::signals;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FunctionName {
    /// Orders to decisions.
    Predict,
    /// History to events.
    Ingest,
    /// Chargebacks to labels.
    Label,
}

/// The arguments of `run`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct RunArgs {
    /// The function.
    #[arg(value_enum)]
    function: FunctionName,
    /// JSON lines, or CSV (.csv, .tsv), plain or gzip; `-` is standard input. The mapping says what the columns of a CSV
    /// file mean, unless it has Amazon's headers (`EVENT_TIMESTAMP` and others).
    file: String,
    /// Detector version to ask; default the active one.
    #[arg(long, value_name = "N")]
    detector_version: Option<String>,
    #[command(flatten)]
    csv: CsvArgs,
    /// Start at the first record, even if the file was run before.
    #[arg(long)]
    restart: bool,
    /// Go on even if the first records are all refused for one reason, and keep what is refused. Without it such a run
    /// stops after 50 of them and keeps none.
    #[arg(long)]
    keep_going: bool,
    /// How many records are processed at the same time.
    #[arg(long, default_value_t = 16, value_name = "N")]
    concurrency: usize,
    /// Make writes survive a power loss, too: about three times slower.
    #[arg(long)]
    durable: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl RunArgs {
    /// Runs the file, and prints what became of its records.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let (input, mapping) = self.open_input(workspace)?;
        let mapping = Arc::new(mapping.with_locations(workspace.read_locations()?));
        let detector_version = self
            .detector_version
            .as_deref()
            .map(DetectorVersionId::try_from)
            .transpose()?;
        let durability = durability_for(self.durable);
        let mut opened = workspace.open(durability, workspace.fraud_detector).await?;
        opened.pipeline.budget.concurrency = self.concurrency;
        let pipeline = &opened.pipeline;
        let forgotten = ForgottenSubjects {
            pipeline: pipeline.clone(),
            mapping: Arc::clone(&mapping),
        };
        let function = match self.function {
            FunctionName::Predict => {
                PipelineFunction::Predict(Box::new(pipeline.predict(mapping, detector_version)))
            }
            FunctionName::Ingest => PipelineFunction::Ingest(Box::new(pipeline.ingest(mapping))),
            FunctionName::Label => PipelineFunction::Label(Box::new(pipeline.label(mapping))),
        };
        // Standard input cannot be read again, so a later run could not continue.
        let home = (self.file != "-").then(|| opened.home.clone());
        let run = FileRun {
            function,
            path: &self.file,
            input,
            home: home.as_ref(),
            target: &workspace.target_name(),
            forgotten: Some(forgotten),
            restart: self.restart,
            keep_going: self.keep_going,
            progress: !self.json,
        };
        let stop = signals::listen_for_interrupt(signals::GRACE)?;
        let result = run.run_file(stop, |_, _| {}).await;
        // Also after an error: closing forwards and counts what was decided before it.
        let closed = opened.close().await;
        let summary = result?;
        closed?;
        print_result(self.json, &summary, describe_summary(&summary))?;
        match summary.all_refused {
            Some(AllRefused { refused, class, .. }) => {
                Err(AllRefusedError { refused, class }.into())
            }
            None => Ok(()),
        }
    }

    fn open_input(
        &self,
        workspace: &WorkspaceArgs,
    ) -> Result<(RecordInput, Mapping), CommandError> {
        if is_csv(&self.file) && self.function == FunctionName::Label {
            return self.open_label_rows(workspace);
        }
        self.csv.open_orders(workspace, &self.file)
    }

    /// Labels under Amazon's headers say themselves what they are; rows of any other file go through the mapping.
    fn open_label_rows(
        &self,
        workspace: &WorkspaceArgs,
    ) -> Result<(RecordInput, Mapping), CommandError> {
        let reader = open_csv_file(&self.file)?;
        if has_label_headers(reader.header()) {
            let mapping = workspace.read_mapping_if_any()?;
            let options = self.csv.read_options(mapping.as_ref())?;
            let is_same = |mapping: &Mapping| {
                *mapping.event_type() == options.event_type
                    && mapping.detector().as_str() == options.detector
            };
            let mapping = make_label_mapping(mapping.filter(is_same), &options)?;
            return Ok((
                RecordInput::from_label_rows(reader, options.labels),
                mapping,
            ));
        }
        open_message_rows(workspace, &self.file, reader, MessageKind::Label)
    }
}

fn describe_summary(summary: &RunSummary) -> String {
    let mut text = summary.to_string();
    if !summary.rejected.is_empty() && summary.all_refused.is_none() {
        text.push_str(
            "rejected records are kept with their reasons: fraudstream replay --dry-run lists them\n",
        );
    }
    text
}
