//! Exact Shapley values of a tree's features, path-dependent (Lundberg, Erion, Lee 2018:
//! "Consistent individualized feature attribution for tree ensembles", algorithm 2).

use super::Forest;
use super::forest::left_share;

/// One feature on the way from the root. The first step of a path stands for no feature.
#[derive(Clone, Copy)]
struct Step {
    feature: usize,
    /// The share of the rows that go this way when the feature is not known.
    unknown: f64,
    /// The same when it is known: 1 or 0.
    known: f64,
    /// The weight of the sets of known features that are as large as the step's number.
    weight: f64,
}

impl Forest {
    /// What each feature contributes to the row's log-odds: the exact Shapley values where the
    /// rows of an unknown feature go both ways, by their covers. With
    /// [`expected`](Self::expected) they sum to the log-odds. Some hundred times the work of
    /// [`contributions`](Self::contributions).
    pub fn shapley(&self, row: &[f64]) -> Vec<f64> {
        let mut values = vec![0.0; self.features];
        for root in &self.flat.roots {
            let start = Step {
                feature: 0,
                unknown: 1.0,
                known: 1.0,
                weight: 1.0,
            };
            self.descend(*root as usize, row, &[start], &mut values);
        }
        values
    }

    /// Adds what the leaves below a node give to the features on the path to it. A tree's depth
    /// is bounded, and so is this recursion.
    fn descend(&self, at: usize, row: &[f64], path: &[Step], values: &mut [f64]) {
        let node = self.flat.nodes[at];
        if node.is_leaf() {
            for (index, step) in path.iter().enumerate().skip(1) {
                values[step.feature] +=
                    unwound(path, index) * (step.known - step.unknown) * node.value;
            }
            return;
        }
        let left = node.left as usize;
        let taken = self.child(node, row) as usize;
        let share = left_share(&self.flat, left);
        let feature = node.column();
        // A feature that is met again takes the place of its first step.
        let before = path.iter().skip(1).position(|step| step.feature == feature);
        let (path, before) = match before {
            Some(at) => (
                unwind(path, at + 1),
                (path[at + 1].unknown, path[at + 1].known),
            ),
            None => (path.to_vec(), (1.0, 1.0)),
        };
        for (child, share) in [(left, share), (left + 1, 1.0 - share)] {
            let unknown = before.0 * share;
            let known = if child == taken { before.1 } else { 0.0 };
            // Nothing gets there, whatever is known.
            if unknown > 0.0 || known > 0.0 {
                self.descend(child, row, &extend(&path, feature, unknown, known), values);
            }
        }
    }
}

/// The path with one more feature.
fn extend(path: &[Step], feature: usize, unknown: f64, known: f64) -> Vec<Step> {
    let depth = path.len();
    let mut path = path.to_vec();
    path.push(Step {
        feature,
        unknown,
        known,
        weight: 0.0,
    });
    for at in (0..depth).rev() {
        let weight = path[at].weight;
        path[at + 1].weight += known * weight * ratio(at + 1, depth + 1);
        path[at].weight = unknown * weight * ratio(depth - at, depth + 1);
    }
    path
}

/// The path without one of its features: undoes [`extend`].
fn unwind(path: &[Step], without: usize) -> Vec<Step> {
    let mut shorter = path.to_vec();
    let weights = unwound_weights(path, without);
    shorter.remove(without);
    for (step, weight) in shorter.iter_mut().zip(weights) {
        step.weight = weight;
    }
    shorter
}

/// The sum of the weights of the path without one of its features.
fn unwound(path: &[Step], without: usize) -> f64 {
    unwound_weights(path, without).into_iter().sum()
}

fn unwound_weights(path: &[Step], without: usize) -> Vec<f64> {
    let last = path.len() - 1;
    let Step { unknown, known, .. } = path[without];
    let mut weights = vec![0.0; last];
    let mut next = path[last].weight;
    for at in (0..last).rev() {
        if known == 0.0 {
            weights[at] = path[at].weight / (unknown * ratio(last - at, last + 1));
        } else {
            weights[at] = next / (known * ratio(at + 1, last + 1));
            next = path[at].weight - weights[at] * unknown * ratio(last - at, last + 1);
        }
    }
    weights
}

#[expect(clippy::cast_precision_loss, reason = "depths")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::trees::forest::left_share;
    use crate::trees::{Forest, laws};

    const FEATURES: usize = 4;

    /// The value of a node when only the features of the set are known.
    fn value(forest: &Forest, at: usize, row: &[f64], known: usize) -> f64 {
        let node = forest.flat.nodes[at];
        if node.is_leaf() {
            return node.value;
        }
        let left = node.left as usize;
        if known >> node.column() & 1 == 1 {
            return value(forest, forest.child(node, row) as usize, row, known);
        }
        let share = left_share(&forest.flat, left);
        share * value(forest, left, row, known)
            + (1.0 - share) * value(forest, left + 1, row, known)
    }

    /// By the definition: the mean over all orders of what a feature adds when it becomes known.
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
        fn is_what_the_definition_says(forest in laws::forest(FEATURES), row in laws::row(FEATURES)) {
            let found = forest.shapley(&row);
            for (found, expected) in found.iter().zip(brute_force(&forest, &row)) {
                prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
    }
}
