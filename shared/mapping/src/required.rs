//! Reads members that a record must have, such as ids, kinds and times.

use std::borrow::Cow;

use crate::failure::Failure;
use crate::value_source::{Document, ValueSource};

/// The longest id, kind or time, in bytes.
const LONGEST_ID: usize = 1024;

/// The text of a source that a record must have; `what` names it in the rejection.
pub(crate) fn read_required(
    source: &ValueSource,
    document: &Document<'_>,
    what: &str,
) -> Result<String, Failure> {
    let text = source
        .read(document)
        .map_err(|problem| reject_missing(source, what, &problem))?;
    check_length(source, text)?.ok_or_else(|| reject_missing(source, what, "is absent or blank"))
}

/// The texts of a source that may give several, at least one.
pub(crate) fn read_all_required(
    source: &ValueSource,
    document: &Document<'_>,
    what: &str,
) -> Result<Vec<String>, Failure> {
    let texts = source
        .read_all(document)
        .map_err(|problem| reject_missing(source, what, &problem))?;
    if texts.is_empty() {
        return Err(reject_missing(source, what, "is absent or blank"));
    }
    for text in &texts {
        check_length(source, Some(Cow::Borrowed(text)))?;
    }
    Ok(texts)
}

fn reject_missing(source: &ValueSource, what: &str, problem: &str) -> Failure {
    Failure::rejected(
        "missing-member",
        format!("the record has no {what}: `{source:?}` {problem}"),
    )
}

/// Rejects a text of more than [`LONGEST_ID`] bytes.
pub(crate) fn check_length(
    source: &ValueSource,
    text: Option<Cow<'_, str>>,
) -> Result<Option<String>, Failure> {
    match text {
        Some(text) if text.len() > LONGEST_ID => Err(Failure::rejected(
            "too-long",
            format!(
                "`{source:?}` has {} bytes; at most {LONGEST_ID} are taken here",
                text.len()
            ),
        )),
        text => Ok(text.map(Cow::into_owned)),
    }
}
