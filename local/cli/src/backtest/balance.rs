//! Which side is better: only orders that one holds up and the other lets through can tell.

use serde::Serialize;

use super::intervals::ShareEstimate;
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
    /// Too few of the orders on which the sides differ are known.
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
    /// Weighs the orders on which the sides differ. A side is better where the 95 % interval of its share lies above a half.
    pub(super) fn new(held_up: TruthSums, let_through: TruthSums) -> Self {
        let share = |better: u64, worse: u64| ShareEstimate::new(better, better + worse);
        let frauds = share(held_up.fraud.orders, let_through.fraud.orders);
        let good = share(let_through.good.orders, held_up.good.orders);
        let is_better = |side: &Option<ShareEstimate>| side.is_some_and(|it| it.low > 0.5);
        let is_worse = |side: &Option<ShareEstimate>| side.is_some_and(|it| it.high < 0.5);
        let sides = [frauds, good];
        let verdict = match (sides.iter().any(is_better), sides.iter().any(is_worse)) {
            (true, true) => BalanceVerdict::Mixed,
            (true, false) => BalanceVerdict::Better,
            (false, true) => BalanceVerdict::Worse,
            (false, false) => BalanceVerdict::NotKnownYet,
        };
        Self {
            held_up_by_draft: held_up,
            let_through_by_draft: let_through,
            frauds_held_up: frauds,
            good_let_through: good,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sums::OrderSum;
    use super::*;

    #[test]
    fn few_differences_decide_nothing() {
        let sums = |fraud: u64, good: u64| TruthSums {
            fraud: OrderSum {
                orders: fraud,
                money: 0,
            },
            good: OrderSum {
                orders: good,
                money: 0,
            },
            ..TruthSums::default()
        };
        for (held_up, let_through, want) in [
            (sums(0, 0), sums(0, 0), BalanceVerdict::NotKnownYet),
            (sums(3, 0), sums(0, 0), BalanceVerdict::NotKnownYet),
            // Four of four: the interval begins at 0.51.
            (sums(4, 0), sums(0, 0), BalanceVerdict::Better),
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
