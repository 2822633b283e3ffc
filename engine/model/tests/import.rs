//! Imported models predict what their libraries do. `models/make_models.py` made the answers.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::path::PathBuf;

use model::import::{self, LibraryModel, LibraryModelError};
use model::{Model, Variable, VariableType};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Answers {
    rows: Vec<Vec<Option<f64>>>,
    predictions: Vec<f64>,
    /// One number a feature, then the expected value.
    shapley: Vec<Vec<f64>>,
}

fn read(file: &str) -> Vec<u8> {
    std::fs::read(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/models")
            .join(file),
    )
    .unwrap()
}

fn import(file: &str) -> Result<LibraryModel, LibraryModelError> {
    let bytes = read(file);
    if file.starts_with("xgboost") {
        import::read_xgboost(&bytes)
    } else {
        import::read_lightgbm(&bytes)
    }
}

#[track_caller]
fn check(file: &str) {
    let model = import(file).unwrap();
    let (name, _) = file.split_once('.').unwrap();
    let answers: Answers = serde_json::from_slice(&read(&format!("{name}.answers.json"))).unwrap();
    assert!(answers.rows.len() > 60);
    for ((row, expected), shapley) in answers
        .rows
        .iter()
        .zip(answers.predictions)
        .zip(answers.shapley)
    {
        let row: Vec<f64> = row.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        let found = model.predict(&row);
        assert!(
            (found - expected).abs() < 1e-6,
            "{file} {row:?}: {found}, not {expected}"
        );
        let mut ours = model.forest.shapley(&row);
        ours.push(model.forest.expected());
        for (ours, theirs) in ours.iter().zip(shapley) {
            assert!(
                (ours - theirs).abs() < 1e-5,
                "{file} {row:?}: {ours}, not {theirs}"
            );
        }
    }
    assert_eq!(model.features.len(), model.forest.features());
}

#[test]
fn xgboost_logistic() {
    check("xgboost-logistic.json");
}

#[test]
fn xgboost_base_score() {
    check("xgboost-base-score.json");
}

#[test]
fn xgboost_margin() {
    check("xgboost-logitraw.json");
}

#[test]
fn xgboost_regression() {
    check("xgboost-regression.json");
}

#[test]
fn xgboost_dart() {
    check("xgboost-dart.json");
}

#[test]
fn lightgbm_binary() {
    check("lightgbm-binary.txt");
}

#[test]
fn lightgbm_sigmoid() {
    check("lightgbm-sigmoid.txt");
}

#[test]
fn lightgbm_none_missing_in_training() {
    check("lightgbm-none-missing.txt");
}

#[test]
fn lightgbm_zero_as_missing() {
    check("lightgbm-zero-missing.txt");
}

#[test]
fn lightgbm_categories() {
    check("lightgbm-categories.txt");
}

#[test]
fn lightgbm_regression() {
    check("lightgbm-regression.txt");
}

#[track_caller]
fn refused(file: &str, message: &str) {
    assert_eq!(import(file).unwrap_err().to_string(), message);
}

#[test]
fn other_kinds_are_refused_in_a_sentence() {
    refused(
        "xgboost-linear.json",
        "an XGBoost model with the booster `gblinear` cannot be imported: train it with `booster=\"gbtree\"`",
    );
    refused(
        "xgboost-poisson.json",
        "an XGBoost model with the objective `count:poisson` cannot be imported: train it with \
         `binary:logistic`, or with a regression such as `reg:squarederror`",
    );
    refused(
        "lightgbm-forest.txt",
        "a LightGBM random forest cannot be imported: train it with `boosting=\"gbdt\"`",
    );
    refused(
        "lightgbm-linear.txt",
        "a LightGBM model with linear trees cannot be imported: train it with `linear_tree=False`",
    );
}

#[test]
fn other_files_are_refused_in_a_sentence() {
    let cases: [(&[u8], &str, &str); 3] = [
        (
            b"tree\n",
            "this is not an XGBoost model in JSON (`booster.save_model(\"model.json\")`): expected ident at line 1 column 3",
            "this is not a LightGBM model in text (`booster.save_model(\"model.txt\")`): \
             the header: `num_class` is missing or not a number",
        ),
        (
            b"{}",
            "this is not an XGBoost model in JSON (`booster.save_model(\"model.json\")`): missing field `learner` at line 1 column 2",
            "this is not a LightGBM model in text (`booster.save_model(\"model.txt\")`): the first line is not `tree`",
        ),
        (
            b"\xff",
            "this is not an XGBoost model in JSON (`booster.save_model(\"model.json\")`): expected value at line 1 column 1",
            "this is not a LightGBM model in text (`booster.save_model(\"model.txt\")`): \
             invalid utf-8 sequence of 1 bytes from index 0",
        ),
    ];
    for (bytes, xgboost, lightgbm) in cases {
        assert_eq!(
            import::read_xgboost(bytes).unwrap_err().to_string(),
            xgboost
        );
        assert_eq!(
            import::read_lightgbm(bytes).unwrap_err().to_string(),
            lightgbm
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A file that is cut, or in which a few bytes were changed to likely ones, never panics.
    #[test]
    fn broken_files_are_read_without_panic(
        file in prop::sample::select(vec!["xgboost-logistic.json", "lightgbm-binary.txt", "lightgbm-categories.txt"]),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"-0129 e.=[]{}\n\"a\xff".to_vec())), 1..5),
    ) {
        let mut bytes = read(file);
        import::fuzz::read_model(&bytes[..cut.index(bytes.len())]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        import::fuzz::read_model(&bytes);
    }
}

/// A model of one tree: the categories with the numbers 0 and 2 go left, to 1, all others right, to -1.
const PANDAS: &str = "tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:1
feature_names=amount country
feature_infos=[1:9] -1:0:1:2
tree_sizes=300

Tree=0
num_leaves=2
num_cat=1
split_feature=1
split_gain=1
threshold=0
decision_type=1
left_child=-1
right_child=-2
leaf_value=1 -1
leaf_count=1 1
cat_boundaries=0 1
cat_threshold=5

end of trees

pandas_categorical:[[\"GB\", \"NG\", \"RO\"]]
";

#[test]
fn categories_of_pandas_are_read_by_their_values() {
    let imported = import::read_lightgbm(PANDAS.as_bytes()).unwrap();
    let variables: Vec<Variable> = imported
        .features
        .iter()
        .map(|name| Variable::new(name, VariableType::Numeric))
        .collect();
    let model = Model::from_forest(variables, imported.forest, None).unwrap();
    let model = model.with_categories(imported.categories);
    let stored = Model::from_bytes(&model.to_bytes()).unwrap();
    for (country, want) in [
        (Some("GB"), 1.0),
        (Some("NG"), -1.0),
        (Some("RO"), 1.0),
        (Some("FR"), -1.0),
        (Some("0"), -1.0),
        (None, -1.0),
    ] {
        for model in [&model, &stored] {
            let score = model.score(&[Some("5"), country], None, &[]);
            assert!(
                (score.log_odds - want).abs() < 1e-9,
                "{country:?}: {score:?}"
            );
        }
    }
}

#[test]
fn a_file_that_is_not_whole_or_not_clear_is_refused() {
    for (from, to, want) in [
        (
            "tree_sizes=300",
            "tree_sizes=300 300",
            "it has 1 trees, and `tree_sizes` names 2; the file is cut short, copy it again",
        ),
        (
            "\nend of trees",
            "",
            "it has no line `end of trees`; the file is cut short, copy it again",
        ),
        (
            "pandas_categorical:[[\"GB\", \"NG\", \"RO\"]]",
            "",
            "it splits on categories and has no line `pandas_categorical`, which says what they are; the file is cut short",
        ),
        (
            "pandas_categorical:[[\"GB\", \"NG\", \"RO\"]]",
            "parameters:\n[boosting: gbdt]",
            "it has no line `end of parameters`, after which the categories stand; the file is cut short, copy it again",
        ),
        (
            "[[\"GB\", \"NG\", \"RO\"]]",
            "[[\"GB\"], [\"a\"]]",
            "`pandas_categorical` has 2 lists of categories, which do not belong to the 1 categorical features; let all \
             categorical columns have pandas' type `category` without an order, or none, and do not name others in `categorical_feature`",
        ),
        (
            "[[\"GB\", \"NG\", \"RO\"]]",
            "[\"GB\"",
            "`pandas_categorical` is no list of lists: ",
        ),
    ] {
        assert!(PANDAS.contains(from), "{from}");
        let error = import::read_lightgbm(PANDAS.replacen(from, to, 1).as_bytes());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// `PANDAS` with other features, lists and parameters. The categorical split is on the last feature.
fn lightgbm_with(names: &str, infos: &str, said: &str, lists: &str) -> String {
    let last = names.split(' ').count() - 1;
    let parameters = format!(
        "parameters:\n[boosting: gbdt]\n[categorical_feature: {said}]\n\nend of parameters\n\n"
    );
    PANDAS
        .replace("max_feature_idx=1", &format!("max_feature_idx={last}"))
        .replace("split_feature=1", &format!("split_feature={last}"))
        .replace(
            "feature_names=amount country",
            &format!("feature_names={names}"),
        )
        .replace(
            "feature_infos=[1:9] -1:0:1:2",
            &format!("feature_infos={infos}"),
        )
        .replace(
            "pandas_categorical:[[\"GB\", \"NG\", \"RO\"]]",
            &format!("{parameters}pandas_categorical:{lists}"),
        )
}

const COUNTRIES: &str = "[\"GB\", \"NG\", \"RO\"]";

/// Which features have lists of categories, as LightGBM 4 wrote the files of tables with these columns.
#[test]
fn lists_of_categories_go_to_their_columns() {
    for (names, infos, named, lists, want) in [
        // A column of categories with a single value, which is `none`.
        (
            "a const country",
            "[-2:3] none -1:0:2:1",
            "1,2",
            "[[\"k\"], COUNTRIES]",
            [false, true, true],
        ),
        (
            "const a country",
            "none [-2:3] -1:0:2:1",
            "0,2",
            "[[\"k\"], COUNTRIES]",
            [true, false, true],
        ),
        (
            "const a country",
            "none [-2:3] -1:0:2:1",
            "name:const,country",
            "[[\"k\"], COUNTRIES]",
            [true, false, true],
        ),
        // A number with a single value.
        (
            "a const country",
            "[-2:3] none -1:0:2:1",
            "2",
            "[COUNTRIES]",
            [false, false, true],
        ),
        // The parameter names a number, which pandas' own type outranks.
        (
            "code a country",
            "[0:3] [-2:3] -1:0:2:1",
            "0,2",
            "[COUNTRIES]",
            [false, false, true],
        ),
    ] {
        let lists = lists.replace("COUNTRIES", COUNTRIES);
        let model = import::read_lightgbm(lightgbm_with(names, infos, named, &lists).as_bytes());
        let categories = model.unwrap().categories;
        let found: Vec<bool> = categories.iter().map(Option::is_some).collect();
        assert_eq!(found, want, "{names} {infos} {named}");
    }
}

#[test]
fn lists_of_categories_whose_column_is_not_known_are_refused() {
    let unclear = |lists: usize, features: usize| {
        format!(
            "`pandas_categorical` has {lists} lists of categories, which do not belong to the {features} categorical features"
        )
    };
    for (names, infos, named, lists, want) in [
        // A column of categories with a single value beside whole numbers that are categories.
        (
            "a const code",
            "[-2:3] none -1:0:2:3:1",
            "1,2",
            "[[\"k\"]]",
            unclear(1, 2),
        ),
        (
            "a const code",
            "[-2:3] none -1:0:2:3:1",
            "2",
            "[[\"k\"]]",
            unclear(1, 1),
        ),
        // Ordered categories, which LightGBM takes as numbers.
        (
            "a rank code",
            "[-2:3] [0:2] -1:0:2:3:1",
            "2",
            "[COUNTRIES]",
            unclear(1, 1),
        ),
        (
            "a rank country",
            "[-2:3] [0:2] -1:0:2:1",
            "2",
            "[COUNTRIES, COUNTRIES]",
            unclear(2, 1),
        ),
        (
            "a country code",
            "[-2:3] -1:0:2:1 -1:0:2:3:1",
            "1,2",
            "[COUNTRIES]",
            unclear(1, 2),
        ),
    ] {
        let lists = lists.replace("COUNTRIES", COUNTRIES);
        let file = lightgbm_with(names, infos, named, &lists);
        let error = import::read_lightgbm(file.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(&want), "{names} {infos}: {error}");
    }
    let file = lightgbm_with(
        "a const country",
        "[-2:3] none -1:0:2:1",
        "2",
        &format!("[{COUNTRIES}]"),
    );
    let error = import::read_lightgbm(file.replace("[categorical_feature: 2]\n", "").as_bytes());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("it has no parameter `categorical_feature`"),
        "{error}"
    );
}

#[test]
fn an_objective_of_the_users_own_gives_a_value() {
    let file = PANDAS.replace("objective=binary sigmoid:1\n", "");
    let model = import::read_lightgbm(file.as_bytes()).unwrap();
    assert_eq!(model.output, model::import::ModelOutput::Value);
}
