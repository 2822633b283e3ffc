//! jaq's value type with the rule that every operation is paid for before it is done.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use jaq_core::val::Range;
use jaq_core::{Error, ValR};
use jaq_json::{Rc, Val};
use serde::Deserialize as _;
use serde_json::Value;

use super::budget::{MAX_DEPTH, pay_for_bytes, pay_for_values, pay_for_walk, pay_units};
use crate::json;

/// A value of jaq with an upper bound of its depth of nesting. The bound is exact for values that were built, and may be
/// too high for values that were taken out of another.
#[derive(Debug)]
pub(crate) struct BudgetedValue {
    pub(super) val: Val,
    pub(super) depth: u16,
}

impl BudgetedValue {
    /// Converts an order to a value for filters.
    pub(crate) fn new(order: &Value) -> Option<Self> {
        let depth = u16::try_from(json::MAX_DEPTH).ok()?;
        Val::deserialize(order).ok().map(|val| Self { val, depth })
    }

    pub(super) fn scalar(val: Val) -> Self {
        Self { val, depth: 0 }
    }

    /// A list or object whose deepest value has depth `inner`.
    pub(super) fn around(val: Val, inner: u16) -> Self {
        let depth = inner.saturating_add(1);
        if depth > MAX_DEPTH {
            pay_units(u64::MAX);
        }
        Self { val, depth }
    }

    /// A value that was taken out of a value of depth `outer`.
    pub(super) fn inside(val: Val, outer: u16) -> Self {
        let depth = match val {
            Val::Arr(_) | Val::Obj(_) => outer.saturating_sub(1),
            _ => 0,
        };
        Self { val, depth }
    }

    pub(super) fn from_text(text: String) -> Self {
        pay_for_bytes(text.len());
        Self::scalar(Val::from(text))
    }

    /// Pays for copying the list or object if it is shared; otherwise it is changed in place.
    pub(super) fn pay_for_copy(&self) {
        match &self.val {
            Val::Arr(values) if Rc::strong_count(values) > 1 => pay_for_values(values.len()),
            Val::Obj(members) if Rc::strong_count(members) > 1 => pay_for_values(2 * members.len()),
            _ => pay_units(1),
        }
    }

    fn pay_to_compare(&self, other: &Self) {
        match (&self.val, &other.val) {
            (Val::Arr(_), Val::Arr(_)) | (Val::Obj(_), Val::Obj(_)) => {
                pay_for_walk(&self.val);
                pay_for_walk(&other.val);
            }
            (Val::TStr(left) | Val::BStr(left), Val::TStr(right) | Val::BStr(right)) => {
                pay_for_bytes(left.len().min(right.len()));
            }
            // Values of different types are compared at once.
            _ => pay_units(1),
        }
    }

    /// Applies an operator; the result is as deep as the deeper operand.
    pub(super) fn apply_operator(
        self,
        other: Self,
        operation: fn(Val, Val) -> jaq_json::ValR,
    ) -> ValR<Self> {
        let depth = self.depth.max(other.depth);
        operation(self.val, other.val)
            .map(|val| Self { val, depth })
            // The message of jaq would quote both values.
            .map_err(|_| Error::str("cannot calculate with these values"))
    }
}

impl Clone for BudgetedValue {
    fn clone(&self) -> Self {
        // Every loop clones values, so every loop is paid for here at the latest.
        pay_units(1);
        Self {
            val: self.val.clone(),
            depth: self.depth,
        }
    }
}

impl fmt::Display for BudgetedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pay_for_walk(&self.val);
        self.val.fmt(f)
    }
}

impl From<bool> for BudgetedValue {
    fn from(value: bool) -> Self {
        Self::scalar(value.into())
    }
}

impl From<isize> for BudgetedValue {
    fn from(value: isize) -> Self {
        pay_units(1);
        Self::scalar(value.into())
    }
}

impl From<usize> for BudgetedValue {
    fn from(value: usize) -> Self {
        pay_units(1);
        Self::scalar(value.into())
    }
}

impl From<f64> for BudgetedValue {
    fn from(value: f64) -> Self {
        pay_units(1);
        Self::scalar(value.into())
    }
}

impl From<String> for BudgetedValue {
    fn from(text: String) -> Self {
        Self::from_text(text)
    }
}

impl From<Range<Self>> for BudgetedValue {
    fn from(range: Range<Self>) -> Self {
        pay_units(3);
        let depth = [&range.start, &range.end]
            .into_iter()
            .flatten()
            .map(|value| value.depth)
            .max();
        let range = range.start.map(|value| value.val)..range.end.map(|value| value.val);
        Self::around(Val::from(range), depth.unwrap_or(0))
    }
}

impl FromIterator<Self> for BudgetedValue {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let mut depth = 0;
        let values = values.into_iter().map(|value| {
            pay_units(1);
            depth = depth.max(value.depth);
            value.val
        });
        let val = values.collect();
        Self::around(val, depth)
    }
}

impl PartialEq for BudgetedValue {
    fn eq(&self, other: &Self) -> bool {
        self.pay_to_compare(other);
        self.val == other.val
    }
}

impl Eq for BudgetedValue {}

impl PartialOrd for BudgetedValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BudgetedValue {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pay_to_compare(other);
        self.val.cmp(&other.val)
    }
}

impl Hash for BudgetedValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        pay_for_walk(&self.val);
        self.val.hash(state);
    }
}
