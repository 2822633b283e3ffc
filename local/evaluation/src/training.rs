//! One training, with its progress on the terminal.

use std::io::IsTerminal as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use model::{
    Dataset, Model, TrainingError, TrainingMessage, TrainingOptions, TrainingReport, train_model,
};

use crate::error::EvaluateError;

/// Trains on a data set that was read from `path`. `what` is said beside the progress, unless there is nobody to see it.
pub(crate) fn train_with_progress(
    dataset: &Dataset,
    options: &TrainingOptions,
    path: &Path,
    is_shown: bool,
    what: &str,
) -> Result<(Model, TrainingReport), EvaluateError> {
    let bar = show_bar(is_shown, what);
    let trained = train_model(dataset, options, &mut |progress| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 1000"
        )]
        bar.set_position((progress.done * 1000.0) as u64);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    trained.map_err(|error| match error {
        TrainingError::Data(messages) => EvaluateError::Train(join_errors(path, &messages)),
        other => EvaluateError::Train(format!("{}: {other}", path.display())),
    })
}

fn join_errors(path: &Path, messages: &[TrainingMessage]) -> String {
    let lines: Vec<&str> = messages
        .iter()
        .filter(|message| message.level == model::Severity::Error)
        .map(|message| message.content.as_str())
        .collect();
    format!("{}: {}", path.display(), lines.join(" "))
}

fn show_bar(is_shown: bool, what: &str) -> ProgressBar {
    if !is_shown || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1000).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {percent} % {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
