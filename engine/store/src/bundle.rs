//! Immutable values named by their content.
//!
//! A definition is changed by writing a new bundle and then pointing at it. A prediction keeps the names of its
//! bundles, so its rules can be shown as they were for as long as the prediction is kept.

use event::hash::to_hex;
use protocol::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::table::Table;

/// A reference to a bundle: the hash of its content, and the number of its chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BundleReference {
    /// SHA-256 of its JSON, in hexadecimal digits.
    pub hash: String,
    /// The number of its chunks.
    pub chunks: usize,
}

/// Writes a bundle. The same content gives the same item, so it is safe to write it twice.
pub async fn save_bundle(table: &Table, bundle: &impl Serialize) -> Result<BundleReference> {
    let json = serde_json::to_vec(bundle).map_err(Error::internal)?;
    let hash = to_hex(&Sha256::digest(&json));
    let chunks = table.put_chunks(&name_bundle(&hash), bundle).await?;
    Ok(BundleReference { hash, chunks })
}

/// Reads a bundle.
pub async fn load_bundle<B: DeserializeOwned>(
    table: &Table,
    reference: &BundleReference,
) -> Result<B> {
    let bundle = table
        .get_chunks(&name_bundle(&reference.hash), reference.chunks)
        .await?;
    bundle.ok_or_else(|| Error::internal("a bundle is gone"))
}

fn name_bundle(hash: &str) -> String {
    format!("bundle#{hash}")
}
