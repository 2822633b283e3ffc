//! The input of a job: an object in S3, read in ranges.

use std::io::{self, Read};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use bytes::{Buf as _, Bytes};
use protocol::s3_location::S3Location;
use protocol::{Error, Result};
use tokio::runtime::Handle;

use crate::work::JobStopReason;

/// The size of a range in bytes, which is about what a job holds of its input in memory.
const RANGE_BYTES: u64 = 8 * 1024 * 1024;

/// The most files that a folder may have.
const MOST_FILES: usize = 10_000;

/// Converts an error of S3 to the result for the job: fail, or retry later.
pub(super) fn convert_s3_error<E>(
    what: &str,
    location: &S3Location,
    error: SdkError<E>,
) -> JobStopReason
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = error.code().unwrap_or("no answer").to_owned();
    match status {
        // For other errors of a request S3 would give the same answer again.
        Some(400..=499) if !matches!(status, Some(408 | 429)) => {
            // The answer to a HEAD request has no body with a code.
            let code = match status {
                Some(404) if error.code().is_none() => "NoSuchKey".to_owned(),
                _ => code,
            };
            JobStopReason::Failed(format!("Cannot {what} {}: {code}.", location.to_uri()))
        }
        _ => {
            tracing::error!(code, "S3 refused a call");
            JobStopReason::Error(Error::internal(error))
        }
    }
}

async fn request_head(
    client: &Client,
    location: &S3Location,
) -> Result<HeadObjectOutput, SdkError<HeadObjectError>> {
    let request = client.head_object();
    let request = request.bucket(&location.bucket).key(&location.key);
    request.send().await
}

fn check_length(length: u64, largest: u64) -> Result<(), JobStopReason> {
    if length <= largest {
        return Ok(());
    }
    Err(JobStopReason::Failed(format!(
        "The input has {length} bytes, a job takes at most {largest}."
    )))
}

/// An object in its current version.
#[derive(Clone, Debug)]
pub(crate) struct S3Source {
    client: Client,
    pub(super) location: S3Location,
    length: u64,
    /// How many bytes it may have, also when it is unpacked.
    pub(super) largest: u64,
    /// Its `ETag`.
    pub(super) tag: Option<String>,
}

impl S3Source {
    /// Opens the object; one of more than `largest` bytes is rejected.
    pub(crate) async fn open(
        client: &Client,
        path: &str,
        largest: u64,
    ) -> Result<Self, JobStopReason> {
        let location = S3Location::parse_object("inputPath", path)?;
        let head = request_head(client, &location).await;
        let head = head.map_err(|error| convert_s3_error("read", &location, error))?;
        let length = head.content_length;
        let source = Self::of_object(client, location, length, head.e_tag, largest);
        check_length(source.length, largest)?;
        Ok(source)
    }

    /// Opens the object at `path`, or if there is none, every object below it as a folder, in the order of their keys.
    /// More than `largest` bytes altogether are rejected.
    pub(crate) async fn open_all(
        client: &Client,
        path: &str,
        largest: u64,
    ) -> Result<Vec<Self>, JobStopReason> {
        let location = S3Location::parse_folder("dataLocation", path)?;
        let mut sources = Vec::new();
        if location.names_object() {
            match request_head(client, &location).await {
                Ok(head) => {
                    let (location, length) = (location.clone(), head.content_length);
                    let tag = head.e_tag;
                    sources.push(Self::of_object(client, location, length, tag, largest));
                }
                // The answer to a HEAD request has no body with a code.
                Err(error)
                    if error
                        .raw_response()
                        .is_some_and(|response| response.status().as_u16() == 404) => {}
                Err(error) => return Err(convert_s3_error("read", &location, error)),
            }
        }
        if sources.is_empty() {
            sources = Self::list_folder(client, &location, largest).await?;
        }
        if sources.is_empty() {
            return Err(JobStopReason::Failed(format!(
                "Cannot read {}: NoSuchKey. No folder of this name has files either.",
                location.to_uri()
            )));
        }
        check_length(sources.iter().map(|source| source.length).sum(), largest)?;
        Ok(sources)
    }

    /// The files below a location. Objects without content are left out, and those that Spark and its relatives write
    /// about the folder: their names begin with `_` or `.`.
    async fn list_folder(
        client: &Client,
        folder: &S3Location,
        largest: u64,
    ) -> Result<Vec<Self>, JobStopReason> {
        let mut sources = Vec::new();
        let prefix = folder.object_in_folder("").key;
        let request = client.list_objects_v2().bucket(&folder.bucket);
        let mut pages = request.prefix(&prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| convert_s3_error("list", folder, error))?;
            for object in page.contents.unwrap_or_default() {
                let key = object.key.unwrap_or_default();
                let name = key.rsplit('/').next().unwrap_or_default();
                if object.size == Some(0) || name.starts_with(['_', '.']) {
                    continue;
                }
                if sources.len() == MOST_FILES {
                    return Err(JobStopReason::Failed(format!(
                        "{} has more than {MOST_FILES} files.",
                        folder.to_uri()
                    )));
                }
                let bucket = folder.bucket.clone();
                let location = S3Location { bucket, key };
                let (length, tag) = (object.size, object.e_tag);
                sources.push(Self::of_object(client, location, length, tag, largest));
            }
        }
        Ok(sources)
    }

    fn of_object(
        client: &Client,
        location: S3Location,
        length: Option<i64>,
        tag: Option<String>,
        largest: u64,
    ) -> Self {
        let length = length.and_then(|length| u64::try_from(length).ok());
        Self {
            client: client.clone(),
            location,
            length: length.unwrap_or_default(),
            largest,
            tag,
        }
    }

    /// A reader of the bytes from `start`, for a thread that may block.
    pub(crate) fn read_from(&self, start: u64) -> RangeReader {
        RangeReader {
            source: self.clone(),
            runtime: Handle::current(),
            next: start,
            left: Bytes::new(),
        }
    }

    async fn fetch_range(&self, start: u64) -> Result<Bytes, JobStopReason> {
        let end = (start + RANGE_BYTES).min(self.length) - 1;
        let location = &self.location;
        let request = self.client.get_object();
        let request = request.bucket(&location.bucket).key(&location.key);
        let request = request
            .range(format!("bytes={start}-{end}"))
            .set_if_match(self.tag.clone());
        let object = request.send().await;
        let object = object.map_err(|error| convert_s3_error("read", location, error))?;
        let body = object.body.collect().await;
        Ok(body.map_err(Error::internal)?.into_bytes())
    }
}

/// A [`Read`] over an object, which requests the next range when the current one is used up.
pub(crate) struct RangeReader {
    source: S3Source,
    runtime: Handle,
    next: u64,
    left: Bytes,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() && self.next < self.source.length {
            let range = self.runtime.block_on(self.source.fetch_range(self.next));
            self.left = range.map_err(|stop| io::Error::other(FailedRead(stop)))?;
            if self.left.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.next += self.left.len() as u64;
        }
        let length = buffer.len().min(self.left.len());
        self.left.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Transports the reason of a failed read through [`io::Error`].
#[derive(Debug)]
pub(super) struct FailedRead(pub(super) JobStopReason);

impl std::fmt::Display for FailedRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the input cannot be read")
    }
}

impl std::error::Error for FailedRead {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let show = |location: Result<S3Location>| match location {
            Ok(S3Location { bucket, key }) => format!("{bucket} {key}"),
            Err(error) => error.message().to_owned(),
        };
        let object = |path| show(S3Location::parse_object("inputPath", path));
        assert_eq!(object("s3://b/a/c.csv"), "b a/c.csv");
        let nothing = "'inputPath' has to name an object: s3://bucket/key.";
        for path in ["s3://b", "s3://b/", "s3://b/a/"] {
            assert_eq!(object(path), nothing);
        }
        assert_eq!(
            object("s3:///a"),
            "'inputPath' has to begin with s3:// and a bucket."
        );
        let within = |path| {
            let folder = S3Location::parse_folder("outputPath", path).unwrap();
            folder.object_in_folder("x.csv").to_uri()
        };
        assert_eq!(within("s3://b"), "s3://b/x.csv");
        assert_eq!(within("s3://b/"), "s3://b/x.csv");
        assert_eq!(within("s3://b/a"), "s3://b/a/x.csv");
        assert_eq!(within("s3://b/a/"), "s3://b/a/x.csv");
    }
}
