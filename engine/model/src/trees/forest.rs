//! Forests: scoring and path attribution.

use super::layout::{Branch, CATEGORIES, FlatNode, FlatTrees, LEAF, MISSING_LEFT, ZERO_MISSING};
use super::{TreeError, layout};

/// How many trees are evaluated side by side: while one node is loaded from memory, others are compared.
const ABREAST: usize = 8;

/// Values no further from zero than this may count as zero: LightGBM's `kZeroThreshold`, which is an `f32`.
pub(crate) const NEAR_ZERO: f64 = 1e-35_f32 as f64;

/// A sum of decision trees, ready to score.
///
/// A row has one value for each feature, `NaN` where it is missing. Values beyond the end of the row are missing too.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    pub(super) features: usize,
    pub(super) base: f64,
    pub(super) flat: FlatTrees,
    /// For each node, the mean of the leaves below it, weighted by cover.
    pub(super) means: Vec<f64>,
    expected: f64,
    /// Whether some split is not a plain comparison.
    special: bool,
}

impl Forest {
    /// A forest over so many features: `base` plus one leaf of each tree is the log-odds.
    ///
    /// # Errors
    /// [`TreeError::Tree`] if the nodes of a tree are not a tree over these features,
    /// [`TreeError::TooManyColumns`].
    pub fn new<'a>(
        features: usize,
        base: f64,
        trees: impl IntoIterator<Item = &'a [Branch]>,
    ) -> Result<Self, TreeError> {
        let mut flat = FlatTrees::default();
        for tree in trees {
            flat.push_tree(features, tree)?;
        }
        Self::from_flat(features, base, flat)
    }

    /// The forest whose log-odds are the mean of those of other forests over the same features. It has all their trees.
    ///
    /// # Errors
    /// [`TreeError::Bytes`] if they have too many nodes together.
    pub fn mean(features: usize, forests: &[Self]) -> Result<Self, TreeError> {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = 1.0 / forests.len().max(1) as f64;
        let mut flat = FlatTrees::default();
        for forest in forests {
            flat.append_trees(&forest.flat, share)?;
        }
        let base = forests.iter().map(|forest| forest.base * share).sum();
        Self::from_flat(features, base, flat)
    }

    pub(super) fn from_flat(
        features: usize,
        base: f64,
        flat: FlatTrees,
    ) -> Result<Self, TreeError> {
        if features > layout::MAX_FEATURES {
            return Err(TreeError::TooManyColumns {
                columns: features,
                most: layout::MAX_FEATURES,
            });
        }
        if !layout::can_be_summed(base) {
            return Err(TreeError::Bytes(
                "its base score is not a number of at most 1e27",
            ));
        }
        let means = compute_means(&flat);
        let roots = flat.roots.iter();
        let expected = base + roots.map(|root| means[*root as usize]).sum::<f64>();
        let special = flat
            .nodes
            .iter()
            .any(|node| node.feature & (ZERO_MISSING | CATEGORIES) != 0);
        Ok(Self {
            features,
            base,
            flat,
            means,
            expected,
            special,
        })
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of trees.
    pub fn trees(&self) -> usize {
        self.flat.roots.len()
    }

    /// The number of nodes, leaves included.
    pub fn nodes(&self) -> usize {
        self.flat.nodes.len()
    }

    /// The mean log-odds over the training rows, by the leaves' covers: what contributions add to.
    pub fn expected(&self) -> f64 {
        self.expected
    }

    /// The log-odds of the positive label; of a regression model, its value.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        if self.special {
            self.sum_leaves::<true>(row)
        } else {
            self.sum_leaves::<false>(row)
        }
    }

    fn sum_leaves<const SPECIAL: bool>(&self, row: &[f64]) -> f64 {
        let mut total = self.base;
        let (groups, rest) = self.flat.roots.as_chunks::<ABREAST>();
        for roots in groups {
            let mut at = *roots;
            loop {
                let mut leaves = LEAF;
                for at in &mut at {
                    let node = self.flat.nodes[*at as usize];
                    leaves &= node.feature;
                    *at = self.next_node::<SPECIAL>(node, row);
                }
                if leaves != 0 {
                    break;
                }
            }
            for at in at {
                total += self.flat.nodes[at as usize].value;
            }
        }
        for root in rest {
            let mut node = self.flat.nodes[*root as usize];
            while !node.is_leaf() {
                node = self.flat.nodes[self.next_node::<SPECIAL>(node, row) as usize];
            }
            total += node.value;
        }
        total
    }

    /// The child of a split that a row goes to.
    pub(super) fn child(&self, node: FlatNode, row: &[f64]) -> u32 {
        self.next_node::<true>(node, row)
    }

    /// The child that a row goes to; for a leaf, the leaf itself.
    #[inline]
    #[expect(
        clippy::needless_bitwise_bool,
        reason = "a branch would be mispredicted at every other node"
    )]
    fn next_node<const SPECIAL: bool>(&self, node: FlatNode, row: &[f64]) -> u32 {
        let mut value = row.get(node.column()).copied().unwrap_or(f64::NAN);
        if SPECIAL && node.feature & (ZERO_MISSING | CATEGORIES) != 0 {
            if node.feature & CATEGORIES != 0 {
                return node.left + u32::from(!self.is_one_of(node, value));
            }
            if value.abs() <= NEAR_ZERO {
                value = f64::NAN;
            }
        }
        let left = (value <= node.value)
            | (value.is_nan() & (node.feature & MISSING_LEFT != 0))
            | (node.feature & LEAF != 0);
        node.left + u32::from(!left)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a category is the value without its fraction; a cast of a float saturates"
    )]
    fn is_one_of(&self, node: FlatNode, value: f64) -> bool {
        // As in LightGBM: missing and negative values belong to no category, and -0.5 is category 0.
        if value.is_nan() || value <= -1.0 {
            return false;
        }
        let category = value as usize;
        let set = usize::try_from(node.value.to_bits()).ok();
        let set = set.and_then(|set| self.flat.sets.get(set));
        let word = set.and_then(|set| set.get(category / 32));
        word.is_some_and(|word| word >> (category % 32) & 1 == 1)
    }

    /// Adds to `into[f]` the contribution of feature `f` to the row's log-odds, by path attribution: each split adds
    /// the change of the mean below it to its feature. All contributions and [`expected`](Self::expected) add up to the
    /// log-odds. Features beyond the end of `into` are left out.
    pub fn contributions(&self, row: &[f64], into: &mut [f64]) {
        if self.special {
            self.attribute::<true>(row, into);
        } else {
            self.attribute::<false>(row, into);
        }
    }

    fn attribute<const SPECIAL: bool>(&self, row: &[f64], into: &mut [f64]) {
        let (groups, rest) = self.flat.roots.as_chunks::<ABREAST>();
        for roots in groups {
            let mut at = *roots;
            loop {
                let mut leaves = LEAF;
                for at in &mut at {
                    leaves &= self.credit::<SPECIAL>(at, row, into);
                }
                if leaves != 0 {
                    break;
                }
            }
        }
        for root in rest {
            let mut at = *root;
            while self.credit::<SPECIAL>(&mut at, row, into) & LEAF == 0 {}
        }
    }

    /// Goes one step and credits the feature. Returns the flags of the node that it came from.
    #[inline]
    fn credit<const SPECIAL: bool>(&self, at: &mut u32, row: &[f64], into: &mut [f64]) -> u32 {
        let node = self.flat.nodes[*at as usize];
        let next = self.next_node::<SPECIAL>(node, row);
        // For a leaf, both means are the same, so nothing is added.
        if let Some(sum) = into.get_mut(node.column()) {
            *sum += self.means[next as usize] - self.means[*at as usize];
        }
        *at = next;
        node.feature
    }

    /// The total gain of each feature's splits in training, not normalised.
    pub fn importance(&self) -> Vec<f64> {
        let mut importance = vec![0.0; self.features];
        for (node, gain) in self.flat.nodes.iter().zip(&self.flat.gain) {
            if !node.is_leaf() {
                importance[node.column()] += f64::from(*gain);
            }
        }
        importance
    }
}

/// For each node the mean of the leaves below it, weighted by cover; without cover, the mean of its two children.
fn compute_means(flat: &FlatTrees) -> Vec<f64> {
    let mut means = vec![0.0; flat.nodes.len()];
    for (at, node) in flat.nodes.iter().enumerate().rev() {
        means[at] = if node.is_leaf() {
            node.value
        } else {
            let left = node.left as usize;
            let share = compute_left_share(flat, left);
            share * means[left] + (1.0 - share) * means[left + 1]
        };
    }
    means
}

/// The share of the cover that the left one of the nodes `left` and `left + 1` has.
pub(super) fn compute_left_share(flat: &FlatTrees, left: usize) -> f64 {
    let [yes, no] = [left, left + 1].map(|at| f64::from(flat.cover[at]));
    if yes + no > 0.0 {
        yes / (yes + no)
    } else {
        0.5
    }
}
