//! External models: SageMaker endpoints, what is sent to them, and which variables get their answers.

use std::collections::BTreeMap;

use protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::records::tags::Tags;
use crate::table::{Key, KeyRange, StoredRecord};

pub const EXTERNAL_MODEL_PARTITION: &str = "external-model";

/// Whether detector versions may use the external model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExternalModelStatus {
    Associated,
    Dissociated,
}

/// An external model as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalModel {
    pub model_endpoint: String,
    pub model_source: String,
    pub invoke_model_endpoint_role_arn: String,
    pub input_configuration: InputConfiguration,
    pub output_configuration: OutputConfiguration,
    pub model_endpoint_status: ExternalModelStatus,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StoredRecord for ExternalModel {
    fn key(&self) -> Key {
        external_model_key(&self.model_endpoint)
    }
}

pub fn external_model_key(endpoint: &str) -> Key {
    Key::new(EXTERNAL_MODEL_PARTITION, endpoint)
}

/// The error for an external model that does not exist.
pub fn missing_external_model(endpoint: &str) -> Error {
    Error::not_found(format!("External model '{endpoint}' does not exist."))
}

/// An external model that writes to this variable, if there is one.
pub async fn find_external_model_using_variable(
    change: &Change<'_>,
    variable: &str,
) -> Result<Option<String>> {
    let all: Vec<ExternalModel> = change
        .query(KeyRange::all(EXTERNAL_MODEL_PARTITION))
        .await?;
    let user = all.into_iter().find(|model| {
        model
            .output_configuration
            .variables()
            .any(|v| v == variable)
    });
    Ok(user.map(|model| model.model_endpoint))
}

/// How the request to an endpoint is built.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<InputFormat>,
    pub use_event_variables: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_input_template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv_input_template: Option<String>,
}

/// The format of the request to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InputFormat {
    TextCsv,
    ApplicationJson,
}

impl InputFormat {
    /// The media type of the format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::TextCsv => "text/csv",
            Self::ApplicationJson => "application/json",
        }
    }
}

impl InputConfiguration {
    /// The template of the format that is used; `None` if the caller sends the bytes.
    pub fn template(&self) -> Result<Option<&str>> {
        if !self.use_event_variables {
            return Ok(None);
        }
        let (template, member) = match self.format {
            Some(InputFormat::TextCsv) => (&self.csv_input_template, "csvInputTemplate"),
            Some(InputFormat::ApplicationJson) => (&self.json_input_template, "jsonInputTemplate"),
            None => {
                return Err(Error::validation(
                    "An inputConfiguration with useEventVariables needs a format.",
                ));
            }
        };
        let template = template.as_deref().ok_or_else(|| {
            Error::validation(format!(
                "The format of the inputConfiguration needs a {member}."
            ))
        })?;
        Ok(Some(template))
    }
}

/// Which part of an answer is written to which variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputConfiguration {
    pub format: OutputFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_key_to_variable_map: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv_index_to_variable_map: Option<BTreeMap<String, String>>,
}

/// The format of the answer of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutputFormat {
    TextCsv,
    ApplicationJsonlines,
}

impl OutputConfiguration {
    pub fn variables_by_name(&self) -> Option<&BTreeMap<String, String>> {
        match self.format {
            OutputFormat::TextCsv => self.csv_index_to_variable_map.as_ref(),
            OutputFormat::ApplicationJsonlines => self.json_key_to_variable_map.as_ref(),
        }
    }

    /// The variables that are set from an answer.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables_by_name()
            .into_iter()
            .flatten()
            .map(|(_, name)| name.as_str())
    }

    /// Checks that there is a map for the format.
    pub fn check_format(&self) -> Result<()> {
        let member = match self.format {
            OutputFormat::TextCsv => "csvIndexToVariableMap",
            OutputFormat::ApplicationJsonlines => "jsonKeyToVariableMap",
        };
        let map = self
            .variables_by_name()
            .filter(|map| !map.is_empty())
            .ok_or_else(|| {
                Error::validation(format!(
                    "The format of the outputConfiguration needs a {member}."
                ))
            })?;
        let is_index = |key: &String| key.parse::<usize>().is_ok();
        if self.format == OutputFormat::TextCsv
            && let Some(key) = map.keys().find(|key| !is_index(key))
        {
            return Err(Error::validation(format!(
                "The csvIndexToVariableMap maps the index of a column, which counts from 0, not '{key}'."
            )));
        }
        Ok(())
    }
}
