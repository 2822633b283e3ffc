//! LightGBM's text models.

use rustc_hash::FxHashMap;

use super::{Error, Imported, Output, named};
use crate::trees::{Branch, Forest, NEAR_ZERO, Test};

const FORMAT: &str = "a LightGBM model in text (`booster.save_model(\"model.txt\")`)";

// The bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING: u8 = 12;
const MISSING_IS_ZERO: u8 = 4;
const MISSING_IS_NAN: u8 = 8;

/// Reads a model as `booster.save_model("model.txt")` writes it: gradient-boosted trees, numeric
/// and categorical splits, of objective `binary`, `cross_entropy` or a regression that predicts
/// its sum.
///
/// # Errors
/// [`Error`], in a sentence.
pub fn lightgbm(text: &[u8]) -> Result<Imported, Error> {
    let text = std::str::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
    let body = text.split("\nend of trees").next().unwrap_or(text);
    let mut sections = body.split("\nTree=");
    let header = Section::new("the header", sections.next().unwrap_or_default());
    if header.name != "tree" {
        return Err(wrong("the first line is not `tree`"));
    }
    if header.has_line("average_output") {
        return Err(Error::Unsupported {
            what: "a LightGBM random forest".to_owned(),
            instead: "train it with `boosting=\"gbdt\"`",
        });
    }
    if header.number::<usize>("num_class")? != 1
        || header.number::<usize>("num_tree_per_iteration")? != 1
    {
        return Err(Error::Unsupported {
            what: "a LightGBM model of several classes".to_owned(),
            instead: "train it on one label with two values",
        });
    }
    let features = header.number::<usize>("max_feature_idx")?.saturating_add(1);
    let (output, factor) = objective(header.text("objective").unwrap_or("none"))?;
    let trees: Vec<Vec<Branch>> = sections
        .map(|section| {
            let number = section.lines().next().unwrap_or_default();
            branches(&Section::new(&format!("tree {number}"), section), factor)
        })
        .collect::<Result<_, _>>()?;
    let forest = Forest::new(features, 0.0, trees.iter().map(Vec::as_slice))?;
    let names = header.text("feature_names").unwrap_or_default();
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let features = named(names, features)
        .ok_or_else(|| wrong("there are not as many `feature_names` as features"))?;
    Ok(Imported {
        forest,
        features,
        output,
    })
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::Format {
        format: FORMAT,
        problem: problem.into(),
    }
}

/// What the trees add up to, and by what they are multiplied for that.
fn objective(text: &str) -> Result<(Output, f64), Error> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let options: Vec<&str> = words.collect();
    match name {
        "binary" => {
            let sigmoid = options
                .iter()
                .find_map(|option| option.strip_prefix("sigmoid:"));
            let sigmoid = sigmoid.map_or(Ok(1.0), str::parse).unwrap_or(f64::NAN);
            if sigmoid > 0.0 && sigmoid.is_finite() {
                Ok((Output::LogOdds, sigmoid))
            } else {
                Err(wrong("the objective's `sigmoid` is not a number above 0"))
            }
        }
        "cross_entropy" => Ok((Output::LogOdds, 1.0)),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape"
            if !options.contains(&"sqrt") =>
        {
            Ok((Output::Value, 1.0))
        }
        _ => Err(Error::Unsupported {
            what: format!("a LightGBM model with the objective `{text}`"),
            instead: "train it with `binary`, or with a regression such as `regression`",
        }),
    }
}

/// Lines `key=value`.
struct Section<'a> {
    /// Where we are, for errors.
    place: String,
    /// The first line.
    name: &'a str,
    lines: FxHashMap<&'a str, &'a str>,
}

impl<'a> Section<'a> {
    fn new(place: &str, text: &'a str) -> Self {
        let line = |line: &'a str| {
            line.trim_end()
                .split_once('=')
                .unwrap_or((line.trim_end(), ""))
        };
        Self {
            place: place.to_owned(),
            name: text.lines().next().unwrap_or_default().trim_end(),
            lines: text.lines().map(line).collect(),
        }
    }

    fn has_line(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.lines.get(key).copied()
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Error> {
        let number = self.text(key).and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            wrong(format!(
                "{}: `{key}` is missing or not a number",
                self.place
            ))
        })
    }

    /// A list of so many numbers, or of any length.
    fn list<T: std::str::FromStr>(
        &self,
        key: &str,
        length: Option<usize>,
    ) -> Result<Vec<T>, Error> {
        let text = self.text(key).unwrap_or_default();
        let list: Result<Vec<T>, _> = text.split_whitespace().map(str::parse).collect();
        let fits = |list: &Vec<T>| length.is_none_or(|length| list.len() == length);
        list.ok().filter(fits).ok_or_else(|| {
            let length = length.map_or(String::new(), |length| format!(" {length}"));
            wrong(format!(
                "{}: `{key}` is not a list of{length} numbers",
                self.place
            ))
        })
    }
}

/// Splits are numbered from 0; a leaf `i` is the child `-1 - i`.
fn branches(tree: &Section, factor: f64) -> Result<Vec<Branch>, Error> {
    if tree.text("is_linear").is_some_and(|linear| linear != "0") {
        return Err(Error::Unsupported {
            what: "a LightGBM model with linear trees".to_owned(),
            instead: "train it with `linear_tree=False`",
        });
    }
    let leaves: usize = tree.number("num_leaves")?;
    let values: Vec<f64> = tree.list("leaf_value", Some(leaves))?;
    // A tree that was never split lacks them.
    let covers: Vec<f64> = match tree.list("leaf_count", None)? {
        covers if covers.len() == leaves => covers,
        _ => vec![0.0; leaves],
    };
    let leaf = |(value, cover): (&f64, &f64)| Branch::Leaf {
        value: value * factor,
        cover: *cover,
    };
    let leaf_branches = values.iter().zip(&covers).map(leaf);
    let Some(count) = leaves.checked_sub(1).filter(|count| *count > 0) else {
        return Ok(leaf_branches.collect());
    };
    let some = Some(count);
    let features: Vec<usize> = tree.list("split_feature", some)?;
    let gains: Vec<f64> = tree.list("split_gain", some)?;
    let thresholds: Vec<f64> = tree.list("threshold", some)?;
    let decisions: Vec<u8> = tree.list("decision_type", some)?;
    let children: [Vec<i64>; 2] = [
        tree.list("left_child", some)?,
        tree.list("right_child", some)?,
    ];
    let mut sets = sets(tree)?;
    let child = |side: usize, split: usize| -> Result<usize, Error> {
        let child = children[side][split];
        // Leaves come after the splits.
        let (number, before, most) = if child < 0 {
            (!child, count, leaves)
        } else {
            (child, 0, count)
        };
        let number = usize::try_from(number).ok().filter(|number| *number < most);
        number.map(|number| before + number).ok_or_else(|| {
            wrong(format!(
                "{}, split {split}: the child {child} does not exist",
                tree.place
            ))
        })
    };
    let split = |split: usize| -> Result<Branch, Error> {
        let (decision, threshold) = (decisions[split], thresholds[split]);
        let default_left = decision & DEFAULT_LEFT != 0;
        let (test, missing_left) = if decision & CATEGORICAL != 0 {
            // Each split has a set of its own: taken, so that no file can have one copied at will.
            let set = whole(threshold).and_then(|number| sets.get_mut(number)?.take());
            let set = set.ok_or_else(|| {
                wrong(format!(
                    "{}, split {split}: there is no set of categories {threshold} left",
                    tree.place
                ))
            })?;
            (Test::OneOf(set), false)
        } else {
            match decision & MISSING {
                MISSING_IS_NAN => (Test::AtMost(limit(threshold)), default_left),
                MISSING_IS_ZERO => (Test::AtMostZeroMissing(limit(threshold)), default_left),
                // Where none was missing in training, LightGBM takes 0 for a missing value.
                0 => (Test::AtMost(limit(threshold)), 0.0 <= threshold),
                _ => {
                    return Err(wrong(format!(
                        "{}, split {split}: decision_type {decision} is unknown",
                        tree.place
                    )));
                }
            }
        };
        Ok(Branch::Split {
            feature: features[split],
            test,
            missing_left,
            left: child(0, split)?,
            right: child(1, split)?,
            gain: gains[split],
        })
    };
    let splits: Vec<Branch> = (0..count).map(split).collect::<Result<_, _>>()?;
    Ok(splits.into_iter().chain(leaf_branches).collect())
}

/// LightGBM takes 0 for any value that is as near to it as this.
fn limit(threshold: f64) -> f64 {
    if threshold.abs() > NEAR_ZERO {
        threshold
    } else if threshold < 0.0 {
        (-NEAR_ZERO).next_down()
    } else {
        NEAR_ZERO
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the comparison finds what a cast would lose"
)]
fn whole(number: f64) -> Option<usize> {
    let whole = number as usize;
    (whole as f64 == number).then_some(whole)
}

/// The sets of categories of a tree, as bits.
fn sets(tree: &Section) -> Result<Vec<Option<Vec<u32>>>, Error> {
    let bounds: Vec<usize> = tree.list("cat_boundaries", None)?;
    let words: Vec<u32> = tree.list("cat_threshold", None)?;
    let set = |pair: &[usize]| words.get(pair[0]..pair[1]).map(|set| Some(set.to_vec()));
    let sets: Option<Vec<_>> = bounds.windows(2).map(set).collect();
    sets.ok_or_else(|| {
        wrong(format!(
            "{}: `cat_boundaries` do not fit `cat_threshold`",
            tree.place
        ))
    })
}
