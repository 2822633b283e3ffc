//! Variables: the values that an event may have, each with its type and default.

use crate::operations::{ByName, Empty, event_types};
use crate::services::Services;
use ::rules::Type;
use event::VariableName;
use protocol::page::{Page, Paging};
use protocol::variable_types::VARIABLE_TYPES;
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::event_type::all_event_types;
use store::records::external_model::external_model_using_variable;
use store::records::tags::{Tag, Tags};
use store::records::variable::{Variable, default_value, missing_variable, variable_key};
use store::table::Key;
use store::table::Record as _;

/// A variable in the answer: as stored, without tags, with its ARN.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    #[serde(flatten)]
    variable: Variable,
    arn: String,
}

impl Output {
    fn new(services: &Services, variable: Variable) -> Self {
        let arn = services.account.arn("variable", &variable.name);
        Self {
            variable: Variable {
                tags: Tags::default(),
                ..variable
            },
            arn,
        }
    }
}

/// A new variable: the input of `CreateVariable`, or one entry of a batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    name: Option<String>,
    data_type: Option<String>,
    data_source: Option<String>,
    default_value: Option<String>,
    description: Option<String>,
    variable_type: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    #[serde(flatten)]
    entry: Entry,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) async fn create(services: &Services, input: Create) -> Result<Empty> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.change().await?;
    let variable = checked(services, input.entry, tags)?;
    add(services, &mut change, &variable).await?;
    services.account.commit(change).await.map(|()| Empty {})
}

pub(crate) async fn add(
    services: &Services,
    change: &mut Change<'_>,
    variable: &Variable,
) -> Result<()> {
    if change.get::<Variable>(&variable.key()).await?.is_some() {
        return Err(Error::validation(format!(
            "Variable '{}' already exists.",
            variable.name
        )));
    }
    change.count("variable", 1, services.account.options.quotas.variables)?;
    change.put(variable)
}

/// Checks what the service model does not state about a variable.
fn checked(services: &Services, entry: Entry, tags: Tags) -> Result<Variable> {
    let required = |value: Option<String>, member: &str| {
        value.ok_or_else(|| Error::validation(format!("The variable has no {member}.")))
    };
    let name = required(entry.name, "name")?;
    if let Err(error) = VariableName::check_definition(&name) {
        return Err(Error::validation(format!(
            "The variable cannot be created: {error}."
        )));
    }
    let data_type = required(entry.data_type, "dataType")?;
    let data_source = required(entry.data_source, "dataSource")?;
    let default_value = required(entry.default_value, "defaultValue")?;
    check_source(&name, &data_source)?;
    check_default(&name, &data_type, &default_value)?;
    check_type(&name, &data_type, entry.variable_type.as_deref())?;
    let now = text::milliseconds(services.account.now());
    Ok(Variable {
        name,
        data_type,
        data_source,
        default_value,
        description: entry.description,
        variable_type: entry.variable_type,
        last_updated_time: now.clone(),
        created_time: now,
        tags,
    })
}

fn check_source(name: &str, source: &str) -> Result<()> {
    match source {
        "EVENT" | "EXTERNAL_MODEL_SCORE" => Ok(()),
        "MODEL_SCORE" => Err(Error::validation(format!(
            "Variable '{name}' cannot have the data source MODEL_SCORE: such variables come with a model."
        ))),
        _ => Err(Error::validation(format!(
            "Variable '{name}' has no valid data source: expected EVENT or EXTERNAL_MODEL_SCORE."
        ))),
    }
}

fn check_default(name: &str, data_type: &str, default: &str) -> Result<()> {
    let ty: Type = data_type.parse().map_err(|error| {
        Error::validation(format!(
            "Variable '{name}' has no valid data type: {error}."
        ))
    })?;
    default_value(ty, default).map(|_| ()).ok_or_else(|| {
        Error::validation(format!(
            "The default value of variable '{name}' is not a valid {ty}."
        ))
    })
}

fn check_type(name: &str, data_type: &str, variable_type: Option<&str>) -> Result<()> {
    let Some(variable_type) = variable_type else {
        return Ok(());
    };
    let row = VARIABLE_TYPES
        .iter()
        .find(|(known, _)| *known == variable_type);
    let Some((_, data_types)) = row else {
        let known = text::names(VARIABLE_TYPES.iter().map(|(known, _)| *known));
        let message = format!("'{variable_type}' is not a variable type, expected one of {known}.");
        return Err(Error::validation(message));
    };
    if data_types.contains(&data_type) {
        return Ok(());
    }
    let wanted = data_types.join(" or ");
    let message = format!(
        "Variable '{name}' of variable type {variable_type} must have the data type {wanted}."
    );
    Err(Error::validation(message))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchCreate {
    variable_entries: Vec<Entry>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Why one entry of a batch was not created.
#[derive(Debug, Serialize)]
pub(crate) struct EntryError {
    name: String,
    code: u16,
    message: String,
}

impl EntryError {
    fn new(name: String, error: &Error) -> Self {
        Self {
            name,
            code: error.code().status().as_u16(),
            message: error.message().to_owned(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchCreateOutput {
    errors: Vec<EntryError>,
}

/// Creates the valid entries, and returns an error for each of the others.
pub(crate) async fn batch_create(
    services: &Services,
    input: BatchCreate,
) -> Result<BatchCreateOutput> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.change().await?;
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for entry in input.variable_entries {
        let name = entry.name.clone().unwrap_or_default();
        let added = match checked(services, entry, tags.clone()) {
            Ok(_) if seen.contains(&name) => Err(Error::validation(format!(
                "Variable '{name}' is in the request twice."
            ))),
            Ok(variable) => add(services, &mut change, &variable).await,
            Err(error) => Err(error),
        };
        match added {
            Ok(()) => seen.push(name),
            Err(error) if error.code() == protocol::Code::Validation => {
                errors.push(EntryError::new(name, &error));
            }
            Err(error) => return Err(error),
        }
    }
    services.account.commit(change).await?;
    Ok(BatchCreateOutput { errors })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Update {
    name: String,
    default_value: Option<String>,
    description: Option<String>,
    variable_type: Option<String>,
}

pub(crate) async fn update(services: &Services, input: Update) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let mut variable: Variable = change
        .get(&variable_key(&input.name))
        .await?
        .ok_or_else(|| missing_variable(&input.name))?;
    if let Some(default) = input.default_value {
        check_default(&variable.name, &variable.data_type, &default)?;
        variable.default_value = default;
    }
    check_type(
        &variable.name,
        &variable.data_type,
        input.variable_type.as_deref(),
    )?;
    variable.variable_type = input.variable_type.or(variable.variable_type);
    variable.description = input.description.or(variable.description);
    variable.last_updated_time = text::milliseconds(services.account.now());
    event_types::resolve_again(services, &mut change, &variable).await?;
    // Written last, see `Change::commit`.
    change.put(&variable)?;
    services.account.commit(change).await.map(|()| Empty {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct Get {
    name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

pub(crate) async fn get(services: &Services, input: Get) -> Result<impl Serialize + use<>> {
    let page: Page<Variable> = if let Some(name) = &input.name {
        let found = services
            .account
            .definitions
            .get(&variable_key(name))
            .await?;
        Page::one(found.ok_or_else(|| missing_variable(name))?)
    } else {
        let listing = Listing {
            operation: "GetVariables",
            filters: "",
            pk: "variable",
            prefix: "",
            usual: 100,
        };
        listing.page(&services.account, &input.paging).await?
    };
    Ok(page::output(
        "variables",
        page.map(|variable| Output::new(services, variable)),
    ))
}

#[derive(Debug, Deserialize)]
pub(crate) struct BatchGet {
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchGetOutput {
    variables: Vec<Output>,
    errors: Vec<EntryError>,
}

pub(crate) async fn batch_get(services: &Services, input: BatchGet) -> Result<BatchGetOutput> {
    let mut names = Vec::new();
    for name in input.names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let keys: Vec<Key> = names.iter().map(|name| variable_key(name)).collect();
    let mut found: Vec<Variable> = services.account.definitions.many(&keys).await?;
    let mut output = BatchGetOutput {
        variables: Vec::new(),
        errors: Vec::new(),
    };
    for name in names {
        let at = found.iter().position(|variable| variable.name == name);
        if let Some(at) = at {
            let variable = found.swap_remove(at);
            output.variables.push(Output::new(services, variable));
        } else {
            let error = missing_variable(&name);
            output.errors.push(EntryError::new(name, &error));
        }
    }
    Ok(output)
}

/// Deletes a variable. Rejected while an event type includes it, a model created it, or an external model writes to it.
pub(crate) async fn delete(services: &Services, input: ByName) -> Result<Empty> {
    let mut change = services.account.change().await?;
    let Some(variable) = change.get::<Variable>(&variable_key(&input.name)).await? else {
        return Ok(Empty {});
    };
    if variable.data_source == "MODEL_SCORE" {
        let message = format!(
            "Variable '{}' belongs to a model and goes with it.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    let types = all_event_types(&change).await?;
    if let Some(user) = types
        .iter()
        .find(|event_type| event_type.event_variables.contains(&variable.name))
    {
        let message = format!(
            "Variable '{}' is included in event type '{}'.",
            variable.name, user.name
        );
        return Err(Error::conflict(message));
    }
    if let Some(user) = external_model_using_variable(&change, &variable.name).await? {
        let message = format!(
            "Variable '{}' holds the answer of external model '{user}'.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    change.count("variable", -1, usize::MAX)?;
    change.delete(variable.key());
    services.account.commit(change).await.map(|()| Empty {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_of_the_data_type() {
        for (ty, default) in [
            ("STRING", ""),
            ("DATETIME", ""),
            ("FLOAT", "0.0"),
            ("BOOLEAN", "False"),
        ] {
            assert!(check_default("v", ty, default).is_ok(), "{ty} {default}");
        }
        for (ty, default) in [
            ("FLOAT", ""),
            ("INTEGER", "1.5"),
            ("TEXT", "a"),
            ("DATETIME", "today"),
        ] {
            assert!(check_default("v", ty, default).is_err(), "{ty} {default}");
        }
    }

    #[test]
    fn a_variable_type_fixes_the_data_type() {
        assert!(check_type("v", "FLOAT", Some("PRICE")).is_ok());
        assert!(check_type("v", "FLOAT", None).is_ok());
        let error = check_type("v", "FLOAT", Some("IP_ADDRESS")).unwrap_err();
        assert_eq!(
            error.message(),
            "Variable 'v' of variable type IP_ADDRESS must have the data type STRING."
        );
    }
}
