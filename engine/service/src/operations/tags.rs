//! Tags: keys and values on any resource, addressed by its ARN.

use std::collections::BTreeMap;

use crate::operations::{Empty, entity_types, labels, outcomes};
use crate::services::Services;
use protocol::limits::TAGS_PER_RESOURCE;
use protocol::page::Paging;
use protocol::page_token::Scope;
use protocol::{Error, Result, page_token, text};
use serde::{Deserialize, Serialize};
use store::records::detector_version::detector_version_key;
use store::records::model_version::parse_model_version_key;
use store::records::tags::{Tag, Tags};
use store::table::{Item, Key};

/// The only page size that the service model allows.
const PAGE: usize = 50;

#[derive(Debug, Deserialize)]
pub(crate) struct TagResource {
    #[serde(rename = "resourceARN")]
    resource: String,
    tags: Vec<Tag>,
}

pub(crate) async fn tag(services: &Services, input: TagResource) -> Result<Empty> {
    let added = Tags::new(input.tags)?;
    edit(services, &input.resource, |tags| {
        tags.extend(added.0.clone());
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagResource {
    #[serde(rename = "resourceARN")]
    resource: String,
    tag_keys: Vec<String>,
}

pub(crate) async fn untag(services: &Services, input: UntagResource) -> Result<Empty> {
    edit(services, &input.resource, |tags| {
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

pub(crate) async fn list(services: &Services, input: ListTags) -> Result<ListTagsOutput> {
    let key = key(services, &input.resource)?;
    let item = services
        .account
        .definitions
        .item(&key)
        .await?
        .ok_or_else(|| missing(&input.resource))?;
    let scope = Scope::new("ListTagsForResource", &input.resource);
    let after: Option<String> = page_token::decode(
        &scope,
        input.paging.next_token.as_deref(),
        services.account.now(),
    )?;
    let mut tags: Vec<Tag> = read(&item)?
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .map(|(key, value)| Tag { key, value })
        .collect();
    let more = tags.len() > PAGE;
    tags.truncate(PAGE);
    let last = tags.last().filter(|_| more);
    let next_token = last
        .map(|tag| page_token::encode(&scope, &tag.key, services.account.now()))
        .transpose()?;
    Ok(ListTagsOutput { tags, next_token })
}

async fn edit(
    services: &Services,
    resource: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<Empty> {
    let key = key(services, resource)?;
    let mut change = services.account.change().await?;
    let mut item = change.item(&key).await?.ok_or_else(|| missing(resource))?;
    let mut tags = read(&item)?;
    edit(&mut tags);
    if tags.len() > TAGS_PER_RESOURCE {
        return Err(Error::validation(format!(
            "A resource may have at most {TAGS_PER_RESOURCE} tags."
        )));
    }
    let tags = serde_dynamo::to_attribute_value(Tags(tags)).map_err(Error::internal)?;
    item.insert("tags".to_owned(), tags);
    change.put_item(item);
    services.account.commit(change).await.map(|()| Empty {})
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

/// The key of the item for an ARN of this account.
fn key(services: &Services, resource: &str) -> Result<Key> {
    let ours = services.account.arn("", "");
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
        ] => Ok(detector_version_key(
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
        ] => {
            parse_model_version_key(model_type, model_id, version).ok_or_else(|| missing(resource))
        }
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
