//! The account's encryption key: it is stored and returned, but not used.
//!
//! The engine's data is encrypted by the settings of its tables and its bucket, where those are created.

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};
use store::records::kms_key::{DEFAULT_KEY, KmsKey, kms_key_key};

use crate::operations::EmptyOutput;
use crate::services::EngineServices;

/// Sets the key; `DEFAULT` removes it.
pub(crate) async fn put_kms_encryption_key(
    services: &EngineServices,
    input: KmsKey,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    if input.kms_encryption_key_arn == DEFAULT_KEY {
        change.delete(kms_key_key());
    } else {
        check_key_region(services, &input.kms_encryption_key_arn)?;
        change.put(&input)?;
    }
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

/// Rejects a key of another region, because it could not be used.
fn check_key_region(services: &EngineServices, arn: &str) -> Result<()> {
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
pub(crate) struct GetKmsEncryptionKeyOutput {
    kms_key: KmsKey,
}

/// The key, if one was set.
pub(crate) async fn get_kms_encryption_key(
    services: &EngineServices,
    _: GetKmsEncryptionKeyInput,
) -> Result<GetKmsEncryptionKeyOutput> {
    let kms_key: Option<KmsKey> = services.account.definitions.get(&kms_key_key()).await?;
    let kms_key = kms_key.ok_or_else(|| Error::not_found("No encryption key has been put."))?;
    Ok(GetKmsEncryptionKeyOutput { kms_key })
}

/// The input of `GetKMSEncryptionKey`, which has no members.
#[derive(Debug, Deserialize)]
pub(crate) struct GetKmsEncryptionKeyInput {}
