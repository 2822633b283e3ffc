//! Copies the labels of an event to its decisions, and closes reviews.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{LabelApplier, MAX_CONFLICTS};
use crate::decisions::{Decision, update_if_condition_holds};
use crate::failure::Failure;
use crate::label_history::{LabelEntry, LabelHistory, current_label};

/// The most labels copied to a decision in one write: DynamoDB takes expressions of up to 4 KB.
const COPIED_AT_ONCE: usize = 50;

impl LabelApplier {
    /// Copies the labels that a decision lacks, sets its current label, and closes its review if a label was received
    /// after the decision.
    pub(super) async fn copy_to_decision(
        &self,
        mut decision: Decision,
        history: &LabelHistory,
    ) -> Result<(), Failure> {
        let mut meetings = 0;
        loop {
            let lacking: Vec<(&String, &LabelEntry)> = history
                .labels
                .iter()
                .filter(|(id, _)| !decision.label_history.contains_key(*id))
                .take(COPIED_AT_ONCE)
                .collect();
            let closes = history.has_verdict_since(decision.waiting_since());
            if lacking.is_empty() {
                // All labels are copied already, but the review may still be open.
                return match &decision.gsi2pk {
                    Some(_) if closes => self.close_review(&decision).await,
                    _ => Ok(()),
                };
            }
            if self.try_copy(&decision, &lacking, closes).await? {
                let copied = lacking
                    .into_iter()
                    .map(|(id, entry)| (id.clone(), entry.clone()));
                decision.label_history.extend(copied);
                decision.label_revision += 1;
                if closes {
                    decision.gsi2pk = None;
                }
                continue;
            }
            meetings += 1;
            if meetings == MAX_CONFLICTS {
                return Err(Failure::retry("UpdateItem: the decision keeps changing"));
            }
            let key = decision.key();
            match self.decisions.read([key.clone()]).await?.decision(&key) {
                Some(newer) => decision = newer.clone(),
                // The decision was deleted by `forget` or has expired.
                None => return Ok(()),
            }
        }
    }

    /// Closes the open review of a decision.
    async fn close_review(&self, decision: &Decision) -> Result<(), Failure> {
        let update = self
            .decisions
            .update(&decision.key())
            .update_expression("REMOVE gsi2pk, gsi2sk")
            .condition_expression("attribute_exists(gsi2pk)");
        // If the condition does not hold, the review is closed already or the decision no longer exists.
        update_if_condition_holds(update).await.map(drop)
    }

    /// Copies labels with one conditional write; `false` if the decision was changed or deleted meanwhile.
    async fn try_copy(
        &self,
        decision: &Decision,
        lacking: &[(&String, &LabelEntry)],
        closes: bool,
    ) -> Result<bool, Failure> {
        let mut history = decision.label_history.clone();
        let number = |n: u32| AttributeValue::N(n.to_string());
        let mut update = "SET label_revision = :next".to_owned();
        let mut request = self.decisions.update(&decision.key());
        for (place, (id, entry)) in lacking.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(update, ", label_history.#l{place} = :l{place}");
            request = request
                .expression_attribute_names(format!("#l{place}"), *id)
                .expression_attribute_values(format!(":l{place}"), entry.attribute()?);
            history.insert((*id).clone(), (*entry).clone());
        }
        if let Some(best) = current_label(&history) {
            update.push_str(", label = :label");
            // A case that was not open when it was read may have been opened by an appeal since.
            if closes && decision.is_waiting() {
                update.push_str(" REMOVE gsi2pk, gsi2sk");
            }
            request = request.expression_attribute_values(":label", best.attribute()?);
        }
        let request = request
            .update_expression(update)
            // Must never create the item: an incomplete decision would keep the order from being decided.
            .condition_expression("attribute_exists(pk) AND label_revision = :revision")
            .expression_attribute_values(":revision", number(decision.label_revision))
            .expression_attribute_values(":next", number(decision.label_revision + 1));
        update_if_condition_holds(request).await
    }
}
