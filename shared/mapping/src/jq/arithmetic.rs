//! The operators `+`, `-`, `*`, `/` and `%` of jq, paid for.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::{Error, ValR};
use jaq_json::{Num, Val};
use memchr::memmem;

use super::budget::{
    count_bits, pay_for_bytes, pay_for_number, pay_for_values, pay_for_walk, pay_units,
};
use super::value::BudgetedValue;

impl Add for BudgetedValue {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            // A text that is not shared is extended in place.
            (Val::TStr(left) | Val::BStr(left), Val::TStr(right) | Val::BStr(right)) => {
                let copied = if left.is_unique() { 0 } else { left.len() };
                pay_for_bytes(copied.saturating_add(right.len()));
            }
            (Val::Num(left), Val::Num(right)) => {
                pay_for_number(count_bits(left).max(count_bits(right)) + 1);
            }
            (_, Val::Arr(values)) => {
                self.pay_for_copy();
                pay_for_values(values.len());
            }
            (_, Val::Obj(members)) => {
                self.pay_for_copy();
                pay_for_values(2 * members.len());
            }
            _ => pay_units(1),
        }
        self.apply_operator(other, |left, right| left + right)
    }
}

impl Sub for BudgetedValue {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            (Val::Num(left), Val::Num(right)) => {
                pay_for_number(count_bits(left).max(count_bits(right)) + 1);
            }
            (Val::Arr(left), Val::Arr(right)) => {
                // Each value of one list is searched in the other, by comparisons.
                let comparisons = 1 + usize::BITS.saturating_sub(right.len().leading_zeros());
                for value in left.iter().chain(right.iter()) {
                    (0..comparisons).for_each(|_| pay_for_walk(value));
                }
            }
            _ => pay_units(1),
        }
        self.apply_operator(other, |left, right| left - right)
    }
}

impl Mul for BudgetedValue {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            (Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let times = match times {
                    Num::Int(times) => usize::try_from(*times).unwrap_or(0),
                    Num::BigInt(_) => usize::MAX,
                    Num::Float(_) | Num::Dec(_) => 0,
                };
                pay_for_bytes(text.len().saturating_mul(times));
            }
            (Val::Num(left), Val::Num(right)) => {
                pay_for_number(count_bits(left).saturating_add(count_bits(right)));
            }
            (Val::Obj(_), Val::Obj(_)) => {
                pay_for_walk(&self.val);
                pay_for_walk(&other.val);
            }
            _ => pay_units(1),
        }
        self.apply_operator(other, |left, right| left * right)
    }
}

impl Div for BudgetedValue {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            (Val::TStr(text) | Val::BStr(text), Val::TStr(separator) | Val::BStr(separator)) => {
                pay_for_bytes(text.len());
                pay_for_values(if separator.is_empty() {
                    text.len()
                } else {
                    memmem::find_iter(text, &separator[..]).count()
                });
            }
            (Val::Num(left), Val::Num(right)) => {
                pay_for_number(count_bits(left).max(count_bits(right)));
            }
            _ => pay_units(1),
        }
        let is_split = matches!(self.val, Val::TStr(_) | Val::BStr(_));
        let answer = self.apply_operator(other, |left, right| left / right)?;
        Ok(if is_split {
            Self::around(answer.val, 0)
        } else {
            answer
        })
    }
}

impl Rem for BudgetedValue {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> Self::Output {
        if let (Val::Num(left), Val::Num(right)) = (&self.val, &other.val) {
            pay_for_number(count_bits(left).max(count_bits(right)));
        }
        self.apply_operator(other, |left, right| left % right)
    }
}

impl Neg for BudgetedValue {
    type Output = ValR<Self>;

    fn neg(self) -> Self::Output {
        pay_units(1);
        (-self.val)
            .map(Self::scalar)
            .map_err(|_| Error::str("cannot negate this value"))
    }
}
