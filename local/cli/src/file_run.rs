//! Runs a file through the functions' own handlers, in batches. A run can be resumed.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use ingest::IngestFunction;
use label::LabelFunction;
use predict::PredictFunction;
use shared::batch::{BatchResults, InvocationContext};
use shared::failure::{Failure, Rejection};
use shared::hash::short_hash;
use shared::mapping::{Mapping, MissingSource};
use shared::records::{Origin, Position, Record};
use shared::rejected::RejectedStore;
use thiserror::Error;

use crate::first_refusals::{AllRefused, FirstRefusals, MOST_ALIKE};
use crate::forget::ForgottenSubjects;
use crate::input::{InputError, InputRecord, RecordInput};
use crate::progress_bar::start_progress_bar;
use crate::run_records::RunRecords;
use crate::run_summary::{RecordEffect, RunSummary};
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
            Self::Label(function) => function
                .mapping
                .missing_label_sources(&value)
                .unwrap_or_default(),
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
