//! Simple resources: labels, outcomes and entity types have a name and a description and nothing else.

use crate::services::Services;
use protocol::limits::Quotas;
use protocol::page::{Page, Paging};
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::simple_resource::{SimpleResource, simple_resource_key};
use store::records::tags::{Tag, Tags};

/// What differs between the three kinds.
pub(crate) struct Kind {
    /// The partition and the kind in an ARN.
    pub(crate) name: &'static str,
    /// The kind as the first words of a sentence.
    pub(crate) title: &'static str,
    pub(crate) listing: &'static str,
    pub(crate) page: usize,
    pub(crate) quota: fn(&Quotas) -> usize,
}

/// A simple resource in the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamedOutput {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_updated_time: String,
    created_time: String,
    arn: String,
}

/// The input of a put.
#[derive(Debug, Deserialize)]
pub(crate) struct Put {
    name: String,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// The input of a get.
#[derive(Debug, Deserialize)]
pub(crate) struct Get {
    name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

/// Creates it or replaces its description. Tags are set only when it is created.
pub(crate) async fn put(services: &Services, kind: &Kind, input: Put) -> Result<()> {
    let mut change = services.account.change().await?;
    let now = text::milliseconds(services.account.now());
    let before: Option<SimpleResource> = change
        .get(&simple_resource_key(kind.name, &input.name))
        .await?;
    if before.is_none() {
        change.count(kind.name, 1, (kind.quota)(&services.account.options.quotas))?;
    }
    let (created_time, tags) = match before {
        Some(before) => (before.created_time, before.tags),
        None => (now.clone(), Tags::new(input.tags)?),
    };
    change.put(&SimpleResource {
        kind: kind.name.to_owned(),
        name: input.name,
        description: input.description,
        last_updated_time: now,
        created_time,
        tags,
    })?;
    services.account.commit(change).await
}

/// The resource with the name, or a page of all of the kind.
pub(crate) async fn get(services: &Services, kind: &Kind, input: Get) -> Result<Page<NamedOutput>> {
    let page = if let Some(name) = &input.name {
        Page::one(existing(services, kind, name).await?)
    } else {
        let listing = Listing {
            operation: kind.listing,
            filters: "",
            pk: kind.name,
            prefix: "",
            usual: kind.page,
        };
        listing
            .page::<SimpleResource>(&services.account, &input.paging)
            .await?
    };
    Ok(page.map(|named| NamedOutput {
        arn: services.account.arn(kind.name, &named.name),
        name: named.name,
        description: named.description,
        last_updated_time: named.last_updated_time,
        created_time: named.created_time,
    }))
}

async fn existing(services: &Services, kind: &Kind, name: &str) -> Result<SimpleResource> {
    let found = services
        .account
        .definitions
        .get(&simple_resource_key(kind.name, name))
        .await?;
    found.ok_or_else(|| Error::not_found(format!("{} '{name}' does not exist.", kind.title)))
}

/// Deletes it if it exists. The caller has checked that nothing uses it.
pub(crate) async fn delete(kind: &Kind, change: &mut Change<'_>, name: &str) -> Result<()> {
    let key = simple_resource_key(kind.name, name);
    if change.get::<SimpleResource>(&key).await?.is_some() {
        change.count(kind.name, -1, usize::MAX)?;
        change.delete(key);
    }
    Ok(())
}
