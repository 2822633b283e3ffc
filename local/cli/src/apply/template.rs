//! What a detector is to be: a CloudFormation template, read and checked.

use std::path::Path;

use rules::Type;

use super::Error;
use super::problem::{InvalidTemplate, Place};
use super::read;

/// What the Fraud Detector resources of a template say, with every reference resolved to a name.
///
/// The file is CloudFormation as it is: `AWS::FraudDetector::*` resources, their members inline or
/// referenced. What CloudFormation has no property for stands in the template's metadata:
/// ```yaml
/// Metadata:
///   fraudstream:
///     EventTypes:
///       order: {EventIngestion: ENABLED, EventOrchestration: {EventBridgeEnabled: false}}
///     Variables:
///       signed_up_at: {DataType: DATETIME}
/// ```
/// A description or an `Elements` that the file does not give is left as it is where it exists.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pub(crate) file: String,
    pub(crate) entity_types: Vec<Named>,
    pub(crate) labels: Vec<Named>,
    pub(crate) outcomes: Vec<Named>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) lists: Vec<List>,
    pub(crate) event_types: Vec<EventType>,
    pub(crate) detectors: Vec<Detector>,
}

impl Template {
    /// Reads a template from a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&file, &text)?),
            Err(source) => Err(Error::Unreadable { file, source }),
        }
    }

    /// Parses a template; `file` is its name in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, InvalidTemplate> {
        read::template(file, text).map_err(|problems| InvalidTemplate::new(file, problems))
    }
}

/// A tag: key and value.
pub(crate) type Tag = (String, String);

/// A label, an outcome or an entity type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "a variable type is AWS's word")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) source: String,
    pub(crate) default: String,
    pub(crate) variable_type: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List {
    pub(crate) name: String,
    pub(crate) elements: Option<Vec<String>>,
    pub(crate) variable_type: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) variables: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) entity_types: Vec<String>,
    pub(crate) ingestion: Option<bool>,
    pub(crate) orchestration: Option<bool>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Detector {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) rules: Vec<Rule>,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub(crate) mode: String,
    /// Whether its version is to decide.
    pub(crate) active: bool,
    pub(crate) models: Models,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

/// The models whose scores a detector version asks for. They are trained elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Models {
    pub(crate) versions: Vec<ModelVersion>,
    pub(crate) external: Vec<String>,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ModelVersion {
    pub(crate) ty: String,
    pub(crate) id: String,
    pub(crate) number: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) expression: String,
    /// Where the expression begins.
    pub(crate) at: Place,
    pub(crate) outcomes: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<Tag>,
}
