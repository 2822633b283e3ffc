//! Which instructions does a condition become?

use crate::{
    ast::Comparison,
    term::{Condition, Float, Integer, Text},
};

/// Instructions that leave one truth value behind.
///
/// Jumps are relative, so programs are joined by appending one to another.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
}

/// One instruction. It sets the current truth value, or combines it with what came
/// before.
///
/// A chain of `and` is `Enter`, then each part followed by `And`, then `LeaveAnd`. Only
/// one bit of a chain needs to be kept between parts: whether one of them was unknown.
/// `And` leaves early on false, `Or` on true: no later part can change the result.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// The commonest conditions, on a slot and a constant.
    Integer {
        slot: u32,
        order: Comparison,
        than: i64,
    },
    Float {
        slot: u32,
        order: Comparison,
        than: f64,
    },
    Text {
        slot: u32,
        equal: bool,
        to: Box<str>,
    },
    Flag {
        slot: u32,
    },
    /// Every other one.
    Condition(Box<Condition>),
    Not,
    Enter,
    And {
        skip: u32,
    },
    Or {
        skip: u32,
    },
    LeaveAnd,
    LeaveOr,
}

impl Program {
    fn one(op: Op) -> Self {
        Self { ops: vec![op] }
    }

    /// A Boolean variable.
    pub(crate) fn flag(slot: u32) -> Self {
        Self::one(Op::Flag { slot })
    }

    pub(crate) fn condition(condition: Condition) -> Self {
        Self::one(match condition {
            Condition::Integers(order, Integer::Slot(slot), Integer::Constant(than)) => {
                Op::Integer { slot, order, than }
            }
            Condition::Integers(order, Integer::Constant(than), Integer::Slot(slot)) => {
                Op::Integer {
                    slot,
                    order: order.mirrored(),
                    than,
                }
            }
            Condition::Floats(order, side, Float::Constant(than)) => float(order, side, than),
            Condition::Floats(order, Float::Constant(than), side) => {
                float(order.mirrored(), side, than)
            }
            Condition::Texts { equal, sides } => texts(equal, sides),
            other => Op::Condition(Box::new(other)),
        })
    }

    pub(crate) fn not(mut self) -> Self {
        self.ops.push(Op::Not);
        self
    }

    /// All parts, of which there are two at least.
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        Self::chain(parts, |skip| Op::And { skip }, Op::LeaveAnd)
    }

    /// Any part, of which there are two at least.
    pub(crate) fn any(parts: Vec<Self>) -> Self {
        Self::chain(parts, |skip| Op::Or { skip }, Op::LeaveOr)
    }

    fn chain(parts: Vec<Self>, between: fn(u32) -> Op, leave: Op) -> Self {
        let size: usize = parts.iter().map(|part| part.ops.len() + 1).sum();
        let mut ops = Vec::with_capacity(size + 2);
        ops.push(Op::Enter);
        for part in parts {
            ops.extend(part.ops);
            // `Enter` stands before the counted ones: this op has index `ops.len()`,
            // and `leave` will have `size + 1`.
            let skip = size.saturating_sub(ops.len());
            ops.push(between(u32::try_from(skip).unwrap_or(u32::MAX)));
        }
        ops.push(leave);
        Self { ops }
    }
}

/// Reads a slot of either number type as a float, so the type of the slot is moot.
fn float(order: Comparison, side: Float, than: f64) -> Op {
    let slot = match side {
        Float::Slot(slot) => Some(slot),
        Float::Integer(ref integer) => match **integer {
            Integer::Slot(slot) => Some(slot),
            _ => None,
        },
        _ => None,
    };
    match slot {
        Some(slot) => Op::Float { slot, order, than },
        None => Op::Condition(Box::new(Condition::Floats(
            order,
            side,
            Float::Constant(than),
        ))),
    }
}

fn texts(equal: bool, sides: [Text; 2]) -> Op {
    match sides {
        [Text::Slot(slot), Text::Constant(to)] | [Text::Constant(to), Text::Slot(slot)] => {
            Op::Text {
                slot,
                equal,
                to: to.as_ref().into(),
            }
        }
        sides => Op::Condition(Box::new(Condition::Texts { equal, sides })),
    }
}

impl Comparison {
    /// The comparison that says the same with its sides exchanged.
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

    #[test]
    fn an_instruction_is_small() {
        assert!(size_of::<Op>() <= 24);
    }

    #[test]
    fn a_jump_lands_on_the_end_of_its_chain() {
        let flags = |slots: std::ops::Range<u32>| slots.map(Program::flag).collect();
        let inner = Program::any(flags(0..2));
        let outer = Program::all(vec![Program::flag(5), inner, Program::flag(6)]);
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
