//! Values that are computed from those of an order without a jq filter: what most shops need, in a form that is checked
//! when the mapping is read and costs little per order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr as _;

use event::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::{Deserialize, de};
use serde_json::Value;

use crate::value_source::{Document, ValueSource, read_scalar};

/// A value that is computed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComputedSource {
    /// The part of an e-mail address after the last `@`, in lower case.
    Domain(ValueSource),
    /// `true` if there is no value, or it is null or blank; otherwise `false`.
    Absent(ValueSource),
    /// `yes` if both values are the same text, otherwise `no`; absent if one of them is.
    Same([ValueSource; 2]),
    /// The values with a space between; absent if one of them is.
    Joined(Vec<ValueSource>),
    /// The time between two times.
    Age(AgeSource),
    /// The number of elements of a list.
    Count(Elements),
    /// The sum over the elements of a list.
    Sum(ElementValues),
    /// The sum over the elements that fulfil the condition, divided by the sum over all elements; absent if that is 0.
    Share(ElementValues),
    /// A value of the element for which another one is largest; of several such elements, of the last.
    Largest(LargestElement),
}

/// `{of, at, in}`: how old something that began at `of` is at the time `at`. Negative if it began later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgeSource {
    of: ValueSource,
    at: ValueSource,
    #[serde(rename = "in")]
    unit: TimeUnit,
}

/// The unit of a time span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeUnit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

/// `{of, where}`: the elements of a list that fulfil a condition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elements {
    of: JsonPointer,
    #[serde(default, rename = "where")]
    condition: ElementCondition,
}

/// `{of, value, where}`: a number of each element of a list that fulfils a condition.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ElementValues {
    of: JsonPointer,
    value: Factors,
    #[serde(default, rename = "where")]
    condition: ElementCondition,
}

/// `{of, by, value}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LargestElement {
    of: JsonPointer,
    by: Factors,
    value: JsonPointer,
}

/// A JSON pointer into an order or into an element of a list.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JsonPointer(pub(crate) String);

impl<'de> Deserialize<'de> for JsonPointer {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') {
            return Ok(Self(text));
        }
        Err(de::Error::custom(format!(
            "`{text}` is not a JSON pointer; write one such as /items or /quantity"
        )))
    }
}

/// What an element of a list, or an order, must have: a text, number or Boolean at each pointer.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub(crate) struct ElementCondition(BTreeMap<JsonPointer, String>);

impl ElementCondition {
    /// Whether an element or an order fulfils it.
    pub(crate) fn holds(&self, element: &Value) -> bool {
        self.0.iter().all(|(pointer, want)| {
            let value = element.pointer(&pointer.0).map(read_scalar);
            matches!(value, Some(Ok(Some(text))) if text == *want)
        })
    }

    /// A text that is the same for the same condition.
    pub(crate) fn definition(&self) -> String {
        let members = self.0.iter();
        let members: Vec<_> = members
            .map(|(pointer, want)| format!("{}={want:?}", pointer.0))
            .collect();
        members.join(" and ")
    }
}

/// The numbers of an element that are multiplied: one pointer, or a list of them.
#[derive(Debug)]
struct Factors(Vec<JsonPointer>);

impl<'de> Deserialize<'de> for Factors {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FactorsVisitor;
        impl<'de> de::Visitor<'de> for FactorsVisitor {
            type Value = Factors;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON pointer such as /quantity, or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Factors, E> {
                let text = de::value::StrDeserializer::new(text);
                Ok(Factors(vec![JsonPointer::deserialize(text)?]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Factors, A::Error> {
                let list = de::value::SeqAccessDeserializer::new(list);
                let pointers: Vec<JsonPointer> = Deserialize::deserialize(list)?;
                if pointers.is_empty() {
                    return Err(de::Error::custom("a list of numbers to multiply is empty"));
                }
                Ok(Factors(pointers))
            }
        }
        deserializer.deserialize_any(FactorsVisitor)
    }
}

impl Factors {
    /// The product for an element; `None` if the element lacks one of the numbers.
    fn read(&self, element: &Value) -> Result<Option<Decimal>, String> {
        let mut product = Decimal::ONE;
        for pointer in &self.0 {
            let Some(factor) = read_number(element, pointer)? else {
                return Ok(None);
            };
            product = product.checked_mul(factor).ok_or("is too large")?;
        }
        Ok(Some(product))
    }
}

fn read_number(element: &Value, pointer: &JsonPointer) -> Result<Option<Decimal>, String> {
    let not_a_number = || format!("has an element whose `{}` is not a number", pointer.0);
    let Some(value) = element.pointer(&pointer.0) else {
        return Ok(None);
    };
    let Some(text) = read_scalar(value).map_err(|_| not_a_number())? else {
        return Ok(None);
    };
    parse_decimal(&text).map(Some).ok_or_else(not_a_number)
}

/// A decimal number, such as `129.99` or `1e3`.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    // The library takes underscores between digits, and no shop writes them.
    if text.contains('_') {
        return None;
    }
    let number = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
    number.ok()
}

impl TimeUnit {
    pub(crate) fn seconds(self) -> u32 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3_600,
            Self::Days => 86_400,
        }
    }
}

impl ComputedSource {
    /// The text of the value; `None` if it is absent. A time without a zone is in `zone`.
    ///
    /// # Errors
    /// A phrase that says what is wrong. It quotes no value.
    pub(crate) fn read<'a>(
        &self,
        document: &Document<'a>,
        zone: &TimeZone,
    ) -> Result<Option<Cow<'a, str>>, String> {
        let text = match self {
            Self::Domain(address) => {
                let address = address.read(document)?;
                let domain = address.as_deref().and_then(|text| text.rsplit_once('@'));
                let domain = domain.map(|(_, domain)| domain.trim().to_ascii_lowercase());
                domain.filter(|domain| !domain.is_empty())
            }
            // A value that is no text, such as an object, is there.
            Self::Absent(source) => {
                let is_absent = matches!(source.read(document), Ok(None));
                return Ok(Some(Cow::Borrowed(if is_absent {
                    "true"
                } else {
                    "false"
                })));
            }
            Self::Same([first, second]) => {
                let pair = first.read(document)?.zip(second.read(document)?);
                return Ok(pair.map(|(first, second)| {
                    Cow::Borrowed(if first == second { "yes" } else { "no" })
                }));
            }
            Self::Joined(sources) => {
                let texts = sources.iter().map(|source| source.read(document));
                let texts: Option<Vec<_>> = texts.collect::<Result<_, _>>()?;
                let joined = texts.map(|texts| texts.join(" "));
                joined.filter(|text| !text.is_empty())
            }
            Self::Age(age) => age.read(document, zone)?,
            Self::Count(elements) => match find_list(document, &elements.of)? {
                None => None,
                Some(list) => {
                    let list = list.iter();
                    let count = list.filter(|element| elements.condition.holds(element));
                    Some(count.count().to_string())
                }
            },
            Self::Sum(values) => {
                let sums = values.add(document)?;
                sums.map(|sums| sums.fulfilling.normalize().to_string())
            }
            Self::Share(values) => match values.add(document)? {
                None => None,
                Some(sums) => divide(sums.fulfilling, sums.all)?,
            },
            Self::Largest(largest) => return largest.read(document),
        };
        Ok(text.map(Cow::Owned))
    }
}

/// The list at a pointer of an order; `None` if there is none.
fn find_list<'a>(
    document: &Document<'a>,
    pointer: &JsonPointer,
) -> Result<Option<&'a [Value]>, String> {
    match document.value().pointer(&pointer.0) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(_) => Err(format!("needs a list at `{}`", pointer.0)),
    }
}

impl AgeSource {
    fn read(&self, document: &Document<'_>, zone: &TimeZone) -> Result<Option<String>, String> {
        let time = |source: &ValueSource| {
            let text = source.read(document)?;
            let time = text
                .map(|text| Timestamp::parse_in(&text, zone))
                .transpose();
            time.map_err(|_| format!("needs a time such as 2026-06-01T10:15:30Z at `{source:?}`"))
        };
        let Some((of, at)) = time(&self.of)?.zip(time(&self.at)?) else {
            return Ok(None);
        };
        let seconds = Decimal::from(at.epoch_seconds() - of.epoch_seconds());
        divide(seconds, Decimal::from(self.unit.seconds()))
    }
}

/// Sums over the elements of a list.
struct ElementSums {
    all: Decimal,
    fulfilling: Decimal,
}

impl ElementValues {
    /// Adds up the elements; `None` if no element has the numbers.
    fn add(&self, document: &Document<'_>) -> Result<Option<ElementSums>, String> {
        let mut sums = None;
        for element in find_list(document, &self.of)?.into_iter().flatten() {
            let Some(value) = self.value.read(element)? else {
                continue;
            };
            let ElementSums { all, fulfilling } = sums.get_or_insert(ElementSums {
                all: Decimal::ZERO,
                fulfilling: Decimal::ZERO,
            });
            *all = all.checked_add(value).ok_or("is too large")?;
            if self.condition.holds(element) {
                *fulfilling = fulfilling.checked_add(value).ok_or("is too large")?;
            }
        }
        Ok(sums)
    }
}

impl LargestElement {
    fn read<'a>(&self, document: &Document<'a>) -> Result<Option<Cow<'a, str>>, String> {
        let mut largest: Option<(Decimal, &Value)> = None;
        for element in find_list(document, &self.of)?.into_iter().flatten() {
            let Some(number) = self.by.read(element)? else {
                continue;
            };
            if largest.is_none_or(|(most, _)| number >= most) {
                largest = Some((number, element));
            }
        }
        let value = largest.and_then(|(_, element)| element.pointer(&self.value.0));
        value.map_or(Ok(None), read_scalar)
    }
}

/// A quotient with as many digits as a double has; `None` for division by zero.
fn divide(dividend: Decimal, divisor: Decimal) -> Result<Option<String>, String> {
    if divisor.is_zero() {
        return Ok(None);
    }
    let quotient = dividend.checked_div(divisor).ok_or("is too large")?;
    // `Decimal::to_f64` is off by one in the last digit of some quotients; the parser of doubles is not.
    let quotient: f64 = quotient.to_string().parse().map_err(|_| "is too large")?;
    Ok(Some(quotient.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#"{
        "email": " Jo@Mail.EXAMPLE ", "id": "", "created": "2026-06-01T10:15:30Z",
        "since": "2026-05-31 10:15:30", "late": "2026-06-01T12:00:00+00:00",
        "bill": {"street": "1 Main St"}, "ship": {"street": "1 Main St "}, "other": "2 Main St",
        "none": [], "text": "x",
        "items": [
            {"kind": "book", "n": 2, "price": "0.10"},
            {"kind": "gift", "n": 1, "price": "0.20", "paid": true},
            {"kind": "pen", "price": 1e3},
            {"kind": "gift", "n": 1, "price": "0.20"}
        ],
        "broken": [{"n": "many"}], "strange": [{"n": "1_000"}],
        "refund": [{"n": "1e27", "k": "a"}, {"n": "-1e27"}, {"n": "0.000001"}], "huge": [{"n": "9e27", "m": 100}]
    }"#;

    #[track_caller]
    fn check(source: &str, want: &str) {
        let order = crate::json::parse_json(ORDER.as_bytes()).unwrap();
        let got = match serde_saphyr::from_str::<ComputedSource>(source) {
            Err(error) => format!("broken: {}", error.to_string().lines().next().unwrap()),
            Ok(source) => match source.read(&Document::new(&order), &TimeZone::UTC) {
                Ok(Some(text)) => text.into_owned(),
                Ok(None) => "-".to_owned(),
                Err(error) => format!("error: {error}"),
            },
        };
        assert_eq!(got, want, "{source}");
    }

    #[test]
    fn texts() {
        check("{domain: /email}", "mail.example");
        check("{domain: /text}", "-");
        check("{domain: /nothing}", "-");
        check("{absent: /id}", "true");
        check("{absent: /nothing}", "true");
        check("{absent: /text}", "false");
        check("{absent: /bill}", "false");
        check("{same: [/bill/street, /ship/street]}", "yes");
        check("{same: [/bill/street, /other]}", "no");
        check("{same: [/bill/street, /nothing]}", "-");
        check(
            "{same: [/bill, /other]}",
            "error: is an object, and should be text, a number or a Boolean",
        );
    }

    #[test]
    fn ages() {
        check("{age: {of: /since, at: /created, in: hours}}", "24");
        check("{age: {of: /since, at: /created, in: days}}", "1");
        check("{age: {of: /late, at: /created, in: minutes}}", "-104.5");
        check("{age: {of: /nothing, at: /created, in: days}}", "-");
        check(
            "{age: {of: /text, at: /created, in: days}}",
            "error: needs a time such as 2026-06-01T10:15:30Z at `/text`",
        );
    }

    #[test]
    fn lists() {
        check("{count: {of: /items}}", "4");
        check("{count: {of: /items, where: {/kind: gift}}}", "2");
        check(
            "{count: {of: /items, where: {/kind: gift, /paid: 'true'}}}",
            "1",
        );
        check("{count: {of: /none}}", "0");
        check("{count: {of: /nothing}}", "-");
        check("{count: {of: /text}}", "error: needs a list at `/text`");
        // An element without the number is left out.
        check("{sum: {of: /items, value: /n}}", "4");
        check("{sum: {of: /items, value: /price}}", "1000.5");
        check("{sum: {of: /items, value: [/n, /price]}}", "0.6");
        check("{sum: {of: /items, value: /n, where: {/kind: toy}}}", "0");
        check("{sum: {of: /none, value: /n}}", "-");
        check(
            "{sum: {of: /broken, value: /n}}",
            "error: has an element whose `/n` is not a number",
        );
        check("{sum: {of: /huge, value: [/n, /m]}}", "error: is too large");
        check(
            "{sum: {of: /strange, value: /n}}",
            "error: has an element whose `/n` is not a number",
        );
        check(
            "{share: {of: /refund, value: /n, where: {/k: a}}}",
            "error: is too large",
        );
        check(
            "{share: {of: /items, value: /n, where: {/kind: gift}}}",
            "0.5",
        );
        check(
            "{share: {of: /items, value: [/n, /price], where: {/kind: book}}}",
            "0.3333333333333333",
        );
        check("{share: {of: /none, value: /n, where: {/kind: gift}}}", "-");
        check("{largest: {of: /items, by: /price, value: /kind}}", "pen");
        check(
            "{largest: {of: /items, by: [/n, /price], value: /paid}}",
            "-",
        );
        check("{largest: {of: /items, by: /n, value: /kind}}", "book");
        check("{largest: {of: /none, by: /n, value: /kind}}", "-");
    }

    #[test]
    fn a_broken_source_says_what_would_be_right() {
        check(
            "{summ: {of: /items, value: /n}}",
            "broken: error: line 1 column 2: unknown variant `summ`, expected one of domain, absent, same, joined, age, count, sum, share, largest",
        );
        check(
            "{sum: {of: items, value: /n}}",
            "broken: error: line 1 column 12: `items` is not a JSON pointer; write one such as /items or /quantity",
        );
        check(
            "{sum: {of: /items, value: []}}",
            "broken: error: line 1 column 27: a list of numbers to multiply is empty",
        );
        check(
            "{age: {of: /since, at: /created, in: weeks}}",
            "broken: error: line 1 column 38: unknown variant `weeks`, expected one of seconds, minutes, hours, days",
        );
    }
}
