//! Objects of the bucket that hold records: their prefixes, and how they are listed and read.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use event::Timestamp;
use shared::failure::error_code;

/// Records that were rejected and later replayed.
pub const REPLAYED: &str = "replayed/";

/// On-failure objects: batches that Lambda gave up on before a function was done with them.
pub const ON_FAILURE: &str = "aws/lambda/";

/// An object of the bucket.
pub(crate) struct ListedObject {
    /// Its key.
    pub(crate) key: String,
    /// When it was written last.
    pub(crate) written: Option<Timestamp>,
}

/// Lists all objects under `prefix`.
///
/// # Errors
/// AWS's error code.
pub(crate) async fn list_objects(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<ListedObject>, String> {
    let list = client.list_objects_v2().bucket(bucket).prefix(prefix);
    let mut pages = list.into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| error_code(&error))?;
        let objects = page.contents().iter().filter_map(|object| {
            let written = object.last_modified();
            let written = written.and_then(|at| jiff::Timestamp::from_second(at.secs()).ok());
            Some(ListedObject {
                key: object.key()?.to_owned(),
                written: written.and_then(|at| Timestamp::from_jiff(at).ok()),
            })
        });
        all.extend(objects);
    }
    Ok(all)
}

/// Lists the keys of all objects under `prefix`.
///
/// # Errors
/// AWS's error code.
pub(crate) async fn list_keys(
    client: &Client,
    bucket: &str,
    prefix: &str,
) -> Result<Vec<String>, String> {
    let all = list_objects(client, bucket, prefix).await?;
    Ok(all.into_iter().map(|object| object.key).collect())
}

/// Reads an object's bytes; `None` if there is no such object.
///
/// # Errors
/// AWS's error code, or why the body cannot be read.
pub(crate) async fn read_object(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, String> {
    let object = match client.get_object().bucket(bucket).key(key).send().await {
        Ok(object) => object,
        Err(error)
            if error
                .as_service_error()
                .is_some_and(GetObjectError::is_no_such_key) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error_code(&error)),
    };
    let body = object.body.collect().await;
    let body = body.map_err(|error| error.to_string())?;
    Ok(Some(body.to_vec()))
}
