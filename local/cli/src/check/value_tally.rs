//! What a file has of one variable.

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxBuildHasher;

/// Beyond so many different values it is only said that there are at least as many.
pub(super) const MOST_DISTINCT: usize = 10_000;
/// Examples of a variable.
const EXAMPLES: usize = 3;
/// Different problems of one kind that are kept.
const MOST_PROBLEMS: usize = 20;

/// Problems with their counts; of many different ones, the first.
#[derive(Debug, Default)]
pub(super) struct ProblemCounts(pub(super) BTreeMap<String, u64>);

impl ProblemCounts {
    pub(super) fn add(&mut self, problem: &str, count: u64) {
        if let Some(known) = self.0.get_mut(problem) {
            *known += count;
        } else if self.0.len() < MOST_PROBLEMS {
            self.0.insert(problem.to_owned(), count);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (problem, count) in other.0 {
            self.add(&problem, count);
        }
    }
}

/// What the records have of one variable.
#[derive(Debug, Default)]
pub(super) struct ValueTally {
    /// Orders with a value.
    pub(super) filled: u64,
    /// Orders whose value could not be read, and why.
    pub(super) invalid: u64,
    pub(super) problems: ProblemCounts,
    /// The hashes of the different values, at most [`MOST_DISTINCT`].
    pub(super) distinct: HashSet<u64, FxBuildHasher>,
    /// The first different values, each with the number of its record.
    pub(super) examples: Vec<(u64, String)>,
}

impl ValueTally {
    pub(super) fn add_value(&mut self, record: u64, hash: u64, value: &str) {
        self.filled += 1;
        let is_new = self.distinct.len() < MOST_DISTINCT && self.distinct.insert(hash);
        if is_new && self.examples.len() < EXAMPLES {
            self.examples.push((record, value.to_owned()));
        }
    }

    pub(super) fn add_problem(&mut self, problem: &str) {
        self.invalid += 1;
        self.problems.add(problem, 1);
    }

    /// Notes that a value that was counted cannot be used.
    pub(super) fn refuse_value(&mut self, problem: &str) {
        self.filled = self.filled.saturating_sub(1);
        self.add_problem(problem);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.filled += other.filled;
        self.invalid += other.invalid;
        self.problems.merge(other.problems);
        for hash in other.distinct {
            if self.distinct.len() < MOST_DISTINCT {
                self.distinct.insert(hash);
            }
        }
        self.examples.extend(other.examples);
        self.examples.sort();
        let mut seen = HashSet::new();
        self.examples
            .retain(|(_, value)| seen.insert(value.clone()));
        self.examples.truncate(EXAMPLES);
    }
}
