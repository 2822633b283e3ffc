//! Which side is better: only orders that one holds up and the other lets through can tell.

use serde::Serialize;

use super::intervals::{ShareEstimate, is_no_chance};
use super::sums::TruthSums;

/// Whether the draft is better than the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceVerdict {
    /// Better for frauds or for good orders, and not worse for the others.
    Better,
    /// Worse for frauds or for good orders, and not better for the others.
    Worse,
    /// Better for the ones and worse for the others: a question of money.
    Mixed,
    /// What is known of the orders on which the sides differ is too little, or less than what is not known yet.
    NotKnownYet,
}

/// Orders that one side holds up and the other lets through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Balance {
    /// Those that only the draft holds up.
    pub held_up_by_draft: TruthSums,
    /// Those that only the draft lets through.
    pub let_through_by_draft: TruthSums,
    /// Of the frauds among both, the share that the draft holds up.
    pub frauds_held_up: Option<ShareEstimate>,
    /// Of the good orders among both, the share that the draft lets through.
    pub good_let_through: Option<ShareEstimate>,
    /// What follows.
    pub verdict: BalanceVerdict,
}

impl Balance {
    /// Weighs the orders on which the sides differ.
    pub(super) fn new(held_up: TruthSums, let_through: TruthSums) -> Self {
        let share = |better: u64, worse: u64| ShareEstimate::new(better, better + worse);
        Self {
            held_up_by_draft: held_up,
            let_through_by_draft: let_through,
            frauds_held_up: share(held_up.fraud.orders, let_through.fraud.orders),
            good_let_through: share(let_through.good.orders, held_up.good.orders),
            verdict: judge_all(&held_up, &let_through),
        }
    }
}

/// Judges by what is known, unless what is not known yet is more, or would change the verdict if it is good, as most is:
/// frauds are known early, and good orders only after the time in which fraud is reported.
fn judge_all(held_up: &TruthSums, let_through: &TruthSums) -> BalanceVerdict {
    let open = held_up.not_known_yet.orders + let_through.not_known_yet.orders;
    let known = held_up.orders() + let_through.orders() - open;
    let verdict = judge_known(held_up, let_through);
    let later = judge_known(
        &count_open_as_good(held_up),
        &count_open_as_good(let_through),
    );
    if open > known || later != verdict {
        return BalanceVerdict::NotKnownYet;
    }
    verdict
}

fn count_open_as_good(sums: &TruthSums) -> TruthSums {
    let mut counted = *sums;
    counted.good.orders += counted.not_known_yet.orders;
    counted
}

/// Judges by frauds and good orders. A side is better or worse for either only where chance does not explain it.
fn judge_known(held_up: &TruthSums, let_through: &TruthSums) -> BalanceVerdict {
    let sides = [
        (held_up.fraud.orders, let_through.fraud.orders),
        (let_through.good.orders, held_up.good.orders),
    ];
    let is_better = sides
        .iter()
        .any(|(better, worse)| better > worse && is_no_chance(*better, *worse));
    let is_worse = sides
        .iter()
        .any(|(better, worse)| better < worse && is_no_chance(*better, *worse));
    match (is_better, is_worse) {
        (true, true) => BalanceVerdict::Mixed,
        (true, false) => BalanceVerdict::Better,
        (false, true) => BalanceVerdict::Worse,
        (false, false) => BalanceVerdict::NotKnownYet,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::OrderSum;
    use super::*;

    fn open_sums(fraud: u64, good: u64, open: u64) -> TruthSums {
        let count = |orders| OrderSum { orders, money: 0 };
        TruthSums {
            fraud: count(fraud),
            good: count(good),
            not_known_yet: count(open),
        }
    }

    #[test]
    fn what_is_not_known_yet_leaves_it_open() {
        let none = open_sums(0, 0, 0);
        for (held_up, let_through, want) in [
            (open_sums(10, 0, 2), none, BalanceVerdict::Better),
            // More may come to light than has.
            (open_sums(10, 0, 11), none, BalanceVerdict::NotKnownYet),
            (
                open_sums(10, 0, 0),
                open_sums(0, 0, 11),
                BalanceVerdict::NotKnownYet,
            ),
            // If these are good, the draft is worse for good orders.
            (open_sums(10, 0, 6), none, BalanceVerdict::NotKnownYet),
            (open_sums(0, 9, 6), none, BalanceVerdict::Worse),
            (open_sums(10, 9, 6), none, BalanceVerdict::Mixed),
        ] {
            let got = Balance::new(held_up, let_through).verdict;
            assert_eq!(got, want, "{held_up:?} {let_through:?}");
        }
    }

    #[test]
    fn few_differences_decide_nothing() {
        let sums = |fraud: u64, good: u64| open_sums(fraud, good, 0);
        for (held_up, let_through, want) in [
            (sums(0, 0), sums(0, 0), BalanceVerdict::NotKnownYet),
            (sums(3, 0), sums(0, 0), BalanceVerdict::NotKnownYet),
            // Five of five are chance once in sixteen times, six of six once in thirty-two.
            (sums(5, 0), sums(0, 0), BalanceVerdict::NotKnownYet),
            (sums(6, 0), sums(0, 0), BalanceVerdict::Better),
            (sums(10, 0), sums(2, 1), BalanceVerdict::Better),
            (sums(0, 9), sums(0, 0), BalanceVerdict::Worse),
            (sums(10, 20), sums(1, 0), BalanceVerdict::Mixed),
            (sums(5, 5), sums(5, 5), BalanceVerdict::NotKnownYet),
        ] {
            let got = Balance::new(held_up, let_through).verdict;
            assert_eq!(got, want, "{held_up:?} {let_through:?}");
        }
    }
}
