//! From stored decisions to the event bus: what a DynamoDB stream and the function `forward` do on AWS.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};

use aws_sdk_dynamodb::Client;
use forward::ForwardFunction;
use serde_json::{Value, json};
use shared::batch::InvocationContext;
use tokio::sync::mpsc;

use super::{DECISIONS, LocalStackError};
use crate::clients::{ACCOUNT, REGION};
use crate::dynamodb::InsertedItem;
use crate::home::Home;

/// How many decisions may wait to be forwarded; if there are more, puts wait.
pub(super) const FORWARD_QUEUE: usize = 1_000;
/// How many decisions go to `forward` at once, as from a stream.
const FORWARD_BATCH: usize = 100;

/// Forwards decisions in batches, as the mapping of a stream would; returns how many failed.
pub(super) async fn forward_decisions(
    forward: ForwardFunction,
    mut queue: mpsc::Receiver<InsertedItem>,
) -> usize {
    let (mut sequence, mut failed) = (0_u64, 0);
    let mut inserts = Vec::with_capacity(FORWARD_BATCH);
    while queue.recv_many(&mut inserts, FORWARD_BATCH).await > 0 {
        let mut records: Vec<Value> = Vec::with_capacity(inserts.len());
        for insert in inserts.drain(..) {
            sequence += 1;
            records.push(build_stream_record(sequence, &insert.image));
        }
        let context = InvocationContext::new(jiff::Timestamp::now(), 0);
        let handled = forward
            .forward_batch(json!({ "Records": records }), context)
            .await;
        failed += handled
            .results
            .iter()
            .filter(|(_, result)| result.is_err())
            .count();
    }
    failed
}

fn build_stream_record(sequence: u64, image: &Value) -> Value {
    json!({
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{DECISIONS}/stream/local"),
        "dynamodb": { "SequenceNumber": sequence.to_string(), "NewImage": image },
    })
}

/// Queues every decision and verdict that is not in `outcomes.jsonl`.
pub(super) async fn queue_missing_decisions(
    home: &Home,
    client: &Client,
    queue: &mpsc::Sender<InsertedItem>,
) -> Result<(), LocalStackError> {
    let told = read_forwarded_ids(home)?;
    let mut items = client
        .scan()
        .table_name(DECISIONS)
        .into_paginator()
        .items()
        .send();
    while let Some(item) = items.next().await {
        let item = item.map_err(|error| {
            LocalStackError::Table(format!(
                "cannot read `{DECISIONS}`: {}",
                shared::failure::error_code(&error)
            ))
        })?;
        // A verdict also names its decision.
        let mut id = ["verdict_id", "decision_id"].into_iter();
        let id = id.find_map(|name| item.get(name)?.as_s().ok());
        if id.is_none_or(|id| told.contains(id)) {
            continue;
        }
        let image = serde_dynamo::Item::from(item);
        let image = serde_json::to_value(image).unwrap_or_default();
        drop(
            queue
                .send(InsertedItem {
                    table: DECISIONS.to_owned(),
                    image,
                })
                .await,
        );
    }
    Ok(())
}

/// The ids of the decisions and verdicts that were forwarded.
pub fn read_forwarded_ids(home: &Home) -> io::Result<HashSet<String>> {
    let mut ids = HashSet::new();
    let Ok(file) = File::open(home.outcomes_file()) else {
        return Ok(ids);
    };
    for line in BufReader::new(file).lines() {
        let event: Value = serde_json::from_str(&line?).unwrap_or_default();
        let detail = &event["detail"];
        let id = detail["verdict_id"].as_str();
        let id = id.or_else(|| detail["decision_id"].as_str());
        ids.extend(id.map(str::to_owned));
    }
    Ok(ids)
}
