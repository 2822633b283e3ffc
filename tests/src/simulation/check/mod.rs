//! Checks of the properties that must hold at the end of a day, whatever happened.

mod decisions;
mod labels;
mod snapshot;
mod velocity;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_frauddetector::Client as FraudDetector;
use aws_sdk_frauddetector::types::IngestedEventStatistics;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use local_aws::local_stack::DECISIONS;
use serde_json::Value;
use shared::decisions::{Decision, parse_decision};
use shared::mapping::Mapping;

use decisions::is_of;
use snapshot::list_variables;

use super::day::{Day, End, Input, Source, VELOCITY_VARIABLES, mapping_of};
use super::history::TimeOfDay;
use super::network::{PATIENCE_MS, World};
use super::report::{Law, Report, Violation};

/// If the times at which two records were sent differ by more than this, they are also delivered in that order on a
/// calm day.
const CLEARLY_LATER_MS: u64 = 5 * 60_000;

/// The state at the end of a day.
pub struct EndOfDay<'a> {
    /// The records that were sent, and their expected results.
    pub day: &'a Day,
    /// The services.
    pub world: &'a World,
    /// A client of the engine without disturbances.
    pub operator: &'a FraudDetector,
    /// A client of the tables without disturbances.
    pub tables: &'a aws_sdk_dynamodb::Client,
    /// The answers that checkouts got.
    pub told: &'a [Value],
    /// The number of records that were given up.
    pub given_up: usize,
    /// The time-out of the functions, in milliseconds.
    pub time_out_ms: u64,
    /// The text of the logs.
    pub log: String,
}

impl EndOfDay<'_> {
    /// The time of the day in a text, in milliseconds.
    fn time_of(&self, text: &str) -> Result<u64, String> {
        let time: jiff::Timestamp = text.parse().map_err(|_| format!("`{text}` is no time"))?;
        let midnight = self.world.clock.timestamp(0, 0);
        let since = time.duration_since(midnight).as_millis();
        u64::try_from(since).map_err(|_| format!("{text} is before the day"))
    }
}

/// A record under `rejected/`.
struct Parked {
    at: u64,
    key: String,
    class: String,
    payload: Vec<u8>,
}

/// Checks all properties. Also returns a summary of every decision.
///
/// # Panics
/// If the simulation's own services fail.
pub async fn all(end: &EndOfDay<'_>) -> (Vec<Violation>, Vec<String>) {
    let decisions = decisions(end).await;
    let parked: Vec<Parked> = end.world.store.objects().iter().map(parked).collect();
    let mapping = |deployment| Mapping::parse("mapping.yaml", &mapping_of(deployment)).unwrap();
    let mut checks = Checks {
        end,
        decisions: &decisions,
        parked: &parked,
        mappings: [mapping(0), mapping(1)],
        violations: Vec::new(),
    };
    let variables = list_variables(end.operator).await;
    checks.check_orders();
    checks.check_times();
    checks.check_parked();
    for decision in &decisions {
        checks.check_decision(decision);
        checks.check_snapshot(decision, &variables).await;
    }
    checks.check_profiles();
    checks.check_seen_profiles();
    checks.check_outcomes();
    checks.check_labels().await;
    checks.check_reviews();
    checks.check_counters().await;
    checks.check_rest();
    let violations = checks.violations;
    (violations, decisions.iter().map(in_short).collect())
}

/// Checks the properties of two days of the same scenario, one of them delivered without disturbances.
pub fn compare(report: &Report, undisturbed: &Report) -> Vec<Violation> {
    let mut violations = undisturbed.violations.clone();
    let (got, want) = (&report.decisions, &undisturbed.decisions);
    let only_in = |some: &[String], others: &[String]| {
        let others: BTreeSet<&String> = others.iter().collect();
        some.iter().find(|it| !others.contains(it)).cloned()
    };
    if got != want {
        let text = format!(
            "disturbed: {:?}, undisturbed: {:?}",
            only_in(got, want),
            only_in(want, got)
        );
        violations.push(Violation::new(Law::DeliveryChangesNothing, text));
    }
    violations
}

async fn scan(
    tables: &aws_sdk_dynamodb::Client,
    table: &str,
) -> Vec<HashMap<String, AttributeValue>> {
    let scan = tables.scan().table_name(table).consistent_read(true);
    let items = scan.into_paginator().items().send();
    items.collect::<Result<_, _>>().await.unwrap()
}

async fn decisions(end: &EndOfDay<'_>) -> Vec<Decision> {
    let kind = AttributeValue::S("decision".to_owned());
    let items = scan(end.tables, DECISIONS).await.into_iter();
    let decisions = items.filter(|item| item.get("kind") == Some(&kind));
    let mut decisions: Vec<Decision> = decisions
        .map(|item| *parse_decision(item).unwrap())
        .collect();
    decisions.sort_by(|a, b| a.decision_id.cmp(&b.decision_id));
    decisions
}

fn parked((key, (at, body)): (&String, &(u64, Bytes))) -> Parked {
    let body: Value = serde_json::from_slice(body).unwrap();
    let payload = match (body["payload"].as_str(), body["payload_base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => BASE64.decode(text).unwrap(),
        (None, None) => Vec::new(),
    };
    Parked {
        at: *at,
        key: key.clone(),
        class: body["class"].as_str().unwrap_or_default().to_owned(),
        payload,
    }
}

/// The part of a decision that does not depend on when and by which function it was made. What came before an order does.
fn in_short(decision: &Decision) -> String {
    let is_velocity = |name: &str| VELOCITY_VARIABLES.iter().any(|(it, _)| *it == name);
    let mut variables = decision.variables.clone();
    variables.retain(|name, _| !is_velocity(name));
    let rules = decision
        .verdict
        .matched_rules
        .iter()
        .map(|rule| rule.rule_id.as_str());
    format!(
        "{} {} of {:?} by {:?} over {:?}, label {:?}",
        decision.decision_id,
        decision.effective_outcome,
        decision.outcomes,
        rules.collect::<Vec<_>>(),
        variables,
        decision
            .label
            .as_ref()
            .and_then(|label| label.label.as_deref()),
    )
}

struct Checks<'a> {
    end: &'a EndOfDay<'a>,
    decisions: &'a [Decision],
    parked: &'a [Parked],
    /// The mappings, by deployment. Their aggregates are the same.
    mappings: [Mapping; 2],
    violations: Vec<Violation>,
}

impl Checks<'_> {
    fn add(&mut self, law: Law, text: impl Into<String>) {
        self.violations.push(Violation::new(law, text));
    }

    fn decision(&self, event_id: &str, revision: u64) -> Option<&Decision> {
        let mut of_event = self.decisions.iter();
        of_event.find(|it| it.event_id == event_id && it.revision == revision)
    }

    /// The decision on exactly this version of an input's order, if there is one.
    fn decision_on(&self, input: &Input) -> Option<&Decision> {
        let event_id = event_id(input);
        let version = self
            .end
            .day
            .events
            .get(&event_id)?
            .versions
            .get(input.version?)?;
        let decision = self.decision(&event_id, version.revision)?;
        is_of(decision, version).then_some(decision)
    }

    /// Whether the order may count as the one that was decided, although it is another version: if the mapping changed
    /// between them, they cannot be told apart.
    fn is_taken_for_decided(&self, input: &Input) -> bool {
        let day = self.end.day;
        let of_order = day
            .inputs
            .iter()
            .filter(|it| it.order == input.order && it.version.is_some());
        let first = of_order.clone().map(|it| it.at).min().unwrap_or(input.at);
        let last = of_order.map(|it| it.at).max().unwrap_or(input.at);
        let last = self.end.world.disturbances.works_from(last) + PATIENCE_MS;
        let is_between = day
            .changes
            .is_some_and(|changes| (first..last).contains(&changes.mapping));
        is_between && self.decision(&event_id(input), 1).is_some()
    }

    /// Every order has a decision or a record under `rejected/`.
    fn check_orders(&mut self) {
        let day = self.end.day;
        for input in &day.inputs {
            let is_parked = self
                .parked
                .iter()
                .any(|parked| parked.payload == input.payload);
            let is_order = input.source.is_of_orders();
            let (ok, want) = match &input.end {
                End::Succeeds if is_order => (self.decision_on(input).is_some(), "no decision"),
                End::Succeeds => (true, ""),
                End::Parked(_) => (is_parked, "not under rejected/"),
                End::DecidedOrParked => {
                    let is_decided = self.decision_on(input).is_some();
                    let ok = is_parked || is_decided || self.is_taken_for_decided(input);
                    (ok, "neither decided nor parked")
                }
            };
            if !ok {
                self.add(Law::NothingLost, format!("{}: {want}", input.what));
            }
        }
        if self.end.given_up > 0 {
            let text = format!("{} records were given up", self.end.given_up);
            self.add(Law::NothingLost, text);
        }
        for replaced in self.end.world.store.replaced() {
            self.add(
                Law::DecidedOnce,
                format!("{replaced} was put where a decision was"),
            );
        }
    }

    /// Decisions and rejected records are written in time.
    fn check_times(&mut self) {
        let end = self.end;
        for input in &end.day.inputs {
            let latest = end.world.disturbances.works_from(self.came(input)) + PATIENCE_MS;
            let parked = self.parked.iter().filter(|it| it.payload == input.payload);
            let parked = parked.map(|it| it.at).min().map(Ok);
            let decided = self
                .decision_on(input)
                .filter(|_| input.end == End::Succeeds);
            let decided = decided.map(|decision| end.time_of(&decision.decided_at));
            for (done, at) in [("parked", parked), ("decided", decided)] {
                match at {
                    None => {}
                    Some(Ok(at)) if at <= latest => {}
                    Some(Ok(at)) => {
                        let text = format!("{} is {done} only at {}", input.what, TimeOfDay(at));
                        self.add(Law::Progress, text);
                    }
                    Some(Err(text)) => self.add(Law::RightDecision, text),
                }
            }
        }
    }

    /// When everything that an input needs has arrived: a label with a time before its event can be rejected only when
    /// the order is there.
    fn came(&self, input: &Input) -> u64 {
        if input.source != Source::Chargebacks {
            return input.at;
        }
        let of_order = self
            .end
            .day
            .inputs
            .iter()
            .filter(|it| it.order == input.order);
        of_order.map(|it| it.at).max().unwrap_or(input.at)
    }

    /// Every record under `rejected/` belongs there.
    fn check_parked(&mut self) {
        let day = self.end.day;
        for parked in self.parked {
            let inputs = day
                .inputs
                .iter()
                .filter(|input| input.payload == parked.payload);
            let belongs = |input: &Input| match &input.end {
                End::Succeeds => false,
                End::Parked(classes) => classes.contains(&parked.class.as_str()),
                End::DecidedOrParked => {
                    parked.class == "order-changed" && self.decision_on(input).is_none()
                }
            };
            let inputs: Vec<&Input> = inputs.collect();
            if !inputs.iter().any(|input| belongs(input)) {
                let names: Vec<&str> = inputs.iter().map(|input| input.what.as_str()).collect();
                let text = format!("{} as {}: {}", parked.key, parked.class, names.join(", "));
                self.add(Law::ParkedInVain, text);
            }
        }
    }

    /// Every decision is on the event bus, unchanged.
    fn check_outcomes(&mut self) {
        let mut outcomes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for outcome in self.end.world.store.outcomes() {
            let id = outcome["decision_id"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            outcomes.entry(id).or_default().push(outcome);
        }
        for decision in self.decisions {
            let told = outcomes.remove(&decision.decision_id).unwrap_or_default();
            if told.is_empty() {
                self.add(
                    Law::Forwarded,
                    format!("{} was not told", decision.decision_id),
                );
            }
            let is_another = |outcome: &&Value| {
                outcome["effective_outcome"] != decision.effective_outcome.as_str()
                    || outcome["override"].is_null() != decision.applied_override.is_none()
                    || outcome["decided_at"] != decision.decided_at.as_str()
            };
            if let Some(other) = told.iter().find(is_another) {
                let text = format!("{} was told as {other}", decision.decision_id);
                self.add(Law::Forwarded, text);
            }
        }
        for (id, _) in outcomes {
            self.add(
                Law::Forwarded,
                format!("{id} was told, and there is no such decision"),
            );
        }
        for reply in self.end.told {
            let id = reply["decision_id"].as_str().unwrap_or_default();
            let decision = self
                .decisions
                .iter()
                .find(|decision| decision.decision_id == id);
            if decision.is_none_or(|decision| {
                reply["effective_outcome"] != decision.effective_outcome.as_str()
            }) {
                self.add(Law::ToldAsDecided, format!("a checkout was told {reply}"));
            }
        }
    }

    /// The statistics count stored events and predictions that stored their event: nothing twice, and on a calm day
    /// everything.
    async fn check_counters(&mut self) {
        let operator = self.end.operator;
        let answer = operator
            .get_event_types()
            .name("order")
            .send()
            .await
            .unwrap();
        let statistics = answer.event_types().first();
        let statistics = statistics.and_then(|it| it.ingested_event_statistics());
        let counted = statistics.and_then(IngestedEventStatistics::number_of_events);
        let counted = counted.unwrap_or(0);
        let is_counted = |item: &HashMap<String, AttributeValue>| {
            item.get("sk") == Some(&AttributeValue::S("event".to_owned()))
                || item.get("stored") == Some(&AttributeValue::Bool(true))
        };
        let items = scan(self.end.tables, "Events").await;
        let stored = i64::try_from(items.iter().filter(|item| is_counted(item)).count());
        let stored = stored.unwrap_or(0);
        let is_exact = self.end.world.disturbances.is_calm();
        if counted > stored || (is_exact && counted != stored) {
            let text = format!("{counted} events are counted, {stored} are stored");
            self.add(Law::Counters, text);
        }
    }

    fn check_rest(&mut self) {
        if let Some(at) = self.end.log.find("sentinel-") {
            let line = self.end.log[..at].rsplit('\n').next().unwrap_or_default();
            self.add(Law::NoPersonalData, format!("after `{line}`"));
        }
    }
}

/// The event of an input's order.
fn event_id(input: &Input) -> String {
    format!("ord-{:06}", input.order)
}
