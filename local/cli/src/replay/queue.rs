//! A queue whose messages are replayed: each is hidden while it runs, and deleted when it succeeded.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use shared::aws_json::{AwsJsonClient, AwsJsonError};
use shared::queue_backoff::is_fifo;

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
    /// The receipt handles of the messages that are kept, by their ids: they are hidden until the end.
    kept: HashMap<String, String>,
    held: HeldGroups,
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
            kept: HashMap::new(),
            held: HeldGroups::new(url),
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

    /// The next messages; none when the queue has been read. No message that is kept is returned twice.
    pub(super) async fn receive(&mut self) -> Result<Vec<Value>, AwsJsonError> {
        let input = json!({
            "QueueUrl": self.url, "MaxNumberOfMessages": MESSAGES, "WaitTimeSeconds": 1, "VisibilityTimeout": HIDDEN,
            "AttributeNames": ["All"],
        });
        let mut empty = 0;
        while empty < EMPTY_RECEIVES {
            let mut answer = self
                .sqs
                .call(&self.region, "ReceiveMessage", &input)
                .await?;
            let messages = answer["Messages"].take();
            let Value::Array(mut messages) = messages else {
                empty += 1;
                continue;
            };
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            // Each receive gives a message another handle, and only the last one is sure to be valid.
            messages.retain(|message| {
                let kept = self.kept.insert(read_id(message), read_receipt(message));
                kept.is_none()
            });
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
        Ok(Vec::new())
    }

    /// Deletes a message that succeeded.
    pub(super) async fn delete(&mut self, message: &Value) -> Result<(), AwsJsonError> {
        let input = json!({"QueueUrl": self.url, "ReceiptHandle": read_receipt(message)});
        let deleted = self.sqs.call(&self.region, "DeleteMessage", &input).await;
        deleted?;
        self.kept.remove(&read_id(message));
        Ok(())
    }

    /// Notes that a message stays in the queue: what is behind it in its group has to wait.
    pub(super) fn hold_group(&mut self, message: &Value) {
        self.held.hold(message);
    }

    /// Whether a message of its group that stays is before it.
    pub(super) fn is_held(&self, message: &Value) -> bool {
        self.held.has(message)
    }

    /// Lets others see the messages again that are kept. Where that fails, they are seen again when the time is over for
    /// which they are hidden.
    pub(super) async fn release_kept(&mut self) {
        for (_, receipt) in self.kept.drain() {
            let input =
                json!({"QueueUrl": self.url, "ReceiptHandle": receipt, "VisibilityTimeout": 0});
            let operation = "ChangeMessageVisibility";
            if let Err(error) = self.sqs.call(&self.region, operation, &input).await {
                tracing::warn!(code = %error.code, "a message stays hidden for up to {HIDDEN} seconds");
            }
        }
    }
}

/// The groups of a FIFO queue of which a message stays. A queue that is not FIFO may have groups, too, but no order.
#[derive(Debug)]
struct HeldGroups {
    is_fifo: bool,
    groups: HashSet<String>,
}

impl HeldGroups {
    fn new(url: &str) -> Self {
        Self {
            is_fifo: is_fifo(url),
            groups: HashSet::new(),
        }
    }

    fn hold(&mut self, message: &Value) {
        if self.is_fifo {
            self.groups.extend(find_group(message).map(str::to_owned));
        }
    }

    fn has(&self, message: &Value) -> bool {
        find_group(message).is_some_and(|group| self.groups.contains(group))
    }
}

fn find_group(message: &Value) -> Option<&str> {
    message["Attributes"]["MessageGroupId"].as_str()
}

fn read_id(message: &Value) -> String {
    let id = message["MessageId"].as_str();
    id.unwrap_or_default().to_owned()
}

fn read_receipt(message: &Value) -> String {
    let receipt = message["ReceiptHandle"].as_str();
    receipt.unwrap_or_default().to_owned()
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

    #[test]
    fn a_group_of_a_fifo_queue_waits_behind_a_message_that_stays() {
        let message = |group: &str| json!({"Attributes": {"MessageGroupId": group}});
        let cases = [
            ("dead.fifo", "a", true),
            ("dead.fifo", "b", false),
            ("dead", "a", false),
        ];
        for (name, group, want) in cases {
            let mut held = HeldGroups::new(&format!("http://127.0.0.1:4566/000000000000/{name}"));
            assert!(!held.has(&message("a")), "{name}");
            held.hold(&message("a"));
            held.hold(&json!({}));
            assert_eq!(held.has(&message(group)), want, "{name} {group}");
            assert!(!held.has(&json!({})), "{name}");
        }
    }
}
