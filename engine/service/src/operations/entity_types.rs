//! Entity types: who or what events are about.

use crate::operations::simple_resources::Kind;
use crate::operations::{ByName, Empty, simple_resources};
use crate::services::Services;
use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::event_type::all_event_types;

pub(crate) const KIND: Kind = Kind {
    name: "entity-type",
    title: "Entity type",
    listing: "GetEntityTypes",
    page: 10,
    quota: |quotas| quotas.entity_types,
};
use crate::operations::simple_resources::{Get, Put};

pub(crate) async fn put(services: &Services, input: Put) -> Result<Empty> {
    simple_resources::put(services, &KIND, input)
        .await
        .map(|()| Empty {})
}

pub(crate) async fn get(services: &Services, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "entityTypes",
        simple_resources::get(services, &KIND, input).await?,
    ))
}

/// Deletes an entity type. Rejected while an event type includes it.
pub(crate) async fn delete(services: &Services, input: ByName) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let types = all_event_types(&change).await?;
    if let Some(user) = types
        .iter()
        .find(|event_type| event_type.entity_types.contains(&input.name))
    {
        let message = format!(
            "Entity type '{}' is included in event type '{}'.",
            input.name, user.name
        );
        return Err(Error::conflict(message));
    }
    simple_resources::delete(&KIND, &mut change, &input.name).await?;
    services.account.commit(change).await.map(|()| Empty {})
}
