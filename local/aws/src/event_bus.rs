//! EventBridge in this process: a file to which each event is appended as one line, in the form
//! in which EventBridge delivers it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::clients::{ACCOUNT, REGION};
use crate::service::{self, Service};

const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("cannot append to `{path}`: {source}")]
pub struct OpenBusError {
    path: String,
    source: io::Error,
}

/// A bus whose events are lines of a file. Cloning it is cheap and gives the same bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    // No code awaits while it holds the lock.
    file: Arc<Mutex<File>>,
    /// Whether `aws.*` may be a source.
    accepts_aws_sources: bool,
}

impl EventBus {
    /// The bus that appends to the file at `path`, which is created if it is missing.
    ///
    /// An incomplete last line, left by a killed process, is removed: its sender got no
    /// confirmation.
    pub fn open(path: &Path) -> Result<Self, OpenBusError> {
        let file = open_whole_lines(path).map_err(|source| OpenBusError {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            accepts_aws_sources: false,
        })
    }

    /// The same bus for what stands in for a service of AWS: it also accepts sources that begin
    /// with `aws.`, which are refused from everyone else.
    #[must_use]
    pub fn for_aws(mut self) -> Self {
        self.accepts_aws_sources = true;
        self
    }

    /// The bus as a service that knows `PutEvents`.
    pub fn service(self) -> Service {
        Service::new(move |request: Request<Bytes>| {
            let response = self.answer(&request);
            async { response }
        })
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        match service::operation_name(request) {
            "PutEvents" => self.put_events(request.body()),
            _ => exception_response("UnknownOperationException", ""),
        }
    }

    fn put_events(&self, body: &[u8]) -> Response<Bytes> {
        let request = match serde_json::from_slice::<PutEventsRequest>(body) {
            Ok(request) => request,
            Err(error) => {
                return exception_response("SerializationException", &describe_position(&error));
            }
        };
        if let Err(reason) = check_entries(&request.entries) {
            return exception_response("ValidationException", &reason);
        }
        let mut lines = String::new();
        let results: Vec<_> = request
            .entries
            .iter()
            .map(|entry| accept_entry(entry, self.accepts_aws_sources, &mut lines))
            .collect();
        if let Err(error) = self.append(&lines) {
            tracing::error!(%error, "outcomes are not written");
            return internal_error_response();
        }
        let failed = results.iter().filter(|result| !is_accepted(result));
        let answer = json!({"FailedEntryCount": failed.count(), "Entries": results});
        service::json_response(StatusCode::OK, MEDIA_TYPE, answer.to_string())
    }

    /// Writes whole lines or nothing, also when the disk is full.
    fn append(&self, lines: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let length = file.metadata()?.len();
        let written = file.write_all(lines.as_bytes());
        if written.is_err() {
            file.set_len(length)?;
        }
        written
    }
}

fn open_whole_lines(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    let length = length_of_whole_lines(&mut file)?;
    file.set_len(length)?;
    Ok(file)
}

/// Looks for the last line break from the end, a block at a time.
fn length_of_whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEventsRequest {
    #[serde(default)]
    entries: Vec<PutEventsEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEventsEntry {
    time: Option<f64>,
    source: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    detail_type: Option<String>,
    detail: Option<String>,
}

impl PutEventsEntry {
    /// The size as EventBridge counts it.
    fn bytes(&self) -> usize {
        let time = if self.time.is_some() { 14 } else { 0 };
        let texts = [&self.source, &self.detail_type, &self.detail];
        let texts = texts.into_iter().flatten().chain(&self.resources);
        time + texts.map(String::len).sum::<usize>()
    }
}

/// Checks the request as a whole.
fn check_entries(entries: &[PutEventsEntry]) -> Result<(), String> {
    let bound = match entries.len() {
        0 => "greater than or equal to 1",
        1..=MAX_ENTRIES => "",
        _ => "less than or equal to 10",
    };
    if !bound.is_empty() {
        return Err(format!(
            "1 validation error detected: Value at 'entries' failed to satisfy constraint: \
             Member must have length {bound}"
        ));
    }
    if entries.iter().map(PutEventsEntry::bytes).sum::<usize>() > MAX_BYTES {
        return Err("Total size of the entries in the request is over the limit.".to_owned());
    }
    Ok(())
}

/// Adds the line of an entry unless it is refused. Returns the entry's part of the response.
fn accept_entry(entry: &PutEventsEntry, trusts: bool, lines: &mut String) -> Value {
    match BusEvent::new(entry, trusts) {
        Ok(event) => {
            let id = Uuid::new_v4().to_string();
            event.write(&id, lines);
            json!({"EventId": id})
        }
        Err(RefusedEntry { code, reason }) => json!({"ErrorCode": code, "ErrorMessage": reason}),
    }
}

fn is_accepted(result: &Value) -> bool {
    result.get("EventId").is_some()
}

struct RefusedEntry {
    code: &'static str,
    reason: String,
}

/// An entry with everything that EventBridge requires.
struct BusEvent<'a> {
    source: &'a str,
    detail_type: &'a str,
    detail: &'a str,
    resources: &'a [String],
    time: Timestamp,
}

impl<'a> BusEvent<'a> {
    fn new(entry: &'a PutEventsEntry, trusts: bool) -> Result<Self, RefusedEntry> {
        let source = require_field("Source", entry.source.as_deref())?;
        let detail_type = require_field("DetailType", entry.detail_type.as_deref())?;
        let detail = require_field("Detail", entry.detail.as_deref())?;
        if source.starts_with("aws.") && !trusts {
            return Err(RefusedEntry {
                code: "NotAuthorizedForSourceException",
                reason: "Not authorized for the source.".to_owned(),
            });
        }
        let is_object = serde_json::from_str(detail).is_ok_and(|value: Value| value.is_object());
        if !is_object {
            return Err(RefusedEntry {
                code: "MalformedDetail",
                reason: "Detail is malformed.".to_owned(),
            });
        }
        Ok(Self {
            source,
            detail_type,
            detail,
            resources: &entry.resources,
            time: event_time(entry.time),
        })
    }

    /// Writes the event as one line. The detail stays as it was sent, so that a number keeps its
    /// digits; a line break in it can only stand between two tokens.
    fn write(&self, id: &str, lines: &mut String) {
        let head = json!({
            "version": "0",
            "id": id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": ACCOUNT,
            "time": self.time.to_string(),
            "region": REGION,
            "resources": self.resources,
        });
        let head = head.to_string();
        lines.push_str(head.trim_end_matches('}'));
        lines.push_str(r#","detail":"#);
        lines.push_str(&self.detail.replace(['\n', '\r'], " "));
        lines.push_str("}\n");
    }
}

fn require_field<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, RefusedEntry> {
    value
        .filter(|text| !text.is_empty())
        .ok_or_else(|| RefusedEntry {
            code: "InvalidArgument",
            reason: format!(
                "Parameter {name} is not valid. Reason: {name} is a required argument."
            ),
        })
}

/// EventBridge keeps whole seconds, and uses the current time when the sender gives none.
fn event_time(seconds: Option<f64>) -> Timestamp {
    // The cast saturates; a time that is out of range becomes the current time as well.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction is cut off on purpose"
    )]
    let given = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    given.unwrap_or_else(|| {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    })
}

/// Names the position of the error in a body. Serde's own message could quote a value.
fn describe_position(error: &serde_json::Error) -> String {
    format!(
        "the body is not a PutEvents request at line {}, column {}",
        error.line(),
        error.column()
    )
}

fn exception_response(exception: &str, reason: &str) -> Response<Bytes> {
    let body = json!({"__type": exception, "message": reason}).to_string();
    service::json_response(StatusCode::BAD_REQUEST, MEDIA_TYPE, body)
}

fn internal_error_response() -> Response<Bytes> {
    let body = r#"{"__type":"InternalException","message":"the events cannot be written"}"#;
    service::json_response(StatusCode::INTERNAL_SERVER_ERROR, MEDIA_TYPE, body)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eventbridge::Client;
    use aws_sdk_eventbridge::error::ProvideErrorMetadata;
    use aws_sdk_eventbridge::primitives::DateTime;
    use aws_sdk_eventbridge::types::PutEventsRequestEntry;
    use tempfile::TempDir;

    use super::*;
    use crate::clients;

    fn bus() -> (TempDir, Client) {
        let folder = tempfile::tempdir().unwrap();
        let bus = EventBus::open(&folder.path().join("outcomes.jsonl")).unwrap();
        let client = clients::connect_eventbridge(bus.service().http_client());
        (folder, client)
    }

    fn lines(folder: &TempDir) -> Vec<String> {
        let text = std::fs::read_to_string(folder.path().join("outcomes.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn entry(detail: &str) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .source("fraudstream")
            .detail_type("decision")
            .detail(detail)
            .time(DateTime::from_secs(1_780_308_930))
            .resources("order/1")
            .build()
    }

    #[tokio::test]
    async fn an_event_is_a_line_as_eventbridge_delivers_it() {
        let (folder, client) = bus();
        let sent = entry("{\"amount\":\n1.10}");
        let response = client.put_events().entries(sent).send().await.unwrap();
        assert_eq!(response.failed_entry_count(), 0);
        let id = response.entries()[0].event_id().unwrap();
        let want = format!(
            "{{\"version\":\"0\",\"id\":\"{id}\",\"detail-type\":\"decision\",\
             \"source\":\"fraudstream\",\"account\":\"123456789012\",\
             \"time\":\"2026-06-01T10:15:30Z\",\"region\":\"us-east-1\",\
             \"resources\":[\"order/1\"],\"detail\":{{\"amount\": 1.10}}}}"
        );
        assert_eq!(lines(&folder), [want]);
    }

    /// What an entry lacks, and the answer at its place.
    #[tokio::test]
    async fn each_entry_is_answered_at_its_place() {
        let (folder, client) = bus();
        let plain = PutEventsRequestEntry::builder;
        let cases = [
            (entry("{}"), None, None),
            (
                entry("[]"),
                Some("MalformedDetail"),
                Some("Detail is malformed."),
            ),
            (
                entry("{"),
                Some("MalformedDetail"),
                Some("Detail is malformed."),
            ),
            (
                entry(""),
                Some("InvalidArgument"),
                Some("Parameter Detail is not valid. Reason: Detail is a required argument."),
            ),
            (
                plain().detail_type("d").detail("{}").build(),
                Some("InvalidArgument"),
                Some("Parameter Source is not valid. Reason: Source is a required argument."),
            ),
            (
                plain().source("s").detail("{}").build(),
                Some("InvalidArgument"),
                Some(
                    "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
                ),
            ),
            (
                plain()
                    .source("aws.s3")
                    .detail_type("d")
                    .detail("{}")
                    .build(),
                Some("NotAuthorizedForSourceException"),
                Some("Not authorized for the source."),
            ),
            (entry("{}"), None, None),
        ];
        let entries = cases.iter().map(|(entry, ..)| entry.clone()).collect();
        let response = client
            .put_events()
            .set_entries(Some(entries))
            .send()
            .await
            .unwrap();
        assert_eq!(response.failed_entry_count(), 6);
        for (got, (entry, code, reason)) in response.entries().iter().zip(cases) {
            assert_eq!(
                (got.error_code(), got.error_message()),
                (code, reason),
                "{entry:?}"
            );
            assert_eq!(got.event_id().is_some(), code.is_none(), "{entry:?}");
        }
        assert_eq!(lines(&folder).len(), 2);
    }

    #[tokio::test]
    async fn a_request_has_one_to_ten_entries_and_a_size() {
        let (folder, client) = bus();
        let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(MAX_BYTES / 2));
        let cases = [
            (vec![], Some("ValidationException")),
            (vec![entry("{}"); 10], None),
            (vec![entry("{}"); 11], Some("ValidationException")),
            (vec![entry(&large)], None),
            (vec![entry(&large); 2], Some("ValidationException")),
        ];
        for (entries, want) in cases {
            let count = entries.len();
            let result = client.put_events().set_entries(Some(entries)).send().await;
            let code = result
                .err()
                .map(|error| error.into_service_error().code().unwrap().to_owned());
            assert_eq!(code.as_deref(), want, "{count} entries");
        }
        assert_eq!(lines(&folder).len(), 11);
    }

    #[test]
    fn a_line_cut_short_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes.jsonl");
        let long = "x".repeat(200_000);
        let cases = [
            (String::new(), ""),
            ("{}\n".to_owned(), "{}\n"),
            ("{}\n{\"id".to_owned(), "{}\n"),
            ("{\"id".to_owned(), ""),
            (format!("{{}}\n{long}"), "{}\n"),
        ];
        for (before, want) in cases {
            std::fs::write(&path, &before).unwrap();
            EventBus::open(&path).unwrap().append("").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), want);
        }
    }
}
