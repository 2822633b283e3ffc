//! Rejected records: stored completely, with the reason, under `rejected/` in the bucket.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Rejection, dependency_failure};
use crate::records::{Origin, Position, Record};
use event::hash::short_hash;

/// The prefix of the object keys of rejected records.
pub const REJECTED_PREFIX: &str = "rejected/";

/// A rejected record as it is stored, with everything needed to process it again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// The function that rejected it.
    pub function: String,
    /// The class of the rejection.
    pub class: String,
    /// The reason, in a sentence.
    pub reason: String,
    /// Where it came from.
    pub position: Position,
    /// Its partition key or message group.
    pub key: Option<String>,
    /// The payload, if it is UTF-8 text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<String>,
    /// The payload in base64, if it is not text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload_base64: Option<String>,
}

impl RejectedRecord {
    /// Makes the stored form of a record.
    pub fn new(function: &str, record: &Record, rejection: &Rejection) -> Self {
        let bytes = record.payload.as_slice();
        let text = std::str::from_utf8(bytes).ok().map(str::to_owned);
        Self {
            function: function.to_owned(),
            class: rejection.class.to_owned(),
            reason: rejection.reason.clone(),
            position: record.position.clone(),
            key: record.key.clone(),
            payload_base64: text.is_none().then(|| BASE64.encode(bytes)),
            payload: text,
        }
    }

    /// The record, to be processed again.
    ///
    /// # Errors
    /// A sentence, if the object has no valid payload.
    pub fn into_record(self) -> Result<Record, String> {
        let payload = match (self.payload, self.payload_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(text)) => BASE64
                .decode(text)
                .map_err(|_| "its payload_base64 is not base64")?,
            (None, None) => return Err("it has neither payload nor payload_base64".to_owned()),
        };
        Ok(Record {
            position: self.position,
            key: self.key,
            payload,
        })
    }

    /// The key of the object. It is made of the position, so that writing a record twice writes one object.
    ///
    /// The key of a record from a file also holds a hash of its content, because tomorrow's file may have the same name
    /// and other content in the same line.
    fn object_key(&self) -> String {
        let mut position = self.position.to_string();
        if self.position.origin == Origin::File {
            let payload = self.payload.as_ref().or(self.payload_base64.as_ref());
            position.push('-');
            position.push_str(&short_hash(
                payload.map(String::as_bytes).unwrap_or_default(),
            ));
        }
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_./".contains(c) {
                c
            } else {
                '-'
            }
        };
        format!(
            "{REJECTED_PREFIX}{}/{}.json",
            self.function,
            position.chars().map(safe).collect::<String>()
        )
    }
}

/// The bucket where rejected records are written.
#[derive(Clone, Debug)]
pub struct RejectedStore {
    s3: aws_sdk_s3::Client,
    bucket: String,
    /// Records that are not written yet; `None` if each is written at once.
    held: Option<Arc<Mutex<Vec<RejectedRecord>>>>,
}

impl RejectedStore {
    /// Writes to `bucket`.
    pub fn new(s3: aws_sdk_s3::Client, bucket: impl Into<String>) -> Self {
        Self {
            s3,
            bucket: bucket.into(),
            held: None,
        }
    }

    /// Keeps records in memory from now on, until [`Self::release`]: a run whose records are all refused writes none.
    pub fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Whether records are kept in memory.
    pub fn is_holding(&self) -> bool {
        self.held.is_some()
    }

    /// Writes what was held, and from now on every record at once.
    ///
    /// # Errors
    /// [`Failure::Retry`] if S3 fails; nothing that was held may be taken as written then.
    pub async fn release(&mut self) -> Result<(), Failure> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        let records = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
        for record in records {
            self.put(&record).await?;
        }
        Ok(())
    }

    /// Writes one record with its reason.
    ///
    /// # Errors
    /// [`Failure::Retry`] if S3 fails.
    pub async fn write(
        &self,
        function: &str,
        record: &Record,
        rejection: &Rejection,
    ) -> Result<(), Failure> {
        let rejected = RejectedRecord::new(function, record, rejection);
        if let Some(held) = &self.held {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            held.push(rejected);
            return Ok(());
        }
        self.put(&rejected).await
    }

    async fn put(&self, rejected: &RejectedRecord) -> Result<(), Failure> {
        let body = serde_json::to_vec(rejected)
            .map_err(|_| Failure::retry("a rejected record does not serialize"))?;
        let put = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(rejected.object_key())
            .content_type("application/json");
        put.body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| dependency_failure("PutObject", &error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_record_can_be_run_again() {
        for payload in [&b"{not json"[..], &[0xff, 0x00]] {
            let position = Position {
                sub: 2,
                ..Position::new(
                    Origin::Kinesis,
                    "arn:aws:kinesis:us-east-1:1:stream/orders",
                    "495",
                )
            };
            let record = Record {
                position,
                key: Some("k".into()),
                payload: payload.to_vec(),
            };
            let rejection = Rejection {
                class: "not-json",
                reason: "x".into(),
                refusal: None,
            };
            let stored = RejectedRecord::new("predict", &record, &rejection);
            assert_eq!(stored.object_key(), "rejected/predict/orders/495.2.json");
            let read: RejectedRecord =
                serde_json::from_slice(&serde_json::to_vec(&stored).unwrap()).unwrap();
            let again = read.into_record().unwrap();
            assert_eq!(again.payload, record.payload);
            assert_eq!(again.position, record.position);
        }
    }
}
