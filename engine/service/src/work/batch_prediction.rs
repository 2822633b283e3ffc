//! Batch predictions: every row of a file gets a prediction, and the output has the row with the result.

use csv::WriterBuilder;
use csv_rows::CsvRow;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use protocol::job_file::{JobFileColumn, JobFileHeader, RequiredColumns, RowBatch, RowPosition};
use protocol::limits::BATCH_PREDICTION_FILE_BYTES;
use protocol::{Error, ErrorCode, Result};
use serde_json::Value;
use store::records::job::{JobDetector, JobPhase};

use crate::predict::predict_for_job;
use crate::services::statistics::EventCount;
use crate::work::job_file::{check_header, load_event_type, open_input_file, read_job_file};
use crate::work::{AT_ONCE, JobRun, JobStopReason, output};

/// The columns that the output has besides those of the input.
const RESULT_COLUMNS: [&str; 4] = ["MODEL_SCORES", "OUTCOMES", "RULE_RESULTS", "STATUS"];

pub(super) async fn run_batch_prediction(job_run: &mut JobRun<'_>) -> Result<(), JobStopReason> {
    let event_type = load_event_type(job_run).await?;
    let Some(detector) = job_run.job.detector.clone() else {
        return Err(JobStopReason::Failed(
            "The job names no detector.".to_owned(),
        ));
    };
    let source = open_input_file(job_run, BATCH_PREDICTION_FILE_BYTES).await?;
    let (header, mut steps) = read_job_file(&source, job_run.row_position()).await?;
    let header = check_header(&header, &event_type, RequiredColumns::Prediction)?;
    if job_run.state.position.phase == JobPhase::Check {
        while let Some(step) = steps.recv().await {
            let step = step?;
            job_run.state.total += step.rows.len() as u64;
            job_run.advance_past(&step);
            job_run.save_progress(None).await?;
        }
        job_run.begin_work_phase();
        output::write_part(
            job_run,
            format_csv_line(
                header
                    .names
                    .iter()
                    .map(String::as_str)
                    .chain(RESULT_COLUMNS),
            )?,
        )
        .await?;
        job_run.save_progress(None).await?;
        steps = read_job_file(&source, RowPosition::default()).await?.1;
    }
    // The step after the saved progress may have been started by a runner that died.
    let mut again = true;
    while let Some(step) = steps.recv().await {
        let step = step?;
        let predictions = predict_rows(job_run, &header, &detector, &step, again).await?;
        again = false;
        let (mut lines, mut count) = (Vec::new(), EventCount::default());
        for (line, stored) in predictions {
            lines.extend(line);
            if event_type.ingestion {
                count.merge(stored);
            }
        }
        output::write_part(job_run, lines).await?;
        job_run.state.processed += step.rows.len() as u64;
        job_run.advance_past(&step);
        job_run.save_stored_step(&count).await?;
    }
    output::join_parts(job_run).await
}

async fn predict_rows(
    job_run: &JobRun<'_>,
    header: &JobFileHeader,
    detector: &JobDetector,
    step: &RowBatch,
    again: bool,
) -> Result<Vec<(Vec<u8>, EventCount)>, JobStopReason> {
    let rows = step.rows.iter();
    let work: Vec<_> = rows
        .map(|row| predict_row(job_run, header, detector, row, again))
        .collect();
    stream::iter(work).buffered(AT_ONCE).try_collect().await
}

/// The output line of one row, and the count of what it stored. An error of the row is its status.
async fn predict_row(
    job_run: &JobRun<'_>,
    header: &JobFileHeader,
    detector: &JobDetector,
    row: &CsvRow,
    again: bool,
) -> Result<(Vec<u8>, EventCount), JobStopReason> {
    let nothing = EventCount::default();
    let request = match header.request_from_row(&job_run.job.event_type_name, row) {
        Ok(request) => request,
        Err(reason) => {
            return Ok((
                format_result_row(header, row, None, &RowPrediction::refused(&reason))?,
                nothing,
            ));
        }
    };
    let time = request.get("eventTimestamp").and_then(Value::as_str);
    let time = time.map(|time| time.replace('Z', ".000Z"));
    let mut request = Value::Object(request);
    request["detectorId"] = detector.detector_name.as_str().into();
    request["detectorVersionId"] = detector.detector_version.as_str().into();
    if request.get("eventId").is_none() {
        // It is unique, and the same when the row is predicted again.
        request["eventId"] = format!("{}-{}", job_run.job.run, row.number).into();
    }
    let origin = format!("{}#{}", job_run.job.run, row.number);
    let (prediction, stored) =
        match predict_for_job(job_run.services(), &request, origin, again).await {
            Ok((answer, stored)) => (RowPrediction::new(&answer), stored),
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::InternalServer | ErrorCode::Throttling
                ) =>
            {
                return Err(JobStopReason::Error(error));
            }
            Err(error) => (RowPrediction::refused(&error.to_string()), nothing),
        };
    Ok((
        format_result_row(header, row, time.as_deref(), &prediction)?,
        stored,
    ))
}

/// The result for a row, as the cells of the added columns.
struct RowPrediction([String; 4]);

impl RowPrediction {
    /// The cells as in Amazon's output: the scores `{'model': 953.0}`; the outcomes by name; the rules that matched,
    /// `{"rule": ["outcome"]}`.
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
            format_matched_rules(list("ruleResults")),
            "Success".to_owned(),
        ])
    }

    fn refused(reason: &str) -> Self {
        let none = String::new;
        Self([none(), none(), none(), reason.to_owned()])
    }
}

/// The rules that matched, each with its outcomes, as JSON with a space after `:` and `,`; `{}` if none matched.
fn format_matched_rules(rules: &[Value]) -> String {
    let rule = |rule: &Value| {
        let outcomes = rule["outcomes"].as_array().map(Vec::as_slice);
        let outcomes: Vec<String> = outcomes
            .unwrap_or_default()
            .iter()
            .map(Value::to_string)
            .collect();
        format!("{}: [{}]", rule["ruleId"], outcomes.join(", "))
    };
    let rules: Vec<String> = rules.iter().map(rule).collect();
    format!("{{{}}}", rules.join(", "))
}

/// The output line: the row with its time in the engine's format, and the result.
fn format_result_row(
    header: &JobFileHeader,
    row: &CsvRow,
    time: Option<&str>,
    prediction: &RowPrediction,
) -> Result<Vec<u8>, JobStopReason> {
    let place = header.column_index(&JobFileColumn::EventTimestamp);
    // A row with another number of fields is cut or filled to the number of the header.
    let fields = (0..header.names.len()).map(|index| match time {
        Some(time) if Some(index) == place => time,
        _ => row.fields_as_read().get(index).unwrap_or_default(),
    });
    format_csv_line(fields.chain(prediction.0.iter().map(String::as_str)))
}

fn format_csv_line(
    fields: impl Iterator<Item = impl AsRef<[u8]>>,
) -> Result<Vec<u8>, JobStopReason> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(fields).map_err(Error::internal)?;
    writer
        .into_inner()
        .map_err(|error| JobStopReason::Error(Error::internal(error.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_result_of_a_row() {
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
            RowPrediction::new(&answer).0,
            [
                "{'project_1_model': 953.0}",
                "block, review",
                r#"{"large": ["block"], "foreign": ["review", "block"]}"#,
                "Success"
            ]
        );
        let nothing = json!({"modelScores": [], "ruleResults": []});
        assert_eq!(RowPrediction::new(&nothing).0, ["{}", "", "{}", "Success"]);
    }
}
