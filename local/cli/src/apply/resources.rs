//! Reads the properties of each resource type: one function per type.

use rules::{Type, Value};

use super::reader::{ReadProperties, TemplateReader};
use super::resource_types::{
    EVENT_TYPE_METADATA, Kind, MODEL, ORCHESTRATION, RULE, VARIABLE_METADATA,
};
use super::template::{
    AssociatedModelVersion, AssociatedModels, DetectorResource, EventTypeResource, ListResource,
    NamedResource, ResourceTag, RuleResource, VariableResource,
};
use crate::cloudformation::node::{YamlNode, find_entry, find_unknown_keys};

/// The most characters of a description, except of a variable's.
const DESCRIPTION: usize = 128;
const VARIABLE_DESCRIPTION: usize = 256;
/// What the template's metadata may say under `fraudstream`.
const METADATA: &[&str] = &["EventTypes", "Variables"];

impl<'a> TemplateReader<'a> {
    /// Reads a resource and returns its name.
    pub(super) fn read_resource(
        &mut self,
        kind: Kind,
        node: &'a YamlNode,
        inline: bool,
    ) -> Option<String> {
        let members = self.read_properties(kind, node, inline)?;
        let name = self.define_name(kind, &members)?;
        let tags = self.read_tags(&members);
        match kind {
            Kind::Variable => self.read_variable(name.clone(), tags, &members),
            Kind::List => self.read_list(name.clone(), tags, &members),
            Kind::EventType => self.read_event_type(name.clone(), tags, &members),
            Kind::Detector => self.read_detector(name.clone(), tags, &members),
            Kind::EntityType | Kind::Label | Kind::Outcome => {
                self.read_named(kind, name.clone(), tags, &members);
            }
        }
        Some(name)
    }

    fn read_named(
        &mut self,
        kind: Kind,
        name: String,
        tags: Vec<ResourceTag>,
        members: &ReadProperties<'a>,
    ) {
        let named = NamedResource {
            name,
            description: self.read_description(members, DESCRIPTION),
            tags,
        };
        match kind {
            Kind::Label => self.template.labels.push(named),
            Kind::Outcome => self.template.outcomes.push(named),
            _ => self.template.entity_types.push(named),
        }
    }

    fn read_variable(
        &mut self,
        name: String,
        tags: Vec<ResourceTag>,
        members: &ReadProperties<'a>,
    ) {
        let ty = members
            .get("DataType")
            .and_then(|node| self.read_data_type(node));
        let source = members
            .get("DataSource")
            .and_then(|node| self.read_word(node, &["EVENT", "EXTERNAL_MODEL_SCORE"]));
        let default = self.read_optional_text(members, "DefaultValue");
        let variable_type = self.read_optional_text(members, "VariableType");
        let description = self.read_description(members, VARIABLE_DESCRIPTION);
        let (Some(ty), Some(source), Some(default)) = (ty, source, default) else {
            return;
        };
        if let Some(node) = members.get("DefaultValue") {
            self.check_default(node, ty, &default);
        }
        self.template.variables.push(VariableResource {
            name,
            ty,
            source,
            default,
            variable_type,
            description,
            tags,
        });
    }

    fn read_data_type(&mut self, node: &'a YamlNode) -> Option<Type> {
        match self.read_text(node)?.parse() {
            Ok(ty) => Some(ty),
            Err(error) => {
                self.report_problem(node.at, error.to_string());
                None
            }
        }
    }

    /// Checks that a default has the variable's type, or stands for no value.
    fn check_default(&mut self, node: &YamlNode, ty: Type, default: &str) {
        if let Err(error) = Value::parse_default(ty, default) {
            self.report_problem(node.at, format!("the default is {error}"));
        }
    }

    fn read_list(&mut self, name: String, tags: Vec<ResourceTag>, members: &ReadProperties<'a>) {
        let elements = members.get("Elements").map(|node| self.read_elements(node));
        let list = ListResource {
            name,
            elements,
            variable_type: self.read_optional_text(members, "VariableType"),
            description: self.read_description(members, DESCRIPTION),
            tags,
        };
        self.template.lists.push(list);
    }

    fn read_elements(&mut self, node: &'a YamlNode) -> Vec<String> {
        self.read_items(node)
            .iter()
            .filter_map(|item| self.read_text(item))
            .collect()
    }

    fn read_event_type(
        &mut self,
        name: String,
        tags: Vec<ResourceTag>,
        members: &ReadProperties<'a>,
    ) {
        let mut names = |kind, key, least| {
            members
                .get(key)
                .map(|node| self.read_names(kind, node, least))
                .unwrap_or_default()
        };
        let variables = names(Kind::Variable, "EventVariables", 1);
        // CloudFormation wants two labels, a model does too.
        let labels = names(Kind::Label, "Labels", 2);
        let entity_types = names(Kind::EntityType, "EntityTypes", 1);
        let description = self.read_description(members, DESCRIPTION);
        let (ingestion, orchestration) = (None, None);
        let event_type = EventTypeResource {
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

    fn read_detector(&mut self, id: String, tags: Vec<ResourceTag>, members: &ReadProperties<'a>) {
        let event_type = members
            .get("EventType")
            .and_then(|node| self.read_part_name(Kind::EventType, node));
        let rules = members
            .get("Rules")
            .map(|node| self.read_rules(&id, node))
            .unwrap_or_default();
        let mut word = |key, known: &[&str]| {
            members
                .get(key)
                .and_then(|node| self.read_word(node, known))
        };
        let mode = word("RuleExecutionMode", &["FIRST_MATCHED", "ALL_MATCHED"]);
        let status = word("DetectorVersionStatus", &["DRAFT", "ACTIVE"]);
        let models = members
            .get("AssociatedModels")
            .map(|node| self.read_models(node))
            .unwrap_or_default();
        let detector = DetectorResource {
            id,
            event_type: event_type.unwrap_or_default(),
            rules,
            mode: mode.unwrap_or_else(|| "FIRST_MATCHED".to_owned()),
            active: status.as_deref() == Some("ACTIVE"),
            models,
            description: self.read_description(members, DESCRIPTION),
            tags,
        };
        self.template.detectors.push(detector);
    }

    fn read_rules(&mut self, detector: &str, node: &'a YamlNode) -> Vec<RuleResource> {
        let mut rules: Vec<RuleResource> = Vec::new();
        for item in self.read_items(node) {
            let Some(rule) = self.read_rule(detector, item) else {
                continue;
            };
            if rules.iter().any(|known| known.id == rule.id) {
                self.report_problem(
                    item.at,
                    format!("rule `{}` is in the detector twice", rule.id),
                );
            }
            rules.push(rule);
        }
        rules
    }

    fn read_rule(&mut self, detector: &str, node: &'a YamlNode) -> Option<RuleResource> {
        let members = self.read_members(node, "a rule", &RULE)?;
        let id = members
            .get("RuleId")
            .and_then(|node| self.read_rule_id(node));
        let owner = self.read_optional_text(&members, "DetectorId");
        let expression = self.read_optional_text(&members, "Expression");
        members
            .get("Language")
            .and_then(|node| self.read_word(node, &["DETECTORPL"]));
        let outcomes = members
            .get("Outcomes")
            .map(|node| self.read_names(Kind::Outcome, node, 1))
            .unwrap_or_default();
        let id = id?;
        if let Some(owner) = owner.filter(|owner| owner != detector) {
            let at = members.get("DetectorId").map_or(members.at, |node| node.at);
            self.report_problem(
                at,
                format!("rule `{id}` names detector `{owner}`, but is in detector `{detector}`"),
            );
        }
        Some(RuleResource {
            id,
            expression: expression?,
            at: members.get("Expression").map_or(members.at, |node| node.at),
            outcomes,
            description: self.read_description(&members, DESCRIPTION),
            tags: self.read_tags(&members),
        })
    }

    fn read_rule_id(&mut self, node: &'a YamlNode) -> Option<String> {
        let id = self.read_text(node)?;
        if let Err(error) = event::RuleId::try_from(id.as_str()) {
            self.report_problem(node.at, error.to_string());
        }
        Some(id)
    }

    fn read_models(&mut self, node: &'a YamlNode) -> AssociatedModels {
        let mut models = AssociatedModels::default();
        for item in self.read_items(node) {
            let Some(members) = self.read_members(item, "a model", &MODEL) else {
                continue;
            };
            let arn = members.get("Arn");
            let Some(path) = arn.and_then(|node| self.read_arn_path(node)) else {
                continue;
            };
            match path.split('/').collect::<Vec<_>>().as_slice() {
                ["external-model", name] => models.external.push((*name).to_owned()),
                ["model-version", ty, id, number] => {
                    let [ty, id, number] = [ty, id, number].map(|text| (*text).to_owned());
                    models
                        .versions
                        .push(AssociatedModelVersion { ty, id, number });
                }
                _ => self.report_problem(
                    item.at,
                    "expected the ARN of a model version or of an external model",
                ),
            }
        }
        models
    }

    /// Reads the settings without a CloudFormation property.
    pub(super) fn read_metadata(&mut self, node: Option<&'a YamlNode>) {
        let Some(node) = node else { return };
        let Some(entries) = node.entries() else {
            return self.report_problem(
                node.at,
                format!("`fraudstream` is a map with {}", METADATA.join(", ")),
            );
        };
        self.problems.extend(find_unknown_keys(
            entries,
            METADATA,
            "a key of `fraudstream`",
        ));
        for entry in find_entry(entries, "EventTypes")
            .and_then(YamlNode::entries)
            .unwrap_or_default()
        {
            match self
                .template
                .event_types
                .iter()
                .position(|event_type| event_type.name == entry.key)
            {
                Some(index) => self.read_event_type_metadata(index, &entry.node),
                None => self.report_problem(
                    entry.at,
                    format!("the template defines no event type `{}`", entry.key),
                ),
            }
        }
        for entry in find_entry(entries, "Variables")
            .and_then(YamlNode::entries)
            .unwrap_or_default()
        {
            match self
                .template
                .variables
                .iter()
                .position(|variable| variable.name == entry.key)
            {
                Some(index) => self.read_variable_metadata(index, &entry.node),
                None => self.report_problem(
                    entry.at,
                    format!("the template defines no variable `{}`", entry.key),
                ),
            }
        }
    }

    fn read_event_type_metadata(&mut self, index: usize, node: &'a YamlNode) {
        let what = "metadata of an event type";
        let Some(members) = self.read_members(node, what, &EVENT_TYPE_METADATA) else {
            return;
        };
        let ingestion = members
            .get("EventIngestion")
            .and_then(|node| self.read_word(node, &["ENABLED", "DISABLED"]));
        let bridge = members
            .get("EventOrchestration")
            .and_then(|node| self.read_members(node, what, &ORCHESTRATION));
        let bridge = bridge.and_then(|members| members.get("EventBridgeEnabled"));
        let bridge = bridge.and_then(|node| self.read_word(node, &["true", "false"]));
        if let Some(event_type) = self.template.event_types.get_mut(index) {
            event_type.ingestion = ingestion.map(|word| word == "ENABLED");
            event_type.orchestration = bridge.map(|word| word == "true");
        }
    }

    /// Gives a variable a data type that CloudFormation does not know.
    fn read_variable_metadata(&mut self, index: usize, node: &'a YamlNode) {
        let Some(members) = self.read_members(node, "metadata of a variable", &VARIABLE_METADATA)
        else {
            return;
        };
        let Some(node) = members.get("DataType") else {
            return;
        };
        let Some(ty) = self.read_data_type(node) else {
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
