//! jq filters whose work is bounded: what an order may make a filter compute, build and nest.
//!
//! A filter is the operator's, the order that it reads is a stranger's. jq multiplies a text by a number, which repeats
//! it; it parses numbers of any length, and collects what it is told to. So every operation on a value is paid for out
//! of a budget before it is done, and a filter whose budget is used up ends there. [`Bounded`] is jaq's value with that
//! rule; jaq calls nothing but its operations.

use std::any::Any;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::panic::AssertUnwindSafe;

use jaq_core::box_iter::BoxIter;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Compiler, Ctx, Error, ValR, ValT, ValX, Vars, data, unwrap_valr};
use jaq_json::{Num, Rc, Val};
use jaq_std::ValT as StdValT;
use memchr::memmem;
use serde::Deserialize as _;
use serde_json::Value;

use crate::json;

/// What all filters together may do for one order. A unit is one operation on one value, or 64 bytes that are built;
/// a unit takes up to 0.1 µs and 100 bytes of memory.
pub(super) const WORK: u64 = 500_000;
/// How deep a value may be nested. Values are freed and compared recursively, so depth is stack.
const MAX_DEPTH: u16 = 512;
/// The longest whole number that a filter may compute with, in bits.
const MAX_BITS: u64 = 4096;
/// The longest text that is read as JSON or a number inside a filter.
const MAX_FROM_JSON: usize = 64 * 1024;
/// The longest run of digits inside such a text.
const MAX_DIGITS: usize = 1024;
/// Bytes that cost a unit.
const BYTES_A_UNIT: usize = 64;
/// Units to compile a regular expression (up to 0.2 ms), and a searcher for several texts.
const COMPILE_UNITS: u64 = 2_000;

thread_local! {
    /// What the filter that runs on this thread may still do.
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Unwinds a filter whose budget is used up. It passes through jaq, which catches errors (`try`) and no panics.
struct UsedUp;

/// Pays for work before it is done.
fn pay(units: u64) {
    match LEFT.get().checked_sub(units) {
        Some(left) => LEFT.set(left),
        None => {
            LEFT.set(0);
            // Unlike `panic!` it calls no hook: nothing is printed.
            std::panic::resume_unwind(Box::new(UsedUp));
        }
    }
}

fn pay_for(count: usize) {
    pay(u64::try_from(count).unwrap_or(u64::MAX));
}

fn pay_for_bytes(bytes: usize) {
    pay_for(1 + bytes / BYTES_A_UNIT);
}

/// Pays for walking through a value.
fn pay_for_walk(value: &Val) {
    match value {
        Val::TStr(text) | Val::BStr(text) => pay_for_bytes(text.len()),
        Val::Arr(values) => {
            pay(1);
            values.iter().for_each(pay_for_walk);
        }
        Val::Obj(members) => {
            pay(1);
            for (key, value) in members.iter() {
                pay_for_walk(key);
                pay_for_walk(value);
            }
        }
        Val::Num(number) => pay_for_bits(number),
        Val::Null | Val::Bool(_) => pay(1),
    }
}

fn bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        Num::Int(_) | Num::Float(_) => 64,
        // A decimal is kept as the text it was written as.
        Num::Dec(text) => 4 * u64::try_from(text.len()).unwrap_or(u64::MAX),
    }
}

fn pay_for_bits(number: &Num) {
    pay(1 + bits(number) / 64);
}

/// A value of jaq with a bound on how deep it is nested: exact where it was built, at most that where it was taken out
/// of another.
#[derive(Debug)]
pub(super) struct Bounded {
    val: Val,
    depth: u16,
}

impl Bounded {
    /// An order, as filters see it.
    pub(super) fn new(order: &Value) -> Option<Self> {
        let depth = u16::try_from(json::MAX_DEPTH).ok()?;
        Val::deserialize(order).ok().map(|val| Self { val, depth })
    }

    fn scalar(val: Val) -> Self {
        Self { val, depth: 0 }
    }

    /// A list or object around what is `inner` deep.
    fn around(val: Val, inner: u16) -> Self {
        let depth = inner.saturating_add(1);
        if depth > MAX_DEPTH {
            pay(u64::MAX);
        }
        Self { val, depth }
    }

    /// What was taken out of a value that is `outer` deep.
    fn inside(val: Val, outer: u16) -> Self {
        let depth = match val {
            Val::Arr(_) | Val::Obj(_) => outer.saturating_sub(1),
            _ => 0,
        };
        Self { val, depth }
    }

    fn from_text(text: String) -> Self {
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

/// Pays for a whole number that an operation may give.
fn pay_for_number(bits: u64) {
    pay(if bits > MAX_BITS {
        u64::MAX
    } else {
        1 + bits / 64
    });
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
                pay_for_number(bits(left).saturating_add(bits(right)))
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
                let inner = match new {
                    Some(new) => {
                        all.insert(key.clone(), new.val);
                        new.depth
                    }
                    None => {
                        all.swap_remove(key);
                        0
                    }
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
                let inner = match new {
                    Some(new) => {
                        all[at] = new.val;
                        new.depth
                    }
                    None => {
                        all.remove(at);
                        0
                    }
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
        let new = f(part).next().transpose()?;
        // Where the range is open at an end, nothing is beyond that end.
        let bound =
            |bound: Option<&'_ Self>| bound.is_some_and(|value| !matches!(value.val, Val::Null));
        let before = bound(range.start)
            .then(|| self.clone().range(None..range.start))
            .transpose()?;
        let after = bound(range.end)
            .then(|| self.clone().range(range.end..None))
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
fn place(position: &Val, length: usize) -> Option<usize> {
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
        pay(1);
        StdValT::as_bytes(&self.val)
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

type Data = data::JustLut<Bounded>;

/// A compiled filter.
pub(super) struct Filter(jaq_core::compile::Filter<jaq_core::Native<Data>>);

/// Functions of jq that read or write something else than their input.
const OUTSIDE: [&str; 16] = [
    "env",
    "ENV",
    "now",
    "input",
    "inputs",
    "input_line_number",
    "input_filename",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "halt",
    "halt_error",
    "get_search_list",
    "localtime",
    "strflocaltime",
];

/// Functions of jq's library that compile something each time they are called. They get other names, so that
/// [`PAID`] can put a price before them.
const COMPILING: [(&str, &str); 5] = [
    ("matches", "compiled_matches"),
    ("split_matches", "compiled_split_matches"),
    ("split_", "compiled_split_"),
    ("escape_html", "compiled_escape_html"),
    ("unescape_html", "compiled_unescape_html"),
];

const PAID: &str = "
def matches($re; $flags): pay_to_compile | compiled_matches($re; $flags);
def split_matches($re; $flags): pay_to_compile | compiled_split_matches($re; $flags);
def split_($re; $flags): pay_to_compile | compiled_split_($re; $flags);
def escape_html: pay_to_compile | compiled_escape_html;
def unescape_html: pay_to_compile | compiled_unescape_html;
";

/// jaq's functions for its own values, as far as they are not generic over the type of value.
fn funs_of_json() -> impl Iterator<Item = Fun<Data>> {
    let funs: [jaq_core::native::Filter<jaq_core::RunPtr<Data>>; 9] = [
        ("pay_to_compile", v(0), |cv| {
            pay(COMPILE_UNITS);
            bome(Ok(cv.1))
        }),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1))),
        ("tojson", v(0), |cv| {
            bome(Ok(Bounded::from_text(cv.1.to_string())))
        }),
        ("tobytes", v(0), |cv| bome(to_bytes(&cv.1))),
        ("length", v(0), |cv| bome(length(&cv.1))),
        ("contains", v(1), |cv| {
            unary(cv, |whole, part| Ok(contains(&whole.val, &part.val).into()))
        }),
        ("has", v(1), |cv| unary(cv, |whole, key| has(&whole, &key))),
        ("indices", v(1), |cv| {
            unary(cv, |whole, part| indices(&whole, &part))
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |whole, wanted| search(whole, &wanted))
        }),
    ];
    funs.into_iter().map(run::<Data>)
}

fn from_json(value: &Bounded) -> ValR<Bounded> {
    let text = value
        .as_utf8_bytes()
        .ok_or_else(|| Error::str("cannot use this value as a string"))?;
    pay_for_bytes(text.len());
    let digits = text.chunk_by(|a, b| a.is_ascii_digit() && b.is_ascii_digit());
    if text.len() > MAX_FROM_JSON || digits.map(<[u8]>::len).max() > Some(MAX_DIGITS) {
        pay(u64::MAX);
    }
    // At least two bytes a value, and values take up more than bytes.
    pay_for(text.len() / 2);
    let mut depth = 0_u16;
    let mut deepest = 0;
    for byte in text {
        match byte {
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_DEPTH {
        pay(u64::MAX);
    }
    let val = jaq_json::read::parse_single(text)
        .map_err(|_| Error::str("cannot parse this text as JSON"))?;
    Ok(Bounded {
        val,
        depth: deepest,
    })
}

fn to_bytes(value: &Bounded) -> ValR<Bounded> {
    fn add(value: &Val, bytes: &mut Vec<u8>) -> Option<()> {
        match value {
            Val::TStr(text) | Val::BStr(text) => bytes.extend_from_slice(text),
            Val::Arr(values) => values.iter().try_for_each(|value| add(value, bytes))?,
            number => bytes.push(u8::try_from(StdValT::as_isize(number)?).ok()?),
        }
        Some(())
    }
    pay_for_walk(&value.val);
    let mut bytes = Vec::new();
    add(&value.val, &mut bytes).ok_or_else(|| Error::str("cannot convert this value to bytes"))?;
    Ok(Bounded::scalar(Val::byte_str(bytes)))
}

fn length(value: &Bounded) -> ValR<Bounded> {
    let count = match &value.val {
        Val::Null => 0,
        Val::TStr(text) => {
            pay_for_bytes(text.len());
            String::from_utf8_lossy(text).chars().count()
        }
        Val::BStr(bytes) => bytes.len(),
        Val::Arr(values) => values.len(),
        Val::Obj(members) => members.len(),
        Val::Bool(_) => return Err(Error::str("a Boolean has no length")),
        Val::Num(_) if value.val < Val::from(0_usize) => return -value.clone(),
        Val::Num(_) => return Ok(value.clone()),
    };
    Ok(count.into())
}

/// Whether every part of `part` is somewhere in `whole`.
fn contains(whole: &Val, part: &Val) -> bool {
    match (whole, part) {
        (Val::BStr(whole), Val::BStr(part)) | (Val::TStr(whole), Val::TStr(part)) => {
            pay_for_bytes(whole.len());
            memmem::find(whole, part).is_some()
        }
        (Val::Arr(whole), Val::Arr(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains(whole, part))),
        (Val::Obj(whole), Val::Obj(part)) => part.iter().all(|(key, part)| {
            pay_for_walk(key);
            whole.get(key).is_some_and(|whole| contains(whole, part))
        }),
        _ => {
            pay(1);
            whole == part
        }
    }
}

fn has(whole: &Bounded, key: &Bounded) -> ValR<Bounded> {
    pay_for_walk(&key.val);
    match (&whole.val, &key.val) {
        (Val::Obj(members), key) => Ok(members.contains_key(key).into()),
        (Val::Arr(values), position @ Val::Num(_)) => Ok(place(position, values.len())
            .is_some_and(|at| at < values.len())
            .into()),
        (Val::Null, _) => Ok(false.into()),
        _ => Err(Error::str("cannot look for a key in what has none")),
    }
}

fn indices(whole: &Bounded, part: &Bounded) -> ValR<Bounded> {
    match (&whole.val, &part.val) {
        (Val::TStr(whole), Val::TStr(part)) => {
            pay_for_bytes(whole.len().saturating_mul(4));
            if part.is_empty() {
                return Ok(Bounded::from_iter([]));
            }
            let text = String::from_utf8_lossy(whole);
            let part = String::from_utf8_lossy(part);
            let at = |(number, (byte, _)): (usize, (usize, char))| {
                text[byte..]
                    .starts_with(&*part)
                    .then(|| Bounded::from(number))
            };
            Ok(text.char_indices().enumerate().filter_map(at).collect())
        }
        (Val::BStr(whole), Val::BStr(part)) if !part.is_empty() => {
            pay_for_bytes(whole.len().saturating_mul(part.len()));
            let windows = whole.windows(part.len()).enumerate();
            Ok(windows
                .filter(|(_, window)| *window == &part[..])
                .map(|(at, _)| at.into())
                .collect())
        }
        (Val::Arr(_) | Val::Null, Val::Arr(part)) if part.is_empty() => Ok(Bounded::from_iter([])),
        (Val::Arr(_), Val::Arr(_)) => whole.clone().index(part),
        (Val::Arr(values), wanted) => {
            let found = values.iter().enumerate().filter(|(_, value)| {
                pay_for_walk(value);
                *value == wanted
            });
            Ok(found.map(|(at, _)| at.into()).collect())
        }
        _ => Err(Error::str("cannot look for this value in that one")),
    }
}

fn search(whole: Bounded, wanted: &Bounded) -> ValR<Bounded> {
    let values: Vec<Bounded> = whole
        .into_seq()
        .map_err(|_| Error::str("cannot search what is no list"))?;
    let found = values.binary_search(wanted);
    let place = found.map_or_else(|at| isize::try_from(at).map(|at| -1 - at), isize::try_from);
    Ok(place.unwrap_or(isize::MAX).into())
}

impl Filter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// A phrase that says what is wrong with it.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if let Some(name) = call_outside(text) {
            return Err(format!(
                "`{name}` reaches beyond the order, on which a value must depend alone"
            ));
        }
        let paid =
            load::parse(PAID, |parser| parser.defs()).ok_or("jaq's definitions do not parse")?;
        // Each definition may use those before it.
        let definitions = jaq_core::defs()
            .chain(paid)
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .map(|(name, arguments, native)| {
                let compiling = COMPILING.iter().find(|(called, _)| *called == name);
                (
                    compiling.map_or(name, |(_, renamed)| *renamed),
                    arguments,
                    native,
                )
            })
            .chain(funs_of_json());
        let arena = Arena::default();
        let file = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|_| "it does not parse".to_owned())?;
        Compiler::default()
            .with_funs(funs)
            .compile(modules)
            .map(Self)
            .map_err(|errors| {
                let undefined = errors.iter().flat_map(|(_, undefined)| undefined);
                let names: Vec<&str> = undefined.map(|(name, _)| *name).collect();
                format!("it does not know `{}`", names.join("`, `"))
            })
    }

    /// The first `most` outputs for an input, each through `read`; `work` is what may still be done for the order.
    ///
    /// # Errors
    /// A phrase that says why there is none; it quotes no value.
    pub(super) fn outputs<T>(
        &self,
        input: &Bounded,
        work: &Cell<u64>,
        most: usize,
        read: impl Fn(&Val) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        LEFT.set(work.get());
        let outputs = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let context = Ctx::<Data>::new(&self.0.lut, Vars::new([]));
            let outputs = self.0.id.run((context, input.clone())).map(unwrap_valr);
            outputs
                .take(most)
                // The text of a jq error quotes the order.
                .map(|output| {
                    output
                        .map_err(|_| "makes the jq filter fail".to_owned())
                        .and_then(|value| read(&value.val))
                })
                .collect()
        }));
        work.set(LEFT.replace(0));
        outputs.unwrap_or_else(|cause: Box<dyn Any + Send>| {
            Err(if cause.is::<UsedUp>() {
                format!("makes the filters of the mapping do more than {WORK} steps of work")
            } else {
                "makes the jq filter fail".to_owned()
            })
        })
    }
}

/// A function of jq that reads or writes something else than its input, if `text` calls one.
fn call_outside(text: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = ' ';
    for word in text.split_inclusive(|c: char| !is_word(c)) {
        let name = word.trim_end_matches(|c: char| !is_word(c));
        // `.now` is a member of the order.
        if before != '.' && OUTSIDE.contains(&name) {
            return Some(name);
        }
        before = word.chars().next_back().unwrap_or(' ');
    }
    None
}
