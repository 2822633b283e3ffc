//! The account's encryption key: kept and answered, and nothing more.
//!
//! What encrypts the engine's data is the encryption of its tables and its bucket, which is set
//! where they are made.

use serde::{Deserialize, Serialize};

use super::Empty;
use crate::engine::Engine;
use crate::store::{Key, Record};
use protocol::{Error, Result};

/// The ARN that stands for the key that AWS owns.
const DEFAULT: &str = "DEFAULT";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KmsKey {
    kms_encryption_key_arn: String,
}

impl Record for KmsKey {
    fn key(&self) -> Key {
        key()
    }
}

fn key() -> Key {
    Key::new("kms-key", "kms-key")
}

/// Replaces the key; `DEFAULT` takes it back.
pub(crate) async fn put(engine: &Engine, input: KmsKey) -> Result<Empty> {
    let mut change = engine.change().await?;
    if input.kms_encryption_key_arn == DEFAULT {
        change.delete(key());
    } else {
        check_region(engine, &input.kms_encryption_key_arn)?;
        change.put(&input)?;
    }
    engine.commit(change).await.map(|()| Empty {})
}

/// A key of another region could not be used.
fn check_region(engine: &Engine, arn: &str) -> Result<()> {
    let region = &engine.options.region;
    if arn.split(':').nth(3) == Some(region) {
        return Ok(());
    }
    Err(Error::validation(format!(
        "The key must be in region {region}."
    )))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    kms_key: KmsKey,
}

/// The key, if one was put.
pub(crate) async fn get(engine: &Engine, _: GetInput) -> Result<Output> {
    let kms_key: Option<KmsKey> = engine.definitions.get(&key()).await?;
    let kms_key = kms_key.ok_or_else(|| Error::not_found("No encryption key has been put."))?;
    Ok(Output { kms_key })
}

/// The input of `GetKMSEncryptionKey`: it has no member.
#[derive(Debug, Deserialize)]
pub(crate) struct GetInput {}
