//! Items with which the table itself is tested: written as decisions are, and none.
//!
//! Nothing takes such an item for a decision. `forward` and the filter of its stream ask for the kind `decision`, lists of
//! decisions use the indexes or the prefix of sort keys, and the item has neither.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::batch_execute_statement::builders::BatchExecuteStatementFluentBuilder;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use event::Timestamp;

use super::form::form_attribute;
use super::inserts::insert_statement;
use super::key::ItemKey;
use super::table::Decisions;
use crate::failure::Failure;
use crate::items::Item;

/// The sort key and the kind of a probe.
const PROBE: &str = "probe";
/// When the table may delete a probe that whoever wrote it could not delete.
const LIFETIME: Duration = Duration::from_hours(1);

/// An item with which the table of decisions is tested.
#[derive(Clone, Debug)]
pub struct ProbeItem {
    key: ItemKey,
    expires_at: i64,
}

impl ProbeItem {
    /// An item with a random key, which expires an hour after `now`.
    pub fn new(now: Timestamp) -> Self {
        let id = uuid::Uuid::new_v4().simple();
        let lifetime = i64::try_from(LIFETIME.as_secs()).unwrap_or_default();
        Self {
            key: ItemKey::from_parts(format!("{PROBE}#{id}"), PROBE),
            expires_at: now.epoch_seconds() + lifetime,
        }
    }

    /// Its primary key.
    pub fn key(&self) -> &ItemKey {
        &self.key
    }

    /// Its attributes: a value of each type that a decision has.
    fn attributes(&self) -> Item {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |number: i64| AttributeValue::N(number.to_string());
        let map = |name: &str, value| AttributeValue::M(HashMap::from([(name.to_owned(), value)]));
        let mut item = self.key.attributes();
        item.extend(
            [
                ("kind", text(PROBE)),
                ("form", form_attribute()),
                ("expires_at", number(self.expires_at)),
                ("undetermined", AttributeValue::Bool(false)),
                ("outcomes", AttributeValue::L(vec![text(PROBE)])),
                ("variables", map("price", text("4.01"))),
                (
                    "data_quality",
                    AttributeValue::L(vec![map("value", AttributeValue::Null(true))]),
                ),
                ("label_history", AttributeValue::M(HashMap::new())),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        item
    }
}

impl Decisions {
    /// Begins to put a probe as one decision is put: unless there is an item with its key.
    pub fn put_probe(&self, probe: &ProbeItem) -> PutItemFluentBuilder {
        self.conditional_put(probe.attributes())
    }

    /// Begins to insert a probe as several decisions are inserted: with a statement, which fails if there is an item with
    /// its key.
    ///
    /// # Errors
    /// [`Failure::Retry`] if the SDK cannot build the statement.
    pub fn insert_probe(
        &self,
        probe: &ProbeItem,
    ) -> Result<BatchExecuteStatementFluentBuilder, Failure> {
        let statement = insert_statement(&self.table, probe.attributes())?;
        Ok(self.client.batch_execute_statement().statements(statement))
    }

    /// Begins to delete a probe.
    pub fn delete_probe(&self, probe: &ProbeItem) -> DeleteItemFluentBuilder {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(probe.key.attributes()))
    }

    /// The client and the name of the table, for whoever asks what the table is like.
    pub fn client_and_table(&self) -> (&Client, &str) {
        (&self.client, &self.table)
    }
}
