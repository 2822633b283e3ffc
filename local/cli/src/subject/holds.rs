//! What was kept of a subject when it was forgotten before, and why.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;
use serde_json::{Value, json};
use shared::failure::error_code;

use super::error::{SubjectError, describe_failed_call};
use super::traces::Traces;
use crate::hold;
use local_aws::local_stack::Pipeline;

type HoldItem = HashMap<String, AttributeValue>;

/// What was kept of a subject when it was forgotten before.
#[derive(Default)]
pub(super) struct ReadHolds {
    /// Why, and until when.
    pub(super) holds: Vec<Value>,
    /// The partition and sort keys of the items that keep its hashes.
    pub(super) items: Vec<(String, String)>,
}

/// Reads why something was held before, and the hashes that were kept then. Another subject may share
/// a value and be held for it: its hashes are protected until its hold ends.
pub(super) async fn read_holds(
    pipeline: &Pipeline,
    traces: &mut Traces,
    now: Timestamp,
) -> Result<ReadHolds, SubjectError> {
    let mut found = ReadHolds::default();
    let own = traces.own_hashes();
    let mut read = BTreeSet::new();
    loop {
        let mut hashes = traces.all_hashes();
        hashes.extend(own.iter().cloned());
        let Some(hash) = hashes.difference(&read).next().cloned() else {
            return Ok(found);
        };
        for item in read_hold_items(pipeline, &hash).await? {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
            let (Some(pk), Some(sk)) = (text("pk"), text("sk")) else {
                continue;
            };
            let until = text(hold::UNTIL);
            let reason = text(hold::REASON);
            if own.contains(&hash) {
                let shown = json!({"reason": reason, "until": until});
                if !found.holds.contains(&shown) {
                    found.holds.push(shown);
                }
            }
            if hold::parse_owner(sk).is_some_and(|owner| own.contains(owner)) {
                found.items.push((pk.clone(), sk.clone()));
                let together = item.get(hold::HASHES);
                let together = together.and_then(|hashes| hashes.as_ss().ok());
                let together = together.into_iter().flatten().cloned();
                traces.held.extend(together);
            } else if until
                .and_then(|until| Timestamp::parse(until).ok())
                .is_some_and(|until| until > now)
            {
                traces.protected.insert(hash.clone());
            }
        }
        read.insert(hash);
    }
}

/// The items that keep a hash, one for each held subject.
async fn read_hold_items(pipeline: &Pipeline, hash: &str) -> Result<Vec<HoldItem>, SubjectError> {
    let query = pipeline.clients.dynamodb.query();
    let query = query
        .table_name(&pipeline.decisions_table)
        .consistent_read(true)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", AttributeValue::S(hold::format_hold_key(hash)));
    let mut pages = query.into_paginator().send();
    let mut items = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| describe_failed_call("read what is held")(error_code(&e)))?;
        items.extend(page.items.unwrap_or_default());
    }
    Ok(items)
}
