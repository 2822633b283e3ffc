//! Grows one tree leaf by leaf: the leaf whose split gains most is split next.

use rayon::prelude::*;

use super::binned::{BinnedMatrix, LANES, MISSING};
use super::histogram::{self, GradientScale, GradientSums, Histogram};
use super::layout::{Branch, SplitTest};
use super::options::BoostOptions;

/// How many rows one task processes when a leaf is split.
const ROWS_PER_TASK: usize = 8192;

/// A node of a tree over bins.
#[derive(Clone, Debug)]
pub(super) enum BinNode {
    Leaf {
        value: f64,
        cover: f64,
    },
    Split {
        split: BinSplit,
        left: usize,
        right: usize,
    },
}

/// A split by bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BinSplit {
    feature: usize,
    /// The last bin that goes left.
    bin: u8,
    missing_left: bool,
    gain: f64,
    left: GradientSums,
    right: GradientSums,
}

impl BinSplit {
    fn is_left(&self, bin: u8) -> bool {
        if bin == MISSING {
            self.missing_left
        } else {
            bin <= self.bin
        }
    }
}

/// A leaf while the tree grows. It has a range of the rows.
struct GrowingLeaf {
    node: usize,
    depth: usize,
    begin: usize,
    end: usize,
    sums: GradientSums,
    histogram: Histogram,
    best: Option<BinSplit>,
}

/// Grows trees, and reuses the memory of one tree for the next.
pub(super) struct TreeGrower<'a> {
    pub matrix: &'a BinnedMatrix,
    pub options: &'a BoostOptions,
    /// The rows of the tree to grow; afterwards ordered by leaf.
    pub rows: Vec<u32>,
    /// Packed gradients of all rows.
    pub packed: Vec<i64>,
    scratch: Vec<u32>,
    spare: Vec<Histogram>,
}

/// A tree over bins, and the range of each leaf's rows in [`TreeGrower::rows`].
pub(super) struct BinTree {
    pub nodes: Vec<BinNode>,
    pub leaves: Vec<(std::ops::Range<usize>, f64)>,
}

impl<'a> TreeGrower<'a> {
    pub fn new(matrix: &'a BinnedMatrix, options: &'a BoostOptions) -> Self {
        Self {
            matrix,
            options,
            rows: Vec::new(),
            packed: vec![0; matrix.rows()],
            scratch: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Grows a tree on `rows` and `packed`, with the features for which `allowed` is true. `None` if not even the root
    /// can be split.
    pub fn grow(&mut self, scale: GradientScale, allowed: &[bool]) -> Option<BinTree> {
        self.scratch.resize(self.rows.len(), 0);
        let lanes = count_lanes(allowed);
        let mut nodes = Vec::new();
        let root = self.grow_root(scale, allowed, &lanes);
        nodes.push(root.to_node(self.options));
        let mut leaves = vec![root];
        while leaves.len() < self.options.max_leaves {
            let Some((at, split)) = find_leaf_to_split(&leaves) else {
                break;
            };
            let parent = leaves.swap_remove(at);
            let is_last = leaves.len() + 2 == self.options.max_leaves;
            let children =
                self.split_leaf(parent, split, scale, allowed, &lanes, nodes.len(), is_last);
            nodes[children[0].1] = BinNode::Split {
                split,
                left: nodes.len(),
                right: nodes.len() + 1,
            };
            for (child, _) in children {
                nodes.push(child.to_node(self.options));
                leaves.push(child);
            }
        }
        let spent = leaves
            .iter_mut()
            .map(|leaf| std::mem::take(&mut leaf.histogram));
        self.spare
            .extend(spent.filter(|histogram| !histogram.is_empty()));
        (leaves.len() > 1).then(|| BinTree {
            nodes,
            leaves: leaves
                .iter()
                .map(|leaf| (leaf.begin..leaf.end, leaf.value(self.options)))
                .collect(),
        })
    }

    fn grow_root(
        &mut self,
        scale: GradientScale,
        allowed: &[bool],
        lanes: &[usize],
    ) -> GrowingLeaf {
        let packed = &self.packed;
        let sum = self
            .rows
            .par_iter()
            .with_min_len(ROWS_PER_TASK)
            .map(|row| packed[*row as usize])
            .reduce(|| 0, i64::wrapping_add);
        let mut root = GrowingLeaf {
            node: 0,
            depth: 0,
            begin: 0,
            end: self.rows.len(),
            sums: scale.unpack(sum),
            histogram: self.build_histogram(0, self.rows.len(), lanes),
            best: None,
        };
        root.best = find_best_split(self.matrix, self.options, scale, allowed, &root);
        root
    }

    /// Splits a leaf: its two children, each with the number of the parent's node.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one tree, used here only"
    )]
    fn split_leaf(
        &mut self,
        parent: GrowingLeaf,
        split: BinSplit,
        scale: GradientScale,
        allowed: &[bool],
        lanes: &[usize],
        next_node: usize,
        is_last: bool,
    ) -> [(GrowingLeaf, usize); 2] {
        let middle = parent.begin + self.partition_rows(parent.begin, parent.end, split);
        let leaf = |node, begin, end, sums| GrowingLeaf {
            node,
            depth: parent.depth + 1,
            begin,
            end,
            sums,
            histogram: Vec::new(),
            best: None,
        };
        let mut left = leaf(next_node, parent.begin, middle, split.left);
        let mut right = leaf(next_node + 1, middle, parent.end, split.right);
        let options = self.options;
        let can_split = |leaf: &GrowingLeaf| {
            options.max_depth.is_none_or(|most| leaf.depth < most)
                && leaf.end - leaf.begin >= 2 * options.min_rows
                && leaf.sums.hessian >= 2.0 * options.min_child_hessian
        };
        let mut whole = parent.histogram;
        if !is_last && (can_split(&left) || can_split(&right)) {
            let (smaller, larger) = if middle - left.begin <= right.end - middle {
                (&mut left, &mut right)
            } else {
                (&mut right, &mut left)
            };
            smaller.histogram = self.build_histogram(smaller.begin, smaller.end, lanes);
            histogram::subtract_histogram(&mut whole, &smaller.histogram);
            larger.histogram = whole;
            let find = |leaf: &GrowingLeaf| {
                let possible = can_split(leaf);
                possible
                    .then(|| find_best_split(self.matrix, self.options, scale, allowed, leaf))?
            };
            (left.best, right.best) = rayon::join(|| find(&left), || find(&right));
        } else {
            self.spare.push(whole);
        }
        [(left, parent.node), (right, parent.node)]
    }

    fn build_histogram(&mut self, begin: usize, end: usize, lanes: &[usize]) -> Histogram {
        let blocks = &self.matrix.blocks;
        let mut out = match self.spare.pop() {
            Some(mut spare) => {
                spare.as_flattened_mut().fill([0; 256]);
                spare
            }
            None => histogram::zero_histogram(blocks.len()),
        };
        histogram::fill_histogram(
            blocks,
            lanes,
            &self.packed,
            &self.rows[begin..end],
            &mut out,
        );
        out
    }

    /// Orders a leaf's rows by side and keeps the order within each side. Returns the length of the left side.
    fn partition_rows(&mut self, begin: usize, end: usize, split: BinSplit) -> usize {
        let rows = &mut self.rows[begin..end];
        let scratch = &mut self.scratch[begin..end];
        let bins = &self.matrix.blocks[split.feature / LANES];
        let lane = split.feature % LANES;
        let tasks = (rows.len() / ROWS_PER_TASK)
            .min(rayon::current_num_threads())
            .max(1);
        let chunk = rows.len().div_ceil(tasks).max(1);
        // Each task writes its left rows in place and its right rows to its part of the scratch memory.
        let part = |(rows, scratch): (&mut [u32], &mut [u32])| {
            let (mut left, mut right) = (0, 0);
            for at in 0..rows.len() {
                let row = rows[at];
                let is_left = split.is_left(bins[row as usize][lane]);
                rows[left] = row;
                scratch[right] = row;
                left += usize::from(is_left);
                right += usize::from(!is_left);
            }
            left
        };
        let pairs = rows
            .par_chunks_mut(chunk)
            .zip(scratch.par_chunks_mut(chunk));
        let lefts: Vec<usize> = pairs.map(part).collect();
        let mut to = 0;
        for (task, left) in lefts.iter().enumerate() {
            rows.copy_within(task * chunk..task * chunk + left, to);
            to += left;
        }
        let total = to;
        for (scratch, left) in scratch.chunks(chunk).zip(&lefts) {
            let right = scratch.len() - left;
            rows[to..to + right].copy_from_slice(&scratch[..right]);
            to += right;
        }
        total
    }
}

impl GrowingLeaf {
    fn value(&self, options: &BoostOptions) -> f64 {
        options.learning_rate * compute_leaf_value(self.sums, options)
    }

    fn to_node(&self, options: &BoostOptions) -> BinNode {
        BinNode::Leaf {
            value: self.value(options),
            cover: self.sums.hessian,
        }
    }
}

impl BinTree {
    /// The value of the leaf that a row of the matrix ends in.
    pub fn value(&self, matrix: &BinnedMatrix, row: u32) -> f64 {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                BinNode::Leaf { value, .. } => return *value,
                BinNode::Split { split, left, right } => {
                    let bin = matrix.bin(row, split.feature);
                    at = if split.is_left(bin) { *left } else { *right };
                }
            }
        }
    }

    /// The tree over values.
    pub fn branches(&self, matrix: &BinnedMatrix) -> Vec<Branch> {
        let branch = |node: &BinNode| match node {
            BinNode::Leaf { value, cover } => Branch::Leaf {
                value: *value,
                cover: *cover,
            },
            BinNode::Split { split, left, right } => Branch::Split {
                feature: split.feature,
                // Beyond the last cut, all values go left and missing ones right.
                test: SplitTest::AtMost(
                    *matrix.columns[split.feature]
                        .cuts
                        .get(usize::from(split.bin))
                        .unwrap_or(&f64::INFINITY),
                ),
                missing_left: split.missing_left,
                left: *left,
                right: *right,
                gain: split.gain,
            },
        };
        self.nodes.iter().map(branch).collect()
    }
}

/// For each block, how many of its columns must be summed.
fn count_lanes(allowed: &[bool]) -> Vec<usize> {
    let last = |block: &[bool]| {
        block
            .iter()
            .rposition(|allowed| *allowed)
            .map_or(0, |at| at + 1)
    };
    allowed.chunks(LANES).map(last).collect()
}

/// The leaf to split next: the one that gains most, and of equal ones the first.
fn find_leaf_to_split(leaves: &[GrowingLeaf]) -> Option<(usize, BinSplit)> {
    let splits = leaves.iter().enumerate();
    let splits = splits.filter_map(|(at, leaf)| Some((at, leaf.best?)));
    splits.max_by(|(at, one), (other, two)| {
        let gain = one.gain.total_cmp(&two.gain);
        gain.then(leaves[*other].node.cmp(&leaves[*at].node))
    })
}

/// The best split of a leaf, by its histogram. Of equally good ones, the first column and its first bin are taken.
fn find_best_split(
    matrix: &BinnedMatrix,
    options: &BoostOptions,
    scale: GradientScale,
    allowed: &[bool],
    leaf: &GrowingLeaf,
) -> Option<BinSplit> {
    let search = SplitSearch::new(options, scale, leaf);
    let candidates = |first: usize, features: &[bool]| {
        let mut best: Option<BinSplit> = None;
        for (feature, _) in (first..).zip(features).filter(|(_, allowed)| **allowed) {
            let bins = &leaf.histogram[feature / LANES][feature % LANES];
            let found = search.best_split_of_column(feature, bins, matrix.columns[feature].bins());
            best = choose_better_split(best, found);
        }
        best
    };
    // Less would not be worth waking a thread.
    let columns_per_task = 64;
    allowed
        .par_chunks(columns_per_task)
        .enumerate()
        .map(|(chunk, features)| candidates(chunk * columns_per_task, features))
        .reduce(|| None, choose_better_split)
}

fn choose_better_split(one: Option<BinSplit>, other: Option<BinSplit>) -> Option<BinSplit> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.gain > one.gain { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// The search for the best split of one leaf.
struct SplitSearch<'a> {
    options: &'a BoostOptions,
    scale: GradientScale,
    total: GradientSums,
    /// The worth of the leaf if it is not split.
    unsplit: f64,
    min_hessian: f64,
}

impl<'a> SplitSearch<'a> {
    #[expect(clippy::cast_precision_loss, reason = "rows, at most MAX_ROWS")]
    fn new(options: &'a BoostOptions, scale: GradientScale, leaf: &GrowingLeaf) -> Self {
        let total = leaf.sums;
        // Histograms have no counts, so the rows of a side are estimated by its share of the hessians.
        let per_row = total.hessian / (leaf.end - leaf.begin).max(1) as f64;
        Self {
            options,
            scale,
            total,
            unsplit: compute_worth(total, options),
            min_hessian: options
                .min_child_hessian
                .max(per_row * (options.min_rows as f64 - 0.5))
                .max(f64::MIN_POSITIVE),
        }
    }

    fn best_split_of_column(
        &self,
        feature: usize,
        bins: &[i64; 256],
        count: usize,
    ) -> Option<BinSplit> {
        let missing = bins[usize::from(MISSING)];
        let values = &bins[..count.min(usize::from(MISSING))];
        let right = self.best_cut(feature, values, 0, missing == 0);
        if missing == 0 {
            return right.map(|split| BinSplit {
                // No value was missing in training: a missing value goes where most rows go.
                missing_left: split.left.hessian > split.right.hessian,
                ..split
            });
        }
        choose_better_split(right, self.best_cut(feature, values, missing, true))
    }

    /// The best cut, where the sums `start` (of missing values) are already on the left. If missing values are on the
    /// right, all bins may go left.
    fn best_cut(
        &self,
        feature: usize,
        bins: &[i64],
        start: i64,
        all_right: bool,
    ) -> Option<BinSplit> {
        let mut best: Option<(u8, f64, GradientSums)> = None;
        let mut packed = start;
        let cuts = bins.len() - usize::from(all_right);
        let mut most = self.unsplit + self.options.min_gain;
        for (bin, sums) in (0..=u8::MAX).zip(&bins[..cuts]) {
            if *sums == 0 {
                continue;
            }
            packed = packed.wrapping_add(*sums);
            let left = self.scale.unpack(packed);
            if left.hessian < self.min_hessian {
                continue;
            }
            let right = self.total.minus(left);
            if right.hessian < self.min_hessian {
                break;
            }
            let worth = compute_worth(left, self.options) + compute_worth(right, self.options);
            if worth > most {
                most = worth;
                best = Some((bin, worth - self.unsplit, left));
            }
        }
        best.map(|(bin, gain, left)| BinSplit {
            feature,
            bin,
            missing_left: start != 0,
            gain,
            left,
            right: self.total.minus(left),
        })
    }
}

impl GradientSums {
    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
        }
    }
}

/// The gradient after L1 regularisation.
fn shrink_gradient(gradient: f64, options: &BoostOptions) -> f64 {
    gradient.signum() * (gradient.abs() - options.lambda_l1).max(0.0)
}

/// The worth of a leaf with these sums: twice the amount by which it lowers the loss.
fn compute_worth(sums: GradientSums, options: &BoostOptions) -> f64 {
    let gradient = shrink_gradient(sums.gradient, options);
    gradient * gradient / (sums.hessian + options.lambda_l2)
}

fn compute_leaf_value(sums: GradientSums, options: &BoostOptions) -> f64 {
    -shrink_gradient(sums.gradient, options) / (sums.hessian + options.lambda_l2)
}
