//! Labels: what events turned out to be.

use crate::operations::simple_resources::Kind;
use crate::operations::{ByName, Empty, simple_resources};
use crate::services::Services;
use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::event_type::all_event_types;

pub(crate) const KIND: Kind = Kind {
    name: "label",
    title: "Label",
    listing: "GetLabels",
    page: 50,
    quota: |quotas| quotas.labels,
};
use crate::operations::simple_resources::{Get, Put};

pub(crate) async fn put(services: &Services, input: Put) -> Result<Empty> {
    simple_resources::put(services, &KIND, input)
        .await
        .map(|()| Empty {})
}

pub(crate) async fn get(services: &Services, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "labels",
        simple_resources::get(services, &KIND, input).await?,
    ))
}

/// Deletes a label. Rejected while an event type has it. (Amazon also checks stored events; see the differences in the
/// guide.)
pub(crate) async fn delete(services: &Services, input: ByName) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let types = all_event_types(&change).await?;
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
    simple_resources::delete(&KIND, &mut change, &input.name).await?;
    services.account.commit(change).await.map(|()| Empty {})
}
