//! One generated order, with everything that belongs to it.

use serde_json::{Value, json};

use super::{Day, EVENING, End, EventPlan, HOUR, Input, Message, Source, Version, gzip, sns, time};
use crate::simulation::dice::Dice;
use crate::simulation::scenario::Scenario;

/// One generated order, with everything that belongs to it.
pub(super) struct OrderOfDay {
    dice: Dice,
    is_calm: bool,
    order: usize,
    id: String,
    email: String,
    at: u64,
}

impl OrderOfDay {
    pub(super) fn new(scenario: &Scenario, order: usize) -> Self {
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

    pub(super) fn add_to(&self, day: &mut Day) {
        let mut plan = EventPlan {
            email: self.email.clone(),
            ..EventPlan::default()
        };
        match self.between("kind", 0, 100) {
            0..=7 => self.add_poison(day, &mut plan),
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

    /// The order as the shop sends it: its revision, its price if it is a number, how many items it has, and its card.
    fn json(&self, revision: u64, price: Option<f64>, items: u64, card: Option<&str>) -> Value {
        let total = price.map_or("a lot".to_owned(), |price| format!("{price:.2}"));
        json!({
            "order_id": self.id, "revision": revision, "created_at": self.created_at(),
            "customer": {"id": format!("cust-{}", self.order % 40), "email": self.email},
            "payment": {"card": card}, "client": {"device": format!("sentinel-device-{}", self.group())},
            "total": total, "items": [{"quantity": items}],
        })
    }

    /// The orders of a group share a device: more orders than a profile keeps whole, fewer than it remembers the ids of.
    fn group(&self) -> usize {
        self.order / 60
    }

    /// The card of a version, one of eight in its group, so that a profile keeps all its orders whole. Some orders have none,
    /// and some are changed to another.
    fn card(&self, number: usize) -> Option<String> {
        let is_another = number > 0 && self.chance("change of the card", 400);
        let card = self.between(if is_another { "other card" } else { "card" }, 0, 8);
        let has_none = self.chance("no card", 40);
        (!has_none).then(|| format!("sentinel-card-{}-{card}", self.group()))
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
        let price = (!is_broken).then_some(price);
        let items = self.between(&format!("items {revision} {number}"), 1, 28);
        let card = self.card(number);
        Version {
            revision,
            price,
            items,
            order: self.json(revision, price, items, card.as_deref()),
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
        let payload = version.order.to_string().into_bytes();
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

    fn add_poison(&self, day: &mut Day, plan: &mut EventPlan) {
        let mut order = self.version(1, 0).order;
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
                    plan.refused = Some(order.clone());
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
        let mut order = version.order;
        if self.chance("label in history", 400) {
            order["label"] = json!("fraud");
            order["label_timestamp"] = json!(self.created_at());
            plan.own_label = Some("fraud");
        }
        plan.history = Some(order.clone());
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
