//! Variables: the values that an event may have, each with its type and default.

use ::rules::{Type, Value};
use event::VariableName;
use protocol::page::{Page, PageRequest};
use protocol::variable_types::VARIABLE_TYPES;
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::event_type::list_event_types;
use store::records::external_model::find_external_model_using_variable;
use store::records::model::{find_model, find_score_model_id};
use store::records::tags::{Tag, Tags};
use store::records::variable::{StoredVariable, missing_variable, variable_key};
use store::table::{Key, StoredRecord as _};

use crate::operations::{EmptyOutput, NameInput, event_types};
use crate::services::EngineServices;

/// A variable in the answer: as stored, without tags, with its ARN.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VariableOutput {
    #[serde(flatten)]
    variable: StoredVariable,
    arn: String,
}

impl VariableOutput {
    fn new(services: &EngineServices, variable: StoredVariable) -> Self {
        let arn = services.account.arn("variable", &variable.name);
        Self {
            variable: StoredVariable {
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
pub(crate) struct VariableEntry {
    name: Option<String>,
    data_type: Option<String>,
    data_source: Option<String>,
    default_value: Option<String>,
    description: Option<String>,
    variable_type: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateVariableInput {
    #[serde(flatten)]
    entry: VariableEntry,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(crate) async fn create_variable(
    services: &EngineServices,
    input: CreateVariableInput,
) -> Result<EmptyOutput> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.begin_change().await?;
    let variable = check_variable(services, input.entry, tags)?;
    add_variable(services, &mut change, &variable).await?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

pub(crate) async fn add_variable(
    services: &EngineServices,
    change: &mut Change<'_>,
    variable: &StoredVariable,
) -> Result<()> {
    if change
        .get::<StoredVariable>(&variable.key())
        .await?
        .is_some()
    {
        return Err(Error::validation(format!(
            "Variable '{}' already exists.",
            variable.name
        )));
    }
    change.count_resources("variable", 1, services.account.options.quotas.variables)?;
    change.put(variable)
}

/// Checks what the service model does not state about a variable.
fn check_variable(
    services: &EngineServices,
    entry: VariableEntry,
    tags: Tags,
) -> Result<StoredVariable> {
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
    check_data_source(&name, &data_source, &data_type)?;
    check_default_value(&name, &data_type, &default_value)?;
    check_variable_type(&name, &data_type, entry.variable_type.as_deref())?;
    let now = text::format_milliseconds(services.account.now());
    Ok(StoredVariable {
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

/// A variable for a model's score may be created before its model, as at Amazon; `CreateModel` then uses it.
fn check_data_source(name: &str, source: &str, data_type: &str) -> Result<()> {
    match source {
        "EVENT" | "EXTERNAL_MODEL_SCORE" => Ok(()),
        "MODEL_SCORE" if data_type == "FLOAT" => Ok(()),
        "MODEL_SCORE" => Err(Error::validation(format!(
            "Variable '{name}' with the data source MODEL_SCORE must have the data type FLOAT."
        ))),
        _ => Err(Error::validation(format!(
            "Variable '{name}' has no valid data source: expected EVENT, MODEL_SCORE or EXTERNAL_MODEL_SCORE."
        ))),
    }
}

fn check_default_value(name: &str, data_type: &str, default: &str) -> Result<()> {
    let ty: Type = data_type.parse().map_err(|error| {
        Error::validation(format!(
            "Variable '{name}' has no valid data type: {error}."
        ))
    })?;
    match Value::parse_default(ty, default) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::validation(format!(
            "The default value of variable '{name}' is not a valid {ty}."
        ))),
    }
}

fn check_variable_type(name: &str, data_type: &str, variable_type: Option<&str>) -> Result<()> {
    let Some(variable_type) = variable_type else {
        return Ok(());
    };
    let row = VARIABLE_TYPES
        .iter()
        .find(|(known, _)| *known == variable_type);
    let Some((_, data_types)) = row else {
        let known = text::join_names(VARIABLE_TYPES.iter().map(|(known, _)| *known));
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
pub(crate) struct BatchCreateVariableInput {
    variable_entries: Vec<VariableEntry>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Why one entry of a batch was not created.
#[derive(Debug, Serialize)]
pub(crate) struct BatchCreateVariableError {
    name: String,
    code: u16,
    message: String,
}

impl BatchCreateVariableError {
    fn new(name: String, error: &Error) -> Self {
        Self {
            name,
            code: error.code().status().as_u16(),
            message: error.message().to_owned(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchCreateVariableOutput {
    errors: Vec<BatchCreateVariableError>,
}

/// Creates the valid entries, and returns an error for each of the others.
pub(crate) async fn batch_create_variable(
    services: &EngineServices,
    input: BatchCreateVariableInput,
) -> Result<BatchCreateVariableOutput> {
    let tags = Tags::new(input.tags)?;
    let mut change = services.account.begin_change().await?;
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for entry in input.variable_entries {
        let name = entry.name.clone().unwrap_or_default();
        let added = match check_variable(services, entry, tags.clone()) {
            Ok(_) if seen.contains(&name) => Err(Error::validation(format!(
                "Variable '{name}' is in the request twice."
            ))),
            Ok(variable) => add_variable(services, &mut change, &variable).await,
            Err(error) => Err(error),
        };
        match added {
            Ok(()) => seen.push(name),
            Err(error) if error.code() == protocol::ErrorCode::Validation => {
                errors.push(BatchCreateVariableError::new(name, &error));
            }
            Err(error) => return Err(error),
        }
    }
    services.account.commit_change(change).await?;
    Ok(BatchCreateVariableOutput { errors })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UpdateVariableInput {
    name: String,
    default_value: Option<String>,
    description: Option<String>,
    variable_type: Option<String>,
}

pub(crate) async fn update_variable(
    services: &EngineServices,
    input: UpdateVariableInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let mut variable: StoredVariable = change
        .get(&variable_key(&input.name))
        .await?
        .ok_or_else(|| missing_variable(&input.name))?;
    if let Some(default) = input.default_value {
        check_default_value(&variable.name, &variable.data_type, &default)?;
        variable.default_value = default;
    }
    check_variable_type(
        &variable.name,
        &variable.data_type,
        input.variable_type.as_deref(),
    )?;
    variable.variable_type = input.variable_type.or(variable.variable_type);
    variable.description = input.description.or(variable.description);
    variable.last_updated_time = text::format_milliseconds(services.account.now());
    event_types::renew_event_type_bundles(services, &mut change, &variable).await?;
    // Written last, see `Change::commit`.
    change.put(&variable)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetVariablesInput {
    name: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

pub(crate) async fn get_variables(
    services: &EngineServices,
    input: GetVariablesInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<StoredVariable> = if let Some(name) = &input.name {
        let found = services
            .account
            .definitions
            .get(&variable_key(name))
            .await?;
        Page::of_one_row(found.ok_or_else(|| missing_variable(name))?)
    } else {
        let listing = Listing {
            operation: "GetVariables",
            filters: "",
            pk: "variable",
            prefix: "",
            default_size: 100,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    Ok(page::make_page_output(
        "variables",
        page.map_rows(|variable| VariableOutput::new(services, variable)),
    ))
}

#[derive(Debug, Deserialize)]
pub(crate) struct BatchGetVariableInput {
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BatchGetVariableOutput {
    variables: Vec<VariableOutput>,
    errors: Vec<BatchCreateVariableError>,
}

pub(crate) async fn batch_get_variable(
    services: &EngineServices,
    input: BatchGetVariableInput,
) -> Result<BatchGetVariableOutput> {
    let mut names = Vec::new();
    for name in input.names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let keys: Vec<Key> = names.iter().map(|name| variable_key(name)).collect();
    let mut found: Vec<StoredVariable> = services.account.definitions.get_many(&keys).await?;
    let mut output = BatchGetVariableOutput {
        variables: Vec::new(),
        errors: Vec::new(),
    };
    for name in names {
        let at = found.iter().position(|variable| variable.name == name);
        if let Some(at) = at {
            let variable = found.swap_remove(at);
            output
                .variables
                .push(VariableOutput::new(services, variable));
        } else {
            let error = missing_variable(&name);
            output
                .errors
                .push(BatchCreateVariableError::new(name, &error));
        }
    }
    Ok(output)
}

/// Deletes a variable. Rejected while an event type includes it, it holds the score of a model, or an external model
/// writes to it.
pub(crate) async fn delete_variable(
    services: &EngineServices,
    input: NameInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let Some(variable) = change
        .get::<StoredVariable>(&variable_key(&input.name))
        .await?
    else {
        return Ok(EmptyOutput {});
    };
    if variable.data_source == "MODEL_SCORE"
        && let Some(model_id) = find_score_model_id(&variable.name)
        && find_model(&change, model_id).await?.is_some()
    {
        let message = format!(
            "Variable '{}' belongs to a model and goes with it.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    let types = list_event_types(&change).await?;
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
    if let Some(user) = find_external_model_using_variable(&change, &variable.name).await? {
        let message = format!(
            "Variable '{}' holds the answer of external model '{user}'.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    change.count_resources("variable", -1, usize::MAX)?;
    change.delete(variable.key());
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
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
            ("INTEGER", "<null>"),
        ] {
            assert!(
                check_default_value("v", ty, default).is_ok(),
                "{ty} {default}"
            );
        }
        for (ty, default) in [
            ("FLOAT", ""),
            ("INTEGER", "1.5"),
            ("TEXT", "a"),
            ("DATETIME", "today"),
        ] {
            assert!(
                check_default_value("v", ty, default).is_err(),
                "{ty} {default}"
            );
        }
    }

    #[test]
    fn a_variable_type_fixes_the_data_type() {
        assert!(check_variable_type("v", "FLOAT", Some("PRICE")).is_ok());
        assert!(check_variable_type("v", "FLOAT", None).is_ok());
        let error = check_variable_type("v", "FLOAT", Some("IP_ADDRESS")).unwrap_err();
        assert_eq!(
            error.message(),
            "Variable 'v' of variable type IP_ADDRESS must have the data type STRING."
        );
    }
}
