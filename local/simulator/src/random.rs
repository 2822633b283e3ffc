//! Random numbers that are the same on every machine.
//!
//! Every draw is integer arithmetic over `ChaCha8`: `exp`, `ln` and `powf` differ between
//! platforms in their last bit, and one bit is enough to change everything that follows.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A distribution as points of its quantile function: (permille, value), both ascending.
pub(super) type QuantileCurve = [(i64, i64)];

/// One stream of random numbers. Each part of the simulation has its own, so that a change to the
/// frauds changes no honest order.
pub(super) struct RandomStream(ChaCha8Rng);

impl RandomStream {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(stream);
        Self(source)
    }

    /// A number from 0 to `end - 1`; 0 when there is nothing to choose from.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let choices = high.saturating_sub(low).saturating_add(1);
        let step = self.below(u64::try_from(choices).unwrap_or(1));
        low.saturating_add(i64::try_from(step).unwrap_or(0))
    }

    /// A place in a list of `length`.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let end = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.below(end)).unwrap_or(0)
    }

    /// True `permille` times out of a thousand.
    pub(super) fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// One of a list that must not be empty, each as likely as the next.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.index(choices.len());
        &choices[index]
    }

    /// One of a list that must not be empty, in proportion to its weight.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(T, u64)]) -> T {
        let mut left = self.below(choices.iter().map(|&(_, weight)| weight).sum());
        for &(value, weight) in choices {
            if left < weight {
                return value;
            }
            left -= weight;
        }
        choices[0].0
    }

    /// A value drawn from a curve.
    pub(super) fn curve(&mut self, curve: &QuantileCurve) -> i64 {
        let at = self.between(0, 999);
        for pair in curve.windows(2) {
            let ((from, low), (to, high)) = (pair[0], pair[1]);
            if at < to {
                // A second draw chooses between two permilles, so that values do not cluster.
                let fine = (at - from) * 1000 + self.between(0, 999);
                return low + (high - low) * fine / ((to - from) * 1000);
            }
        }
        curve.last().map_or(0, |&(_, value)| value)
    }

    /// `length` hexadecimal digits.
    pub(super) fn hex(&mut self, length: usize) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        (0..length)
            .map(|_| char::from(*self.pick(DIGITS)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::RandomStream;

    #[test]
    fn the_same_seed_and_stream_draw_the_same() {
        let draw = |seed, stream| RandomStream::new(seed, stream).hex(32);
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn a_curve_stays_within_its_points_and_keeps_its_median() {
        let mut chance = RandomStream::new(1, 1);
        let mut draws: Vec<i64> = (0..10_000)
            .map(|_| chance.curve(&[(0, 4), (500, 25), (1000, 120)]))
            .collect();
        draws.sort_unstable();
        assert!(draws[0] >= 4 && draws[9_999] <= 120);
        assert!((24..=26).contains(&draws[5_000]), "{}", draws[5_000]);
    }

    #[test]
    fn nothing_to_choose_from_is_zero() {
        assert_eq!(RandomStream::new(1, 1).below(0), 0);
        assert_eq!(RandomStream::new(1, 1).between(3, 3), 3);
    }
}
