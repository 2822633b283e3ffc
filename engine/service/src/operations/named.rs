//! Labels, outcomes and entity types: a name, a description, nothing else.

use serde::{Deserialize, Serialize};

use super::page::{Listing, Page, Paging};
use super::tags::{Tag, Tags};
use crate::engine::Engine;
use crate::store::{Change, Key, Record};
use protocol::limits::Quotas;
use protocol::text;
use protocol::{Error, Result};

/// What the three have different.
pub(crate) struct Kind {
    /// The partition and the kind in an ARN.
    pub(crate) name: &'static str,
    /// As a sentence begins with it.
    pub(crate) title: &'static str,
    pub(crate) listing: &'static str,
    pub(crate) page: usize,
    pub(crate) quota: fn(&Quotas) -> usize,
}

/// One of them, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    kind: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_updated_time: String,
    created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

pub(crate) fn named_key(kind: &str, name: &str) -> Key {
    Key::new(kind, name)
}

impl Record for Named {
    fn key(&self) -> Key {
        named_key(&self.kind, &self.name)
    }
}

/// One of them, as answered.
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

/// Creates it or replaces its description; tags are for creation only.
pub(crate) async fn put(engine: &Engine, kind: &Kind, input: Put) -> Result<()> {
    let mut change = engine.change().await?;
    let now = text::milliseconds(engine.now());
    let before: Option<Named> = change.get(&named_key(kind.name, &input.name)).await?;
    if before.is_none() {
        change.count(kind.name, 1, (kind.quota)(&engine.options.quotas))?;
    }
    let (created_time, tags) = match before {
        Some(before) => (before.created_time, before.tags),
        None => (now.clone(), Tags::new(input.tags)?),
    };
    change.put(&Named {
        kind: kind.name.to_owned(),
        name: input.name,
        description: input.description,
        last_updated_time: now,
        created_time,
        tags,
    })?;
    engine.commit(change).await
}

/// The one with the name, or a page of all.
pub(crate) async fn get(engine: &Engine, kind: &Kind, input: Get) -> Result<Page<NamedOutput>> {
    let page = if let Some(name) = &input.name {
        Page::one(existing(engine, kind, name).await?)
    } else {
        let listing = Listing {
            operation: kind.listing,
            filters: "",
            pk: kind.name,
            prefix: "",
            usual: kind.page,
        };
        listing.page::<Named>(engine, &input.paging).await?
    };
    Ok(page.map(|named| NamedOutput {
        arn: engine.arn(kind.name, &named.name),
        name: named.name,
        description: named.description,
        last_updated_time: named.last_updated_time,
        created_time: named.created_time,
    }))
}

async fn existing(engine: &Engine, kind: &Kind, name: &str) -> Result<Named> {
    let found = engine.definitions.get(&named_key(kind.name, name)).await?;
    found.ok_or_else(|| Error::not_found(format!("{} '{name}' does not exist.", kind.title)))
}

/// Deletes it if it is there; the caller has checked that nothing uses it.
pub(crate) async fn delete(kind: &Kind, change: &mut Change<'_>, name: &str) -> Result<()> {
    let key = named_key(kind.name, name);
    if change.get::<Named>(&key).await?.is_some() {
        change.count(kind.name, -1, usize::MAX)?;
        change.delete(key);
    }
    Ok(())
}
