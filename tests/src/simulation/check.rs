//! Checks of the properties that must hold at the end of a day, whatever happened.

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

use super::day::{Day, End, EventPlan, Input, Source, Version, mapping_of};
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

/// The rules that match, their outcomes, and the effective outcome.
type Judged = (Vec<&'static str>, Vec<String>, String);

/// Checks all properties. Also returns a summary of every decision.
///
/// # Panics
/// If the simulation's own services fail.
pub async fn all(end: &EndOfDay<'_>) -> (Vec<Violation>, Vec<String>) {
    let decisions = decisions(end).await;
    let parked: Vec<Parked> = end.world.store.objects().iter().map(parked).collect();
    let hash = |deployment| {
        let mapping = Mapping::parse("mapping.yaml", &mapping_of(deployment));
        mapping.unwrap().hash().to_owned()
    };
    let mut checks = Checks {
        end,
        decisions: &decisions,
        parked: &parked,
        mappings: [hash(0), hash(1)],
        violations: Vec::new(),
    };
    checks.check_orders();
    checks.check_times();
    checks.check_parked();
    for decision in &decisions {
        checks.check_decision(decision);
        checks.check_snapshot(decision).await;
    }
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

/// The part of a decision that does not depend on when and by which function it was made.
fn in_short(decision: &Decision) -> String {
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
        decision.variables,
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
    /// The hashes of the mappings, by deployment.
    mappings: [String; 2],
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

    /// A decision is what the rules at that time give.
    fn check_decision(&mut self, decision: &Decision) {
        let Some((version, plan)) = self.planned(decision) else {
            let text = format!("{} is on an order that nobody sent", decision.decision_id);
            self.add(Law::RightDecision, text);
            return;
        };
        let found = self.expected(decision, &version, &plan);
        let rules = decision.verdict.matched_rules.iter();
        let rules: Vec<&str> = rules.map(|rule| rule.rule_id.as_str()).collect();
        let outcomes = &decision.outcomes;
        let effective = &decision.effective_outcome;
        match found {
            Err(text) => self.add(
                Law::RightDecision,
                format!("{}: {text}", decision.decision_id),
            ),
            Ok(wanted)
                if !wanted
                    .iter()
                    .any(|want| (&want.0, &want.1, &want.2) == (&rules, outcomes, effective)) =>
            {
                let text = format!(
                    "{}: {rules:?} {outcomes:?} {effective} instead of {wanted:?}",
                    decision.decision_id
                );
                self.add(Law::RightDecision, text);
            }
            Ok(_) => {}
        }
    }

    fn planned(&self, decision: &Decision) -> Option<(Version, EventPlan)> {
        let plan = self.end.day.events.get(&decision.event_id)?;
        let mut versions = plan.versions.iter();
        let version =
            versions.find(|it| it.revision == decision.revision && is_of(decision, it))?;
        Some((version.clone(), plan.clone()))
    }

    /// The correct rules and outcomes. There are several possible ones if something changed at that time.
    fn expected(
        &self,
        decision: &Decision,
        version: &Version,
        plan: &EventPlan,
    ) -> Result<Vec<Judged>, String> {
        let day = self.end.day;
        let prediction = &decision.verdict.prediction;
        let predicted = prediction.prediction_timestamp.as_deref();
        let predicted = predicted.ok_or("no time of the prediction")?;
        let predicted = self.end.time_of(predicted)?;
        // Cached definitions may be two seconds old, clocks may be one second off, and a prediction takes several
        // calls.
        let near = |change: u64| [predicted + 1_000 >= change, predicted >= change + 20_000];
        let version_id = prediction
            .detector_version_id
            .as_deref()
            .unwrap_or_default();
        let versions = day
            .changes
            .map_or([false, false], |changes| near(changes.version));
        let is_second = version_id == "2";
        if !versions.contains(&is_second) {
            return Err(format!("detector version {version_id} at {predicted} ms"));
        }
        let deployment = self
            .mappings
            .iter()
            .position(|hash| *hash == decision.mapping_hash);
        let deployment = deployment.ok_or("an unknown mapping")?;
        let longest = self.end.time_out_ms + 20_000;
        let mappings = day.changes.map_or([false, false], |changes| {
            [
                predicted + 1_000 >= changes.mapping,
                predicted >= changes.mapping + longest,
            ]
        });
        if !mappings.contains(&(deployment == 1)) {
            return Err(format!("deployment {deployment} at {predicted} ms"));
        }
        let listed = match day.changes {
            Some(changes) if day.listed.as_deref() == Some(&plan.email) => near(changes.list),
            _ => [false, false],
        };
        let is_second_mapping = deployment != 0;
        let answers =
            listed.map(|is_listed| judge(version, is_second, is_listed, is_second_mapping));
        Ok(answers.to_vec())
    }

    /// The prediction of a decision is stored and has the same results.
    async fn check_snapshot(&mut self, decision: &Decision) {
        let prediction = &decision.verdict.prediction;
        let metadata = self
            .end
            .operator
            .get_event_prediction_metadata()
            .event_id(&decision.event_id)
            .event_type_name("order")
            .detector_id("orders")
            .set_detector_version_id(prediction.detector_version_id.clone())
            .set_prediction_timestamp(prediction.prediction_timestamp.clone());
        let metadata = match metadata.send().await {
            Ok(metadata) => metadata,
            Err(error) => {
                let text = format!("{}: {:?}", decision.decision_id, error.as_service_error());
                self.add(Law::Snapshot, text);
                return;
            }
        };
        let matched: Vec<&str> = metadata
            .rules()
            .iter()
            .filter(|rule| rule.matched() == Some(true))
            .filter_map(|rule| rule.rule_id())
            .collect();
        let decided: Vec<&str> = decision
            .verdict
            .matched_rules
            .iter()
            .map(|rule| rule.rule_id.as_str())
            .collect();
        let variables: BTreeMap<String, String> = metadata
            .event_variables()
            .iter()
            .filter_map(|variable| {
                Some((variable.name()?.to_owned(), variable.value()?.to_owned()))
            })
            .collect();
        let missing = decision
            .variables
            .iter()
            .find(|(name, value)| variables.get(*name) != Some(value));
        if matched != decided || missing.is_some() {
            let text = format!(
                "{}: decided by {decided:?}, its snapshot says {matched:?} over {variables:?}",
                decision.decision_id
            );
            self.add(Law::Snapshot, text);
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

    /// Rank and time decide which label counts, everywhere.
    async fn check_labels(&mut self) {
        for (event_id, plan) in &self.end.day.events {
            let want = plan.label();
            let messages: BTreeSet<(&str, &str)> = plan
                .messages
                .iter()
                .map(|it| (it.what.as_str(), it.time.as_str()))
                .collect();
            let of_event = self
                .decisions
                .iter()
                .filter(|decision| decision.event_id == *event_id);
            for decision in of_event {
                let got = decision
                    .label
                    .as_ref()
                    .and_then(|label| label.label.as_deref());
                if got != want || decision.label_history.len() != messages.len() {
                    let text = format!(
                        "{} has {got:?} of {} labels instead of {want:?} of {}",
                        decision.decision_id,
                        decision.label_history.len(),
                        messages.len()
                    );
                    self.add(Law::Labels, text);
                }
            }
            let is_stored = plan.is_history || !plan.versions.is_empty();
            let event = self
                .end
                .operator
                .get_event()
                .event_id(event_id)
                .event_type_name("order");
            let event = event.send().await.ok().and_then(|answer| answer.event);
            let got = event
                .as_ref()
                .and_then(|event| event.current_label.as_deref());
            if is_stored && event.is_none() {
                self.add(
                    Law::NothingLost,
                    format!("{event_id} is not at the service"),
                );
            } else if is_stored && got != want.or(plan.own_label) {
                let text = format!("{event_id} has {got:?} at the service instead of {want:?}");
                self.add(Law::Labels, text);
            }
        }
    }

    /// Checked only if it is clear which came first: there are minutes in between, and, for a label that came first,
    /// only delivery is disturbed.
    fn check_reviews(&mut self) {
        let end = self.end;
        let is_calm = end.world.disturbances.is_calm();
        let reviews = self
            .decisions
            .iter()
            .filter(|it| it.effective_outcome == "review");
        for decision in reviews.cloned().collect::<Vec<_>>() {
            let decided = match end.time_of(&decision.decided_at) {
                Ok(decided) => decided,
                Err(text) => {
                    self.add(Law::Reviews, text);
                    continue;
                }
            };
            let is_verdict = |input: &&Input| {
                input.gives_label
                    && input.end == End::Succeeds
                    && event_id(input) == decision.event_id
            };
            let mut verdicts = end.day.inputs.iter().filter(is_verdict);
            let came_later = verdicts
                .clone()
                .any(|input| input.at > decided + CLEARLY_LATER_MS && !input.is_again);
            let all_before = verdicts.all(|input| input.at + CLEARLY_LATER_MS < decided);
            let is_open = decision.gsi2pk.is_some();
            if (came_later && is_open) || (is_calm && all_before && !is_open) {
                let text = format!("{} has its review open: {is_open}", decision.decision_id);
                self.add(Law::Reviews, text);
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

/// Whether a decision is on this version of its order.
fn is_of(decision: &Decision, version: &Version) -> bool {
    let price = version.price.map(|price| format!("{price:.2}"));
    let items = version.items.to_string();
    decision.variables.get("order_price") == price.as_ref()
        && decision.variables.get("item_count") == Some(&items)
}

/// The rules that match, their outcomes and the effective one: implemented here again, independently of the engine and
/// the mapping.
fn judge(version: &Version, is_second: bool, is_listed: bool, is_second_mapping: bool) -> Judged {
    let price = version.price.unwrap_or(0.0);
    let high = if is_second { 500.0 } else { 1000.0 };
    let rules = [
        ("very_high_amount", price > 5000.0, "block"),
        ("high_amount", price > high, "review"),
        ("many_items", version.items > 20, "challenge"),
        ("blocked_email", is_listed, "block"),
    ];
    let matched = rules.iter().filter(|(_, matches, _)| *matches);
    let mut outcomes: BTreeSet<&str> = matched.clone().map(|(.., outcome)| *outcome).collect();
    if version.price.is_none() {
        outcomes.insert("review");
    }
    if outcomes.is_empty() {
        outcomes.insert(if is_second_mapping {
            "challenge"
        } else {
            "approve"
        });
    }
    let by_priority = ["block", "review", "challenge", "approve"];
    let outcomes = by_priority
        .into_iter()
        .filter(|outcome| outcomes.contains(outcome));
    let outcomes: Vec<String> = outcomes.map(str::to_owned).collect();
    let is_allowed = is_second_mapping && version.items > 20 && !is_listed;
    let effective = if is_allowed {
        "challenge"
    } else {
        &outcomes[0]
    };
    (
        matched.map(|(rule_id, ..)| *rule_id).collect(),
        outcomes.clone(),
        effective.to_owned(),
    )
}
