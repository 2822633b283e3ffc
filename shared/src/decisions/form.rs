//! The version of the form in which items of the table of decisions are stored.
//!
//! During a deployment, and after one that was taken back, functions of two releases read the same items. A field that is
//! added with a default needs no new form. Where the release before would misunderstand an item, the form is raised: first
//! in the reader, and one release later in the writer.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::failure::Failure;
use crate::items::Item;

/// The form that this release writes, and the newest that it reads. Items without one are of form 1.
pub const FORM: u32 = 1;

/// The form of items that do not say it: releases before forms wrote them.
pub(super) fn first_form() -> u32 {
    1
}

/// The form as an attribute.
pub(crate) fn form_attribute() -> AttributeValue {
    AttributeValue::N(FORM.to_string())
}

/// Checks that this release knows the form of an item.
///
/// # Errors
/// [`Failure::Retry`], as a wrong set-up, if a newer release wrote the item: the record waits, and nothing is guessed.
pub(crate) fn check_form(item: &Item) -> Result<(), Failure> {
    let form = item.get("form").and_then(|form| form.as_n().ok());
    match form.and_then(|form| form.parse::<u32>().ok()) {
        Some(form) if form > FORM => Err(newer_form(form)),
        _ => Ok(()),
    }
}

fn newer_form(form: u32) -> Failure {
    Failure::set_up(format!(
        "an item of the table of decisions has form {form}, this release reads forms up to {FORM}: a newer release wrote it"
    ))
}
