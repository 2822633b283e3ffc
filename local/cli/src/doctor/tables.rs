//! The tables, and the stream of decisions that feeds `forward`.

use serde_json::Value;

use super::checker::TemplateChecker;
use super::finding::FindingSeverity::{Error, Warning};
use super::sources::EventSource;
use super::stack::{StackResource, StackTemplate, TABLE};
use super::values::{find_path, is_true, list_items};
use crate::cloudformation::node::YamlNode;

/// The variable of the functions that names the table of decisions.
const DECISIONS: &str = "DECISIONS_TABLE";
/// The variables of the functions that name tables, and the attribute with the time at which an item expires.
const TABLES: [(&str, Option<&str>); 4] = [
    (DECISIONS, Some("expires_at")),
    ("VELOCITY_TABLE", Some("expires_at")),
    ("EVENTS_TABLE", Some("expiresAt")),
    ("DEFINITIONS_TABLE", None),
];
/// The filter of the mapping that feeds `forward`.
const NEWS: &str =
    r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"kind":{"S":["decision","verdict"]}}}}"#;
/// The kinds of items that `forward` publishes, each with what nobody is told of without it.
const KINDS: [(&str, &str); 2] = [
    ("decision", "nobody is told of a decision"),
    ("verdict", "nobody is told what people decide"),
];

/// A table that functions use.
pub(super) struct UsedTable<'a> {
    table: Option<&'a StackResource>,
    is_decisions: bool,
    expiry: Option<&'static str>,
}

/// The tables that the functions use; none if they are not this product's.
pub(super) fn find_tables(stack: &StackTemplate) -> Vec<UsedTable<'_>> {
    let name_of = |variable: &str| {
        let path = ["Environment", "Variables", variable];
        let mut functions = stack.functions();
        functions.find_map(|function| stack.function_property(function, &path))
    };
    if name_of(DECISIONS).is_none() {
        return Vec::new();
    }
    let used = TABLES.into_iter().filter_map(|(variable, expiry)| {
        let table = stack.find_referred(Some(name_of(variable)?));
        Some(UsedTable {
            table: table.filter(|table| table.type_name == TABLE),
            is_decisions: variable == DECISIONS,
            expiry,
        })
    });
    used.collect()
}

/// Checks the tables of this template, and what reads the stream of decisions.
pub(super) fn check_tables(
    checker: &mut TemplateChecker<'_>,
    tables: &[UsedTable<'_>],
    sources: &[EventSource<'_>],
) {
    for used in tables {
        let Some(table) = used.table else { continue };
        check_keeping(checker, table, used.expiry);
        if used.is_decisions {
            check_stream(checker, table, sources);
        }
    }
}

/// Checks what keeps items, and for how long.
fn check_keeping(
    checker: &mut TemplateChecker<'_>,
    table: &StackResource,
    expiry: Option<&'static str>,
) {
    let keeps = |policy: &Option<String>| {
        policy
            .as_deref()
            .is_some_and(|policy| policy.starts_with("Retain"))
    };
    if !table.policies.iter().all(keeps) {
        checker.report_error(
            table,
            "is deleted with the stack, or if it is replaced, and what it holds is lost",
            "set DeletionPolicy: Retain and UpdateReplacePolicy: Retain",
        );
    }
    let recovery = [
        "PointInTimeRecoverySpecification",
        "PointInTimeRecoveryEnabled",
    ];
    if !is_true(find_path(&table.properties, &recovery)) {
        checker.report_warning(
            table,
            "has no point-in-time recovery: what is deleted or overwritten by mistake is lost",
            "set PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }",
        );
    }
    let Some(expiry) = expiry else { return };
    let time_to_live = table.properties.get("TimeToLiveSpecification");
    let attribute = time_to_live.and_then(|live| live.get("AttributeName")?.text());
    let is_enabled = is_true(time_to_live.and_then(|live| live.get("Enabled")));
    if attribute != Some(expiry) || !is_enabled {
        checker.report_warning(
            table,
            "never deletes items that have expired: they are paid for, and personal data outlives its retention",
            format!("set TimeToLiveSpecification: {{ AttributeName: {expiry}, Enabled: true }}"),
        );
    }
}

/// Checks that new decisions reach `forward`.
fn check_stream(
    checker: &mut TemplateChecker<'_>,
    table: &StackResource,
    sources: &[EventSource<'_>],
) {
    let view = find_path(
        &table.properties,
        &["StreamSpecification", "StreamViewType"],
    );
    let view = view.and_then(YamlNode::text).unwrap_or_default();
    if !matches!(view, "NEW_IMAGE" | "NEW_AND_OLD_IMAGES") {
        checker.report_error(
            table,
            "has no stream with new items, so forward cannot tell anybody of a decision",
            "set StreamSpecification: { StreamViewType: NEW_IMAGE }",
        );
    }
    let is_reader =
        |source: &&EventSource<'_>| source.source.is_some_and(|source| source.id == table.id);
    let readers: Vec<_> = sources.iter().filter(is_reader).collect();
    if readers.is_empty() {
        checker.report_error(
            table,
            "has a stream that nothing reads, so nobody is told of a decision",
            "add the event source mapping of forward, as template.yaml has it",
        );
    }
    for reader in readers {
        check_filter(checker, reader);
    }
}

/// What a pattern of a filter lets through.
#[derive(Default)]
struct PassedRecords {
    /// Which of [`KINDS`] it lets through when they are inserted.
    kinds: Vec<&'static str>,
    others: bool,
}

fn check_filter(checker: &mut TemplateChecker<'_>, reader: &EventSource<'_>) {
    let filters = find_path(reader.settings, &["FilterCriteria", "Filters"]);
    let patterns: Vec<PassedRecords> = list_items(filters)
        .iter()
        .map(|filter| {
            let pattern = filter.get("Pattern").and_then(YamlNode::text);
            read_pattern(pattern.unwrap_or_default())
        })
        .collect();
    let place = (reader.id.as_str(), reader.at);
    let advice = format!("set the pattern {NEWS}");
    let lost = KINDS.into_iter().find(|(kind, _)| {
        let mut patterns = patterns.iter();
        !patterns.any(|passed| passed.kinds.contains(kind))
    });
    if let (Some((kind, loss)), false) = (lost, patterns.is_empty()) {
        let problem = format!("has a filter that lets no INSERT of a {kind} through, so {loss}");
        checker.report_at(Error, place, &problem, advice);
    } else if patterns.is_empty() || patterns.iter().any(|passed| passed.others) {
        checker.report_at(
            Warning,
            place,
            "lets more through than the INSERT of decisions and verdicts, so forward is invoked for each change of a label",
            advice,
        );
    }
}

fn read_pattern(pattern: &str) -> PassedRecords {
    let Ok(pattern) = serde_json::from_str::<Value>(pattern) else {
        return PassedRecords::default();
    };
    let accepts = |accepted: Option<&Value>, value: &str| {
        accepted
            .and_then(Value::as_array)
            .is_none_or(|values| values.iter().any(|known| known == value))
    };
    let names = pattern.get("eventName");
    let kinds = pattern.pointer("/dynamodb/NewImage/kind/S");
    let only = |accepted: Option<&Value>, wanted: &[&str]| {
        let values = accepted.and_then(Value::as_array);
        values.is_some_and(|values| {
            let mut values = values.iter();
            values.all(|value| value.as_str().is_some_and(|it| wanted.contains(&it)))
        })
    };
    let known = KINDS.map(|(kind, _)| kind);
    let passed = known.into_iter();
    PassedRecords {
        kinds: passed
            .filter(|kind| accepts(names, "INSERT") && accepts(kinds, kind))
            .collect(),
        others: !(only(names, &["INSERT"]) && only(kinds, &known)),
    }
}
