//! A queue whose messages are replayed: each is hidden while it runs, and deleted when it succeeded.

use std::collections::HashSet;

use serde_json::{Value, json};
use shared::aws_json::{AwsJsonClient, AwsJsonError};

/// How long a message is hidden while it is replayed, in seconds.
const HIDDEN: u64 = 900;
/// The most messages in one call.
const MESSAGES: usize = 10;
/// After so many calls without a message in a row, the queue counts as read: one call need not ask all of a queue's servers.
const EMPTY_RECEIVES: usize = 3;

/// A queue, as the URL of its first page.
pub struct ReplayQueue {
    sqs: AwsJsonClient,
    url: String,
    region: String,
    /// The name, the last part of the URL.
    name: String,
    seen: HashSet<String>,
}

impl ReplayQueue {
    /// The queue with this URL, in `region` unless the URL names another one.
    pub fn new(sqs: AwsJsonClient, url: &str, region: &str) -> Self {
        let name = url.rsplit('/').next().unwrap_or_default();
        Self {
            sqs,
            url: url.to_owned(),
            region: find_region(url).unwrap_or(region).to_owned(),
            name: name.to_owned(),
            seen: HashSet::new(),
        }
    }

    /// How a message is named in the report.
    pub(super) fn message_key(&self, message: &Value) -> String {
        let id = message["MessageId"].as_str().unwrap_or_default();
        format!("{}/{id}", self.name)
    }

    /// An ARN for the records, as far as the URL tells it.
    pub(super) fn arn(&self) -> String {
        let account = self.url.rsplit('/').nth(1).unwrap_or_default();
        format!("arn:aws:sqs:{}:{account}:{}", self.region, self.name)
    }

    /// The next messages; none when the queue has been read. No message is returned twice.
    pub(super) async fn receive(&mut self) -> Result<Vec<Value>, AwsJsonError> {
        let input = json!({
            "QueueUrl": self.url, "MaxNumberOfMessages": MESSAGES, "WaitTimeSeconds": 1, "VisibilityTimeout": HIDDEN,
            "AttributeNames": ["All"],
        });
        for _ in 0..EMPTY_RECEIVES {
            let mut answer = self
                .sqs
                .call(&self.region, "ReceiveMessage", &input)
                .await?;
            let messages = answer["Messages"].take();
            let Value::Array(mut messages) = messages else {
                continue;
            };
            messages.retain(|message| {
                let id = message["MessageId"].as_str().unwrap_or_default();
                self.seen.insert(id.to_owned())
            });
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
        Ok(Vec::new())
    }

    /// Deletes a message that succeeded.
    pub(super) async fn delete(&self, message: &Value) -> Result<(), AwsJsonError> {
        let input = json!({"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]});
        let deleted = self.sqs.call(&self.region, "DeleteMessage", &input).await;
        deleted.map(drop)
    }

    /// Lets others see a message again. If that fails, it is seen again when the time is over for which it is hidden.
    pub(super) async fn release(&self, message: &Value) {
        let input = json!({
            "QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0,
        });
        let operation = "ChangeMessageVisibility";
        if let Err(error) = self.sqs.call(&self.region, operation, &input).await {
            tracing::warn!(code = %error.code, "a message stays hidden for up to {HIDDEN} seconds");
        }
    }
}

/// The region in the host of a queue's URL, such as `sqs.eu-west-1.amazonaws.com`.
fn find_region(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let mut parts = host.split('.');
    let (service, region, domain) = (parts.next()?, parts.next()?, parts.next()?);
    (service == "sqs" && domain == "amazonaws").then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_url() {
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dead";
        assert_eq!(find_region(url), Some("eu-west-1"));
        assert_eq!(find_region("http://127.0.0.1:4566/000000000000/dead"), None);
    }
}
