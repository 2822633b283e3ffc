//! SageMaker endpoints: building a request from an event, and reading the answer.
//!
//! A template has placeholders such as `{{amount}}`. In CSV, a value is quoted where necessary and null is an empty
//! cell. In JSON, a placeholder inside a string becomes part of the string, and one outside becomes a value of the
//! variable's type, or `null`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use ::rules::{Type, Value};
use aws_sdk_sagemakerruntime::Client;
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use pacing::{CIRCUIT_OPEN, CircuitBreaker};
use protocol::{Error, ErrorCode, Result};
use serde::Deserialize;
use store::pinned_bundles::{BundledExternalModel, EventTypeBundle};
use store::records::external_model::{InputFormat, OutputConfiguration, OutputFormat};
use store::records::variable::BundledVariable;
use tokio::time::Instant;

/// The client of `SageMaker`'s endpoints, with a circuit breaker for each: an endpoint that fails again and again is not asked
/// for some seconds, and predictions that need it fail at once.
#[derive(Debug)]
pub(crate) struct ExternalModelClient {
    client: Client,
    /// The origin of the breakers' times.
    start: Instant,
    breakers: Mutex<HashMap<String, CircuitBreaker>>,
}

impl ExternalModelClient {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            start: Instant::now(),
            breakers: Mutex::default(),
        }
    }

    fn with_breaker<T>(&self, endpoint: &str, act: impl FnOnce(&mut CircuitBreaker) -> T) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || CircuitBreaker::new(RandomState::new().hash_one(endpoint));
        act(breakers.entry(endpoint.to_owned()).or_insert_with(make))
    }

    /// Whether the endpoint may be asked now.
    fn admit_call(&self, endpoint: &str) -> bool {
        let now = self.start.elapsed();
        self.with_breaker(endpoint, |breaker| breaker.admit_call(now))
    }

    fn note_result(&self, endpoint: &str, is_answered: bool) {
        let now = self.start.elapsed();
        self.with_breaker(endpoint, |breaker| {
            let was_open = breaker.is_open();
            if is_answered {
                breaker.note_success();
            } else {
                breaker.note_failure(now);
            }
            let is_open = breaker.is_open();
            if is_open != was_open {
                tracing::warn!(
                    endpoint,
                    is_open,
                    "the circuit to a SageMaker endpoint changed"
                );
                metrics::gauge!("CircuitOpen", "endpoint" => endpoint.to_owned())
                    .set(f64::from(u8::from(is_open)));
            }
        });
    }
}

/// The media type that the endpoint should answer with.
fn choose_accepted_type(output: &OutputConfiguration) -> &'static str {
    match output.format {
        OutputFormat::TextCsv => "text/csv",
        OutputFormat::ApplicationJsonlines => "application/jsonlines",
    }
}

/// The first row of an answer: the raw cells by variable. `None` if the answer does not have the expected format.
fn read_answer(output: &OutputConfiguration, answer: &str) -> Option<BTreeMap<String, String>> {
    let map = output.variables_by_name()?;
    match output.format {
        OutputFormat::TextCsv => {
            let row = answer.split_inclusive('\n').next()?;
            let cells = split_cells(row);
            let cell = |key: &String| Some((*cells.get(key.parse::<usize>().ok()?)?).to_owned());
            Some(name_cells(map, cell))
        }
        OutputFormat::ApplicationJsonlines => {
            let row = answer.lines().find(|line| !line.trim().is_empty())?;
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(row).ok()?;
            let cell = |key: &String| match row.get(key)? {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            Some(name_cells(map, cell))
        }
    }
}

fn name_cells(
    map: &BTreeMap<String, String>,
    cell: impl Fn(&String) -> Option<String>,
) -> BTreeMap<String, String> {
    map.iter()
        .filter_map(|(key, variable)| Some((variable.clone(), cell(key)?)))
        .collect()
}

/// The raw cells of a CSV row, with white space and quotes.
fn split_cells(row: &str) -> Vec<&str> {
    let mut quoted = false;
    row.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .collect()
}

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
enum TemplatePart<'t> {
    Text(&'t str),
    /// A variable, and whether it is inside quotes.
    Variable {
        name: &'t str,
        quoted: bool,
    },
}

/// A parsed template.
#[derive(Debug)]
pub(crate) struct InputTemplate<'t>(Vec<TemplatePart<'t>>);

impl<'t> InputTemplate<'t> {
    pub(crate) fn new(template: &'t str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = template;
        let mut quoted = false;
        while let Some((text, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| {
                Error::validation("A placeholder of the template has no `}}` at its end.")
            })?;
            quoted ^= toggles_string(text);
            parts.push(TemplatePart::Text(text));
            let name = name.trim();
            parts.push(TemplatePart::Variable { name, quoted });
            rest = after;
        }
        parts.push(TemplatePart::Text(rest));
        Ok(Self(parts))
    }

    /// The variables in it, with repetitions.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &'t str> {
        self.0.iter().filter_map(|part| match part {
            TemplatePart::Text(_) => None,
            TemplatePart::Variable { name, .. } => Some(*name),
        })
    }

    /// Checks that its result has the right format.
    pub(crate) fn check_format(&self, format: Option<InputFormat>) -> Result<()> {
        if format != Some(InputFormat::ApplicationJson) {
            return Ok(());
        }
        let json = self.render(InputFormat::ApplicationJson, |_| TemplateInput::default());
        match serde_json::from_str::<serde::de::IgnoredAny>(&json) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::validation(format!(
                "The jsonInputTemplate does not make JSON: it fails at line {}, column {}, where placeholders \
                 outside of quotes are taken as null.",
                error.line(),
                error.column()
            ))),
        }
    }

    fn render<'v>(&self, format: InputFormat, input: impl Fn(&str) -> TemplateInput<'v>) -> String {
        let mut body = String::new();
        for part in &self.0 {
            match part {
                TemplatePart::Text(text) => body.push_str(text),
                TemplatePart::Variable { name, quoted } => {
                    input(name).write_to(format, *quoted, &mut body);
                }
            }
        }
        body
    }
}

/// Whether a text has an odd number of quotes, so that it ends inside a string where it began outside, or the other way
/// round.
fn toggles_string(text: &str) -> bool {
    let mut escaped = false;
    text.chars().fold(false, |flipped, c| {
        let quote = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        flipped ^ quote
    })
}

/// The value of a variable for a template. The default is null.
#[derive(Clone, Copy, Debug, Default)]
struct TemplateInput<'v> {
    ty: Option<Type>,
    text: Option<&'v str>,
}

impl TemplateInput<'_> {
    // Writing to a string does not fail.
    fn write_to(self, format: InputFormat, quoted: bool, body: &mut String) {
        match (format, quoted) {
            (InputFormat::TextCsv, true) => {
                body.push_str(&self.text.unwrap_or_default().replace('"', "\"\""));
            }
            (InputFormat::TextCsv, false) => {
                let text = self.text.unwrap_or_default();
                if text.contains(['"', ',', '\n', '\r']) {
                    let _ = write!(body, "\"{}\"", text.replace('"', "\"\""));
                } else {
                    body.push_str(text);
                }
            }
            (InputFormat::ApplicationJson, true) => {
                let json = serde_json::Value::from(self.text.unwrap_or_default()).to_string();
                body.push_str(json.get(1..json.len() - 1).unwrap_or_default());
            }
            (InputFormat::ApplicationJson, false) => {
                let _ = write!(body, "{}", self.to_json());
            }
        }
    }

    fn to_json(self) -> serde_json::Value {
        let (Some(ty), Some(text)) = (self.ty, self.text) else {
            return serde_json::Value::Null;
        };
        match Value::parse(ty, text) {
            Ok(Value::Integer(number)) => number.into(),
            Ok(Value::Float(number)) => number.into(),
            Ok(Value::Boolean(truth)) => truth.into(),
            _ => text.into(),
        }
    }
}

/// The variables of an event: the value as sent, or an explicit null.
type SentVariables = BTreeMap<String, Option<String>>;

/// The value of a variable: an explicit null is null; an absent variable has its default, which may be null.
fn find_template_input<'v>(
    event_type: &'v EventTypeBundle,
    variables: &'v SentVariables,
    name: &str,
) -> TemplateInput<'v> {
    let variable = event_type.variables.iter().find(|v| v.name == name);
    let ty = variable.map(BundledVariable::rule_type);
    let text = match (variables.get(name), variable) {
        (Some(sent), _) => sent.as_deref(),
        (None, Some(variable)) => Some(variable.default_value.as_str()).filter(|_| {
            variable
                .default()
                .is_ok_and(|default| default != Value::Null)
        }),
        (None, None) => None,
    };
    TemplateInput { ty, text }
}

/// The bytes that the caller provides for an endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataBlob {
    /// Base64 on the wire.
    byte_buffer: Option<String>,
    content_type: Option<String>,
}

/// The body of a request and its media type.
#[derive(Debug, PartialEq, Eq)]
struct RequestBody {
    bytes: Vec<u8>,
    content_type: Option<String>,
}

fn build_request_body(
    model: &BundledExternalModel,
    event_type: &EventTypeBundle,
    variables: &SentVariables,
    blob: Option<&DataBlob>,
) -> Result<RequestBody> {
    let Some(template) = model.input.template()? else {
        return build_blob_body(&model.model_endpoint, blob);
    };
    let format = model.input.format.unwrap_or(InputFormat::TextCsv);
    let template = InputTemplate::new(template)?;
    let body = template.render(format, |name| {
        find_template_input(event_type, variables, name)
    });
    Ok(RequestBody {
        bytes: body.into_bytes(),
        content_type: Some(format.content_type().to_owned()),
    })
}

fn build_blob_body(endpoint: &str, blob: Option<&DataBlob>) -> Result<RequestBody> {
    use base64::Engine as _;
    let bytes = blob.and_then(|blob| blob.byte_buffer.as_ref());
    let bytes = bytes.ok_or_else(|| {
        Error::validation(format!(
            "External model '{endpoint}' needs its bytes in externalModelEndpointDataBlobs."
        ))
    })?;
    // Validation has ensured that it is base64.
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(bytes)
        .map_err(|_| Error::validation("A byteBuffer is not base64."))?;
    Ok(RequestBody {
        bytes,
        content_type: blob.and_then(|blob| blob.content_type.clone()),
    })
}

/// Calls an endpoint for an event. Returns the raw cells of its answer by variable; a variable that the answer lacks is
/// left out. `None` if the model cannot score this event, because it rejects the input or its answer cannot be read: a
/// retry would not change that. If the endpoint fails, it is an error, and the prediction can be retried.
pub(crate) async fn ask_endpoint(
    client: Option<&ExternalModelClient>,
    model: &BundledExternalModel,
    event_type: &EventTypeBundle,
    variables: &SentVariables,
    blob: Option<&DataBlob>,
) -> Result<Option<BTreeMap<String, String>>> {
    let endpoint = &model.model_endpoint;
    let body = build_request_body(model, event_type, variables, blob)?;
    let client = client.ok_or_else(|| {
        let message = "no SageMaker endpoint is configured, see --sagemaker-endpoint-url";
        unavailable_error(endpoint, message)
    })?;
    if !client.admit_call(endpoint) {
        return Err(unavailable_error(
            endpoint,
            &format!("{CIRCUIT_OPEN}, it failed again and again and is not asked for some seconds"),
        ));
    }
    let request = client
        .client
        .invoke_endpoint()
        .endpoint_name(endpoint)
        .set_content_type(body.content_type)
        .accept(choose_accepted_type(&model.output))
        .body(Blob::new(body.bytes));
    let sent = request.send().await;
    let is_answered = sent.as_ref().is_ok() || sent.as_ref().is_err_and(is_answer);
    client.note_result(endpoint, is_answered);
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            if let Some(status) = find_refusal_status(&error) {
                tracing::error!(status, endpoint, "an external model refused an event");
                return Ok(None);
            }
            // The error's message could quote the event.
            let code = error.code().unwrap_or("no answer").to_owned();
            tracing::error!(code, endpoint, "a SageMaker endpoint failed");
            return Err(unavailable_error(
                endpoint,
                &format!("it failed with {code}"),
            ));
        }
    };
    let answer = answer.body.map(Blob::into_inner).unwrap_or_default();
    let read = std::str::from_utf8(&answer)
        .ok()
        .and_then(|answer| read_answer(&model.output, answer));
    if read.is_none() {
        tracing::error!(
            endpoint,
            "an external model's answer is not of the format of its outputConfiguration"
        );
    }
    Ok(read)
}

/// Whether an error says that the endpoint works, and what is wrong lies with the event, the rate or the set-up.
fn is_answer(error: &SdkError<InvokeEndpointError>) -> bool {
    let code = error.code().unwrap_or_default();
    matches!(
        code,
        // The container of the model answered, whatever its status.
        "ModelError" | "ThrottlingException" | "ValidationError" | "AccessDeniedException"
    )
}

/// The status with which the model itself, not SageMaker, rejected the input. Time-outs and throttling say nothing
/// about the input.
fn find_refusal_status(error: &SdkError<InvokeEndpointError>) -> Option<i32> {
    match error.as_service_error()? {
        InvokeEndpointError::ModelError(error) => error
            .original_status_code()
            .filter(|status| (400..500).contains(status) && ![408, 429].contains(status)),
        _ => None,
    }
}

fn unavailable_error(endpoint: &str, why: &str) -> Error {
    Error::new(
        ErrorCode::ResourceUnavailable,
        format!("External model '{endpoint}' could not be asked: {why}."),
    )
}

/// The value of a cell for rules, without surrounding white space. A cell that does not have the variable's type is
/// null, and a rule that needs it is undetermined.
pub(crate) fn parse_cell(variable: &BundledVariable, cell: Option<&String>) -> Value {
    cell.and_then(|cell| Value::parse(variable.rule_type(), cell.trim()).ok())
        .unwrap_or(Value::Null)
}

/// The input that an endpoint got for an event: the variables of its template, without null values.
pub(crate) fn list_endpoint_inputs(
    model: &BundledExternalModel,
    event_type: &EventTypeBundle,
    variables: &SentVariables,
) -> BTreeMap<String, String> {
    let template = model.input.template().ok().flatten();
    let template = template.and_then(|template| InputTemplate::new(template).ok());
    let names = template.iter().flat_map(InputTemplate::variables);
    names
        .filter_map(|name| {
            let text = find_template_input(event_type, variables, name).text?;
            Some((name.to_owned(), text.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event_type() -> EventTypeBundle {
        let variable = |(name, data_type, default): (&str, &str, &str)| BundledVariable {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            default_value: default.to_owned(),
        };
        let variables = [
            ("amount", "FLOAT", "0.0"),
            ("items", "INTEGER", "1"),
            ("note", "STRING", "none"),
            ("member", "BOOLEAN", "false"),
            ("since", "DATETIME", ""),
        ];
        EventTypeBundle {
            name: "order".to_owned(),
            ingestion: true,
            orchestration: false,
            entity_types: Vec::new(),
            labels: Vec::new(),
            variables: variables.map(variable).to_vec(),
            history_settings: None,
        }
    }

    #[track_caller]
    fn renders(format: InputFormat, template: &str, want: &str) {
        let variables: SentVariables = [
            ("amount", Some("12.50")),
            ("items", None),
            ("note", Some("a \"b\", c\n")),
            ("member", Some("True")),
        ]
        .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
        .into();
        let event_type = event_type();
        let template = InputTemplate::new(template).unwrap();
        let got = template.render(format, |name| {
            find_template_input(&event_type, &variables, name)
        });
        assert_eq!(got, want);
    }

    #[test]
    fn csv() {
        use InputFormat::TextCsv;
        renders(TextCsv, "{{amount}}, {{ items }},{{since}}", "12.50, ,");
        renders(TextCsv, "{{note}},1", "\"a \"\"b\"\", c\n\",1");
        renders(TextCsv, "\"{{note}}\"", "\"a \"\"b\"\", c\n\"");
        renders(TextCsv, "plain", "plain");
    }

    #[test]
    fn json_values_have_the_type_of_the_variable() {
        use InputFormat::ApplicationJson;
        renders(
            ApplicationJson,
            r#"{"x":[{{amount}},{{items}},{{member}},{{since}}],"note":{{note}}}"#,
            r#"{"x":[12.5,null,true,null],"note":"a \"b\", c\n"}"#,
        );
        renders(
            ApplicationJson,
            r#"{"note":"<{{note}}>","\"{{amount}}":"{{items}}"}"#,
            r#"{"note":"<a \"b\", c\n>","\"12.50":""}"#,
        );
    }

    #[test]
    fn an_absent_variable_has_its_default() {
        let event_type = event_type();
        let variables = SentVariables::new();
        let template = InputTemplate::new("{{amount}},{{note}},{{since}}").unwrap();
        let got = template.render(InputFormat::TextCsv, |name| {
            find_template_input(&event_type, &variables, name)
        });
        assert_eq!(got, "0.0,none,");
    }

    #[test]
    fn a_template_is_checked() {
        assert!(InputTemplate::new("{{amount").is_err());
        let check = |text: &str| {
            InputTemplate::new(text)
                .unwrap()
                .check_format(Some(InputFormat::ApplicationJson))
        };
        assert!(check(r#"{"a":{{amount}},"b":"{{note}}"}"#).is_ok());
        let error = check(r#"{"a":{{amount}}"#).unwrap_err();
        assert!(error.message().contains("line 1, column 9"), "{error}");
    }

    #[track_caller]
    fn reads(format: &str, map: &str, answer: &str, want: &str) {
        let member = match format {
            "TEXT_CSV" => "csvIndexToVariableMap",
            _ => "jsonKeyToVariableMap",
        };
        let json = format!(r#"{{"format":"{format}","{member}":{map}}}"#);
        let output: OutputConfiguration = serde_json::from_str(&json).unwrap();
        let got = read_answer(&output, answer).map(|cells| serde_json::to_string(&cells).unwrap());
        assert_eq!(got.as_deref().unwrap_or("unreadable"), want);
    }

    #[test]
    fn answers() {
        reads("TEXT_CSV", r#"{"0":"s"}"#, "0.07\n", r#"{"s":"0.07\n"}"#);
        reads(
            "TEXT_CSV",
            r#"{"0":"a","2":"b","7":"c"}"#,
            "1,\"x,y\", 3 \n4,5,6\n",
            r#"{"a":"1","b":" 3 \n"}"#,
        );
        reads("TEXT_CSV", r#"{"0":"s"}"#, "", "unreadable");
        reads(
            "APPLICATION_JSONLINES",
            r#"{"score":"s","label":"l","none":"n","null":"u"}"#,
            "{\"score\": 0.5, \"label\": \"fraud\", \"null\": null}\n{\"score\": 1}",
            r#"{"l":"fraud","s":"0.5"}"#,
        );
        reads("APPLICATION_JSONLINES", r#"{"a":"s"}"#, "0.5", "unreadable");
    }
}
