//! What other files than those that are read are called, by the first bytes that their libraries write.

use model::import::{self, LibraryModelError};

const XGBOOST: &str = "save it with `booster.save_model(\"model.json\")`";
const LIGHTGBM: &str = "save it with `booster.save_model(\"model.txt\")`";
const EITHER: &str = "save the model of XGBoost with `booster.save_model(\"model.json\")`, or of LightGBM with \
                      `booster.save_model(\"model.txt\")`";
const OTHER: &str = "train the model with XGBoost or LightGBM";
const UNPACK: &str = "unpack it, and import the model file that is in it";

#[track_caller]
fn check(bytes: &[u8], name: &str, instead: &str) {
    let error = import::read_model(bytes)
        .map(|_| ())
        .map_err(|error| error.to_string());
    assert_eq!(
        error,
        Err(format!("{name} cannot be imported: {instead}")),
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn files_of_xgboost() {
    let ubjson = b"{L\0\0\0\0\0\0\0\x07learner{L\0\0\0\0\0\0\0\nattributes{}";
    check(ubjson, "an XGBoost model in UBJSON", XGBOOST);
    let dump = "the output of XGBoost's `dump_model` (which lacks the base score)";
    check(
        b"[\n  { \"nodeid\": 0, \"depth\": 0, \"split\": \"f0\", \"yes\": 1",
        dump,
        XGBOOST,
    );
    check(b"[\n  { \"nodeid\": 0, \"leaf\": 0.1 }\n]", dump, XGBOOST);
    check(
        b"booster[0]:\n0:[f0<-0.0015] yes=1,no=2,missing=2\n",
        dump,
        XGBOOST,
    );
    check(b"booster[0]:\ndigraph {\n", dump, XGBOOST);
    check(
        b"[\n  { \"bias\": [\n      -0.04\n    ],\n",
        "the output of `dump_model` of XGBoost's linear booster",
        "train it with `booster=\"gbtree\"`",
    );
    check(
        b"binf\0\0\0?\x03\0\0\0",
        "a binary model of an early XGBoost",
        "load it with the XGBoost that wrote it, and save it with `booster.save_model(\"model.json\")`",
    );
    check(
        b"\x80\x04\x95v\x17\0\0\0\0\0\0\x8c\x0cxgboost.core\x94\x8c\x07Booster",
        "a Python pickle of an XGBoost model",
        XGBOOST,
    );
    check(
        br#"{"learner":{"generic_param":{"device":"cpu"},"gradient_booster":{"name":"gbtree"}},"version":[3,2,0]}"#,
        "the output of XGBoost's `save_config` (which has no trees)",
        XGBOOST,
    );
    check(
        br#"{"learner":{"gradient_booster":{"name":"gblinear","model":{"weights":[1.5]}}}}"#,
        "an XGBoost model with the booster `gblinear`",
        "train it with `booster=\"gbtree\"`",
    );
}

#[test]
fn files_of_lightgbm_and_catboost() {
    check(
        br#"{"name": "tree", "version": "v4", "num_class": 1, "num_tree_per_iteration": 1, "label_index": 0"#,
        "the output of LightGBM's `dump_model`",
        LIGHTGBM,
    );
    check(
        b"\x80\x04\x95\xce\x14\0\0\0\0\0\0\x8c\x0elightgbm.basic\x94\x8c\x07Booster\x94",
        "a Python pickle of a LightGBM model",
        "save it with `booster.save_model(\"model.txt\")`, from scikit-learn's wrapper with \
         `model.booster_.save_model(\"model.txt\")`",
    );
    let json = "a CatBoost model in JSON";
    check(
        b"{\n  \"features_info\":\n    {\n      \"float_features\":\n        [\n",
        json,
        OTHER,
    );
    check(
        b"{\"oblivious_trees\": [], \"scale_and_bias\": [1, [0]]}",
        json,
        OTHER,
    );
    check(b"CBM1\xb8\x1a\0\0\x10", "a CatBoost model", OTHER);
}

#[test]
fn files_of_others() {
    check(
        b"\x80\x04\x95\x85\x03\0\0\0\0\0\0\x8c\x18sklearn.ensemble._forest\x94\x8c\x16RandomForestClassifier",
        "a Python pickle of a scikit-learn model",
        OTHER,
    );
    check(
        b"ccopy_reg\n_reconstructor\np0\n(csklearn.ensemble._forest\nRandomForestClassifier\n",
        "a Python pickle of a scikit-learn model",
        OTHER,
    );
    check(b"\x80\x03}q\0.", "a Python pickle or joblib file", EITHER);
    check(
        b"\x78\x5e\xed\x58\x4b",
        "a joblib file that is compressed",
        EITHER,
    );
    check(b"\x08\x03\x12\x08CatBoost\x1a\x0b", "an ONNX model", EITHER);
    check(b"\x08\x08\x12\x08skl2onnx", "an ONNX model", EITHER);
    check(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PMML version=\"4.3\">",
        "a PMML document",
        EITHER,
    );
    check(
        b"\x89HDF\r\n\x1a\n\0",
        "an HDF5 file, as Keras writes it",
        OTHER,
    );
    check(b"\x1f\x8b\x08\0", "a gzip file", UNPACK);
    check(b"PK\x03\x04\x14", "a zip file", UNPACK);
    check(b"BZh91AY", "a bzip2 file", UNPACK);
    check(b"\xfd7zXZ\0\0", "an xz file", UNPACK);
    check(b"\x28\xb5\x2f\xfd\0", "a zstd file", UNPACK);
}

#[test]
fn what_is_not_known_is_said_so() {
    for bytes in [
        &b"\"\"\"Makes models.\"\"\""[..],
        b"{}",
        b"{\"a\": 1}",
        b"[1, 2]",
        b"trees\n",
        b"\xff\xfe",
    ] {
        assert_eq!(
            import::read_model(bytes).map(|_| ()),
            Err(LibraryModelError::Unknown)
        );
    }
    for bytes in [&b""[..], b" \n", b"\xef\xbb\xbf"] {
        assert_eq!(
            import::read_model(bytes).map(|_| ()),
            Err(LibraryModelError::Empty)
        );
    }
}

/// A file in a format that is read goes to its reader, which says what is wrong with it.
#[test]
fn files_that_are_read_go_to_their_readers() {
    for (bytes, reader) in [
        (
            &b"{\"learner\": {}}"[..],
            "this is not an XGBoost model in JSON",
        ),
        (
            b"\xef\xbb\xbf\n{\"version\": [3, 2, 0], \"learner\": 1}",
            "this is not an XGBoost model in JSON",
        ),
        (b"tree\n", "this is not a LightGBM model in text"),
        (
            b"tree\r\nversion=v4\r\n",
            "this is not a LightGBM model in text",
        ),
    ] {
        let error = import::read_model(bytes)
            .map(|_| ())
            .map_err(|error| error.to_string());
        assert!(
            error.as_ref().is_err_and(|error| error.starts_with(reader)),
            "{error:?}"
        );
    }
}

/// A model of XGBoost of one split, as version 3 writes it.
const XGBOOST_MODEL: &str = r#"{"learner":{"attributes":{"best_iteration":"0"},"feature_names":["a"],"feature_types":["float"],
"gradient_booster":{"model":{"cats":{"enc":[],"feature_segments":[],"sorted_idx":[]},
"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"iteration_indptr":[0,1],"tree_info":[0],
"trees":[{"base_weights":[0.0,-1.5,1.5],"categories":[],"categories_nodes":[],"categories_segments":[],"categories_sizes":[],
"default_left":[1,0,0],"id":0,"left_children":[1,-1,-1],"loss_changes":[9.5,0.0,0.0],"parents":[2147483647,0,0],
"right_children":[2,-1,-1],"split_conditions":[0.5,-1.5,1.5],"split_indices":[0,0,0],"split_type":[0,0,0],
"sum_hessian":[4.0,2.0,2.0],
"tree_param":{"num_deleted":"0","num_feature":"1","num_nodes":"3","size_leaf_vector":"1"}}]},"name":"gbtree"},
"learner_model_param":{"base_score":"[5E-1]","boost_from_average":"1","num_class":"0","num_feature":"1","num_target":"1"},
"objective":{"name":"binary:logistic","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[3,2,0]}"#;

#[test]
fn a_file_that_is_cut_anywhere_is_no_model() {
    // What LightGBM writes after its trees makes no difference to a model without categories.
    let lightgbm = include_str!("models/lightgbm-none-missing.txt");
    for (whole, end) in [
        (XGBOOST_MODEL, XGBOOST_MODEL.len()),
        (lightgbm, lightgbm.find("end of trees").unwrap_or(0)),
    ] {
        assert!(import::read_model(whole.as_bytes()).is_ok());
        for length in 0..end {
            let cut = import::read_model(&whole.as_bytes()[..length]);
            assert!(cut.is_err(), "the first {length} bytes were read: {cut:?}");
        }
    }
}

#[test]
fn a_file_whose_parts_do_not_fit_is_refused() {
    let format = "this is not an XGBoost model in JSON (`booster.save_model(\"model.json\")`): ";
    let several = "an XGBoost model of several classes or targets cannot be imported: train it on one label with two values";
    for (from, to, want) in [
        ("\"num_trees\":\"1\"", "\"num_trees\":\"2\"", format!("{format}`num_trees` is not 1, the number of `trees`")),
        ("\"num_nodes\":\"3\"", "\"num_nodes\":\"5\"", format!("{format}tree 0 does not have `num_nodes` nodes")),
        ("\"num_class\":\"0\"", "\"num_class\":\"3\"", several.to_owned()),
        ("\"num_target\":\"1\"", "\"num_target\":\"2\"", several.to_owned()),
        ("\"tree_info\":[0]", "\"tree_info\":[1]", several.to_owned()),
        ("\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"2\"", several.to_owned()),
        (
            "\"name\":\"gbtree\"}",
            "\"name\":\"gbtree\"},\"name\":\"dart\",\"weight_drop\":[0.5,1]}",
            format!("{format}there are not as many numbers in `weight_drop` as trees"),
        ),
        ("[5E-1]", "[5E-1,2E-1]", format!("{format}`base_score` is not one finite number")),
        ("[5E-1]", "[1E0]", format!("{format}`base_score` is not between 0 and 1")),
        (
            "\"split_type\":[0,0,0]",
            "\"split_type\":[1,0,0]",
            "an XGBoost model with categorical splits cannot be imported: train it with `enable_categorical=False` on numbers".to_owned(),
        ),
        ("\"feature_names\":[\"a\"]", "\"feature_names\":[\"a\",\"b\"]", format!("{format}there are not as many `feature_names` as features")),
    ] {
        assert!(XGBOOST_MODEL.contains(from), "{from}");
        let mut file = XGBOOST_MODEL.replacen(from, to, 1);
        if to.contains("dart") {
            file = file.replacen("\"gradient_booster\":{", "\"gradient_booster\":{\"gbtree\":{", 1);
        }
        let error = import::read_model(file.as_bytes());
        assert_eq!(error.map(|_| ()).map_err(|error| error.to_string()), Err(want));
    }
}

#[test]
fn a_model_whose_training_stopped_early_has_a_note() {
    let file = XGBOOST_MODEL;
    let (_, after) = file.split_once("\"trees\":[").unwrap_or_default();
    let (tree, _) = after.split_once("]},\"name\"").unwrap_or_default();
    let repeated = file
        .replacen(tree, &format!("{tree},{tree},{tree}"), 1)
        .replace("\"num_trees\":\"1\"", "\"num_trees\":\"3\"");
    let note = "Training stopped early: the best of 3 iterations is number 1. All of them count, as in `Booster.predict`; \
                scikit-learn's wrapper uses the first 1. To use these, import the file of \
                `booster[:1].save_model(\"model.json\")`.";
    for (file, want) in [
        (file.to_owned(), vec![]),
        (repeated.clone(), vec![note.to_owned()]),
        (
            repeated.replace("\"best_iteration\":\"0\"", "\"best_iteration\":\"2\""),
            vec![],
        ),
        (
            repeated.replace("\"num_parallel_tree\":\"1\"", "\"num_parallel_tree\":\"3\""),
            vec![],
        ),
    ] {
        let notes = import::read_model(file.as_bytes()).map(|(_, model)| model.notes);
        assert_eq!(notes, Ok(want));
    }
}
