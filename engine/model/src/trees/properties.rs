//! Forests and rows for property tests, and the properties that hold for any of them.

use proptest::prelude::*;

use super::{Branch, Forest, SplitTest};

/// Values that sometimes are exactly equal to a threshold.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![(-3..3i32).prop_map(f64::from), -3.0..3.0, Just(0.0)]
}

/// A row of so many features.
pub(super) fn row(features: usize) -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        4 => number(),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ];
    prop::collection::vec(value, features)
}

fn test() -> impl Strategy<Value = SplitTest> {
    prop_oneof![
        6 => number().prop_map(SplitTest::AtMost),
        1 => Just(SplitTest::AtMost(f64::INFINITY)),
        1 => number().prop_map(SplitTest::AtMostZeroMissing),
        1 => prop::collection::vec(0..8u32, 0..2).prop_map(SplitTest::OneOf),
    ]
}

/// Any tree over so many features, with at most 33 nodes, some of them without cover.
pub(super) fn tree(features: usize) -> impl Strategy<Value = Vec<Branch>> {
    // Each split turns one leaf into a node with two new leaves.
    let split = (
        any::<prop::sample::Index>(),
        0..features,
        test(),
        any::<bool>(),
    );
    let leaf = (number(), prop_oneof![Just(0.0), 0.1..9.0]);
    let leaves = prop::collection::vec(leaf, 17);
    (prop::collection::vec(split, 0..16), leaves).prop_map(|(splits, leaves)| {
        let mut open = vec![0];
        let mut tree = vec![None];
        for (at, feature, test, missing_left) in splits {
            let at = open.swap_remove(at.index(open.len()));
            let [left, right] = [tree.len(), tree.len() + 1];
            tree[at] = Some(Branch::Split {
                feature,
                test,
                missing_left,
                left,
                right,
                gain: 1.0,
            });
            tree.extend([None, None]);
            open.extend([left, right]);
        }
        let mut leaves = leaves.into_iter();
        let fill = |branch: Option<Branch>| {
            branch.unwrap_or_else(|| {
                let (value, cover) = leaves.next().unwrap();
                Branch::Leaf { value, cover }
            })
        };
        tree.into_iter().map(fill).collect()
    })
}

/// Any forest over so many features, with up to 19 trees: full groups of trees and a rest.
pub(super) fn forest(features: usize) -> impl Strategy<Value = Forest> {
    let trees = prop::collection::vec(tree(features), 0..19);
    (number(), trees).prop_map(move |(base, trees)| {
        Forest::new(features, base, trees.iter().map(Vec::as_slice)).unwrap()
    })
}

/// The value of the leaf that a row ends in, by the documentation of [`Branch`] and [`Test`].
fn leaf(tree: &[Branch], row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        at = match &tree[at] {
            Branch::Leaf { value, .. } => return *value,
            Branch::Split {
                feature,
                test,
                missing_left,
                left,
                right,
                ..
            } => {
                let value = row.get(*feature).copied().unwrap_or(f64::NAN);
                let is_left = match test {
                    SplitTest::AtMost(_) if value.is_nan() => *missing_left,
                    SplitTest::AtMostZeroMissing(_) if value.is_nan() || value.abs() < 1e-36 => {
                        *missing_left
                    }
                    SplitTest::AtMost(limit) | SplitTest::AtMostZeroMissing(limit) => {
                        value <= *limit
                    }
                    SplitTest::OneOf(set) => (0..32 * set.len()).any(|category| {
                        let number = u32::try_from(category).map_or(-1.0, f64::from);
                        (value.trunc() - number).abs() < 0.5
                            && set[category / 32] & (1 << (category % 32)) != 0
                    }),
                };
                if is_left { *left } else { *right }
            }
        }
    }
}

proptest! {
    #[test]
    fn scores_are_sums_of_leaves(
        trees in prop::collection::vec(tree(3), 0..19),
        rows in prop::collection::vec(row(3), 1..8),
        short in 0..3usize,
    ) {
        let forest = Forest::new(3, 0.5, trees.iter().map(Vec::as_slice)).unwrap();
        for row in rows.iter().map(Vec::as_slice).chain([&rows[0][..short]]) {
            let expected: f64 = 0.5 + trees.iter().map(|tree| leaf(tree, row)).sum::<f64>();
            prop_assert!((forest.log_odds(row) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_mean_scores_the_mean(forests in prop::collection::vec(forest(3), 1..4), row in row(3)) {
        let mean = Forest::mean(3, &forests).unwrap();
        let sum: f64 = forests.iter().map(|forest| forest.log_odds(&row)).sum();
        let expected: f64 = forests.iter().map(Forest::expected).sum();
        let many = f64::from(u32::try_from(forests.len()).unwrap());
        prop_assert!((mean.log_odds(&row) - sum / many).abs() < 1e-9);
        prop_assert!((mean.expected() - expected / many).abs() < 1e-9);
        prop_assert_eq!(Forest::from_bytes(&mean.to_bytes()), Ok(mean));
    }

    #[test]
    fn contributions_sum_to_the_log_odds(forest in forest(3), row in row(3)) {
        let mut path = [0.0; 3];
        forest.contributions(&row, &mut path);
        let shapley = forest.shapley(&row);
        for values in [&path[..], &shapley] {
            let sum = forest.expected() + values.iter().sum::<f64>();
            prop_assert!((sum - forest.log_odds(&row)).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn bytes_keep_everything(forest in forest(3)) {
        prop_assert_eq!(Forest::from_bytes(&forest.to_bytes()), Ok(forest));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        forest in forest(3),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = forest.to_bytes();
        let at = at.index(bytes.len());
        super::fuzz::read_forest(&bytes[..at]);
        bytes[at] = byte;
        super::fuzz::read_forest(&bytes);
        super::fuzz::read_forest(&noise);
    }
}

#[track_caller]
fn refused(tree: &[Branch], message: &str) {
    let error = Forest::new(1, 0.0, [tree]).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn what_is_not_a_tree_is_refused() {
    let split = |left, right| Branch::Split {
        feature: 0,
        test: SplitTest::AtMost(1.0),
        missing_left: false,
        left,
        right,
        gain: 0.0,
    };
    let leaf = |value| Branch::Leaf { value, cover: 1.0 };
    refused(&[], "tree 0, node 0: there is no such node");
    refused(
        &[split(1, 2), leaf(0.0)],
        "tree 0, node 2: there is no such node",
    );
    refused(
        &[split(0, 1), leaf(0.0)],
        "tree 0, node 0: the node has two parents",
    );
    refused(
        &[leaf(f64::NAN)],
        "tree 0, node 0: the leaf's value is not a number of at most 1e27",
    );
    let largest = Branch::Leaf {
        value: 1e27,
        cover: 1e27,
    };
    let tree = [split(1, 2), largest.clone(), largest];
    let forest = Forest::new(1, 1e27, [tree.as_slice(), &tree]).unwrap();
    assert!(forest.log_odds(&[0.0]).is_finite() && forest.expected().is_finite());
    assert_eq!(Forest::from_bytes(&forest.to_bytes()), Ok(forest));
    let chain: Vec<Branch> = (0..600)
        .flat_map(|i| [split(2 * i + 1, 2 * i + 2), leaf(0.0)])
        .collect();
    let error = Forest::new(1, 0.0, [chain.as_slice()]).unwrap_err();
    assert!(
        error.to_string().ends_with("the tree is too deep"),
        "{error}"
    );
}
