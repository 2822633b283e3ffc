//! Conditional writes: items that count their writes in `revision`, and are replaced only at the expected revision.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use protocol::{Error, Result};

use crate::table::{Item, Table, convert_sdk_error};

impl Table {
    /// Replaces the item whose revision is `before`; 0 means that there must be no item. Returns false on write
    /// conflict.
    pub async fn put_if_unchanged(&self, item: Item, before: u64) -> Result<bool> {
        let put = self.conditional_put(item, before)?;
        let request = self
            .client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_values(put.expression_attribute_values);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(e) if e.is_conditional_check_failed_exception() => Ok(false),
                // Another transaction is writing the item right now.
                Some(e) if e.is_transaction_conflict_exception() => Ok(false),
                _ => Err(convert_sdk_error(error)),
            },
        }
    }

    /// The same write as part of a transaction.
    pub fn conditional_put(&self, item: Item, before: u64) -> Result<Put> {
        let put = Put::builder().table_name(&self.name).set_item(Some(item));
        let put = match before {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            _ => put
                .condition_expression("revision = :before")
                .expression_attribute_values(":before", AttributeValue::N(before.to_string())),
        };
        put.build().map_err(Error::internal)
    }

    /// Writes all or nothing. Returns false on write conflict.
    pub async fn write_transaction(&self, writes: Vec<TransactWriteItem>) -> Result<bool> {
        let request = self.client.transact_write_items();
        match request.set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(e) if e.is_transaction_canceled_exception() => Ok(false),
                Some(e) if e.is_transaction_in_progress_exception() => Ok(false),
                _ => Err(convert_sdk_error(error)),
            },
        }
    }
}

/// Whether an update failed because its condition does not hold.
pub fn is_condition_failure(error: Option<&UpdateItemError>) -> bool {
    error.is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
