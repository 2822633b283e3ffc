//! Reads and writes cases and verdicts.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use event::{EventTypeName, Timestamp};
use mapping::Mapping;
use thiserror::Error;

use super::editor::{CaseChange, CaseEditor, Edited, QueueChange, Refusal};
use super::verdict::{Recheck, Verdict, day_key, parse_verdict, recheck_key};
use crate::decisions::{
    Decision, Decisions, ItemKey, VERDICT, entity_key, update_if_condition_holds,
};
use crate::failure::{Failure, dependency_failure};
use crate::items::Item;

/// How often a write is repeated when another writer changed the same case meanwhile.
const MAX_CONFLICTS: usize = 20;

/// A case cannot be read or changed.
#[derive(Clone, Debug, Error)]
pub enum ReviewError {
    /// It may not be done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The table fails.
    #[error("{0}")]
    Failed(Failure),
    /// The decision was deleted meanwhile.
    #[error("the decision `{0}` does not exist any more")]
    Gone(String),
    /// Others change it all the time.
    #[error("the case of `{0}` keeps changing; try again")]
    Contended(String),
}

impl From<Failure> for ReviewError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The cases and verdicts of the table of decisions.
#[derive(Clone, Debug)]
pub struct Reviews {
    pub(super) decisions: Decisions,
}

impl Reviews {
    /// The cases in the table of decisions.
    pub fn new(decisions: Decisions) -> Self {
        Self { decisions }
    }

    /// Changes the case of the decision with this key as `edit` says, and gives the decision as it is then. If another
    /// writer changes it meanwhile, it is read again and `edit` decides anew.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was changed, but for [`ReviewError::Failed`], where it is not known.
    pub async fn change(
        &self,
        key: &ItemKey,
        mapping: &Mapping,
        now: Timestamp,
        edit: impl Fn(CaseEditor<'_>) -> Edited,
    ) -> Result<Decision, ReviewError> {
        for _ in 0..MAX_CONFLICTS {
            let found = self.decisions.read([key.clone()]).await?;
            let decision = found.decision(key);
            let decision = decision.ok_or_else(|| ReviewError::Gone(key.pk().to_owned()))?;
            let editor = CaseEditor {
                decision,
                mapping,
                now,
            };
            let Some(change) = edit(editor)? else {
                return Ok(decision.clone());
            };
            if self.write(decision, &change).await? {
                return Ok(changed_decision(decision, change));
            }
        }
        Err(ReviewError::Contended(key.pk().to_owned()))
    }

    /// Writes a change, unless the case is no longer as it was read: then it gives `false`.
    async fn write(&self, decision: &Decision, change: &CaseChange) -> Result<bool, Failure> {
        let write = CaseWrite::new(decision, change)?;
        let key = decision.key();
        let Some(verdict) = &change.verdict else {
            let update = self
                .decisions
                .update(&key)
                .update_expression(write.update)
                .condition_expression(write.condition)
                .set_expression_attribute_names(Some(write.names))
                .set_expression_attribute_values(Some(write.values));
            return update_if_condition_holds(update).await;
        };
        let (client, table) = self.decisions.client_and_table();
        let not_built = |_| Failure::retry("TransactWriteItems: request not built");
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key.attributes()))
            .update_expression(write.update)
            .condition_expression(write.condition)
            .set_expression_attribute_names(Some(write.names))
            .set_expression_attribute_values(Some(write.values));
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(verdict_item(verdict)?))
            .condition_expression("attribute_not_exists(pk)");
        let update = update.build().map_err(not_built)?;
        let put = put.build().map_err(not_built)?;
        let transaction = client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(TransactWriteItem::builder().put(put).build());
        let Err(error) = transaction.send().await else {
            return Ok(true);
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled))
                if canceled.cancellation_reasons().iter().any(is_conflict) =>
            {
                Ok(false)
            }
            _ => Err(dependency_failure("TransactWriteItems", &error)),
        }
    }

    /// The verdicts on all revisions of an event, the oldest of each revision first.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn verdicts_of_event(
        &self,
        event_type: &str,
        event_id: &str,
    ) -> Result<Vec<Verdict>, Failure> {
        let query = self
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            // The key of an event is formed as that of an entity is.
            .expression_attribute_values(":pk", AttributeValue::S(entity_key(event_type, event_id)))
            .expression_attribute_values(":sk", AttributeValue::S(VERDICT.to_owned()));
        read_verdicts(query).await
    }

    /// The verdicts of a day in UTC, `yyyy-MM-dd`, the oldest first.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn verdicts_of_day(
        &self,
        event_type: &EventTypeName,
        day: &str,
    ) -> Result<Vec<Verdict>, Failure> {
        self.verdicts_in("gsi1", day_key(event_type.as_str(), day))
            .await
    }

    /// The verdicts that a second person still has to give again, the oldest first.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn verdicts_to_recheck(
        &self,
        event_type: &EventTypeName,
    ) -> Result<Vec<Verdict>, Failure> {
        self.verdicts_in("gsi2", recheck_key(event_type.as_str()))
            .await
    }

    /// Writes what a second person says about a verdict; `false` if there is no such verdict or somebody has said it.
    ///
    /// # Errors
    /// [`Failure::Retry`] if DynamoDB fails.
    pub async fn put_recheck(&self, verdict: &Verdict, recheck: &Recheck) -> Result<bool, Failure> {
        let recheck = serde_dynamo::to_attribute_value(recheck)
            .map_err(|_| Failure::retry("a recheck does not serialize"))?;
        let update = self
            .decisions
            .update(&verdict.key())
            .update_expression("SET recheck = :recheck REMOVE gsi2pk, gsi2sk")
            // Before its label is applied, a verdict is in this index under another key.
            .condition_expression("gsi2pk = :waits AND attribute_not_exists(recheck)")
            .expression_attribute_values(":recheck", recheck)
            .expression_attribute_values(
                ":waits",
                AttributeValue::S(recheck_key(&verdict.event_type)),
            );
        update_if_condition_holds(update).await
    }

    pub(super) async fn verdicts_in(
        &self,
        index: &str,
        key: String,
    ) -> Result<Vec<Verdict>, Failure> {
        let query = self
            .query()
            .index_name(index)
            .key_condition_expression(format!("{index}pk = :pk"))
            .expression_attribute_values(":pk", AttributeValue::S(key));
        read_verdicts(query).await
    }

    pub(super) fn query(&self) -> QueryFluentBuilder {
        let (client, table) = self.decisions.client_and_table();
        client.query().table_name(table)
    }
}

async fn read_verdicts(query: QueryFluentBuilder) -> Result<Vec<Verdict>, Failure> {
    let items = query.into_paginator().items().send();
    let items = items.collect::<Result<Vec<_>, _>>().await;
    let items = items.map_err(|error| dependency_failure("Query", &error))?;
    items.into_iter().map(parse_verdict).collect()
}

/// An update of a decision's item that changes its case and nothing else.
struct CaseWrite {
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl CaseWrite {
    /// Writes `change` if the case and its place are as in `decision`.
    fn new(decision: &Decision, change: &CaseChange) -> Result<Self, Failure> {
        let case = serde_dynamo::to_attribute_value(&change.case)
            .map_err(|_| Failure::retry("a case does not serialize"))?;
        let mut names = HashMap::from([("#review".to_owned(), "review".to_owned())]);
        let mut values = HashMap::from([(":case".to_owned(), case)]);
        let mut text = |name: &str, value: &str| {
            values.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        };
        // Must never create the item: an incomplete decision would keep the order from being decided.
        let mut condition = "attribute_exists(pk)".to_owned();
        match &decision.gsi2pk {
            Some(key) => {
                text(":before", key);
                condition.push_str(" AND gsi2pk = :before");
            }
            None => condition.push_str(" AND attribute_not_exists(gsi2pk)"),
        }
        let update = match &change.queue {
            QueueChange::Stays => "SET #review = :case",
            QueueChange::Leaves => "SET #review = :case REMOVE gsi2pk, gsi2sk",
            QueueChange::Enters(key, place) => {
                text(":key", key);
                text(":place", place);
                "SET #review = :case, gsi2pk = :key, gsi2sk = :place"
            }
        };
        match &decision.review {
            Some(case) => {
                names.insert("#changes".to_owned(), "changes".to_owned());
                let changes = AttributeValue::N(case.changes.to_string());
                values.insert(":changes".to_owned(), changes);
                condition.push_str(" AND #review.#changes = :changes");
            }
            None => condition.push_str(" AND attribute_not_exists(#review)"),
        }
        Ok(Self {
            update: update.to_owned(),
            condition,
            names,
            values,
        })
    }
}

/// The decision after a change that was written.
fn changed_decision(decision: &Decision, change: CaseChange) -> Decision {
    let mut decision = decision.clone();
    decision.review = Some(change.case);
    match change.queue {
        QueueChange::Stays => {}
        QueueChange::Leaves => (decision.gsi2pk, decision.gsi2sk) = (None, None),
        QueueChange::Enters(key, place) => {
            (decision.gsi2pk, decision.gsi2sk) = (Some(key), Some(place));
        }
    }
    decision
}

fn verdict_item(verdict: &Verdict) -> Result<Item, Failure> {
    serde_dynamo::to_item(verdict).map_err(|_| Failure::retry("a verdict does not serialize"))
}

/// Whether a transaction was cancelled because of another writer.
fn is_conflict(reason: &aws_sdk_dynamodb::types::CancellationReason) -> bool {
    matches!(
        reason.code(),
        Some("ConditionalCheckFailed" | "TransactionConflict")
    )
}
