//! From nodes to a [`Template`]: sections, properties, references.

use std::collections::BTreeMap;

use super::node::{Entry, Node, Value, find};
use super::problem::{Place, Problem};
use super::shapes::{Kind, REFERENCE, Shape, TAG, types};
use super::template::{Tag, Template};

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Resources",
    "Outputs",
];
const ATTRIBUTES: &[&str] = &[
    "Type",
    "Properties",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
];
const INLINE: &str = "Inline";

/// Reads the template in `text`; `file` is its name.
pub(super) fn template(file: &str, text: &str) -> Result<Template, Vec<Problem>> {
    let root = Node::parse(text).map_err(|problem| vec![problem])?;
    let mut reader = Reader::default();
    file.clone_into(&mut reader.template.file);
    reader.sections(&root);
    for (_, resource) in reader.resources.clone() {
        reader.resource(resource.kind, resource.properties, false);
    }
    reader.metadata(
        root.get("Metadata")
            .and_then(|metadata| metadata.get("fraudstream")),
    );
    if reader.problems.is_empty() {
        Ok(reader.template)
    } else {
        Err(reader.problems)
    }
}

/// A resource that has not been read yet.
#[derive(Clone, Copy)]
struct Resource<'a> {
    kind: Kind,
    properties: &'a Node,
}

/// What has been read, and everything that was wrong with it.
#[derive(Default)]
pub(super) struct Reader<'a> {
    /// By logical id, in the order of the file.
    resources: Vec<(&'a str, Resource<'a>)>,
    parameters: BTreeMap<&'a str, &'a Node>,
    defined: BTreeMap<(Kind, String), Place>,
    pub(super) template: Template,
    problems: Vec<Problem>,
}

/// The properties of something, known to be those it may have.
pub(super) struct Members<'a> {
    pub(super) at: Place,
    entries: &'a [Entry],
}

impl<'a> Members<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        find(self.entries, key)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn problem(&mut self, at: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn sections(&mut self, root: &'a Node) {
        let Some(entries) = root.entries() else {
            return self.problem(root.at, "a template is a map with the key `Resources`");
        };
        self.only(
            entries,
            SECTIONS,
            "section of a template that `apply` can read",
        );
        for entry in find(entries, "Parameters")
            .and_then(Node::entries)
            .unwrap_or_default()
        {
            self.parameters.insert(&entry.key, &entry.node);
        }
        match find(entries, "Resources").and_then(Node::entries) {
            Some(resources) => resources.iter().for_each(|entry| self.declare(entry)),
            None => self.problem(root.at, "the template has no map `Resources`"),
        }
    }

    /// Notes a resource under its logical id, so that others can refer to it.
    fn declare(&mut self, entry: &'a Entry) {
        let Some(attributes) = entry.node.entries() else {
            return self.problem(entry.at, "a resource is a map with `Type` and `Properties`");
        };
        self.only(
            attributes,
            ATTRIBUTES,
            "attribute of a resource that `apply` can read",
        );
        let Some(ty) = find(attributes, "Type") else {
            return self.problem(entry.at, format!("resource `{}` has no `Type`", entry.key));
        };
        let Some(kind) = ty.text().and_then(Kind::of) else {
            let found = ty.text().unwrap_or_default();
            let message = format!(
                "`{found}` is no resource type that `apply` knows; expected one of {}",
                types()
            );
            return self.problem(ty.at, message);
        };
        match find(attributes, "Properties") {
            Some(properties) => self
                .resources
                .push((&entry.key, Resource { kind, properties })),
            None => self.problem(
                entry.at,
                format!("resource `{}` has no `Properties`", entry.key),
            ),
        }
    }

    /// Refuses keys that are not in `known`.
    pub(super) fn only<'e>(
        &mut self,
        entries: impl IntoIterator<Item = &'e Entry>,
        known: &[&str],
        what: &str,
    ) {
        let known_to = |entry: &&Entry| known.contains(&entry.key.as_str());
        for entry in entries.into_iter().filter(|entry| !known_to(entry)) {
            let message = format!(
                "`{}` is no {what}; expected {}",
                entry.key,
                known.join(", ")
            );
            self.problem(entry.at, message);
        }
    }

    /// The properties of `what`, all of them known and none missing.
    pub(super) fn members(
        &mut self,
        node: &'a Node,
        what: &str,
        shape: &Shape,
    ) -> Option<Members<'a>> {
        self.members_and(node, what, shape, None)
    }

    /// The properties of a resource; an inline one says that it is.
    pub(super) fn properties(
        &mut self,
        kind: Kind,
        node: &'a Node,
        inline: bool,
    ) -> Option<Members<'a>> {
        self.members_and(node, &kind.a(), kind.shape(), inline.then_some(INLINE))
    }

    /// The properties of `what`, which may also have one that is not listed in errors.
    fn members_and(
        &mut self,
        node: &'a Node,
        what: &str,
        shape: &Shape,
        silent: Option<&str>,
    ) -> Option<Members<'a>> {
        let Some(entries) = node.entries() else {
            let message = format!("{what} is a map with {}", shape.required.join(", "));
            self.problem(node.at, message);
            return None;
        };
        let known = [shape.required, shape.optional].concat();
        let listed = entries.iter().filter(|entry| silent != Some(&entry.key));
        self.only(listed, &known, &format!("property of {what}"));
        let missing = shape
            .required
            .iter()
            .filter(|key| find(entries, key).is_none());
        let missing: Vec<&str> = missing.copied().collect();
        if missing.is_empty() {
            return Some(Members {
                at: node.at,
                entries,
            });
        }
        let message = format!("{what} needs `{}`", missing.join("`, `"));
        self.problem(node.at, message);
        None
    }

    /// A text, or a reference to a parameter that has a default.
    pub(super) fn text(&mut self, node: &'a Node) -> Option<String> {
        match &node.value {
            Value::Text(text) => return Some(text.clone()),
            Value::Call(function, argument) if function == "Ref" => {
                let name = argument.text().unwrap_or_default();
                match self
                    .parameters
                    .get(name)
                    .map(|parameter| parameter.get("Default"))
                {
                    Some(Some(default)) => return default.text().map(str::to_owned),
                    Some(None) => self.problem(
                        node.at,
                        format!("parameter `{name}` has no `Default`; write the value"),
                    ),
                    None => self.problem(
                        node.at,
                        format!("there is no parameter `{name}`; write the value"),
                    ),
                }
            }
            Value::Call(function, _) => {
                self.problem(
                    node.at,
                    format!("`!{function}` cannot be evaluated here; write the value"),
                );
            }
            _ => self.problem(node.at, "expected a text"),
        }
        None
    }

    /// The text of an optional property.
    pub(super) fn optional(&mut self, members: &Members<'a>, key: &str) -> Option<String> {
        members.get(key).and_then(|node| self.text(node))
    }

    /// A word out of a set.
    pub(super) fn word(&mut self, node: &'a Node, known: &[&str]) -> Option<String> {
        let word = self.text(node)?;
        if known.contains(&word.as_str()) {
            return Some(word);
        }
        self.problem(
            node.at,
            format!(
                "`{word}` is not possible here; expected {}",
                known.join(" or ")
            ),
        );
        None
    }

    /// A description that is not too long.
    pub(super) fn description(&mut self, members: &Members<'a>, most: usize) -> Option<String> {
        let node = members.get("Description")?;
        let text = self.text(node)?;
        let length = text.chars().count();
        if length == 0 || length > most {
            self.problem(
                node.at,
                format!("a description has 1 to {most} characters, this one has {length}"),
            );
        }
        Some(text)
    }

    pub(super) fn tags(&mut self, members: &Members<'a>) -> Vec<Tag> {
        let nodes = members
            .get("Tags")
            .map(|node| self.items(node))
            .unwrap_or_default();
        nodes.iter().filter_map(|node| self.tag(node)).collect()
    }

    fn tag(&mut self, node: &'a Node) -> Option<Tag> {
        let members = self.members(node, "a tag", &TAG)?;
        Some((
            self.optional(&members, "Key")?,
            self.optional(&members, "Value")?,
        ))
    }

    /// The items of a list.
    pub(super) fn items(&mut self, node: &'a Node) -> &'a [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.problem(node.at, "expected a list");
        &[]
    }

    /// The name of a resource, which no other one of its kind may have.
    pub(super) fn define(&mut self, kind: Kind, members: &Members<'a>) -> Option<String> {
        let node = members.get(kind.key())?;
        let name = self.text(node)?;
        if let Err(error) = kind.check(&name) {
            self.problem(node.at, error.to_string());
        }
        match self.defined.insert((kind, name.clone()), node.at) {
            Some(first) => {
                let message = format!(
                    "{} `{name}` is defined twice, first at {first}; refer to the first one",
                    kind.word()
                );
                self.problem(node.at, message);
                None
            }
            None => Some(name),
        }
    }

    /// The names in a list of members, each of them `Arn` or inline.
    pub(super) fn names(&mut self, kind: Kind, node: &'a Node, least: usize) -> Vec<String> {
        let items = self.items(node);
        if items.len() < least {
            self.problem(
                node.at,
                format!("expected at least {least} of {}", kind.word()),
            );
        }
        let mut names: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            match self.member(kind, item) {
                Some(name) if names.contains(&name) => {
                    self.problem(
                        item.at,
                        format!("{} `{name}` is in the list twice", kind.word()),
                    );
                }
                name => names.extend(name),
            }
        }
        names
    }

    /// A member of something else: a reference, or a resource that is defined in place.
    pub(super) fn member(&mut self, kind: Kind, node: &'a Node) -> Option<String> {
        if node.get("Arn").is_some() {
            let members = self.members(node, "a reference", &REFERENCE)?;
            return self.reference(kind, members.get("Arn")?);
        }
        let inline = node.get(INLINE).and_then(Node::text);
        if inline.is_some_and(|word| word.eq_ignore_ascii_case("true")) {
            return self.resource(kind, node, true);
        }
        let message = format!(
            "expected `Arn: !GetAtt X.Arn`, or {} with `Inline: true`",
            kind.a()
        );
        self.problem(node.at, message);
        None
    }

    /// The name behind an ARN: of a resource in this template, or of one that exists already.
    pub(super) fn reference(&mut self, kind: Kind, node: &'a Node) -> Option<String> {
        match &node.value {
            Value::Text(arn) => self.arn(kind, node.at, arn),
            Value::Call(function, argument) => match (function.as_str(), &argument.value) {
                ("Ref", Value::Text(id)) => self.logical(kind, node.at, id),
                ("GetAtt", Value::Text(path)) => match path.split_once('.') {
                    Some((id, "Arn")) => self.logical(kind, node.at, id),
                    _ => self.no_attribute(node.at),
                },
                ("GetAtt", Value::List(path)) => match path.as_slice() {
                    [id, attribute] if attribute.text() == Some("Arn") => {
                        self.logical(kind, node.at, id.text().unwrap_or_default())
                    }
                    _ => self.no_attribute(node.at),
                },
                ("Sub", Value::Text(text)) => self.substitution(kind, node.at, text),
                _ => self.no_attribute(node.at),
            },
            _ => self.no_attribute(node.at),
        }
    }

    fn no_attribute(&mut self, at: Place) -> Option<String> {
        self.problem(
            at,
            "expected the ARN of a resource, such as `!GetAtt X.Arn`",
        );
        None
    }

    fn substitution(&mut self, kind: Kind, at: Place, text: &str) -> Option<String> {
        let whole = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        match whole {
            Some(path) if !path.contains('$') => {
                self.logical(kind, at, path.strip_suffix(".Arn").unwrap_or(path))
            }
            _ => self.arn(kind, at, text),
        }
    }

    /// The name in `arn:…:label/fraud`: the text after the last slash.
    fn arn(&mut self, kind: Kind, at: Place, arn: &str) -> Option<String> {
        let resource = arn
            .strip_prefix("arn:")
            .and_then(|rest| rest.rsplit_once(':'));
        let wanted = kind.word().replace(' ', "-");
        match resource.and_then(|(_, resource)| resource.rsplit_once('/')) {
            Some((found, name)) if found == wanted && !name.contains('$') => Some(name.to_owned()),
            _ => {
                self.problem(
                    at,
                    format!("this is not the ARN of {}; write `!GetAtt X.Arn`", kind.a()),
                );
                None
            }
        }
    }

    fn logical(&mut self, kind: Kind, at: Place, id: &str) -> Option<String> {
        let Some((_, resource)) = self
            .resources
            .iter()
            .find(|(known, _)| *known == id)
            .copied()
        else {
            self.problem(at, format!("there is no resource `{id}` in this template"));
            return None;
        };
        if resource.kind != kind {
            let message = format!("`{id}` is {}, expected {}", resource.kind.a(), kind.a());
            self.problem(at, message);
            return None;
        }
        self.text(resource.properties.get(kind.key())?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    /// A template with one good resource of each kind, and `resource` after them.
    #[track_caller]
    fn check(resource: &str, want: &str) {
        let text = format!(
            "{}\n{resource}\n",
            include_str!("tests/small.yaml").trim_end()
        );
        let got = match Template::parse("t.yaml", &text) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        // Lines are counted from the end of the good ones.
        let lines = include_str!("tests/small.yaml").trim_end().lines().count();
        let want = match want.split_once(':') {
            Some((line, rest)) => {
                format!("t.yaml:{}:{rest}", lines + line.parse::<usize>().unwrap())
            }
            None => String::new(),
        };
        assert_eq!(got, want, "{resource}");
    }

    #[test]
    fn resources() {
        check(
            "  X: {Type: AWS::FraudDetector::Label, Properties: {Name: x}}",
            "",
        );
        check(
            "  X: {Type: 'AWS::S3::Bucket'}",
            "1:13: `AWS::S3::Bucket` is no resource type that `apply` knows; \
            expected one of AWS::FraudDetector::EntityType, AWS::FraudDetector::Label, AWS::FraudDetector::Outcome, \
            AWS::FraudDetector::Variable, AWS::FraudDetector::List, AWS::FraudDetector::EventType, \
            AWS::FraudDetector::Detector",
        );
        check(
            "  X: {Type: AWS::FraudDetector::Label}",
            "1:3: resource `X` has no `Properties`",
        );
        check(
            "  X: {Type: AWS::FraudDetector::Label, Condition: Y, Properties: {Name: x}}",
            "1:40: `Condition` is no attribute of a resource that `apply` can read; expected Type, Properties, \
             DependsOn, DeletionPolicy, UpdateReplacePolicy, Metadata",
        );
    }

    #[test]
    fn properties() {
        let label = |properties: &str| {
            format!("  X: {{Type: AWS::FraudDetector::Label, Properties: {properties}}}")
        };
        check(
            &label("{Name: x, Descr: y}"),
            "1:62: `Descr` is no property of a label; expected Name, Description, Tags",
        );
        check(&label("{Description: y}"), "1:52: a label needs `Name`");
        check(
            &label("{Name: Fraud}"),
            "1:59: label has `F` at character 1; only 0-9, a-z, `_` and `-` are allowed",
        );
        check(
            &label("{Name: fraud}"),
            "1:59: label `fraud` is defined twice, first at 13:24; refer to the first one",
        );
        check(
            &label("{Name: !Ref Nothing}"),
            "1:64: there is no parameter `Nothing`; write the value",
        );
        check(
            &label("{Name: !Join [a, [b]]}"),
            "1:65: `!Join` cannot be evaluated here; write the value",
        );
        check(&label("{Name: !Ref Stage}"), "");
    }

    #[test]
    fn values() {
        let variable = |properties: &str| {
            format!(
                "  X:\n    Type: AWS::FraudDetector::Variable\n    Properties: {{Name: x, {properties}}}"
            )
        };
        check(
            &variable("DataType: FLOAT, DataSource: EVENT, DefaultValue: 0.0"),
            "",
        );
        check(
            &variable("DataType: DECIMAL, DataSource: EVENT, DefaultValue: 0.0"),
            "3:37: `DECIMAL` is not a data type, expected STRING, INTEGER, FLOAT, BOOLEAN or DATETIME",
        );
        check(
            &variable("DataType: FLOAT, DataSource: EVENT, DefaultValue: none"),
            "3:77: the default is not a valid FLOAT: expected a finite number such as `4.01`",
        );
        check(
            &variable("DataType: FLOAT, DataSource: MODEL, DefaultValue: 0.0"),
            "3:56: `MODEL` is not possible here; expected EVENT or EXTERNAL_MODEL_SCORE",
        );
        check(
            &variable("DataType: FLOAT, DefaultValue: 0.0"),
            "3:17: a variable needs `DataSource`",
        );
    }

    #[test]
    fn references() {
        let event_type = |labels: &str| {
            format!(
                "  X:\n    Type: AWS::FraudDetector::EventType\n    Properties:\n      Name: x\n      \
                 EventVariables: [{{Arn: !Ref Price}}]\n      EntityTypes: [{{Arn: !GetAtt [Customer, Arn]}}]\n      \
                 Labels: [{{Arn: !GetAtt Fraud.Arn}}, {labels}]"
            )
        };
        check(&event_type("{Arn: !Sub '${Legit.Arn}'}"), "");
        check(&event_type("{Inline: true, Name: x}"), "");
        check(
            &event_type("{Arn: 'arn:aws:frauddetector:us-east-1:123456789012:label/x'}"),
            "",
        );
        check(
            &event_type("{Arn: !GetAtt Legt.Arn}"),
            "7:56: there is no resource `Legt` in this template",
        );
        check(
            &event_type("{Arn: !GetAtt Price.Arn}"),
            "7:56: `Price` is a variable, expected a label",
        );
        check(
            &event_type("{Arn: !GetAtt Legit.Name}"),
            "7:56: expected the ARN of a resource, such as `!GetAtt X.Arn`",
        );
        check(
            &event_type("!GetAtt Legit.Arn"),
            "7:50: expected `Arn: !GetAtt X.Arn`, or a label with `Inline: true`",
        );
        check(
            &event_type("{Arn: !Ref Fraud}"),
            "7:42: label `fraud` is in the list twice",
        );
        check(
            &event_type("{Arn: 'arn:aws:frauddetector:us-east-1:123456789012:outcome/x'}"),
            "7:48: this is not the ARN of a label; write `!GetAtt X.Arn`",
        );
    }

    #[test]
    fn rules() {
        let detector = |rule: &str| {
            format!(
                "  X:\n    Type: AWS::FraudDetector::Detector\n    Properties:\n      DetectorId: x\n      \
                 EventType: {{Arn: !GetAtt Order.Arn}}\n      Rules:\n        - {{Language: DETECTORPL, \
                 Outcomes: [{{Arn: !Ref Block}}], {rule}}}"
            )
        };
        check(
            &detector("RuleId: a, DetectorId: x, Expression: $price > 1"),
            "",
        );
        check(
            &detector("RuleId: a, DetectorId: y, Expression: $price > 1"),
            "7:88: rule `a` names detector `y`, but is in detector `x`",
        );
        check(
            &detector("RuleId: a, DetectorId: x"),
            "7:11: a rule needs `Expression`",
        );
        check(
            &detector("RuleId: a, DetectorId: x, Expression: $price > 1, Outcome: b"),
            "7:115: `Outcome` is no property of a rule; expected RuleId, DetectorId, Expression, Language, Outcomes, \
             Description, Tags",
        );
    }

    #[test]
    fn metadata() {
        let with = |metadata: &str| {
            let text = format!(
                "Metadata:\n  fraudstream: {metadata}\n{}",
                include_str!("tests/small.yaml")
            );
            Template::parse("t.yaml", &text).map_err(|error| error.to_string())
        };
        let template = with("{EventTypes: {order: {EventIngestion: ENABLED}}}").unwrap();
        assert_eq!(template.event_types[0].ingestion, Some(true));
        assert_eq!(template.event_types[0].orchestration, None);
        let template = with("{Variables: {signed_up_at: {DataType: DATETIME}}}").unwrap();
        assert_eq!(template.variables[1].ty, rules::Type::DateTime);
        let cases = [
            (
                "{Variables: {signed_up: {DataType: DATETIME}}}",
                "the template defines no variable `signed_up`",
            ),
            (
                "{EventTypes: {odrer: {}}}",
                "the template defines no event type `odrer`",
            ),
            (
                "{Variables: {price: {DataType: INTEGER}}}",
                "the default is not a valid INTEGER: expected a whole \
              number from -9223372036854775808 to 9223372036854775807",
            ),
            (
                "{EventTypes: {order: {EventIngestion: on}}}",
                "`on` is not possible here; expected ENABLED or DISABLED",
            ),
            (
                "{EventTypes: {order: {EventOrchestration: true}}}",
                "metadata of an event type is a map with EventBridgeEnabled",
            ),
            (
                "{Variable: {}}",
                "`Variable` is no key of `fraudstream`; expected EventTypes, Variables",
            ),
        ];
        for (metadata, want) in cases {
            let error = with(metadata).unwrap_err();
            assert!(
                error.starts_with("t.yaml:2:") && error.ends_with(&format!(": {want}")),
                "{error}"
            );
        }
    }
}
