//! Conditions: which resources and branches of `Fn::If` there are.

use super::evaluator::TemplateEvaluator;
use super::function_names::{CONDITION_FUNCTIONS, name_function};
use super::node::{NodeValue, YamlNode};
use super::problem::LineColumn;
use super::text_part::find_unknown;
use super::truth::Truth;

/// The most conditions in `Fn::And` and `Fn::Or`.
const MOST_OPERANDS: usize = 10;

impl TemplateEvaluator<'_> {
    /// Decides every condition, so that the problems of those that nothing uses are found too.
    pub(crate) fn decide_conditions(&mut self) {
        let conditions: Vec<(String, LineColumn)> = self
            .conditions
            .iter()
            .map(|(name, node)| ((*name).to_owned(), node.at))
            .collect();
        for (name, at) in conditions {
            self.decide_condition(at, &name);
        }
    }

    /// Decides the condition `name`, which the node at `at` uses.
    pub(crate) fn decide_condition(&mut self, at: LineColumn, name: &str) -> Truth {
        match self.truths.get(name) {
            Some(Some(truth)) => return truth.clone(),
            Some(None) => {
                self.refuse_call(at, format!("condition `{name}` depends on itself"));
                return Truth::Refused;
            }
            None => {}
        }
        let Some(node) = self.conditions.get(name).copied() else {
            let names: Vec<&str> = self.conditions.keys().copied().collect();
            let expected = match names.as_slice() {
                [] => "the template has no `Conditions`".to_owned(),
                names => format!("expected {}", names.join(", ")),
            };
            self.refuse_call(at, format!("there is no condition `{name}`; {expected}"));
            return Truth::Refused;
        };
        self.truths.insert(name.to_owned(), None);
        let path = std::mem::replace(
            &mut self.path,
            vec!["Conditions".to_owned(), name.to_owned()],
        );
        let truth = self.decide_function(node);
        self.path = path;
        self.truths.insert(name.to_owned(), Some(truth.clone()));
        truth
    }

    /// Decides a function of conditions.
    pub(crate) fn decide_function(&mut self, node: &YamlNode) -> Truth {
        let (function, argument) = match &node.value {
            NodeValue::Call(function, argument) => (function.as_str(), argument.as_ref()),
            // `{Condition: X}` is a function in conditions only; elsewhere it is a key like any other.
            NodeValue::Map(entries) => match entries.as_slice() {
                [only] if only.key == "Condition" => ("Condition", &only.node),
                _ => return self.refuse_condition(node.at),
            },
            _ => return self.refuse_condition(node.at),
        };
        match function {
            "Condition" => self.decide_named(argument),
            "Equals" => self.decide_equality(node.at, argument),
            "And" => self.decide_operands(node.at, function, argument, &Truth::False),
            "Or" => self.decide_operands(node.at, function, argument, &Truth::True),
            "Not" => match &argument.value {
                NodeValue::List(operands) if operands.len() == 1 => {
                    operands.first().map_or(Truth::Refused, |operand| {
                        self.decide_function(operand).negate()
                    })
                }
                _ => self.refuse_operands(node.at, "`Fn::Not` has a list of one condition"),
            },
            "Contains" | "EachMemberEquals" | "EachMemberIn" => {
                self.decide_membership(node.at, function, argument)
            }
            _ => self.refuse_condition(node.at),
        }
    }

    fn refuse_condition(&mut self, at: LineColumn) -> Truth {
        let names: Vec<String> = CONDITION_FUNCTIONS
            .iter()
            .map(|function| name_function(function))
            .collect();
        let message = format!("expected a condition: {}", names.join(", "));
        self.refuse_operands(at, &message)
    }

    pub(crate) fn refuse_operands(&mut self, at: LineColumn, message: &str) -> Truth {
        self.refuse_call(at, message);
        Truth::Refused
    }

    fn decide_named(&mut self, argument: &YamlNode) -> Truth {
        match argument.text() {
            Some(name) => self.decide_condition(argument.at, name),
            None => self.refuse_operands(argument.at, "expected the name of a condition"),
        }
    }

    fn decide_operands(
        &mut self,
        at: LineColumn,
        function: &str,
        argument: &YamlNode,
        decisive: &Truth,
    ) -> Truth {
        match &argument.value {
            NodeValue::List(operands) if (2..=MOST_OPERANDS).contains(&operands.len()) => {
                let truths = operands.iter().map(|operand| self.decide_function(operand));
                Truth::combine(truths.collect(), decisive)
            }
            _ => {
                let message =
                    format!("`Fn::{function}` has a list of 2 to {MOST_OPERANDS} conditions");
                self.refuse_operands(at, &message)
            }
        }
    }

    fn decide_equality(&mut self, at: LineColumn, argument: &YamlNode) -> Truth {
        if let Some(NodeValue::List(items)) = self.evaluate_node(argument).map(|node| node.value)
            && let [left, right] = items.as_slice()
        {
            return self.compare_values(left, right);
        }
        self.refuse_operands(at, "`Fn::Equals` has a list of two values")
    }

    /// Whether two values are the same.
    pub(crate) fn compare_values(&mut self, left: &YamlNode, right: &YamlNode) -> Truth {
        for node in [left, right] {
            match &node.value {
                NodeValue::Refused => return Truth::Refused,
                NodeValue::Partial(parts) => {
                    let unknown = find_unknown(parts).cloned();
                    return unknown.map_or(Truth::Refused, Truth::Unknown);
                }
                NodeValue::ResourceArn(id) => {
                    let message =
                        format!("`{id}` is a resource; a condition can compare parameters only");
                    return self.refuse_operands(node.at, &message);
                }
                _ => {}
            }
        }
        match (&left.value, &right.value) {
            (NodeValue::Text(left), NodeValue::Text(right)) => Truth::from(left == right),
            (NodeValue::Null, NodeValue::Null) => Truth::True,
            (NodeValue::List(left), NodeValue::List(right)) if left.len() == right.len() => {
                let pairs = left.iter().zip(right);
                let truths = pairs.map(|(left, right)| self.compare_values(left, right));
                Truth::combine(truths.collect(), &Truth::False)
            }
            (NodeValue::Map(left), NodeValue::Map(right)) if left.len() == right.len() => {
                let mut truths = Vec::with_capacity(left.len());
                for entry in left {
                    let other = right.iter().find(|other| other.key == entry.key);
                    truths.push(other.map_or(Truth::False, |other| {
                        self.compare_values(&entry.node, &other.node)
                    }));
                }
                Truth::combine(truths, &Truth::False)
            }
            _ => Truth::False,
        }
    }
}
