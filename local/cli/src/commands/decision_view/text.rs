//! One decision in full, the most important first.

use shared::decisions::{CaseAction, CaseEntry, Decision};
use shared::labels::LabelEntry;
use shared::mapping::SeenLinks;

use super::sheet::Sheet;
use super::{DecisionNotes, DecisionReader};
use crate::printable::printable_value;

/// Describes one decision in full: what was decided and why, what was unusual, scores, what the customer did before, labels,
/// and then everything else.
pub(crate) fn describe_decision(
    reader: &DecisionReader<'_>,
    decision: &Decision,
    notes: &DecisionNotes,
) -> String {
    let mut sheet = Sheet::new(&describe_order(reader, decision));
    write_reasons(&mut sheet, reader, decision, notes);
    sheet.group();
    write_what_is_unusual(&mut sheet, reader, decision);
    write_scores(&mut sheet, decision, notes);
    for line in &notes.customer_past {
        sheet.line("customer", line);
    }
    sheet.group();
    write_labels(&mut sheet, decision);
    write_case(&mut sheet, decision);
    sheet.group();
    let variables = decision.variables.iter();
    sheet.wrapped(
        "variables",
        variables.map(|(name, value)| format!("{name} = {}", printable_value(value))),
    );
    sheet.group();
    write_origin(&mut sheet, decision, notes);
    sheet.into_text()
}

fn describe_order(reader: &DecisionReader<'_>, decision: &Decision) -> String {
    let revision = decision.revision;
    let money = reader.money.money(decision);
    let parts = [
        Some(format!("order {}", printable_value(&decision.order_id))),
        (revision != 1).then(|| format!("revision {revision}")),
        money.map(|money| money.to_string()),
        Some(format!(
            "of {} {}",
            decision.entity_type,
            printable_value(&decision.entity_id)
        )),
        Some(decision.event_timestamp.clone()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// Why the outcome is what it is: the override, or else the rules that matched, and what could not be evaluated.
fn write_reasons(
    sheet: &mut Sheet,
    reader: &DecisionReader<'_>,
    decision: &Decision,
    notes: &DecisionNotes,
) {
    let others = decision.outcomes.iter();
    let others: Vec<&str> = others
        .filter(|outcome| **outcome != decision.effective_outcome)
        .map(String::as_str)
        .collect();
    let also = match others.as_slice() {
        [] => String::new(),
        others => format!(" (also {})", others.join(", ")),
    };
    sheet.line("decision", &format!("{}{also}", decision.effective_outcome));
    let applied = decision.applied_override.as_ref();
    if let Some(applied) = applied {
        let rule = reader.rules.describe(decision, &applied.rule);
        let kind = applied.kind;
        sheet.line("override", &format!("{kind} entry, by rule {rule}"));
        for value in &notes.listed {
            sheet.line("override", value);
        }
    }
    let name = if applied.is_some() {
        "overruled"
    } else {
        "because"
    };
    for reason in list_reasons(reader, decision) {
        sheet.line(name, &reason);
    }
    if let Some(problem) = reader.rules.problem() {
        sheet.line("note", problem);
    }
}

/// Where the outcomes come from, without the override: those with the most important outcome first.
fn list_reasons(reader: &DecisionReader<'_>, decision: &Decision) -> Vec<String> {
    let rules = &decision.verdict.matched_rules;
    let applied = decision.applied_override.as_ref();
    let place = |outcomes: &[String]| {
        let mut by_priority = decision.outcomes.iter();
        let place = by_priority.position(|outcome| outcomes.contains(outcome));
        // A rule without a known outcome comes last.
        place.unwrap_or(usize::MAX)
    };
    let others = rules
        .iter()
        .filter(|rule| applied.is_none_or(|applied| applied.rule != rule.rule_id));
    let mut reasons: Vec<(usize, String)> = others
        .map(|rule| {
            let text = reader.rules.describe(decision, &rule.rule_id);
            let outcomes = rule.outcomes.join(", ");
            (place(&rule.outcomes), format!("{outcomes}: {text}"))
        })
        .collect();
    let is_given = |outcome: &String| rules.iter().any(|rule| rule.outcomes.contains(outcome));
    let added = decision.outcomes.iter().filter(|name| !is_given(name));
    let added: Vec<String> = added.cloned().collect();
    if rules.is_empty() {
        reasons.push((usize::MAX, "no rule matched".to_owned()));
    }
    if decision.undetermined && !added.is_empty() {
        let text = "not everything could be evaluated, see below";
        reasons.push((place(&added), format!("{}: {text}", added.join(", "))));
    }
    reasons.sort_by_key(|(place, _)| *place);
    reasons.into_iter().map(|(_, text)| text).collect()
}

/// What could not be evaluated, and what happened before with the keys of the order.
fn write_what_is_unusual(sheet: &mut Sheet, reader: &DecisionReader<'_>, decision: &Decision) {
    for rule in &decision.verdict.prediction.undetermined {
        let text = match rule.strip_prefix("model:") {
            Some(model) => format!("model {model} gave no score"),
            None => format!("rule {rule} could not be evaluated"),
        };
        sheet.line("unknown", &text);
    }
    for quality in &decision.data_quality {
        let problem = printable_value(&quality.problem);
        sheet.line("data", &format!("{} {problem}", quality.variable));
    }
    for key in reader.mapping.aggregate_keys() {
        let values = key.variables().filter_map(|name| {
            let value = decision.variables.get(name.as_str())?;
            let is_zero = value.parse().is_ok_and(|number: f64| number == 0.0);
            (!is_zero).then(|| format!("{name} {}", printable_value(value)))
        });
        let values: Vec<String> = values.collect();
        if !values.is_empty() {
            sheet.line("before", &format!("{}: {}", key.name(), values.join(", ")));
        }
    }
    if let Some(links) = &decision.links {
        write_links(sheet, links);
    }
}

/// The accounts that share keys with the order.
fn write_links(sheet: &mut Sheet, links: &SeenLinks) {
    let through = links.through.iter();
    let through: Vec<String> = through
        .map(|(key, accounts)| format!("{key} {accounts}"))
        .collect();
    if links.accounts > 0 {
        let text = format!(
            "other accounts share a key: {} ({}); {} over one more step; {} known as fraud",
            links.accounts,
            through.join(", "),
            links.accounts_within_two_steps,
            links.frauds
        );
        sheet.line("links", &text);
    }
    for hub in &links.hubs {
        let text = format!("very many accounts share the {hub}, so it links nobody");
        sheet.line("links", &text);
    }
}

fn write_scores(sheet: &mut Sheet, decision: &Decision, notes: &DecisionNotes) {
    for (name, score) in &decision.verdict.scores {
        sheet.line("score", &format!("{name} {score}"));
        if let Some(reasons) = notes.score_reasons.get(name) {
            sheet.wrapped("score", reasons.iter().cloned());
        }
    }
}

fn write_labels(sheet: &mut Sheet, decision: &Decision) {
    for entry in decision.label_history.values() {
        sheet.line("label", &describe_label(entry));
    }
    let label = decision.label.as_ref();
    let label = label.and_then(|entry| entry.label.as_deref());
    sheet.line("label now", label.unwrap_or("none"));
}

/// What people did with the decision, if they did anything.
fn write_case(sheet: &mut Sheet, decision: &Decision) {
    let Some(case) = &decision.review else {
        return;
    };
    sheet.group();
    sheet.line("outcome now", decision.current_outcome());
    let state = match (&case.claim, decision.is_waiting()) {
        (_, false) => "waits for nobody".to_owned(),
        (None, true) => format!("waits for a verdict since {}", decision.waiting_since()),
        (Some(claim), true) => format!("claimed by {} until {}", claim.by, claim.until),
    };
    sheet.line("case", &printable_value(&state));
    if let Some(by) = &case.escalated_by {
        sheet.line("case", &printable_value(&format!("escalated by {by}")));
    }
    for entry in &case.history {
        sheet.line("history", &printable_value(&describe_entry(entry)));
    }
}

fn describe_entry(entry: &CaseEntry) -> String {
    let by = entry.by.as_deref().unwrap_or("nobody");
    let outcome = entry.outcome.as_deref().unwrap_or_default();
    let what = match entry.action {
        CaseAction::Note => format!("{by} noted"),
        CaseAction::Escalated => format!("{by} escalated"),
        CaseAction::Appealed => format!("{by} appealed"),
        CaseAction::Decided => format!("{by} decided {outcome}"),
        CaseAction::TimeOver => format!("its time was over: {outcome}"),
        CaseAction::Overflowed => format!("more waited than people can decide: {outcome}"),
    };
    match &entry.text {
        Some(text) => format!("{} {what}: {text}", entry.at),
        None => format!("{} {what}", entry.at),
    }
}

fn describe_label(entry: &LabelEntry) -> String {
    let label = entry.label.as_deref().unwrap_or("no label");
    let code = entry.reason_code.as_deref().unwrap_or("-");
    let text = format!(
        "{label}: {} {code} by {} at {}",
        entry.kind, entry.source, entry.label_timestamp
    );
    printable_value(&text)
}

/// How and when the decision was made: versions, ids, hashes.
fn write_origin(sheet: &mut Sheet, decision: &Decision, notes: &DecisionNotes) {
    let version = decision.verdict.prediction.detector_version_id.as_deref();
    sheet.line(
        "judged by",
        &format!(
            "detector {} version {}, mapping {}",
            decision.detector_id,
            version.unwrap_or("active"),
            decision.mapping_hash
        ),
    );
    for model in &decision.verdict.model_versions {
        sheet.line("judged by", &format!("model {model}"));
    }
    sheet.line("decided at", &decision.decided_at);
    sheet.line(
        "event",
        &format!("{}, revision {}", decision.event_id, decision.revision),
    );
    if let Some(position) = &decision.position {
        sheet.line("source", &position.to_string());
    }
    if let Some(forwarded) = notes.forwarded {
        sheet.line("forwarded", if forwarded { "yes" } else { "not yet" });
    }
}
