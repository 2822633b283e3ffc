//! The sections of a template, and the resources that it declares.

use super::evaluator::{DeclaredResource, TemplateEvaluator};
use super::node::{NodeEntry, YamlNode, find_entry, find_unknown_keys};
use super::parameters::ReadParameters;
use super::truth::Truth;

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Mappings",
    "Conditions",
    "Transform",
    "Globals",
    "Hooks",
    "Resources",
    "Outputs",
];

impl<'a> TemplateEvaluator<'a> {
    /// Reads parameters, conditions, mappings and assertions, and declares the resources. Returns the sections.
    pub(crate) fn read_sections(&mut self, root: &'a YamlNode) -> &'a [NodeEntry] {
        let Some(entries) = root.entries() else {
            self.report_problem(root.at, "a template is a map with the key `Resources`");
            return &[];
        };
        self.problems.extend(find_unknown_keys(
            entries,
            SECTIONS,
            "a section of a template",
        ));
        let read = ReadParameters::read_section(find_entry(entries, "Parameters"), self.inputs);
        self.parameters = read.values;
        self.problems.extend(read.problems);
        self.mappings = find_entry(entries, "Mappings");
        for entry in self.read_map(entries, "Conditions") {
            self.conditions.insert(&entry.key, &entry.node);
        }
        match find_entry(entries, "Resources").and_then(YamlNode::entries) {
            Some(resources) => resources
                .iter()
                .for_each(|entry| self.declare_resource(entry)),
            None => self.report_problem(root.at, "the template has no map `Resources`"),
        }
        self.decide_conditions();
        for entry in self.read_map(entries, "Rules") {
            self.check_assertions(entry);
        }
        entries
    }

    /// The entries of an optional section.
    fn read_map(&mut self, sections: &'a [NodeEntry], key: &str) -> &'a [NodeEntry] {
        let Some(section) = find_entry(sections, key) else {
            return &[];
        };
        section.entries().unwrap_or_else(|| {
            self.report_problem(section.at, format!("`{key}` is not a map"));
            &[]
        })
    }

    /// Registers a resource by its logical id, so that others can refer to it.
    fn declare_resource(&mut self, entry: &'a NodeEntry) {
        let Some(attributes) = entry.node.entries() else {
            return self
                .report_problem(entry.at, "a resource is a map with `Type` and `Properties`");
        };
        let Some(ty) = find_entry(attributes, "Type") else {
            return self
                .report_problem(entry.at, format!("resource `{}` has no `Type`", entry.key));
        };
        let type_name = ty.text().unwrap_or_default();
        self.resources.push((
            &entry.key,
            DeclaredResource {
                at: entry.at,
                type_name,
                arn: (self.find_arn_form)(type_name),
                attributes,
            },
        ));
    }

    /// Whether a resource exists.
    pub(crate) fn decide_existence(&mut self, resource: DeclaredResource<'a>) -> Truth {
        match resource.attribute("Condition") {
            None => Truth::True,
            Some(node) => match node.text() {
                Some(name) => self.decide_condition(node.at, name),
                None => self.refuse_operands(node.at, "`Condition` has the name of a condition"),
            },
        }
    }

    /// The values of the properties of a resource; `None` if it does not exist, or if there is a problem, which has been
    /// reported.
    pub(crate) fn evaluate_properties(
        &mut self,
        id: &str,
        resource: DeclaredResource<'a>,
    ) -> Option<YamlNode> {
        self.path = vec!["Resources".to_owned(), id.to_owned()];
        match self.decide_existence(resource) {
            Truth::True => self.evaluate_at("Properties", resource.attribute("Properties")?),
            Truth::Unknown(unknown) => {
                let condition = resource.attribute("Condition");
                let at = condition.map_or(resource.at, |node| node.at);
                let message = format!("whether `{id}` exists cannot be decided: {unknown}");
                self.report_problem(at, message);
                None
            }
            Truth::False | Truth::Refused => None,
        }
    }
}
