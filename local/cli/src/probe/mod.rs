//! Tries, on the table of decisions of a deployment, what the pipeline relies on when it inserts decisions with statements:
//! that an `INSERT` is stored, that it is refused for a key that exists, and that it is in the table's stream, which feeds
//! `forward`.
//!
//! [`TableProbe`] makes the calls, `judging` says what their answers mean. The two items that it writes are no decisions,
//! and are deleted again whatever happens.

mod judging;
mod outcomes;
mod report;
mod step;
mod stream_reader;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use aws_sdk_dynamodbstreams::types::{OperationType, Record};
use event::Timestamp;
use futures::FutureExt as _;
use futures::future::{Shared, join};
use shared::decisions::{Decisions, ProbeItem};

use judging::{judge_delete, judge_duplicate, judge_insert, judge_put, judge_stream, judge_table};
pub use outcomes::{FailedCall, SeenRecord, StreamOutcome, TableState};
pub use report::{ProbeReport, StepResult};
pub use step::ProbeStep;
use stream_reader::StreamReader;

/// The pause between two readings of the stream.
const PAUSE: Duration = Duration::from_millis(500);
/// The time between two lines about progress.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// The probe of one table.
pub struct TableProbe<'a> {
    /// The table.
    pub decisions: &'a Decisions,
    /// The client that reads its stream.
    pub streams: &'a aws_sdk_dynamodbstreams::Client,
    /// How long to wait for the records of the stream.
    pub wait: Duration,
    /// The present time.
    pub now: Timestamp,
    /// Gets a line now and then while the stream is waited for.
    pub say: &'a (dyn Fn(String) + Sync),
}

/// The items that the probe writes.
struct ProbeItems {
    put: ProbeItem,
    inserted: ProbeItem,
}

impl TableProbe<'_> {
    /// Makes all steps, or as many as there can be before `stop`, and deletes what was written.
    pub async fn run<S: Future<Output = ()>>(&self, stop: S) -> ProbeReport {
        let stop = stop.shared();
        let items = ProbeItems {
            put: ProbeItem::new(self.now),
            inserted: ProbeItem::new(self.now),
        };
        let mut steps = Vec::new();
        let table = self.describe_table().await;
        steps.push(judge_table(&table));
        if let Ok(table) = table {
            // If the stream cannot be read, the other steps still tell something.
            let reader = self.open_stream(&table).await;
            let interrupted = !self.write_items(&items, &stop, &mut steps).await;
            if !interrupted {
                let seen = self.watch_stream(reader, &items, &stop).await;
                steps.extend(seen.as_ref().map(judge_stream));
            }
            steps.push(self.delete_items(&items).await);
        }
        let is_interrupted = stop.now_or_never().is_some();
        ProbeReport::new(self.decisions.client_and_table().1, steps, is_interrupted)
    }

    async fn describe_table(&self) -> Result<TableState, FailedCall> {
        let (client, table) = self.decisions.client_and_table();
        let call = client.describe_table().table_name(table).send().await;
        let answer = call.map_err(|error| FailedCall::new("DescribeTable", &error))?;
        let table = answer.table.as_ref();
        let stream = table.and_then(|table| table.stream_specification.as_ref());
        let view = stream.and_then(|stream| stream.stream_view_type.as_ref());
        let status = table.and_then(|table| table.table_status.as_ref());
        let arn = table.and_then(|table| table.latest_stream_arn.clone());
        Ok(TableState {
            status: status.map(|status| status.as_str().to_owned()),
            view: view.map(|view| view.as_str().to_owned()),
            stream_arn: arn.filter(|_| stream.is_some_and(|stream| stream.stream_enabled)),
        })
    }

    /// Begins to read the stream, so that what is written afterwards is read.
    async fn open_stream(&self, table: &TableState) -> Result<StreamReader<'_>, StreamOutcome> {
        let Some(arn) = &table.stream_arn else {
            return Err(StreamOutcome::NoStream);
        };
        let opened = StreamReader::open(self.streams, arn).await;
        opened.map_err(StreamOutcome::Unreadable)
    }

    /// Writes both items, and one of them a second time; `false` if it was stopped before the end.
    async fn write_items<S: Future<Output = ()>>(
        &self,
        items: &ProbeItems,
        stop: &Shared<S>,
        steps: &mut Vec<StepResult>,
    ) -> bool {
        // A call that has begun is waited for: what it writes has to be deleted after it.
        let is_stopped = || stop.clone().now_or_never().is_some();
        if is_stopped() {
            return false;
        }
        let put = self.decisions.put_probe(&items.put).send().await;
        let put = put.map(drop);
        steps.push(judge_put(
            put.map_err(|error| FailedCall::new("PutItem", &error))
                .as_ref(),
        ));
        if is_stopped() {
            return false;
        }
        let inserted = self.insert_item(&items.inserted).await;
        steps.push(judge_insert(inserted.as_ref()));
        if is_stopped() {
            return false;
        }
        let again = self.insert_item(&items.inserted).await;
        steps.push(judge_duplicate(again.as_ref()));
        true
    }

    async fn insert_item(&self, item: &ProbeItem) -> Result<(), FailedCall> {
        const OPERATION: &str = "BatchExecuteStatement";
        let call = self.decisions.insert_probe(item);
        let call = call.map_err(|failure| FailedCall::of_failure(OPERATION, &failure))?;
        let answer = call.send().await;
        let answer = answer.map_err(|error| FailedCall::new(OPERATION, &error))?;
        let statement = answer.responses.unwrap_or_default().into_iter().next();
        match statement.and_then(|statement| statement.error) {
            None => Ok(()),
            Some(error) => Err(FailedCall::of_statement(OPERATION, &error)),
        }
    }

    /// Waits for the records of both items; `None` if it was stopped.
    async fn watch_stream<S: Future<Output = ()>>(
        &self,
        reader: Result<StreamReader<'_>, StreamOutcome>,
        items: &ProbeItems,
        stop: &Shared<S>,
    ) -> Option<StreamOutcome> {
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(outcome) => return Some(outcome),
        };
        let start = Instant::now();
        let mut said = start;
        let (mut put, mut inserted) = (None, None);
        loop {
            let records = match reader.read_records().await {
                Ok(records) => records,
                Err(error) => return Some(StreamOutcome::Unreadable(error)),
            };
            let after = start.elapsed();
            for record in &records {
                for (item, seen) in [(&items.put, &mut put), (&items.inserted, &mut inserted)] {
                    if seen.is_none() && is_insert_of(record, item) {
                        *seen = Some(SeenRecord {
                            after,
                            has_image: has_image(record),
                        });
                    }
                }
            }
            if (put.is_some() && inserted.is_some()) || after >= self.wait {
                return Some(StreamOutcome::Read {
                    put,
                    inserted,
                    waited: after,
                });
            }
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                (self.say)(describe_progress(
                    after,
                    self.wait,
                    put.as_ref(),
                    inserted.as_ref(),
                ));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.clone() => return None,
            }
        }
    }

    async fn delete_items(&self, items: &ProbeItems) -> StepResult {
        let delete = async |item: &ProbeItem| {
            let deleted = self.decisions.delete_probe(item).send().await;
            let deleted = deleted.map(drop);
            deleted.map_err(|error| {
                (
                    item.key().pk().to_owned(),
                    FailedCall::new("DeleteItem", &error),
                )
            })
        };
        let (put, inserted) = join(delete(&items.put), delete(&items.inserted)).await;
        judge_delete(&[put, inserted])
    }
}

fn describe_progress(
    after: Duration,
    wait: Duration,
    put: Option<&SeenRecord>,
    inserted: Option<&SeenRecord>,
) -> String {
    let word = |seen: Option<&SeenRecord>| {
        if seen.is_some() {
            "seen"
        } else {
            "not yet seen"
        }
    };
    format!(
        "{} of {} s: in the stream, PutItem {}, INSERT {}",
        after.as_secs(),
        wait.as_secs(),
        word(put),
        word(inserted)
    )
}

fn is_insert_of(record: &Record, item: &ProbeItem) -> bool {
    let keys = record
        .dynamodb
        .as_ref()
        .and_then(|change| change.keys.as_ref());
    let pk = keys.and_then(|keys| keys.get("pk")?.as_s().ok());
    record.event_name == Some(OperationType::Insert) && pk.is_some_and(|pk| pk == item.key().pk())
}

fn has_image(record: &Record) -> bool {
    let change = record.dynamodb.as_ref();
    let image = change.and_then(|change| change.new_image.as_ref());
    image.is_some_and(|image| image.contains_key("kind"))
}
