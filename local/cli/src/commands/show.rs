//! `fraudstream show`: one decision and why, an entity's decisions, a day's open reviews.

use std::fmt::Write as _;

use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use event::EventId;
use shared::decisions::{Decision, Decisions};
use shared::failure::Failure;
use shared::labels::LabelEntry;
use shared::mapping::Mapping;

use super::CommandError;
use super::output::print_result;
use super::workspace::WorkspaceArgs;
use local_aws::dynamodb::Durability;
use local_aws::local_stack;

/// The most decisions that a table shows.
const ROWS: usize = 100;

/// The arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    what: WhatToShow,
    /// Print the decisions as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhatToShow {
    /// Order id as the shop writes it.
    order_id: Option<String>,
    /// Entity id, or type/id.
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    /// Day of the orders, yyyy-MM-dd.
    #[arg(long, value_name = "DAY")]
    review: Option<String>,
}

impl WhatToShow {
    async fn find(
        &self,
        decisions: &Decisions,
        mapping: &Mapping,
    ) -> Result<Vec<Decision>, Failure> {
        if let Some(id) = &self.order_id {
            find_order(decisions, mapping, id).await
        } else if let Some(entity) = &self.entity {
            let (entity_type, id) = entity.split_once('/').unwrap_or(("customer", entity));
            decisions.decisions_of_entity(entity_type, id, ROWS).await
        } else {
            let day = self.review.as_deref().unwrap_or_default();
            find_open_reviews(decisions, mapping, day).await
        }
    }
}

impl ShowArgs {
    /// Prints the decisions.
    pub(crate) async fn run(self, workspace: &WorkspaceArgs) -> Result<(), CommandError> {
        let mapping = workspace.read_mapping()?;
        let workspace = workspace
            .open(Durability::Kill, workspace.fraud_detector)
            .await?;
        let decisions = workspace.pipeline.decisions();
        let found = self.what.find(&decisions, &mapping).await?;
        let forwarded = workspace
            .local_home()
            .map(local_stack::read_forwarded_ids)
            .transpose()?;
        drop(decisions);
        workspace.close().await?;
        let text = if self.what.order_id.is_some() {
            let describe = |decision: &Decision| {
                let forwarded = forwarded.as_ref();
                let forwarded = forwarded.map(|ids| ids.contains(&decision.decision_id));
                describe_decision(decision, forwarded)
            };
            found.iter().map(describe).collect()
        } else {
            decisions_table(&found)
        };
        print_result(self.json, &found, text)?;
        match (&self.what.order_id, found.is_empty()) {
            (Some(id), true) => Err(format!(
                "there is no decision on order `{id}` of event type `{}`",
                mapping.event_type()
            )
            .into()),
            _ => Ok(()),
        }
    }
}

/// The decisions on an order, newest revision last.
async fn find_order(
    decisions: &Decisions,
    mapping: &Mapping,
    order_id: &str,
) -> Result<Vec<Decision>, Failure> {
    decisions
        .revisions(mapping.event_type(), &EventId::slug(order_id))
        .await
}

/// The open reviews of a day (`yyyy-MM-dd`), newest first.
async fn find_open_reviews(
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

/// Describes one decision in full; `forwarded` says whether it was put on the event bus, if known.
pub(super) fn describe_decision(decision: &Decision, forwarded: Option<bool>) -> String {
    let mut text = format!(
        "order {} (event {}, revision {}) of {}\n",
        decision.order_id, decision.event_id, decision.revision, decision.event_timestamp
    );
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    let outcomes = decision.outcomes.join(", ");
    line(
        "decision",
        &format!("{} ({outcomes})", decision.effective_outcome),
    );
    for reason in describe_reasons(decision) {
        line("because", &reason);
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
        line("label", &describe_label(entry));
    }
    let label = decision.label.as_ref();
    let label = label.and_then(|entry| entry.label.as_deref());
    line("label now", label.unwrap_or("none"));
    if let Some(forwarded) = forwarded {
        line("forwarded", if forwarded { "yes" } else { "not yet" });
    }
    text
}

/// Why the outcome is what it is: rules that matched, and what could not be evaluated.
fn describe_reasons(decision: &Decision) -> Vec<String> {
    let mut reasons = Vec::new();
    for rule in &decision.verdict.matched_rules {
        let outcomes = rule.outcomes.join(", ");
        reasons.push(format!("rule {} matched: {outcomes}", rule.rule_id));
    }
    if reasons.is_empty() {
        reasons.push("no rule matched".to_owned());
    }
    for rule in &decision.verdict.prediction.undetermined {
        reasons.push(format!("rule {rule} could not be evaluated"));
    }
    for quality in &decision.data_quality {
        reasons.push(format!("{} {}", quality.variable, quality.problem));
    }
    reasons
}

fn describe_label(entry: &LabelEntry) -> String {
    let label = entry.label.as_deref().unwrap_or("no label");
    let code = entry.reason_code.as_deref().unwrap_or("-");
    format!(
        "{label}: {} {code} by {} at {}",
        entry.kind, entry.source, entry.label_timestamp
    )
}

/// Decisions as a table.
fn decisions_table(decisions: &[Decision]) -> String {
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
