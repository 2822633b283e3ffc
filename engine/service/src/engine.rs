//! The engine itself: its tables, its cache, its clock.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use protocol::Code;
use protocol::wire::{Reply, read_request, write_response};
use tokio::sync::Mutex;

use crate::announce::Bus;
use crate::cache::Cache;
use crate::operations::{self, NotedDay, Serve};
use crate::options::Options;
use crate::scorers::{Bucket, Scorers};
use crate::statistics::Statistics;
use crate::store::{self, Change, Table, TableDefinition};
use protocol::Result;

/// A fraud detector with the API of Amazon's. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: Options,
    pub(crate) definitions: Table,
    pub(crate) events: Table,
    pub(crate) sagemaker: Option<aws_sdk_sagemakerruntime::Client>,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) scorers: Scorers,
    pub(crate) cache: Cache,
    pub(crate) statistics: Statistics,
    pub(crate) noted_day: NotedDay,
    pub(crate) serve: Serve,
    pub(crate) bus: Option<Arc<Bus>>,
    turn: Mutex<()>,
}

impl Engine {
    /// An engine over the tables that `client` reaches. Nothing is read yet.
    pub fn new(options: Options, client: Client) -> Self {
        Self::serving(operations::all, options, client)
    }

    /// An engine inside a function: it serves `GetEventPrediction`, `SendEvent`, `GetEvent` and
    /// `UpdateEventLabel`, and the code of the other operations is not linked into the function.
    pub fn for_function(options: Options, client: Client) -> Self {
        Self::serving(operations::of_events, options, client)
    }

    fn serving(serve: Serve, options: Options, client: Client) -> Self {
        let definitions = Table {
            client: client.clone(),
            name: options.definitions_table.clone(),
        };
        let events = Table {
            client,
            name: options.events_table.clone(),
        };
        Self {
            definitions,
            events,
            sagemaker: None,
            bucket: None,
            scorers: Scorers::default(),
            cache: Cache::default(),
            statistics: Statistics::default(),
            noted_day: NotedDay::default(),
            serve,
            bus: None,
            turn: Mutex::new(()),
            options,
        }
    }

    /// The same engine with a way to ask external models; without one, a detector version that has
    /// any answers `ResourceUnavailableException`.
    #[must_use]
    pub fn with_sagemaker(self, client: aws_sdk_sagemakerruntime::Client) -> Self {
        Self {
            sagemaker: Some(client),
            ..self
        }
    }

    /// The same engine with the bucket in which its trained models are, under `models/`. Without
    /// one, a score is not there and a rule that needs it undetermined.
    #[must_use]
    pub fn with_bucket(self, client: aws_sdk_s3::Client, bucket: impl Into<String>) -> Self {
        let name = bucket.into();
        Self {
            bucket: Some(Bucket { client, name }),
            ..self
        }
    }

    /// The tables an engine with these options works on.
    pub fn table_definitions(options: &Options) -> Vec<TableDefinition> {
        store::definitions(&options.definitions_table, &options.events_table)
    }

    /// Creates the engine's tables; one that exists is left as it is.
    pub async fn create_tables(&self) -> Result<()> {
        for table in Self::table_definitions(&self.options) {
            store::create(&self.definitions.client, &table).await?;
        }
        Ok(())
    }

    /// Makes sure that what is cached is not older than [`Options::freshness`].
    ///
    /// A function calls it when an invocation starts: between invocations its environment is
    /// frozen and no timer runs. Without it the first request after that time pays for the check.
    pub async fn begin(&self) -> Result<()> {
        self.refresh().await
    }

    /// Writes what is counted in memory to the tables, and tells the event bus the rest. A function calls it when an invocation
    /// ends, because it may be its last.
    pub async fn flush(&self) -> Result<()> {
        let written = self.write_statistics().await;
        if let Some(bus) = &self.bus {
            bus.flush().await;
        }
        written
    }

    /// Answers one request. What is wrong with it, or with the engine, is in the response.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let result = self.answer(&request).await;
        if let Err(error) = &result
            && error.code() == Code::InternalServer
        {
            // Only what went wrong on our side, and no message: it may quote the request.
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(cause, "an operation failed");
        }
        write_response(result)
    }

    async fn answer(&self, request: &Request<Bytes>) -> Result<Reply> {
        let (operation, input) = read_request(request)?;
        operations::run(self, operation, &input).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// The ARN of a resource, e.g. of `label` and `fraud`.
    pub(crate) fn arn(&self, kind: &str, path: &str) -> String {
        let Options {
            region, account, ..
        } = &self.options;
        format!("arn:aws:frauddetector:{region}:{account}:{kind}/{path}")
    }

    /// Begins a change of the definitions.
    pub(crate) async fn change(&self) -> Result<Change<'_>> {
        Change::begin(&self.definitions, self.turn.lock().await).await
    }

    /// Ends a change; this process sees it at once.
    pub(crate) async fn commit(&self, change: Change<'_>) -> Result<()> {
        let result = change.commit().await;
        self.cache.forget();
        result
    }
}
