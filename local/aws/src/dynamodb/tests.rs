use std::collections::HashMap;
use std::sync::Mutex;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, KeysAndAttributes, Projection, ProjectionType, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TimeToLiveSpecification,
    TransactWriteItem,
};
use serde_json::json;

use super::*;
use crate::clients;

const TABLE: &str = "Decisions";

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn attribute(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    let element = KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind);
    element.build().unwrap()
}

/// A table with the keys `pk` and `sk`, and an index `queue` over `outcome` and `sk`.
async fn create(client: &Client) {
    let queue = GlobalSecondaryIndex::builder()
        .index_name("queue")
        .key_schema(key("outcome", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::All)
                .build(),
        )
        .build()
        .unwrap();
    client
        .create_table()
        .table_name(TABLE)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .attribute_definitions(attribute("outcome"))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(queue)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

async fn in_memory() -> Client {
    let client = clients::connect_dynamodb(DynamoDb::in_memory().unwrap().service().http_client());
    create(&client).await;
    client
}

async fn put(client: &Client, pk: &str, outcome: &str) {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", text(pk))
        .item("sk", text("1"))
        .item("outcome", text(outcome))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_condition_shows_the_item_that_is_there() {
    let client = in_memory().await;
    put(&client, "order#1", "approve").await;
    let error = client
        .put_item()
        .table_name(TABLE)
        .item("pk", text("order#1"))
        .item("sk", text("1"))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(error.message(), Some("The conditional request failed"));
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
        failed,
    ) = error
    else {
        panic!("{error:?}");
    };
    let old = failed.item().unwrap();
    assert_eq!(old["outcome"], text("approve"));
}

#[tokio::test]
async fn a_query_reads_an_index() {
    let client = in_memory().await;
    for (pk, outcome) in [
        ("order#1", "review"),
        ("order#2", "approve"),
        ("order#3", "review"),
    ] {
        put(&client, pk, outcome).await;
    }
    let page = client
        .query()
        .table_name(TABLE)
        .index_name("queue")
        .key_condition_expression("outcome = :o")
        .expression_attribute_values(":o", text("review"))
        .send()
        .await
        .unwrap();
    let mut found: Vec<_> = page.items().iter().map(|item| item["pk"].clone()).collect();
    found.sort_by_key(|value| value.as_s().unwrap().clone());
    assert_eq!(found, [text("order#1"), text("order#3")]);
}

#[tokio::test]
async fn items_are_read_written_and_deleted() {
    let client = in_memory().await;
    put(&client, "order#1", "approve").await;
    let key = || {
        HashMap::from([
            ("pk".to_owned(), text("order#1")),
            ("sk".to_owned(), text("1")),
        ])
    };
    let missing = HashMap::from([
        ("pk".to_owned(), text("order#9")),
        ("sk".to_owned(), text("1")),
    ]);

    let keys = KeysAndAttributes::builder()
        .keys(key())
        .keys(missing)
        .build()
        .unwrap();
    let batch = client
        .batch_get_item()
        .request_items(TABLE, keys)
        .send()
        .await
        .unwrap();
    assert_eq!(batch.responses().unwrap()[TABLE].len(), 1);
    assert!(batch.unprocessed_keys().unwrap().is_empty());

    let updated = client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(key()))
        .update_expression("SET label = :l")
        .expression_attribute_values(":l", text("fraud"))
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .unwrap();
    assert_eq!(updated.attributes().unwrap()["label"], text("fraud"));

    client
        .delete_item()
        .table_name(TABLE)
        .set_key(Some(key()))
        .send()
        .await
        .unwrap();
    let gone = client
        .get_item()
        .table_name(TABLE)
        .set_key(Some(key()))
        .send()
        .await
        .unwrap();
    assert_eq!(gone.item(), None);
}

#[tokio::test]
async fn a_cancelled_transaction_has_a_reason_for_each_item() {
    let client = in_memory().await;
    put(&client, "order#1", "approve").await;
    let item = |pk: &str| {
        let put = Put::builder()
            .table_name(TABLE)
            .item("pk", text(pk))
            .item("sk", text("1"))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .unwrap();
        TransactWriteItem::builder().put(put).build()
    };
    let error = client
        .transact_write_items()
        .transact_items(item("order#2"))
        .transact_items(item("order#1"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code())
        .collect();
    assert_eq!(codes, [Some("None"), Some("ConditionalCheckFailed")]);
}

#[tokio::test]
async fn a_table_has_a_time_to_live() {
    let client = in_memory().await;
    let specification = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("ttl");
    client
        .update_time_to_live()
        .table_name(TABLE)
        .time_to_live_specification(specification.build().unwrap())
        .send()
        .await
        .unwrap();
    let described = client
        .describe_time_to_live()
        .table_name(TABLE)
        .send()
        .await
        .unwrap();
    let described = described.time_to_live_description().unwrap();
    assert_eq!(described.attribute_name(), Some("ttl"));
}

/// What is put in a watched table, and whether it is an insert.
#[tokio::test]
async fn only_new_items_of_the_watched_table_are_handed_over() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let dynamodb = DynamoDb::in_memory()
        .unwrap()
        .on_insert(TABLE, move |insert| {
            sink.lock().unwrap().push(insert);
        });
    let client = clients::connect_dynamodb(dynamodb.service().http_client());
    create(&client).await;
    let cases = [("order#1", 1), ("order#1", 1), ("order#2", 2)];
    for (pk, want) in cases {
        put(&client, pk, "approve").await;
        assert_eq!(seen.lock().unwrap().len(), want, "{pk}");
    }
    let first = seen.lock().unwrap()[0].clone();
    let image = json!({"pk": {"S": "order#1"}, "sk": {"S": "1"}, "outcome": {"S": "approve"}});
    assert_eq!(
        first,
        InsertedItem {
            table: TABLE.to_owned(),
            image
        }
    );
}

#[tokio::test]
async fn the_old_item_is_returned_only_to_who_asks() {
    let dynamodb = DynamoDb::in_memory().unwrap().on_insert(TABLE, |_| {});
    let client = clients::connect_dynamodb(dynamodb.service().http_client());
    create(&client).await;
    put(&client, "order#1", "approve").await;
    let again = |asked| {
        let put = client.put_item().table_name(TABLE).set_return_values(asked);
        put.item("pk", text("order#1")).item("sk", text("1")).send()
    };
    for (asked, want) in [
        (Some(ReturnValue::AllOld), true),
        (Some(ReturnValue::None), false),
        (None, false),
    ] {
        let response = again(asked.clone()).await.unwrap();
        assert_eq!(response.attributes().is_some(), want, "{asked:?}");
    }
}

/// Raw requests and the exception that answers each.
#[tokio::test]
async fn refusals_are_as_aws_sends_them() {
    let service = DynamoDb::in_memory().unwrap().service();
    let cases = [
        (
            "PutItem",
            "{",
            "com.amazon.coral.service#SerializationException",
        ),
        (
            "PutItem",
            r#"{"TableName":7}"#,
            "com.amazon.coral.service#SerializationException",
        ),
        (
            "PutItem",
            "{}",
            "com.amazon.coral.validate#ValidationException",
        ),
        (
            "GetItem",
            r#"{"TableName":"None","Key":{"pk":{"S":"a"}}}"#,
            "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        ),
        (
            "Dance",
            "{}",
            "com.amazon.coral.service#UnknownOperationException",
        ),
    ];
    for (operation, body, want) in cases {
        let mut request = Request::new(Bytes::from_static(body.as_bytes()));
        let target = format!("DynamoDB_20120810.{operation}").parse().unwrap();
        request.headers_mut().insert("x-amz-target", target);
        let response = service.call(request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(answer["__type"], want, "{operation} {body}");
    }
}

#[tokio::test]
async fn a_file_keeps_its_items() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fraudstream.db");
    for durability in [Durability::Kill, Durability::PowerLoss] {
        let dynamodb = DynamoDb::open(&path, durability).unwrap();
        let client = clients::connect_dynamodb(dynamodb.service().http_client());
        if durability == Durability::Kill {
            create(&client).await;
            put(&client, "order#1", "approve").await;
        }
        let scan = client.scan().table_name(TABLE).send().await.unwrap();
        assert_eq!(scan.count(), 1, "{durability:?}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let error = DynamoDb::open(Path::new("/no/such/folder/x.db"), Durability::Kill);
    let error = error.err().unwrap().to_string();
    assert!(
        error.starts_with("cannot open the database `/no/such/folder/x.db`: "),
        "{error}"
    );
}

/// Statements that all succeed are one transaction of the database; if one fails, the others have their effect all the
/// same.
#[tokio::test]
async fn each_statement_of_a_batch_succeeds_or_fails_by_itself() {
    let dynamodb = DynamoDb::in_memory().unwrap();
    let client = clients::connect_dynamodb(dynamodb.service().http_client());
    create(&client).await;
    let insert = |pk: &str| {
        let statement = format!("INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?, 'n': ?}}");
        (
            statement,
            vec![pk.to_owned(), "a".to_owned(), "1".to_owned()],
        )
    };
    let update = |pk: &str, from: &str, to: &str| {
        let statement = format!(
            "UPDATE \"{TABLE}\" SET \"n\" = ? WHERE \"pk\" = ? AND \"sk\" = ? AND \"n\" = ?"
        );
        let values = [to, pk, "a", from].map(str::to_owned);
        (statement, values.to_vec())
    };
    let run = async |statements: Vec<(String, Vec<String>)>| {
        let statements = statements.into_iter().map(|(statement, values)| {
            let values = values.into_iter().map(AttributeValue::S).collect();
            aws_sdk_dynamodb::types::BatchStatementRequest::builder()
                .statement(statement)
                .set_parameters(Some(values))
                .build()
                .unwrap()
        });
        let call = client.batch_execute_statement();
        let answer = call.set_statements(Some(statements.collect()));
        let answers = answer.send().await.unwrap().responses.unwrap();
        let codes = answers.into_iter().map(|answer| {
            let code = answer.error.and_then(|error| error.code);
            code.map_or("done".to_owned(), |code| code.as_str().to_owned())
        });
        codes.collect::<Vec<String>>()
    };
    assert_eq!(run(vec![insert("1"), insert("2")]).await, ["done", "done"]);
    assert_eq!(
        run(vec![insert("2"), insert("3"), update("1", "1", "2")]).await,
        ["DuplicateItem", "done", "done"]
    );
    assert_eq!(
        run(vec![
            update("1", "1", "9"),
            update("2", "1", "2"),
            update("4", "1", "2")
        ])
        .await,
        ["ConditionalCheckFailed", "done", "ConditionalCheckFailed"]
    );
    assert_eq!(
        run(vec![update("1", "2", "3"), update("2", "2", "3")]).await,
        ["done", "done"]
    );
    assert_eq!(run(vec![update("3", "1", "2")]).await, ["done"]);
}
