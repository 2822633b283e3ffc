//! Simple resources: labels, outcomes and entity types have a name and a description and nothing else.

use protocol::limits::Quotas;
use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::simple_resource::{SimpleResource, simple_resource_key};
use store::records::tags::{Tag, Tags};

use crate::services::EngineServices;

/// What differs between the three kinds.
pub(crate) struct SimpleResourceKind {
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
pub(crate) struct SimpleResourceOutput {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    last_updated_time: String,
    created_time: String,
    arn: String,
}

/// The input of a put.
#[derive(Debug, Deserialize)]
pub(crate) struct PutSimpleResourceInput {
    name: String,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// The input of a get.
#[derive(Debug, Deserialize)]
pub(crate) struct GetSimpleResourcesInput {
    name: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

/// Creates it or replaces its description. Tags are set only when it is created.
pub(crate) async fn put_simple_resource(
    services: &EngineServices,
    kind: &SimpleResourceKind,
    input: PutSimpleResourceInput,
) -> Result<()> {
    let mut change = services.account.begin_change().await?;
    let now = text::format_milliseconds(services.account.now());
    let before: Option<SimpleResource> = change
        .get(&simple_resource_key(kind.name, &input.name))
        .await?;
    if before.is_none() {
        change.count_resources(kind.name, 1, (kind.quota)(&services.account.options.quotas))?;
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
    services.account.commit_change(change).await
}

/// The resource with the name, or a page of all of the kind.
pub(crate) async fn get_simple_resources(
    services: &EngineServices,
    kind: &SimpleResourceKind,
    input: GetSimpleResourcesInput,
) -> Result<Page<SimpleResourceOutput>> {
    let page = if let Some(name) = &input.name {
        Page::of_one_row(find_simple_resource(services, kind, name).await?)
    } else {
        let listing = Listing {
            operation: kind.listing,
            filters: "",
            pk: kind.name,
            prefix: "",
            default_size: kind.page,
        };
        listing
            .read_page::<SimpleResource>(&services.account, &input.paging)
            .await?
    };
    Ok(page.map_rows(|named| SimpleResourceOutput {
        arn: services.account.arn(kind.name, &named.name),
        name: named.name,
        description: named.description,
        last_updated_time: named.last_updated_time,
        created_time: named.created_time,
    }))
}

async fn find_simple_resource(
    services: &EngineServices,
    kind: &SimpleResourceKind,
    name: &str,
) -> Result<SimpleResource> {
    let found = services
        .account
        .definitions
        .get(&simple_resource_key(kind.name, name))
        .await?;
    found.ok_or_else(|| Error::not_found(format!("{} '{name}' does not exist.", kind.title)))
}

/// Deletes it if it exists. The caller has checked that nothing uses it.
pub(crate) async fn delete_simple_resource(
    kind: &SimpleResourceKind,
    change: &mut Change<'_>,
    name: &str,
) -> Result<()> {
    let key = simple_resource_key(kind.name, name);
    if change.get::<SimpleResource>(&key).await?.is_some() {
        change.count_resources(kind.name, -1, usize::MAX)?;
        change.delete(key);
    }
    Ok(())
}
