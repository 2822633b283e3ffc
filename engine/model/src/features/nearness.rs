//! How near an IPv4 address is to addresses of known fraud.
//!
//! Attackers rent neighbouring addresses that belong to no common network of a usual size, so the rates of networks miss
//! them.

use super::plan::LearningPlan;

/// How many addresses are kept, at most: the last ones.
const MOST_ADDRESSES: usize = 40_000;
/// The distances within which known-bad addresses are counted, to either side.
const DISTANCES: [u32; 4] = [64, 4096, 65_536, 1_000_000];

/// How many numbers there are for an address.
pub(crate) const NEARNESS_FEATURES: usize = 1 + DISTANCES.len();

/// The addresses of known fraud, ascending. An address that occurred in several frauds is there as often.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BadAddresses(Vec<u32>);

impl BadAddresses {
    /// Keeps the last of some addresses, which are in order of time.
    fn new(in_time: impl DoubleEndedIterator<Item = u32>) -> Self {
        let mut addresses: Vec<u32> = in_time.rev().take(MOST_ADDRESSES).collect();
        addresses.sort_unstable();
        Self(addresses)
    }

    /// Addresses that were stored; `None` if they do not ascend.
    pub fn from_sorted(addresses: Vec<u32>) -> Option<Self> {
        addresses.is_sorted().then_some(Self(addresses))
    }

    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// The distance to the nearest address as a power of two, and the share of all addresses within each distance. All
    /// are unknown for a value that is no IPv4 address, and where no address is known.
    pub fn measure(&self, address: Option<u32>) -> [f64; NEARNESS_FEATURES] {
        let mut numbers = [f64::NAN; NEARNESS_FEATURES];
        let Some(address) = address.filter(|_| !self.0.is_empty()) else {
            return numbers;
        };
        let at = self.0.partition_point(|other| *other < address);
        let above = self.0.get(at).map(|other| other - address);
        let below = at.checked_sub(1).map(|at| address - self.0[at]);
        let nearest = above.into_iter().chain(below).min().unwrap_or(u32::MAX);
        numbers[0] = (f64::from(nearest) + 1.0).log2();
        for (number, distance) in numbers[1..].iter_mut().zip(DISTANCES) {
            let (low, high) = (
                address.saturating_sub(distance),
                address.saturating_add(distance),
            );
            let within = self.0.partition_point(|other| *other <= high)
                - self.0.partition_point(|other| *other < low);
            // A share, because more addresses are known in service than in training.
            #[expect(clippy::cast_precision_loss, reason = "at most 40,000")]
            let share = within as f64 / self.0.len() as f64;
            *number = share;
        }
        numbers
    }
}

/// The names of the numbers that [`BadAddresses::measure`] gives.
pub(super) fn list_nearness_names() -> Vec<String> {
    let within = DISTANCES.map(|distance| format!("bad address within {distance}"));
    std::iter::once("nearest bad address".to_owned())
        .chain(within)
        .collect()
}

/// Learns the addresses of fraud, and measures each row by those that it may see. `addresses` and `labels` are by row.
pub(super) fn fit_nearness(
    addresses: &[Option<u32>],
    labels: &[bool],
    plan: &LearningPlan,
) -> (BadAddresses, Vec<Vec<f64>>) {
    let bad_of = |rows: &[u32]| {
        let bad = rows.iter().filter(|row| labels[**row as usize]);
        let bad: Vec<u32> = bad.filter_map(|row| addresses[*row as usize]).collect();
        BadAddresses::new(bad.into_iter())
    };
    let mut columns = vec![vec![f64::NAN; addresses.len()]; NEARNESS_FEATURES];
    for (own, seen) in plan.visibility_groups() {
        let known = bad_of(&seen);
        for row in own {
            let row = row as usize;
            for (column, number) in columns.iter_mut().zip(known.measure(addresses[row])) {
                column[row] = number;
            }
        }
    }
    let training: Vec<u32> = (0_u32..)
        .take(plan.rows())
        .filter(|row| plan.is_training(*row as usize))
        .collect();
    (bad_of(&training), columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_shares() {
        let bad = BadAddresses::new([1000, 2000, 2000, 70_000].into_iter());
        for (address, expected) in [
            (2000, "[0.0, 0.5, 0.75, 0.75, 1.0]"),
            (1007, "[3.0, 0.25, 0.75, 0.75, 1.0]"),
            (u32::MAX, "[31.99997648655534, 0.0, 0.0, 0.0, 0.0]"),
        ] {
            assert_eq!(format!("{:?}", bad.measure(Some(address))), expected);
        }
        assert!(bad.measure(None).iter().all(|number| number.is_nan()));
        let none = BadAddresses::default();
        assert!(none.measure(Some(1)).iter().all(|number| number.is_nan()));
    }

    #[test]
    fn the_last_addresses_are_kept() {
        let many = u32::try_from(MOST_ADDRESSES).unwrap();
        let bad = BadAddresses::new(0..many + 10);
        assert_eq!(bad.as_slice().first(), Some(&10));
        assert_eq!(bad.as_slice().len(), MOST_ADDRESSES);
        assert_eq!(BadAddresses::from_sorted(vec![2, 1]), None);
    }

    #[test]
    fn a_row_sees_only_what_was_known() {
        let times: Vec<i64> = (0..100).collect();
        let labels: Vec<bool> = (0..100).map(|row| row % 2 == 0).collect();
        let addresses: Vec<Option<u32>> = (0..100).map(|row| Some(row * 1000)).collect();
        let plan = LearningPlan::by_time(&times, &times, 100);
        let (all, columns) = fit_nearness(&addresses, &labels, &plan);
        assert_eq!(all.as_slice().len(), 50);
        assert!(columns[0][0].is_nan(), "nothing was known");
        // Row 50 is the first of its block: the last bad address before it is that of row 48.
        assert!((columns[0][50] - 2001.0_f64.log2()).abs() < 1e-9);
    }
}
