//! The model cache: trained models in memory.
//!
//! An artifact is an object under `models/` whose key is written only once. It is read when a prediction first needs
//! it, compared with the checksum in its version, and kept. If it is missing or damaged, an error is logged and there
//! is no score. A rule that needs the score is then undetermined, so a broken model never approves an order by default.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use event::hash::to_hex;
use model::{ArtifactError, Model};
use protocol::{Error, Result};
use sha2::{Digest, Sha256};
use store::records::model_version::ModelArtifact;
use thiserror::Error;
use tokio::time::Instant;

/// The most models in memory; when there are more, the cache is emptied.
const MAX_MODELS: usize = 64;
/// How long to wait before an artifact that failed is read again.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// The engine's bucket.
#[derive(Clone, Debug)]
pub(crate) struct ModelBucket {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// Why a model cannot score.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UnusableModel {
    #[error("the engine was built without a bucket of models")]
    NoBucket,
    #[error("it has no artifact")]
    NoArtifact,
    #[error("it was the account's first log-in, so there was no history to go by")]
    FirstLogin,
    #[error("its artifact cannot be fetched: {0}")]
    Fetch(String),
    #[error("its artifact is not the one that was trained: the checksum differs")]
    WrongChecksum,
    #[error("its artifact cannot be read: {0}")]
    Unreadable(String),
}

impl From<ArtifactError> for UnusableModel {
    fn from(error: ArtifactError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

enum CachedModel {
    Ready(Arc<Model>),
    Failed(Instant, UnusableModel),
}

/// The model cache, see the module.
#[derive(Default)]
pub(crate) struct ModelCache {
    bucket: Option<ModelBucket>,
    // Not held across an await.
    slots: Mutex<HashMap<String, CachedModel>>,
    /// If several predictions need a model, only one reads it.
    fetching: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for ModelCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModelCache")
    }
}

impl ModelCache {
    /// The same cache over a bucket.
    pub(crate) fn with_bucket(self, bucket: ModelBucket) -> Self {
        Self {
            bucket: Some(bucket),
            ..self
        }
    }

    fn find_cached(&self, key: &str) -> Option<Result<Arc<Model>, UnusableModel>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(key)? {
            CachedModel::Ready(model) => Some(Ok(Arc::clone(model))),
            CachedModel::Failed(when, why) if when.elapsed() < RETRY_PAUSE => {
                Some(Err(why.clone()))
            }
            CachedModel::Failed(..) => None,
        }
    }

    fn keep_cached(&self, key: &str, slot: CachedModel) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_MODELS {
            slots.clear();
        }
        slots.insert(key.to_owned(), slot);
    }

    /// The model of an artifact, from memory or from the bucket.
    pub(crate) async fn get_model(
        &self,
        artifact: &ModelArtifact,
    ) -> Result<Arc<Model>, UnusableModel> {
        if let Some(found) = self.find_cached(&artifact.key) {
            return found;
        }
        let _one = self.fetching.lock().await;
        if let Some(found) = self.find_cached(&artifact.key) {
            return found;
        }
        match self.fetch_model(artifact).await {
            Ok(model) => {
                let model = Arc::new(model);
                let slot = CachedModel::Ready(Arc::clone(&model));
                self.keep_cached(&artifact.key, slot);
                Ok(model)
            }
            Err(why) => {
                tracing::error!(key = artifact.key, reason = %why, "a model cannot score");
                let slot = CachedModel::Failed(Instant::now(), why.clone());
                self.keep_cached(&artifact.key, slot);
                Err(why)
            }
        }
    }

    async fn fetch_model(&self, artifact: &ModelArtifact) -> Result<Model, UnusableModel> {
        let ModelBucket { client, name } = self.bucket.as_ref().ok_or(UnusableModel::NoBucket)?;
        let request = client.get_object().bucket(name).key(&artifact.key);
        let object = request.send().await.map_err(|error| {
            UnusableModel::Fetch(error.code().unwrap_or("no answer").to_owned())
        })?;
        let bytes = object.body.collect().await;
        let bytes = bytes.map_err(|_| UnusableModel::Fetch("it ends too early".to_owned()))?;
        let bytes = bytes.into_bytes();
        if compute_checksum(&bytes) != artifact.sha256 {
            return Err(UnusableModel::WrongChecksum);
        }
        Ok(Model::from_bytes(&bytes)?)
    }

    /// Writes the model of a version. Its key ends in its checksum, so another model never overwrites it.
    pub(crate) async fn save_model(&self, version: &str, bytes: Vec<u8>) -> Result<ModelArtifact> {
        let ModelBucket { client, name } = self
            .bucket
            .as_ref()
            .ok_or_else(|| Error::internal(UnusableModel::NoBucket))?;
        let sha256 = compute_checksum(&bytes);
        let short = sha256.get(..16).unwrap_or_default();
        let key = format!("models/{version}-{short}");
        let put = client.put_object().bucket(name).key(&key);
        put.body(ByteStream::from(bytes))
            .send()
            .await
            .map_err(Error::internal)?;
        Ok(ModelArtifact { key, sha256 })
    }

    /// Deletes an artifact, if there is one.
    pub(crate) async fn delete_model(&self, artifact: &ModelArtifact) {
        let Some(ModelBucket { client, name }) = &self.bucket else {
            return;
        };
        let delete = client.delete_object().bucket(name).key(&artifact.key);
        if let Err(error) = delete.send().await {
            let code = error.code().unwrap_or("no answer");
            tracing::warn!(code, key = artifact.key, "a model was not deleted");
        }
    }
}

fn compute_checksum(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

/// The values of a model's variables, in order. A value that the event lacks is missing: models never get the defaults
/// that rules use.
pub(crate) fn list_model_values<'v>(
    model: &Model,
    variables: &'v BTreeMap<String, Option<String>>,
) -> Vec<Option<&'v str>> {
    let value = |name: &String| variables.get(name).and_then(Option::as_deref);
    let names = model.variables().iter().map(|variable| &variable.name);
    names.map(value).collect()
}
