//! Replays rejected records: runs them through the same handler again.
//!
//! A record that succeeds moves from `rejected/` to `replayed/`; one that fails stays, with its new
//! reason. An on-failure object of an event source mapping holds an invocation's records and is
//! replayed too.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde::Serialize;
use serde_json::Value;
use shared::failure::{Failure, error_code};
use shared::json;
use shared::records::{Invocation, Record, split_records};
use shared::rejected::{REJECTED_PREFIX, RejectedRecord};
use thiserror::Error;

use crate::bucket_objects::{REPLAYED, list_keys, read_object};
use crate::file_run::PipelineFunction;
use crate::forget::ForgottenSubjects;
use crate::input::ROW_FAULT;
use crate::rehearsal::Rehearsal;
use crate::subject;

/// Why a replay stopped.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The bucket cannot be read or written.
    #[error("{0}")]
    Bucket(String),
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

/// The result for one object.
#[derive(Debug, Serialize)]
pub struct ReplayedObject {
    /// The object's key.
    pub key: String,
    /// The function that rejected it.
    pub function: String,
    /// Why it was rejected.
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
    fn unreadable(key: String, error: &ReplayError) -> Self {
        let none = String::new;
        Self {
            key,
            function: none(),
            reason: none(),
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
    /// Finds a function by name.
    pub function: &'a dyn Fn(&str) -> Option<PipelineFunction>,
    /// Tells which records must not be run again.
    pub forgotten: &'a ForgottenSubjects,
    /// Only report what would come of each object, and write nothing.
    pub dry_run: bool,
}

/// The records of one object.
struct ObjectRecords {
    key: String,
    function: String,
    class: String,
    reason: String,
    records: Vec<Record>,
}

impl Replay<'_> {
    /// Replays every object under `prefix`.
    ///
    /// # Errors
    /// [`ReplayError`] where the bucket fails or an object is unreadable; what was replayed before
    /// has been moved.
    pub async fn replay_prefix(&self, prefix: &str) -> Result<Vec<ReplayedObject>, ReplayError> {
        let mut replayed = Vec::new();
        let keys = list_keys(self.s3, self.bucket, prefix).await;
        let keys = keys.map_err(|code| {
            ReplayError::Bucket(format!("cannot list s3://{}/{prefix}: {code}", self.bucket))
        })?;
        for key in keys {
            let bytes = self.fetch_object(&key).await?;
            replayed.push(match parse_object(&key, &bytes) {
                Ok(stored) => self.replay_object(stored).await?,
                // A folder's marker, or something a person put there: continue with the others.
                Err(error) => ReplayedObject::unreadable(key, &error),
            });
        }
        Ok(replayed)
    }

    /// Replays one local file; it stays where it is.
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`].
    pub async fn replay_file(&self, path: &str) -> Result<Vec<ReplayedObject>, ReplayError> {
        let bytes = std::fs::read(path).map_err(|error| ReplayError::Unreadable {
            key: path.to_owned(),
            what: error.to_string(),
        })?;
        let stored = parse_object(path, &bytes)?;
        let (result, _) = self.run_records(&stored).await?;
        Ok(vec![result])
    }

    async fn fetch_object(&self, key: &str) -> Result<Vec<u8>, ReplayError> {
        let read = read_object(self.s3, self.bucket, key).await;
        let read = read.and_then(|object| object.ok_or_else(|| "NoSuchKey".to_owned()));
        read.map_err(|code| {
            ReplayError::Bucket(format!("cannot read s3://{}/{key}: {code}", self.bucket))
        })
    }

    async fn replay_object(&self, stored: ObjectRecords) -> Result<ReplayedObject, ReplayError> {
        let (result, failed) = self.run_records(&stored).await?;
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

    /// Runs an object's records; returns the first that failed with its failure.
    async fn run_records(
        &self,
        stored: &ObjectRecords,
    ) -> Result<(ReplayedObject, Option<(Record, Failure)>), ReplayError> {
        let answer = |now: &str, done| ReplayedObject {
            key: stored.key.clone(),
            function: stored.function.clone(),
            reason: stored.reason.clone(),
            now: now.to_owned(),
            done,
            would_succeed: None,
        };
        let Some(function) = (self.function)(&stored.function) else {
            let now = "no function of this name reads records";
            return Ok((answer(now, false), None));
        };
        if stored.class == ROW_FAULT {
            let now =
                "not replayed: it is a row of a CSV file; correct it there and run the file again";
            return Ok((answer(now, false), None));
        }
        // Leave out the records about subjects that were forgotten.
        let mut records = Vec::with_capacity(stored.records.len());
        for record in &stored.records {
            if !self.forgotten.is_forgotten(record).await? {
                records.push(record.clone());
            }
        }
        let forgotten = stored.records.len() - records.len();
        if records.is_empty() && forgotten > 0 {
            let now = "not replayed: it is about something that was forgotten";
            return Ok((answer(now, false), None));
        }
        let now = |what: &str| match forgotten {
            0 => what.to_owned(),
            count => format!("{what}; left out, because it was forgotten: {count}"),
        };
        if self.dry_run {
            let rehearsal = Rehearsal::run(&function, &records, &stored.class).await;
            let mut object = answer(&now(&rehearsal.describe()), false);
            object.would_succeed = rehearsal.would_succeed();
            return Ok((object, None));
        }
        let handled = function.handle_batch(records.clone()).await;
        let mut results = records.into_iter().zip(handled.results);
        let failed = results.find_map(|(record, (_, result))| match result {
            // A message that is skipped needs no other replay.
            Ok(_) | Err(Failure::Skipped) => None,
            Err(failure) => Some((record, failure)),
        });
        Ok(match failed {
            None => (answer(&now("replayed"), true), None),
            Some((record, failure)) => {
                (answer(&failure.to_string(), false), Some((record, failure)))
            }
        })
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
        stored: &ObjectRecords,
        record: &Record,
        failure: &Failure,
    ) -> Result<(), ReplayError> {
        let Failure::Rejected(rejection) = failure else {
            return Ok(());
        };
        if stored.records.len() != 1 {
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

/// Parses an object: a rejected record, or what Lambda writes when an event source mapping gives up.
fn parse_object(key: &str, bytes: &[u8]) -> Result<ObjectRecords, ReplayError> {
    let unreadable = |what: String| ReplayError::Unreadable {
        key: key.to_owned(),
        what,
    };
    let value: Value = json::parse_stored(bytes).map_err(|error| unreadable(error.to_string()))?;
    if value.get("requestContext").is_some() {
        return parse_on_failure_object(key, value).map_err(unreadable);
    }
    let rejected: RejectedRecord =
        serde_json::from_value(value).map_err(|error| unreadable(error.to_string()))?;
    Ok(ObjectRecords {
        key: key.to_owned(),
        function: rejected.function.clone(),
        class: rejected.class.clone(),
        reason: rejected.reason.clone(),
        records: rejected.into_record().map_err(unreadable)?.split(),
    })
}

fn parse_on_failure_object(key: &str, mut value: Value) -> Result<ObjectRecords, String> {
    let arn = value["requestContext"]["functionArn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let reason = value["requestContext"]["condition"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    // The payload is text in an S3 object; some writers keep it as JSON.
    let payload =
        match value["payload"].take() {
            Value::String(text) => {
                json::parse_event(text.as_bytes()).map_err(|error| error.to_string())?
            }
            Value::Null => return Err(
                "it has no payload, as those sent to a queue have none; replay it from the stream"
                    .to_owned(),
            ),
            payload => payload,
        };
    let names = [predict::FUNCTION, ingest::FUNCTION, label::FUNCTION];
    let name = arn.split(':').nth(6).unwrap_or_default();
    // SAM names a function `<stack>-Predict-<random>`; the stack may have any name.
    let part = name.rsplit('-').nth(1).unwrap_or(name);
    let function = names
        .iter()
        .find(|known| part.eq_ignore_ascii_case(known) || name == **known)
        .ok_or_else(|| format!("its function `{name}` is none of {}", names.join(", ")))?;
    Ok(ObjectRecords {
        key: key.to_owned(),
        function: (*function).to_owned(),
        class: String::new(),
        reason,
        records: split_records(
            Invocation::new(payload)
                .map_err(|error| error.to_string())?
                .into_records(),
            usize::MAX,
        ),
    })
}
