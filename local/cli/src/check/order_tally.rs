//! What the records of a file are for a mapping and for rules, counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

use event::{Timestamp, VariableName};
use rustc_hash::FxBuildHasher;
use shared::failure::{Failure, Rejection};
use shared::mapping::{MappedOrder, Mapping};

use super::value_tally::{ProblemCounts, ValueTally};
use crate::detector_rules::{DetectorRule, DetectorRules};

/// Orders whose ids are compared with each other, by each thread and in all; 24 bytes each.
const MOST_IDS: usize = 2_000_000;
/// Bytes of a rejected record that the report shows.
const SHOWN_BYTES: usize = 400;

/// The counts over the records that one thread has seen.
pub(super) struct OrderTally<'a> {
    mapping: &'a Mapping,
    rules: &'a DetectorRules,
    /// For each rule, what it reads that only the state of the pipeline knows.
    unknown: Vec<Vec<String>>,
    places: HashMap<&'a str, usize>,
    pub(super) orders: u64,
    pub(super) skipped: u64,
    pub(super) undetermined: u64,
    pub(super) rejected: BTreeMap<&'static str, RejectedClass>,
    /// In the order of the mapping's variables.
    pub(super) values: Vec<ValueTally>,
    /// Orders with each key of the mapping's aggregates.
    pub(super) keys: Vec<u64>,
    /// Problems with what is no variable, such as the revision.
    pub(super) problems: ProblemCounts,
    /// In the order of the detector's rules.
    pub(super) hits: Vec<RuleTally>,
    pub(super) outcomes: BTreeMap<String, u64>,
    pub(super) times: Option<(Timestamp, Timestamp)>,
    ids: HashMap<u64, OrderContent, FxBuildHasher>,
    pub(super) repeated: RepeatedIds,
}

/// The records that are refused for one reason.
#[derive(Debug, Default)]
pub(super) struct RejectedClass {
    pub(super) count: u64,
    /// The number of the first, why, and its beginning.
    pub(super) first: Option<(u64, String, String)>,
}

#[derive(Debug, Default)]
pub(super) struct RuleTally {
    pub(super) matched: u64,
    /// Orders that no other judged rule matched.
    pub(super) alone: u64,
    pub(super) undetermined: u64,
    /// The first order that matched, with the number of its record.
    pub(super) first: Option<(u64, String)>,
}

/// The content that came first under an id.
#[derive(Clone, Copy, Debug)]
struct OrderContent {
    hash: u64,
    record: u64,
}

/// Orders that have the id of an earlier one.
#[derive(Debug, Default)]
pub(super) struct RepeatedIds {
    /// With the same content: the pipeline decides them once.
    pub(super) same: u64,
    /// With other content: the pipeline rejects them, unless they are a new revision.
    pub(super) changed: u64,
    /// The numbers of two records with the same id and different content.
    pub(super) example: Option<(u64, u64)>,
}

fn hash_text(text: &str) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl<'a> OrderTally<'a> {
    pub(super) fn new(mapping: &'a Mapping, rules: &'a DetectorRules) -> Self {
        let past: HashSet<&str> = mapping
            .variables_of_the_past()
            .map(VariableName::as_str)
            .collect();
        let list_unknown = |rule: &'a DetectorRule| {
            let is_unknown =
                |name: &&str| past.contains(name) || rules.scores.iter().any(|score| score == name);
            let variables = rule.rule.variables().filter(is_unknown);
            let variables = variables.map(|name| format!("${name}"));
            let lists = rule.rule.lists().filter(|name| !rules.knows_list(name));
            variables
                .chain(lists.map(|name| format!("@{name}")))
                .collect()
        };
        let places = mapping.variables().enumerate();
        let places: HashMap<&str, usize> = places.map(|(at, name)| (name.as_str(), at)).collect();
        Self {
            unknown: rules.rules.iter().map(list_unknown).collect(),
            values: places.iter().map(|_| ValueTally::default()).collect(),
            keys: vec![0; mapping.aggregate_keys().len()],
            hits: rules.rules.iter().map(|_| RuleTally::default()).collect(),
            mapping,
            rules,
            places,
            orders: 0,
            skipped: 0,
            undetermined: 0,
            rejected: BTreeMap::new(),
            problems: ProblemCounts::default(),
            outcomes: BTreeMap::new(),
            times: None,
            ids: HashMap::default(),
            repeated: RepeatedIds::default(),
        }
    }

    /// What the rule at `place` reads that only the state of the pipeline knows.
    pub(super) fn unknown_names(&self, place: usize) -> &[String] {
        &self.unknown[place]
    }

    pub(super) fn add_failure(&mut self, record: u64, payload: &[u8], failure: Failure) {
        match failure {
            Failure::Skipped => self.skipped += 1,
            Failure::Rejected(rejection) => self.add_rejection(record, payload, &rejection),
            // Mapping depends on nothing that could fail now and not later.
            Failure::Retry(retry) => {
                self.add_rejection(
                    record,
                    payload,
                    &Rejection {
                        class: "not-read",
                        reason: retry.cause,
                        refusal: None,
                    },
                );
            }
        }
    }

    pub(super) fn add_rejection(&mut self, record: u64, payload: &[u8], rejection: &Rejection) {
        let class = self.rejected.entry(rejection.class).or_default();
        class.count += 1;
        if class
            .first
            .as_ref()
            .is_none_or(|(first, ..)| record < *first)
        {
            let shown = &payload[..payload.len().min(SHOWN_BYTES)];
            let shown = String::from_utf8_lossy(shown).into_owned();
            class.first = Some((record, rejection.reason.clone(), shown));
        }
    }

    pub(super) fn add_order(&mut self, record: u64, order: &MappedOrder) {
        self.orders += 1;
        let (first, last) = self.times.unwrap_or((order.timestamp, order.timestamp));
        self.times = Some((first.min(order.timestamp), last.max(order.timestamp)));
        for (name, value) in &order.variables {
            if let Some(place) = self.places.get(name.as_str()) {
                let value = value.expose();
                self.values[*place].add_value(record, hash_text(value), value);
            }
        }
        for problem in &order.data_quality {
            if let Some(place) = self.places.get(problem.variable.as_str()) {
                self.values[*place].add_problem(&problem.problem);
            } else {
                let text = format!("{} {}", problem.variable, problem.problem);
                self.problems.add(&text, 1);
            }
        }
        for key in &order.keys {
            self.keys[key.key] += 1;
        }
        self.compare_id(record, order);
        self.judge_order(record, order);
    }

    fn compare_id(&mut self, record: u64, order: &MappedOrder) {
        let id = hash_text(&format!("{}#{}", order.order_id, order.revision));
        let content = OrderContent {
            hash: hash_text(&order.event_hash),
            record,
        };
        self.note_known_id(id, content);
    }

    /// Compares an id with those before, as long as they are not too many.
    fn note_known_id(&mut self, id: u64, content: OrderContent) {
        if self.ids.len() < MOST_IDS || self.ids.contains_key(&id) {
            self.note_id(id, content);
        }
    }

    fn note_id(&mut self, id: u64, content: OrderContent) {
        match self.ids.get(&id).copied() {
            None => {
                self.ids.insert(id, content);
            }
            Some(known) if known.hash == content.hash => self.repeated.same += 1,
            Some(known) => {
                self.repeated.changed += 1;
                let pair = (
                    known.record.min(content.record),
                    known.record.max(content.record),
                );
                let earlier = self.repeated.example.is_none_or(|example| pair < example);
                if earlier {
                    self.repeated.example = Some(pair);
                }
            }
        }
    }

    fn judge_order(&mut self, record: u64, order: &MappedOrder) {
        let rules = self.rules;
        let variables = order.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.expose()));
        let (row, invalid) = rules.fill_row(variables);
        for name in &invalid {
            if let Some(place) = self.places.get(name) {
                self.values[*place]
                    .refuse_value("is not of the type that the detector file gives it");
            }
        }
        // As if each order was decided when it was made.
        let now_ms = order.timestamp.epoch_seconds() * 1000;
        let is_left_out = |place: usize| !self.unknown[place].is_empty();
        let verdicts = rules.judge_row(&row, now_ms, is_left_out);
        for place in &verdicts.undetermined {
            self.hits[*place].undetermined += 1;
        }
        let matched = &verdicts.matched;
        for place in matched {
            let tally = &mut self.hits[*place];
            tally.matched += 1;
            tally.alone += u64::from(matched.len() == 1);
            if tally
                .first
                .as_ref()
                .is_none_or(|(first, _)| record < *first)
            {
                tally.first = Some((record, order.order_id.clone()));
            }
        }
        let has_invalid = order.is_undetermined() || !invalid.is_empty();
        let outcomes = rules.combine_outcomes(self.mapping, has_invalid, &verdicts);
        self.undetermined += u64::from(outcomes.undetermined);
        let effective = outcomes
            .effective
            .map_or("none".to_owned(), |name| name.to_string());
        *self.outcomes.entry(effective).or_default() += 1;
    }

    /// Adds what another thread has counted.
    pub(super) fn merge(&mut self, other: Self) {
        self.orders += other.orders;
        self.skipped += other.skipped;
        self.undetermined += other.undetermined;
        for (class, other) in other.rejected {
            let own = self.rejected.entry(class).or_default();
            own.count += other.count;
            own.first = [own.first.take(), other.first].into_iter().flatten().min();
        }
        for (own, other) in self.values.iter_mut().zip(other.values) {
            own.merge(other);
        }
        for (own, other) in self.keys.iter_mut().zip(other.keys) {
            *own += other;
        }
        self.problems.merge(other.problems);
        add_counts(&mut self.outcomes, other.outcomes);
        for (own, other) in self.hits.iter_mut().zip(other.hits) {
            own.matched += other.matched;
            own.alone += other.alone;
            own.undetermined += other.undetermined;
            own.first = [own.first.take(), other.first].into_iter().flatten().min();
        }
        let times = [self.times, other.times].into_iter().flatten();
        self.times = times.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        self.repeated.same += other.repeated.same;
        self.repeated.changed += other.repeated.changed;
        let examples = [self.repeated.example, other.repeated.example];
        self.repeated.example = examples.into_iter().flatten().min();
        for (id, content) in other.ids {
            self.note_known_id(id, content);
        }
    }
}

fn add_counts(own: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (name, count) in other {
        *own.entry(name).or_default() += count;
    }
}
