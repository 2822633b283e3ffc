//! The day of a shop: orders, history and labels, with their times and their expected results.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use super::delivery::kpl::aggregate;
use super::dice::Dice;
use super::history::time_of_day;
use super::scenario::{Disturbance, Scenario};
use crate::sample;

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
    /// Whether history contains the event.
    pub is_history: bool,
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

/// One generated order, with everything that belongs to it.
struct OrderOfDay {
    dice: Dice,
    is_calm: bool,
    order: usize,
    id: String,
    email: String,
    at: u64,
}

impl OrderOfDay {
    fn new(scenario: &Scenario, order: usize) -> Self {
        let dice = scenario.dice();
        // Half of the orders are spread over the day, the other half come in a few rushes.
        let rush = dice.between(format_args!("rush of {order}"), 0, 4);
        let name = format!("time of {order}");
        let at = if dice.happens(format_args!("{order} is in a rush"), 650) {
            let begin = dice.between(format_args!("rush {rush}"), HOUR, EVENING - HOUR);
            begin + dice.between(name, 0, 1_500)
        } else {
            dice.between(name, HOUR, EVENING - HOUR)
        };
        Self {
            dice,
            is_calm: scenario.is_calm(),
            order,
            id: format!("ord-{order:06}"),
            email: format!("sentinel-{order:06}@example.com"),
            at,
        }
    }

    fn chance(&self, what: &str, per_mille: u64) -> bool {
        self.dice
            .happens(format_args!("{what} of {}", self.order), per_mille)
    }

    fn between(&self, what: &str, least: u64, end: u64) -> u64 {
        self.dice
            .between(format_args!("{what} of {}", self.order), least, end)
    }

    fn add_to(&self, day: &mut Day) {
        let mut plan = EventPlan {
            email: self.email.clone(),
            ..EventPlan::default()
        };
        match self.between("kind", 0, 100) {
            0..=7 => self.add_poison(day),
            8..=17 => self.add_history(day, &mut plan),
            18..=19 => {}
            20..=27 => {
                self.add_version(day, &mut plan, 1, 0, &End::Succeeds);
                self.add_version(
                    day,
                    &mut plan,
                    2,
                    self.between("edited", 1_000, 3 * HOUR),
                    &End::Succeeds,
                );
            }
            28..=30 if !self.is_calm => {
                let end = End::DecidedOrParked;
                self.add_version(day, &mut plan, 1, 0, &end);
                self.add_version(day, &mut plan, 1, self.between("changed", 0, HOUR), &end);
            }
            31..=36 => {
                self.add_version(day, &mut plan, 1, 0, &End::Succeeds);
                self.add_history(day, &mut plan);
            }
            _ => self.add_version(day, &mut plan, 1, 0, &End::Succeeds),
        }
        if self.chance("labelled", 450) {
            self.add_labels(day, &mut plan);
        }
        day.events.insert(self.id.clone(), plan);
    }

    fn created_at(&self) -> String {
        time(i64::try_from(self.at).unwrap_or(0) - 60_000)
    }

    fn json(&self, version: &Version) -> Value {
        let total = version
            .price
            .map_or("a lot".to_owned(), |price| format!("{price:.2}"));
        json!({
            "order_id": self.id, "revision": version.revision, "created_at": self.created_at(),
            "customer": {"id": format!("cust-{}", self.order % 40), "email": self.email},
            "total": total, "items": [{"quantity": version.items}],
        })
    }

    fn version(&self, revision: u64, number: usize) -> Version {
        let name = format!("price {revision} {number}");
        let price = match self.between(&format!("range of {name}"), 0, 10) {
            0 => self.between(&name, 501_000, 900_000),
            1 | 2 => self.between(&name, 100_100, 500_000),
            3 | 4 => self.between(&name, 50_100, 100_000),
            _ => self.between(&name, 100, 50_000),
        };
        let is_broken = self.chance(&format!("broken {name}"), 40);
        #[expect(clippy::cast_precision_loss, reason = "prices are small")]
        let price = price as f64 / 100.0;
        Version {
            revision,
            price: (!is_broken).then_some(price),
            items: self.between(&format!("items {revision} {number}"), 1, 28),
        }
    }

    fn add_version(
        &self,
        day: &mut Day,
        plan: &mut EventPlan,
        revision: u64,
        after: u64,
        end: &End,
    ) {
        let version = self.version(revision, plan.versions.len());
        let payload = self.json(&version).to_string().into_bytes();
        let at = self.at + after;
        plan.versions.push(version);
        let source = match self.between("source", 0, 20) {
            13..=15 => Source::OrderQueue,
            16..=17 => Source::OrderFifo,
            // A checkout whose id belongs to another order gets the reason as its answer, and nothing is parked.
            18 | 19 if *end == End::Succeeds => Source::Checkout,
            _ => Source::Orders,
        };
        let payload = match source {
            Source::Orders if self.chance("gzip", 100) => gzip(&payload),
            Source::OrderQueue if self.chance("sns", 200) => sns(&payload),
            _ => payload,
        };
        let number = plan.versions.len();
        day.inputs.push(Input {
            at,
            source,
            order: self.order,
            what: format!("{} revision {revision} ({number})", self.id),
            key: self.key(source),
            payload,
            end: end.clone(),
            version: Some(number - 1),
            gives_label: false,
            is_again: false,
        });
    }

    fn key(&self, source: Source) -> String {
        match source {
            Source::OrderFifo => format!("group-{}", self.order % 7),
            _ => self.id.clone(),
        }
    }

    fn history_source(&self) -> Source {
        if self.chance("history in a queue", 500) {
            Source::HistoryQueue
        } else {
            Source::History
        }
    }

    fn add_poison(&self, day: &mut Day) {
        let version = self.version(1, 0);
        let mut order = self.json(&version);
        let (payload, classes): (Vec<u8>, &'static [&'static str]) =
            match self.between("poison", 0, 9) {
                0 => (
                    format!("{{\"order_id\": \"{}\", ", self.id).into_bytes(),
                    &["not-json"],
                ),
                1 => {
                    order["created_at"] = json!("yesterday");
                    (order.to_string().into_bytes(), &["bad-timestamp"])
                }
                2 => {
                    order["order_id"] = Value::Null;
                    (order.to_string().into_bytes(), &["missing-member"])
                }
                // The detector's event type does not have this label, so the service rejects it.
                3..=7 => {
                    order["label"] = json!("spam");
                    order["label_timestamp"] = json!(self.created_at());
                    (order.to_string().into_bytes(), &["refused"])
                }
                // A list whose element is a text, which is opened in turn and is no JSON.
                _ => (format!("[\"{}\"]", self.id).into_bytes(), &["not-json"]),
            };
        let source = match classes {
            ["refused"] => self.history_source(),
            _ if self.chance("in a queue", 400) => Source::OrderQueue,
            _ => Source::Orders,
        };
        day.inputs.push(Input {
            at: self.at,
            source,
            order: self.order,
            what: format!("{} as poison", self.id),
            key: self.key(source),
            payload,
            end: End::Parked(classes),
            version: None,
            gives_label: false,
            is_again: false,
        });
    }

    fn add_history(&self, day: &mut Day, plan: &mut EventPlan) {
        let version = plan
            .versions
            .first()
            .cloned()
            .unwrap_or_else(|| self.version(1, 0));
        let mut order = self.json(&version);
        if self.chance("label in history", 400) {
            order["label"] = json!("fraud");
            order["label_timestamp"] = json!(self.created_at());
            plan.own_label = Some("fraud");
        }
        plan.is_history = true;
        let after = if plan.versions.is_empty() {
            0
        } else {
            self.between("history", 0, HOUR)
        };
        day.inputs.push(Input {
            at: self.at + after,
            source: self.history_source(),
            order: self.order,
            what: format!("{} as history", self.id),
            key: self.id.clone(),
            payload: order.to_string().into_bytes(),
            end: End::Succeeds,
            version: None,
            gives_label: false,
            is_again: false,
        });
    }

    fn add_labels(&self, day: &mut Day, plan: &mut EventPlan) {
        // Two label messages at the same time.
        let is_meeting = self.chance("labels meet", 500);
        let first = self.between("label", 0, 6 * HOUR);
        let first = (self.at + first).saturating_sub(2 * HOUR).min(EVENING);
        for number in 0..self.between("labels", 1, 5) {
            let name = |what: &str| format!("{what} of label {number}");
            let (kind, code, source, rank, label) = match self.between(&name("kind"), 0, 7) {
                0 | 1 => ("chargeback", "10.4", "processor", 2, Some("fraud")),
                2 => ("chargeback", "13.1", "processor", 2, None),
                3 => ("reversal", "", "processor", 2, Some("legit")),
                4 => ("refund", "", "shop", 0, None),
                5 => ("verdict", "legit", "analyst", 3, Some("legit")),
                _ => ("verdict", "fraud", "analyst", 3, Some("fraud")),
            };
            let at = if is_meeting {
                first + self.between(&name("meeting"), 0, 60)
            } else {
                first + self.between(&name("time"), 0, 4 * HOUR)
            };
            // Known at a time between a day before the event and ten hours before the message, or at an impossible
            // time.
            let known = i64::try_from(self.at).unwrap_or(0);
            let ms =
                |least, end| i64::try_from(self.between(&name("known"), least, end)).unwrap_or(0);
            let (known, end) = match self.between(&name("possible"), 0, 20) {
                0 => (known + 60 * 3_600_000, End::Parked(&["label-in-future"])),
                1 if !plan.versions.is_empty() => {
                    (known - 80 * 3_600_000, End::Parked(&["label-before-event"]))
                }
                _ => (known - ms(0, 24 * HOUR), End::Succeeds),
            };
            let known = time(known / 1000 * 1000 + i64::try_from(number).unwrap_or(0) * 1000);
            if end == End::Succeeds {
                plan.messages.push(Message {
                    label,
                    rank,
                    time: known.clone(),
                    what: format!("{kind} {code} {source}"),
                });
            }
            let message = json!({
                "order_id": self.id, "kind": kind, "reason_code": code, "source": source,
                "label_timestamp": known,
            });
            day.inputs.push(Input {
                at,
                source: Source::Chargebacks,
                order: self.order,
                what: format!(
                    "{} label {number}: {kind} {code} by {source}, known {known}",
                    self.id
                ),
                key: self.id.clone(),
                payload: message.to_string().into_bytes(),
                end,
                version: None,
                gives_label: label.is_some(),
                is_again: false,
            });
        }
    }
}

/// The mapping of a deployment. From the second deployment on, an order without a matching rule is challenged, and two
/// rules outrank the others.
pub fn mapping_of(deployment: u32) -> String {
    let mapping = sample::MAPPING;
    if deployment == 0 {
        return mapping.to_owned();
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
