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
    pub(super) file: String,
    pub(super) entity_types: Vec<Named>,
    pub(super) labels: Vec<Named>,
    pub(super) outcomes: Vec<Named>,
    pub(super) variables: Vec<Variable>,
    pub(super) lists: Vec<List>,
    pub(super) event_types: Vec<EventType>,
    pub(super) detectors: Vec<Detector>,
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
pub(super) type Tag = (String, String);

/// A label, an outcome or an entity type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "a variable type is AWS's word")]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) source: String,
    pub(super) default: String,
    pub(super) variable_type: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) elements: Option<Vec<String>>,
    pub(super) variable_type: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventType {
    pub(super) name: String,
    pub(super) variables: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) entity_types: Vec<String>,
    pub(super) ingestion: Option<bool>,
    pub(super) orchestration: Option<bool>,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Detector {
    pub(super) id: String,
    pub(super) event_type: String,
    pub(super) rules: Vec<Rule>,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub(super) mode: String,
    /// Whether its version is to decide.
    pub(super) active: bool,
    pub(super) models: Models,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

/// The models whose scores a detector version asks for. They are trained elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Models {
    pub(super) versions: Vec<ModelVersion>,
    pub(super) external: Vec<String>,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ModelVersion {
    pub(super) ty: String,
    pub(super) id: String,
    pub(super) number: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) expression: String,
    /// Where the expression begins.
    pub(super) at: Place,
    pub(super) outcomes: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}
