//! Entity types: who or what events are about.

use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::event_type::list_event_types;

use crate::operations::simple_resources::SimpleResourceKind;
use crate::operations::{EmptyOutput, NameInput, simple_resources};
use crate::services::EngineServices;

pub(crate) const KIND: SimpleResourceKind = SimpleResourceKind {
    name: "entity-type",
    title: "Entity type",
    listing: "GetEntityTypes",
    page: 10,
    quota: |quotas| quotas.entity_types,
};
use crate::operations::simple_resources::{GetSimpleResourcesInput, PutSimpleResourceInput};

pub(crate) async fn put_entity_type(
    services: &EngineServices,
    input: PutSimpleResourceInput,
) -> Result<EmptyOutput> {
    simple_resources::put_simple_resource(services, &KIND, input)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) async fn get_entity_types(
    services: &EngineServices,
    input: GetSimpleResourcesInput,
) -> Result<impl Serialize + use<>> {
    Ok(page::make_page_output(
        "entityTypes",
        simple_resources::get_simple_resources(services, &KIND, input).await?,
    ))
}

/// Deletes an entity type. Rejected while an event type includes it.
pub(crate) async fn delete_entity_type(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let types = list_event_types(&change).await?;
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
    simple_resources::delete_simple_resource(&KIND, &mut change, &input.name).await?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
