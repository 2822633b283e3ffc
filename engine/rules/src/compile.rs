//! Builds the intermediate representation of a rule, and computes its constant parts.

use crate::{
    ast::{Arithmetic, Comparison, Literal},
    eval::run_program,
    facts::Facts,
    functions::Evaluator,
    ir::{
        Argument, Condition, FloatOperand, FunctionCall, IntegerOperand, Op, Operand, Program,
        RegexPattern, TextOperand, TimeOperand,
    },
    lists::Lists,
    value::Type,
};

impl Program {
    fn from_op(op: Op) -> Self {
        Self { ops: vec![op] }
    }

    /// A Boolean variable.
    pub(crate) fn from_boolean_slot(slot: u32) -> Self {
        Self::from_op(Op::Boolean { slot })
    }

    /// A condition, as one of the instructions without an allocation if there is one for it.
    pub(crate) fn from_condition(condition: Condition) -> Self {
        Self::from_op(match condition {
            Condition::Integers(
                order,
                IntegerOperand::Slot(slot),
                IntegerOperand::Constant(than),
            ) => Op::Integer { slot, order, than },
            Condition::Integers(
                order,
                IntegerOperand::Constant(than),
                IntegerOperand::Slot(slot),
            ) => Op::Integer {
                slot,
                order: order.mirrored(),
                than,
            },
            Condition::Floats(order, side, FloatOperand::Constant(than)) => {
                compile_float_comparison(order, side, than)
            }
            Condition::Floats(order, FloatOperand::Constant(than), side) => {
                compile_float_comparison(order.mirrored(), side, than)
            }
            Condition::Texts { equal, sides } => compile_text_comparison(equal, sides),
            other => Op::Condition(Box::new(other)),
        })
    }

    pub(crate) fn negate(mut self) -> Self {
        self.ops.push(Op::Not);
        self
    }

    /// `and` of all parts, at least two.
    pub(crate) fn all_of(parts: Vec<Self>) -> Self {
        Self::join_chain(parts, |skip| Op::And { skip }, Op::LeaveAnd)
    }

    /// `or` of all parts, at least two.
    pub(crate) fn any_of(parts: Vec<Self>) -> Self {
        Self::join_chain(parts, |skip| Op::Or { skip }, Op::LeaveOr)
    }

    fn join_chain(parts: Vec<Self>, between: fn(u32) -> Op, leave: Op) -> Self {
        let size: usize = parts.iter().map(|part| part.ops.len() + 1).sum();
        let mut ops = Vec::with_capacity(size + 2);
        ops.push(Op::Enter);
        for part in parts {
            ops.extend(part.ops);
            // `size` does not count `Enter`: this op has the index `ops.len()`, and `leave`
            // will have `size + 1`.
            let skip = size.saturating_sub(ops.len());
            ops.push(between(u32::try_from(skip).unwrap_or(u32::MAX)));
        }
        ops.push(leave);
        Self { ops }
    }
}

/// The instruction reads a slot of either number type as a float, so a conversion from
/// INTEGER is not needed.
fn compile_float_comparison(order: Comparison, side: FloatOperand, than: f64) -> Op {
    let slot = match side {
        FloatOperand::Slot(slot) => Some(slot),
        FloatOperand::Integer(ref integer) => match **integer {
            IntegerOperand::Slot(slot) => Some(slot),
            _ => None,
        },
        _ => None,
    };
    match slot {
        Some(slot) => Op::Float { slot, order, than },
        None => Op::Condition(Box::new(Condition::Floats(
            order,
            side,
            FloatOperand::Constant(than),
        ))),
    }
}

fn compile_text_comparison(equal: bool, sides: [TextOperand; 2]) -> Op {
    match sides {
        [TextOperand::Slot(slot), TextOperand::Constant(to)]
        | [TextOperand::Constant(to), TextOperand::Slot(slot)] => Op::Text {
            slot,
            equal,
            to: to.as_ref().into(),
        },
        sides => Op::Condition(Box::new(Condition::Texts { equal, sides })),
    }
}

impl Operand {
    pub(crate) fn from_variable(slot: u32, ty: Type) -> Self {
        match ty {
            Type::String => Self::Text(TextOperand::Slot(slot)),
            Type::Integer => Self::Integer(IntegerOperand::Slot(slot)),
            Type::Float => Self::Float(FloatOperand::Slot(slot)),
            Type::Boolean => Self::Test(Program::from_boolean_slot(slot)),
            Type::DateTime => Self::Time(TimeOperand::Slot(slot)),
        }
    }

    pub(crate) fn from_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Text(text) => Self::Text(TextOperand::Constant(text.clone())),
            Literal::Integer(number) => Self::Integer(IntegerOperand::Constant(*number)),
            Literal::Float(number) => Self::Float(FloatOperand::Constant(*number)),
            Literal::Boolean(truth) => {
                Self::Test(Program::from_condition(Condition::Known(*truth)))
            }
        }
    }

    /// A call of a function. If all its arguments are constant, it is computed now.
    pub(crate) fn from_call(evaluator: Evaluator, arguments: Box<[Argument]>) -> Self {
        let is_constant = arguments.iter().all(Argument::is_constant);
        let call = match evaluator {
            Evaluator::Boolean(evaluate) => {
                let call = FunctionCall {
                    evaluate,
                    arguments,
                };
                Self::Test(Program::from_condition(Condition::Call(call)))
            }
            Evaluator::Integer(evaluate) => Self::Integer(IntegerOperand::Call(FunctionCall {
                evaluate,
                arguments,
            })),
            Evaluator::Text(evaluate) => Self::Text(TextOperand::Call(FunctionCall {
                evaluate,
                arguments,
            })),
            Evaluator::Time(evaluate) => Self::Time(TimeOperand::Call(FunctionCall {
                evaluate,
                arguments,
            })),
        };
        let constant = if is_constant {
            call.compute_constant()
        } else {
            None
        };
        constant.unwrap_or(call)
    }

    /// The value without an event and without a time, as an operand. `None` if it is null.
    fn compute_constant(&self) -> Option<Self> {
        let lists = Lists::default();
        let facts = Facts {
            row: &[],
            lists: &lists,
            now_ms: None,
        };
        Some(match self {
            Self::Null => return None,
            Self::Test(program) => {
                let truth = run_program(&program.ops, &facts)?;
                Self::Test(Program::from_condition(Condition::Known(truth)))
            }
            Self::Integer(integer) => {
                Self::Integer(IntegerOperand::Constant(integer.evaluate(&facts)?))
            }
            Self::Float(float) => Self::Float(FloatOperand::Constant(float.evaluate(&facts)?)),
            Self::Text(text) => Self::Text(TextOperand::Constant(text.evaluate(&facts)?.into())),
            Self::Time(time) => Self::Time(TimeOperand::Constant(time.evaluate(&facts)?)),
        })
    }

    /// A number as a float. `None` if it is not a number.
    pub(crate) fn to_float(&self) -> Option<FloatOperand> {
        match self {
            Self::Float(float) => Some(float.clone()),
            Self::Integer(integer) => Some(integer.clone().into()),
            _ => None,
        }
    }
}

impl Argument {
    fn is_constant(&self) -> bool {
        matches!(
            self,
            Self::Text(TextOperand::Constant(_))
                | Self::Time(TimeOperand::Constant(_))
                | Self::Pattern(RegexPattern::Compiled(_))
        )
    }
}

impl IntegerOperand {
    pub(crate) fn from_arithmetic(operator: Arithmetic, a: Self, b: Self) -> Self {
        if let (Self::Constant(a), Self::Constant(b)) = (&a, &b)
            && let Some(number) = operator.compute_integers(*a, *b)
        {
            return Self::Constant(number);
        }
        Self::Arithmetic(operator, Box::new([a, b]))
    }
}

impl FloatOperand {
    pub(crate) fn from_arithmetic(operator: Arithmetic, a: Self, b: Self) -> Self {
        if let (Self::Constant(a), Self::Constant(b)) = (&a, &b)
            && let Some(number) = operator.compute_floats(*a, *b)
        {
            return Self::Constant(number);
        }
        Self::Arithmetic(operator, Box::new([a, b]))
    }
}

impl Comparison {
    /// The comparison that means the same when its sides are swapped.
    fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::find_function;

    fn call_function(name: &str, arguments: Vec<Argument>) -> Operand {
        let function = find_function(name).unwrap();
        Operand::from_call(function.evaluator, arguments.into())
    }

    #[test]
    fn a_call_is_constant_if_its_arguments_are_and_it_does_not_read_the_time() {
        let text = Argument::Text(TextOperand::Constant("A".into()));
        let lower = call_function("lowercase", vec![text]);
        assert!(matches!(lower, Operand::Text(TextOperand::Constant(text)) if *text == *"a"));
        let now = call_function("getcurrentdatetime", vec![]);
        assert!(matches!(now, Operand::Time(TimeOperand::Call(_))));
        let text = Argument::Text(TextOperand::Slot(0));
        let lower = call_function("lowercase", vec![text]);
        assert!(matches!(lower, Operand::Text(TextOperand::Call(_))));
    }

    #[test]
    fn a_jump_lands_on_the_end_of_its_chain() {
        let booleans =
            |slots: std::ops::Range<u32>| slots.map(Program::from_boolean_slot).collect();
        let inner = Program::any_of(booleans(0..2));
        let outer = Program::all_of(vec![
            Program::from_boolean_slot(5),
            inner,
            Program::from_boolean_slot(6),
        ]);
        for (at, op) in outer.ops.iter().enumerate() {
            match op {
                Op::And { skip } => {
                    assert!(matches!(outer.ops[at + 1 + *skip as usize], Op::LeaveAnd));
                }
                Op::Or { skip } => {
                    assert!(matches!(outer.ops[at + 1 + *skip as usize], Op::LeaveOr));
                }
                _ => {}
            }
        }
    }
}
