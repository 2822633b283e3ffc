//! How jq reads and changes parts of a value, paid for.

use jaq_core::box_iter::BoxIter;
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, ValR, ValT, ValX};
use jaq_json::{Rc, Val};
use jaq_std::ValT as StdValT;

use super::budget::{pay_for_bytes, pay_for_values, pay_for_walk, pay_units};
use super::value::BudgetedValue;

/// Replaces an error of jaq, which quotes values, by one that does not.
fn hide_values(_: jaq_json::Error) -> Error<BudgetedValue> {
    Error::str("cannot take this out of that value")
}

impl ValT for BudgetedValue {
    fn from_num(text: &str) -> ValR<Self> {
        pay_units(1);
        let val = Val::from_num(text).map_err(hide_values)?;
        Ok(Self::scalar(val))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let mut depth = 0;
        let members = members.into_iter().map(|(key, value)| {
            pay_units(1);
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
            let (key, value) = member.map_err(hide_values)?;
            Ok((Self::inside(key, depth), Self::inside(value, depth)))
        }))
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        self.pay_for_copy();
        let depth = self.depth;
        Box::new(self.val.values().map(move |value| {
            pay_units(1);
            value
                .map(|value| Self::inside(value, depth))
                .map_err(hide_values)
        }))
    }

    fn index(self, index: &Self) -> ValR<Self> {
        match (&self.val, &index.val) {
            // Finds all positions of one list in the other.
            (Val::Arr(values), Val::Arr(wanted)) => {
                (0..wanted.len()).for_each(|_| pay_for_values(values.len()));
                pay_for_walk(&self.val);
            }
            (_, key) => pay_for_walk(key),
        }
        let depth = self.depth;
        self.val
            .index(&index.val)
            .map(|value| Self::inside(value, depth))
            .map_err(hide_values)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match &self.val {
            // Characters are counted from the start.
            Val::TStr(text) | Val::BStr(text) => pay_for_bytes(text.len().saturating_mul(4)),
            Val::Arr(values) => pay_for_values(values.len()),
            _ => pay_units(1),
        }
        let depth = self.depth;
        let range = range.start.map(|value| &value.val)..range.end.map(|value| &value.val);
        self.val
            .range(range)
            .map(|val| Self { val, depth })
            .map_err(hide_values)
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
                let Some(at) = list_index(position, length).filter(|at| *at < length) else {
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
        // If the range is open at one end, nothing follows there.
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

/// The index in a list of `length`; a negative position counts from the end.
pub(super) fn list_index(position: &Val, length: usize) -> Option<usize> {
    let position = StdValT::as_isize(position)?;
    match usize::try_from(position) {
        Ok(at) => Some(at),
        Err(_) => length.checked_sub(position.unsigned_abs()),
    }
}

impl StdValT for BudgetedValue {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        let depth = self.depth;
        match self.val {
            Val::Arr(values) => {
                pay_for_values(values.len());
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
        // The caller reads all bytes and builds nothing that would be paid for later.
        let bytes = StdValT::as_bytes(&self.val)?;
        pay_for_bytes(bytes.len());
        Some(bytes)
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        pay_units(1);
        Self::scalar(self.val.as_sub_str(sub))
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        pay_for_bytes(bytes.as_ref().len());
        Self::scalar(Val::from_utf8_bytes(bytes))
    }
}
