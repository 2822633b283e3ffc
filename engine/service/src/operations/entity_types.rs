//! Entity types: who or what events are about.

use serde::Serialize;

use super::named::{self, Get, Kind, Put};
use super::{ByName, Empty, event_types, page};
use crate::engine::Engine;
use protocol::{Error, Result};

pub(crate) const KIND: Kind = Kind {
    name: "entity-type",
    title: "Entity type",
    listing: "GetEntityTypes",
    page: 10,
    quota: |quotas| quotas.entity_types,
};

pub(crate) async fn put(engine: &Engine, input: Put) -> Result<Empty> {
    named::put(engine, &KIND, input).await.map(|()| Empty {})
}

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "entityTypes",
        named::get(engine, &KIND, input).await?,
    ))
}

/// Refused while an event type includes it.
pub(crate) async fn delete(engine: &Engine, input: ByName) -> Result<Empty> {
    let mut change = engine.change().await?;
    let types = event_types::all(&change).await?;
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
    named::delete(&KIND, &mut change, &input.name).await?;
    engine.commit(change).await.map(|()| Empty {})
}
