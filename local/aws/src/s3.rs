//! S3 in this process: a folder, in which each bucket is a folder and each object a file.
//!
//! S3 allows keys that are no paths, such as `a` beside `a/b`, and `a/`: `file_names` says what
//! their files are called. A key may have about 150 characters, because the library names a file
//! after the whole key.

mod file_names;
mod keyed_folder;
mod listing;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use thiserror::Error;

use crate::service::Service;
use keyed_folder::KeyedFolder;

const DECODED_LENGTH: &str = "x-amz-decoded-content-length";

/// The folder cannot be used.
#[derive(Debug, Error)]
#[error("cannot use the folder `{path}` as S3: {reason}")]
pub struct OpenBucketError {
    path: String,
    reason: String,
}

/// S3 in this process. Cloning it is cheap and gives the same folder.
#[derive(Clone)]
pub struct S3 {
    root: PathBuf,
    service: S3Service,
}

impl S3 {
    /// The buckets in the folder `root`, which is created if it is missing.
    pub fn open(root: &Path) -> Result<Self, OpenBucketError> {
        std::fs::create_dir_all(root).map_err(|error| folder_error(root, &error))?;
        let files = FileSystem::new(root)
            .map_err(|error| folder_error(root, &format_args!("{error:?}")))?;
        Ok(Self {
            root: root.to_owned(),
            service: S3ServiceBuilder::new(KeyedFolder::new(root, files)).build(),
        })
    }

    /// Creates the bucket `name` if it is missing.
    pub fn create_bucket(&self, name: &str) -> Result<(), OpenBucketError> {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).map_err(|error| folder_error(&path, &error))
    }

    /// The folder as a service.
    pub fn service(self) -> Service {
        Service::new(move |request| {
            let service = self.service.clone();
            async move { answer_request(&service, request).await }
        })
    }
}

async fn answer_request(service: &S3Service, request: Request<Bytes>) -> Response<Bytes> {
    let Some(request) = remove_signature(request) else {
        return error_response(
            StatusCode::BAD_REQUEST,
            "IncompleteBody",
            "the chunks are cut short",
        );
    };
    match service.call(request.map(s3s::Body::from)).await {
        Ok(response) => collect_response(response).await,
        Err(error) => internal_error_response(&format!("{error:?}")),
    }
}

/// The request without its signature: `s3s` refuses signatures for which it has no secret key.
/// `None` if the chunks of the body are cut short.
fn remove_signature(request: Request<Bytes>) -> Option<Request<Bytes>> {
    let (mut parts, mut body) = request.into_parts();
    let headers = &mut parts.headers;
    headers.remove(AUTHORIZATION);
    if headers.remove(DECODED_LENGTH).is_some() {
        body = decode_chunks(&body)?;
        headers.remove("x-amz-content-sha256");
        headers.remove("x-amz-trailer");
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        remove_chunked_encoding(headers);
    }
    Some(Request::from_parts(parts, body))
}

/// The payload of a body in `aws-chunked` encoding: lines with a length in hexadecimal and maybe
/// a signature, each followed by that many bytes, up to length 0. The trailers that follow are
/// ignored: they hold checksums of the transfer.
fn decode_chunks(mut rest: &[u8]) -> Option<Bytes> {
    let mut payload = Vec::with_capacity(rest.len());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let length = line.split(';').next()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Some(Bytes::from(payload));
        }
        payload.extend_from_slice(rest.get(..length)?);
        rest = rest[length..].strip_prefix(b"\r\n")?;
    }
}

/// Removes `aws-chunked`, and keeps encodings of the object itself, such as `gzip`.
fn remove_chunked_encoding(headers: &mut http::HeaderMap) {
    let Some(encodings) = headers.remove(CONTENT_ENCODING) else {
        return;
    };
    let encodings = encodings.to_str().unwrap_or_default().split(',');
    let kept: Vec<_> = encodings
        .map(str::trim)
        .filter(|&encoding| encoding != "aws-chunked")
        .collect();
    if let Ok(value) = HeaderValue::from_str(&kept.join(","))
        && !value.is_empty()
    {
        headers.insert(CONTENT_ENCODING, value);
    }
}

/// The response with its body in memory, without the headers of a body that is sent in parts.
async fn collect_response(response: s3s::HttpResponse) -> Response<Bytes> {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(TRAILER);
    parts.headers.remove(TRANSFER_ENCODING);
    match body.collect().await {
        Ok(body) => Response::from_parts(parts, body.to_bytes()),
        Err(error) => internal_error_response(&error.to_string()),
    }
}

fn internal_error_response(reason: &str) -> Response<Bytes> {
    error_response(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", reason)
}

/// An error as S3 sends it. `reason` never has a character that XML would need escaped: it is a
/// sentence of this program or of the folder's service.
pub(crate) fn error_response(status: StatusCode, code: &str, reason: &str) -> Response<Bytes> {
    let reason = reason.replace(['<', '&'], "?");
    let body = format!("<Error><Code>{code}</Code><Message>{reason}</Message></Error>");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/xml");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, media_type);
    response
}

fn folder_error(path: &Path, reason: &dyn std::fmt::Display) -> OpenBucketError {
    OpenBucketError {
        path: path.display().to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ProvideErrorMetadata;
    use aws_sdk_s3::primitives::ByteStream;

    use super::*;
    use crate::clients;

    fn open(folder: &Path) -> aws_sdk_s3::Client {
        let s3 = S3::open(folder).unwrap();
        s3.create_bucket("orders").unwrap();
        s3.create_bucket("orders").unwrap();
        clients::connect_s3(s3.service().http_client())
    }

    async fn keys(client: &aws_sdk_s3::Client, prefix: &str) -> Vec<String> {
        let list = client.list_objects_v2().bucket("orders").prefix(prefix);
        let page = list.send().await.unwrap();
        let objects = page.contents().iter();
        objects
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }

    #[tokio::test]
    async fn an_object_is_put_read_copied_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let client = open(folder.path());
        let object = || {
            client
                .get_object()
                .bucket("orders")
                .key("rejected/2026/1.json")
        };
        client
            .put_object()
            .bucket("orders")
            .key("rejected/2026/1.json")
            .body(ByteStream::from_static(b"{}"))
            .metadata("reason", "order-changed")
            .send()
            .await
            .unwrap();
        let read = object().send().await.unwrap();
        assert_eq!(read.metadata().unwrap()["reason"], "order-changed");
        assert_eq!(read.body.collect().await.unwrap().to_vec(), b"{}");

        client
            .copy_object()
            .copy_source("orders/rejected/2026/1.json")
            .bucket("orders")
            .key("replayed/1.json")
            .send()
            .await
            .unwrap();
        assert_eq!(
            keys(&client, "re").await,
            ["rejected/2026/1.json", "replayed/1.json"]
        );

        let delete = client
            .delete_object()
            .bucket("orders")
            .key("rejected/2026/1.json");
        delete.send().await.unwrap();
        assert_eq!(keys(&client, "rejected/").await, [""; 0]);
        let gone = object().send().await.unwrap_err().into_service_error();
        assert_eq!(gone.code(), Some("NoSuchKey"));
    }

    #[tokio::test]
    async fn a_file_is_an_object_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let client = open(&folder.path().join("s3"));
        let path = folder.path().join("model.json");
        std::fs::write(&path, vec![b'x'; 200_000]).unwrap();
        let body = ByteStream::from_path(&path).await.unwrap();
        let put = client
            .put_object()
            .bucket("orders")
            .key("models/1")
            .body(body);
        put.send().await.unwrap();
        let head = client.head_object().bucket("orders").key("models/1");
        assert_eq!(head.send().await.unwrap().content_length(), Some(200_000));
    }

    #[tokio::test]
    async fn an_object_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let client = open(folder.path());
        let create = || {
            let put = client.put_object().bucket("orders").key("bundle");
            put.if_none_match("*").send()
        };
        create().await.unwrap();
        let error = create().await.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("PreconditionFailed"));
    }

    async fn read(client: &aws_sdk_s3::Client, key: &str) -> Result<String, String> {
        let get = client.get_object().bucket("orders").key(key).send().await;
        let object = get.map_err(|error| error.into_service_error().code().unwrap().to_owned())?;
        let body = object.body.collect().await.unwrap().to_vec();
        Ok(String::from_utf8(body).unwrap())
    }

    async fn write(client: &aws_sdk_s3::Client, key: &str, text: &str) {
        let put = client.put_object().bucket("orders").key(key);
        let put = put.body(ByteStream::from(text.as_bytes().to_vec()));
        put.metadata("key", key).send().await.unwrap();
    }

    #[tokio::test]
    async fn every_key_can_be_beside_every_other() {
        const KEYS: [&str; 8] = [
            "a",
            "a/",
            "a/b",
            "a/b/c",
            "a//b",
            "out.csv",
            "out.csv/part_1.csv",
            "out.csv/part_1.csv/x",
        ];
        // In both orders: the folder is there before the object, and after it.
        for reversed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let client = open(folder.path());
            let mut order = KEYS;
            if reversed {
                order.reverse();
            }
            for key in order {
                assert_eq!(
                    read(&client, key).await,
                    Err("NoSuchKey".to_owned()),
                    "{key}"
                );
                let head = client.head_object().bucket("orders").key(key).send().await;
                assert!(head.is_err(), "{key}");
                write(&client, key, key).await;
            }
            for key in KEYS {
                assert_eq!(read(&client, key).await.as_deref(), Ok(key));
                let head = client.head_object().bucket("orders").key(key);
                let head = head.send().await.unwrap();
                assert_eq!(head.metadata().unwrap()["key"], key);
            }
            assert_eq!(keys(&client, "a/").await, ["a/", "a//b", "a/b", "a/b/c"]);
            assert_eq!(keys(&client, "a//").await, ["a//b"]);
            assert_eq!(keys(&client, "").await.len(), KEYS.len());
            // What is deleted is gone, and nothing else.
            for (gone, key) in order.into_iter().enumerate() {
                let delete = client.delete_object().bucket("orders").key(key);
                delete.send().await.unwrap();
                assert_eq!(
                    read(&client, key).await,
                    Err("NoSuchKey".to_owned()),
                    "{key}"
                );
                assert_eq!(keys(&client, "").await.len(), KEYS.len() - gone - 1);
            }
        }
    }

    #[tokio::test]
    async fn an_object_is_copied_and_uploaded_in_parts_beside_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let client = open(folder.path());
        write(&client, "out.csv/1", "1").await;
        write(&client, "in.csv", "2").await;
        let copy = client.copy_object().copy_source("orders/in.csv");
        copy.bucket("orders").key("out.csv").send().await.unwrap();
        let copy = client.copy_object().copy_source("orders/out.csv");
        copy.bucket("orders").key("in.csv/3").send().await.unwrap();
        for (key, want) in [("out.csv", "2"), ("in.csv", "2"), ("in.csv/3", "2")] {
            assert_eq!(read(&client, key).await.as_deref(), Ok(want), "{key}");
        }
        let upload = client
            .create_multipart_upload()
            .bucket("orders")
            .key("out.csv");
        let upload = upload.send().await.unwrap().upload_id.unwrap();
        let part = client.upload_part().bucket("orders").key("out.csv");
        let part = part.upload_id(&upload).part_number(1);
        let part = part
            .body(ByteStream::from_static(b"4"))
            .send()
            .await
            .unwrap();
        let part = aws_sdk_s3::types::CompletedPart::builder()
            .part_number(1)
            .set_e_tag(part.e_tag)
            .build();
        let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part);
        let complete = client
            .complete_multipart_upload()
            .bucket("orders")
            .key("out.csv");
        let complete = complete.upload_id(&upload).multipart_upload(parts.build());
        assert_eq!(complete.send().await.unwrap().key(), Some("out.csv"));
        assert_eq!(read(&client, "out.csv").await.as_deref(), Ok("4"));
        let names = ["out.csv", "in.csv"].map(|key| {
            let id = aws_sdk_s3::types::ObjectIdentifier::builder().key(key);
            id.build().unwrap()
        });
        let delete = aws_sdk_s3::types::Delete::builder().set_objects(Some(names.to_vec()));
        let delete = client
            .delete_objects()
            .bucket("orders")
            .delete(delete.build().unwrap());
        let deleted = delete.send().await.unwrap();
        assert_eq!(deleted.deleted()[0].key(), Some("out.csv"));
        assert_eq!(keys(&client, "").await, ["in.csv/3", "out.csv/1"]);
    }

    #[tokio::test]
    async fn a_folder_of_an_earlier_release_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let client = open(folder.path());
        let below = folder.path().join("orders/rejected/2026");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join("1.json"), "{}").unwrap();
        assert_eq!(keys(&client, "rejected/").await, ["rejected/2026/1.json"]);
        assert_eq!(
            read(&client, "rejected/2026/1.json").await.as_deref(),
            Ok("{}")
        );
        write(&client, "rejected/2026/1.json/2", "2").await;
        assert_eq!(
            read(&client, "rejected/2026/1.json").await.as_deref(),
            Ok("{}")
        );
    }

    #[test]
    fn chunks_are_joined() {
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"0\r\n\r\n", Some(b"")),
            (b"2\r\n{}\r\n0\r\n\r\n", Some(b"{}")),
            (
                b"2;chunk-signature=ab\r\n{}\r\n0;chunk-signature=cd\r\n\r\n",
                Some(b"{}"),
            ),
            (
                b"1\r\na\r\nA\r\nbcdefghijk\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n",
                Some(b"abcdefghijk"),
            ),
            (b"3\r\n{}", None),
            (b"2\r\n{}0\r\n\r\n", None),
            (b"", None),
        ];
        for (body, want) in cases {
            let got = decode_chunks(body);
            assert_eq!(got.as_deref(), want, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let error = S3::open(Path::new("/proc/nothing")).err().unwrap();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot use the folder `/proc/nothing` as S3: "),
            "{text}"
        );
    }
}
