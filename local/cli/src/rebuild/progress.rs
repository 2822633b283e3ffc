//! How far a rebuild is: an item of the table of profiles, so that any process can continue.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use shared::decisions::ItemKey;
use shared::failure::error_code;

use super::evidence::{Evidence, MissingFact};
use super::{Rebuild, RebuildError};

/// Partition key and sort key of the item. Profiles and events have a `#` in their partition key.
const ITEM: &str = "rebuild";

/// What a rebuild does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RebuildPhase {
    /// It counts the orders of stored decisions.
    #[default]
    Decisions,
    /// It counts ingested events.
    Events,
    /// Everything is counted, and the new generation can become the active one.
    Filled,
    /// The new generation is active, and others are to be deleted.
    Flipped,
    /// It was given up, and what it filled is to be deleted.
    Abandoned,
    /// It has ended.
    Ended,
}

/// How far a rebuild is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RebuildProgress {
    /// The generation that is filled.
    pub generation: u32,
    /// What comes next.
    pub phase: RebuildPhase,
    /// When it was begun, ISO 8601 UTC.
    pub started_at: String,
    /// How many decided orders were counted.
    pub decisions: u64,
    /// How many ingested events were counted.
    pub events: u64,
    /// How many orders and events the functions had counted themselves, because they came meanwhile.
    pub counted_meanwhile: u64,
    /// How many of these were counted under another mapping file.
    pub other_mapping: u64,
    /// How many profiles of other generations were deleted.
    pub deleted: u64,
    /// The item after which it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<StoredKey>,
    /// What is kept of the orders.
    #[serde(skip_serializing)]
    kept: String,
    /// Counts the changes of the item; used to detect a second process.
    revision: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredKey {
    pk: String,
    sk: String,
}

impl RebuildProgress {
    pub(super) fn start(generation: u32, started_at: String) -> Self {
        Self {
            generation,
            started_at,
            ..Self::default()
        }
    }

    /// The key of the item after which it continues.
    pub(super) fn after(&self) -> Option<ItemKey> {
        let after = self.after.as_ref();
        after.map(|after| ItemKey::from_parts(&after.pk, &after.sk))
    }

    pub(super) fn continue_after(&mut self, key: &ItemKey) {
        self.after = Some(StoredKey {
            pk: key.pk().to_owned(),
            sk: key.sk().to_owned(),
        });
    }

    pub(super) fn enter_phase(&mut self, phase: RebuildPhase) {
        self.phase = phase;
        self.after = None;
    }

    /// What past orders lack, as far as they were read.
    pub fn find_missing(&self) -> Vec<MissingFact> {
        self.evidence().find_missing()
    }

    pub(super) fn evidence(&self) -> Evidence {
        serde_json::from_str(&self.kept).unwrap_or_default()
    }

    pub(super) fn keep_evidence(&mut self, evidence: &Evidence) {
        self.kept = serde_json::to_string(evidence).unwrap_or_default();
    }
}

impl Rebuild<'_> {
    /// Reads how far the last rebuild is; `None` if there was none.
    pub(super) async fn read_progress(&self) -> Result<Option<RebuildProgress>, RebuildError> {
        let get = self.pipeline.clients.dynamodb.get_item();
        let get = get
            .table_name(&self.pipeline.velocity_table)
            .key("pk", AttributeValue::S(ITEM.to_owned()))
            .key("sk", AttributeValue::S(ITEM.to_owned()))
            .consistent_read(true)
            .send();
        let item = get.await.map_err(|error| RebuildError::Call {
            what: "read how far the rebuild is",
            code: error_code(&error),
        })?;
        let Some(item) = item.item else {
            return Ok(None);
        };
        let read = serde_dynamo::from_item(item);
        read.map(Some).map_err(|_| RebuildError::UnreadableProgress)
    }

    /// Writes how far this rebuild is.
    ///
    /// # Errors
    /// [`RebuildError::Concurrent`] if another process wrote it meanwhile.
    pub(super) async fn write_progress(
        &self,
        progress: &mut RebuildProgress,
    ) -> Result<(), RebuildError> {
        let before = progress.revision;
        progress.revision += 1;
        let unwritable = |_| RebuildError::UnreadableProgress;
        let mut item: std::collections::HashMap<String, AttributeValue> =
            serde_dynamo::to_item(&*progress).map_err(unwritable)?;
        let text = |text: &str| AttributeValue::S(text.to_owned());
        item.insert("pk".to_owned(), text(ITEM));
        item.insert("sk".to_owned(), text(ITEM));
        item.insert("kept".to_owned(), text(&progress.kept));
        let put = self.pipeline.clients.dynamodb.put_item();
        let put = put
            .table_name(&self.pipeline.velocity_table)
            .set_item(Some(item));
        let put = if before == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("#revision = :revision")
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":revision", AttributeValue::N(before.to_string()))
        };
        match put.send().await {
            Ok(_) => {
                (self.say)(progress);
                Ok(())
            }
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {
                    Err(RebuildError::Concurrent)
                }
                _ => Err(RebuildError::Call {
                    what: "write how far the rebuild is",
                    code: error_code(&error),
                }),
            },
        }
    }

    /// The progress of a new rebuild, which follows `last` in the same item.
    pub(super) fn follow(
        &self,
        last: Option<&RebuildProgress>,
        generation: u32,
    ) -> RebuildProgress {
        let mut progress = RebuildProgress::start(generation, (self.clock)().to_string());
        progress.revision = last.map_or(0, |last| last.revision);
        progress
    }
}
