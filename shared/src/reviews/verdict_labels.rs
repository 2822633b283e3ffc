//! A person's verdict becomes a label, so that models, profiles and reports learn from it.

use event::{EventId, LabelMessage, LabelName, LabelTime, Timestamp};
use mapping::Mapping;
use mapping::records::{Origin, Position, Record};

use super::table::Reviews;
use super::verdict::{KIND, Verdict, recheck_key, unlabelled_key};
use crate::batch::Batcher;
use crate::decisions::update_if_condition_holds;
use crate::failure::Failure;
use crate::labels::LabelApplier;
use aws_sdk_dynamodb::types::AttributeValue;

/// The source of these labels in `labels.source_ranks` of the mapping.
const SOURCE: &str = "analyst";

/// What became of the labels of verdicts.
#[derive(Clone, Debug, Default)]
pub struct AppliedLabels {
    /// How many were applied.
    pub count: usize,
    /// The orders whose labels were not, and why.
    pub failures: Vec<(String, Failure)>,
}

impl Reviews {
    /// Applies the labels of all verdicts that wait for it; those that an interrupted command left, too. A label that is
    /// refused keeps no other from being applied.
    ///
    /// # Errors
    /// The verdicts cannot be listed.
    pub async fn apply_verdict_labels(
        &self,
        mapping: &Mapping,
        labels: &LabelApplier,
        batcher: &Batcher,
    ) -> Result<AppliedLabels, Failure> {
        let key = unlabelled_key(mapping.event_type().as_str());
        let mut applied = AppliedLabels::default();
        for verdict in self.verdicts_in("gsi2", key).await? {
            let done = self.apply_verdict_label(&verdict, mapping, labels, batcher);
            match done.await {
                Ok(()) => applied.count += 1,
                Err(failure) => applied.failures.push((verdict.order_id, failure)),
            }
        }
        Ok(applied)
    }

    /// Applies the label of one verdict. Applying it again changes nothing.
    ///
    /// # Errors
    /// [`Failure::Rejected`] if the service refuses the label, [`Failure::Retry`] if a dependency fails. The verdict stands,
    /// and its label waits for the next call.
    pub async fn apply_verdict_label(
        &self,
        verdict: &Verdict,
        mapping: &Mapping,
        labels: &LabelApplier,
        batcher: &Batcher,
    ) -> Result<(), Failure> {
        if let Some(label) = &verdict.label {
            let message = make_message(verdict, label, mapping)?;
            let record = Record {
                position: Position::new(Origin::Other, "reviews", &verdict.verdict_id),
                key: None,
                payload: Vec::new(),
            };
            // As of the verdict: a label that comes late must not close a case that was opened again meanwhile.
            let seen = message.time.time;
            Box::pin(labels.apply(&message, &record, seen, batcher)).await?;
        }
        self.mark_labelled(verdict).await
    }

    /// Takes a verdict out of the index of those without a label; one that is given again enters the index of these.
    async fn mark_labelled(&self, verdict: &Verdict) -> Result<(), Failure> {
        let update = self.decisions.update(&verdict.key());
        let update = if verdict.is_rechecked {
            let recheck = AttributeValue::S(recheck_key(&verdict.event_type));
            update
                .update_expression("SET gsi2pk = :recheck")
                .expression_attribute_values(":recheck", recheck)
        } else {
            update.update_expression("REMOVE gsi2pk, gsi2sk")
        };
        let update = update
            .condition_expression("gsi2pk = :unlabelled")
            .expression_attribute_values(
                ":unlabelled",
                AttributeValue::S(unlabelled_key(&verdict.event_type)),
            );
        // If the condition does not hold, another command has done it.
        update_if_condition_holds(update).await.map(drop)
    }
}

fn make_message(
    verdict: &Verdict,
    label: &str,
    mapping: &Mapping,
) -> Result<LabelMessage, Failure> {
    let unreadable = || Failure::set_up("a verdict is not readable by this version");
    Ok(LabelMessage {
        event_id: EventId::try_from(verdict.event_id.as_str()).map_err(|_| unreadable())?,
        label: Some(LabelName::try_from(label.to_owned()).map_err(|_| unreadable())?),
        time: LabelTime {
            time: Timestamp::parse(&verdict.reviewed_at).map_err(|_| unreadable())?,
            day_only: false,
        },
        rank: mapping.source_rank(SOURCE),
        kind: KIND.to_owned(),
        reason_code: None,
        amount: None,
        currency: None,
        source: SOURCE.to_owned(),
    })
}
