//! Variables: what an event may say, each with its type and default.

use ::rules::{Type, Value};
use event::VariableName;
use serde::{Deserialize, Serialize};

use super::page::{Listing, Page, Paging};
use super::tags::{Tag, Tags};
use super::{ByName, Empty, event_types, external_models, page};
use crate::bundle::BundledVariable;
use crate::engine::Engine;
use crate::store::{Change, Key, Record};
use protocol::text;
use protocol::{Error, Result};

const TEXTS: &[&str] = &["STRING"];
const NUMBERS: &[&str] = &["FLOAT", "INTEGER"];

/// The variable types and the data types each goes with.
const VARIABLE_TYPES: &[(&str, &[&str])] = &[
    ("ARE_CREDENTIALS_VALID", &["BOOLEAN"]),
    ("AUTH_CODE", TEXTS),
    ("AVS", TEXTS),
    ("BILLING_ADDRESS_L1", TEXTS),
    ("BILLING_ADDRESS_L2", TEXTS),
    ("BILLING_CITY", TEXTS),
    ("BILLING_COUNTRY", TEXTS),
    ("BILLING_NAME", TEXTS),
    ("BILLING_PHONE", TEXTS),
    ("BILLING_STATE", TEXTS),
    ("BILLING_ZIP", TEXTS),
    ("CARD_BIN", &["STRING", "INTEGER"]),
    ("CATEGORICAL", &["STRING", "BOOLEAN", "INTEGER"]),
    ("CURRENCY_CODE", TEXTS),
    ("DATETIME", &["DATETIME"]),
    ("EMAIL_ADDRESS", TEXTS),
    ("FINGERPRINT", TEXTS),
    ("FRAUD_LABEL", &["STRING", "BOOLEAN", "INTEGER"]),
    ("FREE_FORM_TEXT", TEXTS),
    ("IP_ADDRESS", TEXTS),
    ("NUMERIC", NUMBERS),
    ("ORDER_ID", TEXTS),
    ("PAYMENT_TYPE", TEXTS),
    ("PHONE_NUMBER", TEXTS),
    ("PRICE", &["FLOAT", "INTEGER", "STRING"]),
    ("PRODUCT_CATEGORY", TEXTS),
    ("SESSION_ID", TEXTS),
    ("SHIPPING_ADDRESS_L1", TEXTS),
    ("SHIPPING_ADDRESS_L2", TEXTS),
    ("SHIPPING_CITY", TEXTS),
    ("SHIPPING_COUNTRY", TEXTS),
    ("SHIPPING_NAME", TEXTS),
    ("SHIPPING_PHONE", TEXTS),
    ("SHIPPING_STATE", TEXTS),
    ("SHIPPING_ZIP", TEXTS),
    ("USERAGENT", TEXTS),
];

/// A variable as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) data_source: String,
    pub(crate) default_value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variable_type: Option<String>,
    last_updated_time: String,
    created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
}

impl Record for Variable {
    fn key(&self) -> Key {
        key(&self.name)
    }
}

impl Variable {
    /// The variable that a model's score is in.
    pub(crate) fn score(name: String, model_id: &str, now: &str) -> Self {
        Self {
            name,
            data_type: "FLOAT".to_owned(),
            data_source: "MODEL_SCORE".to_owned(),
            default_value: "0.0".to_owned(),
            description: Some(format!("The score of model {model_id}, 0 to 1000.")),
            variable_type: None,
            last_updated_time: now.to_owned(),
            created_time: now.to_owned(),
            tags: Tags::default(),
        }
    }

    /// As events, rules and models need it.
    pub(crate) fn bundled(&self) -> BundledVariable {
        BundledVariable {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            default_value: self.default_value.clone(),
        }
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new("variable", name)
}

/// A variable as answered: as stored, without tags, with its ARN.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Output {
    #[serde(flatten)]
    variable: Variable,
    arn: String,
}

impl Output {
    fn new(engine: &Engine, variable: Variable) -> Self {
        let arn = engine.arn("variable", &variable.name);
        Self {
            variable: Variable {
                tags: Tags::default(),
                ..variable
            },
            arn,
        }
    }
}

/// What makes a variable: the input of `CreateVariable`, or one entry of a batch.
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

pub(crate) async fn create(engine: &Engine, input: Create) -> Result<Empty> {
    let tags = Tags::new(input.tags)?;
    let mut change = engine.change().await?;
    let variable = checked(engine, input.entry, tags)?;
    add(engine, &mut change, &variable).await?;
    engine.commit(change).await.map(|()| Empty {})
}

pub(crate) async fn add(
    engine: &Engine,
    change: &mut Change<'_>,
    variable: &Variable,
) -> Result<()> {
    if change.get::<Variable>(&variable.key()).await?.is_some() {
        return Err(Error::validation(format!(
            "Variable '{}' already exists.",
            variable.name
        )));
    }
    change.count("variable", 1, engine.options.quotas.variables)?;
    change.put(variable)
}

/// Checks what the model does not say of a variable.
fn checked(engine: &Engine, entry: Entry, tags: Tags) -> Result<Variable> {
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
    let now = text::milliseconds(engine.now());
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

/// The default as rules see it. An empty time stands for none.
pub(crate) fn default_value(ty: Type, default: &str) -> Option<Value> {
    if default.is_empty() && ty == Type::DateTime {
        return Some(Value::Null);
    }
    Value::parse(ty, default).ok()
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

/// Whether a list may be of this variable type: only texts can be listed.
pub(crate) fn is_text_type(variable_type: &str) -> bool {
    VARIABLE_TYPES
        .iter()
        .any(|(known, types)| *known == variable_type && types.contains(&"STRING"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchCreate {
    variable_entries: Vec<Entry>,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Why one entry of a batch came to nothing.
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

/// Creates the entries that can be, and says of the others why not.
pub(crate) async fn batch_create(engine: &Engine, input: BatchCreate) -> Result<BatchCreateOutput> {
    let tags = Tags::new(input.tags)?;
    let mut change = engine.change().await?;
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for entry in input.variable_entries {
        let name = entry.name.clone().unwrap_or_default();
        let added = match checked(engine, entry, tags.clone()) {
            Ok(_) if seen.contains(&name) => Err(Error::validation(format!(
                "Variable '{name}' is in the request twice."
            ))),
            Ok(variable) => add(engine, &mut change, &variable).await,
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
    engine.commit(change).await?;
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

pub(crate) async fn update(engine: &Engine, input: Update) -> Result<Empty> {
    let mut change = engine.change().await?;
    let mut variable: Variable = change
        .get(&key(&input.name))
        .await?
        .ok_or_else(|| missing(&input.name))?;
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
    variable.last_updated_time = text::milliseconds(engine.now());
    event_types::resolve_again(engine, &mut change, &variable).await?;
    // Last: see `Change::commit`.
    change.put(&variable)?;
    engine.commit(change).await.map(|()| Empty {})
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("Variable '{name}' does not exist."))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Get {
    name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

pub(crate) async fn get(engine: &Engine, input: Get) -> Result<impl Serialize + use<>> {
    let page: Page<Variable> = if let Some(name) = &input.name {
        let found = engine.definitions.get(&key(name)).await?;
        Page::one(found.ok_or_else(|| missing(name))?)
    } else {
        let listing = Listing {
            operation: "GetVariables",
            filters: "",
            pk: "variable",
            prefix: "",
            usual: 100,
        };
        listing.page(engine, &input.paging).await?
    };
    Ok(page::output(
        "variables",
        page.map(|variable| Output::new(engine, variable)),
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

pub(crate) async fn batch_get(engine: &Engine, input: BatchGet) -> Result<BatchGetOutput> {
    let mut names = Vec::new();
    for name in input.names {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let keys: Vec<Key> = names.iter().map(|name| key(name)).collect();
    let mut found: Vec<Variable> = engine.definitions.many(&keys).await?;
    let mut output = BatchGetOutput {
        variables: Vec::new(),
        errors: Vec::new(),
    };
    for name in names {
        let at = found.iter().position(|variable| variable.name == name);
        if let Some(at) = at {
            let variable = found.swap_remove(at);
            output.variables.push(Output::new(engine, variable));
        } else {
            let error = missing(&name);
            output.errors.push(EntryError::new(name, &error));
        }
    }
    Ok(output)
}

/// Refused while an event type includes it, a model made it or an external model answers into it.
pub(crate) async fn delete(engine: &Engine, input: ByName) -> Result<Empty> {
    let mut change = engine.change().await?;
    let Some(variable) = change.get::<Variable>(&key(&input.name)).await? else {
        return Ok(Empty {});
    };
    if variable.data_source == "MODEL_SCORE" {
        let message = format!(
            "Variable '{}' belongs to a model and goes with it.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    let types = event_types::all(&change).await?;
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
    if let Some(user) = external_models::user_of(&change, &variable.name).await? {
        let message = format!(
            "Variable '{}' holds the answer of external model '{user}'.",
            variable.name
        );
        return Err(Error::conflict(message));
    }
    change.count("variable", -1, usize::MAX)?;
    change.delete(variable.key());
    engine.commit(change).await.map(|()| Empty {})
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
