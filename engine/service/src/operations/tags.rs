//! Tags: keys and values on any resource, addressed by its ARN.

use std::collections::BTreeMap;

use protocol::limits::TAGS_PER_RESOURCE;
use protocol::page::PageRequest;
use protocol::page_token::TokenScope;
use protocol::{Error, Result, page_token, text};
use serde::{Deserialize, Serialize};
use store::records::detector_version::detector_version_key;
use store::records::model_version::parse_model_version_key;
use store::records::tags::{Tag, Tags};
use store::table::{Item, Key, check_form};

use crate::operations::{EmptyOutput, entity_types, labels, outcomes};
use crate::services::EngineServices;

/// The only page size that the service model allows.
const DEFAULT_PAGE_SIZE: usize = 50;

#[derive(Debug, Deserialize)]
pub(crate) struct TagResourceInput {
    #[serde(rename = "resourceARN")]
    resource: String,
    tags: Vec<Tag>,
}

pub(crate) async fn tag_resource(
    services: &EngineServices,
    input: TagResourceInput,
) -> Result<EmptyOutput> {
    let added = Tags::new(input.tags)?;
    edit_tags(services, &input.resource, |tags| {
        tags.extend(added.0.clone());
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UntagResourceInput {
    #[serde(rename = "resourceARN")]
    resource: String,
    tag_keys: Vec<String>,
}

pub(crate) async fn untag_resource(
    services: &EngineServices,
    input: UntagResourceInput,
) -> Result<EmptyOutput> {
    edit_tags(services, &input.resource, |tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
    })
    .await
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListTagsForResourceInput {
    #[serde(rename = "resourceARN")]
    resource: String,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTagsForResourceOutput {
    tags: Vec<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(crate) async fn list_tags_for_resource(
    services: &EngineServices,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput> {
    let key = parse_resource_key(services, &input.resource)?;
    let item = services
        .account
        .definitions
        .get_item(&key)
        .await?
        .ok_or_else(|| missing_resource(&input.resource))?;
    let scope = TokenScope::new("ListTagsForResource", &input.resource);
    let after: Option<String> = page_token::decode_page_token(
        &scope,
        input.paging.next_token.as_deref(),
        services.account.now(),
    )?;
    let mut tags: Vec<Tag> = read_tags(&item)?
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .map(|(key, value)| Tag { key, value })
        .collect();
    let more = tags.len() > DEFAULT_PAGE_SIZE;
    tags.truncate(DEFAULT_PAGE_SIZE);
    let last = tags.last().filter(|_| more);
    let next_token = last
        .map(|tag| page_token::encode_page_token(&scope, &tag.key, services.account.now()))
        .transpose()?;
    Ok(ListTagsForResourceOutput { tags, next_token })
}

async fn edit_tags(
    services: &EngineServices,
    resource: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>),
) -> Result<EmptyOutput> {
    let key = parse_resource_key(services, resource)?;
    let mut change = services.account.begin_change().await?;
    let mut item = change
        .get_item(&key)
        .await?
        .ok_or_else(|| missing_resource(resource))?;
    check_form(&item)?;
    let mut tags = read_tags(&item)?;
    edit(&mut tags);
    if tags.len() > TAGS_PER_RESOURCE {
        return Err(Error::validation(format!(
            "A resource may have at most {TAGS_PER_RESOURCE} tags."
        )));
    }
    let tags = serde_dynamo::to_attribute_value(Tags(tags)).map_err(Error::internal)?;
    item.insert("tags".to_owned(), tags);
    change.put_item(item);
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

fn read_tags(item: &Item) -> Result<BTreeMap<String, String>> {
    let Some(tags) = item.get("tags") else {
        return Ok(BTreeMap::new());
    };
    serde_dynamo::from_attribute_value(tags.clone()).map_err(Error::internal)
}

fn missing_resource(resource: &str) -> Error {
    Error::not_found(format!("Resource '{resource}' does not exist."))
}

/// The key of the item for an ARN of this account.
fn parse_resource_key(services: &EngineServices, resource: &str) -> Result<Key> {
    let ours = services.account.arn("", "");
    let path = resource
        .strip_prefix(ours.trim_end_matches('/'))
        .ok_or_else(|| missing_resource(resource))?;
    let mut parts = path.splitn(4, '/');
    let parts: [Option<&str>; 4] = std::array::from_fn(|_| parts.next());
    match parts {
        [Some(kind), Some(name), None, None] if is_named_resource_kind(kind) => {
            Ok(Key::new(kind, name))
        }
        [
            Some("detector-version"),
            Some(detector),
            Some(version),
            None,
        ] => Ok(detector_version_key(
            detector,
            parse_version_number(version).ok_or_else(|| missing_resource(resource))?,
        )),
        [Some("model"), Some(model_type), Some(model_id), None] => {
            Ok(Key::new("model", format!("{model_type}#{model_id}")))
        }
        [
            Some("model-version"),
            Some(model_type),
            Some(model_id),
            Some(version),
        ] => parse_model_version_key(model_type, model_id, version)
            .ok_or_else(|| missing_resource(resource)),
        [Some("rule"), Some(detector), Some(rule), Some(version)] => {
            let version =
                parse_version_number(version).ok_or_else(|| missing_resource(resource))?;
            Ok(Key::new(
                format!("rule#{detector}"),
                format!("{rule}#{}", text::pad_version(version)),
            ))
        }
        _ => Err(missing_resource(resource)),
    }
}

fn is_named_resource_kind(kind: &str) -> bool {
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

fn parse_version_number(text: &str) -> Option<u32> {
    text.parse().ok()
}
