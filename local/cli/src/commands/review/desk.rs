//! What every command of `review` works on: the cases, and the decisions that they are about.

use std::sync::Arc;

use event::{EventId, Timestamp};
use shared::batch::Batcher;
use shared::decisions::{APPEALS, Decision};
use shared::labels;
use shared::mapping::{Mapping, VerdictEffect};
use shared::reviews::{CaseEditor, Edited, ReviewError, Reviews, WaitingCase};

use super::VerdictKind;
use crate::commands::CommandError;
use crate::commands::workspace::{Workspace, WorkspaceArgs};
use local_aws::dynamodb::Durability;

/// The most cases that are looked at where the mapping has no `reviews_per_day`.
const QUEUE: usize = 1000;

/// What every command of `review` works on.
pub(super) struct Desk<'a> {
    pub(super) workspace: Workspace<'a>,
    pub(super) mapping: Arc<Mapping>,
    pub(super) reviews: Reviews,
    pub(super) now: Timestamp,
}

/// The cases that people are to decide.
pub(super) struct Queue {
    pub(super) cases: Vec<WaitingCase>,
    /// Whether more wait than people can decide in a day.
    pub(super) is_over_capacity: bool,
}

impl<'a> Desk<'a> {
    pub(super) async fn open(args: &'a WorkspaceArgs) -> Result<Self, CommandError> {
        let mapping = Arc::new(args.read_mapping()?);
        // What a person decided is not asked again, so it has to survive a power loss.
        let workspace = args
            .open(Durability::PowerLoss, args.fraud_detector)
            .await?;
        Ok(Self {
            reviews: Reviews::new(workspace.pipeline.decisions()),
            mapping,
            workspace,
            now: Timestamp::from_jiff(jiff::Timestamp::now())?,
        })
    }

    pub(super) async fn close(self) -> Result<(), CommandError> {
        drop(self.reviews);
        self.workspace.close().await
    }

    /// The decisions on all revisions of an order.
    pub(super) async fn find_order(&self, order_id: &str) -> Result<Vec<Decision>, CommandError> {
        let decisions = self.workspace.pipeline.decisions();
        let event_type = self.mapping.event_type();
        let found = decisions
            .revisions(event_type, &EventId::slug(order_id))
            .await?;
        if found.is_empty() {
            let what =
                format!("there is no decision on order `{order_id}` of event type `{event_type}`");
            return Err(what.into());
        }
        Ok(found)
    }

    /// The decision that a command about an order means: the newest that waits, or else the newest.
    pub(super) async fn find_case(&self, order_id: &str) -> Result<Decision, CommandError> {
        let mut found = self.find_order(order_id).await?;
        let waiting = found.iter().rposition(Decision::is_waiting);
        let place = waiting.unwrap_or(found.len() - 1);
        Ok(found.swap_remove(place))
    }

    /// Changes the case of a decision.
    pub(super) async fn change(
        &self,
        decision: &Decision,
        edit: impl Fn(CaseEditor<'_>) -> Edited,
    ) -> Result<Decision, ReviewError> {
        let key = decision.key();
        self.reviews
            .change(&key, &self.mapping, self.now, edit)
            .await
    }

    /// What a verdict does, as the mapping says it.
    pub(super) fn effect(&self, verdict: VerdictKind) -> Result<&VerdictEffect, CommandError> {
        let review = self.mapping.review();
        let (name, effect) = match verdict {
            VerdictKind::Approve => ("approve", &review.approve),
            VerdictKind::Block => ("block", &review.block),
        };
        let mut known = self.mapping.outcome_priority().iter();
        if known.any(|outcome| outcome.as_str() == effect.outcome) {
            return Ok(effect);
        }
        Err(format!(
            "the mapping has no outcome `{}`: say in `decision.review` what `{name}` does, such as \
             {name}: {{outcome: OUTCOME, label: {}}}",
            effect.outcome, effect.label
        )
        .into())
    }

    /// Applies the labels of verdicts that wait for it: how many, and a sentence for each that is not applied.
    pub(super) async fn apply_labels(&self) -> Result<(usize, Vec<String>), CommandError> {
        let pipeline = &self.workspace.pipeline;
        let labels = pipeline.labels(&self.mapping);
        let batcher = Batcher::new(labels::FUNCTION, pipeline.budget);
        let applied = self
            .reviews
            .apply_verdict_labels(&self.mapping, &labels, &batcher);
        let applied = applied.await?;
        let failures = applied.failures.iter();
        let failures = failures.map(|(order_id, failure)| explain_label(order_id, failure));
        Ok((applied.count, failures.collect()))
    }

    /// Applies the labels of the verdicts on an order: the index may not have them yet. Gives a sentence for each that is
    /// not applied.
    pub(super) async fn apply_labels_of(
        &self,
        decision: &Decision,
    ) -> Result<Vec<String>, CommandError> {
        let pipeline = &self.workspace.pipeline;
        let labels = pipeline.labels(&self.mapping);
        let batcher = Batcher::new(labels::FUNCTION, pipeline.budget);
        let (event_type, event_id) = (&decision.event_type, &decision.event_id);
        let verdicts = self.reviews.verdicts_of_event(event_type, event_id).await?;
        let mut failures = Vec::new();
        for verdict in verdicts.iter().filter(|verdict| verdict.waits_for_label()) {
            let applied =
                self.reviews
                    .apply_verdict_label(verdict, &self.mapping, &labels, &batcher);
            if let Err(failure) = applied.await {
                failures.push(explain_label(&verdict.order_id, &failure));
            }
        }
        Ok(failures)
    }

    /// The cases that people are to decide: as many as they can in a day, appeals before others.
    pub(super) async fn read_queue(
        &self,
        outcome: Option<&str>,
        at_least: usize,
    ) -> Result<Queue, CommandError> {
        let capacity = self.mapping.review().capacity.as_ref();
        let most = capacity.map(|it| usize::try_from(it.reviews_per_day).unwrap_or(usize::MAX));
        let room = most.unwrap_or(QUEUE.max(at_least));
        let mut cases = self
            .reviews
            .waiting(&self.mapping, &[APPEALS], room, self.now)
            .await?;
        let room = room.saturating_sub(cases.len());
        let queues: Vec<&str> = match outcome {
            Some(outcome) => vec![outcome],
            None => Reviews::queues(&self.mapping)
                .into_iter()
                .filter(|queue| *queue != APPEALS)
                .collect(),
        };
        let others = self
            .reviews
            .waiting(&self.mapping, &queues, room.saturating_add(1), self.now)
            .await?;
        let is_over_capacity = most.is_some() && others.len() > room;
        cases.extend(others.into_iter().take(room));
        if let Some(outcome) = outcome {
            cases.retain(|case| case.outcome == outcome);
        }
        Ok(Queue {
            cases,
            is_over_capacity,
        })
    }
}

fn explain_label(order_id: &str, failure: &shared::failure::Failure) -> String {
    format!(
        "the verdict on order `{order_id}` stands, but its label is not applied yet: {failure}. The next `fraudstream review` \
         command that decides, or `fraudstream review settle`, tries again"
    )
}
