//! The KMS key of an account.

use serde::{Deserialize, Serialize};

use crate::table::{Key, StoredRecord};

/// The value that means the key owned by AWS.
pub const DEFAULT_KEY: &str = "DEFAULT";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KmsKey {
    pub kms_encryption_key_arn: String,
}

impl StoredRecord for KmsKey {
    fn key(&self) -> Key {
        kms_key_key()
    }
}

pub fn kms_key_key() -> Key {
    Key::new("kms-key", "kms-key")
}
