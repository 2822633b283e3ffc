//! The section `Parameters`: types, defaults, and the constraints on values.

use std::collections::BTreeMap;

use regex::Regex;

use super::inputs::TemplateInputs;
use super::node::{NodeEntry, NodeValue, YamlNode, find_unknown_keys};
use super::problem::{LineColumn, TemplateProblem};
use super::text_part::{TextPart, UnknownValue};

const PARAMETER_KEYS: &[&str] = &[
    "Type",
    "Default",
    "Description",
    "NoEcho",
    "AllowedValues",
    "AllowedPattern",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
    "ConstraintDescription",
];

/// How the values of a parameter's type are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParameterType {
    Text,
    Number,
    TextList,
    NumberList,
    /// The name of a value in Systems Manager's parameter store.
    Stored,
}

impl ParameterType {
    fn of(name: &str) -> Option<Self> {
        match name {
            "String" => Some(Self::Text),
            "Number" => Some(Self::Number),
            "CommaDelimitedList" => Some(Self::TextList),
            "List<Number>" => Some(Self::NumberList),
            _ if name.starts_with("AWS::SSM::Parameter::Value<") => Some(Self::Stored),
            _ if name.starts_with("List<AWS::") => Some(Self::TextList),
            _ if name.starts_with("AWS::") => Some(Self::Text),
            _ => None,
        }
    }

    fn is_list(self) -> bool {
        matches!(self, Self::TextList | Self::NumberList)
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::NumberList)
    }
}

/// The values of all parameters, and the problems of their declarations.
#[derive(Default)]
pub(crate) struct ReadParameters<'a> {
    pub(crate) values: BTreeMap<&'a str, NodeValue>,
    pub(crate) problems: Vec<TemplateProblem>,
}

impl<'a> ReadParameters<'a> {
    /// Reads the section; each parameter has the value in `inputs` or its default.
    pub(crate) fn read_section(section: Option<&'a YamlNode>, inputs: &TemplateInputs) -> Self {
        let mut read = Self::default();
        let entries = match section {
            None => &[],
            Some(section) => section.entries().unwrap_or_else(|| {
                let message = "`Parameters` is a map of parameters";
                read.problems
                    .push(TemplateProblem::new(section.at, message));
                &[]
            }),
        };
        for entry in entries {
            let value = read.read_parameter(entry, inputs);
            read.values
                .insert(&entry.key, value.unwrap_or(NodeValue::Refused));
        }
        read.check_given(inputs);
        read
    }

    /// Checks that each given value has a parameter.
    fn check_given(&mut self, inputs: &TemplateInputs) {
        let at = LineColumn { line: 1, column: 1 };
        for (index, (name, _)) in inputs.parameters.iter().enumerate() {
            let known = self.values.contains_key(name.as_str())
                || inputs.find_pseudo_parameter(name).is_some();
            if !known {
                let names: Vec<&str> = self.values.keys().copied().collect();
                let expected = match names.as_slice() {
                    [] => "it has none".to_owned(),
                    names => format!("expected {}", names.join(", ")),
                };
                let message =
                    format!("`--parameter {name}`: the template has no such parameter; {expected}");
                self.problems.push(TemplateProblem::new(at, message));
            }
            if inputs
                .parameters
                .iter()
                .take(index)
                .any(|(other, _)| other == name)
            {
                let message = format!("`--parameter {name}` is given twice; give one value");
                self.problems.push(TemplateProblem::new(at, message));
            }
        }
    }

    fn read_parameter(
        &mut self,
        entry: &'a NodeEntry,
        inputs: &TemplateInputs,
    ) -> Option<NodeValue> {
        let name = entry.key.as_str();
        let Some(keys) = entry.node.entries() else {
            return self.refuse(entry.at, format!("parameter `{name}` is a map with `Type`"));
        };
        self.problems.extend(find_unknown_keys(
            keys,
            PARAMETER_KEYS,
            "a key of a parameter",
        ));
        let Some(type_node) = entry.node.get("Type") else {
            return self.refuse(entry.at, format!("parameter `{name}` has no `Type`"));
        };
        let type_name = type_node.text().unwrap_or_default();
        let Some(ty) = ParameterType::of(type_name) else {
            let message = format!(
                "`{type_name}` is not a type of parameters; expected String, Number, CommaDelimitedList, \
                 List<Number> or a type of AWS such as AWS::SSM::Parameter::Value<String>"
            );
            return self.refuse(type_node.at, message);
        };
        let default = entry.node.get("Default");
        let (at, text, source) = match (
            inputs.find_parameter(name),
            default.map(|node| (node, node.text())),
        ) {
            (Some(given), _) => (
                entry.at,
                given,
                format!("the value given for parameter `{name}`"),
            ),
            (None, Some((node, Some(text)))) => {
                (node.at, text, format!("the default of parameter `{name}`"))
            }
            (None, Some((node, None))) => {
                return self.refuse(
                    node.at,
                    format!("the default of parameter `{name}` is not a text"),
                );
            }
            (None, None) => {
                let message =
                    format!("parameter `{name}` has no `Default`; give `--parameter {name}=VALUE`");
                return self.refuse(entry.at, message);
            }
        };
        let constraints = Constraints {
            parameter: &entry.node,
            ty,
        };
        let items = constraints.split_items(text);
        let mut valid = true;
        for item in &items {
            if let Err(problem) = constraints.check_item(item) {
                valid = false;
                let message = format!("{source} {problem}{}", constraints.describe());
                self.problems.push(TemplateProblem::new(at, message));
            }
        }
        valid.then(|| to_value(name, ty, items, at))
    }

    fn refuse(&mut self, at: LineColumn, message: impl Into<String>) -> Option<NodeValue> {
        self.problems.push(TemplateProblem::new(at, message));
        None
    }
}

/// The value of a parameter that has been checked.
fn to_value(name: &str, ty: ParameterType, items: Vec<&str>, at: LineColumn) -> NodeValue {
    if ty == ParameterType::Stored {
        let advice = "it is in Systems Manager's parameter store; make the parameter a `String`";
        return NodeValue::Partial(vec![TextPart::Unknown(UnknownValue::new(name, advice))]);
    }
    let mut values = items
        .into_iter()
        .map(|item| NodeValue::Text(item.to_owned()));
    if ty.is_list() {
        return NodeValue::List(values.map(|value| YamlNode { at, value }).collect());
    }
    values.next().unwrap_or(NodeValue::Refused)
}

/// What the declaration of a parameter asks of its values.
struct Constraints<'a> {
    parameter: &'a YamlNode,
    ty: ParameterType,
}

impl Constraints<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        self.parameter.get(key).and_then(YamlNode::text)
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number
            .map(Some)
            .ok_or_else(|| format!("cannot be checked: its `{key}` is not a number"))
    }

    /// Whether the value must not be printed.
    fn is_secret(&self) -> bool {
        self.text("NoEcho")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// What the author of the template says about values that are refused.
    fn describe(&self) -> String {
        self.text("ConstraintDescription")
            .map(|text| format!(" ({text})"))
            .unwrap_or_default()
    }

    fn split_items<'t>(&self, text: &'t str) -> Vec<&'t str> {
        if self.ty.is_list() {
            text.split(',').map(str::trim).collect()
        } else {
            vec![text]
        }
    }

    /// Checks a value; the error continues "the default of parameter `X` …".
    fn check_item(&self, item: &str) -> Result<(), String> {
        let shown = if self.is_secret() {
            String::new()
        } else {
            format!("`{item}` ")
        };
        let refuse = |what: String| Err(format!("{shown}{what}"));
        if let Some(NodeValue::List(allowed)) =
            self.parameter.get("AllowedValues").map(|node| &node.value)
        {
            let allowed: Vec<&str> = allowed.iter().filter_map(YamlNode::text).collect();
            if !allowed.contains(&item) {
                return refuse(format!("is not allowed; expected {}", allowed.join(" or ")));
            }
        }
        if let Some(pattern) = self.text("AllowedPattern") {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
                format!("cannot be checked: its `AllowedPattern` `{pattern}` is not a pattern that can be read here")
            })?;
            if !regex.is_match(item) {
                return refuse(format!("does not match the pattern `{pattern}`"));
            }
        }
        self.check_length(item).or_else(refuse)?;
        self.check_number(item).or_else(refuse)
    }

    fn check_length(&self, item: &str) -> Result<(), String> {
        #[expect(clippy::cast_precision_loss, reason = "a value is shorter than 2^52")]
        let length = item.chars().count() as f64;
        let [least, most] = [self.number("MinLength")?, self.number("MaxLength")?];
        match (least, most) {
            (Some(least), _) if length < least => Err(format!(
                "has {length} characters; expected at least {least}"
            )),
            (_, Some(most)) if length > most => {
                Err(format!("has {length} characters; expected at most {most}"))
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, item: &str) -> Result<(), String> {
        if !self.ty.is_number() {
            return Ok(());
        }
        let Some(number) = item.parse().ok().filter(|number: &f64| number.is_finite()) else {
            return Err("is not a number; expected one such as `4.01`".to_owned());
        };
        let [least, most] = [self.number("MinValue")?, self.number("MaxValue")?];
        match (least, most) {
            (Some(least), _) if number < least => {
                Err(format!("is too small; expected at least {least}"))
            }
            (_, Some(most)) if number > most => {
                Err(format!("is too large; expected at most {most}"))
            }
            _ => Ok(()),
        }
    }
}
