//! Deterministic chance from a seed and a name.
//!
//! Every draw is a hash of the seed and of a name that says what the draw is for, such as `call PutItem Decisions
//! order#7 #2`. So a draw does not depend on how many others were made before: if some orders are left out, the others
//! meet the same disturbances. That makes it possible to shrink a failing day ([`shrink`](super::shrink)).

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The random choices of one seed. It has no state and is free to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A random number for a name, the same each time.
    pub fn draw(self, name: impl fmt::Display) -> u64 {
        let digest = Sha256::digest(format!("{}/{name}", self.seed));
        let first: [u8; 8] = std::array::from_fn(|place| digest[place]);
        u64::from_be_bytes(first)
    }

    /// Whether the named event happens; its probability is `per_mille` in a thousand.
    pub fn happens(self, name: impl fmt::Display, per_mille: u64) -> bool {
        self.draw(name) % 1000 < per_mille
    }

    /// A number from `least` to below `end`, or `least` if that range is empty.
    pub fn between(self, name: impl fmt::Display, least: u64, end: u64) -> u64 {
        least + self.draw(name) % end.saturating_sub(least).max(1)
    }

    /// An index into a list of length `len`, or 0 if it is empty.
    pub fn place(self, name: impl fmt::Display, len: usize) -> usize {
        let len = u64::try_from(len).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw(name) % len).unwrap_or(0)
    }

    /// An element of a list.
    ///
    /// # Panics
    /// If the list is empty.
    pub fn one_of<T: Copy>(self, name: impl fmt::Display, list: &[T]) -> T {
        list[self.place(name, list.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_own_chance() {
        let dice = Dice::new(7);
        assert_eq!(dice.draw("a"), Dice::new(7).draw("a"));
        assert_ne!(dice.draw("a"), dice.draw("b"));
        assert_ne!(dice.draw("a"), Dice::new(8).draw("a"));
        let times = (0..10_000).filter(|n| dice.happens(n, 300)).count();
        assert!((2_800..3_200).contains(&times), "{times}");
        assert!((0..1_000).all(|n| (5..8).contains(&dice.between(n, 5, 8))));
        assert_eq!(dice.between("nothing between", 5, 5), 5);
        assert_eq!(dice.place("an empty list", 0), 0);
    }
}
