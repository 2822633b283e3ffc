//! DynamoDB in this process: an embedded one on `SQLite`, behind [`Service`].
//!
//! It is strongly consistent everywhere, never throttles and deletes nothing when its time to live
//! is over; tests that need such things put a fault of the module `fault` in between.

mod inserts;
#[cfg(test)]
mod tests;
mod wire;

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dynoxide::actions::batch_execute_statement::{
    BatchExecuteStatementRequest, BatchExecuteStatementResponse, BatchStatementRequest,
};
use dynoxide::actions::put_item::{PutItemRequest, PutItemResponse};
use dynoxide::actions::transact_write_items::{
    TransactWriteItemsRequest, TransactWriteItemsResponse,
};
use dynoxide::{Database, DynoxideError};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::service::{self, Service};

use wire::{MEDIA_TYPE, answer_call, error_response, lost_call_response, response_error};

pub use inserts::read_inserted_item;

/// Which failures the data survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The process may be killed at any time and loses nothing. If the machine loses power, recent
    /// writes may be lost and the file may be damaged.
    #[default]
    Kill,
    /// The machine may lose power, too: the file stays whole. About three times slower.
    PowerLoss,
    /// Nothing: the database is in memory and ends with the process.
    Nothing,
}

/// The database cannot be opened or compacted.
#[derive(Debug, Error)]
#[error("cannot open the database `{path}`: {reason}")]
pub struct OpenDatabaseError {
    path: String,
    reason: String,
}

/// An item that was not there before.
#[derive(Clone, Debug, PartialEq)]
pub struct InsertedItem {
    /// The table that it was put into.
    pub table: String,
    /// The item as DynamoDB's JSON, `{"pk":{"S":"..."}}`: the `NewImage` of a stream record.
    pub image: Value,
}

type OnInsert = Arc<dyn Fn(InsertedItem) + Send + Sync>;

/// DynamoDB in this process. Cloning it is cheap and gives the same database.
#[derive(Clone)]
pub struct DynamoDb {
    database: Database,
    watched: Option<(String, OnInsert)>,
}

/// Rewrites the database at `path`, so that no page of the file holds deleted data. No process may
/// have it open.
pub fn compact_database(path: &Path) -> Result<(), OpenDatabaseError> {
    let path = path.to_string_lossy();
    // Closing the last connection empties the write-ahead log.
    let compacted = Database::new(&path).and_then(|database| database.vacuum());
    compacted.map_err(|error| open_error(&path, &error))
}

impl DynamoDb {
    /// A database in memory, which ends with the process.
    pub fn in_memory() -> Result<Self, OpenDatabaseError> {
        let database = Database::memory().map_err(|error| open_error(":memory:", &error))?;
        Ok(Self::new(database))
    }

    /// The database in the file at `path`, which is created if it is missing.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, OpenDatabaseError> {
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
        let database = open().map_err(|error: DynoxideError| open_error(&path, &error))?;
        Ok(Self::new(database))
    }

    fn new(database: Database) -> Self {
        Self {
            database,
            watched: None,
        }
    }

    /// Calls `on_insert` with every item that a `PutItem`, an `INSERT` of a `BatchExecuteStatement`, or a conditional `Put`
    /// of a `TransactWriteItems` inserts into `table`, once it is stored.
    ///
    /// On AWS, a stream with `INSERT` records does this; a stream of the embedded database makes
    /// each put slower than the one before. `on_insert` is called even if the caller of the put no
    /// longer waits, and has to be quick: it runs on the thread of the put.
    #[must_use]
    pub fn on_insert(
        mut self,
        table: impl Into<String>,
        on_insert: impl Fn(InsertedItem) + Send + Sync + 'static,
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
                call.await
                    .unwrap_or_else(|error| lost_call_response(&error))
            }
        })
    }

    /// Answers one request, and blocks this thread until it is done.
    pub fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let operation = service::operation_name(request);
        match self.run_operation(operation, request.body()) {
            Ok(body) => service::json_response(StatusCode::OK, MEDIA_TYPE, body),
            Err(error) => error_response(operation, error),
        }
    }

    /// The operations that fraudstream and its engine use, and those that make a table usable from
    /// the AWS CLI.
    fn run_operation(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, DynoxideError> {
        let db = &self.database;
        match operation {
            "PutItem" => answer_call(body, |request| self.put_item(request)),
            "GetItem" => answer_call(body, |request| db.get_item(request)),
            "UpdateItem" => answer_call(body, |request| db.update_item(request)),
            "DeleteItem" => answer_call(body, |request| db.delete_item(request)),
            "Query" => answer_call(body, |request| db.query(request)),
            "Scan" => answer_call(body, |request| db.scan(request)),
            "BatchGetItem" => answer_call(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => answer_call(body, |request| db.batch_write_item(request)),
            "BatchExecuteStatement" => {
                answer_call(body, |request| self.batch_execute_statement(request))
            }
            "TransactGetItems" => answer_call(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => answer_call(body, |request| self.transact_write_items(request)),
            "CreateTable" => answer_call(body, |request| db.create_table(request)),
            "DescribeTable" => answer_call(body, |request| db.describe_table(request)),
            "UpdateTable" => answer_call(body, |request| db.update_table(request)),
            "ListTables" => answer_call(body, |request| db.list_tables(request)),
            "DeleteTable" => answer_call(body, |request| db.delete_table(request)),
            "UpdateTimeToLive" => answer_call(body, |request| db.update_time_to_live(request)),
            "DescribeTimeToLive" => answer_call(body, |request| db.describe_time_to_live(request)),
            _ => Err(DynoxideError::UnsupportedCapability(operation.to_owned())),
        }
    }

    fn put_item(&self, request: PutItemRequest) -> Result<PutItemResponse, DynoxideError> {
        match &self.watched {
            Some((table, on_insert)) if *table == request.table_name => {
                self.put_and_report_insert(request, on_insert.as_ref())
            }
            _ => self.database.put_item(request),
        }
    }

    fn batch_execute_statement(
        &self,
        request: BatchExecuteStatementRequest,
    ) -> Result<BatchExecuteStatementResponse, DynoxideError> {
        let Some((table, on_insert)) = &self.watched else {
            return self.database.batch_execute_statement(request);
        };
        let image = |statement: &BatchStatementRequest| {
            let parameters = statement.parameters.iter().flatten();
            let parameters: Vec<Value> = parameters
                .map(serde_json::to_value)
                .collect::<Result<_, _>>()
                .map_err(|error| response_error(&error))?;
            read_inserted_item(&statement.statement, &parameters, table)
                .map_err(DynoxideError::ValidationException)
        };
        let images: Vec<_> = request
            .statements
            .iter()
            .map(image)
            .collect::<Result<_, _>>()?;
        let response = self.database.batch_execute_statement(request)?;
        for (image, answer) in images.into_iter().zip(&response.responses) {
            if let (Some(image), None) = (image, &answer.error) {
                on_insert(InsertedItem {
                    table: table.clone(),
                    image: Value::Object(image),
                });
            }
        }
        Ok(response)
    }

    /// A transaction does not give old items. A put with the condition that there is none was an insert.
    fn transact_write_items(
        &self,
        request: TransactWriteItemsRequest,
    ) -> Result<TransactWriteItemsResponse, DynoxideError> {
        let Some((table, on_insert)) = &self.watched else {
            return self.database.transact_write_items(request);
        };
        let puts = request.transact_items.iter();
        let puts = puts.filter_map(|item| item.put.as_ref());
        let inserts = puts.filter(|put| {
            let condition = put.condition_expression.as_deref();
            put.table_name == *table && condition == Some("attribute_not_exists(pk)")
        });
        let images: Vec<Value> = inserts
            .map(|put| serde_json::to_value(&put.item).map_err(|error| response_error(&error)))
            .collect::<Result<_, _>>()?;
        let response = self.database.transact_write_items(request)?;
        for image in images {
            on_insert(InsertedItem {
                table: table.clone(),
                image,
            });
        }
        Ok(response)
    }

    /// Always asks for the old item: if there is none, the put was an insert.
    fn put_and_report_insert(
        &self,
        mut request: PutItemRequest,
        on_insert: &(dyn Fn(InsertedItem) + Send + Sync),
    ) -> Result<PutItemResponse, DynoxideError> {
        let table = request.table_name.clone();
        let image = serde_json::to_value(&request.item).map_err(|error| response_error(&error))?;
        let unasked = matches!(request.return_values.as_deref(), None | Some("NONE"));
        if unasked {
            request.return_values = Some("ALL_OLD".to_owned());
        }
        let mut response = self.database.put_item(request)?;
        if response.attributes.is_none() {
            on_insert(InsertedItem { table, image });
        }
        if unasked {
            response.attributes = None;
        }
        Ok(response)
    }
}

fn open_error(path: &str, error: &DynoxideError) -> OpenDatabaseError {
    OpenDatabaseError {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
