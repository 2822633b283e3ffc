//! Reads models of XGBoost in JSON.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{LibraryModel, LibraryModelError, ModelOutput, name_features};
use crate::trees::{Branch, Forest, SplitTest};

const FORMAT: &str = "an XGBoost model in JSON (`booster.save_model(\"model.json\")`)";

/// What decides whether a file is read at all; looked at first, because other files lack what follows.
#[derive(Deserialize)]
struct XgboostKind {
    learner: LearnerKind,
}

#[derive(Deserialize)]
struct LearnerKind {
    /// Only `save_config` writes it.
    generic_param: Option<IgnoredAny>,
    gradient_booster: BoosterKind,
}

#[derive(Deserialize)]
struct BoosterKind {
    name: String,
}

#[derive(Deserialize)]
struct XgboostModel {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    #[serde(rename = "learner_model_param")]
    parameters: Parameters,
    objective: Objective,
}

#[derive(Default, Deserialize)]
struct Attributes {
    best_iteration: Option<String>,
}

/// The trees; DART has them one level deeper, and a weight for each.
#[derive(Deserialize)]
struct Booster {
    model: Option<XgboostTrees>,
    gbtree: Option<GbtreeBooster>,
    weight_drop: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct GbtreeBooster {
    model: XgboostTrees,
}

#[derive(Deserialize)]
struct XgboostTrees {
    #[serde(default, rename = "gbtree_model_param")]
    parameters: TreesParameters,
    /// The class of each tree.
    #[serde(default)]
    tree_info: Vec<i64>,
    trees: Vec<XgboostTree>,
}

#[derive(Default, Deserialize)]
struct TreesParameters {
    num_trees: Option<String>,
    num_parallel_tree: Option<String>,
}

/// Parameters, which XGBoost writes as text.
#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    num_class: Option<String>,
    num_feature: String,
    num_target: Option<String>,
}

#[derive(Deserialize)]
struct Objective {
    name: String,
}

/// A tree: each list has one entry a node. Node 0 is the root; the left child of a leaf is -1.
#[derive(Deserialize)]
struct XgboostTree {
    default_left: Vec<DefaultDirection>,
    left_children: Vec<i64>,
    loss_changes: Vec<f32>,
    right_children: Vec<i64>,
    split_conditions: Vec<f32>,
    split_indices: Vec<usize>,
    #[serde(default)]
    split_type: Vec<u8>,
    sum_hessian: Vec<f32>,
    #[serde(default, rename = "tree_param")]
    parameters: TreeParameters,
}

#[derive(Default, Deserialize)]
struct TreeParameters {
    /// How many values a leaf has; 0 and 1 are both one.
    size_leaf_vector: Option<String>,
    num_nodes: Option<String>,
}

/// A number, or `true` and `false` as versions before 2 write it.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum DefaultDirection {
    Word(bool),
    Number(u8),
}

/// Reads a model as `booster.save_model("model.json")` writes it: gradient-boosted trees, of
/// `gbtree` or `dart`, with numeric splits, of objective `binary:logistic`, `binary:logitraw` or a regression that predicts
/// its sum. All trees count, as in `Booster.predict`.
///
/// XGBoost compares 32-bit numbers. Thresholds are adjusted so that 64-bit values go the same way.
///
/// # Errors
/// [`LibraryModelError`], in a sentence.
pub fn read_xgboost(json: &[u8]) -> Result<LibraryModel, LibraryModelError> {
    check_kind(json)?;
    let model: XgboostModel =
        serde_json::from_slice(json).map_err(|error| format_error(error.to_string()))?;
    let learner = model.learner;
    let outer = learner.gradient_booster;
    let booster = outer.gbtree.map(|gbtree| gbtree.model).or(outer.model);
    let booster = booster.ok_or_else(|| format_error("`gradient_booster.model` is missing"))?;
    let weights = outer
        .weight_drop
        .unwrap_or_else(|| vec![1.0; booster.trees.len()]);
    if weights.len() != booster.trees.len() {
        return Err(format_error(
            "there are not as many numbers in `weight_drop` as trees",
        ));
    }
    check_trees(&learner.parameters, &booster)?;
    let features = learner
        .parameters
        .num_feature
        .parse()
        .map_err(|_| format_error("`num_feature` is not a whole number"))?;
    let (output, base) = read_objective(
        &learner.objective.name,
        read_base_score(&learner.parameters.base_score)?,
    )?;
    let trees: Vec<Vec<Branch>> = (0..)
        .zip(booster.trees.iter().zip(&weights))
        .map(read_branches)
        .collect::<Result<_, _>>()?;
    let forest = Forest::new(features, base, trees.iter().map(Vec::as_slice))?;
    let features = name_features(learner.feature_names, features)
        .ok_or_else(|| format_error("there are not as many `feature_names` as features"))?;
    Ok(LibraryModel {
        categories: Vec::new(),
        forest,
        features,
        output,
        notes: describe_best_iteration(&learner.attributes, &booster)
            .into_iter()
            .collect(),
    })
}

/// Refuses by its name what is written like a model, and is not one of trees.
fn check_kind(json: &[u8]) -> Result<(), LibraryModelError> {
    let kind: XgboostKind =
        serde_json::from_slice(json).map_err(|error| format_error(error.to_string()))?;
    if kind.learner.generic_param.is_some() {
        return Err(LibraryModelError::Unsupported {
            what: "the output of XGBoost's `save_config` (which has no trees)".to_owned(),
            instead: "save it with `booster.save_model(\"model.json\")`",
        });
    }
    let booster = kind.learner.gradient_booster.name;
    if booster != "gbtree" && booster != "dart" {
        return Err(LibraryModelError::Unsupported {
            what: format!("an XGBoost model with the booster `{booster}`"),
            instead: "train it with `booster=\"gbtree\"`",
        });
    }
    Ok(())
}

/// Refuses models of more than one output, and files whose parts do not fit together.
fn check_trees(parameters: &Parameters, booster: &XgboostTrees) -> Result<(), LibraryModelError> {
    let many = |number: &Option<String>| number.as_ref().is_some_and(|n| n != "0" && n != "1");
    if many(&parameters.num_class)
        || many(&parameters.num_target)
        || booster.tree_info.iter().any(|class| *class != 0)
        || booster
            .trees
            .iter()
            .any(|tree| many(&tree.parameters.size_leaf_vector))
    {
        return Err(LibraryModelError::Unsupported {
            what: "an XGBoost model of several classes or targets".to_owned(),
            instead: "train it on one label with two values",
        });
    }
    let differs = |number: &Option<String>, count: usize| {
        number
            .as_ref()
            .is_some_and(|number| number.parse() != Ok(count))
    };
    let trees = booster.trees.len();
    if differs(&booster.parameters.num_trees, trees) {
        return Err(format_error(format!(
            "`num_trees` is not {trees}, the number of `trees`"
        )));
    }
    let wrong = booster
        .trees
        .iter()
        .position(|tree| differs(&tree.parameters.num_nodes, tree.left_children.len()));
    match wrong {
        Some(number) => Err(format_error(format!(
            "tree {number} does not have `num_nodes` nodes"
        ))),
        None => Ok(()),
    }
}

/// Says which trees count, if training stopped early: the trees after the best iteration are in the file, too.
fn describe_best_iteration(attributes: &Attributes, booster: &XgboostTrees) -> Option<String> {
    let best: usize = attributes.best_iteration.as_ref()?.parse().ok()?;
    let parallel = booster.parameters.num_parallel_tree.as_ref();
    let parallel: usize = parallel.and_then(|number| number.parse().ok()).unwrap_or(1);
    let iterations = booster.trees.len() / parallel.max(1);
    let kept = best.saturating_add(1);
    (kept < iterations).then(|| {
        format!(
            "Training stopped early: the best of {iterations} iterations is number {kept}. All of them count, as in \
             `Booster.predict`; scikit-learn's wrapper uses the first {kept}. To use these, import the file of \
             `booster[:{kept}].save_model(\"model.json\")`."
        )
    })
}

fn format_error(problem: impl Into<String>) -> LibraryModelError {
    LibraryModelError::Format {
        format: FORMAT,
        problem: problem.into(),
    }
}

/// The base score: `5E-1`, and since version 3.1 `[5E-1]`.
fn read_base_score(text: &str) -> Result<f64, LibraryModelError> {
    let number = text.trim_start_matches('[').trim_end_matches(']');
    let number = number
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format_error("`base_score` is not one finite number"))
}

/// What the sum of the trees stands for, and the log-odds or value that it starts from.
fn read_objective(name: &str, base_score: f64) -> Result<(ModelOutput, f64), LibraryModelError> {
    match name {
        "binary:logistic" | "reg:logistic" => {
            if base_score > 0.0 && base_score < 1.0 {
                Ok((ModelOutput::LogOdds, (base_score / (1.0 - base_score)).ln()))
            } else {
                Err(format_error("`base_score` is not between 0 and 1"))
            }
        }
        "binary:logitraw"
        | "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:pseudohubererror"
        | "reg:absoluteerror"
        | "reg:quantileerror" => Ok((ModelOutput::Value, base_score)),
        _ => Err(LibraryModelError::Unsupported {
            what: format!("an XGBoost model with the objective `{name}`"),
            instead: "train it with `binary:logistic`, or with a regression such as `reg:squarederror`",
        }),
    }
}

fn read_branches(
    (number, (tree, weight)): (usize, (&XgboostTree, &f64)),
) -> Result<Vec<Branch>, LibraryModelError> {
    let nodes = tree.left_children.len();
    let lengths = [
        tree.default_left.len(),
        tree.loss_changes.len(),
        tree.right_children.len(),
        tree.split_conditions.len(),
        tree.split_indices.len(),
        tree.sum_hessian.len(),
    ];
    if lengths.iter().any(|length| *length != nodes) {
        return Err(format_error(format!(
            "the lists of tree {number} differ in length"
        )));
    }
    if tree.split_type.iter().any(|kind| *kind != 0) {
        return Err(LibraryModelError::Unsupported {
            what: "an XGBoost model with categorical splits".to_owned(),
            instead: "train it with `enable_categorical=False` on numbers",
        });
    }
    let branch = |node: usize| {
        let (left, right) = (tree.left_children[node], tree.right_children[node]);
        if left == -1 {
            return Ok(Branch::Leaf {
                value: f64::from(tree.split_conditions[node]) * weight,
                cover: f64::from(tree.sum_hessian[node].max(0.0)),
            });
        }
        let child = |child: i64| {
            usize::try_from(child).map_err(|_| {
                format_error(format!(
                    "tree {number}, node {node}: the child {child} cannot exist"
                ))
            })
        };
        let threshold = tree.split_conditions[node];
        if !threshold.is_finite() {
            return Err(format_error(format!(
                "tree {number}, node {node}: the threshold is not finite"
            )));
        }
        Ok(Branch::Split {
            feature: tree.split_indices[node],
            test: SplitTest::AtMost(find_last_below(threshold)),
            missing_left: matches!(
                tree.default_left[node],
                DefaultDirection::Word(true) | DefaultDirection::Number(1..)
            ),
            left: child(left)?,
            right: child(right)?,
            gain: f64::from(tree.loss_changes[node]),
        })
    };
    (0..nodes).map(branch).collect()
}

/// The largest number that is below the threshold after rounding to 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding is what this is about"
)]
fn find_last_below(threshold: f32) -> f64 {
    let before = match threshold.next_down() {
        // For rounding, -infinity counts as the next power of two.
        f32::NEG_INFINITY => -2_f64.powi(128),
        before => f64::from(before),
    };
    // The middle of two neighbouring 32-bit numbers is exact in 64 bits. Rounding takes it to the even one.
    let middle = before.midpoint(f64::from(threshold));
    if (middle as f32) < threshold {
        middle
    } else {
        middle.next_down()
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::cast_possible_truncation,
        reason = "the rounding is what this is about"
    )]

    use proptest::prelude::*;

    use super::find_last_below;

    proptest! {
        #[test]
        fn values_of_64_bits_go_as_those_of_32(bits in any::<u32>(), near in -3..3i32, x in any::<f64>()) {
            let threshold = f32::from_bits(bits);
            prop_assume!(threshold.is_finite());
            let limit = find_last_below(threshold);
            let mut close = limit;
            for _ in 0..near.abs() {
                close = if near < 0 { close.next_down() } else { close.next_up() };
            }
            for x in [x, close, f64::from(threshold), f64::from(threshold.next_down())] {
                prop_assert_eq!((x as f32) < threshold, x <= limit, "{} {}", x, threshold);
            }
        }
    }

    #[test]
    fn the_edges_of_32_bits() {
        for threshold in [
            0.0,
            -0.0,
            f32::MIN,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-45,
            -1e-45,
        ] {
            let limit = find_last_below(threshold);
            assert!((limit as f32) < threshold, "{threshold}");
            assert!((limit.next_up() as f32) >= threshold, "{threshold}");
        }
    }
}
