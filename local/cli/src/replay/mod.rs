//! Replays records that were given up: runs them through the same handler again.
//!
//! An object under `rejected/` whose record succeeds moves to `replayed/`, and a message of a queue is deleted; what fails
//! stays, with its new reason. An on-failure object of an event source mapping holds an invocation's records, and an on-failure
//! message their place on the stream.

mod filter;
mod kinesis_range;
mod queue;
mod stored_records;

use std::future::Future;
use std::num::NonZeroU32;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use shared::aws_json::{AwsJsonClient, AwsJsonError};
use shared::failure::{Failure, error_code};
use shared::records::Record;
use shared::rejected::{REJECTED_PREFIX, RejectedRecord};
use thiserror::Error;
use tokio::time::{Duration, Instant};

use crate::bucket_objects::{ListedObject, REPLAYED, list_objects, read_object};
use crate::file_run::PipelineFunction;
use crate::forget::ForgottenSubjects;
use crate::input::ROW_FAULT;
use crate::rehearsal::Rehearsal;
use crate::subject;
use stored_records::{StoredContent, StoredRecords, parse_message, parse_object};

pub use filter::ReplayFilter;
pub use queue::ReplayQueue;

/// Why a replay stopped.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The bucket cannot be read or written.
    #[error("{0}")]
    Bucket(String),
    /// The queue cannot be read, or a message not be deleted.
    #[error("the queue cannot be used: {0}{advice}", advice = advise_on(.0))]
    Queue(#[from] AwsJsonError),
    /// The notes of what was forgotten cannot be read.
    #[error(transparent)]
    Forgotten(#[from] subject::SubjectError),
    /// An object that is neither a rejected record nor an on-failure object.
    #[error("{key} is neither a rejected record nor an on-failure object: {what}")]
    Unreadable {
        /// The object.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

/// What to check, if the error may come from the set-up.
fn advise_on(error: &AwsJsonError) -> &'static str {
    let set_up = ["AccessDenied", "QueueDoesNotExist", "NonExistentQueue"];
    if set_up.iter().any(|part| error.code.contains(part)) {
        "; check its URL, --region and the permissions sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility"
    } else {
        ""
    }
}

/// The result for one object or message.
#[derive(Debug, Serialize)]
pub struct ReplayedObject {
    /// The object's key; of a message, the name of its queue and its id.
    pub key: String,
    /// The function that the records are for.
    pub function: String,
    /// Why it was given up.
    pub reason: String,
    /// What happened now: `replayed`, or the new reason; of a dry run, what would come of it.
    pub now: String,
    /// Whether it succeeded.
    pub done: bool,
    /// Of a dry run: whether it would succeed; absent if only a call of the service would tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_succeed: Option<bool>,
}

impl ReplayedObject {
    fn new(stored: &StoredRecords, now: &str) -> Self {
        Self {
            key: stored.key.clone(),
            function: stored.function.clone(),
            reason: stored.reason.clone(),
            now: now.to_owned(),
            done: false,
            would_succeed: None,
        }
    }

    fn unreadable(key: String, what: String) -> Self {
        let error = ReplayError::Unreadable {
            key: key.clone(),
            what,
        };
        Self {
            key,
            function: String::new(),
            reason: String::new(),
            now: error.to_string(),
            done: false,
            would_succeed: None,
        }
    }
}

/// A bucket and the functions that its objects belong to.
pub struct Replay<'a> {
    /// The bucket's client.
    pub s3: &'a Client,
    /// The bucket.
    pub bucket: &'a str,
    /// A client of Kinesis, for records that are still on a stream.
    pub kinesis: &'a AwsJsonClient,
    /// Finds a function by name.
    pub function: &'a dyn Fn(&str) -> Option<PipelineFunction>,
    /// Tells which records must not be run again.
    pub forgotten: &'a ForgottenSubjects,
    /// Which records are replayed; the others stay as they are, and are not in the result.
    pub filter: ReplayFilter,
    /// The most records a second, on average: after each object there is a pause as long as this rate wants. `None` means
    /// no limit.
    pub rate: Option<NonZeroU32>,
    /// Only report what would come of each object, and change nothing.
    pub dry_run: bool,
    /// Counts what was looked at.
    pub progress: ProgressBar,
}

impl Replay<'_> {
    /// Replays every object under `prefix`, and adds what happened to `replayed`.
    ///
    /// # Errors
    /// [`ReplayError`] where the bucket fails; what was replayed before has been moved.
    pub async fn replay_prefix(
        &self,
        prefix: &str,
        replayed: &mut Vec<ReplayedObject>,
    ) -> Result<(), ReplayError> {
        let objects = list_objects(self.s3, self.bucket, prefix).await;
        let objects = objects.map_err(|code| {
            ReplayError::Bucket(format!("cannot list s3://{}/{prefix}: {code}", self.bucket))
        })?;
        for ListedObject { key, written } in objects {
            self.progress.inc(1);
            let bytes = self.fetch_object(&key).await?;
            let stored = match parse_object(&key, &bytes) {
                Ok(stored) => stored,
                // A folder's marker, or something a person put there: continue with the others.
                Err(what) => {
                    replayed.push(ReplayedObject::unreadable(key, what));
                    continue;
                }
            };
            let at = stored.at.or(written);
            let stored = StoredRecords { at, ..stored };
            if self.filter.selects(&stored) {
                replayed.push(self.replay_object(stored).await?);
            }
        }
        Ok(())
    }

    /// Replays a local file, which stays as it is, and adds what happened to `replayed`: the file is one stored object, or
    /// has one in each line.
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`].
    pub async fn replay_file(
        &self,
        path: &str,
        replayed: &mut Vec<ReplayedObject>,
    ) -> Result<(), ReplayError> {
        let unreadable = |what: String| ReplayError::Unreadable {
            key: path.to_owned(),
            what,
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let objects = match parse_object(path, &bytes) {
            Ok(stored) => vec![Ok(stored)],
            Err(what) => {
                let lines = parse_lines(path, &bytes);
                if lines.iter().all(Result::is_err) {
                    return Err(unreadable(what));
                }
                lines
            }
        };
        for object in objects {
            self.progress.inc(1);
            match object {
                Err(unreadable) => replayed.push(unreadable),
                Ok(stored) if self.filter.selects(&stored) => {
                    replayed.push(self.run_stored(&stored).await?.0);
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Replays the messages of a queue, and adds what happened to `replayed`. One that succeeds is deleted; the others are
    /// visible again at the end, in their queue and unchanged.
    ///
    /// # Errors
    /// [`ReplayError`] where the queue fails; what was replayed before has been deleted.
    pub async fn replay_queue(
        &self,
        queue: &mut ReplayQueue,
        replayed: &mut Vec<ReplayedObject>,
    ) -> Result<(), ReplayError> {
        let ended = self.empty_queue(queue, replayed).await;
        // Whatever ended this early, those that were not deleted become visible again.
        queue.release_kept().await;
        ended
    }

    async fn empty_queue(
        &self,
        queue: &mut ReplayQueue,
        replayed: &mut Vec<ReplayedObject>,
    ) -> Result<(), ReplayError> {
        loop {
            let messages = queue.receive().await?;
            if messages.is_empty() {
                return Ok(());
            }
            for message in &messages {
                self.progress.inc(1);
                let Some(mut result) = self.replay_message(queue, message).await? else {
                    queue.hold_group(message);
                    continue;
                };
                if self.stays(&result) {
                    queue.hold_group(message);
                }
                let deleted = if result.done {
                    queue.delete(message).await
                } else {
                    Ok(())
                };
                if deleted.is_err() {
                    "replayed, but still in the queue".clone_into(&mut result.now);
                }
                replayed.push(result);
                deleted?;
            }
        }
    }

    /// Whether a message with this result stays in its queue; of a dry run, whether it would.
    fn stays(&self, result: &ReplayedObject) -> bool {
        if self.dry_run {
            result.would_succeed == Some(false)
        } else {
            !result.done
        }
    }

    /// Replays one message; `None` if the filter leaves it out.
    async fn replay_message(
        &self,
        queue: &ReplayQueue,
        message: &Value,
    ) -> Result<Option<ReplayedObject>, ReplayError> {
        let key = queue.message_key(message);
        let function = self.filter.function.as_deref();
        let stored = match parse_message(&key, message, &queue.arn(), function) {
            Ok(stored) if self.filter.selects(&stored) => stored,
            Ok(_) => return Ok(None),
            Err(what) => {
                let mut unreadable = ReplayedObject::unreadable(key, String::new());
                unreadable.now = what;
                unreadable.would_succeed = self.dry_run.then_some(false);
                return Ok(Some(unreadable));
            }
        };
        if queue.is_held(message) {
            let now =
                "not replayed: it waits behind a message of its group that stays in the queue";
            let mut waiting = ReplayedObject::new(&stored, now);
            waiting.would_succeed = self.dry_run.then_some(false);
            return Ok(Some(waiting));
        }
        let (result, _) = self.run_stored(&stored).await?;
        Ok(Some(result))
    }

    async fn fetch_object(&self, key: &str) -> Result<Vec<u8>, ReplayError> {
        let read = read_object(self.s3, self.bucket, key).await;
        let read = read.and_then(|object| object.ok_or_else(|| "NoSuchKey".to_owned()));
        read.map_err(|code| {
            ReplayError::Bucket(format!("cannot read s3://{}/{key}: {code}", self.bucket))
        })
    }

    async fn replay_object(&self, stored: StoredRecords) -> Result<ReplayedObject, ReplayError> {
        let (result, failed) = self.run_stored(&stored).await?;
        if self.dry_run {
            return Ok(result);
        }
        if result.done {
            self.move_to_replayed(&stored.key).await?;
        } else if let Some((record, failure)) = failed {
            self.write_reason(&stored, &record, &failure).await?;
        }
        Ok(result)
    }

    /// Runs the records, after they were read from their stream if they are still there; returns the first that failed
    /// with its failure.
    async fn run_stored(
        &self,
        stored: &StoredRecords,
    ) -> Result<(ReplayedObject, Option<(Record, Failure)>), ReplayError> {
        let answer = |now: &str| ReplayedObject::new(stored, now);
        let Some(function) = (self.function)(&stored.function) else {
            return Ok((answer("no function of this name reads records"), None));
        };
        if stored.class == ROW_FAULT {
            let now =
                "not replayed: it is a row of a CSV file; correct it there and run the file again";
            return Ok((answer(now), None));
        }
        let read;
        let all = match &stored.content {
            StoredContent::Records(records) => records,
            StoredContent::Range(range) => match range.read(self.kinesis).await {
                Ok(records) => {
                    read = records;
                    &read
                }
                Err(what) => {
                    let mut unread = answer(&format!("not replayed: {what}"));
                    unread.would_succeed = self.dry_run.then_some(false);
                    return Ok((unread, None));
                }
            },
        };
        self.run_records(stored, &function, all).await
    }

    async fn run_records(
        &self,
        stored: &StoredRecords,
        function: &PipelineFunction,
        all: &[Record],
    ) -> Result<(ReplayedObject, Option<(Record, Failure)>), ReplayError> {
        let answer = |now: &str| ReplayedObject::new(stored, now);
        // Leave out the records about subjects that were forgotten.
        let mut records = Vec::with_capacity(all.len());
        for record in all {
            if !self.forgotten.is_forgotten(record).await? {
                records.push(record.clone());
            }
        }
        let forgotten = all.len() - records.len();
        if records.is_empty() && forgotten > 0 {
            let now = "not replayed: it is about something that was forgotten";
            return Ok((answer(now), None));
        }
        let now = |what: &str| match forgotten {
            0 => what.to_owned(),
            count => format!("{what}; left out, because it was forgotten: {count}"),
        };
        if self.dry_run {
            let rehearsal = Rehearsal::run(function, &records, &stored.class).await;
            let mut object = answer(&now(&rehearsal.describe()));
            object.would_succeed = rehearsal.would_succeed();
            return Ok((object, None));
        }
        let count = records.len();
        let handled = self
            .keep_rate(count, function.handle_batch(records.clone()))
            .await;
        let mut results = records.into_iter().zip(handled.results);
        let failed = results.find_map(|(record, (_, result))| match result {
            // A message that is skipped needs no other replay.
            Ok(_) | Err(Failure::Skipped) => None,
            Err(failure) => Some((record, failure)),
        });
        Ok(match failed {
            None => {
                let mut done = answer(&now("replayed"));
                done.done = true;
                (done, None)
            }
            Some((record, failure)) => (answer(&failure.to_string()), Some((record, failure))),
        })
    }

    /// Makes a step that takes `records` records last as long as the rate wants it to.
    async fn keep_rate<T>(&self, records: usize, step: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let done = step.await;
        if let Some(rate) = self.rate {
            let records = u32::try_from(records).unwrap_or(u32::MAX);
            let least = Duration::from_secs(1) * records / rate.get();
            tokio::time::sleep_until(start + least).await;
        }
        done
    }

    /// Moves an object to `replayed/`. Copies first, so that after a crash the object may exist twice but
    /// is never lost.
    async fn move_to_replayed(&self, key: &str) -> Result<(), ReplayError> {
        let to = format!(
            "{REPLAYED}{}",
            key.strip_prefix(REJECTED_PREFIX).unwrap_or(key)
        );
        let failed = |what: String| {
            ReplayError::Bucket(format!(
                "cannot move s3://{}/{key} to {to}: {what}",
                self.bucket
            ))
        };
        let source = format!("{}/{key}", self.bucket);
        let copy = self
            .s3
            .copy_object()
            .bucket(self.bucket)
            .key(&to)
            .copy_source(source);
        copy.send()
            .await
            .map_err(|error| failed(error_code(&error)))?;
        let delete = self.s3.delete_object().bucket(self.bucket).key(key);
        delete
            .send()
            .await
            .map_err(|error| failed(error_code(&error)))?;
        Ok(())
    }

    /// Writes the new reason into the object. The handler has written the record, which it rejected
    /// again, under a key of its own; that may be another one if the function's name has changed.
    async fn write_reason(
        &self,
        stored: &StoredRecords,
        record: &Record,
        failure: &Failure,
    ) -> Result<(), ReplayError> {
        let Failure::Rejected(rejection) = failure else {
            return Ok(());
        };
        if !matches!(&stored.content, StoredContent::Records(records) if records.len() == 1) {
            return Ok(());
        }
        let body = serde_json::to_vec(&RejectedRecord::new(&stored.function, record, rejection))
            .unwrap_or_default();
        let put = self
            .s3
            .put_object()
            .bucket(self.bucket)
            .key(&stored.key)
            .body(ByteStream::from(body));
        put.send().await.map_err(|error| {
            ReplayError::Bucket(format!(
                "cannot write s3://{}/{}: {}",
                self.bucket,
                stored.key,
                error_code(&error)
            ))
        })?;
        Ok(())
    }
}

/// The objects of a file, one in each line that is not empty.
fn parse_lines(path: &str, bytes: &[u8]) -> Vec<Result<StoredRecords, ReplayedObject>> {
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let parse = |(number, line): (usize, &[u8])| {
        let key = format!("{path}:{number}");
        parse_object(&key, line).map_err(|what| ReplayedObject::unreadable(key, what))
    };
    lines.map(parse).collect()
}
