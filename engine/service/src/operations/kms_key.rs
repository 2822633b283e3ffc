//! The account's encryption key: kept and answered, and nothing more.
//!
//! What encrypts the engine's data is the encryption of its tables and its bucket, which is set
//! where they are made.

use crate::operations::Empty;
use crate::services::Services;
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use store::records::kms_key::{DEFAULT_KEY, KmsKey, kms_key_key};

/// Replaces the key; `DEFAULT` takes it back.
pub(crate) async fn put(services: &Services, input: KmsKey) -> Result<Empty> {
    let mut change = services.account.change().await?;
    if input.kms_encryption_key_arn == DEFAULT_KEY {
        change.delete(kms_key_key());
    } else {
        check_region(services, &input.kms_encryption_key_arn)?;
        change.put(&input)?;
    }
    services.account.commit(change).await.map(|()| Empty {})
}

/// A key of another region could not be used.
fn check_region(services: &Services, arn: &str) -> Result<()> {
    let region = &services.account.options.region;
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
pub(crate) async fn get(services: &Services, _: GetInput) -> Result<Output> {
    let kms_key: Option<KmsKey> = services.account.definitions.get(&kms_key_key()).await?;
    let kms_key = kms_key.ok_or_else(|| Error::not_found("No encryption key has been put."))?;
    Ok(Output { kms_key })
}

/// The input of `GetKMSEncryptionKey`: it has no member.
#[derive(Debug, Deserialize)]
pub(crate) struct GetInput {}
