//! The definitions of the tables, shared by the template, the tests and the local stack.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use protocol::{Error, Result};

use crate::table::convert_sdk_error;

/// The index that `ListEventPredictions` reads.
pub const PREDICTIONS_INDEX: &str = "predictions";

/// How often a new table is polled, once per second, until it is active.
const MAX_STATUS_CHECKS: usize = 60;

/// A table as the engine needs it: billed on demand, with the string keys `pk` and `sk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The name of the table.
    pub name: String,
    /// Its global secondary index, if it has one.
    pub index: Option<IndexDefinition>,
    /// The attribute with the time at which an item expires, in seconds since 1970.
    pub time_to_live: Option<&'static str>,
}

/// A sparse index over two string attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// The name of the index.
    pub name: &'static str,
    /// Its partition key: a day and a shard, so that no partition takes all writes.
    pub partition_key: &'static str,
    /// Its sort key: the time of the prediction, then the event.
    pub sort_key: &'static str,
    /// The attributes that it holds besides the keys.
    pub projected: &'static [&'static str],
}

/// The two tables of the engine.
pub fn define_tables(definitions: &str, events: &str) -> Vec<TableDefinition> {
    let predictions = IndexDefinition {
        name: PREDICTIONS_INDEX,
        partition_key: "gsi1pk",
        sort_key: "gsi1sk",
        projected: &[
            "eventId",
            "eventTypeName",
            "eventTimestamp",
            "detectorId",
            "detectorVersionId",
            "predictionTimestamp",
        ],
    };
    vec![
        TableDefinition {
            name: definitions.to_owned(),
            index: None,
            time_to_live: None,
        },
        TableDefinition {
            name: events.to_owned(),
            index: Some(predictions),
            time_to_live: Some("expiresAt"),
        },
    ]
}

/// Creates a table. A table that exists is not changed.
pub async fn create_table(client: &Client, table: &TableDefinition) -> Result<()> {
    let mut request = client.create_table().table_name(&table.name);
    request = request.billing_mode(BillingMode::PayPerRequest);
    request = request.set_key_schema(Some(build_key_schema("pk", "sk")?));
    for name in ["pk", "sk"] {
        request = request.attribute_definitions(build_attribute(name)?);
    }
    if let Some(index) = &table.index {
        request = request.global_secondary_indexes(build_secondary_index(index)?);
        for name in [index.partition_key, index.sort_key] {
            request = request.attribute_definitions(build_attribute(name)?);
        }
    }
    match request.send().await {
        Ok(_) => {
            wait_until_active(client, &table.name).await?;
            enable_expiry(client, table).await
        }
        Err(error) if table_exists(error.as_service_error()) => Ok(()),
        Err(error) => Err(convert_sdk_error(error)),
    }
}

/// Waits until a table is active, which takes a few seconds.
async fn wait_until_active(client: &Client, name: &str) -> Result<()> {
    for _ in 0..MAX_STATUS_CHECKS {
        let output = client
            .describe_table()
            .table_name(name)
            .send()
            .await
            .map_err(convert_sdk_error)?;
        let status = output.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(Error::internal(
        "a table that was created does not become active",
    ))
}

/// Turns on the expiry of items.
async fn enable_expiry(client: &Client, table: &TableDefinition) -> Result<()> {
    let Some(attribute) = table.time_to_live else {
        return Ok(());
    };
    let specification = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(attribute);
    let specification = specification.build().map_err(Error::internal)?;
    let request = client.update_time_to_live().table_name(&table.name);
    let request = request.time_to_live_specification(specification);
    request.send().await.map_err(convert_sdk_error).map(|_| ())
}

fn table_exists(error: Option<&CreateTableError>) -> bool {
    error.is_some_and(CreateTableError::is_resource_in_use_exception)
}

fn build_secondary_index(index: &IndexDefinition) -> Result<GlobalSecondaryIndex> {
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(
            index.projected.iter().map(ToString::to_string).collect(),
        ));
    GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(build_key_schema(index.partition_key, index.sort_key)?))
        .projection(projection.build())
        .build()
        .map_err(Error::internal)
}

fn build_key_schema(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>> {
    let element = |name: &str, kind| {
        let element = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind);
        element.build().map_err(Error::internal)
    };
    Ok(vec![
        element(hash, KeyType::Hash)?,
        element(range, KeyType::Range)?,
    ])
}

fn build_attribute(name: &str) -> Result<AttributeDefinition> {
    let attribute = AttributeDefinition::builder().attribute_name(name);
    attribute
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(Error::internal)
}
