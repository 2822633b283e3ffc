//! `fraudstream init`: drafts a mapping and a detector file from a shop's own data.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::CommandError;
use super::output::print_result;
use crate::init::{ConfigDraft, InitSummary};

/// The arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Orders: CSV (.csv, .tsv) with any headers, or JSON lines, plain or gzip; or a folder of such files of one kind.
    path: String,
    /// The folder for `mapping.yaml` and `detector.yaml`; nothing in it is overwritten.
    #[arg(long, value_name = "FOLDER", default_value = "config")]
    out: PathBuf,
    /// Print what was drafted as JSON.
    #[arg(long)]
    json: bool,
}

impl InitArgs {
    /// Drafts the files, writes them, and prints what is in them.
    pub(crate) fn run(self) -> Result<(), CommandError> {
        let summary = ConfigDraft::from_path(&self.path)?.write_files(&self.out)?;
        print_result(self.json, &summary, self.describe(&summary))
    }

    fn describe(&self, summary: &InitSummary) -> String {
        let mut text = format!("{} records of {} read", summary.records, self.path);
        if summary.unreadable > 0 {
            let _ = write!(text, ", {} of them could not be", summary.unreadable);
        }
        text.push('\n');
        for path in &summary.written {
            let _ = writeln!(text, "written: {}", path.display());
        }
        let _ = writeln!(
            text,
            "drafted: {} variables, {} of what happened before, {} starter rules",
            summary.variables, summary.aggregates, summary.rules
        );
        if !summary.questions.is_empty() {
            let _ = writeln!(
                text,
                "\nquestions: {}, each in the file where it belongs",
                summary.questions.len()
            );
            for question in &summary.questions {
                let _ = writeln!(text, "  {question}");
            }
        }
        let folder = self.out.display();
        // `check` reads one file.
        let is_folder = Path::new(&self.path).is_dir();
        let file = if is_folder { "FILE" } else { &self.path };
        let _ = writeln!(
            text,
            "\nnext:\n  fraudstream check {file} --mapping {folder}/mapping.yaml --rules {folder}/detector.yaml"
        );
        text
    }
}
