//! The day of a shop: orders, history and labels, with their times and their expected results.

mod order;

use std::collections::BTreeMap;
use std::io::Write as _;

use aws_sdk_frauddetector::types::DataType;
use serde_json::{Value, json};

use super::delivery::kpl::aggregate;
use super::dice::Dice;
use super::history::time_of_day;
use super::scenario::{Disturbance, Scenario};
use crate::sample;
use order::OrderOfDay;

/// When the last record of the day is sent, in milliseconds.
pub const EVENING: u64 = 20 * HOUR;
const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;
/// How long the Kinesis Producer Library waits for more records, in milliseconds.
const LONGEST_WAIT: u64 = 500;

/// Where a record is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Orders on a Kinesis stream.
    Orders,
    /// Orders in a standard queue.
    OrderQueue,
    /// Orders in a FIFO queue.
    OrderFifo,
    /// An order in a direct invocation by a checkout, which waits for the answer.
    Checkout,
    /// History on a Kinesis stream.
    History,
    /// History in a standard queue.
    HistoryQueue,
    /// Chargebacks and other labels in a standard queue.
    Chargebacks,
    /// The stream of the decisions table. Its records are changes that the functions themselves write.
    Decisions,
}

/// The expected result of a record that `predict`, `ingest` or `label` gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It succeeds.
    Succeeds,
    /// It is parked, with one of these classes.
    Parked(&'static [&'static str]),
    /// Of two orders with one id, the one that comes first is decided, and the other is parked.
    DecidedOrParked,
}

/// A record that is sent.
#[derive(Clone, Debug)]
pub struct Input {
    /// When it is sent, in milliseconds of the day.
    pub at: u64,
    /// Where it is sent.
    pub source: Source,
    /// The order that it belongs to.
    pub order: usize,
    /// A description for the printed history.
    pub what: String,
    /// The partition key or message group.
    pub key: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// Its expected result.
    pub end: End,
    /// For an order, the index of its version in [`EventPlan::versions`].
    pub version: Option<usize>,
    /// Whether it gives its order a label.
    pub gives_label: bool,
    /// Whether it was sent before, with the same bytes.
    pub is_again: bool,
}

/// A record as it is sent: with one input, or an aggregate of several.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When it is sent, in milliseconds of the day.
    pub at: u64,
    /// Where it is sent.
    pub source: Source,
    /// The partition key or message group.
    pub key: String,
    /// The inputs in it.
    pub inputs: Vec<Input>,
}

impl Source {
    /// Whether orders to be decided are sent here.
    pub fn is_of_orders(self) -> bool {
        matches!(
            self,
            Self::Orders | Self::OrderQueue | Self::OrderFifo | Self::Checkout
        )
    }
}

impl Sent {
    /// Its bytes.
    pub fn payload(&self) -> Vec<u8> {
        match self.inputs.as_slice() {
            [one] => one.payload.clone(),
            several => {
                let parts = several
                    .iter()
                    .map(|it| (it.key.as_str(), it.payload.as_slice()));
                aggregate(&parts.collect::<Vec<_>>())
            }
        }
    }

    /// A description for the printed history.
    pub fn what(&self) -> String {
        let names: Vec<&str> = self
            .inputs
            .iter()
            .map(|input| input.what.as_str())
            .collect();
        names.join(", ")
    }
}

/// One version of an order.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its revision, from 1.
    pub revision: u64,
    /// The `total` in the order; `None` if it is not a number.
    pub price: Option<f64>,
    /// The number of items.
    pub items: u64,
    /// The order as it is sent, before it is packed.
    pub order: Value,
}

/// A label message about an order.
#[derive(Clone, Debug)]
pub struct Message {
    /// The label that it gives.
    pub label: Option<&'static str>,
    /// The rank of its source.
    pub rank: u32,
    /// The label time, as text.
    pub time: String,
    /// Kind, code and source; together with the time they identify a message.
    pub what: String,
}

/// The expected state of an event at the end of the day.
#[derive(Clone, Debug, Default)]
pub struct EventPlan {
    /// The customer's e-mail address, which must not be in any log.
    pub email: String,
    /// The versions that must be decided. There are several of one revision if their contents differ.
    pub versions: Vec<Version>,
    /// The order in history, if history has it.
    pub history: Option<Value>,
    /// An order in history that the service refuses.
    pub refused: Option<Value>,
    /// The label in the history record.
    pub own_label: Option<&'static str>,
    /// The messages with a valid time.
    pub messages: Vec<Message>,
}

impl EventPlan {
    /// The label that counts: the one with the highest rank, then the newest. Messages count before the label in the
    /// history record.
    pub fn label(&self) -> Option<&'static str> {
        let given = self
            .messages
            .iter()
            .filter(|message| message.label.is_some());
        given
            .max_by(|a, b| (a.rank, &a.time).cmp(&(b.rank, &b.time)))
            .and_then(|message| message.label)
    }
}

/// The changes during the day, with their times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Version 2 of the detector becomes active.
    pub version: u64,
    /// An address is added to the list.
    pub list: u64,
    /// The functions are deployed with another mapping.
    pub mapping: u64,
    /// One shard of each of two streams is split.
    pub shards: u64,
}

/// A day.
#[derive(Clone, Debug)]
pub struct Day {
    /// The inputs in the order in which they are sent.
    pub inputs: Vec<Input>,
    /// The records that contain them.
    pub records: Vec<Sent>,
    /// The expected events by event id.
    pub events: BTreeMap<String, EventPlan>,
    /// The changes during the day; `None` on a calm day.
    pub changes: Option<Changes>,
    /// The address that is added to the list.
    pub listed: Option<String>,
}

impl Day {
    /// Makes the day of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let mut day = Self {
            inputs: Vec::new(),
            records: Vec::new(),
            events: BTreeMap::new(),
            changes: None,
            listed: None,
        };
        let dice = scenario.dice();
        for order in (0..scenario.orders).filter(|order| scenario.has_order(*order)) {
            OrderOfDay::new(scenario, order).add_to(&mut day);
        }
        day.send_some_twice(dice);
        day.inputs.sort_by_key(|input| (input.at, input.order));
        day.records = in_records(dice, &day.inputs);
        if scenario.has(Disturbance::Changes) {
            let at = |what: &str| dice.between(format_args!("change of the {what}"), HOUR, EVENING);
            day.changes = Some(Changes {
                version: at("version"),
                list: at("list"),
                mapping: at("mapping"),
                shards: at("shards"),
            });
            let emails: Vec<&String> = day.events.values().map(|event| &event.email).collect();
            if !emails.is_empty() {
                let place = dice.place("listed", emails.len());
                day.listed = Some(emails[place].clone());
            }
        }
        day
    }

    /// A producer that gets no answer sends the same bytes again in another record
    /// (docs.aws.amazon.com/streams/latest/dev/kinesis-record-processor-duplicates.html).
    fn send_some_twice(&mut self, dice: Dice) {
        let again = |input: &Input| {
            let name = format!("{} of {:?}", input.what, input.source);
            let is_sent_again = dice.happens(format_args!("again {name}"), 40);
            is_sent_again.then(|| Input {
                at: input.at + dice.between(format_args!("again after {name}"), 0, 5 * MINUTE),
                what: format!("{} again", input.what),
                is_again: true,
                ..input.clone()
            })
        };
        let again: Vec<Input> = self.inputs.iter().filter_map(again).collect();
        self.inputs.extend(again);
    }
}

/// What is counted, and by which key. The device has more orders than a profile keeps whole.
const AGGREGATES: &str = "
aggregates:
  keys:
    card: /payment/card
    device: /client/device
    account: /customer/id
    email: {from: /customer/email, as: email}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_amount_1d: {sum: {of: order_price, by: card, within: 1d}}
    card_emails_1d: {distinct: {of: email, by: card, within: 1d}}
    card_fraud_30d: {fraud: {by: card, within: 30d}}
    device_orders_1d: {count: {by: device, within: 1d}}
    device_orders_5m: {count: {by: device, within: 5m}}
    account_orders_1d: {count: {by: account, within: 1d}}
    account_fraud_30d: {fraud: {by: account, within: 30d}}
";

/// The variables of the aggregates, with their types.
pub const VELOCITY_VARIABLES: [(&str, DataType); 8] = [
    ("card_orders_1d", DataType::Integer),
    ("card_amount_1d", DataType::Float),
    ("card_emails_1d", DataType::Integer),
    ("card_fraud_30d", DataType::Integer),
    ("device_orders_1d", DataType::Integer),
    ("device_orders_5m", DataType::Integer),
    ("account_orders_1d", DataType::Integer),
    ("account_fraud_30d", DataType::Integer),
];

/// The mapping of a deployment. From the second deployment on, an order without a matching rule is challenged, and two
/// rules outrank the others.
pub fn mapping_of(deployment: u32) -> String {
    let mapping = format!("{}{AGGREGATES}", sample::MAPPING);
    if deployment == 0 {
        return mapping;
    }
    mapping.replace(
        "on_no_match: [approve]",
        "on_no_match: [challenge]\n  overrides: {block: [blocked_email], allow: [many_items]}",
    )
}

/// A time of the day, or before it, as ISO 8601 with whole seconds.
fn time(ms: i64) -> String {
    time_of_day(ms / 1000 * 1000).to_string()
}

fn gzip(payload: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(payload);
    encoder.finish().unwrap_or_default()
}

fn sns(payload: &[u8]) -> Vec<u8> {
    let envelope = json!({
        "Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:123456789012:orders",
        "Message": String::from_utf8_lossy(payload),
    });
    envelope.to_string().into_bytes()
}

/// The records that contain the inputs. Some orders on the stream are sent together in aggregates, as by the Kinesis
/// Producer Library, which waits a moment for more.
fn in_records(dice: Dice, inputs: &[Input]) -> Vec<Sent> {
    let mut records: Vec<Sent> = Vec::new();
    for input in inputs {
        let joins = |last: &Sent| {
            last.source == Source::Orders
                && input.source == Source::Orders
                && last.inputs.len() < 6
                && input.at - last.at < LONGEST_WAIT
                && dice.happens(format_args!("{} joins an aggregate", input.what), 400)
        };
        match records.last_mut() {
            Some(last) if joins(last) => {
                last.at = input.at;
                last.inputs.push(input.clone());
            }
            _ => records.push(Sent {
                at: input.at,
                source: input.source,
                key: input.key.clone(),
                inputs: vec![input.clone()],
            }),
        }
    }
    records.sort_by_key(|record| record.at);
    records
}
