//! The tables of the pipeline, as template.yaml has them on AWS.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use super::LocalStackError;

/// Creates the tables of decisions and of velocity profiles as template.yaml does; those that exist are left as they are.
pub async fn create_pipeline_tables(
    client: &Client,
    decisions: &str,
    velocity: &str,
) -> Result<(), LocalStackError> {
    create_table(client, decisions, &["gsi1", "gsi2"]).await?;
    create_table(client, velocity, &[]).await
}

async fn create_table(
    client: &Client,
    table: &str,
    indexes: &[&str],
) -> Result<(), LocalStackError> {
    let failed = |what: &dyn std::fmt::Display| {
        LocalStackError::Table(format!("cannot create table `{table}`: {what}"))
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
    };
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    let mut names = vec!["pk".to_owned(), "sk".to_owned()];
    for index in indexes {
        names.extend([format!("{index}pk"), format!("{index}sk")]);
    }
    for name in names {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        request = request.attribute_definitions(attribute.map_err(|error| failed(&error))?);
    }
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        request = request.key_schema(key(name, kind).map_err(|error| failed(&error))?);
    }
    for index in indexes {
        let all = Projection::builder()
            .projection_type(ProjectionType::All)
            .build();
        let secondary = GlobalSecondaryIndex::builder()
            .index_name(*index)
            .projection(all)
            .key_schema(key(&format!("{index}pk"), KeyType::Hash).map_err(|error| failed(&error))?)
            .key_schema(key(&format!("{index}sk"), KeyType::Range).map_err(|error| failed(&error))?)
            .build();
        request = request.global_secondary_indexes(secondary.map_err(|error| failed(&error))?);
    }
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(failed(&shared::failure::error_code(&error))),
    }
}
