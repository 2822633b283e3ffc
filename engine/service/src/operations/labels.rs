//! Labels: what events turn out to have been.

use serde::Serialize;

use super::named::{self, Get, Kind, Put};
use super::{ByName, Empty, event_types, page};
use crate::engine::Engine;
use protocol::{Error, Result};

pub(crate) const KIND: Kind = Kind {
    name: "label",
    title: "Label",
    listing: "GetLabels",
    page: 50,
    quota: |quotas| quotas.labels,
};

pub(crate) async fn put(engine: &Engine, input: Put) -> Result<Empty> {
    named::put(engine, &KIND, input).await.map(|()| Empty {})
}

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "labels",
        named::get(engine, &KIND, input).await?,
    ))
}

/// Refused while an event type has the label. (Amazon also looks at stored events; see the
/// differences in the guide.)
pub(crate) async fn delete(engine: &Engine, input: ByName) -> Result<Empty> {
    let mut change = engine.change().await?;
    let types = event_types::all(&change).await?;
    if let Some(user) = types
        .iter()
        .find(|event_type| event_type.labels.contains(&input.name))
    {
        let message = format!(
            "Label '{}' is included in event type '{}'.",
            input.name, user.name
        );
        return Err(Error::conflict(message));
    }
    named::delete(&KIND, &mut change, &input.name).await?;
    engine.commit(change).await.map(|()| Empty {})
}
