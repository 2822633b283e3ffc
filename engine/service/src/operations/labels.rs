//! Labels: what events turned out to be.

use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::event_type::list_event_types;

use crate::operations::simple_resources::SimpleResourceKind;
use crate::operations::{EmptyOutput, NameInput, simple_resources};
use crate::services::EngineServices;

pub(crate) const KIND: SimpleResourceKind = SimpleResourceKind {
    name: "label",
    title: "Label",
    listing: "GetLabels",
    page: 50,
    quota: |quotas| quotas.labels,
};
use crate::operations::simple_resources::{GetSimpleResourcesInput, PutSimpleResourceInput};

pub(crate) async fn put_label(
    services: &EngineServices,
    input: PutSimpleResourceInput,
) -> Result<EmptyOutput> {
    simple_resources::put_simple_resource(services, &KIND, input)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) async fn get_labels(
    services: &EngineServices,
    input: GetSimpleResourcesInput,
) -> Result<impl Serialize + use<>> {
    Ok(page::make_page_output(
        "labels",
        simple_resources::get_simple_resources(services, &KIND, input).await?,
    ))
}

/// Deletes a label. Rejected while an event type has it. (Amazon also checks stored events; see the differences in the
/// guide.)
pub(crate) async fn delete_label(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let types = list_event_types(&change).await?;
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
    simple_resources::delete_simple_resource(&KIND, &mut change, &input.name).await?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
