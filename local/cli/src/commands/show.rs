//! `fraudstream show`: one decision and why, an entity's decisions, a day's open reviews.

use clap::Args;
use event::EventId;
use shared::decisions::{Decision, Decisions};
use shared::failure::Failure;
use shared::mapping::Mapping;

use super::CommandError;
use super::decision_view::{
    DecisionReader, MoneyVariables, RuleBook, decisions_table, describe_customer_past,
    describe_decision, read_notes, sort_by_risk,
};
use super::output::print_result;
use super::unmatched_labels::{describe_unmatched_labels, find_unmatched_labels};
use super::workspace::{Workspace, WorkspaceArgs};
use local_aws::dynamodb::Durability;
use local_aws::local_stack;

/// The most decisions of an entity.
const OF_ENTITY: usize = 100;
/// The most open reviews of one outcome and day that are read. They are sorted here, so all of a usual day are needed.
const OPEN_REVIEWS: usize = 5000;

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
    /// Disputes, refunds and verdicts about orders that are neither decided nor stored; reads the whole table.
    #[arg(long)]
    unmatched: bool,
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
            decisions
                .decisions_of_entity(entity_type, id, OF_ENTITY)
                .await
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
        if self.what.unmatched {
            let unmatched = find_unmatched_labels(&workspace, &mapping).await;
            workspace.close().await?;
            let unmatched = unmatched?;
            return print_result(self.json, &unmatched, describe_unmatched_labels(&unmatched));
        }
        let found = self.find_and_describe(&workspace, &mapping).await;
        workspace.close().await?;
        let (found, text) = found?;
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

    /// The decisions, and the text for a person.
    async fn find_and_describe(
        &self,
        workspace: &Workspace<'_>,
        mapping: &Mapping,
    ) -> Result<(Vec<Decision>, String), CommandError> {
        let decisions = workspace.pipeline.decisions();
        let mut found = self.what.find(&decisions, mapping).await?;
        if self.what.order_id.is_some() {
            let text = if self.json {
                String::new()
            } else {
                describe_orders(workspace, mapping, &found).await?
            };
            return Ok((found, text));
        }
        let client = &workspace.pipeline.clients.frauddetector;
        let reader = DecisionReader {
            mapping,
            money: MoneyVariables::read(client, mapping).await,
            rules: RuleBook::default(),
        };
        if self.what.review.is_some() {
            sort_by_risk(&reader, &mut found);
        }
        let text = decisions_table(&reader, &found);
        Ok((found, text))
    }
}

/// Describes each decision in full, with what its rules say of themselves.
pub(super) async fn describe_orders(
    workspace: &Workspace<'_>,
    mapping: &Mapping,
    decisions: &[Decision],
) -> Result<String, CommandError> {
    let client = &workspace.pipeline.clients.frauddetector;
    let reader = DecisionReader {
        mapping,
        money: MoneyVariables::read(client, mapping).await,
        rules: RuleBook::read(client, mapping.detector().as_str()).await,
    };
    describe_decisions(workspace, &reader, decisions).await
}

/// Describes each decision in full.
async fn describe_decisions(
    workspace: &Workspace<'_>,
    reader: &DecisionReader<'_>,
    decisions: &[Decision],
) -> Result<String, CommandError> {
    let forwarded = workspace
        .local_home()
        .map(local_stack::read_forwarded_ids)
        .transpose()?;
    let engine = workspace.backend_engine().await;
    let mut texts = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let mut notes = read_notes(engine.as_deref(), &reader.rules, decision).await;
        let of_entity = workspace.pipeline.decisions();
        let of_entity =
            of_entity.decisions_of_entity(&decision.entity_type, &decision.entity_id, OF_ENTITY);
        notes.customer_past = describe_customer_past(decision, &of_entity.await?);
        notes.forwarded = forwarded
            .as_ref()
            .map(|ids| ids.contains(&decision.decision_id));
        texts.push(describe_decision(reader, decision, &notes));
    }
    Ok(texts.join("\n"))
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
        let event_type = mapping.event_type();
        let of_day = decisions.open_reviews(event_type, outcome, day, OPEN_REVIEWS);
        all.extend(of_day.await?);
    }
    Ok(all)
}
