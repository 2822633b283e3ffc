//! Lambda function `forward`: publishes every new decision, and every verdict on one, as an event on EventBridge.
//!
//! It reads the stream of the table of decisions, ignores everything but INSERTs of decisions and verdicts, and sends up to
//! ten events per call. Delivery is at least once: consumers deduplicate by `detail.decision_id`, and verdicts by
//! `detail.verdict_id`.

use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use serde_json::{Value, json};
use shared::batch::{BatchFailed, BatchResponse, BatchResults, InvocationContext};
use shared::decisions::{Decision, parse_decision};
use shared::failure::{Failure, dependency_failure};
use shared::known_faults::{KnownFault, is_injected};
use shared::records::{Origin, Position};
use shared::reviews::{Verdict, parse_verdict};

/// The function's name, as metrics carry it.
pub const FUNCTION: &str = "forward";
/// `source` of every event.
pub const SOURCE: &str = "fraudstream";
/// `detail-type` of a decision.
pub const DETAIL_TYPE: &str = "Fraud Decision";
/// `detail-type` of a verdict on a decision.
pub const REVIEWED_DETAIL_TYPE: &str = "Decision Reviewed";

/// `detail.version`: raised when a field is removed or changes its meaning.
const DETAIL_VERSION: u32 = 1;

/// The most entries in one `PutEvents`.
const ENTRIES: usize = 10;
/// How often entries are sent before Lambda is asked to deliver their records again.
const ROUNDS: u32 = 4;
/// Pause before the first repetition; it doubles.
const PAUSE: Duration = Duration::from_millis(50);

/// The handler of the function, with its client.
#[derive(Clone, Debug)]
pub struct ForwardFunction {
    /// The bus's client.
    pub event_bridge: aws_sdk_eventbridge::Client,
    /// The bus's name.
    pub bus: String,
    /// The largest request, in bytes.
    pub request_bytes: usize,
}

/// The largest request of `PutEvents`, in bytes; all pages of AWS's documentation allow at least this.
pub const REQUEST_BYTES: usize = 256 * 1024;

/// An event to send, with the index of its record.
struct OutgoingEntry {
    index: usize,
    entry: PutEventsRequestEntry,
    bytes: usize,
}

type EntryResult = Result<(), Failure>;

impl ForwardFunction {
    /// Handles one invocation.
    ///
    /// # Errors
    /// [`BatchFailed`] if no record could be forwarded.
    pub async fn handle(
        &self,
        event: Value,
        context: InvocationContext,
    ) -> Result<BatchResponse, BatchFailed> {
        self.forward_batch(event, context).await.response()
    }

    /// Forwards the decisions of a batch.
    pub async fn forward_batch(
        &self,
        mut event: Value,
        context: InvocationContext,
    ) -> BatchResults<()> {
        let records = match event
            .get_mut("Records")
            .map(Value::take)
            .unwrap_or_default()
        {
            Value::Array(records) => records,
            _ => Vec::new(),
        };
        let mut results: Vec<(Position, EntryResult)> = Vec::with_capacity(records.len());
        let mut outgoing = Vec::new();
        for (index, mut record) in records.into_iter().enumerate() {
            let position = read_position(&record);
            results.push((
                position,
                match self.make_entry(index, &mut record) {
                    Ok(out) => {
                        outgoing.extend(out);
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                },
            ));
        }
        let work = self.put_entries(outgoing, &mut results);
        match context.deadline {
            None => work.await,
            Some(deadline) => {
                drop(tokio::time::timeout_at(deadline - Duration::from_secs(1), work).await);
            }
        }
        let handled = BatchResults { results };
        handled.report(FUNCTION);
        handled
    }

    /// The event for one record; `None` if it is neither a new decision nor a new verdict.
    fn make_entry(
        &self,
        index: usize,
        record: &mut Value,
    ) -> Result<Option<OutgoingEntry>, Failure> {
        let image = record
            .pointer_mut("/dynamodb/NewImage")
            .map(Value::take)
            .unwrap_or_default();
        if record["eventName"] != "INSERT" {
            return Ok(None);
        }
        let kind = image["kind"]["S"].as_str().unwrap_or_default().to_owned();
        let read = |image: Value| {
            serde_json::from_value::<serde_dynamo::Item>(image)
                .map_err(|_| Failure::set_up("a stream image is not DynamoDB JSON"))
        };
        let (detail_type, time, detail) = match kind.as_str() {
            "decision" => {
                let decision = parse_decision(read(image)?.into())?;
                let detail = make_detail(&decision);
                (DETAIL_TYPE, decision.decided_at, detail)
            }
            "verdict" => {
                let verdict = parse_verdict(read(image)?.into())?;
                let detail = make_verdict_detail(&verdict);
                (REVIEWED_DETAIL_TYPE, verdict.reviewed_at, detail)
            }
            _ => return Ok(None),
        };
        let detail = detail.to_string();
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(detail_type)
            .set_time(DateTime::from_str(&time, aws_smithy_types::date_time::Format::DateTime).ok())
            .detail(&detail)
            .build();
        // As AWS counts: the bytes of the texts, and 14 bytes for the time.
        let bytes = detail.len() + SOURCE.len() + detail_type.len() + 14;
        Ok(Some(OutgoingEntry {
            index,
            entry,
            bytes,
        }))
    }

    async fn put_entries(
        &self,
        mut outgoing: Vec<OutgoingEntry>,
        results: &mut [(Position, EntryResult)],
    ) {
        // Every record counts as failed until it is sent, so that those not reached by the deadline are delivered again.
        for out in &outgoing {
            results[out.index].1 = Err(Failure::retry("not reached"));
        }
        outgoing.reverse();
        while let Some(request) = next_request(&mut outgoing, self.request_bytes) {
            self.put_request(request, results).await;
        }
    }

    /// Sends one request, and repeats it with the entries that failed.
    async fn put_request(
        &self,
        mut request: Vec<OutgoingEntry>,
        results: &mut [(Position, EntryResult)],
    ) {
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(PAUSE * 2_u32.pow(round - 1)).await;
            }
            let entries = request.iter().map(|out| out.entry.clone()).collect();
            let answer = match self
                .event_bridge
                .put_events()
                .set_entries(Some(entries))
                .send()
                .await
            {
                Ok(answer) => answer,
                Err(error) => {
                    let failure = dependency_failure("PutEvents", &error);
                    for out in &request {
                        results[out.index].1 = Err(failure.clone());
                    }
                    return;
                }
            };
            // The response has one entry per entry of the request, in the same order.
            let codes: Vec<Option<String>> = answer
                .entries()
                .iter()
                .map(|entry| entry.error_code.clone())
                .collect();
            let mut failed = Vec::new();
            for (out, code) in request.into_iter().zip(codes) {
                let code = code.filter(|_| !is_injected(KnownFault::FailedEntriesForgotten));
                results[out.index].1 = code.as_ref().map_or(Ok(()), |code| {
                    Err(Failure::retry(format!("PutEvents: {code}")))
                });
                if code.is_some() {
                    failed.push(out);
                }
            }
            if failed.is_empty() {
                return;
            }
            request = failed;
        }
    }
}

/// Removes the entries of the next request from the end: at least one, at most ten, at most `limit` bytes.
fn next_request(outgoing: &mut Vec<OutgoingEntry>, limit: usize) -> Option<Vec<OutgoingEntry>> {
    let first = outgoing.pop()?;
    let mut bytes = first.bytes;
    let mut request = vec![first];
    while request.len() < ENTRIES
        && let Some(next) = outgoing.pop_if(|next| bytes + next.bytes <= limit)
    {
        bytes += next.bytes;
        request.push(next);
    }
    Some(request)
}

fn read_position(record: &Value) -> Position {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Position::new(
        Origin::DynamoDb,
        text(&record["eventSourceARN"]),
        text(&record["dynamodb"]["SequenceNumber"]),
    )
}

/// The detail of the event: the decision without the values of the order. Its schema is in docs/schemas.
pub fn make_detail(decision: &Decision) -> Value {
    json!({
        "version": DETAIL_VERSION,
        "decision_id": decision.decision_id,
        "order_id": decision.order_id,
        "event_type": decision.event_type,
        "event_id": decision.event_id,
        "revision": decision.revision,
        "event_timestamp": decision.event_timestamp,
        "decided_at": decision.decided_at,
        "effective_outcome": decision.effective_outcome,
        "override": decision.applied_override,
        "outcomes": decision.outcomes,
        "matched_rules": decision.verdict.matched_rules,
        "scores": decision.verdict.scores,
        "undetermined": decision.undetermined,
        "detector_id": decision.detector_id,
        "detector_version_id": decision.verdict.prediction.detector_version_id,
    })
}

/// The detail of the event of a verdict, without the reviewer's words. Its schema is in docs/schemas.
pub fn make_verdict_detail(verdict: &Verdict) -> Value {
    json!({
        "version": DETAIL_VERSION,
        "verdict_id": verdict.verdict_id,
        "decision_id": verdict.decision_id,
        "order_id": verdict.order_id,
        "event_type": verdict.event_type,
        "event_id": verdict.event_id,
        "revision": verdict.revision,
        "number": verdict.number,
        "outcome_before": verdict.outcome_before,
        "effective_outcome": verdict.outcome,
        "is_appeal": verdict.is_appeal,
        "cause": verdict.cause,
        "reviewer": verdict.reviewer,
        "reviewed_at": verdict.reviewed_at,
    })
}
