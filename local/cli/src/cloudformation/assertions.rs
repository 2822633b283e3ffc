//! `Rules` of CloudFormation: assertions about the values of parameters.

use super::evaluator::TemplateEvaluator;
use super::node::{NodeEntry, NodeValue, YamlNode, find_unknown_keys};
use super::problem::LineColumn;
use super::text_part::find_unknown;
use super::truth::Truth;

const RULE_KEYS: &[&str] = &["RuleCondition", "Assertions"];
const ASSERTION_KEYS: &[&str] = &["Assert", "AssertDescription"];

impl TemplateEvaluator<'_> {
    /// Refuses parameters that an assertion is false for, and notes a rule that needs what only AWS knows.
    pub(crate) fn check_assertions(&mut self, rule: &NodeEntry) {
        let name = rule.key.as_str();
        self.path = vec!["Rules".to_owned(), name.to_owned()];
        let (Some(keys), Some(NodeValue::List(assertions))) = (
            rule.node.entries(),
            rule.node.get("Assertions").map(|node| &node.value),
        ) else {
            self.refuse_call(
                rule.at,
                "a rule of CloudFormation is a map with a list `Assertions`",
            );
            return;
        };
        self.problems.extend(find_unknown_keys(
            keys,
            RULE_KEYS,
            "a key of a rule of CloudFormation",
        ));
        match rule
            .node
            .get("RuleCondition")
            .map(|node| self.decide_function(node))
        {
            None | Some(Truth::True) => {}
            Some(Truth::Unknown(unknown)) => {
                return self.notes.push(format!(
                    "rule of CloudFormation `{name}` is left alone: {unknown}"
                ));
            }
            Some(Truth::False | Truth::Refused) => return,
        }
        for assertion in assertions {
            self.check_assertion(name, assertion);
        }
    }

    fn check_assertion(&mut self, rule: &str, assertion: &YamlNode) {
        self.problems.extend(find_unknown_keys(
            assertion.entries().unwrap_or_default(),
            ASSERTION_KEYS,
            "a key of an assertion",
        ));
        let Some(assert) = assertion.get("Assert") else {
            self.refuse_call(assertion.at, "an assertion is a map with `Assert`");
            return;
        };
        match self.decide_function(assert) {
            Truth::True | Truth::Refused => {}
            Truth::Unknown(unknown) => {
                let note = format!("rule of CloudFormation `{rule}` is left alone: {unknown}");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
            Truth::False => {
                let description = assertion.get("AssertDescription").and_then(YamlNode::text);
                let description = description.unwrap_or("give parameters for which it is true");
                self.refuse_call(assert.at, format!("the assertion is false: {description}"));
            }
        }
    }

    /// Whether every value of the first operand is among those of the second; for `Fn::Contains` the second is the value.
    pub(crate) fn decide_membership(
        &mut self,
        at: LineColumn,
        function: &str,
        argument: &YamlNode,
    ) -> Truth {
        let message =
            format!("`Fn::{function}` has two operands, of which lists are lists of texts");
        let operands: [YamlNode; 2] = match self.evaluate_operands(at, argument, &message) {
            Ok(operands) => operands,
            Err(_) => return Truth::Refused,
        };
        for operand in &operands {
            let texts = match &operand.value {
                NodeValue::List(items) => items.as_slice(),
                _ => std::slice::from_ref(operand),
            };
            for text in texts {
                if let NodeValue::Partial(parts) = &text.value
                    && let Some(unknown) = find_unknown(parts)
                {
                    return Truth::Unknown(unknown.clone());
                }
            }
        }
        let [left, right] = &operands;
        let truth = match (function, list_texts(left), right.text(), list_texts(right)) {
            ("Contains", Some(list), Some(text), _) => list.contains(&text),
            ("EachMemberEquals", Some(list), Some(text), _) => {
                list.iter().all(|item| *item == text)
            }
            ("EachMemberIn", Some(list), _, Some(all)) => {
                list.iter().all(|item| all.contains(item))
            }
            _ => return self.refuse_operands(at, &message),
        };
        Truth::from(truth)
    }
}

/// The texts of a list; `None` for anything else.
fn list_texts(node: &YamlNode) -> Option<Vec<&str>> {
    match &node.value {
        NodeValue::List(items) => items.iter().map(YamlNode::text).collect(),
        _ => None,
    }
}
