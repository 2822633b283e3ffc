//! A batch prediction: every row of a file is judged, and comes back with what was said of it.

use crate::predict::predict_for_job;
use crate::services::statistics::Count;
use crate::work::AT_ONCE;
use crate::work::csv::{check_header, read};
use crate::work::import::{event_type, open};
use crate::work::output;
use crate::work::{Stop, Turn};
use csv::WriterBuilder;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::job_file::{Column, Header, Row, Rules, Step};
use protocol::{Code, Error, Result};
use serde_json::Value;
use store::records::job::{JobDetector, JobPhase};

/// 1 GB, the guide's limit of a batch prediction.
const LARGEST: u64 = 1_000_000_000;
/// What the output has besides the columns of the input.
const ADDED: [&str; 4] = ["MODEL_SCORES", "OUTCOMES", "STATUS", "RULE_RESULTS"];

pub(super) async fn run(turn: &mut Turn<'_>) -> Result<(), Stop> {
    let event_type = event_type(turn).await?;
    let Some(judge) = turn.job.detector.clone() else {
        return Err(Stop::Failed("The job names no detector.".to_owned()));
    };
    let source = open(turn, LARGEST).await?;
    let place = &turn.state.place;
    let (header, mut steps) = read(&source, place.row, place.byte).await?;
    let header = check_header(&header, &event_type, Rules::Prediction)?;
    if turn.state.place.phase == JobPhase::Check {
        while let Some(step) = steps.recv().await {
            let step = step?;
            turn.state.total += step.rows.len() as u64;
            turn.behind(&step);
            turn.note(None).await?;
        }
        turn.begin_work();
        output::write_part(
            turn,
            line(header.names.iter().map(String::as_str).chain(ADDED))?,
        )
        .await?;
        turn.note(None).await?;
        steps = read(&source, 0, 0).await?.1;
    }
    // The step after the last note may have been begun by a runner that is gone.
    let mut again = true;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let judged = judge_rows(turn, &header, &judge, &step, again).await?;
        again = false;
        let (mut lines, mut count) = (Vec::new(), Count::default());
        for (line, stored) in judged {
            lines.extend(line);
            if event_type.ingestion {
                count.add(stored);
            }
        }
        output::write_part(turn, lines).await?;
        turn.state.processed += step.rows.len() as u64;
        turn.behind(&step);
        turn.note_stored(&count).await?;
    }
    output::finish(turn).await
}

async fn judge_rows(
    turn: &Turn<'_>,
    header: &Header,
    judge: &JobDetector,
    step: &Step,
    again: bool,
) -> Result<Vec<(Vec<u8>, Count)>, Stop> {
    let rows = step.rows.iter();
    let work: Vec<_> = rows
        .map(|row| judge_row(turn, header, judge, row, again))
        .collect();
    stream::iter(work).buffered(AT_ONCE).try_collect().await
}

/// The line of one row, and what it stored. What is wrong with the row is its status.
async fn judge_row(
    turn: &Turn<'_>,
    header: &Header,
    judge: &JobDetector,
    row: &Row,
    again: bool,
) -> Result<(Vec<u8>, Count), Stop> {
    let nothing = Count::default();
    let request = match header.request(&turn.job.event_type_name, row) {
        Ok(request) => request,
        Err(reason) => {
            return Ok((
                written(header, row, None, &Said::refused(&reason))?,
                nothing,
            ));
        }
    };
    let time = request.get("eventTimestamp").and_then(Value::as_str);
    let time = time.map(|time| time.replace('Z', ".000Z"));
    let mut request = Value::Object(request);
    request["detectorId"] = judge.detector_name.as_str().into();
    request["detectorVersionId"] = judge.detector_version.as_str().into();
    if request.get("eventId").is_none() {
        // Unique, and the same when the row is judged again.
        request["eventId"] = format!("{}-{}", turn.job.run, row.number).into();
    }
    let origin = format!("{}#{}", turn.job.run, row.number);
    let (said, stored) = match predict_for_job(turn.services(), &request, origin, again).await {
        Ok((answer, stored)) => (Said::new(&answer), stored),
        Err(error) if matches!(error.code(), Code::InternalServer | Code::Throttling) => {
            return Err(Stop::Error(error));
        }
        Err(error) => (Said::refused(&error.to_string()), nothing),
    };
    Ok((written(header, row, time.as_deref(), &said)?, stored))
}

/// What the detector said of a row, as the added columns hold it.
struct Said([String; 4]);

impl Said {
    /// `{'model': 953.0}`, a map as Amazon's output has it; the outcomes by name.
    fn new(answer: &Value) -> Self {
        let list = |name: &str| {
            answer[name]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let score = |model: &Value| {
            let id = model["modelVersion"]["modelId"].as_str()?;
            let score = model["scores"].as_object()?.values().next()?.as_f64()?;
            Some(format!("'{id}': {score:?}"))
        };
        let scores: Vec<String> = list("modelScores").iter().filter_map(score).collect();
        let mut outcomes: Vec<&str> = Vec::new();
        for rule in list("ruleResults") {
            for outcome in rule["outcomes"].as_array().into_iter().flatten() {
                outcomes.extend(outcome.as_str().filter(|name| !outcomes.contains(name)));
            }
        }
        Self([
            format!("{{{}}}", scores.join(", ")),
            outcomes.join(", "),
            "Success".to_owned(),
            answer["ruleResults"].to_string(),
        ])
    }

    fn refused(reason: &str) -> Self {
        let none = String::new;
        Self([none(), none(), reason.to_owned(), none()])
    }
}

/// The row with its time rewritten, and what was said of it.
fn written(header: &Header, row: &Row, time: Option<&str>, said: &Said) -> Result<Vec<u8>, Stop> {
    let place = header.place(&Column::EventTimestamp);
    // A row with another number of fields gets as many as the header has.
    let fields = (0..header.names.len()).map(|index| match time {
        Some(time) if Some(index) == place => time.as_bytes(),
        _ => row.fields.get(index).unwrap_or_default(),
    });
    line(fields.chain(said.0.iter().map(String::as_bytes)))
}

fn line(fields: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Vec<u8>, Stop> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields).map_err(Error::internal)?;
    writer
        .into_inner()
        .map_err(|error| Stop::Error(Error::internal(error.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_of_a_row() {
        let answer = json!({
            "modelScores": [{
                "modelVersion": {"modelId": "project_1_model"},
                "scores": {"project_1_model_insightscore": 953.0}
            }],
            "ruleResults": [
                {"ruleId": "large", "outcomes": ["block"]},
                {"ruleId": "foreign", "outcomes": ["review", "block"]}
            ]
        });
        assert_eq!(
            Said::new(&answer).0,
            [
                "{'project_1_model': 953.0}",
                "block, review",
                "Success",
                r#"[{"ruleId":"large","outcomes":["block"]},{"ruleId":"foreign","outcomes":["review","block"]}]"#
            ]
        );
        let nothing = json!({"modelScores": [], "ruleResults": []});
        assert_eq!(Said::new(&nothing).0, ["{}", "", "Success", "[]"]);
    }
}
