//! Tags: keys and values on any resource, addressed by its ARN.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::page::Paging;
use super::{Empty, entity_types, labels, outcomes};
use crate::engine::Engine;
use crate::store::{Item, Key};
use protocol::page_token::{self, Scope};
use protocol::text;
use protocol::{Error, Result};

/// A list of tags may have 200, so a resource may.
const MOST: usize = 200;
/// The only page size the model allows.
const PAGE: usize = 50;

/// One tag on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tag {
    key: String,
    value: String,
}

/// The tags of a resource, each key once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Reads the tags of a request.
    pub(crate) fn new(tags: Vec<Tag>) -> Result<Self> {
        let count = tags.len();
        let map: BTreeMap<_, _> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        if map.len() < count {
            return Err(Error::validation("A tag key may be given only once."));
        }
        Ok(Self(map))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Takes a tag over from others, unless it is here.
    pub(crate) fn take_over(&mut self, key: &str, others: &Self) {
        if let (None, Some(value)) = (self.get(key), others.get(key)) {
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct TagResource {
    #[serde(rename = "resourceARN")]
    resource: String,
    tags: Vec<Tag>,
}

pub(crate) async fn tag(engine: &Engine, input: TagResource) -> Result<Empty> {
    let added = Tags::new(input.tags)?;
    edit(engine, &input.resource, |tags| tags.extend(added.0.clone())).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagResource {
    #[serde(rename = "resourceARN")]
    resource: String,
    tag_keys: Vec<String>,
}

pub(crate) async fn untag(engine: &Engine, input: UntagResource) -> Result<Empty> {
    edit(engine, &input.resource, |tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
    })
    .await
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListTags {
    #[serde(rename = "resourceARN")]
    resource: String,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTagsOutput {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) async fn list(engine: &Engine, input: ListTags) -> Result<ListTagsOutput> {
    let key = key(engine, &input.resource)?;
    let item = engine
        .definitions
        .item(&key)
        .await?
        .ok_or_else(|| missing(&input.resource))?;
    let scope = Scope::new("ListTagsForResource", &input.resource);
    let after: Option<String> =
        page_token::decode(&scope, input.paging.next_token.as_deref(), engine.now())?;
    let mut tags: Vec<Tag> = read(&item)?
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .map(|(key, value)| Tag { key, value })
        .collect();
    let more = tags.len() > PAGE;
    tags.truncate(PAGE);
    let last = tags.last().filter(|_| more);
    let next_token = last
        .map(|tag| page_token::encode(&scope, &tag.key, engine.now()))
        .transpose()?;
    Ok(ListTagsOutput { tags, next_token })
}

async fn edit(
    engine: &Engine,
    resource: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Empty> {
    let key = key(engine, resource)?;
    let mut change = engine.change().await?;
    let mut item = change.item(&key).await?.ok_or_else(|| missing(resource))?;
    let mut tags = read(&item)?;
    edit(&mut tags);
    if tags.len() > MOST {
        return Err(Error::validation(format!(
            "A resource may have at most {MOST} tags."
        )));
    }
    let tags = serde_dynamo::to_attribute_value(Tags(tags)).map_err(Error::internal)?;
    item.insert("tags".to_owned(), tags);
    change.put_item(item);
    engine.commit(change).await.map(|()| Empty {})
}

fn read(item: &Item) -> Result<BTreeMap<String, String>> {
    let Some(tags) = item.get("tags") else {
        return Ok(BTreeMap::new());
    };
    serde_dynamo::from_attribute_value(tags.clone()).map_err(Error::internal)
}

fn missing(resource: &str) -> Error {
    Error::not_found(format!("Resource '{resource}' does not exist."))
}

/// The item an ARN of this account names.
fn key(engine: &Engine, resource: &str) -> Result<Key> {
    let ours = engine.arn("", "");
    let path = resource
        .strip_prefix(ours.trim_end_matches('/'))
        .ok_or_else(|| missing(resource))?;
    let mut parts = path.splitn(4, '/');
    let parts: [Option<&str>; 4] = std::array::from_fn(|_| parts.next());
    match parts {
        [Some(kind), Some(name), None, None] if is_kind(kind) => Ok(Key::new(kind, name)),
        [
            Some("detector-version"),
            Some(detector),
            Some(version),
            None,
        ] => Ok(super::version_key(
            detector,
            number(version).ok_or_else(|| missing(resource))?,
        )),
        [Some("model"), Some(model_type), Some(model_id), None] => {
            Ok(Key::new("model", format!("{model_type}#{model_id}")))
        }
        [
            Some("model-version"),
            Some(model_type),
            Some(model_id),
            Some(version),
        ] => super::models::key_of_text(model_type, model_id, version)
            .ok_or_else(|| missing(resource)),
        [Some("rule"), Some(detector), Some(rule), Some(version)] => {
            let version = number(version).ok_or_else(|| missing(resource))?;
            Ok(Key::new(
                format!("rule#{detector}"),
                format!("{rule}#{}", text::padded(version)),
            ))
        }
        _ => Err(missing(resource)),
    }
}

fn is_kind(kind: &str) -> bool {
    [
        labels::KIND.name,
        outcomes::KIND.name,
        entity_types::KIND.name,
    ]
    .contains(&kind)
        || [
            "variable",
            "event-type",
            "list",
            "detector",
            "external-model",
            "batch-import",
            "batch-prediction",
        ]
        .contains(&kind)
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}
