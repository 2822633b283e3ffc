//! Exact path-dependent Shapley values of the features of a tree (Lundberg, Erion, Lee 2018:
//! "Consistent individualized feature attribution for tree ensembles", algorithm 2).

use super::Forest;
use super::forest::compute_left_share;

/// One feature on the path from the root. The first step of a path stands for no feature.
#[derive(Clone, Copy)]
struct PathStep {
    feature: usize,
    /// The share of the rows that go this way when the feature is not known.
    unknown: f64,
    /// The same when it is known: 1 or 0.
    known: f64,
    /// The weight of the sets of known features that are as large as the step's number.
    weight: f64,
}

impl Forest {
    /// The contribution of each feature to the row's log-odds, as exact Shapley values. At a split of an unknown
    /// feature, rows go both ways in proportion to the covers. All values and [`expected`](Self::expected) add up to
    /// the log-odds. Takes about a hundred times as long as [`contributions`](Self::contributions).
    pub fn shapley(&self, row: &[f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.features];
        let mut stack = Vec::new();
        for root in &self.flat.roots {
            stack.push(PathStep {
                feature: 0,
                unknown: 1.0,
                known: 1.0,
                weight: 1.0,
            });
            self.add_subtree(*root as usize, row, &mut stack, 0, &mut values);
        }
        values
    }

    /// Adds the contributions of the leaves below a node to the features on the path to it. The path is the stack from
    /// `start` on, and is taken off the stack. The recursion is bounded, because the depth of a tree is.
    fn add_subtree(
        &self,
        at: usize,
        row: &[f64],
        stack: &mut Vec<PathStep>,
        start: usize,
        values: &mut [f64],
    ) {
        let node = self.flat.nodes[at];
        if node.is_leaf() {
            let path = &stack[start..];
            for (index, step) in path.iter().enumerate().skip(1) {
                values[step.feature] +=
                    sum_without_step(path, index) * (step.known - step.unknown) * node.value;
            }
            stack.truncate(start);
            return;
        }
        let left = node.left as usize;
        let taken = self.child(node, row) as usize;
        let share = compute_left_share(&self.flat, left);
        let feature = node.column();
        // If the feature is on the path already, the new step replaces the earlier one.
        let met = stack[start..]
            .iter()
            .skip(1)
            .position(|step| step.feature == feature);
        let (unknown, known) = met.map_or((1.0, 1.0), |met| {
            let step = remove_step(stack, start, met + 1);
            (step.unknown, step.known)
        });
        for (child, share) in [(left, share), (left + 1, 1.0 - share)] {
            let unknown = unknown * share;
            let known = if child == taken { known } else { 0.0 };
            // Otherwise no row gets there, whatever is known.
            if unknown > 0.0 || known > 0.0 {
                let next = stack.len();
                stack.extend_from_within(start..);
                push_step(stack, next, feature, unknown, known);
                self.add_subtree(child, row, stack, next, values);
            }
        }
        stack.truncate(start);
    }
}

/// Adds a feature to the path.
fn push_step(stack: &mut Vec<PathStep>, start: usize, feature: usize, unknown: f64, known: f64) {
    stack.push(PathStep {
        feature,
        unknown,
        known,
        weight: 0.0,
    });
    let path = &mut stack[start..];
    let depth = path.len() - 1;
    let part = count_to_f64(depth + 1).recip();
    for at in (0..depth).rev() {
        let weight = path[at].weight * part;
        path[at + 1].weight += known * weight * count_to_f64(at + 1);
        path[at].weight = unknown * weight * count_to_f64(depth - at);
    }
}

/// Removes a feature from the path: the inverse of [`extend`].
fn remove_step(stack: &mut Vec<PathStep>, start: usize, without: usize) -> PathStep {
    let path = &mut stack[start..];
    let removed = path[without];
    let last = path.len() - 1;
    let mut weights = Unwinding::new(path, removed);
    for at in (0..last).rev() {
        path[at].weight = weights.next(at, path[at].weight);
    }
    // Weights belong to positions on the path, not to features.
    for at in without..last {
        let next = path[at + 1];
        path[at] = PathStep {
            weight: path[at].weight,
            ..next
        };
    }
    stack.pop();
    removed
}

/// The sum of the weights of the path without one of its features.
fn sum_without_step(path: &[PathStep], without: usize) -> f64 {
    let mut weights = Unwinding::new(path, path[without]);
    let places = path[..path.len() - 1].iter().enumerate().rev();
    places.map(|(at, step)| weights.next(at, step.weight)).sum()
}

/// The weights of a path without one of its features, from its end.
struct Unwinding {
    length: usize,
    removed: PathStep,
    /// The weight to undo next.
    carried: f64,
    /// What divides the weights.
    divisor: f64,
}

impl Unwinding {
    fn new(path: &[PathStep], removed: PathStep) -> Self {
        let length = path.len();
        let share = if removed.known > 0.0 {
            removed.known
        } else {
            removed.unknown
        };
        Self {
            length,
            removed,
            carried: path[length - 1].weight,
            divisor: count_to_f64(length) / share,
        }
    }

    fn next(&mut self, at: usize, weight: f64) -> f64 {
        let rest = count_to_f64(self.length - 1 - at);
        if self.removed.known > 0.0 {
            let found = self.carried * self.divisor / count_to_f64(at + 1);
            self.carried = weight - found * self.removed.unknown * rest / count_to_f64(self.length);
            found
        } else {
            weight * self.divisor / rest
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "depths")]
fn count_to_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::trees::forest::compute_left_share;
    use crate::trees::{Forest, properties};

    const FEATURES: usize = 4;

    /// The value of a node if only the features in the set are known.
    fn value(forest: &Forest, at: usize, row: &[f64], known: usize) -> f64 {
        let node = forest.flat.nodes[at];
        if node.is_leaf() {
            return node.value;
        }
        let left = node.left as usize;
        if known >> node.column() & 1 == 1 {
            return value(forest, forest.child(node, row) as usize, row, known);
        }
        let share = compute_left_share(&forest.flat, left);
        share * value(forest, left, row, known)
            + (1.0 - share) * value(forest, left + 1, row, known)
    }

    /// Shapley values by their definition: the mean, over all orders, of what a feature adds when it becomes known.
    fn brute_force(forest: &Forest, row: &[f64]) -> Vec<f64> {
        let of = |known| -> f64 {
            let roots = forest.flat.roots.iter();
            roots
                .map(|root| value(forest, *root as usize, row, known))
                .sum()
        };
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        let count = u32::try_from(FEATURES).unwrap();
        (0..FEATURES)
            .map(|feature| {
                let others = (0..1 << FEATURES).filter(|set| set >> feature & 1 == 0);
                others
                    .map(|set: usize| {
                        let size = set.count_ones();
                        let weight =
                            factorial(size) * factorial(count - size - 1) / factorial(count);
                        weight * (of(set | 1 << feature) - of(set))
                    })
                    .sum()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn is_what_the_definition_says(forest in properties::forest(FEATURES), row in properties::row(FEATURES)) {
            let found = forest.shapley(&row);
            for (found, expected) in found.iter().zip(brute_force(&forest, &row)) {
                prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
    }
}
