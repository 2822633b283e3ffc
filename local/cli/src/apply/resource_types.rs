//! The resource types of `AWS::FraudDetector` and the properties they take.

use crate::cloudformation::evaluator::ArnForm;
use event::{
    DetectorId, EntityTypeName, EventTypeName, InvalidName, LabelName, ListName, OutcomeName,
    VariableName,
};

/// A type of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    EntityType,
    Label,
    Outcome,
    Variable,
    List,
    EventType,
    Detector,
}

/// The properties that a map needs and may have.
pub(super) struct Shape {
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
}

const NAMED: Shape = Shape {
    required: &["Name"],
    optional: &["Description", "Tags"],
};
const VARIABLE: Shape = Shape {
    required: &["Name", "DataType", "DataSource", "DefaultValue"],
    optional: &["VariableType", "Description", "Tags"],
};
const LIST: Shape = Shape {
    required: &["Name"],
    optional: &["Elements", "VariableType", "Description", "Tags"],
};
const EVENT_TYPE: Shape = Shape {
    required: &["Name", "EventVariables", "Labels", "EntityTypes"],
    optional: &["Description", "Tags"],
};
const DETECTOR: Shape = Shape {
    required: &["DetectorId", "EventType", "Rules"],
    optional: &[
        "DetectorVersionStatus",
        "RuleExecutionMode",
        "AssociatedModels",
        "Description",
        "Tags",
    ],
};

/// A rule inside a detector.
pub(super) const RULE: Shape = Shape {
    required: &["RuleId", "DetectorId", "Expression", "Language", "Outcomes"],
    optional: &["Description", "Tags"],
};
/// The metadata of an event type.
pub(super) const EVENT_TYPE_METADATA: Shape = Shape {
    required: &[],
    optional: &["EventIngestion", "EventOrchestration"],
};
pub(super) const ORCHESTRATION: Shape = Shape {
    required: &["EventBridgeEnabled"],
    optional: &[],
};
/// The metadata of a variable.
pub(super) const VARIABLE_METADATA: Shape = Shape {
    required: &["DataType"],
    optional: &[],
};
pub(super) const TAG: Shape = Shape {
    required: &["Key", "Value"],
    optional: &[],
};
/// A model of a detector.
pub(super) const MODEL: Shape = Shape {
    required: &["Arn"],
    optional: &[],
};
pub(super) const REFERENCE: Shape = Shape {
    required: &["Arn"],
    optional: &["Inline", "Name"],
};

impl Kind {
    const ALL: [Self; 7] = [
        Self::EntityType,
        Self::Label,
        Self::Outcome,
        Self::Variable,
        Self::List,
        Self::EventType,
        Self::Detector,
    ];

    /// The type with the CloudFormation name.
    pub(super) fn of(cloudformation: &str) -> Option<Self> {
        let name = cloudformation.strip_prefix("AWS::FraudDetector::")?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.cloudformation() == name)
    }

    pub(super) fn cloudformation(self) -> &'static str {
        match self {
            Self::EntityType => "EntityType",
            Self::Label => "Label",
            Self::Outcome => "Outcome",
            Self::Variable => "Variable",
            Self::List => "List",
            Self::EventType => "EventType",
            Self::Detector => "Detector",
        }
    }

    /// Its name in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::EntityType => "entity type",
            Self::Label => "label",
            Self::Outcome => "outcome",
            Self::Variable => "variable",
            Self::List => "list",
            Self::EventType => "event type",
            Self::Detector => "detector",
        }
    }

    /// Its name in an ARN.
    pub(super) fn arn_word(self) -> &'static str {
        match self {
            Self::EntityType => "entity-type",
            Self::EventType => "event-type",
            _ => self.word(),
        }
    }

    /// How the ARNs of the resources of a type are written, by the type's name in CloudFormation.
    pub(super) fn find_arn_form(cloudformation: &str) -> Option<ArnForm> {
        let kind = Self::of(cloudformation)?;
        Some(ArnForm {
            service: "frauddetector",
            word: kind.arn_word(),
            name_property: kind.key(),
        })
    }

    /// Its name in messages, with an article.
    pub(super) fn a(self) -> String {
        let word = self.word();
        let article = if word.starts_with(['e', 'o']) {
            "an"
        } else {
            "a"
        };
        format!("{article} {word}")
    }

    /// The property with its name.
    pub(super) fn key(self) -> &'static str {
        if self == Self::Detector {
            "DetectorId"
        } else {
            "Name"
        }
    }

    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::EntityType | Self::Label | Self::Outcome => &NAMED,
            Self::Variable => &VARIABLE,
            Self::List => &LIST,
            Self::EventType => &EVENT_TYPE,
            Self::Detector => &DETECTOR,
        }
    }

    /// Checks a name as the service does.
    pub(super) fn check(self, name: &str) -> Result<(), InvalidName> {
        match self {
            Self::EntityType => EntityTypeName::try_from(name).map(drop),
            Self::Label => LabelName::try_from(name).map(drop),
            Self::Outcome => OutcomeName::try_from(name).map(drop),
            Self::Variable => VariableName::check_definition(name),
            Self::List => ListName::try_from(name).map(drop),
            Self::EventType => EventTypeName::try_from(name).map(drop),
            Self::Detector => DetectorId::try_from(name).map(drop),
        }
    }
}

/// The CloudFormation types, as an error lists them.
pub(super) fn types() -> String {
    let names = Kind::ALL.map(|kind| format!("AWS::FraudDetector::{}", kind.cloudformation()));
    names.join(", ")
}
