//! What the answers to the steps of a probe mean, and what to do if they are not as the pipeline needs them.

use std::time::Duration;

use super::outcomes::{FailedCall, SeenRecord, StreamOutcome, TableState};
use super::report::StepResult;
use super::step::ProbeStep;

/// Judges what the table is like.
pub fn judge_table(answer: &Result<TableState, FailedCall>) -> StepResult {
    let step = ProbeStep::Table;
    let table = match answer {
        Ok(table) => table,
        Err(error) => return fail_call(step, error),
    };
    let status = table.status.as_deref().unwrap_or("no status");
    let view = table.view.as_deref().unwrap_or_default();
    if table.stream_arn.is_none() {
        return StepResult::fail(
            step,
            format!("{status}, no stream"),
            "give the table StreamSpecification: { StreamViewType: NEW_IMAGE }, as template.yaml does",
        );
    }
    let seen = format!("{status}, stream with {view}");
    if !matches!(view, "NEW_IMAGE" | "NEW_AND_OLD_IMAGES") {
        let advice =
            "forward needs the new items: set StreamViewType to NEW_IMAGE, as template.yaml does";
        return StepResult::fail(step, seen, advice);
    }
    // Indexes that are being built, and the like, do not matter.
    if !matches!(status, "ACTIVE" | "UPDATING") {
        return StepResult::fail(step, seen, "wait until the table is ACTIVE");
    }
    StepResult::pass(step, seen)
}

/// Judges the conditional `PutItem`.
pub fn judge_put(answer: Result<&(), &FailedCall>) -> StepResult {
    match answer {
        Ok(()) => StepResult::pass(ProbeStep::Put, "PutItem stored an item"),
        Err(error) => fail_call(ProbeStep::Put, error),
    }
}

/// Judges the first `INSERT`.
pub fn judge_insert(answer: Result<&(), &FailedCall>) -> StepResult {
    match answer {
        Ok(()) => StepResult::pass(ProbeStep::Insert, "INSERT stored an item"),
        Err(error) => fail_call(ProbeStep::Insert, error),
    }
}

/// Judges the same `INSERT` again: it has to fail, and with the code that the pipeline knows.
pub fn judge_duplicate(answer: Result<&(), &FailedCall>) -> StepResult {
    let step = ProbeStep::Duplicate;
    match answer {
        Ok(()) => StepResult::fail(
            step,
            "the same INSERT was accepted again",
            "it would replace a decision; keep put-item",
        ),
        Err(error) if error.code == "DuplicateItem" => {
            StepResult::pass(step, "the same INSERT again: DuplicateItem")
        }
        Err(error) => fail_call(step, error),
    }
}

/// Judges what was seen of the stream.
pub fn judge_stream(outcome: &StreamOutcome) -> StepResult {
    let step = ProbeStep::Stream;
    let (put, inserted, waited) = match outcome {
        StreamOutcome::NoStream => {
            return StepResult::fail(
                step,
                "not read",
                "the table needs a stream first, see the step table",
            );
        }
        StreamOutcome::Unreadable(error) => return fail_call(step, error),
        StreamOutcome::Read {
            put,
            inserted,
            waited,
        } => (put.as_ref(), inserted.as_ref(), *waited),
    };
    let seen = format!(
        "{}, {}",
        describe_record("PutItem", put, waited),
        describe_record("INSERT", inserted, waited)
    );
    let advice = match (put, inserted) {
        (Some(put), Some(inserted)) if put.has_image && inserted.has_image => {
            return StepResult::pass(step, seen);
        }
        (_, Some(inserted)) if !inserted.has_image => {
            "forward needs the items in the records; keep put-item"
        }
        (Some(_), None) => {
            "the stream has what PutItem puts and not what statements insert, so such decisions would never be forwarded; keep put-item"
        }
        _ => {
            "without the record of PutItem the probe says nothing about statements; give --wait more seconds, and see whether forward gets its records"
        }
    };
    StepResult::fail(step, seen, advice)
}

fn describe_record(written_by: &str, record: Option<&SeenRecord>, waited: Duration) -> String {
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    match record {
        Some(record) if record.has_image => {
            format!("{written_by} seen after {}", seconds(record.after))
        }
        Some(record) => format!(
            "{written_by} seen after {} without the item",
            seconds(record.after)
        ),
        None => format!("{written_by} not seen within {}", seconds(waited)),
    }
}

/// Judges the deletion of the items; an error comes with the item's partition key.
pub fn judge_delete(answers: &[Result<(), (String, FailedCall)>]) -> StepResult {
    let step = ProbeStep::Delete;
    let failed: Vec<&(String, FailedCall)> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    let Some((_, error)) = failed.first() else {
        return StepResult::pass(step, "the items of the probe are deleted");
    };
    let keys: Vec<&str> = failed.iter().map(|(key, _)| key.as_str()).collect();
    let result = fail_call(step, error);
    let advice = format!(
        "left: pk {}, sk probe; the table's time to live deletes them after an hour, and nothing takes them for decisions; {}",
        keys.join(" and "),
        result.advice.unwrap_or_default()
    );
    StepResult::fail(step, result.seen, advice)
}

/// The result if a call failed.
fn fail_call(step: ProbeStep, error: &FailedCall) -> StepResult {
    let code = error.code.as_str();
    let advice = if code.starts_with("AccessDenied") {
        format!("allow whoever runs this command {}", step.permissions())
    } else if code.starts_with("ResourceNotFound") && step == ProbeStep::Table {
        "there is no such table in this region; give --decisions-table, which is the stack's output DecisionsTable, and --region"
            .to_owned()
    } else if code.starts_with("UnknownOperation") {
        "this endpoint does not have the operation; probe the table on AWS".to_owned()
    } else if code.starts_with("UnrecognizedClient") || code.starts_with("ExpiredToken") {
        "give credentials of the account with the table".to_owned()
    } else if code == "no connection" {
        "check --region and --endpoint-url".to_owned()
    } else {
        "run the command again; if the answer stays the same, keep put-item".to_owned()
    };
    StepResult::fail(step, error.to_string(), advice)
}
