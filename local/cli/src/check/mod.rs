//! Runs a file through a mapping and the rules of a detector file without writing anything: what decodes, what each variable
//! holds, which rules match, which can never match, and what would be decided.
//!
//! What happened before (aggregates and links) and the scores of models need the state of the pipeline, so rules that read
//! them are named and not judged.

mod order_tally;
mod report;
mod report_text;
#[cfg(test)]
mod tests;
mod value_tally;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use event::VariableName;
use shared::failure::Rejection;
use shared::mapping::{MappedOrder, Mapping};
use shared::records::{Origin, Position, Record};
use thiserror::Error;

use crate::detector_rules::DetectorRules;
use crate::input::{InputRecord, RecordInput};

use order_tally::OrderTally;
pub use report::CheckReport;

/// Records that a thread takes at once.
const CHUNK: usize = 1000;

/// Why a file was not checked to its end.
#[derive(Debug, Error)]
#[error("{path}, after {records} records: {source}")]
pub struct CheckError {
    /// The file.
    pub path: String,
    /// How many records were read.
    pub records: u64,
    /// Why no more could be read.
    pub source: std::io::Error,
}

/// A file to check.
pub struct FileCheck<'a> {
    /// The file's name, for the report.
    pub path: &'a str,
    /// How an order becomes an event.
    pub mapping: &'a Mapping,
    /// The rules.
    pub rules: &'a DetectorRules,
    /// How many threads map and judge.
    pub threads: usize,
}

/// Some records, and the number of the first, from 1.
struct RecordChunk {
    first: u64,
    records: Vec<InputRecord>,
}

impl FileCheck<'_> {
    /// Reads the file to its end; `progress` is told how many records are read.
    ///
    /// # Errors
    /// [`CheckError`].
    pub fn run(
        &self,
        mut input: RecordInput,
        progress: impl Fn(u64),
    ) -> Result<CheckReport, CheckError> {
        let threads = self.threads.max(1);
        let (send, receive) = sync_channel::<RecordChunk>(threads * 2);
        let receive = Arc::new(Mutex::new(receive));
        let (read, tally) = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let receive = Arc::clone(&receive);
                    scope.spawn(move || self.judge_chunks(&receive))
                })
                .collect();
            // If all workers have panicked, sending fails instead of waiting for ever.
            drop(receive);
            let read = self.read_chunks(&mut input, &send, &progress);
            // The workers end when nothing more can come.
            drop(send);
            let mut tally = OrderTally::new(self.mapping, self.rules);
            for worker in workers {
                match worker.join() {
                    Ok(part) => tally.merge(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            (read, tally)
        });
        let records = read?;
        Ok(CheckReport::new(self, records, &input, tally))
    }

    /// Sends the records of the file to the workers, and counts them.
    fn read_chunks(
        &self,
        input: &mut RecordInput,
        send: &SyncSender<RecordChunk>,
        progress: &impl Fn(u64),
    ) -> Result<u64, CheckError> {
        let mut read = 0;
        loop {
            let mut chunk = RecordChunk {
                first: read + 1,
                records: Vec::with_capacity(CHUNK),
            };
            while chunk.records.len() < CHUNK {
                let record = input.read_record().map_err(|source| CheckError {
                    path: self.path.to_owned(),
                    records: read,
                    source,
                })?;
                let Some(record) = record else { break };
                read += 1;
                chunk.records.push(record);
            }
            // Nobody receives if all workers have panicked; that is reported when they are joined.
            if chunk.records.is_empty() || send.send(chunk).is_err() {
                return Ok(read);
            }
            progress(read);
        }
    }

    fn judge_chunks(&self, receive: &Mutex<Receiver<RecordChunk>>) -> OrderTally<'_> {
        let mut tally = OrderTally::new(self.mapping, self.rules);
        loop {
            let next = receive
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(chunk) = next else { return tally };
            for (number, record) in (chunk.first..).zip(chunk.records) {
                self.judge_record(number, record, &mut tally);
            }
        }
    }

    fn judge_record(&self, number: u64, input: InputRecord, tally: &mut OrderTally<'_>) {
        let record = Record {
            position: Position::new(Origin::Invoke, "file", number.to_string()),
            key: None,
            payload: input.bytes,
        };
        if let Some(rejection) = input.rejection {
            return tally.add_rejection(number, &record.payload, &rejection);
        }
        for record in record.split() {
            let mapped = record
                .json()
                .and_then(|order| self.mapping.map_order(&order));
            match mapped {
                Ok(order) => match self.find_foreign_variable(&order) {
                    None => tally.add_order(number, &order),
                    Some(name) => {
                        let reason =
                            format!("the event type of the detector lacks variable `{name}`");
                        let rejection = Rejection {
                            class: "refused",
                            reason,
                            refusal: None,
                        };
                        tally.add_rejection(number, &record.payload, &rejection);
                    }
                },
                Err(failure) => tally.add_failure(number, &record.payload, failure),
            }
        }
    }

    /// A variable of the order for which the service would refuse it.
    fn find_foreign_variable(&self, order: &MappedOrder) -> Option<VariableName> {
        let mut names = order.variables.iter().map(|(name, _)| name);
        names
            .find(|name| !self.rules.has_variable(name.as_str()))
            .cloned()
    }
}
