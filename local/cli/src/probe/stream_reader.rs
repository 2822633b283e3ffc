//! Reads a stream of DynamoDB from now on, over all its shards.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};
use futures::future::join_all;
use shared::failure::{Failure, dependency_failure};

use super::outcomes::FailedCall;

/// How many shards are read at the same time.
const AT_ONCE: usize = 16;

/// A reader of a stream.
pub(super) struct StreamReader<'a> {
    client: &'a Client,
    arn: String,
    /// Where to go on, by shard.
    iterators: BTreeMap<String, String>,
    /// The shards that are read, or were.
    known: BTreeSet<String>,
}

/// The answer to one reading of a shard: its records, and where to go on unless the shard has ended.
type ShardPage = (Vec<Record>, Option<String>);

impl<'a> StreamReader<'a> {
    /// Begins at the end of the stream: only what is written after this is read.
    pub(super) async fn open(client: &'a Client, arn: &str) -> Result<Self, FailedCall> {
        let mut reader = Self {
            client,
            arn: arn.to_owned(),
            iterators: BTreeMap::new(),
            known: BTreeSet::new(),
        };
        reader.add_shards(&ShardIteratorType::Latest).await?;
        // Whether `LATEST` is the end at the time of the iterator or of its first use is not documented: after a first use
        // it does not matter.
        reader.read_records().await?;
        Ok(reader)
    }

    /// Reads each shard once. What cannot be read at the moment is read the next time.
    pub(super) async fn read_records(&mut self) -> Result<Vec<Record>, FailedCall> {
        let shards: Vec<(String, String)> = self.iterators.clone().into_iter().collect();
        let mut records = Vec::new();
        let mut has_ended = shards.is_empty();
        for some in shards.chunks(AT_ONCE) {
            let pages = join_all(some.iter().map(|(_, iterator)| self.read_shard(iterator))).await;
            for ((shard, _), page) in some.iter().zip(pages) {
                let Some((page, next)) = page? else { continue };
                records.extend(page);
                if let Some(next) = next {
                    self.iterators.insert(shard.clone(), next);
                } else {
                    self.iterators.remove(shard);
                    has_ended = true;
                }
            }
        }
        if has_ended {
            // What was written since is in the shards that follow, from their beginning.
            self.add_shards(&ShardIteratorType::TrimHorizon).await?;
        }
        Ok(records)
    }

    /// `None` if the shard cannot be read at the moment.
    async fn read_shard(&self, iterator: &str) -> Result<Option<ShardPage>, FailedCall> {
        let call = self.client.get_records().shard_iterator(iterator);
        match call.send().await {
            Ok(page) => Ok(Some((
                page.records.unwrap_or_default(),
                page.next_shard_iterator,
            ))),
            Err(error) => {
                let failure = dependency_failure("GetRecords", &error);
                let is_final = matches!(failure, Failure::Retry(retry) if retry.set_up);
                if is_final {
                    return Err(FailedCall::new("GetRecords", &error));
                }
                Ok(None)
            }
        }
    }

    /// Adds the shards that are not known yet, those that have ended only from their beginning.
    async fn add_shards(&mut self, from: &ShardIteratorType) -> Result<(), FailedCall> {
        for shard in self.list_shards().await? {
            let range = shard.sequence_number_range.as_ref();
            let has_ended = range.is_some_and(|range| range.ending_sequence_number.is_some());
            let Some(id) = shard.shard_id else { continue };
            if !self.known.insert(id.clone()) || (has_ended && *from == ShardIteratorType::Latest) {
                continue;
            }
            let call = self.client.get_shard_iterator();
            let call = call.stream_arn(&self.arn).shard_id(&id);
            let answer = call.shard_iterator_type(from.clone()).send().await;
            let answer = answer.map_err(|error| FailedCall::new("GetShardIterator", &error))?;
            if let Some(iterator) = answer.shard_iterator {
                self.iterators.insert(id, iterator);
            }
        }
        Ok(())
    }

    async fn list_shards(&self) -> Result<Vec<Shard>, FailedCall> {
        let mut shards = Vec::new();
        let mut after = None;
        loop {
            let call = self.client.describe_stream().stream_arn(&self.arn);
            let answer = call.set_exclusive_start_shard_id(after).send().await;
            let answer = answer.map_err(|error| FailedCall::new("DescribeStream", &error))?;
            let stream = answer.stream_description;
            let (page, last) = stream
                .map(|stream| (stream.shards, stream.last_evaluated_shard_id))
                .unwrap_or_default();
            shards.extend(page.unwrap_or_default());
            if last.is_none() {
                return Ok(shards);
            }
            after = last;
        }
    }
}
