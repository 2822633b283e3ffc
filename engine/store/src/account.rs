//! The tables of one account, used by every operation.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use protocol::Result;
use tokio::sync::Mutex;

use crate::change::Change;
use crate::options::EngineOptions;
use crate::schema;
use crate::table::Table;

/// One account: its options, its two tables, its clock, and the lock for changes of definitions.
#[derive(Debug)]
pub struct Account {
    /// How the engine is set up.
    pub options: EngineOptions,
    /// The table of definitions.
    pub definitions: Table,
    /// The table of events, predictions, entity histories, job states and counters.
    pub events: Table,
    /// Changes of definitions in this process take turns, so a write conflict can only come from another process.
    write_lock: Mutex<()>,
    /// How many changes this process has tried to commit.
    change_count: AtomicU64,
}

impl Account {
    /// The account with the tables that `client` reaches. Nothing is read yet.
    pub fn new(options: EngineOptions, client: Client) -> Self {
        Self {
            definitions: Table {
                client: client.clone(),
                name: options.definitions_table.clone(),
            },
            events: Table {
                client,
                name: options.events_table.clone(),
            },
            write_lock: Mutex::new(()),
            change_count: AtomicU64::new(0),
            options,
        }
    }

    /// Creates the tables. A table that exists is not changed.
    ///
    /// # Errors
    /// DynamoDB refuses to create a table.
    pub async fn create_tables(&self) -> Result<()> {
        let EngineOptions {
            definitions_table,
            events_table,
            ..
        } = &self.options;
        for table in schema::define_tables(definitions_table, events_table) {
            schema::create_table(&self.definitions.client, &table).await?;
        }
        Ok(())
    }

    /// The current time, from the clock of the options.
    pub fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// The ARN of a resource, e.g. of the kind `label` and the path `fraud`.
    pub fn arn(&self, kind: &str, path: &str) -> String {
        let EngineOptions {
            region, account, ..
        } = &self.options;
        format!("arn:aws:frauddetector:{region}:{account}:{kind}/{path}")
    }

    /// When an item that is stored now expires, in seconds since 1970; `None` if it is kept until it is deleted.
    pub fn new_expiry(&self) -> Option<i64> {
        let days = self.options.retention_days?;
        Some(self.now().as_second() + i64::from(days) * 86_400)
    }

    /// Whether an item with this expiry is still valid. DynamoDB takes up to two days to delete an expired item.
    pub fn is_unexpired(&self, expires_at: Option<i64>) -> bool {
        expires_at.is_none_or(|time| time > self.now().as_second())
    }

    /// Starts a change of the definitions.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn begin_change(&self) -> Result<Change<'_>> {
        Change::begin(&self.definitions, self.write_lock.lock().await).await
    }

    /// Commits a change. Caches of this process see it at once, see [`Account::change_count`].
    ///
    /// # Errors
    /// [`protocol::Error::write_conflict`] if the definitions were changed meanwhile, or the error of the table.
    pub async fn commit_change(&self, change: Change<'_>) -> Result<()> {
        let result = change.commit().await;
        self.change_count.fetch_add(1, Ordering::AcqRel);
        result
    }

    /// How many changes this process has tried to commit. A cache that was filled at a lower number reads the table
    /// again.
    pub fn change_count(&self) -> u64 {
        self.change_count.load(Ordering::Acquire)
    }
}
