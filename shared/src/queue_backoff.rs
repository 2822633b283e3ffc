//! A message that a queue delivers again stays hidden for longer each time.
//!
//! Without this, a message that failed comes back when the visibility time-out of its queue ends: too late after a single
//! throttled call, and too often during an outage of hours. The delay doubles with each delivery up to a limit, and a part of
//! it depends on the message, so that messages that failed together do not all come back together.
//!
//! It is best effort: a message whose time-out could not be changed comes back when that of the queue ends.
//! `template.yaml` and `fraudstream doctor` count on the shorter of both.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aws_config::SdkConfig;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::aws_json::AwsJsonClient;
use crate::batch::{BatchResponse, run_until};

/// The longest delay after the first delivery, in seconds; it doubles with each delivery.
const FIRST_DELAY: u64 = 30;
/// The longest delay of all, in seconds. Half of it, the shortest that is drawn then, is six time-outs of a function.
const LONGEST_DELAY: u64 = 720;
/// The most messages in one call.
const ENTRIES: usize = 10;
/// How many calls are made at the same time.
const CALLS: usize = 4;

/// One delivery of a message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDelivery {
    /// The ARN of the queue.
    pub queue_arn: String,
    /// The id of the message, by which the response to Lambda names it.
    pub message_id: String,
    /// The handle of this delivery.
    pub receipt_handle: String,
    /// How often the message was delivered, this time included.
    pub receives: u32,
    /// The message group, if the queue is a FIFO queue.
    pub group: Option<String>,
}

impl QueueDelivery {
    /// The deliveries in the event of an invocation; empty if it is no batch of a queue.
    pub fn read_all(event: &Value) -> Vec<Self> {
        let records = event["Records"].as_array();
        let records = records.map(Vec::as_slice).unwrap_or_default();
        records.iter().filter_map(Self::read).collect()
    }

    fn read(record: &Value) -> Option<Self> {
        if record["eventSource"] != "aws:sqs" {
            return None;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let queue_arn = text(&record["eventSourceARN"])?;
        let attributes = &record["attributes"];
        let receives = attributes["ApproximateReceiveCount"].as_str();
        Some(Self {
            message_id: text(&record["messageId"])?,
            receipt_handle: text(&record["receiptHandle"])?,
            receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
            group: text(&attributes["MessageGroupId"]).filter(|_| is_fifo(&queue_arn)),
            queue_arn,
        })
    }
}

/// Whether the ARN or the URL of a queue is that of a FIFO queue: its name, and no other, ends like this.
pub fn is_fifo(queue: &str) -> bool {
    queue.rsplit_once('.').is_some_and(|(_, end)| end == "fifo")
}

/// The response of a function, as far as it names messages that failed.
pub trait NamesFailures {
    /// The response to a batch; `None` if the invocation was no batch.
    fn batch_response(&self) -> Option<&BatchResponse>;
}

impl NamesFailures for BatchResponse {
    fn batch_response(&self) -> Option<&BatchResponse> {
        Some(self)
    }
}

/// The deliveries that failed according to the response; all of them if the invocation failed as a whole.
pub fn select_failed(
    deliveries: Vec<QueueDelivery>,
    response: Option<&impl NamesFailures>,
) -> Vec<QueueDelivery> {
    let Some(response) = response else {
        return deliveries;
    };
    let items = response.batch_response().into_iter();
    let items = items.flat_map(|response| &response.batch_item_failures);
    let failed: HashSet<&str> = items.map(|item| item.item_identifier.as_str()).collect();
    let mut deliveries = deliveries;
    deliveries.retain(|delivery| failed.contains(delivery.message_id.as_str()));
    deliveries
}

/// The shortest and the longest delay after a message was delivered `receives` times, in seconds.
fn find_delays(receives: u32) -> (u64, u64) {
    let doublings = receives.saturating_sub(1).min(16);
    let longest = (FIRST_DELAY << doublings).min(LONGEST_DELAY);
    (longest / 2, longest)
}

/// The delay of a message, or of all messages of a group, that was delivered `receives` times, in seconds: between half of
/// the longest delay and all of it. The same name and number give the same delay.
fn choose_delay(name: &str, receives: u32) -> u64 {
    let (shortest, longest) = find_delays(receives);
    let mut hasher = DefaultHasher::new();
    (name, receives).hash(&mut hasher);
    shortest + hasher.finish() % (longest - shortest + 1)
}

/// The least time in seconds that `attempts` deliveries of a message take in a queue with this visibility time-out,
/// whether the time-outs of the messages can be changed or not.
pub fn shortest_attempts(visibility: u64, attempts: u32) -> u64 {
    let delays = (1..=attempts).map(|receives| find_delays(receives).0.min(visibility));
    delays.fold(0, u64::saturating_add)
}

/// The most time in seconds that `attempts` deliveries of a message take in a queue with this visibility time-out.
pub fn longest_attempts(visibility: u64, attempts: u32) -> u64 {
    let delays = (1..=attempts).map(|receives| find_delays(receives).1.max(visibility));
    delays.fold(0, u64::saturating_add)
}

/// Changes the visibility time-outs of messages that failed.
#[derive(Clone, Debug)]
pub struct QueueBackoff {
    sqs: AwsJsonClient,
}

impl QueueBackoff {
    /// With the clients' configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            sqs: AwsJsonClient::sqs(config),
        }
    }

    /// Hides the messages of these deliveries for longer, as far as that can be done until `end`.
    pub async fn hide_longer(&self, failed: Vec<QueueDelivery>, end: Option<Instant>) {
        if failed.is_empty() {
            return;
        }
        let calls = plan_calls(failed);
        let count = calls.len();
        let all = stream::iter(calls).for_each_concurrent(CALLS, |call| self.change(call));
        if run_until(end, all).await.is_none() {
            tracing::warn!(
                calls = count,
                "there was no time to hide all failed messages for longer"
            );
        }
    }

    async fn change(&self, call: VisibilityCall) {
        let operation = "ChangeMessageVisibilityBatch";
        let called = self.sqs.call(&call.region, operation, &call.input).await;
        match called {
            Ok(answer) => {
                let failed = answer["Failed"].as_array().map_or(0, Vec::len);
                if failed > 0 {
                    tracing::warn!(failed, "messages could not be hidden for longer");
                }
            }
            Err(error) => {
                tracing::warn!(code = %error.code, "messages could not be hidden for longer");
            }
        }
    }
}

/// A call of `ChangeMessageVisibilityBatch`.
#[derive(Debug, PartialEq)]
struct VisibilityCall {
    region: String,
    input: Value,
}

/// The messages of a FIFO group get the same delay: while one of them is hidden, no other of the group is delivered.
fn plan_calls(failed: Vec<QueueDelivery>) -> Vec<VisibilityCall> {
    let mut groups: HashMap<(String, String), u32> = HashMap::new();
    for delivery in &failed {
        if let Some(group) = &delivery.group {
            let key = (delivery.queue_arn.clone(), group.clone());
            let receives = groups.entry(key).or_default();
            *receives = delivery.receives.max(*receives);
        }
    }
    let mut queues: Vec<(String, Vec<Value>)> = Vec::new();
    for delivery in failed {
        let delay = match &delivery.group {
            None => choose_delay(&delivery.message_id, delivery.receives),
            Some(group) => {
                let key = (delivery.queue_arn.clone(), group.clone());
                choose_delay(group, groups.get(&key).copied().unwrap_or(1))
            }
        };
        let place = queues
            .iter()
            .position(|(arn, _)| *arn == delivery.queue_arn);
        let place = place.unwrap_or_else(|| {
            queues.push((delivery.queue_arn.clone(), Vec::new()));
            queues.len() - 1
        });
        queues[place].1.push(json!({
            "ReceiptHandle": delivery.receipt_handle,
            "VisibilityTimeout": delay,
        }));
    }
    let calls = queues.iter().filter_map(|(arn, entries)| {
        let (region, url) = find_queue(arn)?;
        Some(entries.chunks(ENTRIES).map(move |entries| VisibilityCall {
            region: region.clone(),
            input: json!({"QueueUrl": url, "Entries": number_entries(entries)}),
        }))
    });
    calls.flatten().collect()
}

/// Each entry has an id of its own in its call.
fn number_entries(entries: &[Value]) -> Vec<Value> {
    let numbered = entries.iter().enumerate().map(|(number, entry)| {
        let mut entry = entry.clone();
        entry["Id"] = json!(number.to_string());
        entry
    });
    numbered.collect()
}

/// The region and the URL of a queue; `None` if the text is no ARN of a queue.
pub fn find_queue(arn: &str) -> Option<(String, String)> {
    let mut parts = arn.split(':').skip(2);
    let (service, region, account, name) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let url = format!("https://sqs.{region}.amazonaws.com{suffix}/{account}/{name}");
    (service == "sqs" && parts.next().is_none()).then(|| (region.to_owned(), url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::ItemFailure;

    const DAY: u64 = 86_400;
    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";

    fn delivery(arn: &str, id: &str, receives: u32, group: Option<&str>) -> QueueDelivery {
        QueueDelivery {
            queue_arn: arn.to_owned(),
            message_id: id.to_owned(),
            receipt_handle: format!("handle of {id}"),
            receives,
            group: group.map(str::to_owned),
        }
    }

    #[test]
    fn deliveries_are_read_from_batches_of_queues_only() {
        let event = json!({"Records": [
            {"eventSource": "aws:sqs", "eventSourceARN": QUEUE, "messageId": "m-1", "receiptHandle": "r-1", "body": "x",
             "attributes": {"ApproximateReceiveCount": "3", "MessageGroupId": "fair"}},
            {"eventSource": "aws:sqs", "eventSourceARN": format!("{QUEUE}.fifo"), "messageId": "m-2", "receiptHandle": "r-2",
             "attributes": {"ApproximateReceiveCount": "many", "MessageGroupId": "g"}},
            {"eventSource": "aws:sqs", "eventSourceARN": QUEUE, "messageId": "without a handle"},
            {"eventSource": "aws:kinesis", "eventSourceARN": "arn", "messageId": "m", "receiptHandle": "r"},
        ]});
        let read = QueueDelivery::read_all(&event);
        // The groups of a standard queue share its capacity and keep no order.
        let of_first = (
            read[0].message_id.as_str(),
            read[0].receives,
            &read[0].group,
        );
        assert_eq!(of_first, ("m-1", 3, &None));
        let of_second = (
            read[1].receipt_handle.as_str(),
            read[1].receives,
            read[1].group.as_deref(),
        );
        assert_eq!(of_second, ("r-2", 1, Some("g")));
        assert_eq!(read.len(), 2);
        assert_eq!(QueueDelivery::read_all(&json!({"order_id": "1"})), []);
    }

    #[test]
    fn only_what_failed_is_hidden_and_all_of_it_if_the_invocation_failed() {
        let all = || vec![delivery(QUEUE, "a", 1, None), delivery(QUEUE, "b", 1, None)];
        let ids = |failed: Vec<QueueDelivery>| {
            let ids = failed.into_iter().map(|it| it.message_id);
            ids.collect::<Vec<_>>().join(" ")
        };
        let failed = BatchResponse {
            batch_item_failures: vec![ItemFailure {
                item_identifier: "b".to_owned(),
            }],
        };
        assert_eq!(ids(select_failed(all(), Some(&failed))), "b");
        assert_eq!(
            ids(select_failed(all(), Some(&BatchResponse::default()))),
            ""
        );
        assert_eq!(ids(select_failed(all(), None::<&BatchResponse>)), "a b");
    }

    #[test]
    fn delays_double_up_to_a_limit_and_differ_between_messages() {
        let want = [
            (1, 15, 30),
            (2, 30, 60),
            (5, 240, 480),
            (6, 360, 720),
            (250, 360, 720),
        ];
        for (receives, shortest, longest) in want {
            let delays: HashSet<u64> = (0..500)
                .map(|message| choose_delay(&format!("m-{message}"), receives))
                .collect();
            assert!(
                delays.iter().all(|it| (shortest..=longest).contains(it)),
                "{receives}"
            );
            // A spread, from about one end to the other.
            assert!(delays.len() > 10, "{receives}: {delays:?}");
            let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
            assert!(
                *most - *least >= (longest - shortest) * 9 / 10,
                "{receives}"
            );
        }
        assert_eq!(choose_delay("m", 7), choose_delay("m", 7));
        assert_eq!(find_delays(0), (15, 30));
        assert_eq!(find_delays(u32::MAX), (360, 720));
    }

    #[test]
    fn the_attempts_of_the_template_outlast_a_day_and_end_before_the_message_is_deleted() {
        let template = include_str!("../../template.yaml");
        let numbers = |name: &str| {
            let setting = format!("{name}: ");
            let found = template.split(&setting).skip(1).map(|rest| {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<u32>().unwrap()
            });
            found.collect::<HashSet<u32>>()
        };
        let (attempts, visibility) = (numbers("maxReceiveCount"), numbers("VisibilityTimeout"));
        assert_eq!((attempts.len(), visibility.len()), (1, 1));
        let attempts = *attempts.iter().next().unwrap();
        let visibility = u64::from(*visibility.iter().next().unwrap());
        // 15 + 30 + 60 + 120 + 240 and 245 × 360 seconds.
        let shortest = shortest_attempts(visibility, attempts);
        assert_eq!(shortest, 88_665);
        assert!(shortest > DAY);
        let longest = longest_attempts(visibility, attempts);
        let kept = numbers("MessageRetentionPeriod");
        let kept = u64::from(*kept.iter().min().unwrap());
        assert!(longest < kept, "{longest} of {kept}");
    }

    #[test]
    fn a_call_has_up_to_ten_messages_and_a_group_one_delay() {
        let failed: Vec<QueueDelivery> = (0..12)
            .map(|n| delivery(QUEUE, &format!("m-{n}"), 1, None))
            .collect();
        let calls = plan_calls(failed);
        let lengths: Vec<usize> = calls
            .iter()
            .map(|call| call.input["Entries"].as_array().unwrap().len())
            .collect();
        assert_eq!(lengths, [10, 2]);
        assert_eq!(calls[1].region, "eu-west-1");
        assert_eq!(
            calls[1].input["QueueUrl"],
            "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"
        );
        assert_eq!(calls[1].input["Entries"][1]["Id"], "1");
        assert_eq!(
            calls[1].input["Entries"][1]["ReceiptHandle"],
            "handle of m-11"
        );

        let fifo = format!("{QUEUE}.fifo");
        // The first message failed five times; those behind it were not processed and have come as often or less.
        let failed = vec![
            delivery(&fifo, "1", 5, Some("g")),
            delivery(&fifo, "2", 2, Some("g")),
            delivery(&fifo, "3", 1, Some("other")),
        ];
        let calls = plan_calls(failed);
        let delay = |place: usize| calls[0].input["Entries"][place]["VisibilityTimeout"].as_u64();
        assert_eq!(delay(0), delay(1));
        assert!(delay(0) >= Some(240) && delay(2) <= Some(30));
        assert_eq!(plan_calls(vec![delivery("no arn", "1", 1, None)]), []);
    }
}
