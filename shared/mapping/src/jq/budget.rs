//! The budget of work of the filter that runs on this thread.

use std::cell::Cell;

use jaq_json::{Num, Val};

/// The budget of all filters together for one order. A unit is one operation on one value, or 64 bytes of a result.
pub(crate) const WORK: u64 = 250_000;
/// How deeply a value may be nested. Values are freed and compared recursively, so depth takes stack.
pub(super) const MAX_DEPTH: u16 = 512;
/// The longest whole number that a filter may compute with, in bits.
const MAX_BITS: u64 = 4096;
/// Bytes that cost a unit.
const BYTES_A_UNIT: usize = 64;

thread_local! {
    /// The units that the filter on this thread has left.
    pub(super) static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// The panic payload that ends a filter whose budget is used up. A panic is used because jq's `try` catches errors.
pub(super) struct BudgetUsedUp;

/// Pays units for work before it is done; unwinds with [`BudgetUsedUp`] if there are not enough left.
pub(super) fn pay_units(units: u64) {
    if let Some(left) = LEFT.get().checked_sub(units) {
        LEFT.set(left);
    } else {
        LEFT.set(0);
        // Unlike `panic!` it does not call the panic hook, so nothing is printed.
        std::panic::resume_unwind(Box::new(BudgetUsedUp));
    }
}

/// Pays one unit for each of `count` values.
pub(super) fn pay_for_values(count: usize) {
    pay_units(u64::try_from(count).unwrap_or(u64::MAX));
}

/// Pays for reading or building a text of so many bytes.
pub(super) fn pay_for_bytes(bytes: usize) {
    pay_for_values(1 + bytes / BYTES_A_UNIT);
}

/// Pays for visiting every value inside a value.
pub(super) fn pay_for_walk(value: &Val) {
    match value {
        Val::TStr(text) | Val::BStr(text) => pay_for_bytes(text.len()),
        Val::Arr(values) => {
            pay_units(1);
            values.iter().for_each(pay_for_walk);
        }
        Val::Obj(members) => {
            pay_units(1);
            for (key, value) in members.iter() {
                pay_for_walk(key);
                pay_for_walk(value);
            }
        }
        Val::Num(number) => pay_for_bits(number),
        Val::Null | Val::Bool(_) => pay_units(1),
    }
}

/// How many bits a number takes.
pub(super) fn count_bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        Num::Int(_) | Num::Float(_) => 64,
        // A decimal is kept as the text it was written as.
        Num::Dec(text) => 4 * u64::try_from(text.len()).unwrap_or(u64::MAX),
    }
}

fn pay_for_bits(number: &Num) {
    pay_units(1 + count_bits(number) / 64);
}

/// Pays for a whole number of so many bits, which an operation may give; too many use up the budget.
pub(super) fn pay_for_number(bits: u64) {
    pay_units(if bits > MAX_BITS {
        u64::MAX
    } else {
        1 + bits / 64
    });
}
