//! What one set of rules did with the new orders, compared with the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use predict::OrderResult;
use serde::Serialize;
use shared::decisions::Decision;
use shared::failure::Failure;

use super::KnownTruth;
use super::money::{Volume, parse_cents, share};
use crate::run_summary::RecordEffect;

/// The outcome that lets an order pass untouched.
const APPROVE: &str = "approve";

/// A rule of the detector version that judged.
#[derive(Clone, Debug)]
pub struct ActiveRule {
    /// Its id.
    pub rule_id: String,
    /// What it says, for people.
    pub description: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
}

impl ActiveRule {
    fn approves_only(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome == APPROVE)
    }
}

/// The effect of one rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// Its id.
    pub rule_id: String,
    /// What it says.
    pub description: String,
    /// Orders it matched.
    pub hits: u64,
    /// Those that are fraud.
    pub fraud: u64,
    /// Those that are good.
    pub good: u64,
    /// The fraud that no other rule held up.
    pub fraud_only_here: Volume,
    /// Whether it only approves.
    pub approves_only: bool,
}

/// A decided order.
#[derive(Clone, Debug, Serialize)]
pub struct DecidedOrder {
    /// Its id.
    pub order_id: String,
    /// Which version of it was decided.
    pub revision: u64,
    /// What became of it.
    pub outcome: String,
    /// The rules that matched.
    pub rules: Vec<String>,
    /// Its total in US cents.
    pub cents: u64,
    /// Whether it is fraud.
    pub fraud: bool,
    /// What it was, in the simulator's words.
    pub truth: String,
}

/// What one set of rules did. Shares are from 0 to 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StateReport {
    /// What judged the orders.
    pub name: &'static str,
    /// The share of the money of all frauds whose orders were not approved.
    pub fraud_money_not_approved_share: f64,
    /// The share of the good orders that were blocked.
    pub good_orders_blocked_share: f64,
    /// The share of the good orders that were blocked, reviewed or challenged.
    pub good_orders_touched_share: f64,
    /// The share of the good orders that were challenged.
    pub good_orders_challenged_share: f64,
    /// The share of all orders that were reviewed.
    pub reviewed_share: f64,
    /// The share of fraud among the reviewed orders.
    pub review_precision: f64,
    /// Reviews for each day of the new orders.
    pub reviews_per_day: f64,
    /// Frauds by outcome.
    pub fraud: BTreeMap<String, Volume>,
    /// Good orders by outcome.
    pub good: BTreeMap<String, Volume>,
    /// Frauds by pattern: all, and those not approved.
    pub patterns: BTreeMap<String, (Volume, Volume)>,
    /// Orders whose links name another account, and all orders, by pattern of fraud or `honest`.
    pub linked: BTreeMap<String, (u64, u64)>,
    /// The rules, those first whose absence would cost the most fraud money.
    pub rules: Vec<RuleReport>,
    /// Orders with a value or a rule that could not be evaluated.
    pub undetermined: u64,
    /// Records that got no decision and were not rejected: always 0.
    pub undecided: u64,
    /// Deliveries of an order that was decided already.
    pub duplicates: u64,
    /// Rejected records: source position and reason.
    pub rejected: Vec<(String, String)>,
    /// Records a second, decisions on disk.
    pub records_per_second: f64,
    /// The decided orders.
    #[serde(skip)]
    pub orders: Vec<DecidedOrder>,
    #[serde(skip)]
    days: BTreeSet<String>,
}

impl StateReport {
    /// The report of a state, without orders.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Adds what came of a record.
    pub fn add_result(
        &mut self,
        id: &str,
        result: &Result<RecordEffect, Failure>,
        truth: &HashMap<String, KnownTruth>,
    ) {
        match result {
            Ok(RecordEffect::Decision(OrderResult::Decided(decision))) => {
                self.add(decision, truth.get(&decision.order_id));
            }
            Ok(_) => self.duplicates += 1,
            Err(Failure::Rejected(rejection)) => {
                self.rejected
                    .push((id.to_owned(), rejection.reason.clone()));
            }
            Err(Failure::Retry(_) | Failure::Skipped) => {}
        }
    }

    /// Adds a decision.
    fn add(&mut self, decision: &Decision, truth: Option<&KnownTruth>) {
        let cents = truth.map_or(0, |truth| parse_cents(&truth.amount_usd));
        let outcome = decision.effective_outcome.clone();
        let is_fraud = truth.is_some_and(|truth| truth.fraud);
        let side = if is_fraud {
            &mut self.fraud
        } else {
            &mut self.good
        };
        side.entry(outcome.clone()).or_default().add_order(cents);
        self.undetermined += u64::from(decision.undetermined);
        if let Some(truth) = truth {
            let links = decision.links.as_ref();
            let is_linked = links.is_some_and(|links| links.accounts > 0);
            let (linked, orders) = self.linked.entry(truth.pattern.clone()).or_default();
            *linked += u64::from(is_linked);
            *orders += 1;
        }
        let day: String = decision.event_timestamp.chars().take(10).collect();
        self.days.insert(day);
        if let Some(truth) = truth.filter(|truth| truth.fraud) {
            let pattern = self.patterns.entry(truth.pattern.clone());
            let (all, caught) = pattern.or_default();
            all.add_order(cents);
            if outcome != APPROVE {
                caught.add_order(cents);
            }
        }
        let rules = decision.verdict.matched_rules.iter();
        self.orders.push(DecidedOrder {
            order_id: decision.order_id.clone(),
            revision: decision.revision,
            outcome,
            rules: rules.map(|rule| rule.rule_id.clone()).collect(),
            cents,
            fraud: is_fraud,
            truth: truth.map_or_else(String::new, |truth| {
                format!("{}: {}", truth.pattern.replace('_', " "), truth.why)
            }),
        });
    }

    /// Works out the shares and the effects of the rules, once all orders are added.
    pub fn finish(&mut self, rules: &[ActiveRule]) {
        let of = |side: &BTreeMap<String, Volume>, outcome: &str| {
            side.get(outcome).copied().unwrap_or_default()
        };
        let sum = |side: &BTreeMap<String, Volume>| side.values().copied().sum::<Volume>();
        let (fraud, good) = (sum(&self.fraud), sum(&self.good));
        let reviews = of(&self.fraud, "review").orders + of(&self.good, "review").orders;
        let missed = of(&self.fraud, APPROVE).cents;
        self.fraud_money_not_approved_share = share(fraud.cents - missed, fraud.cents);
        self.good_orders_blocked_share = share(of(&self.good, "block").orders, good.orders);
        let untouched = of(&self.good, APPROVE).orders;
        self.good_orders_touched_share = share(good.orders - untouched, good.orders);
        self.good_orders_challenged_share = share(of(&self.good, "challenge").orders, good.orders);
        self.reviewed_share = share(reviews, fraud.orders + good.orders);
        self.review_precision = share(of(&self.fraud, "review").orders, reviews);
        self.reviews_per_day = share(reviews, self.days.len() as u64);
        self.rules = rules
            .iter()
            .map(|rule| self.report_rule(rule, rules))
            .collect();
        self.rules.sort_by_key(|rule| {
            (
                rule.approves_only,
                std::cmp::Reverse(rule.fraud_only_here.cents),
            )
        });
    }

    fn report_rule(&self, rule: &ActiveRule, all: &[ActiveRule]) -> RuleReport {
        let holds_up = |rule_id: &String| {
            let found = all.iter().find(|other| other.rule_id == *rule_id);
            found.is_some_and(|other| !other.approves_only())
        };
        let hits = self
            .orders
            .iter()
            .filter(|it| it.rules.contains(&rule.rule_id));
        let mut report = RuleReport {
            rule_id: rule.rule_id.clone(),
            description: rule.description.clone(),
            hits: 0,
            fraud: 0,
            good: 0,
            fraud_only_here: Volume::default(),
            approves_only: rule.approves_only(),
        };
        for order in hits {
            report.hits += 1;
            report.fraud += u64::from(order.fraud);
            report.good += u64::from(!order.fraud);
            let holding = order.rules.iter().filter(|id| holds_up(id)).count();
            if order.fraud && holding == 1 && !report.approves_only {
                report.fraud_only_here.add_order(order.cents);
            }
        }
        report
    }

    /// The dearest fraud that was not approved and that rules speak of.
    pub(super) fn example(&self) -> Option<&DecidedOrder> {
        let stopped = self.orders.iter();
        let stopped =
            stopped.filter(|it| it.fraud && it.outcome != APPROVE && !it.rules.is_empty());
        stopped.max_by_key(|order| order.cents)
    }

    /// The dearest fraud that was approved.
    pub(super) fn dearest_miss(&self) -> Option<&DecidedOrder> {
        let missed = self.orders.iter();
        let missed = missed.filter(|it| it.fraud && it.outcome == APPROVE);
        missed.max_by_key(|order| order.cents)
    }

    /// What the rules say that matched an order.
    pub(super) fn describe_rules(&self, order: &DecidedOrder) -> Vec<&str> {
        let rules = self.rules.iter();
        let matched = rules.filter(|rule| order.rules.contains(&rule.rule_id));
        matched.map(|rule| rule.description.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(rule_id: &str, outcome: &str) -> ActiveRule {
        ActiveRule {
            rule_id: rule_id.to_owned(),
            description: String::new(),
            outcomes: vec![outcome.to_owned()],
        }
    }

    /// Order, outcome, rules, cents, fraud.
    fn state(orders: &[(&str, &str, &[&str], u64, bool)]) -> StateReport {
        let mut state = StateReport::new("test");
        for (order_id, outcome, rules, cents, fraud) in orders {
            let side = if *fraud {
                &mut state.fraud
            } else {
                &mut state.good
            };
            side.entry((*outcome).to_owned())
                .or_default()
                .add_order(*cents);
            state.days.insert("2026-06-01".to_owned());
            state.orders.push(DecidedOrder {
                order_id: (*order_id).to_owned(),
                revision: 1,
                outcome: (*outcome).to_owned(),
                rules: rules.iter().map(ToString::to_string).collect(),
                cents: *cents,
                fraud: *fraud,
                truth: String::new(),
            });
        }
        state
    }

    #[expect(clippy::float_cmp, reason = "the shares are exact")]
    #[test]
    fn shares_are_of_money_for_fraud_and_of_orders_for_good_ones() {
        let mut state = state(&[
            ("a", "block", &["stolen", "dear"], 300, true),
            ("b", "approve", &["trusted"], 100, true),
            ("c", "review", &["dear"], 400, true),
            ("d", "review", &["dear"], 50, false),
            ("e", "approve", &[], 50, false),
            ("f", "challenge", &["stolen"], 50, false),
            ("g", "approve", &[], 50, false),
        ]);
        state.finish(&[
            rule("trusted", "approve"),
            rule("stolen", "block"),
            rule("dear", "review"),
            rule("dead", "block"),
        ]);
        assert_eq!(state.fraud_money_not_approved_share, 0.875);
        assert_eq!(state.good_orders_blocked_share, 0.0);
        assert_eq!(state.good_orders_touched_share, 0.5);
        assert_eq!(state.good_orders_challenged_share, 0.25);
        assert_eq!(state.review_precision, 0.5);
        assert_eq!(state.reviews_per_day, 2.0);
        let rules: Vec<(&str, u64, u64)> = state
            .rules
            .iter()
            .map(|rule| (rule.rule_id.as_str(), rule.hits, rule.fraud_only_here.cents))
            .collect();
        assert_eq!(
            rules,
            [
                ("dear", 3, 400),
                ("stolen", 2, 0),
                ("dead", 0, 0),
                ("trusted", 1, 0)
            ]
        );
        assert_eq!(state.example().unwrap().order_id, "c");
        assert_eq!(state.dearest_miss().unwrap().order_id, "b");
    }
}
