//! Judges past decisions again by a draft of the rules, and counts what would have been different. Nothing is written.
//!
//! A decision keeps the variables that its order had when it was decided, those of what happened before among them, and the
//! scores of the models. So a draft sees what the rules of that day saw, and the past is not computed again. What a draft
//! reads and no decision has is named, and never guessed.

mod balance;
mod intervals;
mod report;
mod report_text;
mod sums;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use event::Timestamp;
use shared::decisions::Decision;
use shared::mapping::Mapping;

use crate::detector_rules::{DetectorRules, RowVerdicts};

pub use balance::{Balance, BalanceVerdict};
pub use report::{BacktestReport, ReportOptions};

/// What is judged, and how.
pub struct Backtest<'a> {
    /// The draft.
    pub draft: &'a DetectorRules,
    /// What it is compared with; `None` compares it with what was decided.
    pub against: Option<&'a DetectorRules>,
    /// How outcomes become one decision, and which labels are fraud.
    pub mapping: &'a Mapping,
    /// After how many seconds an order without a label counts as good.
    pub maturity_seconds: i64,
    /// How many examples of each kind the report has.
    pub examples: usize,
}

/// What became known of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    /// Its label says fraud.
    Fraud,
    /// Its label says that it was good.
    Good,
    /// It has no label.
    Unlabelled,
}

/// An order as both sets of rules judge it.
#[derive(Debug)]
struct JudgedOrder {
    /// Kept only where both decide differently, for examples.
    order_id: Option<Box<str>>,
    /// When it was made, in seconds since 1970.
    time: i64,
    /// In hundredths.
    money: i64,
    truth: Truth,
    /// The places of the effective outcomes among the names; `None` if there is none.
    before: Option<u16>,
    after: Option<u16>,
    /// The draft's rules that matched, a bit for each.
    matched: Box<[u64]>,
}

/// The orders of a backtest.
pub struct JudgedOrders<'a> {
    backtest: &'a Backtest<'a>,
    /// The names of outcomes: those of the mapping, then those that only decisions of before have.
    outcomes: Vec<String>,
    orders: Vec<JudgedOrder>,
    /// For each rule of the draft, the orders for which it could not be evaluated.
    undetermined: Vec<u64>,
    /// The variables that some decision has.
    seen: HashSet<String>,
    /// Values that are not of the type that the draft gives their variables.
    invalid_values: u64,
}

impl<'a> JudgedOrders<'a> {
    /// No orders yet.
    pub fn new(backtest: &'a Backtest<'a>) -> Self {
        Self {
            outcomes: backtest
                .mapping
                .outcome_priority()
                .iter()
                .map(ToString::to_string)
                .collect(),
            backtest,
            orders: Vec::new(),
            undetermined: vec![0; backtest.draft.rules.len()],
            seen: HashSet::new(),
            invalid_values: 0,
        }
    }

    /// Judges a decision by both sets of rules; `money` is what its order is worth, in hundredths.
    pub fn add(&mut self, decision: &Decision, money: i64) {
        let judged = judge_decision(self.backtest.draft, self.backtest.mapping, decision);
        self.add_judged(decision, money, judged);
    }

    /// Adds a decision that the draft judged when it was made: these rules matched, and those could not be evaluated.
    pub fn add_recorded(
        &mut self,
        decision: &Decision,
        money: i64,
        matched: &[String],
        undetermined: &[String],
    ) {
        let (rules, mapping) = (self.backtest.draft, self.backtest.mapping);
        let verdicts = RowVerdicts {
            matched: rules.find_places(matched),
            undetermined: rules.find_places(undetermined),
        };
        let has_invalid = decision.data_quality.iter().any(|it| it.undetermined);
        let outcomes = rules.combine_outcomes(mapping, has_invalid, &verdicts);
        let judged = RejudgedDecision {
            outcome: outcomes.effective.map(|name| name.to_string()),
            verdicts,
            invalid_values: 0,
        };
        self.add_judged(decision, money, judged);
    }

    fn add_judged(&mut self, decision: &Decision, money: i64, judged: RejudgedDecision) {
        let Ok(time) = Timestamp::parse(&decision.event_timestamp) else {
            return;
        };
        for name in decision
            .variables
            .keys()
            .chain(decision.verdict.scores.keys())
        {
            if !self.seen.contains(name) {
                self.seen.insert(name.clone());
            }
        }
        self.invalid_values += judged.invalid_values;
        for place in &judged.verdicts.undetermined {
            self.undetermined[*place] += 1;
        }
        let before = match self.backtest.against {
            None => Some(decision.effective_outcome.clone()),
            Some(against) => judge_decision(against, self.backtest.mapping, decision).outcome,
        };
        let before = before.and_then(|name| self.note_outcome(name));
        let after = judged.outcome.and_then(|name| self.note_outcome(name));
        let mut matched = vec![0_u64; self.backtest.draft.rules.len().div_ceil(64)];
        for place in judged.verdicts.matched {
            matched[place / 64] |= 1 << (place % 64);
        }
        self.orders.push(JudgedOrder {
            order_id: (before != after).then(|| decision.order_id.as_str().into()),
            time: time.epoch_seconds(),
            money,
            truth: self.find_truth(decision),
            before,
            after,
            matched: matched.into(),
        });
    }

    /// The place of an outcome; a new one is added.
    fn note_outcome(&mut self, name: String) -> Option<u16> {
        if name.is_empty() {
            return None;
        }
        let place = self.find_outcome(&name);
        place.or_else(|| {
            self.outcomes.push(name);
            u16::try_from(self.outcomes.len() - 1).ok()
        })
    }

    fn find_outcome(&self, name: &str) -> Option<u16> {
        let place = self.outcomes.iter().position(|outcome| outcome == name)?;
        u16::try_from(place).ok()
    }

    fn find_truth(&self, decision: &Decision) -> Truth {
        let label = decision
            .label
            .as_ref()
            .and_then(|entry| entry.label.as_deref());
        match label {
            None => Truth::Unlabelled,
            Some(label) if self.backtest.mapping.is_fraud_label(label) => Truth::Fraud,
            Some(_) => Truth::Good,
        }
    }
}

/// What one set of rules makes of a decision.
struct RejudgedDecision {
    outcome: Option<String>,
    verdicts: RowVerdicts,
    invalid_values: u64,
}

fn judge_decision(
    rules: &DetectorRules,
    mapping: &Mapping,
    decision: &Decision,
) -> RejudgedDecision {
    let variables = decision.variables.iter();
    let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
    let (mut row, invalid) = rules.fill_row(variables);
    for (name, score) in &decision.verdict.scores {
        rules.set_score(&mut row, name, *score);
    }
    let decided_at = Timestamp::parse(&decision.decided_at);
    let now_ms = decided_at.map_or(0, |time| time.epoch_seconds() * 1000);
    let verdicts = rules.judge_row(&row, now_ms, |_| false);
    let has_invalid = !invalid.is_empty() || decision.data_quality.iter().any(|it| it.undetermined);
    let outcomes = rules.combine_outcomes(mapping, has_invalid, &verdicts);
    RejudgedDecision {
        outcome: outcomes.effective.map(|name| name.to_string()),
        verdicts,
        invalid_values: u64::try_from(invalid.len()).unwrap_or(u64::MAX),
    }
}
