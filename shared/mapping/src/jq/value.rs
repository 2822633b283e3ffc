//! jaq's value with the rule that every operation is paid for before it is done.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, ValR, ValT, ValX};
use jaq_json::{Num, Rc, Val};
use jaq_std::ValT as StdValT;
use memchr::memmem;
use serde::Deserialize as _;
use serde_json::Value;

use super::budget::{MAX_DEPTH, bits, pay, pay_for, pay_for_bytes, pay_for_number, pay_for_walk};
use crate::json;

/// A value of jaq with a bound on how deep it is nested: exact where it was built, at most that where it was taken out
/// of another.
#[derive(Debug)]
pub(crate) struct Bounded {
    pub(super) val: Val,
    pub(super) depth: u16,
}

impl Bounded {
    /// An order, as filters see it.
    pub(crate) fn new(order: &Value) -> Option<Self> {
        let depth = u16::try_from(json::MAX_DEPTH).ok()?;
        Val::deserialize(order).ok().map(|val| Self { val, depth })
    }

    pub(super) fn scalar(val: Val) -> Self {
        Self { val, depth: 0 }
    }

    /// A list or object around what is `inner` deep.
    pub(super) fn around(val: Val, inner: u16) -> Self {
        let depth = inner.saturating_add(1);
        if depth > MAX_DEPTH {
            pay(u64::MAX);
        }
        Self { val, depth }
    }

    /// What was taken out of a value that is `outer` deep.
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

    /// A list that nobody else holds; copying one that somebody holds is paid for.
    fn pay_for_copy(&self) {
        match &self.val {
            Val::Arr(values) if Rc::strong_count(values) > 1 => pay_for(values.len()),
            Val::Obj(members) if Rc::strong_count(members) > 1 => pay_for(2 * members.len()),
            _ => pay(1),
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
            // Values of two types are told apart at once.
            _ => pay(1),
        }
    }

    /// Computes with two values; the result is as deep as the deeper one.
    fn compute(self, other: Self, operation: fn(Val, Val) -> jaq_json::ValR) -> ValR<Self> {
        let depth = self.depth.max(other.depth);
        operation(self.val, other.val)
            .map(|val| Self { val, depth })
            // jaq's own text would print both values.
            .map_err(|_| Error::str("cannot calculate with these values"))
    }
}

/// The same error in the words of [`Bounded`], without the values that it quotes.
fn unquoted(_: jaq_json::Error) -> Error<Bounded> {
    Error::str("cannot take this out of that value")
}

impl Clone for Bounded {
    fn clone(&self) -> Self {
        // Every loop passes its values on, so every loop is paid for here at the latest.
        pay(1);
        Self {
            val: self.val.clone(),
            depth: self.depth,
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pay_for_walk(&self.val);
        self.val.fmt(f)
    }
}

impl From<bool> for Bounded {
    fn from(value: bool) -> Self {
        Self::scalar(value.into())
    }
}

impl From<isize> for Bounded {
    fn from(value: isize) -> Self {
        pay(1);
        Self::scalar(value.into())
    }
}

impl From<usize> for Bounded {
    fn from(value: usize) -> Self {
        pay(1);
        Self::scalar(value.into())
    }
}

impl From<f64> for Bounded {
    fn from(value: f64) -> Self {
        pay(1);
        Self::scalar(value.into())
    }
}

impl From<String> for Bounded {
    fn from(text: String) -> Self {
        Self::from_text(text)
    }
}

impl From<Range<Self>> for Bounded {
    fn from(range: Range<Self>) -> Self {
        pay(3);
        let depth = [&range.start, &range.end]
            .into_iter()
            .flatten()
            .map(|value| value.depth)
            .max();
        let range = range.start.map(|value| value.val)..range.end.map(|value| value.val);
        Self::around(Val::from(range), depth.unwrap_or(0))
    }
}

impl FromIterator<Self> for Bounded {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let mut depth = 0;
        let values = values.into_iter().map(|value| {
            pay(1);
            depth = depth.max(value.depth);
            value.val
        });
        let val = values.collect();
        Self::around(val, depth)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.pay_to_compare(other);
        self.val == other.val
    }
}

impl Eq for Bounded {}

impl PartialOrd for Bounded {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bounded {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pay_to_compare(other);
        self.val.cmp(&other.val)
    }
}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        pay_for_walk(&self.val);
        self.val.hash(state);
    }
}

impl Add for Bounded {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            // A text that nobody else holds is appended to where it is.
            (Val::TStr(left) | Val::BStr(left), Val::TStr(right) | Val::BStr(right)) => {
                let copied = if left.is_unique() { 0 } else { left.len() };
                pay_for_bytes(copied.saturating_add(right.len()));
            }
            (Val::Num(left), Val::Num(right)) => pay_for_number(bits(left).max(bits(right)) + 1),
            (_, Val::Arr(values)) => {
                self.pay_for_copy();
                pay_for(values.len());
            }
            (_, Val::Obj(members)) => {
                self.pay_for_copy();
                pay_for(2 * members.len());
            }
            _ => pay(1),
        }
        self.compute(other, |left, right| left + right)
    }
}

impl Sub for Bounded {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            (Val::Num(left), Val::Num(right)) => pay_for_number(bits(left).max(bits(right)) + 1),
            (Val::Arr(left), Val::Arr(right)) => {
                // Each value of one list is looked up in the other, by comparisons.
                let comparisons = 1 + usize::BITS.saturating_sub(right.len().leading_zeros());
                for value in left.iter().chain(right.iter()) {
                    (0..comparisons).for_each(|_| pay_for_walk(value));
                }
            }
            _ => pay(1),
        }
        self.compute(other, |left, right| left - right)
    }
}

impl Mul for Bounded {
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
                pay_for_number(bits(left).saturating_add(bits(right)));
            }
            (Val::Obj(_), Val::Obj(_)) => {
                pay_for_walk(&self.val);
                pay_for_walk(&other.val);
            }
            _ => pay(1),
        }
        self.compute(other, |left, right| left * right)
    }
}

impl Div for Bounded {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> Self::Output {
        match (&self.val, &other.val) {
            (Val::TStr(text) | Val::BStr(text), Val::TStr(separator) | Val::BStr(separator)) => {
                pay_for_bytes(text.len());
                pay_for(if separator.is_empty() {
                    text.len()
                } else {
                    memmem::find_iter(text, &separator[..]).count()
                });
            }
            (Val::Num(left), Val::Num(right)) => pay_for_number(bits(left).max(bits(right))),
            _ => pay(1),
        }
        let is_split = matches!(self.val, Val::TStr(_) | Val::BStr(_));
        let answer = self.compute(other, |left, right| left / right)?;
        Ok(if is_split {
            Self::around(answer.val, 0)
        } else {
            answer
        })
    }
}

impl Rem for Bounded {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> Self::Output {
        if let (Val::Num(left), Val::Num(right)) = (&self.val, &other.val) {
            pay_for_number(bits(left).max(bits(right)));
        }
        self.compute(other, |left, right| left % right)
    }
}

impl Neg for Bounded {
    type Output = ValR<Self>;

    fn neg(self) -> Self::Output {
        pay(1);
        (-self.val)
            .map(Self::scalar)
            .map_err(|_| Error::str("cannot negate this value"))
    }
}

impl ValT for Bounded {
    fn from_num(text: &str) -> ValR<Self> {
        pay(1);
        let val = Val::from_num(text).map_err(unquoted)?;
        Ok(Self::scalar(val))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let mut depth = 0;
        let members = members.into_iter().map(|(key, value)| {
            pay(1);
            pay_for_walk(&key.val);
            depth = depth.max(key.depth).max(value.depth);
            (key.val, value.val)
        });
        let val = Val::obj(members.collect());
        Ok(Self::around(val, depth))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        self.pay_for_copy();
        let depth = self.depth;
        Box::new(self.val.key_values().map(move |member| {
            let (key, value) = member.map_err(unquoted)?;
            Ok((Self::inside(key, depth), Self::inside(value, depth)))
        }))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        self.pay_for_copy();
        let depth = self.depth;
        Box::new(self.val.values().map(move |value| {
            pay(1);
            value
                .map(|value| Self::inside(value, depth))
                .map_err(unquoted)
        }))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.val, &index.val) {
            // All places where one list stands in the other.
            (Val::Arr(values), Val::Arr(wanted)) => {
                (0..wanted.len()).for_each(|_| pay_for(values.len()));
                pay_for_walk(&self.val);
            }
            (_, key) => pay_for_walk(key),
        }
        let depth = self.depth;
        self.val
            .index(&index.val)
            .map(|value| Self::inside(value, depth))
            .map_err(unquoted)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match &self.val {
            // Characters are counted from the start.
            Val::TStr(text) | Val::BStr(text) => pay_for_bytes(text.len().saturating_mul(4)),
            Val::Arr(values) => pay_for(values.len()),
            _ => pay(1),
        }
        let depth = self.depth;
        let range = range.start.map(|value| &value.val)..range.end.map(|value| &value.val);
        self.val
            .range(range)
            .map(|val| Self { val, depth })
            .map_err(unquoted)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match &self.val {
            Val::Arr(_) => self
                .values()
                .flat_map(|value| {
                    let (values, error) = match value {
                        Ok(value) => (Some(f(value)), None),
                        Err(error) => (None, Some(Err(error.into()))),
                    };
                    values.into_iter().flatten().chain(error)
                })
                .collect(),
            Val::Obj(_) => {
                let mut members = Vec::new();
                for member in self.key_values() {
                    let (key, value) = member?;
                    if let Some(value) = f(value).next() {
                        members.push((key, value?));
                    }
                }
                Ok(Self::from_map(members)?)
            }
            _ => opt.fail(self, |_| {
                Error::str("cannot change the values of what has none").into()
            }),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        self.pay_for_copy();
        pay_for_walk(&index.val);
        let Self { val, depth } = self;
        match (val, &index.val) {
            (val @ (Val::Arr(_) | Val::TStr(_) | Val::BStr(_)), Val::Obj(range)) => {
                let bound = |name: &str| {
                    let value = range.get(&Val::from(name.to_owned()))?.clone();
                    Some(Self::inside(value, index.depth))
                };
                let (start, end) = (bound("start"), bound("end"));
                Self { val, depth }.map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (Val::Obj(mut members), key) => {
                let old = members.get(key).cloned().unwrap_or_default();
                let new = f(Self::inside(old, depth)).next().transpose()?;
                let all = Rc::make_mut(&mut members);
                let inner = if let Some(new) = new {
                    all.insert(key.clone(), new.val);
                    new.depth
                } else {
                    all.swap_remove(key);
                    0
                };
                Ok(Self::around(
                    Val::Obj(members),
                    depth.saturating_sub(1).max(inner),
                ))
            }
            (Val::Arr(mut values), position) => {
                let length = values.len();
                let Some(at) = place(position, length).filter(|at| *at < length) else {
                    let same = Self {
                        val: Val::Arr(values),
                        depth,
                    };
                    return opt.fail(same, |_| Error::str("no such place in the list").into());
                };
                let new = f(Self::inside(values[at].clone(), depth))
                    .next()
                    .transpose()?;
                let all = Rc::make_mut(&mut values);
                let inner = if let Some(new) = new {
                    all[at] = new.val;
                    new.depth
                } else {
                    all.remove(at);
                    0
                };
                Ok(Self::around(
                    Val::Arr(values),
                    depth.saturating_sub(1).max(inner),
                ))
            }
            (val, _) => opt.fail(Self { val, depth }, |_| {
                Error::str("cannot change a member of what has none").into()
            }),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let part = match self.clone().range(range.clone()) {
            Ok(part) => part,
            Err(error) => return opt.fail(self, |_| error.into()),
        };
        let is_empty = match &part.val {
            Val::Arr(values) => values.is_empty(),
            Val::TStr(text) | Val::BStr(text) => text.is_empty(),
            _ => false,
        };
        let new = f(part).next().transpose()?;
        if new.as_ref().is_some_and(|new| matches!(new.val, Val::Null)) {
            return opt.fail(self, |_| {
                Error::str("cannot put null in the place of a slice").into()
            });
        }
        // Where the range is open at an end, nothing is beyond that end.
        let bound =
            |bound: Option<&'_ Self>| bound.is_some_and(|value| !matches!(value.val, Val::Null));
        let before = bound(range.start)
            .then(|| self.clone().range(None..range.start))
            .transpose()?;
        // A range that ends before it starts is empty, at its start.
        let after_from = if is_empty && bound(range.start) {
            range.start
        } else {
            range.end
        };
        let after = bound(after_from)
            .then(|| self.clone().range(after_from..None))
            .transpose()?;
        let parts = [before, new, after];
        let mut all: Option<Self> = None;
        for part in parts.into_iter().flatten() {
            all = Some(match all {
                None => part,
                Some(all) => (all + part)?,
            });
        }
        let empty = || self.range(Some(&Self::from(0_isize))..Some(&Self::from(0_isize)));
        Ok(all.map_or_else(empty, Ok)?)
    }

    fn as_bool(&self) -> bool {
        self.val.as_bool()
    }

    fn into_string(self) -> Self {
        pay_for_walk(&self.val);
        Self::scalar(self.val.into_string())
    }
}

/// A place in a list of `length`, counted from its end where it is negative.
pub(super) fn place(position: &Val, length: usize) -> Option<usize> {
    let position = StdValT::as_isize(position)?;
    match usize::try_from(position) {
        Ok(at) => Some(at),
        Err(_) => length.checked_sub(position.unsigned_abs()),
    }
}

impl StdValT for Bounded {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        let depth = self.depth;
        match self.val {
            Val::Arr(values) => {
                pay_for(values.len());
                Ok(values
                    .iter()
                    .map(|value| Self::inside(value.clone(), depth))
                    .collect())
            }
            val => Err(Self { val, depth }),
        }
    }

    fn is_int(&self) -> bool {
        self.val.is_int()
    }

    fn as_isize(&self) -> Option<isize> {
        StdValT::as_isize(&self.val)
    }

    fn as_f64(&self) -> Option<f64> {
        self.val.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        self.val.is_utf8_str()
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        // Whoever takes the bytes looks through them, and builds nothing that would be paid for.
        let bytes = StdValT::as_bytes(&self.val)?;
        pay_for_bytes(bytes.len());
        Some(bytes)
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        pay(1);
        Self::scalar(self.val.as_sub_str(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        pay_for_bytes(bytes.as_ref().len());
        Self::scalar(Val::from_utf8_bytes(bytes))
    }
}
