//! Functions that jaq implements only for its own value type, implemented for [`BudgetedValue`].

use jaq_core::native::{Fun, bome, run, unary, v};
use jaq_core::{Error, ValR, ValT as _};
use jaq_json::Val;
use jaq_std::ValT as _;
use memchr::memmem;

use super::FilterData;
use super::access::list_index;
use super::budget::{MAX_DEPTH, pay_for_bytes, pay_for_values, pay_for_walk, pay_units};
use super::value::BudgetedValue;
use crate::json;

/// The longest text that a filter may parse as JSON or as a number, in bytes.
const MAX_FROM_JSON: usize = 64 * 1024;
/// The most digits in a row in such a text.
const MAX_DIGITS: usize = 1024;
/// The price of compiling a regular expression (up to 0.2 ms) or a searcher for several texts, in units.
const COMPILE_UNITS: u64 = 2_000;

/// The functions, and `pay_to_compile`, which pays for compiling.
pub(super) fn bounded_functions() -> impl Iterator<Item = Fun<FilterData>> {
    let funs: [jaq_core::native::Filter<jaq_core::RunPtr<FilterData>>; 9] = [
        ("pay_to_compile", v(0), |cv| {
            // All matches are collected before the first is paid for: up to one per byte, of up to 250 bytes each.
            let bytes = cv.1.as_bytes().map_or(0, <[u8]>::len);
            pay_units(COMPILE_UNITS);
            pay_for_values(bytes.saturating_mul(2));
            bome(Ok(cv.1))
        }),
        ("fromjson", v(0), |cv| bome(parse_json_text(&cv.1))),
        ("tojson", v(0), |cv| {
            bome(Ok(BudgetedValue::from_text(cv.1.to_string())))
        }),
        ("tobytes", v(0), |cv| bome(convert_to_bytes(&cv.1))),
        ("length", v(0), |cv| bome(value_length(&cv.1))),
        ("contains", v(1), |cv| {
            unary(cv, |whole, part| {
                Ok(contains_value(&whole.val, &part.val).into())
            })
        }),
        ("has", v(1), |cv| {
            unary(cv, |whole, key| has_key(&whole, &key))
        }),
        ("indices", v(1), |cv| {
            unary(cv, |whole, part| find_indices(&whole, &part))
        }),
        ("bsearch", v(1), |cv| {
            unary(cv, |whole, wanted| search_sorted(whole, &wanted))
        }),
    ];
    funs.into_iter().map(run::<FilterData>)
}

fn parse_json_text(value: &BudgetedValue) -> ValR<BudgetedValue> {
    let text = value
        .as_utf8_bytes()
        .ok_or_else(|| Error::str("cannot use this value as a string"))?;
    let digits = text.chunk_by(|a, b| a.is_ascii_digit() && b.is_ascii_digit());
    if text.len() > MAX_FROM_JSON || digits.map(<[u8]>::len).max() > Some(MAX_DIGITS) {
        pay_units(u64::MAX);
    }
    // A value has at least two bytes of text, and takes more memory than that.
    pay_for_values(text.len() / 2);
    // jaq's parser recurses as deeply as the text is nested, and accepts comments and other text that is not JSON.
    json::check_json(text).map_err(|_| Error::str("cannot parse this text as JSON"))?;
    let val = jaq_json::read::parse_single(text)
        .map_err(|_| Error::str("cannot parse this text as JSON"))?;
    let depth = u16::try_from(json::MAX_DEPTH).unwrap_or(MAX_DEPTH);
    Ok(BudgetedValue { val, depth })
}

fn convert_to_bytes(value: &BudgetedValue) -> ValR<BudgetedValue> {
    fn add(value: &Val, bytes: &mut Vec<u8>) -> Option<()> {
        match value {
            Val::TStr(text) | Val::BStr(text) => bytes.extend_from_slice(text),
            Val::Arr(values) => values.iter().try_for_each(|value| add(value, bytes))?,
            number => bytes.push(u8::try_from(number.as_isize()?).ok()?),
        }
        Some(())
    }
    pay_for_walk(&value.val);
    let mut bytes = Vec::new();
    add(&value.val, &mut bytes).ok_or_else(|| Error::str("cannot convert this value to bytes"))?;
    Ok(BudgetedValue::scalar(Val::byte_str(bytes)))
}

fn value_length(value: &BudgetedValue) -> ValR<BudgetedValue> {
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
fn contains_value(whole: &Val, part: &Val) -> bool {
    pay_units(1);
    match (whole, part) {
        (Val::BStr(whole), Val::BStr(part)) | (Val::TStr(whole), Val::TStr(part)) => {
            pay_for_bytes(whole.len());
            memmem::find(whole, part).is_some()
        }
        (Val::Arr(whole), Val::Arr(part)) => part
            .iter()
            .all(|part| whole.iter().any(|whole| contains_value(whole, part))),
        (Val::Obj(whole), Val::Obj(part)) => part.iter().all(|(key, part)| {
            pay_for_walk(key);
            whole
                .get(key)
                .is_some_and(|whole| contains_value(whole, part))
        }),
        _ => whole == part,
    }
}

fn has_key(whole: &BudgetedValue, key: &BudgetedValue) -> ValR<BudgetedValue> {
    pay_for_walk(&key.val);
    match (&whole.val, &key.val) {
        (Val::Obj(members), key) => Ok(members.contains_key(key).into()),
        (Val::Arr(values), position @ Val::Num(_)) => Ok(list_index(position, values.len())
            .is_some_and(|at| at < values.len())
            .into()),
        (Val::Null, _) => Ok(false.into()),
        _ => Err(Error::str("cannot look for a key in what has none")),
    }
}

fn find_indices(whole: &BudgetedValue, part: &BudgetedValue) -> ValR<BudgetedValue> {
    match (&whole.val, &part.val) {
        (Val::TStr(whole), Val::TStr(part)) => {
            pay_for_bytes(whole.len().saturating_mul(4));
            if part.is_empty() {
                return Ok(BudgetedValue::from_iter([]));
            }
            let text = String::from_utf8_lossy(whole);
            let part = String::from_utf8_lossy(part);
            let at = |(number, (byte, _)): (usize, (usize, char))| {
                text[byte..]
                    .starts_with(&*part)
                    .then(|| BudgetedValue::from(number))
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
        (Val::Arr(_) | Val::Null, Val::Arr(part)) if part.is_empty() => {
            Ok(BudgetedValue::from_iter([]))
        }
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

fn search_sorted(whole: BudgetedValue, wanted: &BudgetedValue) -> ValR<BudgetedValue> {
    let values: Vec<BudgetedValue> = whole
        .into_seq()
        .map_err(|_| Error::str("cannot search what is no list"))?;
    let found = values.binary_search(wanted);
    let place = found.map_or_else(|at| isize::try_from(at).map(|at| -1 - at), isize::try_from);
    Ok(place.unwrap_or(isize::MAX).into())
}
