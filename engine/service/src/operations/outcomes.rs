//! Outcomes: what rules say about an event.

use serde::Serialize;

use super::named::{self, Get, Kind, Put};
use super::{ByName, Empty, page, rules};
use crate::engine::Engine;
use protocol::{Error, Result};

pub(crate) const KIND: Kind = Kind {
    name: "outcome",
    title: "Outcome",
    listing: "GetOutcomes",
    page: 100,
    quota: |quotas| quotas.outcomes,
};

pub(crate) async fn put(engine: &Engine, input: Put) -> Result<Empty> {
    named::put(engine, &KIND, input).await.map(|()| Empty {})
}

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<impl Serialize + use<>> {
    Ok(page::output(
        "outcomes",
        named::get(engine, &KIND, input).await?,
    ))
}

/// Refused while a rule version has the outcome.
pub(crate) async fn delete(engine: &Engine, input: ByName) -> Result<Empty> {
    let mut change = engine.change().await?;
    let rules = rules::all(&change).await?;
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
    named::delete(&KIND, &mut change, &input.name).await?;
    engine.commit(change).await.map(|()| Empty {})
}
