//! Evaluates a compiled rule on one event.

use std::borrow::Cow;

use crate::{
    ast::{Arithmetic, Comparison},
    facts::Facts,
    ir::{
        Argument, Arguments, Condition, FloatOperand, FunctionCall, IntegerOperand, ListSource, Op,
        Operand, RegexPattern, TextOperand, TimeOperand,
    },
    lists::{ListValues, convert_to_float},
    pattern, utc_time,
    value::parse_boolean_word,
};

/// Runs a program. `None` means unknown.
///
/// The lowest bit of `unknowns` says whether a part of the innermost chain was unknown;
/// each chain around it has the next higher bit. It has enough bits, because the nesting
/// of rules is limited.
pub(crate) fn run_program(ops: &[Op], facts: &Facts<'_>) -> Option<bool> {
    let mut truth = None;
    let mut unknowns = 0_u64;
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        at += 1;
        match op {
            Op::Integer { slot, order, than } => {
                truth = facts
                    .integer(*slot)
                    .map(|number| order.holds(&number, than));
            }
            Op::Float { slot, order, than } => {
                truth = facts.float(*slot).map(|number| order.holds(&number, than));
            }
            Op::Text { slot, equal, to } => {
                truth = facts.text(*slot).map(|text| (*text == **to) == *equal);
            }
            Op::Boolean { slot } => truth = facts.boolean(*slot),
            Op::Condition(condition) => truth = condition.evaluate(facts),
            Op::Not => truth = truth.map(|truth| !truth),
            Op::Enter => unknowns <<= 1,
            Op::And { skip } => match truth {
                Some(false) => at += *skip as usize,
                Some(true) => {}
                None => unknowns |= 1,
            },
            Op::Or { skip } => match truth {
                Some(true) => at += *skip as usize,
                Some(false) => {}
                None => unknowns |= 1,
            },
            Op::LeaveAnd => truth = end_chain(truth, false, &mut unknowns),
            Op::LeaveOr => truth = end_chain(truth, true, &mut unknowns),
        }
    }
    truth
}

/// Ends a chain. One part with the value `decisive` decides it, whatever the others are.
fn end_chain(last: Option<bool>, decisive: bool, unknowns: &mut u64) -> Option<bool> {
    let unknown = *unknowns & 1 == 1;
    *unknowns >>= 1;
    if last == Some(decisive) {
        last
    } else if unknown {
        None
    } else {
        Some(!decisive)
    }
}

impl Condition {
    fn evaluate(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Known(truth) => Some(*truth),
            Self::Integers(order, a, b) => {
                Some(order.holds(&a.evaluate(facts)?, &b.evaluate(facts)?))
            }
            Self::Floats(order, a, b) => {
                Some(order.holds(&a.evaluate(facts)?, &b.evaluate(facts)?))
            }
            Self::Times(order, a, b) => Some(order.holds(&a.evaluate(facts)?, &b.evaluate(facts)?)),
            Self::Texts {
                equal,
                sides: [a, b],
            } => Some((a.evaluate(facts)? == b.evaluate(facts)?) == *equal),
            Self::Tests {
                equal,
                sides: [a, b],
            } => Some((run_program(&a.ops, facts)? == run_program(&b.ops, facts)?) == *equal),
            Self::Word {
                equal,
                test,
                word: text,
            } => {
                let truth = run_program(&test.ops, facts)?;
                Some((parse_boolean_word(&text.evaluate(facts)?) == Some(truth)) == *equal)
            }
            Self::Null { is, operand } => Some(operand.is_null(facts) == *is),
            Self::In {
                inside,
                operand,
                list,
            } => Some(operand.is_in(list.find_list(facts)?, facts)? == *inside),
            Self::Call(call) => (call.evaluate)(&call.bind_arguments(facts)),
        }
    }
}

impl Operand {
    fn is_null(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Null => true,
            Self::Test(program) => run_program(&program.ops, facts).is_none(),
            Self::Integer(integer) => integer.evaluate(facts).is_none(),
            Self::Float(float) => float.evaluate(facts).is_none(),
            Self::Text(text) => text.evaluate(facts).is_none(),
            Self::Time(time) => time.evaluate(facts).is_none(),
        }
    }

    fn is_in(&self, list: &ListValues, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::Null => None,
            Self::Test(program) => Some(list.has_boolean(run_program(&program.ops, facts)?)),
            Self::Integer(integer) => Some(list.has_integer(integer.evaluate(facts)?)),
            Self::Float(float) => Some(list.has_float(float.evaluate(facts)?)),
            Self::Text(text) => Some(list.contains(&text.evaluate(facts)?)),
            Self::Time(time) => Some(list.has_time(time.evaluate(facts)?)),
        }
    }
}

impl ListSource {
    /// A list that does not exist makes its test unknown. It does not count as empty: a rule
    /// that uses it must not silently let every event pass.
    fn find_list<'a>(&'a self, facts: &Facts<'a>) -> Option<&'a ListValues> {
        match self {
            Self::Inline(list) => Some(list),
            Self::Named(name) => facts.lists.get(name).map(|list| &**list),
        }
    }
}

impl IntegerOperand {
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Option<i64> {
        match self {
            Self::Slot(slot) => facts.integer(*slot),
            Self::Constant(number) => Some(*number),
            Self::Arithmetic(operator, sides) => {
                operator.compute_integers(sides[0].evaluate(facts)?, sides[1].evaluate(facts)?)
            }
            Self::Call(call) => (call.evaluate)(&call.bind_arguments(facts)),
        }
    }
}

impl FloatOperand {
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Option<f64> {
        match self {
            Self::Slot(slot) => facts.float(*slot),
            Self::Constant(number) => Some(*number),
            Self::Integer(integer) => integer.evaluate(facts).map(convert_to_float),
            Self::Arithmetic(operator, sides) => {
                operator.compute_floats(sides[0].evaluate(facts)?, sides[1].evaluate(facts)?)
            }
        }
    }
}

impl TextOperand {
    pub(crate) fn evaluate<'a>(&'a self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Slot(slot) => facts.text(*slot).map(Cow::Borrowed),
            Self::Constant(text) => Some(Cow::Borrowed(text)),
            Self::Call(call) => (call.evaluate)(&call.bind_arguments(facts)),
        }
    }
}

impl TimeOperand {
    pub(crate) fn evaluate(&self, facts: &Facts<'_>) -> Option<i64> {
        match self {
            Self::Slot(slot) => facts.time(*slot),
            Self::Constant(millis) => Some(*millis),
            Self::Parsed(text) => utc_time::parse_utc_time(&text.evaluate(facts)?),
            Self::Call(call) => (call.evaluate)(&call.bind_arguments(facts)),
        }
    }
}

impl<F> FunctionCall<F> {
    fn bind_arguments<'a>(&'a self, facts: &Facts<'a>) -> Arguments<'a> {
        Arguments {
            arguments: &self.arguments,
            facts: *facts,
        }
    }
}

/// What the evaluators of functions read. An argument is `None` if it is null. It is also
/// `None` if the table gives it another type; a test beside the table excludes that.
impl<'a> Arguments<'a> {
    pub(crate) fn text(&self, position: usize) -> Option<Cow<'a, str>> {
        match self.arguments.get(position)? {
            Argument::Text(text) => text.evaluate(&self.facts),
            _ => None,
        }
    }

    /// In milliseconds since 1970.
    pub(crate) fn time(&self, position: usize) -> Option<i64> {
        match self.arguments.get(position)? {
            Argument::Time(time) => time.evaluate(&self.facts),
            _ => None,
        }
    }

    /// Whether the pattern matches all of `text`.
    pub(crate) fn matches_pattern(&self, position: usize, text: &str) -> Option<bool> {
        let Argument::Pattern(pattern) = self.arguments.get(position)? else {
            return None;
        };
        match pattern {
            RegexPattern::Compiled(regex) => Some(regex.is_match(text)),
            RegexPattern::Computed(pattern) => Some(
                pattern::compile_event_pattern(&pattern.evaluate(&self.facts)?)?.is_match(text),
            ),
        }
    }

    /// The time of the evaluation, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> Option<i64> {
        self.facts.now_ms
    }
}

impl Comparison {
    /// Whether the comparison is true. Numbers are never NaN here.
    #[inline]
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

impl Arithmetic {
    /// `None` on overflow and on division by zero.
    pub(crate) fn compute_integers(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            // Not reached: the quotient of two integers is a float.
            Self::Divide => a.checked_div(b),
            // The remainder of the smallest number by -1 is 0, although the quotient overflows.
            Self::Remainder => (b != 0).then(|| a.wrapping_rem(b)),
        }
    }

    /// `None` if the result is not finite: on overflow and on division by zero.
    pub(crate) fn compute_floats(self, a: f64, b: f64) -> Option<f64> {
        let result = match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => a % b,
        };
        result.is_finite().then_some(result)
    }
}
