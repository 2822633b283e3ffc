//! Large immutable values: gzipped JSON, split over several items of at most 350 KB.

use std::io::{Read, Write as _};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use protocol::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::table::{Item, Key, Table};

/// The size of a chunk in bytes. DynamoDB allows 400 KB per item, names and keys included.
const CHUNK_BYTES: usize = 350 * 1024;
/// The largest uncompressed value in bytes. Nothing that the engine writes is larger.
const MAX_EXPANDED_BYTES: u64 = 256 * 1024 * 1024;

impl Table {
    /// Writes a value under `name` and returns the number of its chunks.
    ///
    /// Each chunk has its own partition, because a large list would exceed the throughput of one.
    pub async fn put_chunks(&self, name: &str, value: &impl Serialize) -> Result<usize> {
        let bytes = compress_json(value)?;
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let mut item = make_chunk_key(name, index).attributes();
            item.insert("bytes".to_owned(), AttributeValue::B(Blob::new(*chunk)));
            self.put(item).await?;
        }
        Ok(chunks.len())
    }

    /// Reads a value of `count` chunks; `None` if one of them is missing.
    pub async fn get_chunks<T: DeserializeOwned>(
        &self,
        name: &str,
        count: usize,
    ) -> Result<Option<T>> {
        let mut bytes = Vec::new();
        for index in 0..count {
            match self
                .get_item(&make_chunk_key(name, index))
                .await?
                .and_then(take_chunk_content)
            {
                Some(chunk) => bytes.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
        expand_json(&bytes).map(Some)
    }

    /// Deletes a value of `count` chunks.
    pub async fn delete_chunks(&self, name: &str, count: usize) -> Result<()> {
        for index in 0..count {
            self.delete(&make_chunk_key(name, index)).await?;
        }
        Ok(())
    }
}

fn make_chunk_key(name: &str, index: usize) -> Key {
    Key::new(format!("chunk#{name}#{index}"), "chunk")
}

fn take_chunk_content(mut item: Item) -> Option<Vec<u8>> {
    match item.remove("bytes")? {
        AttributeValue::B(blob) => Some(blob.into_inner()),
        _ => None,
    }
}

/// Writes a value as gzipped JSON.
pub fn compress_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value).map_err(Error::internal)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(&json)
        .and_then(|()| encoder.finish())
        .map_err(Error::internal)
}

fn expand_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = Vec::new();
    GzDecoder::new(bytes)
        .take(MAX_EXPANDED_BYTES)
        .read_to_end(&mut json)
        .map_err(Error::internal)?;
    // Serde's message could quote an element of a list.
    serde_json::from_slice(&json)
        .map_err(|error| Error::internal(format!("unreadable chunk: {:?}", error.classify())))
}
