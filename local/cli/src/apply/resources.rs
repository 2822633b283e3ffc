//! Reads the properties of each resource type: one function per type.

use rules::{Type, Value};

use super::node::{Node, find};
use super::reader::{Members, Reader};
use super::shapes::{EVENT_TYPE_METADATA, Kind, ORCHESTRATION, REFERENCE, RULE, VARIABLE_METADATA};
use super::template::{
    Detector, EventType, List, ModelVersion, Models, Named, Rule, Tag, Variable,
};

/// The most characters of a description, except of a variable's.
const DESCRIPTION: usize = 128;
const VARIABLE_DESCRIPTION: usize = 256;
/// What the template's metadata may say under `fraudstream`.
const METADATA: &[&str] = &["EventTypes", "Variables"];

impl<'a> Reader<'a> {
    /// Reads a resource and returns its name.
    pub(super) fn resource(&mut self, kind: Kind, node: &'a Node, inline: bool) -> Option<String> {
        let members = self.properties(kind, node, inline)?;
        let name = self.define(kind, &members)?;
        let tags = self.tags(&members);
        match kind {
            Kind::Variable => self.variable(name.clone(), tags, &members),
            Kind::List => self.list(name.clone(), tags, &members),
            Kind::EventType => self.event_type(name.clone(), tags, &members),
            Kind::Detector => self.detector(name.clone(), tags, &members),
            Kind::EntityType | Kind::Label | Kind::Outcome => {
                self.named(kind, name.clone(), tags, &members);
            }
        }
        Some(name)
    }

    fn named(&mut self, kind: Kind, name: String, tags: Vec<Tag>, members: &Members<'a>) {
        let named = Named {
            name,
            description: self.description(members, DESCRIPTION),
            tags,
        };
        match kind {
            Kind::Label => self.template.labels.push(named),
            Kind::Outcome => self.template.outcomes.push(named),
            _ => self.template.entity_types.push(named),
        }
    }

    fn variable(&mut self, name: String, tags: Vec<Tag>, members: &Members<'a>) {
        let ty = members
            .get("DataType")
            .and_then(|node| self.data_type(node));
        let source = members
            .get("DataSource")
            .and_then(|node| self.word(node, &["EVENT", "EXTERNAL_MODEL_SCORE"]));
        let default = self.optional(members, "DefaultValue");
        let variable_type = self.optional(members, "VariableType");
        let description = self.description(members, VARIABLE_DESCRIPTION);
        let (Some(ty), Some(source), Some(default)) = (ty, source, default) else {
            return;
        };
        if let Some(node) = members.get("DefaultValue") {
            self.check_default(node, ty, &default);
        }
        self.template.variables.push(Variable {
            name,
            ty,
            source,
            default,
            variable_type,
            description,
            tags,
        });
    }

    fn data_type(&mut self, node: &'a Node) -> Option<Type> {
        match self.text(node)?.parse() {
            Ok(ty) => Some(ty),
            Err(error) => {
                self.problem(node.at, error.to_string());
                None
            }
        }
    }

    /// Checks that a default has the variable's type; an empty one is allowed for a time.
    fn check_default(&mut self, node: &Node, ty: Type, default: &str) {
        if default.is_empty() && ty == Type::DateTime {
            return;
        }
        if let Err(error) = Value::parse(ty, default) {
            self.problem(node.at, format!("the default is {error}"));
        }
    }

    fn list(&mut self, name: String, tags: Vec<Tag>, members: &Members<'a>) {
        let elements = members.get("Elements").map(|node| self.elements(node));
        let list = List {
            name,
            elements,
            variable_type: self.optional(members, "VariableType"),
            description: self.description(members, DESCRIPTION),
            tags,
        };
        self.template.lists.push(list);
    }

    fn elements(&mut self, node: &'a Node) -> Vec<String> {
        self.items(node)
            .iter()
            .filter_map(|item| self.text(item))
            .collect()
    }

    fn event_type(&mut self, name: String, tags: Vec<Tag>, members: &Members<'a>) {
        let mut names = |kind, key, least| {
            members
                .get(key)
                .map(|node| self.names(kind, node, least))
                .unwrap_or_default()
        };
        let variables = names(Kind::Variable, "EventVariables", 1);
        // CloudFormation wants two labels, a model does too.
        let labels = names(Kind::Label, "Labels", 2);
        let entity_types = names(Kind::EntityType, "EntityTypes", 1);
        let description = self.description(members, DESCRIPTION);
        let (ingestion, orchestration) = (None, None);
        let event_type = EventType {
            name,
            variables,
            labels,
            entity_types,
            ingestion,
            orchestration,
            description,
            tags,
        };
        self.template.event_types.push(event_type);
    }

    fn detector(&mut self, id: String, tags: Vec<Tag>, members: &Members<'a>) {
        let event_type = members
            .get("EventType")
            .and_then(|node| self.member(Kind::EventType, node));
        let rules = members
            .get("Rules")
            .map(|node| self.rules(&id, node))
            .unwrap_or_default();
        let mut word =
            |key, known: &[&str]| members.get(key).and_then(|node| self.word(node, known));
        let mode = word("RuleExecutionMode", &["FIRST_MATCHED", "ALL_MATCHED"]);
        let status = word("DetectorVersionStatus", &["DRAFT", "ACTIVE"]);
        let models = members
            .get("AssociatedModels")
            .map(|node| self.models(node))
            .unwrap_or_default();
        let detector = Detector {
            id,
            event_type: event_type.unwrap_or_default(),
            rules,
            mode: mode.unwrap_or_else(|| "FIRST_MATCHED".to_owned()),
            active: status.as_deref() == Some("ACTIVE"),
            models,
            description: self.description(members, DESCRIPTION),
            tags,
        };
        self.template.detectors.push(detector);
    }

    fn rules(&mut self, detector: &str, node: &'a Node) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for item in self.items(node) {
            let Some(rule) = self.rule(detector, item) else {
                continue;
            };
            if rules.iter().any(|known| known.id == rule.id) {
                self.problem(
                    item.at,
                    format!("rule `{}` is in the detector twice", rule.id),
                );
            }
            rules.push(rule);
        }
        rules
    }

    fn rule(&mut self, detector: &str, node: &'a Node) -> Option<Rule> {
        let members = self.members(node, "a rule", &RULE)?;
        let id = members.get("RuleId").and_then(|node| self.rule_id(node));
        let owner = self.optional(&members, "DetectorId");
        let expression = self.optional(&members, "Expression");
        members
            .get("Language")
            .and_then(|node| self.word(node, &["DETECTORPL"]));
        let outcomes = members
            .get("Outcomes")
            .map(|node| self.names(Kind::Outcome, node, 1))
            .unwrap_or_default();
        let id = id?;
        if let Some(owner) = owner.filter(|owner| owner != detector) {
            let at = members.get("DetectorId").map_or(members.at, |node| node.at);
            self.problem(
                at,
                format!("rule `{id}` names detector `{owner}`, but is in detector `{detector}`"),
            );
        }
        Some(Rule {
            id,
            expression: expression?,
            at: members.get("Expression").map_or(members.at, |node| node.at),
            outcomes,
            description: self.description(&members, DESCRIPTION),
            tags: self.tags(&members),
        })
    }

    fn rule_id(&mut self, node: &'a Node) -> Option<String> {
        let id = self.text(node)?;
        if let Err(error) = event::RuleId::try_from(id.as_str()) {
            self.problem(node.at, error.to_string());
        }
        Some(id)
    }

    fn models(&mut self, node: &'a Node) -> Models {
        let mut models = Models::default();
        for item in self.items(node) {
            let Some(members) = self.members(item, "a model", &REFERENCE) else {
                continue;
            };
            let arn = self.optional(&members, "Arn").unwrap_or_default();
            let path = arn.rsplit_once(':').map_or("", |(_, path)| path);
            match path.split('/').collect::<Vec<_>>().as_slice() {
                ["external-model", name] => models.external.push((*name).to_owned()),
                ["model-version", ty, id, number] => {
                    let [ty, id, number] = [ty, id, number].map(|text| (*text).to_owned());
                    models.versions.push(ModelVersion { ty, id, number });
                }
                _ => self.problem(
                    item.at,
                    "expected the ARN of a model version or of an external model",
                ),
            }
        }
        models
    }

    /// Reads the settings without a CloudFormation property.
    pub(super) fn metadata(&mut self, node: Option<&'a Node>) {
        let Some(node) = node else { return };
        let Some(entries) = node.entries() else {
            return self.problem(
                node.at,
                format!("`fraudstream` is a map with {}", METADATA.join(", ")),
            );
        };
        self.only(entries, METADATA, "a key of `fraudstream`");
        for entry in find(entries, "EventTypes")
            .and_then(Node::entries)
            .unwrap_or_default()
        {
            match self
                .template
                .event_types
                .iter()
                .position(|event_type| event_type.name == entry.key)
            {
                Some(index) => self.event_type_metadata(index, &entry.node),
                None => self.problem(
                    entry.at,
                    format!("the template defines no event type `{}`", entry.key),
                ),
            }
        }
        for entry in find(entries, "Variables")
            .and_then(Node::entries)
            .unwrap_or_default()
        {
            match self
                .template
                .variables
                .iter()
                .position(|variable| variable.name == entry.key)
            {
                Some(index) => self.variable_metadata(index, &entry.node),
                None => self.problem(
                    entry.at,
                    format!("the template defines no variable `{}`", entry.key),
                ),
            }
        }
    }

    fn event_type_metadata(&mut self, index: usize, node: &'a Node) {
        let what = "metadata of an event type";
        let Some(members) = self.members(node, what, &EVENT_TYPE_METADATA) else {
            return;
        };
        let ingestion = members
            .get("EventIngestion")
            .and_then(|node| self.word(node, &["ENABLED", "DISABLED"]));
        let bridge = members
            .get("EventOrchestration")
            .and_then(|node| self.members(node, what, &ORCHESTRATION));
        let bridge = bridge.and_then(|members| members.get("EventBridgeEnabled"));
        let bridge = bridge.and_then(|node| self.word(node, &["true", "false"]));
        if let Some(event_type) = self.template.event_types.get_mut(index) {
            event_type.ingestion = ingestion.map(|word| word == "ENABLED");
            event_type.orchestration = bridge.map(|word| word == "true");
        }
    }

    /// Gives a variable a data type that CloudFormation does not know.
    fn variable_metadata(&mut self, index: usize, node: &'a Node) {
        let Some(members) = self.members(node, "metadata of a variable", &VARIABLE_METADATA) else {
            return;
        };
        let Some(node) = members.get("DataType") else {
            return;
        };
        let Some(ty) = self.data_type(node) else {
            return;
        };
        let Some(variable) = self.template.variables.get_mut(index) else {
            return;
        };
        variable.ty = ty;
        let default = variable.default.clone();
        self.check_default(node, ty, &default);
    }
}
