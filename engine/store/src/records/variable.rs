//! Variables, which events have and rules and models use.

use ::rules::{InvalidValue, Type, Value};
use protocol::Error;
use serde::{Deserialize, Serialize};

use crate::records::tags::Tags;
use crate::table::{Key, StoredRecord};

/// A variable as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredVariable {
    pub name: String,
    pub data_type: String,
    pub data_source: String,
    pub default_value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable_type: Option<String>,
    pub last_updated_time: String,
    pub created_time: String,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl StoredRecord for StoredVariable {
    fn key(&self) -> Key {
        variable_key(&self.name)
    }
}

impl StoredVariable {
    /// The variable that holds a model's score.
    pub fn new_score(name: String, model_id: &str, now: &str) -> Self {
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

    /// The part of it that events, rules and models need.
    pub fn to_bundled(&self) -> BundledVariable {
        BundledVariable {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            default_value: self.default_value.clone(),
        }
    }
}

pub fn variable_key(name: &str) -> Key {
    Key::new("variable", name)
}

/// The error for a variable that does not exist.
pub fn missing_variable(name: &str) -> Error {
    Error::not_found(format!("Variable '{name}' does not exist."))
}

/// A variable as events and rules need it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledVariable {
    pub name: String,
    pub data_type: String,
    pub default_value: String,
}

impl BundledVariable {
    /// Its type in rules; it was checked when the variable was created.
    pub fn rule_type(&self) -> Type {
        self.data_type.parse().unwrap_or(Type::String)
    }

    /// Its default as a value for rules; it was checked when the variable was created.
    pub fn default(&self) -> Result<Value, InvalidValue> {
        Value::parse_default(self.rule_type(), &self.default_value)
    }
}
