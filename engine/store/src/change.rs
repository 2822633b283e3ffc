//! A change of the definitions: reads, then all writes or none.
//!
//! The table has one ledger item with a revision. A change reads it first, and its transaction is conditional on that
//! revision, so everything that was read in between is still true when the writes are applied. No update is
//! overwritten, no version number is given out twice, and no resource is deleted while another starts to use it. The
//! ledger also counts resources (for the quotas), and its revision tells a cache with one read whether anything has
//! changed.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use protocol::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;

use crate::table::{Item, Key, KeyRange, StoredRecord, Table, encode_record};

/// DynamoDB accepts 100 actions in a transaction; one is the ledger.
const WRITES_AT_ONCE: usize = 99;

/// The revision of the definitions and how many of each kind there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DefinitionsLedger {
    /// Grows by one with every change.
    pub revision: u64,
    /// How many resources there are of each kind.
    pub counts: BTreeMap<String, i64>,
}

impl StoredRecord for DefinitionsLedger {
    fn key(&self) -> Key {
        Self::key()
    }
}

impl DefinitionsLedger {
    /// The key of the ledger.
    pub fn key() -> Key {
        Key::new("ledger", "ledger")
    }
}

enum PendingWrite {
    Put(Item),
    Delete(Key),
}

/// One change of the definitions, from its first read to its commit.
pub struct Change<'a> {
    table: &'a Table,
    ledger: DefinitionsLedger,
    writes: Vec<PendingWrite>,
    /// Writers of one process take turns, so a write conflict can only come from another process.
    _write_lock: MutexGuard<'a, ()>,
}

impl<'a> Change<'a> {
    /// Starts a change: reads the ledger.
    pub async fn begin(table: &'a Table, write_lock: MutexGuard<'a, ()>) -> Result<Self> {
        let ledger = table
            .get(&DefinitionsLedger::key())
            .await?
            .unwrap_or_default();
        Ok(Self {
            table,
            ledger,
            writes: Vec::new(),
            _write_lock: write_lock,
        })
    }

    /// Reads one record.
    pub async fn get<R: DeserializeOwned>(&self, key: &Key) -> Result<Option<R>> {
        self.table.get(key).await
    }

    /// Reads one item with its raw attributes.
    pub async fn get_item(&self, key: &Key) -> Result<Option<Item>> {
        self.table.get_item(key).await
    }

    /// Reads many records, each once, in any order.
    pub async fn get_many<R: DeserializeOwned>(&self, keys: &[Key]) -> Result<Vec<R>> {
        self.table.get_many(keys).await
    }

    /// Reads the records of a range.
    pub async fn query<R: DeserializeOwned>(&self, range: KeyRange<'_>) -> Result<Vec<R>> {
        self.table.query(range).await
    }

    /// Whether the partition has an item whose sort key begins with this prefix.
    pub async fn has_any(&self, pk: &str, prefix: &str) -> Result<bool> {
        let range = KeyRange::all(pk).prefix(prefix).limit(1);
        Ok(!self.table.query_items(range).await?.is_empty())
    }

    /// Writes a record when the change is committed.
    pub fn put<R: StoredRecord>(&mut self, record: &R) -> Result<()> {
        self.writes.push(PendingWrite::Put(encode_record(record)?));
        Ok(())
    }

    /// Writes an item when the change is committed.
    pub fn put_item(&mut self, item: Item) {
        self.writes.push(PendingWrite::Put(item));
    }

    /// Deletes an item when the change is committed.
    pub fn delete(&mut self, key: Key) {
        self.writes.push(PendingWrite::Delete(key));
    }

    /// Adds `more` resources of a kind to its count, and checks the quota.
    pub fn count_resources(&mut self, kind: &str, more: i64, quota: usize) -> Result<()> {
        let count = self.ledger.counts.entry(kind.to_owned()).or_default();
        let room = i64::try_from(quota)
            .unwrap_or(i64::MAX)
            .saturating_sub(*count);
        if more > room {
            let message = format!("The account may have at most {quota} resources of kind {kind}.");
            return Err(Error::validation(message));
        }
        *count = count.saturating_add(more).max(0);
        Ok(())
    }

    /// Writes everything, or fails with [`Error::write_conflict`] if the definitions changed meanwhile.
    ///
    /// More writes than fit into one transaction are written in several, in order. The caller puts last the writes that
    /// make the change visible, so that a commit that stops in between can be repeated.
    pub async fn commit(mut self) -> Result<()> {
        let writes = std::mem::take(&mut self.writes);
        let mut rest = writes.into_iter();
        loop {
            let piece: Vec<PendingWrite> = rest.by_ref().take(WRITES_AT_ONCE).collect();
            if piece.is_empty() {
                return Ok(());
            }
            self.write_transaction(piece).await?;
        }
    }

    async fn write_transaction(&mut self, writes: Vec<PendingWrite>) -> Result<()> {
        let before = self.ledger.revision;
        self.ledger.revision += 1;
        let ledger = self
            .table
            .conditional_put(encode_record(&self.ledger)?, before)?;
        let mut actions = vec![TransactWriteItem::builder().put(ledger).build()];
        for write in writes {
            actions.push(self.build_action(write)?);
        }
        if self.table.write_transaction(actions).await? {
            Ok(())
        } else {
            Err(Error::write_conflict())
        }
    }

    fn build_action(&self, write: PendingWrite) -> Result<TransactWriteItem> {
        let action = TransactWriteItem::builder();
        let table = &self.table.name;
        match write {
            PendingWrite::Put(item) => {
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(item))
                    .build();
                Ok(action.put(put.map_err(Error::internal)?).build())
            }
            PendingWrite::Delete(key) => {
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(key.attributes()))
                    .build();
                Ok(action.delete(delete.map_err(Error::internal)?).build())
            }
        }
    }
}
