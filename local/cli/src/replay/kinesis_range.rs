//! Records that are still on a stream of Kinesis: a queue as on-failure destination gets their place and not the records.

use std::time::Duration;

use serde_json::{Value, json};
use shared::aws_json::{AwsJsonClient, AwsJsonError};
use shared::records::{Invocation, Record, split_records};

/// How many calls of `GetRecords` may bring nothing new before the range counts as unreadable.
const EMPTY_READS: usize = 20;
/// The least time between reads of a shard, which allows five a second.
const READ_PAUSE: Duration = Duration::from_millis(200);
/// The most records in one read, if the message does not say how many there are.
const MOST_RECORDS: u64 = 10_000;
/// How often a throttled call is made before it counts as failed, and the pause in between.
const ATTEMPTS: usize = 5;
const THROTTLE_PAUSE: Duration = Duration::from_secs(1);

/// A part of a shard, from one sequence number to another; both are part of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KinesisRange {
    stream_arn: String,
    shard_id: String,
    first: String,
    last: String,
    /// How many records it has.
    count: u64,
}

impl KinesisRange {
    /// Reads the range from what an event source mapping sent when it gave up.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn parse(message: &Value) -> Result<Self, String> {
        if message.get("DDBStreamBatchInfo").is_some() {
            return Err("it has the place of decisions in a stream of DynamoDB, which are not replayed; invoke forward with the \
                 batch from the bucket"
                .to_owned());
        }
        let info = &message["KinesisBatchInfo"];
        let text = |name: &str| {
            let text = info[name].as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                format!("it has neither a payload nor a `{name}` in its KinesisBatchInfo")
            })
        };
        Ok(Self {
            stream_arn: text("streamArn")?,
            shard_id: text("shardId")?,
            first: text("startSequenceNumber")?,
            last: text("endSequenceNumber")?,
            count: info["batchSize"]
                .as_u64()
                .unwrap_or(MOST_RECORDS)
                .clamp(1, MOST_RECORDS),
        })
    }

    /// Reads the records of the range from the stream.
    ///
    /// # Errors
    /// A sentence, if the stream has not kept all of them, or cannot be read.
    pub(crate) async fn read(&self, kinesis: &AwsJsonClient) -> Result<Vec<Record>, String> {
        let region = self.stream_arn.split(':').nth(3).unwrap_or_default();
        let place = json!({
            "StreamARN": self.stream_arn, "ShardId": self.shard_id,
            "ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": self.first,
        });
        let answer = call_patiently(kinesis, region, "GetShardIterator", &place).await;
        let answer = answer.map_err(|error| self.describe_error(&error))?;
        let mut iterator = answer["ShardIterator"].as_str().map(str::to_owned);
        let mut found: Vec<Value> = Vec::new();
        let mut empty = 0;
        while let Some(from) = iterator.filter(|_| empty < EMPTY_READS) {
            let input = json!({
                "ShardIterator": from, "StreamARN": self.stream_arn, "Limit": self.count,
            });
            tokio::time::sleep(READ_PAUSE).await;
            let answer = call_patiently(kinesis, region, "GetRecords", &input).await;
            let answer = answer.map_err(|error| self.describe_error(&error))?;
            let records = answer["Records"].as_array();
            let records = records.map(Vec::as_slice).unwrap_or_default();
            empty = if records.is_empty() { empty + 1 } else { 0 };
            for record in records {
                let number = record["SequenceNumber"].as_str().unwrap_or_default();
                if is_after(number, &self.last) {
                    return self.check_and_open(&found, true);
                }
                found.push(self.make_event_record(record));
                if number == self.last {
                    return self.check_and_open(&found, true);
                }
            }
            iterator = answer["NextShardIterator"].as_str().map(str::to_owned);
        }
        self.check_and_open(&found, false)
    }

    /// A range of which the stream has forgotten the beginning starts later than it should. `has_end` says whether the
    /// stream was read to the end of the range.
    fn check_and_open(&self, found: &[Value], has_end: bool) -> Result<Vec<Record>, String> {
        let number = |record: Option<&Value>| {
            let number = record.and_then(|record| record["kinesis"]["sequenceNumber"].as_str());
            number.map(str::to_owned)
        };
        let ends = (number(found.first()), number(found.last()));
        if ends != (Some(self.first.clone()), Some(self.last.clone())) {
            let is_expired = has_end || (ends.0.is_some() && ends.0.as_ref() != Some(&self.first));
            return Err(if is_expired {
                self.describe_expired()
            } else {
                self.describe_unfinished(found.len())
            });
        }
        let event = json!({ "Records": found });
        let records = Invocation::new(event).map_err(|error| error.to_string())?;
        Ok(split_records(records.into_records(), usize::MAX))
    }

    /// The record as Lambda would deliver it.
    fn make_event_record(&self, record: &Value) -> Value {
        json!({
            "eventSource": "aws:kinesis", "eventSourceARN": self.stream_arn,
            "kinesis": {
                "sequenceNumber": record["SequenceNumber"], "partitionKey": record["PartitionKey"], "data": record["Data"],
            },
        })
    }

    fn describe_error(&self, error: &AwsJsonError) -> String {
        match error.code.as_str() {
            "ResourceNotFoundException" => format!(
                "the stream {} or its shard {} is not there: check account and region",
                self.stream_arn, self.shard_id
            ),
            _ => format!("the stream cannot be read: {error}"),
        }
    }

    fn describe_unfinished(&self, found: usize) -> String {
        format!(
            "the stream gave {found} records of {} from {} to {}, and not the last one: try again, and if it stays so they have \
             expired",
            self.shard_id, self.first, self.last
        )
    }

    fn describe_expired(&self) -> String {
        format!(
            "the stream no longer has all of {} from {} to {}: they have expired, and have to be sent again by the shop",
            self.shard_id, self.first, self.last
        )
    }
}

/// Calls an operation, and again after a pause while the call is throttled.
async fn call_patiently(
    kinesis: &AwsJsonClient,
    region: &str,
    operation: &str,
    input: &Value,
) -> Result<Value, AwsJsonError> {
    let mut attempts = 1;
    loop {
        match kinesis.call(region, operation, input).await {
            Err(error) if attempts < ATTEMPTS && is_throttled(&error.code) => {
                attempts += 1;
                tokio::time::sleep(THROTTLE_PAUSE).await;
            }
            result => return result,
        }
    }
}

fn is_throttled(code: &str) -> bool {
    matches!(
        code,
        "ProvisionedThroughputExceededException"
            | "LimitExceededException"
            | "ThrottlingException"
            | "KMSThrottlingException"
    )
}

/// Whether a sequence number is greater than another; both are integers of up to 56 digits.
fn is_after(number: &str, other: &str) -> bool {
    let (number, other) = (
        number.trim_start_matches('0'),
        other.trim_start_matches('0'),
    );
    (number.len(), number) > (other.len(), other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_range(first: &str, last: &str, count: u64) -> KinesisRange {
        KinesisRange {
            stream_arn: "arn".into(),
            shard_id: "shard-0".into(),
            first: first.into(),
            last: last.into(),
            count,
        }
    }

    #[test]
    fn a_range_names_what_it_lacks() {
        let message = json!({"KinesisBatchInfo": {
            "streamArn": "arn", "shardId": "shard-0", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2,
        }});
        assert_eq!(KinesisRange::parse(&message), Ok(make_range("1", "2", 2)));
        let problem = KinesisRange::parse(&json!({"KinesisBatchInfo": {"streamArn": "arn"}}));
        let want = "it has neither a payload nor a `shardId` in its KinesisBatchInfo";
        assert_eq!(problem.unwrap_err(), want);
        let problem = KinesisRange::parse(&json!({"DDBStreamBatchInfo": {}})).unwrap_err();
        assert!(
            problem.starts_with("it has the place of decisions"),
            "{problem}"
        );
    }

    #[test]
    fn what_is_missing_has_expired_only_if_later_records_were_read() {
        let range = make_range("3", "5", 3);
        let cases: [(&[&str], bool, &str); 5] = [
            (&[], true, "they have expired"),
            (&["4", "5"], true, "they have expired"),
            (&["4"], false, "they have expired"),
            (&[], false, "gave 0 records of shard-0 from 3 to 5"),
            (&["3", "4"], false, "gave 2 records of shard-0 from 3 to 5"),
        ];
        for (numbers, has_end, want) in cases {
            let record =
                |number: &&str| range.make_event_record(&json!({"SequenceNumber": number}));
            let found: Vec<Value> = numbers.iter().map(record).collect();
            let problem = range.check_and_open(&found, has_end).unwrap_err();
            assert!(problem.contains(want), "{numbers:?}: {problem}");
        }
    }

    #[test]
    fn a_stream_that_is_not_there_has_not_expired() {
        let range = make_range("3", "5", 3);
        let error = |code: &str| AwsJsonError {
            operation: "GetShardIterator".into(),
            code: code.into(),
            message: "why".into(),
        };
        let told = range.describe_error(&error("ResourceNotFoundException"));
        let want = "the stream arn or its shard shard-0 is not there: check account and region";
        assert_eq!(told, want);
        let told = range.describe_error(&error("AccessDeniedException"));
        let want = "the stream cannot be read: GetShardIterator: AccessDeniedException: why";
        assert_eq!(told, want);
    }

    #[test]
    fn sequence_numbers_are_compared_as_integers() {
        for (number, other, want) in [("10", "9", true), ("9", "10", false), ("007", "7", false)] {
            assert_eq!(is_after(number, other), want, "{number} {other}");
        }
    }
}
