//! `fraudstream show`: one decision and why, an entity's decisions, a day's open reviews.

use std::fmt::Write as _;

use comfy_table::{Table, presets::NOTHING};
use event::EventId;
use shared::decisions::{Decision, Decisions};
use shared::failure::Failure;
use shared::mapping::Mapping;

/// How many decisions a list shows at most.
const ROWS: usize = 100;

/// The decisions on an order, newest revision last.
pub async fn order(
    decisions: &Decisions,
    mapping: &Mapping,
    order_id: &str,
) -> Result<Vec<Decision>, Failure> {
    decisions
        .revisions(mapping.event_type(), &EventId::slug(order_id))
        .await
}

/// An entity's decisions, newest first. An entity without type is of the mapping's.
pub async fn entity(
    decisions: &Decisions,
    entity_type: &str,
    entity_id: &str,
) -> Result<Vec<Decision>, Failure> {
    decisions.of_entity(entity_type, entity_id, ROWS).await
}

/// The open reviews of a day (`yyyy-MM-dd`), newest first.
pub async fn reviews(
    decisions: &Decisions,
    mapping: &Mapping,
    day: &str,
) -> Result<Vec<Decision>, Failure> {
    let mut all = Vec::new();
    for outcome in mapping.reviewable() {
        all.extend(decisions.open_reviews(outcome, day, ROWS).await?);
    }
    Ok(all)
}

/// One decision in full.
pub fn describe(decision: &Decision, forwarded: Option<bool>) -> String {
    let mut text = format!(
        "order {} (event {}, revision {}) of {}\n",
        decision.order_id, decision.event_id, decision.revision, decision.event_timestamp
    );
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    line(
        "decision",
        &format!(
            "{} ({})",
            decision.effective_outcome,
            decision.outcomes.join(", ")
        ),
    );
    for rule in &decision.verdict.matched_rules {
        line(
            "because",
            &format!(
                "rule {} matched: {}",
                rule.rule_id,
                rule.outcomes.join(", ")
            ),
        );
    }
    if decision.verdict.matched_rules.is_empty() {
        line("because", "no rule matched");
    }
    for rule in &decision.verdict.prediction.undetermined {
        line("because", &format!("rule {rule} could not be evaluated"));
    }
    for quality in &decision.data_quality {
        line(
            "because",
            &format!("{} {}", quality.variable, quality.problem),
        );
    }
    for (name, score) in &decision.verdict.scores {
        line("score", &format!("{name} {score}"));
    }
    let version = decision
        .verdict
        .prediction
        .detector_version_id
        .as_deref()
        .unwrap_or("active");
    line(
        "judged by",
        &format!(
            "detector {} version {version}, mapping {}",
            decision.detector_id, decision.mapping_hash
        ),
    );
    line("decided at", &decision.decided_at);
    line(
        "entity",
        &format!("{} {}", decision.entity_type, decision.entity_id),
    );
    for (name, value) in &decision.variables {
        line("variable", &format!("{name} = {value}"));
    }
    if let Some(position) = &decision.position {
        line("source", &position.to_string());
    }
    for entry in decision.label_history.values() {
        let label = entry.label.as_deref().unwrap_or("no label");
        let code = entry.reason_code.as_deref().unwrap_or("-");
        line(
            "label",
            &format!(
                "{label}: {} {code} by {} at {}",
                entry.kind, entry.source, entry.label_timestamp
            ),
        );
    }
    match &decision.label {
        Some(entry) => line("label now", entry.label.as_deref().unwrap_or("none")),
        None => line("label now", "none"),
    }
    if let Some(forwarded) = forwarded {
        line("forwarded", if forwarded { "yes" } else { "not yet" });
    }
    text
}

/// Decisions as a table.
pub fn list(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "none\n".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["order", "revision", "time", "decision", "rules", "label"]);
    for decision in decisions {
        let rules: Vec<_> = decision
            .verdict
            .matched_rules
            .iter()
            .map(|rule| rule.rule_id.as_str())
            .collect();
        let label = decision
            .label
            .as_ref()
            .and_then(|entry| entry.label.as_deref())
            .unwrap_or("-");
        table.add_row([
            decision.order_id.as_str(),
            &decision.revision.to_string(),
            &decision.event_timestamp,
            &decision.effective_outcome,
            &rules.join(", "),
            label,
        ]);
    }
    table.to_string() + "\n"
}
