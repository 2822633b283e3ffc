//! The account's encryption key: it is stored and returned, but not used.
//!
//! The engine's data is encrypted by the settings of its tables and its bucket, where those are created.

use crate::operations::Empty;
use crate::services::Services;
use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use store::records::kms_key::{DEFAULT_KEY, KmsKey, kms_key_key};

/// Sets the key; `DEFAULT` removes it.
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

/// Rejects a key of another region, because it could not be used.
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

/// The key, if one was set.
pub(crate) async fn get(services: &Services, _: GetInput) -> Result<Output> {
    let kms_key: Option<KmsKey> = services.account.definitions.get(&kms_key_key()).await?;
    let kms_key = kms_key.ok_or_else(|| Error::not_found("No encryption key has been put."))?;
    Ok(Output { kms_key })
}

/// The input of `GetKMSEncryptionKey`, which has no members.
#[derive(Debug, Deserialize)]
pub(crate) struct GetInput {}
