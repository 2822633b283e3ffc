//! The table of decisions, as template.yaml has it on AWS.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use super::LocalStackError;

/// Creates the table of decisions as template.yaml does; one that exists is left as it is.
pub async fn create_decisions_table(client: &Client, table: &str) -> Result<(), LocalStackError> {
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
    for name in ["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"] {
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        request = request.attribute_definitions(attribute.map_err(|error| failed(&error))?);
    }
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        request = request.key_schema(key(name, kind).map_err(|error| failed(&error))?);
    }
    for index in ["gsi1", "gsi2"] {
        let all = Projection::builder()
            .projection_type(ProjectionType::All)
            .build();
        let secondary = GlobalSecondaryIndex::builder()
            .index_name(index)
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
