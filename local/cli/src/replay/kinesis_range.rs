//! Records that are still on a stream of Kinesis: a queue as on-failure destination gets their place and not the records.

use serde_json::{Value, json};
use shared::aws_json::AwsJsonClient;
use shared::records::{Invocation, Record, split_records};

/// How many calls of `GetRecords` may bring nothing new before the range counts as unreadable.
const EMPTY_READS: usize = 20;

/// A part of a shard, from one sequence number to another; both are part of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KinesisRange {
    stream_arn: String,
    shard_id: String,
    first: String,
    last: String,
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
        let answer = kinesis.call(region, "GetShardIterator", &place).await;
        let answer = answer.map_err(|error| match error.code.as_str() {
            "ResourceNotFoundException" | "InvalidArgumentException" => self.describe_expired(),
            _ => format!("the stream cannot be read: {error}"),
        })?;
        let mut iterator = answer["ShardIterator"].as_str().map(str::to_owned);
        let mut found: Vec<Value> = Vec::new();
        let mut empty = 0;
        while let Some(from) = iterator.filter(|_| empty < EMPTY_READS) {
            let input = json!({"ShardIterator": from, "StreamARN": self.stream_arn});
            let answer = kinesis.call(region, "GetRecords", &input).await;
            let answer = answer.map_err(|error| format!("the stream cannot be read: {error}"))?;
            let records = answer["Records"].as_array();
            let records = records.map(Vec::as_slice).unwrap_or_default();
            empty = if records.is_empty() { empty + 1 } else { 0 };
            for record in records {
                let number = record["SequenceNumber"].as_str().unwrap_or_default();
                if is_after(number, &self.last) {
                    return self.check_and_open(&found);
                }
                found.push(self.make_event_record(record));
                if number == self.last {
                    return self.check_and_open(&found);
                }
            }
            iterator = answer["NextShardIterator"].as_str().map(str::to_owned);
        }
        self.check_and_open(&found)
    }

    /// A range of which the stream has forgotten the beginning starts later than it should.
    fn check_and_open(&self, found: &[Value]) -> Result<Vec<Record>, String> {
        let number = |record: Option<&Value>| {
            let number = record.and_then(|record| record["kinesis"]["sequenceNumber"].as_str());
            number.map(str::to_owned)
        };
        let ends = (number(found.first()), number(found.last()));
        if ends != (Some(self.first.clone()), Some(self.last.clone())) {
            return Err(self.describe_expired());
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

    fn describe_expired(&self) -> String {
        format!(
            "the stream no longer has all of {} from {} to {}: they have expired, and have to be sent again by the shop",
            self.shard_id, self.first, self.last
        )
    }
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

    #[test]
    fn a_range_names_what_it_lacks() {
        let message = json!({"KinesisBatchInfo": {
            "streamArn": "arn", "shardId": "shard-0", "startSequenceNumber": "1", "endSequenceNumber": "2", "batchSize": 2,
        }});
        let want = KinesisRange {
            stream_arn: "arn".into(),
            shard_id: "shard-0".into(),
            first: "1".into(),
            last: "2".into(),
        };
        assert_eq!(KinesisRange::parse(&message), Ok(want));
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
    fn sequence_numbers_are_compared_as_integers() {
        for (number, other, want) in [("10", "9", true), ("9", "10", false), ("007", "7", false)] {
            assert_eq!(is_after(number, other), want, "{number} {other}");
        }
    }
}
