//! Says what a model file is, before it is read: the two formats that are read, and those that others confuse with them.

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::LibraryModelError;

const XGBOOST_JSON: &str = "save it with `booster.save_model(\"model.json\")`";
const LIGHTGBM_TEXT: &str = "save it with `booster.save_model(\"model.txt\")`";
const EITHER: &str = "save the model of XGBoost with `booster.save_model(\"model.json\")`, or of LightGBM with `booster.save_model(\"model.txt\")`";
const OTHER_LIBRARY: &str = "train the model with XGBoost or LightGBM";
const OTHER_BOOSTER: &str = "train it with `booster=\"gbtree\"`";
const UNPACK: &str = "unpack it, and import the model file that is in it";

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelFormat {
    XgboostJson,
    LightgbmText,
}

/// A format that is known and not read.
struct ForeignFormat {
    /// The name, with its article.
    name: &'static str,
    /// What can be imported instead.
    instead: &'static str,
}

const fn foreign(name: &'static str, instead: &'static str) -> ForeignFormat {
    ForeignFormat { name, instead }
}

/// Formats by their first bytes.
const SIGNATURES: &[(&[u8], ForeignFormat)] = &[
    (
        b"binf",
        foreign(
            "a binary model of an early XGBoost",
            "load it with the XGBoost that wrote it, and save it with `booster.save_model(\"model.json\")`",
        ),
    ),
    (
        b"booster[",
        foreign(
            "the output of XGBoost's `dump_model` (which lacks the base score)",
            XGBOOST_JSON,
        ),
    ),
    (b"CBM1", foreign("a CatBoost model", OTHER_LIBRARY)),
    (b"\x1f\x8b", foreign("a gzip file", UNPACK)),
    (b"PK\x03\x04", foreign("a zip file", UNPACK)),
    (b"BZh", foreign("a bzip2 file", UNPACK)),
    (b"\xfd7zXZ\0", foreign("an xz file", UNPACK)),
    (b"\x28\xb5\x2f\xfd", foreign("a zstd file", UNPACK)),
    (
        b"\x78\x01",
        foreign("a joblib file that is compressed", EITHER),
    ),
    (
        b"\x78\x5e",
        foreign("a joblib file that is compressed", EITHER),
    ),
    (
        b"\x78\x9c",
        foreign("a joblib file that is compressed", EITHER),
    ),
    (
        b"\x78\xda",
        foreign("a joblib file that is compressed", EITHER),
    ),
    (
        b"\x89HDF\r\n\x1a\n",
        foreign("an HDF5 file, as Keras writes it", OTHER_LIBRARY),
    ),
];

/// Documents of JSON by the first of these keys at the top.
const JSON_KEYS: &[(&str, ForeignFormat)] = &[
    (
        "features_info",
        foreign("a CatBoost model in JSON", OTHER_LIBRARY),
    ),
    (
        "model_info",
        foreign("a CatBoost model in JSON", OTHER_LIBRARY),
    ),
    (
        "oblivious_trees",
        foreign("a CatBoost model in JSON", OTHER_LIBRARY),
    ),
    (
        "num_tree_per_iteration",
        foreign("the output of LightGBM's `dump_model`", LIGHTGBM_TEXT),
    ),
    (
        "tree_info",
        foreign("the output of LightGBM's `dump_model`", LIGHTGBM_TEXT),
    ),
    (
        "nodeid",
        foreign(
            "a tree of the output of XGBoost's `dump_model` (which lacks the base score)",
            XGBOOST_JSON,
        ),
    ),
];

/// Names the format of a model file by its first bytes or keys. What is behind them can still be broken.
///
/// # Errors
/// [`LibraryModelError::Unsupported`] for a format that is known and not read, [`LibraryModelError::Unknown`] for others.
pub(super) fn identify_format(bytes: &[u8]) -> Result<ModelFormat, LibraryModelError> {
    let text = bytes.trim_ascii_start();
    if text.is_empty() {
        return Err(LibraryModelError::Empty);
    }
    if text == b"tree" || text.starts_with(b"tree\n") || text.starts_with(b"tree\r\n") {
        return Ok(ModelFormat::LightgbmText);
    }
    let found = match text {
        [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..] => {
            Some(foreign("an XGBoost model in UBJSON", XGBOOST_JSON))
        }
        [b'{', ..] => match find_json_key(text)? {
            None => return Ok(ModelFormat::XgboostJson),
            found => found,
        },
        [b'[', ..] if has_word(text, "\"nodeid\"") || has_word(text, "\"leaf\"") => Some(foreign(
            "the output of XGBoost's `dump_model` (which lacks the base score)",
            XGBOOST_JSON,
        )),
        [b'[', ..] if has_word(text, "\"bias\"") => Some(foreign(
            "the output of `dump_model` of XGBoost's linear booster",
            OTHER_BOOSTER,
        )),
        _ => identify_signature(bytes).or_else(|| identify_document(text)),
    };
    let found = found.ok_or(LibraryModelError::Unknown)?;
    Err(LibraryModelError::Unsupported {
        what: found.name.to_owned(),
        instead: found.instead,
    })
}

fn identify_signature(bytes: &[u8]) -> Option<ForeignFormat> {
    if let [0x80, 2..=5, ..] = bytes {
        return Some(name_pickle(bytes));
    }
    if bytes.starts_with(b"ccopy_reg\n") || bytes.starts_with(b"ccopyreg\n") {
        return Some(name_pickle(bytes));
    }
    // The version of ONNX, then the name of the program that wrote it.
    if let [0x08, 1..=0x20, 0x12, length, rest @ ..] = bytes
        && rest
            .get(..usize::from(*length))
            .is_some_and(<[u8]>::is_ascii)
    {
        return Some(foreign("an ONNX model", EITHER));
    }
    let known = SIGNATURES
        .iter()
        .find(|(first, _)| bytes.starts_with(first));
    known.map(|(_, found)| foreign(found.name, found.instead))
}

fn identify_document(text: &[u8]) -> Option<ForeignFormat> {
    has_word(text, "<PMML").then(|| foreign("a PMML document", EITHER))
}

/// Whose model is in a pickle, by the first module that it names. A pickle is a program: it is never run here.
fn name_pickle(bytes: &[u8]) -> ForeignFormat {
    let libraries = [
        (
            "xgboost",
            foreign("a Python pickle of an XGBoost model", XGBOOST_JSON),
        ),
        (
            "lightgbm",
            foreign(
                "a Python pickle of a LightGBM model",
                "save it with `booster.save_model(\"model.txt\")`, from scikit-learn's wrapper with `model.booster_.save_model(\"model.txt\")`",
            ),
        ),
        (
            "catboost",
            foreign("a Python pickle of a CatBoost model", OTHER_LIBRARY),
        ),
        (
            "sklearn",
            foreign("a Python pickle of a scikit-learn model", OTHER_LIBRARY),
        ),
    ];
    let head = &bytes[..bytes.len().min(HEAD)];
    let place = |name: &str| {
        head.windows(name.len())
            .position(|part| part == name.as_bytes())
    };
    libraries
        .into_iter()
        .filter_map(|(name, found)| Some((place(name)?, found)))
        .min_by_key(|(place, _)| *place)
        .map_or(
            foreign("a Python pickle or joblib file", EITHER),
            |(_, found)| found,
        )
}

/// How many bytes at the front are searched for words.
const HEAD: usize = 4096;

fn has_word(text: &[u8], word: &str) -> bool {
    let head = &text[..text.len().min(HEAD)];
    head.windows(word.len()).any(|part| part == word.as_bytes())
}

/// The format that the top keys of a JSON object tell; `None` for XGBoost's.
fn find_json_key(text: &[u8]) -> Result<Option<ForeignFormat>, LibraryModelError> {
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(text);
    // An error, also that the object is not read to its end, says nothing about the format.
    let _ = json.deserialize_map(KeySearch { found: &mut found });
    match found {
        Some("learner") => Ok(None),
        Some(key) => {
            let known = JSON_KEYS.iter().find(|(known, _)| *known == key);
            Ok(known.map(|(_, found)| foreign(found.name, found.instead)))
        }
        None => Err(LibraryModelError::Unknown),
    }
}

/// Looks for the first key that tells a format, and stops there.
struct KeySearch<'a> {
    found: &'a mut Option<&'static str>,
}

impl<'de> Visitor<'de> for KeySearch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let known = JSON_KEYS.iter().map(|(known, _)| *known);
            *self.found = known.chain(["learner"]).find(|known| *known == key);
            if self.found.is_some() {
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
