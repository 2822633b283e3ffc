//! Outcomes: the results of rules.

use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::rule::list_rules;

use crate::operations::simple_resources::SimpleResourceKind;
use crate::operations::{EmptyOutput, NameInput, simple_resources};
use crate::services::EngineServices;

pub(crate) const KIND: SimpleResourceKind = SimpleResourceKind {
    name: "outcome",
    title: "Outcome",
    listing: "GetOutcomes",
    page: 100,
    quota: |quotas| quotas.outcomes,
};
use crate::operations::simple_resources::{GetSimpleResourcesInput, PutSimpleResourceInput};

pub(crate) async fn put_outcome(
    services: &EngineServices,
    input: PutSimpleResourceInput,
) -> Result<EmptyOutput> {
    simple_resources::put_simple_resource(services, &KIND, input)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) async fn get_outcomes(
    services: &EngineServices,
    input: GetSimpleResourcesInput,
) -> Result<impl Serialize + use<>> {
    Ok(page::make_page_output(
        "outcomes",
        simple_resources::get_simple_resources(services, &KIND, input).await?,
    ))
}

/// Deletes an outcome. Rejected while a rule version has it.
pub(crate) async fn delete_outcome(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let rules = list_rules(&change).await?;
    if let Some(user) = rules
        .iter()
        .find(|rule| rule.outcomes.contains(&input.name))
    {
        let message = format!(
            "Outcome '{}' is used by rule '{}'.",
            input.name, user.rule_id
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
