//! Outcomes: the results of rules.

use crate::operations::simple_resources::Kind;
use crate::operations::{ByName, Empty, simple_resources};
use crate::services::Services;
use protocol::{Error, Result, page};
use serde::Serialize;
use store::records::rule::all_rules;

pub(crate) const KIND: Kind = Kind {
    name: "outcome",
    title: "Outcome",
    listing: "GetOutcomes",
    page: 100,
    quota: |quotas| quotas.outcomes,
};
use crate::operations::simple_resources::{Get, Put};

pub(crate) async fn put(services: &Services, input: Put) -> Result<Empty> {
    simple_resources::put(services, &KIND, input)
        .await
        .map(|()| Empty {})
}

pub(crate) async fn get(services: &Services, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "outcomes",
        simple_resources::get(services, &KIND, input).await?,
    ))
}

/// Deletes an outcome. Rejected while a rule version has it.
pub(crate) async fn delete(services: &Services, input: ByName) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let rules = all_rules(&change).await?;
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
    simple_resources::delete(&KIND, &mut change, &input.name).await?;
    services.account.commit(change).await.map(|()| Empty {})
}
