//! The parsed template.

use engine::find_normalizer;
use rules::{ListValues, Type};

use crate::cloudformation::problem::LineColumn;

/// The Fraud Detector resources of a template, with every reference resolved to a name.
///
/// The file is plain CloudFormation: `AWS::FraudDetector::*` resources, with parts defined inline or
/// referenced. Settings without a CloudFormation property are in the template's metadata:
/// ```yaml
/// Metadata:
///   fraudstream:
///     EventTypes:
///       order: {EventIngestion: ENABLED, EventOrchestration: {EventBridgeEnabled: false}}
///     Variables:
///       signed_up_at: {DataType: DATETIME}
/// ```
/// If the file has no description or no `Elements`, existing ones are left as they are.
#[derive(Clone, Debug, Default)]
pub struct DetectorTemplate {
    pub(crate) file: String,
    /// What the template has that is not applied.
    pub(crate) notes: Vec<String>,
    pub(crate) entity_types: Vec<NamedResource>,
    pub(crate) labels: Vec<NamedResource>,
    pub(crate) outcomes: Vec<NamedResource>,
    pub(crate) variables: Vec<VariableResource>,
    pub(crate) lists: Vec<ListResource>,
    pub(crate) event_types: Vec<EventTypeResource>,
    pub(crate) detectors: Vec<DetectorResource>,
}

impl DetectorTemplate {
    /// The variables of the detector's event type; all variables of events if the file does not define the type.
    pub(crate) fn event_variables(
        &self,
        detector: &DetectorResource,
    ) -> impl Iterator<Item = &VariableResource> {
        let mut event_types = self.event_types.iter();
        let event_type = event_types.find(|event_type| event_type.name == detector.event_type);
        self.variables
            .iter()
            .filter(|variable| variable.source == "EVENT")
            .filter(move |variable| {
                event_type.is_none_or(|event_type| event_type.variables.contains(&variable.name))
            })
    }

    /// The scores and outputs of models that rules of the detector may read, with their types.
    pub(crate) fn score_variables(&self, detector: &DetectorResource) -> Vec<(String, Type)> {
        let outputs = self.variables.iter();
        let outputs = outputs.filter(|variable| variable.source != "EVENT");
        let outputs = outputs.map(|variable| (variable.name.clone(), variable.ty));
        // The service makes this variable when a model is created.
        let models = detector.models.versions.iter();
        let scores = models.map(|model| (format!("{}_insightscore", model.id), Type::Float));
        outputs.chain(scores).collect()
    }
}

impl ListResource {
    /// The elements, as rules compare them; `None` if the file does not give them, because they are kept at the service.
    pub(crate) fn values(&self) -> Option<ListValues> {
        let elements = self.elements.as_ref()?;
        let normal = self.variable_type.as_deref().and_then(find_normalizer);
        Some(match normal {
            Some(normal) => ListValues::normalized(normal, elements),
            None => elements.iter().collect(),
        })
    }
}

/// A tag: key and value.
pub(crate) type ResourceTag = (String, String);

/// A label, an outcome or an entity type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedResource {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct VariableResource {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) source: String,
    pub(crate) default: String,
    pub(crate) variable_type: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListResource {
    pub(crate) name: String,
    pub(crate) elements: Option<Vec<String>>,
    pub(crate) variable_type: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventTypeResource {
    pub(crate) name: String,
    pub(crate) variables: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) entity_types: Vec<String>,
    pub(crate) ingestion: Option<bool>,
    pub(crate) orchestration: Option<bool>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DetectorResource {
    pub(crate) id: String,
    pub(crate) event_type: String,
    pub(crate) rules: Vec<RuleResource>,
    /// `FIRST_MATCHED` or `ALL_MATCHED`.
    pub(crate) mode: String,
    /// Whether its version is to be active.
    pub(crate) active: bool,
    pub(crate) models: AssociatedModels,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}

/// The models whose scores a detector version uses. They are not trained by the template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AssociatedModels {
    pub(crate) versions: Vec<AssociatedModelVersion>,
    pub(crate) external: Vec<String>,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AssociatedModelVersion {
    pub(crate) ty: String,
    pub(crate) id: String,
    pub(crate) number: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RuleResource {
    pub(crate) id: String,
    pub(crate) expression: String,
    /// Where the expression starts.
    pub(crate) at: LineColumn,
    pub(crate) outcomes: Vec<String>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Vec<ResourceTag>,
}
