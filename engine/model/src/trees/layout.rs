//! The memory layout of forests: trees as they are built or read become flat arrays of nodes.

use super::TreeError;

/// How many features a forest may have: a node stores the feature together with its flags.
pub(super) const MAX_FEATURES: usize = 1 << 20;

/// The largest leaf value, cover or gain. With it, sums over all nodes of a forest are finite, even as `f32`.
const LARGEST: f64 = 1e27;

/// Whether a number is not `NaN` and small enough to be summed.
pub(super) fn can_be_summed(number: f64) -> bool {
    number.abs() <= LARGEST
}

/// How many splits there may be between a root and a leaf.
pub(super) const MAX_DEPTH: usize = 512;

/// A node of a tree as it is built or read. Node 0 is the root; children are given by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Branch {
    /// A leaf.
    Leaf {
        /// What the leaf adds to the log-odds.
        value: f64,
        /// The training rows that ended here, weighted (the sum of their hessians, or a count).
        cover: f64,
    },
    /// A split, with two children.
    Split {
        /// The feature that is tested.
        feature: usize,
        /// The test of its value.
        test: SplitTest,
        /// Whether a missing value goes left.
        missing_left: bool,
        /// The child if the test holds.
        left: usize,
        /// The child if it does not.
        right: usize,
        /// By how much the split lowered the training loss; 0 if unknown.
        gain: f64,
    },
}

/// The test of a split. If it holds, the row goes left.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitTest {
    /// The value is at most this limit, which may be infinite, but not `NaN`.
    AtMost(f64),
    /// The same, but a value no further from zero than 1e-35 (as `f32`) counts as missing (LightGBM's
    /// `zero_as_missing`).
    AtMostZeroMissing(f64),
    /// The value, without its fraction, is one of these categories. Bit `i % 32` of word `i / 32` stands for category
    /// `i`. A missing value is none of them.
    OneOf(Vec<u32>),
}

/// A node in its flat form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FlatNode {
    /// The limit of a split, the value of a leaf, or (as bits) the number of a set of categories.
    pub value: f64,
    /// The feature and the flags.
    pub feature: u32,
    /// The left child, which the right one follows; for a leaf, the leaf itself.
    pub left: u32,
}

/// The node is a leaf.
pub(super) const LEAF: u32 = 1 << 31;
/// A missing value goes left.
pub(super) const MISSING_LEFT: u32 = 1 << 30;
/// A value near zero counts as missing.
pub(super) const ZERO_MISSING: u32 = 1 << 29;
/// The value is the number of a set of categories.
pub(super) const CATEGORIES: u32 = 1 << 28;
/// The bits of a node's feature that are not flags.
pub(super) const FEATURE: u32 = CATEGORIES - 1;

impl FlatNode {
    pub fn is_leaf(self) -> bool {
        self.feature & LEAF != 0
    }

    pub fn column(self) -> usize {
        (self.feature & FEATURE) as usize
    }
}

/// Trees as arrays. The first three have one entry a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FlatTrees {
    pub nodes: Vec<FlatNode>,
    pub cover: Vec<f32>,
    pub gain: Vec<f32>,
    pub roots: Vec<u32>,
    pub sets: Vec<Vec<u32>>,
}

impl FlatTrees {
    /// Adds a tree, its nodes in breadth-first order.
    pub fn push_tree(&mut self, features: usize, tree: &[Branch]) -> Result<(), TreeError> {
        let number = self.roots.len();
        let wrong = |node, problem| TreeError::Tree {
            tree: number,
            node,
            problem,
        };
        let start = self.nodes.len();
        // The nodes of this tree in their new order. Each is placed only once, so a cycle cannot go on for ever.
        let mut order = vec![(0, 0)];
        let mut placed = vec![false; tree.len()];
        let mut next = 0;
        while let Some(&(at, depth)) = order.get(next) {
            let branch = tree
                .get(at)
                .ok_or_else(|| wrong(at, "there is no such node"))?;
            if std::mem::replace(&mut placed[at], true) {
                return Err(wrong(at, "the node has two parents"));
            }
            let here = to_node_number(start + next)?;
            let left = to_node_number(start + order.len())?;
            let (node, cover, gain) = self
                .flatten_branch(branch, features, here, left)
                .map_err(|problem| wrong(at, problem))?;
            if let Branch::Split { left, right, .. } = branch {
                if depth >= MAX_DEPTH {
                    return Err(wrong(at, "the tree is too deep"));
                }
                order.extend([(*left, depth + 1), (*right, depth + 1)]);
            }
            if !(can_be_summed(cover) && cover >= 0.0 && can_be_summed(gain)) {
                return Err(wrong(
                    at,
                    "a cover or a gain is not a number of at most 1e27",
                ));
            }
            self.nodes.push(node);
            #[expect(clippy::cast_possible_truncation, reason = "statistics, kept short")]
            {
                self.cover.push(cover as f32);
                self.gain.push(gain as f32);
            }
            next += 1;
        }
        self.roots.push(to_node_number(start)?);
        self.sum_covers(start);
        Ok(())
    }

    /// The flat form of a branch, with its cover and its gain. `here` is its own number; `left` is where the left one
    /// of its two children will be.
    fn flatten_branch(
        &mut self,
        branch: &Branch,
        features: usize,
        here: u32,
        left: u32,
    ) -> Result<(FlatNode, f64, f64), &'static str> {
        match branch {
            Branch::Leaf { value, cover } => {
                if !can_be_summed(*value) {
                    return Err("the leaf's value is not a number of at most 1e27");
                }
                let leaf = FlatNode {
                    value: *value,
                    feature: LEAF,
                    left: here,
                };
                Ok((leaf, *cover, 0.0))
            }
            Branch::Split {
                feature,
                test,
                missing_left,
                gain,
                ..
            } => {
                let column = u32::try_from(*feature)
                    .ok()
                    .filter(|_| *feature < features)
                    .ok_or("the split's feature does not exist")?;
                let (value, flag) = self.push_test(test);
                if value.is_nan() {
                    return Err("the split's threshold is not a number");
                }
                let missing = if *missing_left { MISSING_LEFT } else { 0 };
                let split = FlatNode {
                    value,
                    feature: column | flag | missing,
                    left,
                };
                Ok((split, 0.0, *gain))
            }
        }
    }

    /// Adds all trees of another forest over the same features. Their leaves are multiplied by `share`.
    pub fn append_trees(&mut self, other: &Self, share: f64) -> Result<(), TreeError> {
        let start = to_node_number(self.nodes.len())?;
        to_node_number(self.nodes.len() + other.nodes.len())?;
        let sets = self.sets.len() as u64;
        self.nodes.extend(other.nodes.iter().map(|node| FlatNode {
            value: if node.is_leaf() {
                node.value * share
            } else if node.feature & CATEGORIES != 0 {
                f64::from_bits(node.value.to_bits() + sets)
            } else {
                node.value
            },
            left: node.left + start,
            ..*node
        }));
        self.cover.extend(&other.cover);
        #[expect(clippy::cast_possible_truncation, reason = "statistics, kept short")]
        self.gain
            .extend(other.gain.iter().map(|gain| gain * share as f32));
        self.roots
            .extend(other.roots.iter().map(|root| root + start));
        self.sets.extend(other.sets.iter().cloned());
        Ok(())
    }

    /// Sets the cover of each split, from the node `start` on: the sum of the covers of its children.
    pub(super) fn sum_covers(&mut self, start: usize) {
        for at in (start..self.nodes.len()).rev() {
            let node = self.nodes[at];
            if !node.is_leaf() {
                let left = node.left as usize;
                self.cover[at] = self.cover[left] + self.cover[left + 1];
            }
        }
    }

    fn push_test(&mut self, test: &SplitTest) -> (f64, u32) {
        match test {
            SplitTest::AtMost(limit) => (*limit, 0),
            SplitTest::AtMostZeroMissing(limit) => (*limit, ZERO_MISSING),
            SplitTest::OneOf(set) => {
                self.sets.push(set.clone());
                (f64::from_bits(self.sets.len() as u64 - 1), CATEGORIES)
            }
        }
    }
}

fn to_node_number(at: usize) -> Result<u32, TreeError> {
    u32::try_from(at).map_err(|_| TreeError::Bytes("it has more than 2^32 nodes"))
}
