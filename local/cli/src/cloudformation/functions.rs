//! CloudFormation's functions: one evaluator for their long and their short forms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::evaluator::TemplateEvaluator;
use super::function_names::{CONDITION_FUNCTIONS, name_function};
use super::node::{NodeValue, YamlNode};
use super::partial_text::{join_parts, split_parts};
use super::problem::LineColumn;
use super::text_part::{TextPart, UnknownValue, find_unknown};
use super::truth::Truth;

/// The functions that have a value.
const VALUE_FUNCTIONS: &[&str] = &[
    "Ref",
    "GetAtt",
    "Sub",
    "Join",
    "Select",
    "Split",
    "If",
    "FindInMap",
    "ImportValue",
    "Base64",
    "Length",
];

impl TemplateEvaluator<'_> {
    /// The value of a function; `None` for `AWS::NoValue`.
    pub(crate) fn call_function(
        &mut self,
        at: LineColumn,
        function: &str,
        argument: &YamlNode,
    ) -> Option<YamlNode> {
        let value = match function {
            "Ref" if argument.text() == Some("AWS::NoValue") => return None,
            "If" => return self.choose_branch(at, argument),
            "Ref" => match argument.text() {
                Some(name) => self.find_value(at, name),
                None => self.refuse_call(at, "`Ref` has the name of a parameter or resource"),
            },
            "GetAtt" => self.find_attribute(at, argument),
            "Sub" => self.substitute_names(at, argument),
            "Join" => self.join_list(at, argument),
            "Select" => self.select_item(at, argument),
            "Split" => self.split_text(at, argument),
            "FindInMap" => self.find_in_map(at, argument),
            "ImportValue" => self.import_value(argument),
            "Base64" => self.encode_base64(at, argument),
            "Length" => self.count_items(at, argument),
            "RefAll" | "ValueOf" | "ValueOfAll" => {
                let advice = "only AWS knows the resources of an account";
                let unknown = UnknownValue::new(name_function(function), advice);
                NodeValue::Partial(vec![TextPart::Unknown(unknown)])
            }
            _ => self.refuse_function(at, function),
        };
        Some(YamlNode { at, value })
    }

    fn refuse_function(&mut self, at: LineColumn, function: &str) -> NodeValue {
        let name = name_function(function);
        if CONDITION_FUNCTIONS.contains(&function) {
            let message =
                format!("`{name}` belongs in `Conditions`; use `Fn::If` with its name here");
            return self.refuse_call(at, message);
        }
        let known: Vec<String> = VALUE_FUNCTIONS
            .iter()
            .map(|function| name_function(function))
            .collect();
        let message = format!(
            "`{name}` is not a function that can be evaluated here; write the value, or use {}",
            known.join(", ")
        );
        self.refuse_call(at, message)
    }

    fn choose_branch(&mut self, at: LineColumn, argument: &YamlNode) -> Option<YamlNode> {
        let refused = |value| Some(YamlNode { at, value });
        let message = "`Fn::If` has a list: the name of a condition, a value if it is true, and one if it is false";
        let NodeValue::List(items) = &argument.value else {
            return refused(self.refuse_call(at, message));
        };
        let [condition, yes, no] = items.as_slice() else {
            return refused(self.refuse_call(at, message));
        };
        let Some(name) = condition.text() else {
            return refused(self.refuse_call(condition.at, message));
        };
        match self.decide_condition(condition.at, name) {
            Truth::True => self.evaluate_node(yes),
            Truth::False => self.evaluate_node(no),
            Truth::Refused => refused(NodeValue::Refused),
            Truth::Unknown(unknown) => {
                let message = format!("condition `{name}` cannot be decided: {unknown}");
                refused(self.refuse_call(condition.at, message))
            }
        }
    }

    /// The value of a parameter, a pseudo parameter or a resource.
    fn find_value(&mut self, at: LineColumn, name: &str) -> NodeValue {
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        if let Some(value) = self.inputs.find_pseudo_parameter(name) {
            return match value {
                Ok(value) => NodeValue::Text(value),
                Err(unknown) => NodeValue::Partial(vec![TextPart::Unknown(unknown)]),
            };
        }
        if self.find_resource(name).is_some() {
            return self.refer_to_resource(at, name, None);
        }
        // SAM's resources have parts that `Ref` can name, such as the alias of a function.
        if let Some((id, part)) = name.split_once('.')
            && let Some(resource) = self.find_resource(id)
            && resource.type_name.starts_with("AWS::Serverless::")
        {
            return self.refer_to_resource(at, id, Some(part));
        }
        let message = format!("there is no parameter or resource `{name}` in this template");
        self.refuse_call(at, message)
    }

    fn find_attribute(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let path = match &argument.value {
            NodeValue::Text(path) => path.split_once('.'),
            NodeValue::List(items) => match items.as_slice() {
                [id, attribute] => id.text().zip(attribute.text()),
                _ => None,
            },
            _ => None,
        };
        match path {
            Some((id, attribute)) => self.refer_to_resource(at, id, Some(attribute)),
            None => self.refuse_call(
                at,
                "`Fn::GetAtt` has a resource and an attribute: `!GetAtt X.Arn`",
            ),
        }
    }

    /// What `!Ref ID` or `!GetAtt ID.ATTRIBUTE` returns.
    fn refer_to_resource(
        &mut self,
        at: LineColumn,
        id: &str,
        attribute: Option<&str>,
    ) -> NodeValue {
        let Some(resource) = self.find_resource(id) else {
            return self.refuse_call(at, format!("there is no resource `{id}` in this template"));
        };
        match self.decide_existence(resource) {
            Truth::True => {}
            Truth::Refused => return NodeValue::Refused,
            Truth::False => {
                let condition = resource
                    .attribute("Condition")
                    .and_then(YamlNode::text)
                    .unwrap_or_default();
                let message = format!(
                    "`{id}` does not exist, because its condition `{condition}` is false; use `Fn::If` with \
                     `AWS::NoValue` here"
                );
                return self.refuse_call(at, message);
            }
            Truth::Unknown(unknown) => {
                let message = format!("whether `{id}` exists cannot be decided: {unknown}");
                return self.refuse_call(at, message);
            }
        }
        if resource.arn.is_some() && matches!(attribute, None | Some("Arn")) {
            return NodeValue::ResourceArn(id.to_owned());
        }
        let name = attribute.map_or_else(|| id.to_owned(), |attribute| format!("{id}.{attribute}"));
        let advice = "only a deployment has it; write the value";
        NodeValue::Partial(vec![TextPart::Unknown(UnknownValue::new(name, advice))])
    }

    fn substitute_names(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let (text, values) = match &argument.value {
            NodeValue::List(items) => match items.as_slice() {
                [text, values] => (text.text(), self.evaluate_node(values)),
                _ => (None, None),
            },
            _ => (argument.text(), None),
        };
        match text {
            Some(text) => self.substitute_text(at, text, values.as_ref()),
            None => self.refuse_call(
                at,
                "`Fn::Sub` has a text, or a list of a text and a map of values",
            ),
        }
    }

    fn substitute_text(
        &mut self,
        at: LineColumn,
        text: &str,
        values: Option<&YamlNode>,
    ) -> NodeValue {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return self.refuse_call(
                    at,
                    "`Fn::Sub` has `${` without `}`; write `${!` for a `${` that stays",
                );
            };
            parts.push(TextPart::Known(before.to_owned()));
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                parts.push(TextPart::Known(format!("${{{literal}}}")));
                continue;
            }
            let value = match (
                values.and_then(|values| values.get(name)),
                name.split_once('.'),
            ) {
                (Some(node), _) => node.value.clone(),
                (None, Some((id, attribute))) => self.refer_to_resource(at, id, Some(attribute)),
                (None, None) => self.find_value(at, name),
            };
            // A reference alone stays one, so that messages can name the resource.
            if matches!(value, NodeValue::ResourceArn(_)) && text.len() == name.len() + "${}".len()
            {
                return value;
            }
            match self.read_parts(&YamlNode { at, value }) {
                Some(more) => parts.extend(more),
                None => return NodeValue::Refused,
            }
        }
        parts.push(TextPart::Known(rest.to_owned()));
        join_parts(parts)
    }

    fn join_list(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let message = "`Fn::Join` has a delimiter and a list of texts";
        let [delimiter, list] = match self.evaluate_operands(at, argument, message) {
            Ok(operands) => operands,
            Err(refused) => return refused,
        };
        let items = match (&list.value, delimiter.text()) {
            (NodeValue::List(items), Some(_)) => items,
            (NodeValue::Partial(_), Some(_)) => return list.value,
            _ => return self.refuse_call(at, message),
        };
        let mut parts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                parts.extend(
                    delimiter
                        .text()
                        .map(|text| TextPart::Known(text.to_owned())),
                );
            }
            match self.read_parts(item) {
                Some(more) => parts.extend(more),
                None => return NodeValue::Refused,
            }
        }
        join_parts(parts)
    }

    fn select_item(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let message = "`Fn::Select` has an index from 0 and a list";
        let [index, list] = match self.evaluate_operands(at, argument, message) {
            Ok(operands) => operands,
            Err(refused) => return refused,
        };
        let index = index.text().and_then(|text| text.parse::<usize>().ok());
        match (list.value, index) {
            (NodeValue::List(items), Some(index)) => {
                if let Some(item) = items.get(index) {
                    return item.value.clone();
                }
                let message = format!(
                    "`Fn::Select` asks for item {index} of a list of {}, counted from 0",
                    items.len()
                );
                self.refuse_call(at, message)
            }
            (value @ NodeValue::Partial(_), Some(_)) => value,
            _ => self.refuse_call(at, message),
        }
    }

    fn split_text(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        let message = "`Fn::Split` has a delimiter and a text";
        let [delimiter, text] = match self.evaluate_operands(at, argument, message) {
            Ok(operands) => operands,
            Err(refused) => return refused,
        };
        let Some(delimiter) = delimiter.text().filter(|text| !text.is_empty()) else {
            return self.refuse_call(at, message);
        };
        let Some(parts) = self.read_parts(&text) else {
            return NodeValue::Refused;
        };
        match (split_parts(&parts, delimiter), find_unknown(&parts)) {
            (Some(items), _) => NodeValue::List(
                items
                    .into_iter()
                    .map(|value| YamlNode { at, value })
                    .collect(),
            ),
            (None, unknown) => join_parts(unknown.cloned().map(TextPart::Unknown)),
        }
    }

    fn import_value(&mut self, argument: &YamlNode) -> NodeValue {
        let Some(parts) = self
            .evaluate_node(argument)
            .and_then(|name| self.read_parts(&name))
        else {
            return NodeValue::Refused;
        };
        let name = match join_parts(parts) {
            NodeValue::Text(name) => format!("Fn::ImportValue {name}"),
            _ => "Fn::ImportValue".to_owned(),
        };
        let advice = "another stack exports it; write the value, or `Name` beside `Arn`";
        NodeValue::Partial(vec![TextPart::Unknown(UnknownValue::new(name, advice))])
    }

    fn encode_base64(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        match self.evaluate_node(argument).map(|node| node.value) {
            Some(NodeValue::Text(text)) => NodeValue::Text(STANDARD.encode(text)),
            Some(value @ (NodeValue::Partial(_) | NodeValue::Refused)) => value,
            _ => self.refuse_call(at, "`Fn::Base64` has a text"),
        }
    }

    fn count_items(&mut self, at: LineColumn, argument: &YamlNode) -> NodeValue {
        match self.evaluate_node(argument).map(|node| node.value) {
            Some(NodeValue::List(items)) => NodeValue::Text(items.len().to_string()),
            Some(value @ (NodeValue::Partial(_) | NodeValue::Refused)) => value,
            _ => self.refuse_call(at, "`Fn::Length` has a list"),
        }
    }

    /// The evaluated operands of a function; the error is the value of the call.
    pub(crate) fn evaluate_operands<const N: usize>(
        &mut self,
        at: LineColumn,
        argument: &YamlNode,
        message: &str,
    ) -> Result<[YamlNode; N], NodeValue> {
        let value = self.evaluate_node(argument).map(|node| node.value);
        let items = match value {
            Some(NodeValue::List(items)) => items,
            Some(NodeValue::Refused) => return Err(NodeValue::Refused),
            _ => return Err(self.refuse_call(at, message)),
        };
        if items
            .iter()
            .any(|item| matches!(item.value, NodeValue::Refused))
        {
            return Err(NodeValue::Refused);
        }
        items.try_into().map_err(|_| self.refuse_call(at, message))
    }

    /// The parts of a text; `None` if there is a problem, which has been reported.
    fn read_parts(&mut self, node: &YamlNode) -> Option<Vec<TextPart>> {
        match &node.value {
            NodeValue::Text(text) => Some(vec![TextPart::Known(text.clone())]),
            NodeValue::Partial(parts) => Some(parts.clone()),
            NodeValue::ResourceArn(id) => self.write_arn(node.at, id),
            NodeValue::Refused => None,
            _ => {
                self.refuse_call(node.at, "expected a text in a function of texts");
                None
            }
        }
    }

    /// The ARN of a resource of this template.
    fn write_arn(&mut self, at: LineColumn, id: &str) -> Option<Vec<TextPart>> {
        if self.naming.iter().any(|naming| naming == id) {
            self.refuse_call(at, format!("the name of `{id}` depends on itself"));
            return None;
        }
        let resource = self.find_resource(id)?;
        let form = resource.arn?;
        let node = resource.attribute("Properties")?.get(form.name_property)?;
        self.naming.push(id.to_owned());
        let name = self
            .evaluate_node(node)
            .and_then(|name| self.read_parts(&name));
        self.naming.pop();
        let name = name?;
        let mut parts = vec![TextPart::Known("arn".to_owned())];
        for field in [
            "AWS::Partition",
            form.service,
            "AWS::Region",
            "AWS::AccountId",
        ] {
            parts.push(TextPart::Known(":".to_owned()));
            parts.push(match self.inputs.find_pseudo_parameter(field) {
                Some(Ok(value)) => TextPart::Known(value),
                Some(Err(unknown)) => TextPart::Unknown(unknown),
                None => TextPart::Known(field.to_owned()),
            });
        }
        parts.push(TextPart::Known(format!(":{}/", form.word)));
        parts.extend(name);
        Some(parts)
    }
}
