//! The same trees in forust-ml give the same scores and the same Shapley values.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use forust_ml::data::Matrix;
use forust_ml::gradientbooster::{ContributionsMethod, GradientBooster};
use model::trees::{Branch, Forest, SplitTest};
use serde_json::Value;

const ROWS: usize = 500;
const COLUMNS: usize = 4;

/// Columns one after the other, with missing values, and labels.
fn data() -> (Vec<f64>, Vec<f64>) {
    let mut state = 1_u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 32).unwrap()) / 2_f64.powi(32)
    };
    let columns: Vec<f64> = (0..ROWS * COLUMNS)
        .map(|_| if draw() < 0.15 { f64::NAN } else { draw() })
        .collect();
    let at = |row: usize, column: usize| columns[column * ROWS + row];
    let label = |row| {
        let sum = at(row, 0) + at(row, 1) * at(row, 2);
        f64::from(u8::from(sum > 0.8 || at(row, 3).is_nan()))
    };
    let labels = (0..ROWS).map(label).collect();
    (columns, labels)
}

fn convert(booster: &GradientBooster) -> Forest {
    let json: Value = serde_json::from_str(&booster.json_dump().unwrap()).unwrap();
    let whole = |node: &Value, key: &str| usize::try_from(node[key].as_u64().unwrap()).unwrap();
    let number = |node: &Value, key: &str| node[key].as_f64().unwrap();
    let branch = |node: &Value| {
        if node["is_leaf"] == true {
            return Branch::Leaf {
                value: number(node, "weight_value"),
                cover: number(node, "hessian_sum"),
            };
        }
        Branch::Split {
            feature: whole(node, "split_feature"),
            // forust asks for `<`.
            test: SplitTest::AtMost(number(node, "split_value").next_down()),
            missing_left: node["missing_node"] == node["left_child"],
            left: whole(node, "left_child"),
            right: whole(node, "right_child"),
            gain: number(node, "split_gain"),
        }
    };
    let nodes = |tree: &Value| -> Vec<Branch> {
        let nodes = match &tree["nodes"] {
            Value::Array(nodes) => nodes.iter().collect::<Vec<_>>(),
            nodes => nodes.as_object().unwrap().values().collect(),
        };
        nodes.into_iter().map(branch).collect()
    };
    let trees: Vec<_> = json["trees"]
        .as_array()
        .unwrap()
        .iter()
        .map(nodes)
        .collect();
    Forest::new(
        COLUMNS,
        number(&json, "base_score"),
        trees.iter().map(Vec::as_slice),
    )
    .unwrap()
}

#[test]
fn scores_and_shapley_values_are_equal() {
    let (columns, labels) = data();
    let matrix = Matrix::new(&columns, ROWS, COLUMNS);
    let mut booster = GradientBooster::default()
        .set_iterations(20)
        .set_max_depth(4)
        .set_learning_rate(0.1)
        .set_parallel(false);
    booster.fit_unweighted(&matrix, &labels, None).unwrap();
    let forest = convert(&booster);
    let scores = booster.predict(&matrix, false);
    let shapley = booster.predict_contributions(&matrix, ContributionsMethod::Shapley, false);
    for (row, (score, theirs)) in scores.iter().zip(shapley.chunks(COLUMNS + 1)).enumerate() {
        let values: Vec<f64> = (0..COLUMNS)
            .map(|column| columns[column * ROWS + row])
            .collect();
        assert!((forest.log_odds(&values) - score).abs() < 1e-6);
        let ours = forest.shapley(&values);
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-6, "row {row}: {ours} {theirs}");
        }
        assert!((forest.expected() - theirs[COLUMNS]).abs() < 1e-6);
    }
}
