//! An SQS queue, standard or FIFO, and the event source mapping that polls it.
//!
//! A message that was received stays in the queue and is hidden until its visibility timeout ends or it is deleted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Answer, Batch, EventSource, region};
use crate::simulation::dice::Dice;
use crate::simulation::history::MIDNIGHT_MS;

/// How often, per thousand, a message of a standard queue is not hidden when it is received, and so is delivered twice
/// at the same time. AWS says that this happens, but not how often; the same is true of the next number.
const TWICE_AT_ONCE: u64 = 5;
/// How often, per thousand, a message of a standard queue is deleted and delivered once more.
const SURVIVES_DELETION: u64 = 5;
/// A deleted message is delivered again within this time, in milliseconds.
const LATEST_COPY_MS: u64 = 600_000;
/// How many others a message of a standard queue may overtake: usually, and sometimes.
const OVERTAKES: [u64; 2] = [3, 30];

/// The settings of the queue and of its event source mapping.
#[derive(Clone, Debug)]
pub struct QueueRules {
    /// The queue's ARN.
    pub arn: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// `BatchSize`.
    pub batch_size: usize,
    /// `VisibilityTimeout`, in milliseconds.
    pub visibility_ms: u64,
    /// `maxReceiveCount` of the redrive policy.
    pub max_receives: u32,
    /// How many batches may be in flight: `MaximumConcurrency`.
    pub max_in_flight: usize,
}

/// A queue as its event source mapping polls it.
#[derive(Clone, Debug)]
pub struct Queue {
    rules: QueueRules,
    name: &'static str,
    dice: Dice,
    /// In the order in which they were sent, numbered from 1.
    messages: BTreeMap<u64, Message>,
    sent: u64,
    /// How often each body was sent to each group. Together they name a message.
    names: BTreeMap<(String, String), u64>,
    in_flight: BTreeMap<u64, Vec<Receipt>>,
    tickets: u64,
    dead: Vec<String>,
}

#[derive(Clone, Debug)]
struct Message {
    /// Has the form of a UUID.
    id: String,
    group: String,
    body: String,
    sent: u64,
    visible: u64,
    receives: u32,
    first_received: u64,
    /// It was deleted and still exists.
    is_copy: bool,
}

/// One receive of a message, which a receipt handle identifies.
#[derive(Clone, Debug)]
struct Receipt {
    number: u64,
    id: String,
    receive: u32,
    hidden_until: u64,
}

impl Queue {
    /// An empty queue. Its name is part of every draw and of the printed history.
    pub fn new(rules: QueueRules, name: &'static str, dice: Dice) -> Self {
        Self {
            rules,
            name,
            dice,
            messages: BTreeMap::new(),
            sent: 0,
            names: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            tickets: 0,
            dead: Vec::new(),
        }
    }

    /// Sends a message. In a FIFO queue it belongs to a group.
    pub fn send(&mut self, now: u64, group: Option<&str>, body: String) {
        let group = group.unwrap_or_default().to_owned();
        let count = self.names.entry((group.clone(), body.clone())).or_default();
        *count += 1;
        let draw = |half: u8| {
            let name = format!("message {} {group} {body} #{count} {half}", self.name);
            self.dice.draw(name)
        };
        let id = uuid(draw(0), draw(1));
        self.sent += 1;
        let message = Message {
            id,
            group,
            body,
            sent: now,
            visible: now,
            receives: 0,
            first_received: now,
            is_copy: false,
        };
        self.messages.insert(self.sent, message);
    }
}

impl EventSource for Queue {
    /// The next batch that may be delivered now. Messages that were received too often are moved to the dead-letter
    /// queue.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html`: Lambda has several batches in flight, up to
    /// the maximum concurrency.
    fn take(&mut self, now: u64) -> Option<Batch> {
        if self.in_flight.len() >= self.rules.max_in_flight.max(1) {
            return None;
        }
        self.bury(now);
        let available = if self.rules.fifo {
            self.fifo_order(now)
        } else {
            self.best_effort_order(now)
        };
        let most = available.len().min(self.rules.batch_size.max(1));
        let first = &self.messages[available.first()?];
        let draw = format!("{} receive {}", first.id, first.receives + 1);
        // `docs.aws.amazon.com/lambda/latest/dg/with-sqs.html`: without a batching window a batch is the result of one
        // poll, up to `BatchSize`. How many messages a poll returns is drawn.
        let is_all = self.dice.happens(format_args!("all there is {draw}"), 500);
        let count = if is_all {
            most
        } else {
            1 + self.dice.place(format_args!("batch {draw}"), most)
        };
        Some(self.invoke(&available[..count], now))
    }

    /// Processes the answer to a batch.
    ///
    /// `docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html`: messages that succeeded are deleted.
    /// Those in the answer's failures are not, and become visible again when their visibility timeout ends. An error,
    /// or an identifier that is not in the batch, fails the whole batch.
    fn answered(&mut self, now: u64, ticket: u64, answer: Answer) {
        let Some(receipts) = self.in_flight.remove(&ticket) else {
            return;
        };
        let Answer::Failures(failures) = answer else {
            return;
        };
        let is_known = |id: &String| receipts.iter().any(|receipt| receipt.id == *id);
        if !failures.iter().all(is_known) {
            return;
        }
        for receipt in receipts {
            if !failures.contains(&receipt.id) {
                self.delete(&receipt, now);
            }
        }
    }

    /// The earliest time, `now` or later, at which [`take`](Self::take) may return a batch if no answer arrives. If it
    /// has just returned none, that is later than `now`.
    fn next_time(&self, now: u64) -> Option<u64> {
        if self.in_flight.len() >= self.rules.max_in_flight.max(1) {
            return None;
        }
        let messages = self.messages.values();
        let time = if self.rules.fifo {
            let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
            for message in messages {
                let time = groups.entry(&message.group).or_default();
                *time = message.visible.max(*time);
            }
            groups.into_values().min()
        } else {
            messages.map(|message| message.visible).min()
        };
        time.map(|time| time.max(now))
    }

    /// Whether no message is left and nothing is in flight.
    fn is_drained(&self) -> bool {
        self.messages.is_empty() && self.in_flight.is_empty()
    }

    /// How many messages were moved to the dead-letter queue.
    fn given_up(&self) -> usize {
        self.dead.len()
    }
}

/// A new visibility timeout for one delivery of a message.
#[derive(Clone, Debug)]
pub struct VisibilityChange {
    /// The handle of the delivery.
    pub receipt_handle: String,
    /// When it was asked for, in milliseconds of the day.
    pub at: u64,
    /// How long the message is hidden from then on, in milliseconds.
    pub hidden_ms: u64,
}

impl Queue {
    /// Changes for how long a message is hidden, if it is still hidden and this is its last delivery.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html`: the timeout
    /// counts from the call on, and a message that is not in flight cannot be changed.
    pub fn change_visibility(&mut self, change: &VisibilityChange) {
        let dice = self.dice;
        let found = (self.messages.values_mut()).find(|message| {
            message.receives > 0 && message.receipt_handle(dice) == change.receipt_handle
        });
        if let Some(message) = found.filter(|message| message.visible > change.at) {
            message.visible = change.at + change.hidden_ms;
        }
    }

    /// The bodies in the dead-letter queue, in the order in which they were moved there.
    pub fn dead_letter_bodies(&self) -> &[String] {
        &self.dead
    }

    /// Moves messages that would be received more often than the redrive policy allows.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html`: a message is
    /// moved to the dead-letter queue when its receive count exceeds `maxReceiveCount`. In a FIFO queue the later
    /// messages are then delivered without it.
    fn bury(&mut self, now: u64) {
        let blocked = self.blocked(now);
        let is_dead = |message: &Message| {
            message.receives >= self.rules.max_receives
                && message.visible <= now
                && !blocked.contains(&message.group)
        };
        let dead: Vec<u64> = (self.messages.iter())
            .filter(|(_, message)| is_dead(message))
            .map(|(&number, _)| number)
            .collect();
        for number in dead {
            self.dead
                .extend(self.messages.remove(&number).map(|message| message.body));
        }
    }

    /// The groups of a FIFO queue that have a message in flight.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/interleaving-multiple-ordered-message-groups.html`:
    /// while one message of a group is invisible no other of that group can be received, until it is deleted or its
    /// visibility timeout ends.
    fn blocked(&self, now: u64) -> BTreeSet<String> {
        let messages = self.messages.values().filter(|_| self.rules.fifo);
        messages
            .filter(|message| message.visible > now)
            .map(|message| message.group.clone())
            .collect()
    }

    /// The messages that can be received from a FIFO queue, group by group, each group in the order of sending.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html`: as
    /// many as possible of one group first, and groups in no order;
    /// `docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html`: a batch may have several groups.
    fn fifo_order(&self, now: u64) -> Vec<u64> {
        let blocked = self.blocked(now);
        let mut groups: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (&number, message) in &self.messages {
            if !blocked.contains(&message.group) {
                groups.entry(&message.group).or_default().push(number);
            }
        }
        let mut groups: Vec<Vec<u64>> = groups.into_values().collect();
        groups.sort_by_cached_key(|group| self.rank(group[0], group[0]));
        groups.concat()
    }

    /// The messages that can be received from a standard queue, approximately in the order of sending.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html`: best-effort ordering.
    fn best_effort_order(&self, now: u64) -> Vec<u64> {
        let messages = (self.messages.iter()).filter(|(_, message)| message.visible <= now);
        let mut ranked: Vec<(u64, u64)> = (0..)
            .zip(messages)
            .map(|(place, (&number, _))| (self.rank(number, place), number))
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, number)| number).collect()
    }

    /// A position in the order, sometimes moved back by chance.
    fn rank(&self, number: u64, place: u64) -> u64 {
        let message = &self.messages[&number];
        let name = format!("{} receive {}", message.id, message.receives + 1);
        let [rule, exception] = OVERTAKES;
        let most = if self.dice.happens(format_args!("far back {name}"), 50) {
            exception
        } else {
            rule
        };
        place + self.dice.between(format_args!("back {name}"), 0, most + 1)
    }

    fn invoke(&mut self, numbers: &[u64], now: u64) -> Batch {
        let mut records = Vec::new();
        let mut receipts = Vec::new();
        let mut what = vec![self.name.to_owned()];
        for &number in numbers {
            let hidden_until = now + self.visibility(number);
            let Some(message) = self.messages.get_mut(&number) else {
                continue;
            };
            if message.receives == 0 {
                message.first_received = now;
            }
            message.receives += 1;
            message.visible = hidden_until;
            what.push(match message.receives {
                1 => format!("m-{number}"),
                receives => format!("m-{number} (receive {receives})"),
            });
            receipts.push(Receipt {
                number,
                id: message.id.clone(),
                receive: message.receives,
                hidden_until,
            });
            records.push(message.event(number, &self.rules, self.dice));
        }
        self.tickets += 1;
        self.in_flight.insert(self.tickets, receipts);
        Batch {
            ticket: self.tickets,
            what: what.join(" "),
            records: records.len(),
            event: json!({ "Records": records }),
        }
    }

    /// How long a message is hidden from now on, in milliseconds.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html`: for the
    /// visibility timeout, even if the consumer works longer. In a standard queue a second delivery during that time is
    /// still possible (at-least-once delivery, standard-queues.html).
    fn visibility(&self, number: u64) -> u64 {
        let message = &self.messages[&number];
        let draw = format!("twice at once {} {}", message.id, message.receives + 1);
        if !self.rules.fifo && self.dice.happens(draw, TWICE_AT_ONCE) {
            0
        } else {
            self.rules.visibility_ms
        }
    }

    /// Deletes a message by the receipt handle of one receive.
    ///
    /// `docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html`: the latest handle
    /// deletes, an earlier one might not (drawn), and in rare cases a standard queue delivers a message after it was
    /// deleted. In a FIFO queue a handle is invalid once its visibility timeout has ended: `The receipt handle has
    /// expired`, as in github.com/aws/aws-sdk-js/issues/1279.
    fn delete(&mut self, receipt: &Receipt, now: u64) {
        let Some(message) = self.messages.get_mut(&receipt.number) else {
            return;
        };
        let name = format!("{} receive {}", message.id, receipt.receive);
        let is_latest = receipt.receive == message.receives;
        let deletes = if self.rules.fifo {
            is_latest && now < receipt.hidden_until
        } else {
            is_latest || (self.dice).happens(format_args!("earlier handle deletes {name}"), 500)
        };
        if !deletes {
            return;
        }
        let survives = !self.rules.fifo
            && !message.is_copy
            && (self.dice).happens(format_args!("survives deletion {name}"), SURVIVES_DELETION);
        if survives {
            message.is_copy = true;
            let draw = format_args!("survives deletion for {name}");
            message.visible = now + self.dice.between(draw, 0, LATEST_COPY_MS);
        } else {
            self.messages.remove(&receipt.number);
        }
    }
}

impl Message {
    /// The handle of the last delivery.
    fn receipt_handle(&self, dice: Dice) -> String {
        let draw = format!("receipt {} {}", self.id, self.receives);
        format!("AQEB{:016x}", dice.draw(draw))
    }

    /// The message in the event that the function gets, as in the examples of
    /// `docs.aws.amazon.com/lambda/latest/dg/with-sqs.html`.
    fn event(&self, number: u64, rules: &QueueRules, dice: Dice) -> Value {
        let mut attributes = json!({
            "ApproximateReceiveCount": self.receives.to_string(),
            "SentTimestamp": (MIDNIGHT_MS + self.sent).to_string(),
            "ApproximateFirstReceiveTimestamp": (MIDNIGHT_MS + self.first_received).to_string(),
        });
        if !self.group.is_empty() {
            attributes["MessageGroupId"] = json!(self.group);
        }
        if rules.fifo {
            attributes["SequenceNumber"] = json!(format!("188{number:017}"));
        }
        json!({
            "messageId": self.id,
            "receiptHandle": self.receipt_handle(dice),
            "body": self.body,
            "attributes": attributes,
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": rules.arn,
            "awsRegion": region(&rules.arn),
        })
    }
}

/// A text with the form of a random UUID.
fn uuid(high: u64, low: u64) -> String {
    let digits = format!("{high:016x}{low:016x}");
    // The digits at 12 and 16 are the version and the variant.
    let parts = [0..8, 8..12, 13..16, 17..20, 20..32].map(|part| &digits[part]);
    let [time, middle, version, variant, node] = parts;
    format!("{time}-{middle}-4{version}-a{variant}-{node}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::drive::{drive, ids};
    use super::*;

    fn queue(fifo: bool, seed: u64) -> Queue {
        let rules = QueueRules {
            arn: "arn:aws:sqs:us-east-1:1:orders".into(),
            fifo,
            batch_size: 10,
            visibility_ms: 6_000,
            max_receives: 250,
            max_in_flight: 5,
        };
        Queue::new(rules, "orders", Dice::new(seed))
    }

    fn bodies(batch: &Batch) -> Vec<String> {
        let records = batch.event["Records"].as_array().unwrap();
        let body = |record: &Value| record["body"].as_str().unwrap().to_owned();
        records.iter().map(body).collect()
    }

    fn send(queue: &mut Queue, count: u64) {
        for n in 0..count {
            queue.send(n * 50, Some(&format!("g-{}", n % 3)), n.to_string());
        }
    }

    fn well() -> Answer {
        Answer::Failures(Vec::new())
    }

    #[track_caller]
    fn nothing_is_lost(fifo: bool, seed: u64) {
        let dice = Dice::new(seed);
        let mut queue = queue(fifo, seed);
        send(&mut queue, 30);
        let mut done: BTreeMap<String, u32> = BTreeMap::new();
        let mut first: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        drive(&mut queue, |now, batch| {
            let (ids, bodies) = (ids(batch), bodies(batch));
            for body in &bodies {
                let number: u64 = body.parse().unwrap();
                let firsts = first.entry(number % 3).or_default();
                if !firsts.contains(&number) {
                    firsts.push(number);
                }
            }
            let draw = format!("answer {}", batch.ticket);
            let is_early = now < 60_000;
            let runs = dice.between(format_args!("{draw} runs"), 1, 900);
            let is_slow = is_early && dice.happens(format_args!("{draw} slow"), 100);
            let runs = if is_slow { 9_000 } else { runs };
            if is_early && dice.happens(format_args!("{draw} fails"), 300) {
                return (runs, Answer::Failed);
            }
            // A function for FIFO queues must report everything from the first failure of a group on.
            let from = if is_early {
                dice.place(format_args!("{draw} from"), ids.len() + 1)
            } else {
                ids.len()
            };
            for body in &bodies[..from] {
                *done.entry(body.clone()).or_default() += 1;
            }
            (runs, Answer::Failures(ids[from..].to_vec()))
        });
        assert_eq!(done.len(), 30, "seed {seed}");
        assert_eq!(queue.given_up(), 0);
        if fifo {
            assert!(first.values().all(|seen| seen.is_sorted()), "{first:?}");
        }
    }

    #[test]
    fn nothing_is_lost_and_a_group_keeps_its_order() {
        for seed in 0..60 {
            nothing_is_lost(false, seed);
            nothing_is_lost(true, seed);
        }
    }

    #[test]
    fn a_group_in_flight_is_not_overtaken() {
        for seed in 0..60 {
            let mut queue = queue(true, seed);
            send(&mut queue, 12);
            let mut running: Vec<(u64, String)> = Vec::new();
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            drive(&mut queue, |now, batch| {
                running.retain(|(end, _)| *end > now);
                let (ids, mut failures) = (ids(batch), Vec::<String>::new());
                let records = batch.event["Records"].as_array().unwrap();
                let mut groups = Vec::new();
                for (id, record) in ids.iter().zip(records) {
                    let group = &record["attributes"]["MessageGroupId"];
                    let group = &group.as_str().unwrap().to_owned();
                    assert!(running.iter().all(|(_, other)| other != group));
                    let number: u64 = record["body"].as_str().unwrap().parse().unwrap();
                    let again = record["attributes"]["ApproximateReceiveCount"] != "1";
                    let last = last.entry(group.clone()).or_insert(number);
                    assert!(number > *last || again || *last == number);
                    *last = number;
                    let draw = format!("fails {id} {now}");
                    if failures.contains(group) || Dice::new(seed).happens(draw, 300) {
                        failures.push(group.clone());
                    }
                    groups.push(group.clone());
                }
                running.extend(groups.iter().map(|group| (now + 500, group.clone())));
                let failed = ids.into_iter().zip(groups);
                let failed = failed.filter(|(_, group)| failures.contains(group));
                (500, Answer::Failures(failed.map(|(id, _)| id).collect()))
            });
        }
    }

    #[test]
    fn what_failed_in_a_group_comes_before_what_follows_it() {
        let mut queue = queue(true, 1);
        queue.rules.batch_size = 1;
        for body in ["a", "b"] {
            queue.send(0, Some("g"), body.to_owned());
        }
        let first = queue.take(0).unwrap();
        assert_eq!(bodies(&first), ["a"]);
        assert!(queue.take(10).is_none());
        queue.answered(10, first.ticket, Answer::Failures(ids(&first)));
        assert!(queue.take(5_999).is_none());
        assert_eq!(queue.next_time(10), Some(6_000));
        let again = queue.take(6_000).unwrap();
        assert_eq!(again.what, "orders m-1 (receive 2)");
        queue.answered(6_010, again.ticket, well());
        assert_eq!(bodies(&queue.take(6_010).unwrap()), ["b"]);
    }

    #[test]
    fn a_message_that_is_hidden_anew_comes_then_and_its_group_with_it() {
        let mut queue = queue(true, 1);
        for (group, body) in [("g", "a"), ("g", "b"), ("other", "c")] {
            queue.send(0, Some(group), body.to_owned());
        }
        queue.rules.batch_size = 1;
        let first = queue.take(0).unwrap();
        let record = &first.event["Records"][0];
        let group = record["attributes"]["MessageGroupId"].clone();
        let change = |at, hidden_ms| VisibilityChange {
            receipt_handle: record["receiptHandle"].as_str().unwrap().to_owned(),
            at,
            hidden_ms,
        };
        queue.change_visibility(&change(100, 30_000));
        queue.answered(110, first.ticket, Answer::Failures(ids(&first)));
        // The other group goes on.
        let other = queue.take(120).unwrap();
        let of_other = &other.event["Records"][0]["attributes"]["MessageGroupId"];
        assert_ne!(*of_other, group);
        queue.answered(130, other.ticket, well());
        while let Some(more) = queue.take(30_099) {
            assert_ne!(
                more.event["Records"][0]["attributes"]["MessageGroupId"],
                group
            );
            queue.answered(30_099, more.ticket, well());
        }
        let again = queue.take(30_100).unwrap();
        assert_eq!(bodies(&again), bodies(&first));
        // A handle of an earlier delivery changes nothing, and neither does one of a message that is visible again.
        queue.change_visibility(&change(30_200, 0));
        assert_eq!(queue.next_time(30_200), Some(36_100));
    }

    #[test]
    fn the_end_of_the_visibility_timeout_brings_a_second_delivery_at_once() {
        let mut queue = queue(false, 1);
        queue.send(0, None, "a".to_owned());
        let first = queue.take(0).unwrap();
        assert_eq!(queue.next_time(0), Some(6_000));
        let second = queue.take(6_000).unwrap();
        assert_eq!(ids(&first), ids(&second));
        queue.answered(6_010, second.ticket, well());
        queue.answered(6_020, first.ticket, Answer::Failed);
        assert!(queue.is_drained());
    }

    #[test]
    fn a_fifo_handle_that_expired_deletes_nothing() {
        let mut queue = queue(true, 1);
        queue.send(0, Some("g"), "a".to_owned());
        let first = queue.take(0).unwrap();
        queue.answered(6_000, first.ticket, well());
        assert_eq!(bodies(&queue.take(6_000).unwrap()), ["a"]);
    }

    #[test]
    fn what_is_received_too_often_goes_to_the_dead_letters() {
        for fifo in [false, true] {
            let mut queue = queue(fifo, 2);
            queue.rules.max_receives = 3;
            for body in ["bad", "good"] {
                queue.send(0, Some("g"), body.to_owned());
            }
            let mut receives = 0;
            drive(&mut queue, |_, batch| {
                let bad = bodies(batch).iter().position(|body| body == "bad");
                receives += usize::from(bad.is_some());
                let ids = ids(batch);
                (
                    1,
                    Answer::Failures(bad.map(|bad| ids[bad].clone()).into_iter().collect()),
                )
            });
            assert_eq!(receives, 3);
            assert_eq!(queue.dead_letter_bodies(), ["bad"]);
            assert_eq!(queue.given_up(), 1);
        }
    }

    #[test]
    fn an_unknown_identifier_fails_the_batch() {
        let mut queue = queue(false, 1);
        queue.send(0, None, "a".to_owned());
        let first = queue.take(0).unwrap();
        queue.answered(10, first.ticket, Answer::Failures(vec!["m".to_owned()]));
        assert_eq!(queue.next_time(10), Some(6_000));
    }

    #[test]
    fn a_standard_queue_delivers_some_messages_twice_and_some_out_of_order() {
        let (mut twice, mut overtaken) = (0, 0);
        for seed in 0..40 {
            let mut queue = queue(false, seed);
            send(&mut queue, 30);
            let mut seen: Vec<u64> = Vec::new();
            drive(&mut queue, |_, batch| {
                seen.extend(
                    bodies(batch)
                        .iter()
                        .map(|body| body.parse::<u64>().unwrap()),
                );
                (100, well())
            });
            overtaken += usize::from(!seen.is_sorted());
            twice += seen.len() - 30;
        }
        assert!(twice > 0 && overtaken > 0, "{twice} {overtaken}");
    }

    #[test]
    fn the_same_dice_deliver_the_same() {
        let run = |seed| {
            let mut queue = queue(false, seed);
            send(&mut queue, 30);
            let mut events = Vec::new();
            drive(&mut queue, |_, batch| {
                events.push(batch.event.to_string());
                (7, well())
            });
            events
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn message_ids_look_like_uuids() {
        let id = uuid(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        assert_eq!(id, "01234567-89ab-4def-aedc-ba9876543210");
    }
}
