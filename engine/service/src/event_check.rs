//! Validation of a request's event against its event type.

use ::rules::Value;
use event::Timestamp;
use protocol::{Error, Result, text};
use store::pinned_bundles::EventTypeBundle;
use store::records::event::{EventEntity, EventVariables};
use store::records::variable::BundledVariable;

/// Checks an event against its type and converts it to the row that rules read.
pub(crate) fn fill_event_row(
    event_type: &EventTypeBundle,
    defaults: Vec<Value>,
    variables: &EventVariables,
    slot: impl Fn(&str) -> Option<usize>,
) -> Result<Vec<Value>> {
    let mut row = defaults;
    for (name, value) in variables {
        let found = slot(name).and_then(|slot| Some((slot, event_type.variables.get(slot)?)));
        let Some((slot, variable)) = found else {
            let message = format!(
                "Variable '{name}' is not included in event type '{}'.",
                event_type.name
            );
            return Err(Error::validation(message));
        };
        row[slot] = match value {
            Some(value) => parse_variable_value(variable, value)?,
            None => Value::Null,
        };
    }
    Ok(row)
}

fn parse_variable_value(variable: &BundledVariable, value: &str) -> Result<Value> {
    let ty = variable.rule_type();
    Value::parse(ty, value).map_err(|_| {
        Error::validation(format!(
            "Value of variable '{}' is not a valid {ty}.",
            variable.name
        ))
    })
}

pub(crate) fn check_entities(event_type: &EventTypeBundle, entities: &[EventEntity]) -> Result<()> {
    if entities.is_empty() {
        return Err(Error::validation("An event needs at least one entity."));
    }
    let known = |entity: &EventEntity| event_type.entity_types.contains(&entity.entity_type);
    match entities.iter().find(|entity| !known(entity)) {
        None => Ok(()),
        Some(EventEntity { entity_type, .. }) => Err(Error::validation(format!(
            "Entity type '{entity_type}' is not included in event type '{}'.",
            event_type.name
        ))),
    }
}

pub(crate) fn parse_event_time(member: &str, text: &str) -> Result<Timestamp> {
    Timestamp::parse_request(text).map_err(|error| invalid_time_error(member, &error))
}

/// Converts a time of a request to the engine's own format.
pub(crate) fn parse_request_time(member: &str, text: &str) -> Result<String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(text::format_milliseconds(time));
    }
    let time = Timestamp::parse(text).map_err(|error| invalid_time_error(member, &error))?;
    Ok(text::format_milliseconds(time.to_jiff()))
}

pub(crate) fn invalid_time_error(member: &str, error: &event::InvalidTimestamp) -> Error {
    Error::validation(format!("'{member}' is not a valid timestamp: {error}."))
}
