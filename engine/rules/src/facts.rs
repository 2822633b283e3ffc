//! What a rule is evaluated on: one event, the lists and the time.

use crate::{
    lists::{Lists, convert_to_float},
    value::Value,
};

/// The input of one evaluation.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The values of the event, by slot.
    pub(crate) row: &'a [Value],
    pub(crate) lists: &'a Lists,
    /// Milliseconds since 1970. `None` while the compiler computes constants, so that
    /// nothing that depends on the time becomes a constant.
    pub(crate) now_ms: Option<i64>,
}

impl<'a> Facts<'a> {
    fn value(&self, slot: u32) -> &'a Value {
        const MISSING: &Value = &Value::Null;
        self.row.get(slot as usize).unwrap_or(MISSING)
    }

    pub(crate) fn float(&self, slot: u32) -> Option<f64> {
        match self.value(slot) {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => Some(convert_to_float(*number)),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, slot: u32) -> Option<i64> {
        match self.value(slot) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn text(&self, slot: u32) -> Option<&'a str> {
        match self.value(slot) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self, slot: u32) -> Option<bool> {
        match self.value(slot) {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    pub(crate) fn time(&self, slot: u32) -> Option<i64> {
        match self.value(slot) {
            Value::DateTime(millis) => Some(*millis),
            _ => None,
        }
    }
}
