//! What feeds the functions: event source mappings, and the events of SAM's functions.

use super::checker::TemplateChecker;
use super::finding::FindingSeverity::{Error, Warning};
use super::stack::{
    BUCKET, EVENT_SOURCE_MAPPING, QUEUE, SAM_FUNCTION, STREAM, StackResource, StackTemplate, TABLE,
};
use super::values::{find_path, read_text, read_texts};
use crate::cloudformation::node::{NodeValue, YamlNode};
use crate::cloudformation::problem::LineColumn;

const HOUR: i64 = 3600;
/// How long DynamoDB keeps the records of a stream.
const TABLE_STREAM_HOURS: i64 = 24;
/// How long a stream of Kinesis keeps its records if it does not say it.
const DEFAULT_STREAM_HOURS: i64 = 24;
/// From Friday evening to Monday evening.
const WEEKEND_HOURS: i64 = 72;

/// A stream or a queue that a function reads.
pub(super) struct EventSource<'a> {
    /// The name of the mapping in messages.
    pub(super) id: String,
    pub(super) at: LineColumn,
    /// The settings of the mapping.
    pub(super) settings: &'a YamlNode,
    /// The stream, table or queue, if it is in this template.
    pub(super) source: Option<&'a StackResource>,
    pub(super) function: Option<&'a StackResource>,
}

impl EventSource<'_> {
    /// Whether it is a stream, which is read from one position to the next, and not a queue.
    fn is_stream(&self) -> bool {
        match self.source.map(|source| source.type_name.as_str()) {
            Some(STREAM | TABLE) => true,
            Some(QUEUE) => false,
            _ => self.settings.get("StartingPosition").is_some(),
        }
    }
}

/// All sources in the order of the file.
pub(super) fn find_sources(stack: &StackTemplate) -> Vec<EventSource<'_>> {
    let mut sources: Vec<EventSource<'_>> = stack
        .of_type(EVENT_SOURCE_MAPPING)
        .map(|mapping| EventSource {
            id: mapping.id.clone(),
            at: mapping.at,
            settings: &mapping.properties,
            source: stack.find_referred(mapping.properties.get("EventSourceArn")),
            function: stack.find_referred(mapping.properties.get("FunctionName")),
        })
        .collect();
    for function in stack.of_type(SAM_FUNCTION) {
        let events = function.properties.get("Events");
        for event in events.and_then(YamlNode::entries).unwrap_or_default() {
            let key = match event.node.get("Type").and_then(YamlNode::text) {
                Some("SQS") => "Queue",
                Some("Kinesis" | "DynamoDB") => "Stream",
                _ => continue,
            };
            if let Some(settings) = event.node.get("Properties") {
                sources.push(EventSource {
                    id: format!("{}.{}", function.id, event.key),
                    at: event.at,
                    settings,
                    source: stack.find_referred(settings.get(key)),
                    function: Some(function),
                });
            }
        }
    }
    sources
}

/// Checks how a function is fed. What a queue itself says is checked elsewhere.
pub(super) fn check_source(checker: &mut TemplateChecker<'_>, source: &EventSource<'_>) {
    let place = (source.id.as_str(), source.at);
    let types = read_texts(source.settings.get("FunctionResponseTypes"));
    if !types.iter().any(|ty| ty == "ReportBatchItemFailures") {
        checker.report_at(
            Error,
            place,
            "does not report partial failures: Lambda takes every answer for success, and records that failed are lost",
            "set FunctionResponseTypes: [ReportBatchItemFailures]",
        );
    }
    if source.is_stream() {
        check_attempts(checker, source);
        check_destination(checker, source);
        let start = source
            .settings
            .get("StartingPosition")
            .and_then(YamlNode::text);
        if start == Some("LATEST") {
            checker.report_at(
                Warning,
                place,
                "begins with the records that come after it, so what was sent before is skipped",
                "set StartingPosition: TRIM_HORIZON",
            );
        }
    }
}

/// Checks that age alone ends the attempts, before the stream forgets the record.
fn check_attempts(checker: &mut TemplateChecker<'_>, source: &EventSource<'_>) {
    let place = (source.id.as_str(), source.at);
    let attempts = checker.read_setting(&source.id, source.settings, "MaximumRetryAttempts", -1);
    if let Some(attempts @ 0..) = attempts {
        checker.report_at(
            Error,
            place,
            format!("gives a record up after {attempts} more attempts, which an outage of minutes uses up"),
            "set MaximumRetryAttempts: -1, and let MaximumRecordAgeInSeconds end the attempts",
        );
    }
    let Some(kept) = check_retention(checker, source) else {
        return;
    };
    let age = checker.read_setting(&source.id, source.settings, "MaximumRecordAgeInSeconds", -1);
    let Some(age) = age else { return };
    if age < 0 || age > kept {
        let tries = if age < 0 {
            "tries a record for as long as the stream has it".to_owned()
        } else {
            format!("tries a record for {age} s, and the stream forgets it after {kept} s")
        };
        checker.report_at(
            Error,
            place,
            format!("{tries}, so that a record which still fails is lost without reaching the on-failure destination"),
            format!("set MaximumRecordAgeInSeconds to less than {kept}, or keep records longer"),
        );
    }
}

/// For how many seconds the stream keeps its records; `None` if that is not known.
fn check_retention(checker: &mut TemplateChecker<'_>, source: &EventSource<'_>) -> Option<i64> {
    let stream = source.source?;
    if stream.type_name == TABLE {
        return Some(TABLE_STREAM_HOURS * HOUR);
    }
    let hours = checker.read_setting(
        &stream.id,
        &stream.properties,
        "RetentionPeriodHours",
        DEFAULT_STREAM_HOURS,
    )?;
    if hours < WEEKEND_HOURS {
        checker.report_warning(
            stream,
            format!("keeps records for {hours} h: a mapping that is switched off over a weekend loses orders"),
            format!("set RetentionPeriodHours to {WEEKEND_HOURS} or more; template.yaml has 168"),
        );
    }
    Some(hours.saturating_mul(HOUR))
}

/// Checks that what is given up is kept, whole.
fn check_destination(checker: &mut TemplateChecker<'_>, source: &EventSource<'_>) {
    let place = (source.id.as_str(), source.at);
    let path = ["DestinationConfig", "OnFailure", "Destination"];
    let node = find_path(source.settings, &path);
    let node = node.filter(|node| !matches!(node.value, NodeValue::Null));
    let advice = "set DestinationConfig: { OnFailure: { Destination: !GetAtt Bucket.Arn } }, with the bucket of the stack";
    let Some(node) = node else {
        return checker.report_at(
            Error,
            place,
            "has no on-failure destination: a record that is given up is lost",
            advice,
        );
    };
    let referred = checker.stack.find_referred(Some(node));
    let is_bucket = match referred {
        Some(resource) => resource.type_name == BUCKET,
        None => read_text(node).is_none_or(|arn| !arn.contains(":sqs:") && !arn.contains(":sns:")),
    };
    if !is_bucket {
        checker.report_at(
            Warning,
            place,
            "sends what it gives up to a queue or topic, which gets the place in the stream and not the record",
            advice,
        );
    }
}
