//! What a backtest found.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::Serialize;

use super::balance::Balance;
use super::intervals::ShareEstimate;
use super::sums::TruthSums;
use super::{JudgedOrder, JudgedOrders};

const SECONDS_PER_DAY: i64 = 86_400;

/// What would have been different.
#[derive(Debug, Serialize)]
pub struct BacktestReport {
    /// The draft.
    pub draft: String,
    /// What it is compared with.
    pub against: String,
    /// When the first and the last order was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<(String, String)>,
    /// From the first order to the last, at least one.
    pub days: f64,
    /// The currency of all money, if the mapping has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// All orders.
    pub orders: TruthSums,
    /// After how many days an order without a label counts as good.
    pub maturity_days: i64,
    /// What the other side decides.
    pub before: SideReport,
    /// What the draft decides.
    pub after: SideReport,
    /// The draft's rules, those that hold up the most fraud money first.
    pub rules: Vec<DraftRuleReport>,
    /// Orders that are decided differently, by both outcomes.
    pub changes: Vec<ChangeReport>,
    /// Orders that one side holds up and the other lets through.
    pub balance: Balance,
    /// Examples of these.
    pub examples: Vec<ExampleList>,
    /// Values that are not of the type that the draft gives their variables.
    pub invalid_values: u64,
    /// Every order that is decided differently, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_orders: Option<Vec<ChangedOrder>>,
}

/// What one side decides.
#[derive(Debug, Default, Serialize)]
pub struct SideReport {
    /// Orders by effective outcome.
    pub outcomes: BTreeMap<String, TruthSums>,
    /// Orders that are not let through: blocked, reviewed or challenged.
    pub held_up: TruthSums,
    /// The share of the held up orders, of those that are known, that are fraud.
    pub precision: Option<ShareEstimate>,
    /// The share of the frauds that are held up.
    pub recall: Option<ShareEstimate>,
    /// Orders a day that wait for a reviewer.
    pub reviews_a_day: f64,
}

/// What one rule of the draft does.
#[derive(Debug, Serialize)]
pub struct DraftRuleReport {
    /// The rule.
    pub id: String,
    /// Its outcomes.
    pub outcomes: Vec<String>,
    /// Orders that it matches.
    pub matched: TruthSums,
    /// Orders that no other rule matches.
    pub matched_alone: TruthSums,
    /// The share of its orders, of those that are known, that are fraud.
    pub precision: Option<ShareEstimate>,
    /// The share of the frauds that it matches.
    pub recall: Option<ShareEstimate>,
    /// Orders for which it cannot be evaluated.
    pub undetermined: u64,
    /// Variables that it reads and no decision of the range has: what it does cannot be told from these decisions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_computable_because_of: Vec<String>,
}

/// Orders that are decided differently in one way.
#[derive(Debug, Serialize)]
pub struct ChangeReport {
    /// The outcome of the other side.
    pub before: String,
    /// The outcome of the draft.
    pub after: String,
    /// The orders.
    pub orders: TruthSums,
}

/// Orders to look at.
#[derive(Debug, Serialize)]
pub struct ExampleList {
    /// What they have in common.
    pub what: &'static str,
    /// The dearest first.
    pub orders: Vec<ChangedOrder>,
}

/// An order that is decided differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedOrder {
    /// The order.
    pub order_id: String,
    /// What it is worth, in hundredths.
    pub money: i64,
    /// The outcome of the other side.
    pub before: String,
    /// The outcome of the draft.
    pub after: String,
    /// `fraud`, `good` or `not known yet`.
    pub truth: &'static str,
}

/// How a report is made.
pub struct ReportOptions {
    /// The name of the draft.
    pub draft: String,
    /// The name of what it is compared with.
    pub against: String,
    /// Whether to list every order that is decided differently.
    pub list_changes: bool,
}

/// How an order is counted.
struct OrderCounting {
    /// Orders without a label that were made before this time, in seconds since 1970, count as good.
    good_before: i64,
    /// Places of outcomes that let an order through.
    passing: Vec<u16>,
}

impl OrderCounting {
    fn name_truth(&self, order: &JudgedOrder) -> &'static str {
        let mut sums = TruthSums::default();
        sums.add(order, self.good_before);
        match (sums.fraud.orders, sums.good.orders) {
            (1, _) => "fraud",
            (_, 1) => "good",
            _ => "not known yet",
        }
    }

    fn is_held_up(&self, outcome: Option<u16>) -> bool {
        outcome.is_some_and(|outcome| !self.passing.contains(&outcome))
    }
}

impl JudgedOrders<'_> {
    /// Counts what was judged.
    pub fn report(self, options: ReportOptions) -> BacktestReport {
        let mapping = self.backtest.mapping;
        let times = self.orders.iter().map(|order| order.time);
        let (first, last) = (times.clone().min(), times.max());
        let maturity = self.backtest.maturity_seconds;
        let counting = OrderCounting {
            good_before: last.unwrap_or_default().saturating_sub(maturity),
            passing: self.list_passing(),
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of some years are far below 2^52"
        )]
        let days = match (first, last) {
            (Some(first), Some(last)) => ((last - first) as f64 / SECONDS_PER_DAY as f64).max(1.0),
            _ => 1.0,
        };
        let mut orders = TruthSums::default();
        self.orders
            .iter()
            .for_each(|order| orders.add(order, counting.good_before));
        let changed = self.list_changed_orders(&counting);
        let format = |time: Option<i64>| {
            Some(
                Timestamp::from_jiff(jiff::Timestamp::from_second(time?).ok()?)
                    .ok()?
                    .to_string(),
            )
        };
        let currencies: Vec<&str> = mapping.amounts().map(|(_, currency)| currency).collect();
        BacktestReport {
            before: self.describe_side(&counting, days, |order| order.before),
            after: self.describe_side(&counting, days, |order| order.after),
            rules: self.describe_rules(&counting, &orders),
            changes: self.describe_changes(&counting),
            balance: self.weigh_sides(&counting),
            examples: self.pick_examples(&counting, &changed),
            changed_orders: options.list_changes.then_some(changed),
            draft: options.draft,
            against: options.against,
            times: format(first).zip(format(last)),
            days,
            currency: currencies.first().map(|currency| (*currency).to_owned()),
            orders,
            maturity_days: maturity / SECONDS_PER_DAY,
            invalid_values: self.invalid_values,
        }
    }

    fn name_outcome(&self, outcome: Option<u16>) -> String {
        let name = outcome.and_then(|place| self.outcomes.get(usize::from(place)));
        name.cloned().unwrap_or_else(|| "none".to_owned())
    }

    /// The outcomes that let an order through: those that no match gives, and what is less important than these.
    fn list_passing(&self) -> Vec<u16> {
        let mapping = self.backtest.mapping;
        let known = mapping.outcome_priority();
        let first = known
            .iter()
            .position(|outcome| mapping.on_no_match().contains(outcome));
        let places = first.map_or(0..0, |first| first..known.len());
        places
            .filter_map(|place| u16::try_from(place).ok())
            .collect()
    }

    fn weigh_sides(&self, counting: &OrderCounting) -> Balance {
        let (mut held_up, mut let_through) = (TruthSums::default(), TruthSums::default());
        for order in &self.orders {
            let holds = |outcome| counting.is_held_up(outcome);
            match (holds(order.before), holds(order.after)) {
                (false, true) => held_up.add(order, counting.good_before),
                (true, false) => let_through.add(order, counting.good_before),
                _ => {}
            }
        }
        Balance::new(held_up, let_through)
    }

    fn describe_side(
        &self,
        counting: &OrderCounting,
        days: f64,
        outcome: impl Fn(&JudgedOrder) -> Option<u16>,
    ) -> SideReport {
        let mut by_place: BTreeMap<Option<u16>, TruthSums> = BTreeMap::new();
        let mut held_up = TruthSums::default();
        let mut frauds = 0;
        for order in &self.orders {
            let outcome = outcome(order);
            let sums = by_place.entry(outcome).or_default();
            sums.add(order, counting.good_before);
            if counting.is_held_up(outcome) {
                held_up.add(order, counting.good_before);
            }
        }
        let mut reviews = 0;
        let mut outcomes = BTreeMap::new();
        for (place, sums) in by_place {
            frauds += sums.fraud.orders;
            let name = self.name_outcome(place);
            let reviewable = self.backtest.mapping.reviewable().iter();
            if reviewable
                .into_iter()
                .any(|outcome| outcome.as_str() == name)
            {
                reviews += sums.orders();
            }
            outcomes.insert(name, sums);
        }
        let known = held_up.fraud.orders + held_up.good.orders;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let reviews_a_day = reviews as f64 / days;
        SideReport {
            outcomes,
            held_up,
            precision: ShareEstimate::new(held_up.fraud.orders, known),
            recall: ShareEstimate::new(held_up.fraud.orders, frauds),
            reviews_a_day,
        }
    }

    fn describe_rules(&self, counting: &OrderCounting, all: &TruthSums) -> Vec<DraftRuleReport> {
        let rules = &self.backtest.draft.rules;
        let mut matched = vec![TruthSums::default(); rules.len()];
        let mut alone = matched.clone();
        for order in &self.orders {
            let count: u32 = order.matched.iter().map(|bits| bits.count_ones()).sum();
            for place in list_bits(&order.matched) {
                matched[place].add(order, counting.good_before);
                if count == 1 {
                    alone[place].add(order, counting.good_before);
                }
            }
        }
        let mut reports: Vec<DraftRuleReport> = rules
            .iter()
            .enumerate()
            .map(|(place, rule)| {
                let matched = matched[place];
                let known = matched.fraud.orders + matched.good.orders;
                let unseen = rule
                    .rule
                    .variables()
                    .filter(|name| !self.seen.contains(*name));
                DraftRuleReport {
                    id: rule.id.clone(),
                    outcomes: rule.outcomes.clone(),
                    matched,
                    matched_alone: alone[place],
                    precision: ShareEstimate::new(matched.fraud.orders, known),
                    recall: ShareEstimate::new(matched.fraud.orders, all.fraud.orders),
                    undetermined: self.undetermined[place],
                    not_computable_because_of: unseen.map(str::to_owned).collect(),
                }
            })
            .collect();
        // The sort is stable: of equal rules the first of the file.
        reports.sort_by_key(|rule| {
            std::cmp::Reverse((rule.matched_alone.fraud.money, rule.matched.fraud.money))
        });
        reports
    }

    fn describe_changes(&self, counting: &OrderCounting) -> Vec<ChangeReport> {
        let mut changes: BTreeMap<(Option<u16>, Option<u16>), TruthSums> = BTreeMap::new();
        for order in self
            .orders
            .iter()
            .filter(|order| order.before != order.after)
        {
            let sums = changes.entry((order.before, order.after)).or_default();
            sums.add(order, counting.good_before);
        }
        let mut changes: Vec<ChangeReport> = changes
            .into_iter()
            .map(|((before, after), orders)| ChangeReport {
                before: self.name_outcome(before),
                after: self.name_outcome(after),
                orders,
            })
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.orders.orders()));
        changes
    }

    /// The orders that are decided differently, the dearest first.
    fn list_changed_orders(&self, counting: &OrderCounting) -> Vec<ChangedOrder> {
        let mut changed: Vec<ChangedOrder> = self
            .orders
            .iter()
            .filter_map(|order| {
                Some(ChangedOrder {
                    order_id: order.order_id.as_deref()?.to_owned(),
                    money: order.money,
                    before: self.name_outcome(order.before),
                    after: self.name_outcome(order.after),
                    truth: counting.name_truth(order),
                })
            })
            .collect();
        changed.sort_by(|one, other| {
            other
                .money
                .cmp(&one.money)
                .then_with(|| one.order_id.cmp(&other.order_id))
        });
        changed
    }

    fn pick_examples(
        &self,
        counting: &OrderCounting,
        changed: &[ChangedOrder],
    ) -> Vec<ExampleList> {
        let held_up = |name: &str| counting.is_held_up(self.find_outcome(name));
        let kinds: [(&'static str, &str, bool); 4] = [
            (
                "fraud that the draft holds up and the other side lets through",
                "fraud",
                true,
            ),
            (
                "fraud that the draft lets through and the other side holds up",
                "fraud",
                false,
            ),
            (
                "good orders that the draft holds up and the other side lets through",
                "good",
                true,
            ),
            (
                "good orders that the draft lets through and the other side holds up",
                "good",
                false,
            ),
        ];
        let lists = kinds.map(|(what, truth, after)| {
            let fits = |order: &&ChangedOrder| {
                order.truth == truth
                    && held_up(&order.after) == after
                    && held_up(&order.before) != after
            };
            let orders = changed.iter().filter(fits).take(self.backtest.examples);
            ExampleList {
                what,
                orders: orders.cloned().collect(),
            }
        });
        lists
            .into_iter()
            .filter(|list| !list.orders.is_empty())
            .collect()
    }
}

fn list_bits(bits: &[u64]) -> impl Iterator<Item = usize> {
    let words = bits.iter().enumerate();
    words.flat_map(|(word, bits)| {
        (0..64)
            .filter(move |bit| bits >> bit & 1 == 1)
            .map(move |bit| word * 64 + bit)
    })
}
