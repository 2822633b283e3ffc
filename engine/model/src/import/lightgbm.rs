//! Reads models of LightGBM in text.

use rustc_hash::FxHashMap;

use super::{LibraryModel, LibraryModelError, ModelOutput, name_features};
use crate::categories::{Categories, Category};
use crate::trees::{Branch, Forest, NEAR_ZERO, SplitTest};

const FORMAT: &str = "a LightGBM model in text (`booster.save_model(\"model.txt\")`)";

// The bits of `decision_type`.
const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING: u8 = 12;
const MISSING_IS_ZERO: u8 = 4;
const MISSING_IS_NAN: u8 = 8;

/// Reads a model as `booster.save_model("model.txt")` writes it: gradient-boosted trees, numeric
/// and categorical splits, of objective `binary`, `cross_entropy`, a regression that predicts its
/// sum, or an objective of the user's own.
///
/// # Errors
/// [`LibraryModelError`], in a sentence.
pub fn read_lightgbm(text: &[u8]) -> Result<LibraryModel, LibraryModelError> {
    let text = std::str::from_utf8(text).map_err(|error| format_error(error.to_string()))?;
    let (body, rest) = text.split_once("\nend of trees").unzip();
    let body = body.unwrap_or(text);
    let mut sections = body.split("\nTree=");
    let header = ModelSection::new("the header", sections.next().unwrap_or_default());
    if header.name != "tree" {
        return Err(format_error("the first line is not `tree`"));
    }
    if header.has_line("average_output") {
        return Err(LibraryModelError::Unsupported {
            what: "a LightGBM random forest".to_owned(),
            instead: "train it with `boosting=\"gbdt\"`",
        });
    }
    if header.number::<usize>("num_class")? != 1
        || header.number::<usize>("num_tree_per_iteration")? != 1
    {
        return Err(LibraryModelError::Unsupported {
            what: "a LightGBM model of several classes".to_owned(),
            instead: "train it on one label with two values",
        });
    }
    check_is_whole(&header, rest.is_some(), body.matches("\nTree=").count())?;
    let features = header.number::<usize>("max_feature_idx")?.saturating_add(1);
    let (output, factor) = read_objective(header.text("objective"))?;
    let trees: Vec<Vec<Branch>> = sections
        .map(|section| {
            let number = section.lines().next().unwrap_or_default();
            read_branches(
                &ModelSection::new(&format!("tree {number}"), section),
                factor,
            )
        })
        .collect::<Result<_, _>>()?;
    let has_categories = body
        .lines()
        .filter_map(|line| line.strip_prefix("num_cat="))
        .any(|count| count.trim() != "0");
    let categories = read_categories(&header, has_categories, rest.unwrap_or_default())?;
    let forest = Forest::new(features, 0.0, trees.iter().map(Vec::as_slice))?;
    let names = header.text("feature_names").unwrap_or_default();
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let features = name_features(names, features)
        .ok_or_else(|| format_error("there are not as many `feature_names` as features"))?;
    Ok(LibraryModel {
        forest,
        features,
        categories,
        output,
        notes: Vec::new(),
    })
}

/// A file that was cut short in copying ends before its line `end of trees`.
fn check_is_whole(
    header: &ModelSection,
    has_end: bool,
    trees: usize,
) -> Result<(), LibraryModelError> {
    if let Some(sizes) = header.text("tree_sizes") {
        let named = sizes.split_whitespace().count();
        if named != trees {
            return Err(format_error(format!(
                "it has {trees} trees, and `tree_sizes` names {named}; the file is cut short, copy it again"
            )));
        }
    }
    if has_end {
        return Ok(());
    }
    Err(format_error(
        "it has no line `end of trees`; the file is cut short, copy it again",
    ))
}

/// The categories of the features that were text, numbers or true and false in a pandas table: the last line has a list
/// for each such column, and `feature_infos` says which features are categorical.
fn read_categories(
    header: &ModelSection,
    has_categories: bool,
    rest: &str,
) -> Result<Vec<Option<Categories>>, LibraryModelError> {
    let line = rest
        .lines()
        .find_map(|line| line.strip_prefix("pandas_categorical:"));
    if line.is_none() && rest.contains("\nparameters:") && !rest.contains("\nend of parameters") {
        return Err(format_error(
            "it has no line `end of parameters`, after which the categories stand; the file is cut short, copy it again",
        ));
    }
    if line.is_none() && has_categories {
        return Err(format_error(
            "it splits on categories and has no line `pandas_categorical`, which says what they are; the file is cut short, \
             copy it again, or end it with `pandas_categorical:null` if its categories are whole numbers",
        ));
    }
    let lists = match line.map(str::trim) {
        None | Some("null" | "[]") => return Ok(Vec::new()),
        Some(text) => serde_json::from_str::<Vec<Vec<Category>>>(text),
    };
    let lists = lists.map_err(|error| {
        format_error(format!("`pandas_categorical` is no list of lists: {error}"))
    })?;
    let lists: Vec<Categories> = lists.into_iter().map(Categories::new).collect();
    assign_categories(
        header,
        read_named_categories(header, rest).as_deref(),
        lists,
    )
}

/// The features that the parameter `categorical_feature` names, by number or by name. `None` if the file has no such
/// parameter.
fn read_named_categories(header: &ModelSection, rest: &str) -> Option<Vec<usize>> {
    let prefix = "[categorical_feature: ";
    let line = rest.lines().find_map(|line| line.strip_prefix(prefix))?;
    let said = line.trim_end().trim_end_matches(']');
    let names: Vec<&str> = header
        .text("feature_names")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let features = match said.strip_prefix("name:") {
        Some(said) => said
            .split(',')
            .filter_map(|name| names.iter().position(|known| *known == name.trim()))
            .collect(),
        None => said
            .split(',')
            .filter_map(|number| number.trim().parse().ok())
            .collect(),
    };
    Some(features)
}

/// Gives each list to its feature. The lists are in the order of the columns; `feature_infos` has `[1:5]` for a number
/// with its range, `-1:0:2` for a category with its values, and `none` for either if it has one value only: whether that
/// is a category, the parameter `categorical_feature` tells. The parameter may also name features that are numbers.
fn assign_categories(
    header: &ModelSection,
    named: Option<&[usize]>,
    lists: Vec<Categories>,
) -> Result<Vec<Option<Categories>>, LibraryModelError> {
    let infos: Vec<&str> = header
        .text("feature_infos")
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    if named.is_none() && infos.contains(&"none") {
        return Err(format_error(
            "it has no parameter `categorical_feature`, so it is not known whether a column with a single value is one of \
             categories; leave such columns out, and save the model again",
        ));
    }
    let is_category = |feature: usize| match infos[feature] {
        "none" => named.is_some_and(|named| named.contains(&feature)),
        info => !info.starts_with('['),
    };
    let categorical: Vec<usize> = (0..infos.len()).filter(|at| is_category(*at)).collect();
    let fits = |(feature, list): (&usize, &Categories)| {
        let values = infos[*feature]
            .split(':')
            .filter_map(|value| value.parse::<i64>().ok());
        values
            .max()
            .is_none_or(|most| usize::try_from(most).map_or(true, |most| most < list.count()))
    };
    if categorical.len() != lists.len() || !categorical.iter().zip(&lists).all(fits) {
        return Err(format_error(format!(
            "`pandas_categorical` has {} lists of categories, which do not belong to the {} categorical features; let all \
             categorical columns have pandas' type `category` without an order, or none, and do not name others in `categorical_feature`",
            lists.len(),
            categorical.len()
        )));
    }
    let mut categories = vec![None; infos.len()];
    for (feature, list) in categorical.into_iter().zip(lists) {
        categories[feature] = Some(list);
    }
    Ok(categories)
}

fn format_error(problem: impl Into<String>) -> LibraryModelError {
    LibraryModelError::Format {
        format: FORMAT,
        problem: problem.into(),
    }
}

/// What the sum of the trees stands for, and the factor by which the leaves must be multiplied.
fn read_objective(text: Option<&str>) -> Result<(ModelOutput, f64), LibraryModelError> {
    // A function of the user's own has no name in the file, and `predict` gives the sum.
    let Some(text) = text else {
        return Ok((ModelOutput::Value, 1.0));
    };
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
                Ok((ModelOutput::LogOdds, sigmoid))
            } else {
                Err(format_error(
                    "the objective's `sigmoid` is not a number above 0",
                ))
            }
        }
        "cross_entropy" => Ok((ModelOutput::LogOdds, 1.0)),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape"
            if !options.contains(&"sqrt") =>
        {
            Ok((ModelOutput::Value, 1.0))
        }
        _ => Err(LibraryModelError::Unsupported {
            what: format!("a LightGBM model with the objective `{text}`"),
            instead: "train it with `binary`, or with a regression such as `regression`",
        }),
    }
}

/// A part of the file: lines `key=value`.
struct ModelSection<'a> {
    /// The name of the part, for errors.
    place: String,
    /// The first line.
    name: &'a str,
    lines: FxHashMap<&'a str, &'a str>,
}

impl<'a> ModelSection<'a> {
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

    fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, LibraryModelError> {
        let number = self.text(key).and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            format_error(format!(
                "{}: `{key}` is missing or not a number",
                self.place
            ))
        })
    }

    /// A list of `length` numbers, or of any number of them.
    fn list<T: std::str::FromStr>(
        &self,
        key: &str,
        length: Option<usize>,
    ) -> Result<Vec<T>, LibraryModelError> {
        let text = self.text(key).unwrap_or_default();
        let list: Result<Vec<T>, _> = text.split_whitespace().map(str::parse).collect();
        let fits = |list: &Vec<T>| length.is_none_or(|length| list.len() == length);
        list.ok().filter(fits).ok_or_else(|| {
            let length = length.map_or(String::new(), |length| format!(" {length}"));
            format_error(format!(
                "{}: `{key}` is not a list of{length} numbers",
                self.place
            ))
        })
    }
}

/// The branches of a tree: its splits, then its leaves.
fn read_branches(tree: &ModelSection, factor: f64) -> Result<Vec<Branch>, LibraryModelError> {
    if tree.text("is_linear").is_some_and(|linear| linear != "0") {
        return Err(LibraryModelError::Unsupported {
            what: "a LightGBM model with linear trees".to_owned(),
            instead: "train it with `linear_tree=False`",
        });
    }
    let leaves: usize = tree.number("num_leaves")?;
    let values: Vec<f64> = tree.list("leaf_value", Some(leaves))?;
    // A tree that was never split has no counts.
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
    let mut splits = TreeSplits::new(tree, count)?;
    let branches = (0..count).map(|split| splits.branch(split));
    let branches: Vec<Branch> = branches.collect::<Result<_, _>>()?;
    Ok(branches.into_iter().chain(leaf_branches).collect())
}

/// The splits of a tree, numbered from 0: one entry a split in each list.
struct TreeSplits<'a> {
    /// The name of the tree, for errors.
    place: &'a str,
    features: Vec<usize>,
    gains: Vec<f64>,
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    /// The left and the right children: split `i` is `i`, leaf `i` is `-1 - i`.
    children: [Vec<i64>; 2],
    /// The sets of categories. Each split takes its own, so that no file can make one be copied many times.
    sets: Vec<Option<Vec<u32>>>,
}

impl<'a> TreeSplits<'a> {
    fn new(tree: &'a ModelSection, count: usize) -> Result<Self, LibraryModelError> {
        let count = Some(count);
        Ok(Self {
            place: &tree.place,
            features: tree.list("split_feature", count)?,
            gains: tree.list("split_gain", count)?,
            thresholds: tree.list("threshold", count)?,
            decisions: tree.list("decision_type", count)?,
            children: [
                tree.list("left_child", count)?,
                tree.list("right_child", count)?,
            ],
            sets: read_category_sets(tree)?,
        })
    }

    fn branch(&mut self, split: usize) -> Result<Branch, LibraryModelError> {
        let (test, missing_left) = self.test(split)?;
        Ok(Branch::Split {
            feature: self.features[split],
            test,
            missing_left,
            left: self.child(0, split)?,
            right: self.child(1, split)?,
            gain: self.gains[split],
        })
    }

    /// The question of a split, and whether a missing value goes left.
    fn test(&mut self, split: usize) -> Result<(SplitTest, bool), LibraryModelError> {
        let (decision, threshold) = (self.decisions[split], self.thresholds[split]);
        if decision & CATEGORICAL != 0 {
            let set =
                to_whole_number(threshold).and_then(|number| self.sets.get_mut(number)?.take());
            let set = set.ok_or_else(|| {
                self.split_error(
                    split,
                    &format!("there is no set of categories {threshold} left"),
                )
            })?;
            return Ok((SplitTest::OneOf(set), false));
        }
        let default_left = decision & DEFAULT_LEFT != 0;
        match decision & MISSING {
            MISSING_IS_NAN => Ok((SplitTest::AtMost(adjust_threshold(threshold)), default_left)),
            MISSING_IS_ZERO => Ok((
                SplitTest::AtMostZeroMissing(adjust_threshold(threshold)),
                default_left,
            )),
            // Where none was missing in training, LightGBM takes 0 for a missing value.
            0 => Ok((
                SplitTest::AtMost(adjust_threshold(threshold)),
                0.0 <= threshold,
            )),
            _ => Err(self.split_error(split, &format!("decision_type {decision} is unknown"))),
        }
    }

    /// The number of a child among the branches: leaves come after the splits.
    fn child(&self, side: usize, split: usize) -> Result<usize, LibraryModelError> {
        let child = self.children[side][split];
        let splits = self.features.len();
        let (number, before, most) = if child < 0 {
            (!child, splits, splits + 1)
        } else {
            (child, 0, splits)
        };
        let number = usize::try_from(number).ok().filter(|number| *number < most);
        number
            .map(|number| before + number)
            .ok_or_else(|| self.split_error(split, &format!("the child {child} does not exist")))
    }

    fn split_error(&self, split: usize, problem: &str) -> LibraryModelError {
        format_error(format!("{}, split {split}: {problem}", self.place))
    }
}

/// The limit for values that are not rounded: LightGBM takes values very near to 0 for 0.
fn adjust_threshold(threshold: f64) -> f64 {
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
fn to_whole_number(number: f64) -> Option<usize> {
    let whole = number as usize;
    (whole as f64 == number).then_some(whole)
}

/// The sets of categories of a tree, as bit sets.
fn read_category_sets(tree: &ModelSection) -> Result<Vec<Option<Vec<u32>>>, LibraryModelError> {
    let bounds: Vec<usize> = tree.list("cat_boundaries", None)?;
    let words: Vec<u32> = tree.list("cat_threshold", None)?;
    let set = |pair: &[usize]| words.get(pair[0]..pair[1]).map(|set| Some(set.to_vec()));
    let sets: Option<Vec<_>> = bounds.windows(2).map(set).collect();
    sets.ok_or_else(|| {
        format_error(format!(
            "{}: `cat_boundaries` do not fit `cat_threshold`",
            tree.place
        ))
    })
}
