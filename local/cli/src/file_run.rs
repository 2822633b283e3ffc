//! Runs a file through the functions' own handlers, in batches. A run can be resumed.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use ingest::{IngestFunction, SentEvent};
use label::LabelFunction;
use predict::{OrderResult, PredictFunction};
use serde::Serialize;
use shared::batch::{BatchResults, InvocationContext};
use shared::failure::{Failure, Rejection};
use shared::hash::short_hash;
use shared::labels::AppliedLabel;
use shared::mapping::{Mapping, MissingSource};
use shared::records::{Origin, Position, Record};
use shared::rejected::RejectedStore;
use thiserror::Error;

use crate::first_refusals::{AllRefused, FirstRefusals, MOST_ALIKE};
use crate::forget::ForgottenSubjects;
use crate::input::{InputError, InputRecord, RecordInput};
use crate::run_records::RunRecords;
use crate::subject;
use local_aws::home::{FileProgress, Home};

/// Records of one batch.
const BATCH: usize = 100;
/// How often a batch is tried while a dependency fails.
const TRIES: u32 = 6;
/// Pause after the first failure; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a run stopped.
#[derive(Debug, Error)]
pub enum RunError {
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Reading the file, or storing the progress, failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The file has changed since its progress was stored.
    #[error(
        "{path} has changed since it was run up to record {records}; --restart starts again at the first record (what is decided stays decided)"
    )]
    Changed {
        /// The file.
        path: String,
        /// How many records were done.
        records: u64,
    },
    /// A dependency keeps failing. What was done before is kept.
    #[error(
        "record {record} could not be processed after {tries} tries: {cause}. {done} records are done and kept; fix the cause and run the same command again to continue"
    )]
    Down {
        /// The first record that failed, from 1.
        record: u64,
        /// How often it was tried.
        tries: u32,
        /// Why.
        cause: String,
        /// Records that are done.
        done: u64,
    },
    /// The rejected records cannot be written.
    #[error(
        "the rejected records could not be written: {cause}. None of them counts as done; fix the cause and run the same command again"
    )]
    NotKept {
        /// Why.
        cause: String,
    },
}

/// A function of the pipeline, by which records are handled.
pub enum PipelineFunction {
    /// Orders to decisions.
    Predict(Box<PredictFunction>),
    /// History to events.
    Ingest(Box<IngestFunction>),
    /// Chargebacks to labels.
    Label(Box<LabelFunction>),
}

/// What happened to one record.
#[derive(Debug)]
pub enum RecordEffect {
    /// An order was decided, now or before.
    Decision(OrderResult),
    /// An event was stored.
    Event(SentEvent),
    /// What happened to the labels of a record.
    Labels(Vec<AppliedLabel>),
}

/// A run of a file through a function.
pub struct FileRun<'a> {
    /// The function.
    pub function: PipelineFunction,
    /// The file's name, for progress and source positions.
    pub path: &'a str,
    /// The open file.
    pub input: RecordInput,
    /// Where progress is stored; `None` for standard input.
    pub home: Option<&'a Home>,
    /// Names the target (tables, endpoint): the same file has a progress for each.
    pub target: &'a str,
    /// Tells which records to leave out: what was forgotten must not come back with an old file.
    pub forgotten: Option<ForgottenSubjects>,
    /// Start at the first record, whatever the stored progress is.
    pub restart: bool,
    /// Whether to go on, and keep what is refused, even if the first records are all refused for one reason.
    pub keep_going: bool,
    /// Whether to show a progress bar.
    pub progress: bool,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
pub struct RunSummary {
    /// Records that earlier runs over the same file have done.
    pub skipped: u64,
    /// Records read by this run: one for each order or message, also where a line has several.
    pub records: u64,
    /// Orders decided by this run, by effective outcome.
    pub decided: BTreeMap<String, u64>,
    /// Orders that had been decided before.
    pub duplicates: u64,
    /// Events stored.
    pub events: u64,
    /// Events stored with a label.
    pub labelled_events: u64,
    /// Labels applied.
    pub labels: u64,
    /// Messages that change no label, kept in the history of their event.
    pub labels_kept: u64,
    /// Labels that wait for their event, which is neither decided nor stored.
    pub labels_waiting: u64,
    /// Records left out because their order or entity was forgotten.
    pub forgotten: u64,
    /// Messages that the mapping skips.
    pub skipped_messages: u64,
    /// Rejected records by class; each is kept under `rejected/`, unless `all_refused` is there.
    pub rejected: BTreeMap<String, u64>,
    /// Rows with a label but without a label time, which got the event's time.
    pub assumed_label_times: u64,
    /// Rows of the file that are not UTF-8 and were read as Windows-1252, those done before included.
    pub windows_1252_rows: u64,
    /// Duration in seconds.
    pub seconds: f64,
    /// Whether it was interrupted; the next run continues.
    pub interrupted: bool,
    /// Why it stopped, if its first records were all refused for one reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_refused: Option<AllRefused>,
}

/// What became of the records so far.
#[derive(Default)]
struct RunTally {
    summary: RunSummary,
    first: FirstRefusals,
}

impl PipelineFunction {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Predict(_) => predict::FUNCTION,
            Self::Ingest(_) => ingest::FUNCTION,
            Self::Label(_) => label::FUNCTION,
        }
    }

    fn mapping(&self) -> &Mapping {
        match self {
            Self::Predict(function) => &function.mapping,
            Self::Ingest(function) => &function.mapping,
            Self::Label(function) => &function.mapping,
        }
    }

    /// Keeps a record that the function does not get, with the reason.
    async fn park_record(&self, record: &Record, rejection: &Rejection) -> Result<(), Failure> {
        let store = match self {
            Self::Predict(function) => &function.rejected,
            Self::Ingest(function) => &function.rejected,
            Self::Label(function) => &function.rejected,
        };
        store.write(self.name(), record, rejection).await
    }

    fn rejected_store(&mut self) -> &mut RejectedStore {
        match self {
            Self::Predict(function) => &mut function.rejected,
            Self::Ingest(function) => &mut function.rejected,
            Self::Label(function) => &mut function.rejected,
        }
    }

    /// The sources of the mapping that find nothing in a record; none if it cannot be read.
    fn missing_sources(&self, record: &Record) -> Vec<MissingSource> {
        let Ok(value) = record.json() else {
            return Vec::new();
        };
        match self {
            Self::Label(function) => function.mapping.missing_label_sources(&value),
            Self::Predict(_) | Self::Ingest(_) => self.mapping().missing_order_sources(&value),
        }
    }

    /// Runs records through the handler.
    pub async fn handle_batch(&self, records: Vec<Record>) -> BatchResults<RecordEffect> {
        let context = InvocationContext::new(jiff::Timestamp::now(), 0);
        // The futures of the handlers are large.
        match self {
            Self::Predict(function) => wrap_results(
                Box::pin(function.decide_batch(records, context)).await,
                RecordEffect::Decision,
            ),
            Self::Ingest(function) => wrap_results(
                Box::pin(function.ingest_batch(records, context)).await,
                RecordEffect::Event,
            ),
            Self::Label(function) => wrap_results(
                Box::pin(function.label_batch(records, context)).await,
                RecordEffect::Labels,
            ),
        }
    }
}

fn wrap_results<T>(
    handled: BatchResults<T>,
    effect: impl Fn(T) -> RecordEffect,
) -> BatchResults<RecordEffect> {
    let results = handled
        .results
        .into_iter()
        .map(|(position, result)| (position, result.map(&effect)));
    BatchResults {
        results: results.collect(),
    }
}

impl FileRun<'_> {
    /// Runs to the end of the file, or until `stop` is ready; calls `see` for every record.
    ///
    /// # Errors
    /// [`RunError`]; what was done before is kept, and the next run continues after it.
    pub async fn run_file(
        mut self,
        stop: impl Future<Output = ()>,
        mut see: impl FnMut(&Position, &Result<RecordEffect, Failure>),
    ) -> Result<RunSummary, RunError> {
        let start = Instant::now();
        let mut stop = pin!(stop);
        let mut tally = RunTally::default();
        let job = format_progress_name(&self.function, self.path, self.target);
        let mut progress = self.read_progress(&job);
        if !self.keep_going {
            self.function.rejected_store().hold();
        }
        let mut batch = self.skip_done_records(&progress)?;
        tally.summary.skipped = progress.records;
        let bar = start_progress_bar(self.progress, progress.records);
        while !batch.is_empty() {
            let count = batch.len() as u64;
            let hash = batch.iter().fold(progress.hash.clone(), |hash, record| {
                chain_hash(&hash, &record.bytes)
            });
            let tried =
                self.run_batch(batch, progress.records, stop.as_mut(), &mut see, &mut tally);
            let Some(records) = tried.await? else {
                tally.summary.interrupted = true;
                break;
            };
            progress.records += count;
            progress.hash = hash;
            tally.summary.records += records;
            bar.inc(count);
            tally.summary.all_refused = self.find_stop(&tally);
            if tally.summary.all_refused.is_some() {
                break;
            }
            if tally.first.is_mixed() {
                self.release_rejected().await?;
            }
            // What is held counts as done only when it is written.
            if !self.is_holding() {
                self.store_progress(&job, &progress)?;
            }
            if is_ready(stop.as_mut()).await {
                tally.summary.interrupted = true;
                break;
            }
            batch = self.read_batch()?;
        }
        let mut summary = tally.summary;
        if self.is_holding() && summary.all_refused.is_none() {
            self.release_rejected().await?;
            self.store_progress(&job, &progress)?;
        }
        bar.finish_and_clear();
        if let RecordInput::Rows(rows) = &self.input {
            summary.assumed_label_times = rows.assumed_label_times;
            summary.windows_1252_rows = rows.decoded_rows().map_or(0, |rows| rows.count);
        }
        summary.seconds = start.elapsed().as_secs_f64();
        Ok(summary)
    }

    /// Why the run stops, if its rejected records are held and enough of them are alike.
    fn find_stop(&mut self, tally: &RunTally) -> Option<AllRefused> {
        if !self.is_holding() {
            return None;
        }
        let missing = |record: &Record| self.function.missing_sources(record);
        tally.first.find_stop(missing)
    }

    fn is_holding(&mut self) -> bool {
        self.function.rejected_store().is_holding()
    }

    async fn release_rejected(&mut self) -> Result<(), RunError> {
        let released = self.function.rejected_store().release().await;
        released.map_err(|failure| RunError::NotKept {
            cause: failure.to_string(),
        })
    }

    fn read_batch(&mut self) -> Result<Vec<InputRecord>, RunError> {
        // While rejected records are held, a batch is no larger than what decides whether the run stops.
        let size = if self.is_holding() { MOST_ALIKE } else { BATCH };
        let mut batch = Vec::with_capacity(size);
        while batch.len() < size {
            let next = self.input.read_record().map_err(|source| RunError::Io {
                what: format!("cannot read {}", self.path),
                source,
            })?;
            match next {
                Some(record) => batch.push(record),
                None => break,
            }
        }
        Ok(batch)
    }

    /// The stored progress of an earlier run over the same file.
    fn read_progress(&self, job: &str) -> FileProgress {
        let home = self.home.filter(|_| !self.restart);
        home.map(|home| home.read_progress(job)).unwrap_or_default()
    }

    /// Skips the records that are done, and returns the first batch of the others.
    fn skip_done_records(&mut self, progress: &FileProgress) -> Result<Vec<InputRecord>, RunError> {
        let (mut left, mut hash) = (progress.records, String::new());
        loop {
            let mut batch = self.read_batch()?;
            let now = left.min(batch.len() as u64);
            // `now` is at most the length of the batch.
            let done: Vec<InputRecord> = batch
                .drain(..usize::try_from(now).unwrap_or_default())
                .collect();
            hash = done
                .iter()
                .fold(hash, |hash, record| chain_hash(&hash, &record.bytes));
            left -= now;
            if left == 0 && hash == progress.hash {
                return if batch.is_empty() {
                    self.read_batch()
                } else {
                    Ok(batch)
                };
            }
            if left == 0 || done.is_empty() {
                return Err(RunError::Changed {
                    path: self.path.to_owned(),
                    records: progress.records,
                });
            }
        }
    }

    fn store_progress(&self, job: &str, progress: &FileProgress) -> Result<(), RunError> {
        let Some(home) = self.home else { return Ok(()) };
        home.write_progress(job, progress)
            .map_err(|source| RunError::Io {
                what: format!("cannot note the progress in {}", home.path().display()),
                source,
            })
    }

    /// Leaves out the records about subjects that were forgotten.
    async fn leave_out_forgotten(
        &self,
        records: &[Record],
    ) -> Result<Vec<Record>, subject::SubjectError> {
        let Some(forgotten) = &self.forgotten else {
            return Ok(records.to_vec());
        };
        if !forgotten.is_any().await? {
            return Ok(records.to_vec());
        }
        let mut others = Vec::with_capacity(records.len());
        for record in records {
            if !forgotten.is_forgotten(record).await? {
                others.push(record.clone());
            }
        }
        Ok(others)
    }

    /// Runs one batch, and retries its records that failed, at most [`TRIES`] times in all. Returns how many records
    /// there were; `None` if `stop` came while a dependency failed: the next run repeats the batch.
    async fn run_batch(
        &self,
        batch: Vec<InputRecord>,
        done: u64,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        see: &mut impl FnMut(&Position, &Result<RecordEffect, Failure>),
        tally: &mut RunTally,
    ) -> Result<Option<u64>, RunError> {
        let mut records = RunRecords::default();
        for (number, record) in (done + 1..).zip(batch) {
            self.add_record(&mut records, number, record);
        }
        let count = records.count() as u64;
        for round in 1..=TRIES {
            let (again, cause) = self.run_records_once(records, see, tally).await;
            if again.count() == 0 {
                return Ok(Some(count));
            }
            if round == TRIES {
                let record = again
                    .first_record()
                    .and_then(|record| record.position.id.parse().ok())
                    .unwrap_or(done + 1);
                return Err(RunError::Down {
                    record,
                    tries: TRIES,
                    cause,
                    done,
                });
            }
            records = again;
            let pause = tokio::time::sleep(PAUSE * 2_u32.pow(round - 1));
            tokio::select! {
                () = &mut stop => return Ok(None),
                () = pause => {}
            }
        }
        Ok(Some(count))
    }

    /// Runs records once. Returns those to retry, and the cause of the first one.
    async fn run_records_once(
        &self,
        records: RunRecords,
        see: &mut impl FnMut(&Position, &Result<RecordEffect, Failure>),
        tally: &mut RunTally,
    ) -> (RunRecords, String) {
        let others = match self.leave_out_forgotten(&records.whole).await {
            Ok(others) => others,
            Err(error) => return (records, error.to_string()),
        };
        tally.summary.forgotten += (records.whole.len() - others.len()) as u64;
        let mut again = RunRecords::default();
        let mut cause = None;
        for (record, rejection) in records.refused {
            let parked = Box::pin(self.function.park_record(&record, &rejection)).await;
            if let Err(failure) = parked {
                cause.get_or_insert_with(|| failure.to_string());
                again.refused.push((record, rejection));
                continue;
            }
            let result = Err(Failure::Rejected(rejection));
            see(&record.position, &result);
            tally.first.note_result(&record, &result);
            tally.summary.add(&result);
        }
        let handled = self.function.handle_batch(others.clone()).await;
        for (record, (position, result)) in others.into_iter().zip(&handled.results) {
            if let Err(Failure::Retry(retry)) = result {
                cause.get_or_insert_with(|| retry.cause.clone());
                again.whole.push(record);
            } else {
                see(position, result);
                tally.first.note_result(&record, result);
                tally.summary.add(result);
            }
        }
        (again, cause.unwrap_or_default())
    }

    /// Adds the records in a line or row: one for each order in it.
    fn add_record(&self, records: &mut RunRecords, number: u64, input: InputRecord) {
        let name: String = self
            .path
            .chars()
            .map(|c| {
                if matches!(c, '/' | '\\' | ':') {
                    '-'
                } else {
                    c
                }
            })
            .collect();
        let line = Record {
            position: Position::new(Origin::File, format!("file:{name}"), number.to_string()),
            key: None,
            payload: input.bytes,
        };
        if let Some(rejection) = input.rejection {
            records.refused.push((line, rejection));
            return;
        }
        records
            .whole
            .extend(line.split().into_iter().map(|mut record| {
                let value = record.json().ok();
                record.key = value.and_then(|value| self.function.mapping().order_key(&value));
                record
            }));
    }
}

/// The name under which progress is stored: the same file goes to several functions and targets.
fn format_progress_name(function: &PipelineFunction, path: &str, target: &str) -> String {
    format!(
        "{} {path} {target} {}",
        function.name(),
        function.mapping().hash()
    )
}

/// Adds a record to the hash of all records before it.
fn chain_hash(before: &str, record: &[u8]) -> String {
    short_hash(&[before.as_bytes(), record].concat())
}

/// Whether a future is ready, without waiting for it.
async fn is_ready(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

fn start_progress_bar(show: bool, done: u64) -> ProgressBar {
    if !show || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_position(done);
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}, {elapsed}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl RunSummary {
    fn add(&mut self, result: &Result<RecordEffect, Failure>) {
        match result {
            Ok(RecordEffect::Decision(OrderResult::Decided(decision))) => {
                *self
                    .decided
                    .entry(decision.effective_outcome.clone())
                    .or_default() += 1;
            }
            Ok(RecordEffect::Decision(OrderResult::Duplicate(_))) => self.duplicates += 1,
            Ok(RecordEffect::Event(sent)) => {
                self.events += 1;
                self.labelled_events += u64::from(sent.labelled);
            }
            Ok(RecordEffect::Labels(labels)) => {
                for applied in labels {
                    match applied {
                        AppliedLabel::Applied { .. } => self.labels += 1,
                        AppliedLabel::Kept => self.labels_kept += 1,
                        AppliedLabel::Waiting => self.labels_waiting += 1,
                    }
                }
            }
            Err(Failure::Rejected(rejection)) => {
                *self.rejected.entry(rejection.class.to_owned()).or_default() += 1;
            }
            Err(Failure::Skipped) => self.skipped_messages += 1,
            Err(Failure::Retry(_)) => {}
        }
    }

    /// Records per second.
    pub fn records_per_second(&self) -> f64 {
        // Counts are far below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let records = self.records as f64;
        if self.seconds > 0.0 {
            records / self.seconds
        } else {
            0.0
        }
    }
}

impl std::fmt::Display for RunSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.skipped > 0 {
            writeln!(f, "{} records of this file were done before", self.skipped)?;
        }
        writeln!(
            f,
            "{} records in {:.1} s, {:.0} a second",
            self.records,
            self.seconds,
            self.records_per_second()
        )?;
        for (outcome, count) in &self.decided {
            writeln!(f, "  {count:>8} decided: {outcome}")?;
        }
        let lines = [
            (self.duplicates, "decided before"),
            (self.events, "events stored"),
            (self.labelled_events, "of them with a label"),
            (
                self.assumed_label_times,
                "label times assumed to be the event's",
            ),
            (
                self.windows_1252_rows,
                "rows of the file are not UTF-8 and were read as Windows-1252",
            ),
            (self.labels, "labels applied"),
            (self.labels_kept, "messages kept that change no label"),
            (self.labels_waiting, "labels waiting for their event"),
            (self.forgotten, "left out: forgotten"),
            (self.skipped_messages, "skipped by the mapping"),
        ];
        for (count, what) in lines.into_iter().filter(|line| line.0 > 0) {
            writeln!(f, "  {count:>8} {what}")?;
        }
        for (class, count) in &self.rejected {
            writeln!(f, "  {count:>8} rejected: {class}")?;
        }
        if let Some(stopped) = &self.all_refused {
            write!(f, "{stopped}")?;
        }
        if self.interrupted {
            writeln!(
                f,
                "stopped on request; run the same command again to continue"
            )?;
        }
        Ok(())
    }
}
