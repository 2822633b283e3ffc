//! Guesses the types of a file's columns from their names and values.

use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::parse;
use crate::text_shape;
use crate::variable::VariableType;

/// A column with the type that was guessed for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InferredColumn {
    /// The header.
    pub name: String,
    /// The type; `None`: the column is of no use to a model.
    #[serde(rename = "type")]
    pub kind: Option<VariableType>,
    /// Why, in a few words.
    pub why: String,
}

/// What is known of a column's values.
struct ColumnValues<'a> {
    /// Those that are not missing, with repetitions.
    present: Vec<&'a str>,
    distinct: FxHashSet<&'a str>,
}

impl<'a> ColumnValues<'a> {
    fn new(values: impl Iterator<Item = Option<&'a str>>) -> Self {
        let present: Vec<&str> = values
            .flatten()
            .filter_map(parse::trim_present_value)
            .collect();
        Self {
            distinct: present.iter().copied().collect(),
            present,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    fn share(&self, looks: impl Fn(&str) -> bool) -> f64 {
        let fitting = self.present.iter().filter(|text| looks(text)).count();
        fitting as f64 / self.present.len().max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
    fn mean(&self, of: impl Fn(&str) -> usize) -> f64 {
        self.present.iter().map(|text| of(text)).sum::<usize>() as f64
            / self.present.len().max(1) as f64
    }

    /// The number of distinct values, in percent of all values.
    fn distinct_percent(&self) -> usize {
        self.distinct.len() * 100 / self.present.len().max(1)
    }
}

/// Guesses the type of each column. `rows` are a sample of a few thousand rows from all over the file, each with a
/// value for each header.
pub fn infer_types<'a, R>(headers: &[&str], rows: &'a [R]) -> Vec<InferredColumn>
where
    R: AsRef<[Option<&'a str>]>,
{
    headers
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let values = ColumnValues::new(
                rows.iter()
                    .map(|row| row.as_ref().get(column).copied().flatten()),
            );
            let (kind, why) = guess_type(name, &values);
            InferredColumn {
                name: (*name).to_owned(),
                kind,
                why,
            }
        })
        .collect()
}

/// The type of a column, and why. `None`: it is of no use to a model.
fn guess_type(name: &str, values: &ColumnValues<'_>) -> (Option<VariableType>, String) {
    use VariableType as T;
    let some = |kind, why: &str| (Some(kind), why.to_owned());
    if values.distinct.is_empty() {
        return (None, "no values".to_owned());
    }
    if let Some((kind, why)) = guess_by_shape(values) {
        return some(kind, why);
    }
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let numeric = values.share(|text| parse::parse_number(text).is_some());
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if let Some((kind, why)) = guess_by_name(&words, values, numeric) {
        return some(kind, why);
    }
    if is_identifier(&words, values) {
        return (
            None,
            "an identifier: almost all values are distinct".to_owned(),
        );
    }
    if has(&["bin"]) && values.share(|text| (6..=10).contains(&digits(text))) > 0.8 {
        return some(T::CardBin, "by its name; values have six to ten digits");
    }
    if numeric >= 0.98 {
        let truth = values
            .share(|text| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"));
        return if truth > 0.5 {
            some(T::Categorical, "values are true and false")
        } else {
            some(T::Numeric, "values are numbers")
        };
    }
    let (words, length) = (
        values.mean(|text| text.split_whitespace().count()),
        values.mean(str::len),
    );
    let distinct = values.distinct_percent();
    if (words >= 4.0 || length >= 40.0) && (distinct > 20 || values.distinct.len() > 500) {
        return some(T::FreeFormText, "values are long and mostly distinct");
    }
    if distinct > 50 && length >= 10.0 {
        return some(T::FreeFormText, "most values are distinct");
    }
    some(T::Categorical, "values occur again and again")
}

/// The type whose values have a shape that most values have.
fn guess_by_shape(values: &ColumnValues<'_>) -> Option<(VariableType, &'static str)> {
    use VariableType as T;
    // Type, reason, the share of values that must have the shape, the shape.
    type Shape = (T, &'static str, f64, fn(&str) -> bool);
    let shapes: [Shape; 5] = [
        (
            T::IpAddress,
            "values are IP addresses",
            0.9,
            text_shape::is_ip,
        ),
        (
            T::EmailAddress,
            "values are e-mail addresses",
            0.9,
            text_shape::is_email,
        ),
        (
            T::UserAgent,
            "values are user agents",
            0.8,
            text_shape::is_user_agent,
        ),
        (T::DateTime, "values are dates", 0.95, text_shape::is_date),
        (T::FreeFormText, "values are URLs", 0.7, text_shape::is_url),
    ];
    let (kind, why, ..) = shapes
        .into_iter()
        .find(|(_, _, share, has_shape)| values.share(has_shape) >= *share)?;
    Some((kind, why))
}

/// Whether a column only identifies its rows, so that no value will ever occur again. Short ids of devices and accounts
/// may occur again, even where a sample has each only once, so they do not count.
fn is_identifier(words: &[&str], values: &ColumnValues<'_>) -> bool {
    if values.present.len() < 50 || values.distinct_percent() < 98 {
        return false;
    }
    let named = words.is_empty()
        || words.iter().any(|word| {
            [
                "uuid", "guid", "index", "num", "no", "number", "hash", "unnamed",
            ]
            .contains(word)
                || word.ends_with("id")
        });
    let whole = values.share(|text| {
        text.strip_suffix(".0")
            .unwrap_or(text)
            .parse::<i64>()
            .is_ok()
    });
    let tokens = values.share(|text| text_shape::is_token(text) && text.len() >= 24);
    (named && whole > 0.98) || tokens > 0.95
}

/// The type that the words of a column's name and its values agree on.
fn guess_by_name(
    words: &[&str],
    values: &ColumnValues<'_>,
    numeric: f64,
) -> Option<(VariableType, &'static str)> {
    use VariableType as T;
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&["ip", "ipaddress"]) && values.share(|text| text_shape::parse_ip(text).is_some()) > 0.9
    {
        return Some((T::IpAddress, "by its name; values are addresses as numbers"));
    }
    let to_parcel = has(&["shipping", "ship", "delivery", "recipient"]);
    let either = |billing, shipping| if to_parcel { shipping } else { billing };
    if has(&["phone", "telephone", "mobile", "tel"]) && values.share(text_shape::is_phone) > 0.8 {
        let kind = if to_parcel {
            T::ShippingPhone
        } else if has(&["billing"]) {
            T::BillingPhone
        } else {
            T::PhoneNumber
        };
        return Some((kind, "by its name; values have 7 to 18 digits"));
    }
    if has(&["zip", "postal", "postcode", "zipcode"]) && values.share(|text| text.len() <= 12) > 0.9
    {
        return Some((
            either(T::BillingZip, T::ShippingZip),
            "by its name; values are short",
        ));
    }
    if has(&[
        "price", "amount", "amt", "cost", "total", "payment", "value",
    ]) && numeric > 0.98
        && have_cents(values)
    {
        return Some((T::Price, "by its name; values are numbers with cents"));
    }
    if numeric > 0.9 {
        return None;
    }
    let short = values.mean(str::len) <= 40.0;
    let table: [(&[&str], T, T); 6] = [
        (&["country"], T::BillingCountry, T::ShippingCountry),
        (&["state", "province"], T::BillingState, T::ShippingState),
        (&["city", "town"], T::BillingCity, T::ShippingCity),
        (
            &["street", "address", "address1"],
            T::BillingAddressL1,
            T::ShippingAddressL1,
        ),
        (&["currency"], T::CurrencyCode, T::CurrencyCode),
        (&["fingerprint"], T::Fingerprint, T::Fingerprint),
    ];
    table
        .into_iter()
        .find(|(parts, ..)| short && has(parts))
        .map(|(_, billing, shipping)| (either(billing, shipping), "by its name"))
}

/// Whether numbers look like money: hardly any with more than two decimals, hardly any negative.
fn have_cents(values: &ColumnValues<'_>) -> bool {
    let decimals = |text: &str| {
        text.rsplit_once('.')
            .map_or(0, |(_, decimals)| decimals.len())
    };
    values.share(|text| decimals(text) <= 2) > 0.98
        && values.share(|text| text.starts_with('-')) < 0.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_apart() {
        let rows: Vec<Vec<Option<String>>> = (0..200)
            .map(|n: u32| {
                [
                    format!("10.{n}.3.{}", n % 7),
                    format!("user{n}@example.com"),
                    format!("2024-01-{:02} 10:00:00", n % 28 + 1),
                    format!("{}.{:02}", n * 3, n % 100),
                    format!("{}", n % 40),
                    ["red", "green", "blue"][n as usize % 3].to_owned(),
                    format!("the quick brown fox number {n} jumps over"),
                    format!("{:032x}", u128::from(n) << 90),
                    format!("8950{}", n % 10),
                    format!("+1415555{n:04}"),
                    format!("example{n}.com/path/{n}"),
                    String::new(),
                    format!("41111{}", n % 10),
                    (1000 + n).to_string(),
                    format!("{}.{n}", 16_800_000 + n * 9_999_999),
                ]
                .into_iter()
                .map(Some)
                .collect()
            })
            .collect();
        let rows: Vec<Vec<Option<&str>>> = rows
            .iter()
            .map(|row| row.iter().map(Option::as_deref).collect())
            .collect();
        let headers = [
            "client",
            "contact",
            "created",
            "order_price",
            "age",
            "colour",
            "note",
            "trans_num",
            "billing_postal",
            "phone_number",
            "url",
            "empty",
            "card_bin",
            "row_id",
            "ip_number",
        ];
        let inferred = infer_types(&headers, &rows);
        let found: Vec<&str> = inferred
            .iter()
            .map(|column| column.kind.map_or("-", VariableType::as_str))
            .collect();
        assert_eq!(
            found,
            [
                "IP_ADDRESS",
                "EMAIL_ADDRESS",
                "DATETIME",
                "PRICE",
                "NUMERIC",
                "CATEGORICAL",
                "FREE_FORM_TEXT",
                "-",
                "BILLING_ZIP",
                "PHONE_NUMBER",
                "FREE_FORM_TEXT",
                "-",
                "CARD_BIN",
                "-",
                "IP_ADDRESS",
            ]
        );
    }
}
