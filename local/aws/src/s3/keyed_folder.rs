//! The folder as S3, in which every key can be stored beside every other.
//!
//! The library stores an object under the path of its key. Here its requests get the path of [`file_names`] instead.
//! When an object is stored below a key that has a file, that file is renamed first.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopySource,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, Object,
    PutObjectInput, PutObjectOutput, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

use super::file_names::{decode_path, encode_key, list_folders, name_beside_folder};
use super::listing::make_page;

type Answer<T> = S3Result<S3Response<T>>;

/// A folder with a folder for each bucket.
#[derive(Debug)]
pub(super) struct KeyedFolder {
    root: PathBuf,
    files: FileSystem,
    /// Where a key's file is changes only while nothing else is done.
    changes: RwLock<()>,
}

impl KeyedFolder {
    pub(super) fn new(root: &Path, files: FileSystem) -> Self {
        Self {
            root: root.to_owned(),
            files,
            changes: RwLock::new(()),
        }
    }

    /// The path of a key's file in the folder of its bucket.
    fn find_path(&self, bucket: &str, key: &str) -> S3Result<String> {
        let Some(path) = encode_key(key) else {
            return Err(s3_error!(
                InvalidArgument,
                "No part of a key may be called `.@empty`, `.@dot` or `.@dots`, or end with `.@object`."
            ));
        };
        if self.root.join(bucket).join(&path).is_dir() {
            return Ok(name_beside_folder(&path));
        }
        Ok(path)
    }

    /// [`KeyedFolder::find_path`], with folders on the way where there were files.
    async fn make_path(&self, bucket: &str, key: &str) -> S3Result<String> {
        let path = self.find_path(bucket, key)?;
        for folder in list_folders(&path) {
            if self.root.join(bucket).join(folder).is_file() {
                self.rename(bucket, folder, &name_beside_folder(folder))
                    .await?;
            }
        }
        Ok(path)
    }

    /// Renames a file, with what the library has stored about it. If the process ends in between, the file is there
    /// twice, and the first one counts.
    async fn rename(&self, bucket: &str, from: &str, to: &str) -> S3Result<()> {
        let copy = CopyObjectInput::builder()
            .copy_source(make_copy_source(bucket, from))
            .bucket(bucket.to_owned())
            .key(to.to_owned())
            .build();
        let copy = copy.map_err(|error| s3_error!(error, InternalError))?;
        self.files.copy_object(make_request(copy)).await?;
        let delete = DeleteObjectInput::builder()
            .bucket(bucket.to_owned())
            .key(from.to_owned())
            .build();
        let delete = delete.map_err(|error| s3_error!(error, InternalError))?;
        self.files.delete_object(make_request(delete)).await?;
        Ok(())
    }

    /// The path of the object that is copied.
    fn find_copied(&self, source: CopySource) -> S3Result<CopySource> {
        match source {
            CopySource::Bucket { bucket, key, .. } => {
                let path = self.find_path(&bucket, &key)?;
                Ok(make_copy_source(&bucket, &path))
            }
            other => Ok(other),
        }
    }

    /// The objects whose keys begin with a prefix, sorted.
    async fn list_all(&self, bucket: &str, prefix: &str) -> S3Result<Vec<Object>> {
        // The last part of the prefix is the beginning of a name, which may stand for another one.
        let folder = prefix.rfind('/').map(|end| encode_key(&prefix[..end]));
        let folder = match folder {
            Some(Some(folder)) => format!("{folder}/"),
            Some(None) => return Ok(Vec::new()),
            None => String::new(),
        };
        let input = ListObjectsV2Input {
            bucket: bucket.to_owned(),
            prefix: Some(folder),
            max_keys: Some(i32::MAX),
            ..ListObjectsV2Input::default()
        };
        let listed = self.files.list_objects_v2(make_request(input)).await?;
        let mut objects = listed.output.contents.unwrap_or_default();
        for object in &mut objects {
            object.key = object.key.as_deref().map(decode_path);
        }
        objects.retain(|object| {
            let key = object.key.as_deref();
            key.is_some_and(|key| key.starts_with(prefix))
        });
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        objects.dedup_by(|a, b| a.key == b.key);
        Ok(objects)
    }
}

fn make_copy_source(bucket: &str, path: &str) -> CopySource {
    CopySource::Bucket {
        bucket: bucket.into(),
        key: path.into(),
        version_id: None,
    }
}

/// A request of this module to the library.
fn make_request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: http::Method::default(),
        uri: http::Uri::default(),
        headers: http::HeaderMap::default(),
        extensions: http::Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

#[async_trait]
impl S3 for KeyedFolder {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Answer<CreateBucketOutput> {
        self.files.create_bucket(request).await
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> Answer<DeleteBucketOutput> {
        self.files.delete_bucket(request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.files.head_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.files.get_bucket_location(request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> Answer<ListBucketsOutput> {
        self.files.list_buckets(request).await
    }

    async fn get_object(&self, mut request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        self.files.get_object(request).await
    }

    async fn head_object(
        &self,
        mut request: S3Request<HeadObjectInput>,
    ) -> Answer<HeadObjectOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        self.files.head_object(request).await
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let _alone = self.changes.write().await;
        let input = &mut request.input;
        input.key = self.make_path(&input.bucket, &input.key).await?;
        self.files.put_object(request).await
    }

    async fn copy_object(
        &self,
        mut request: S3Request<CopyObjectInput>,
    ) -> Answer<CopyObjectOutput> {
        let _alone = self.changes.write().await;
        let input = &mut request.input;
        input.key = self.make_path(&input.bucket, &input.key).await?;
        input.copy_source = self.find_copied(input.copy_source.clone())?;
        self.files.copy_object(request).await
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        let _alone = self.changes.write().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        self.files.delete_object(request).await
    }

    async fn delete_objects(
        &self,
        mut request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let _alone = self.changes.write().await;
        let input = &mut request.input;
        let mut keys = Vec::with_capacity(input.delete.objects.len());
        for object in &mut input.delete.objects {
            let path = self.find_path(&input.bucket, &object.key)?;
            keys.push(std::mem::replace(&mut object.key, path));
        }
        let mut answer = self.files.delete_objects(request).await?;
        let deleted = answer.output.deleted.iter_mut().flatten();
        for (deleted, key) in deleted.zip(keys) {
            deleted.key = Some(key);
        }
        Ok(answer)
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let request = request.map_input(ListObjectsV2Input::from);
        let answer = self.list_objects_v2(request).await?;
        Ok(answer.map_output(|page| ListObjectsOutput {
            contents: page.contents,
            common_prefixes: page.common_prefixes,
            delimiter: page.delimiter,
            encoding_type: page.encoding_type,
            name: page.name,
            prefix: page.prefix,
            max_keys: page.max_keys,
            is_truncated: page.is_truncated,
            next_marker: page.next_continuation_token,
            marker: page.start_after,
            ..ListObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let _unchanged = self.changes.read().await;
        let input = request.input;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let objects = self.list_all(&input.bucket, prefix).await?;
        Ok(S3Response::new(make_page(input, objects)))
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        let key = input.key.clone();
        input.key = self.find_path(&input.bucket, &key)?;
        let mut answer = self.files.create_multipart_upload(request).await?;
        answer.output.key = Some(key);
        Ok(answer)
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> Answer<UploadPartOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        self.files.upload_part(request).await
    }

    async fn upload_part_copy(
        &self,
        mut request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        input.copy_source = self.find_copied(input.copy_source.clone())?;
        self.files.upload_part_copy(request).await
    }

    async fn list_parts(&self, mut request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        let key = input.key.clone();
        input.key = self.find_path(&input.bucket, &key)?;
        let mut answer = self.files.list_parts(request).await?;
        answer.output.key = Some(key);
        Ok(answer)
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let _alone = self.changes.write().await;
        let input = &mut request.input;
        let key = input.key.clone();
        input.key = self.make_path(&input.bucket, &key).await?;
        let mut answer = self.files.complete_multipart_upload(request).await?;
        // The library's own answer comes later, so that a client can be kept waiting.
        let later = answer.output.future.take();
        answer.output.future = later.map(|later| {
            let done = async move {
                let mut output = later.await?;
                output.key = Some(key);
                Ok(output)
            };
            Box::pin(done) as _
        });
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let _unchanged = self.changes.read().await;
        let input = &mut request.input;
        input.key = self.find_path(&input.bucket, &input.key)?;
        self.files.abort_multipart_upload(request).await
    }
}
