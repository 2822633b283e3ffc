//! DynamoDB in this process: an embedded one on `SQLite`, behind [`Service`].
//!
//! It is strongly consistent everywhere, never throttles and deletes nothing when its time to live
//! is over; tests that need such things put a [fault](crate::fault) in between.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dynoxide::actions::put_item::{PutItemRequest, PutItemResponse};
use dynoxide::{Database, DynoxideError};
use http::{Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::service::{self, Service};

const MEDIA_TYPE: &str = "application/x-amz-json-1.0";

/// What a database file withstands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The process may be killed at any time and loses nothing. If the machine loses power, recent
    /// writes may be lost and the file may be damaged.
    #[default]
    Kill,
    /// The machine may lose power, too: the file stays whole. About three times slower.
    PowerLoss,
    /// Nothing: there is no file, and all is gone when the process ends.
    Nothing,
}

/// The database cannot be opened or written anew.
#[derive(Debug, Error)]
#[error("cannot open the database `{path}`: {reason}")]
pub struct OpenError {
    path: String,
    reason: String,
}

/// An item that was not there before.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// The table that it was put into.
    pub table: String,
    /// The item as DynamoDB's JSON, `{"pk":{"S":"..."}}`: the `NewImage` of a stream record.
    pub image: Value,
}

type OnInsert = Arc<dyn Fn(Insert) + Send + Sync>;

/// DynamoDB in this process. Cloning it is cheap and gives the same database.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    watched: Option<(String, OnInsert)>,
}

/// Writes the database at `path` anew, so that no page of the file holds what was deleted. Nobody may
/// have it open.
pub fn compact(path: &Path) -> Result<(), OpenError> {
    let path = path.to_string_lossy();
    // Closing the last connection empties the write-ahead log.
    let compacted = Database::new(&path).and_then(|database| database.vacuum());
    compacted.map_err(|error| cannot_open(&path, &error))
}

impl DynamoDb {
    /// A database that is gone when the process ends.
    pub fn in_memory() -> Result<Self, OpenError> {
        let database = Database::memory().map_err(|error| cannot_open(":memory:", &error))?;
        Ok(Self::new(database))
    }

    /// The database in the file at `path`, which is created if it is missing.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, OpenError> {
        if durability == Durability::Nothing {
            return Self::in_memory();
        }
        let path = path.to_string_lossy();
        let open = || {
            let database = Database::new(&path)?;
            if durability == Durability::Kill {
                database.enable_bulk_loading()?;
            }
            Ok(database)
        };
        let database = open().map_err(|error: DynoxideError| cannot_open(&path, &error))?;
        Ok(Self::new(database))
    }

    fn new(database: Database) -> Self {
        Self {
            database,
            watched: None,
        }
    }

    /// Hands every item that a `PutItem` inserts into `table` to `on_insert`, once it is stored.
    ///
    /// This is what a stream with `INSERT` records is on AWS; a stream of the embedded database
    /// would make each put slower than the one before. `on_insert` is called even if whoever made
    /// the call no longer waits for it, and has to be quick: it is called on the thread of the put.
    #[must_use]
    pub fn on_insert(
        mut self,
        table: impl Into<String>,
        on_insert: impl Fn(Insert) + Send + Sync + 'static,
    ) -> Self {
        self.watched = Some((table.into(), Arc::new(on_insert)));
        self
    }

    /// The database as a service.
    pub fn service(self) -> Service {
        // The database has one lock: more threads would only wait for it, each with memory of its own.
        let threads = std::thread::available_parallelism().map_or(2, NonZero::get);
        let turns = Arc::new(Semaphore::new(threads));
        Service::new(move |request: Request<Bytes>| {
            let (dynamodb, turns) = (self.clone(), Arc::clone(&turns));
            async move {
                let turn = turns.acquire_owned().await;
                // A call blocks: on the lock of the database and on its file.
                let call = tokio::task::spawn_blocking(move || {
                    let _until_it_is_done = turn;
                    dynamodb.answer(&request)
                });
                call.await.unwrap_or_else(|error| lost(&error))
            }
        })
    }

    /// Answers one request, on this thread: until it is done, the thread does nothing else.
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let operation = service::operation(request);
        match self.run(operation, request.body()) {
            Ok(body) => service::json(StatusCode::OK, MEDIA_TYPE, body),
            Err(error) => refusal(operation, error),
        }
    }

    /// The operations that fraudstream and its engine use, and those that make a table usable from
    /// the AWS CLI.
    fn run(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
        let db = &self.database;
        match operation {
            "PutItem" => reply(body, |request| self.put_item(request)),
            "GetItem" => reply(body, |request| db.get_item(request)),
            "UpdateItem" => reply(body, |request| db.update_item(request)),
            "DeleteItem" => reply(body, |request| db.delete_item(request)),
            "Query" => reply(body, |request| db.query(request)),
            "Scan" => reply(body, |request| db.scan(request)),
            "BatchGetItem" => reply(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => reply(body, |request| db.batch_write_item(request)),
            "TransactGetItems" => reply(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => reply(body, |request| db.transact_write_items(request)),
            "CreateTable" => reply(body, |request| db.create_table(request)),
            "DescribeTable" => reply(body, |request| db.describe_table(request)),
            "UpdateTable" => reply(body, |request| db.update_table(request)),
            "ListTables" => reply(body, |request| db.list_tables(request)),
            "DeleteTable" => reply(body, |request| db.delete_table(request)),
            "UpdateTimeToLive" => reply(body, |request| db.update_time_to_live(request)),
            "DescribeTimeToLive" => reply(body, |request| db.describe_time_to_live(request)),
            _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
        }
    }

    fn put_item(&self, request: PutItemRequest) -> Result<PutItemResponse, DynoxideError> {
        match &self.watched {
            Some((table, on_insert)) if *table == request.table_name => {
                self.put_watched(request, on_insert.as_ref())
            }
            _ => self.database.put_item(request),
        }
    }

    /// Asks for the old item, whether the caller did or not: none means that this was an insert.
    fn put_watched(
        &self,
        mut request: PutItemRequest,
        on_insert: &(dyn Fn(Insert) + Send + Sync),
    ) -> Result<PutItemResponse, DynoxideError> {
        let table = request.table_name.clone();
        let image = serde_json::to_value(&request.item).map_err(|error| unwritable(&error))?;
        let unasked = matches!(request.return_values.as_deref(), None | Some("NONE"));
        if unasked {
            request.return_values = Some("ALL_OLD".to_owned());
        }
        let mut response = self.database.put_item(request)?;
        if response.attributes.is_none() {
            on_insert(Insert { table, image });
        }
        if unasked {
            response.attributes = None;
        }
        Ok(response)
    }
}

/// Reads a request, makes the call, writes the response.
fn reply<Q, A>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Vec<u8>, DynoxideError>
where
    Q: DeserializeOwned,
    A: Serialize,
{
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    serde_json::to_vec(&call(request)?).map_err(|error| unwritable(&error))
}

/// The database's request types say in front of the reason which exception it is; serde adds
/// where in the body it happened, which AWS does not.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let reason = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(head, _)| head);
    match reason.split_once(':') {
        Some(("VALIDATION" | "VALIDATION_AS_READ", reason)) => {
            DynoxideError::ValidationException(reason.to_owned())
        }
        Some(("VALIDATION_REQUEST", reason)) => {
            DynoxideError::EnvelopedValidation(reason.to_owned())
        }
        Some(("SERIALIZATION" | "SERIALIZATION_AS_READ", reason)) => {
            DynoxideError::SerializationException(reason.to_owned())
        }
        _ if reason.starts_with("missing field") || reason.starts_with("unknown variant") => {
            DynoxideError::ValidationException(reason.to_owned())
        }
        _ => DynoxideError::SerializationException(reason.to_owned()),
    }
}

fn unwritable(error: &serde_json::Error) -> DynoxideError {
    DynoxideError::InternalServerError(error.to_string())
}

/// An error as DynamoDB sends it.
fn refusal(operation: &str, error: DynoxideError) -> Response<Bytes> {
    let error = match error {
        DynoxideError::UnsupportedCapability(_) => return unknown_operation(),
        DynoxideError::EnvelopedValidation(reason) => enveloped(operation, reason),
        error => error,
    };
    let status = StatusCode::from_u16(error.status_code());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    service::json(status, MEDIA_TYPE, error.to_json())
}

fn enveloped(operation: &str, reason: String) -> DynoxideError {
    let writes_one = matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
    DynoxideError::ValidationException(if writes_one {
        format!("1 validation error detected: {reason}")
    } else {
        reason
    })
}

fn unknown_operation() -> Response<Bytes> {
    let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
    service::json(StatusCode::BAD_REQUEST, MEDIA_TYPE, body)
}

/// The answer to a call whose thread ended before it.
fn lost(error: &tokio::task::JoinError) -> Response<Bytes> {
    let error = DynoxideError::InternalServerError(format!("the call did not finish: {error}"));
    refusal("", error)
}

fn cannot_open(path: &str, error: &DynoxideError) -> OpenError {
    OpenError {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
        let client = clients::dynamodb(DynamoDb::in_memory().unwrap().service().http_client());
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
        let client = clients::dynamodb(dynamodb.service().http_client());
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
            Insert {
                table: TABLE.to_owned(),
                image
            }
        );
    }

    #[tokio::test]
    async fn the_old_item_is_returned_only_to_who_asks() {
        let dynamodb = DynamoDb::in_memory().unwrap().on_insert(TABLE, |_| {});
        let client = clients::dynamodb(dynamodb.service().http_client());
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
            let client = clients::dynamodb(dynamodb.service().http_client());
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
}
