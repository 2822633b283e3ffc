//! Locations in S3, as requests give them.

use crate::error::{Error, Result};

/// `s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// The key of an object, or the prefix of a folder.
    pub key: String,
}

impl S3Location {
    /// Reads the path of one object. The error names `member`.
    pub fn parse_object(member: &str, path: &str) -> Result<Self> {
        let location = Self::parse_folder(member, path)?;
        if !location.names_object() {
            return Err(Error::validation(format!(
                "'{member}' has to name an object: s3://bucket/key."
            )));
        }
        Ok(location)
    }

    /// Reads the path of a folder or of a whole bucket. The error names `member`.
    pub fn parse_folder(member: &str, path: &str) -> Result<Self> {
        let rest = path.strip_prefix("s3://").unwrap_or_default();
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::validation(format!(
                "'{member}' has to begin with s3:// and a bucket."
            )));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Whether it can be the location of an object, and not only of a folder or a bucket.
    pub fn names_object(&self) -> bool {
        !self.key.is_empty() && !self.key.ends_with('/')
    }

    /// The object `name` in this folder.
    #[must_use]
    pub fn object_in_folder(&self, name: &str) -> Self {
        let folder = self.key.trim_end_matches('/');
        let key = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        Self {
            bucket: self.bucket.clone(),
            key,
        }
    }

    /// The location as a path, e.g. `s3://bucket/key`.
    pub fn to_uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}
