//! Guesses the types of a file's columns from their names and values.

use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::history::is_key_name;
use crate::names::split_words;
use crate::names::words::{
    AMOUNT, BILLING, BIN, CITY, COUNTRY, CURRENCY, DEVICE, ID, MONEY, NOT_MONEY, PHONE, SHIPPING,
    STREET, TOKEN, WordGroup, ZIP, has_word,
};
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
    let words = split_words(name);
    let numeric = values.share(|text| parse::parse_number(text).is_some());
    if let Some((kind, why)) = guess_by_name(name, &words, values, numeric) {
        return some(kind, why);
    }
    if is_identifier(name, &words, values) {
        return (
            None,
            "an identifier: almost all values are distinct".to_owned(),
        );
    }
    if let Some((kind, why)) = guess_key(name, values) {
        return some(kind, why);
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
    if values.share(text_shape::is_amount_with_currency) > 0.9 {
        let first = values.present.first().copied().unwrap_or_default();
        let why = format!(
            "values are amounts with a currency, such as `{first}`: a PRICE is the number alone"
        );
        return (Some(T::Categorical), why);
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
        return if values.share(is_code) > 0.9 {
            some(T::Categorical, "values look like ids")
        } else {
            some(T::FreeFormText, "most values are distinct")
        };
    }
    some(T::Categorical, "values occur again and again")
}

/// The type of a column that is named like something that comes again, such as `card_id` or `Kundennummer`: not a
/// number, whose size would mean something, and not a text.
fn guess_key(name: &str, values: &ColumnValues<'_>) -> Option<(VariableType, &'static str)> {
    let are_ids = if values.share(|text| parse::parse_number(text).is_some()) > 0.98 {
        values.share(is_whole_number) > 0.98 && values.distinct.len() > FEW_NUMBERS
    } else {
        values.share(|text| !text.contains(char::is_whitespace)) > 0.95
    };
    (is_key_name(name) && are_ids).then_some((
        VariableType::Categorical,
        "by its name; values identify something",
    ))
}

/// So few numbers are a flag or a count, whatever their name says.
const FEW_NUMBERS: usize = 20;

fn is_whole_number(text: &str) -> bool {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse::<i64>().is_ok()
}

/// Whether a text is one word with a digit, such as `A17-X3`.
fn is_code(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':' | b'/'))
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

/// Whether a column only identifies its rows, so that no value will ever occur again. Ids of devices and accounts may
/// occur again, even where a sample has each only once, so short ones do not count.
fn is_identifier(name: &str, words: &[String], values: &ColumnValues<'_>) -> bool {
    if values.present.len() < 50 || values.distinct_percent() < 98 {
        return false;
    }
    let is_named = words.is_empty()
        || has_word(words, &["uuid", "guid", "index", "unnamed", "hash"])
        || words
            .iter()
            .any(|word| word.ends_with("id") || ID.contains(&word.as_str()));
    let tokens = values.share(|text| text_shape::is_token(text) && text.len() >= 24);
    let of_rows = words.len() < 2 || !is_key_name(name);
    (is_named && values.share(is_whole_number) > 0.98) || (tokens > 0.95 && of_rows)
}

/// The type that the words of a column's name and its values agree on.
fn guess_by_name(
    name: &str,
    words: &[String],
    values: &ColumnValues<'_>,
    numeric: f64,
) -> Option<(VariableType, &'static str)> {
    use VariableType as T;
    let has = |group: WordGroup| has_word(words, group);
    if has(&["ip", "ipaddress"]) && values.share(|text| text_shape::parse_ip(text).is_some()) > 0.9
    {
        return Some((T::IpAddress, "by its name; values are addresses as numbers"));
    }
    if has(PHONE) && values.share(text_shape::is_phone) > 0.8 {
        let kind = if has(SHIPPING) {
            T::ShippingPhone
        } else if has(BILLING) {
            T::BillingPhone
        } else {
            T::PhoneNumber
        };
        return Some((kind, "by its name; values have 7 to 18 digits"));
    }
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    if has(BIN) && values.share(|text| (6..=10).contains(&digits(text))) > 0.8 {
        return Some((T::CardBin, "by its name; values have six to ten digits"));
    }
    if is_postal_code(words) && values.share(|text| text.len() <= 12) > 0.9 {
        let kind = if has(SHIPPING) {
            T::ShippingZip
        } else {
            T::BillingZip
        };
        return Some((kind, "by its name; values are short"));
    }
    let is_money = (has(AMOUNT) || has(MONEY)) && !has(NOT_MONEY);
    if is_money && numeric > 0.98 && values.distinct.len() > 2 && have_cents(values) {
        return Some((T::Price, "by its name; values are numbers with cents"));
    }
    // A device that is only described, such as by its maker, is a category.
    let is_named = has(&["fingerprint", "cookie"]) && numeric <= 0.9 && values.distinct.len() > 2;
    if has(DEVICE) && (is_named || is_key_name(name) && has(TOKEN)) {
        return Some((T::Fingerprint, "by its name; values identify a device"));
    }
    if numeric > 0.9 {
        return None;
    }
    guess_text_by_name(words, values)
}

/// Whether a name says that it is a postal code. The shortest of the words stand for other things in longer names.
fn is_postal_code(words: &[String]) -> bool {
    let is_zip = |word: &String| ZIP.contains(&word.as_str());
    let is_sure = |word: &String| is_zip(word) && word.len() > 2 && word != "cap";
    if has_word(
        words,
        &[
            "count", "cnt", "distinct", "age", "days", "match", "distance",
        ],
    ) {
        return false;
    }
    words.iter().any(is_sure)
        || (words.iter().any(is_zip)
            && (words.len() == 1 || has_word(words, SHIPPING) || has_word(words, BILLING)))
}

/// The type of a column of words that its name tells.
fn guess_text_by_name(
    words: &[String],
    values: &ColumnValues<'_>,
) -> Option<(VariableType, &'static str)> {
    use VariableType as T;
    let short = values.mean(str::len) <= 40.0;
    // `via` and the like also mean other things than a street.
    let spaced = values.share(|text| text.contains(' ')) > 0.5;
    let table: [(WordGroup, bool, T, T); 6] = [
        (COUNTRY, true, T::BillingCountry, T::ShippingCountry),
        (
            &["state", "province", "provincia", "bundesland"],
            true,
            T::BillingState,
            T::ShippingState,
        ),
        (CITY, true, T::BillingCity, T::ShippingCity),
        (STREET, spaced, T::BillingAddressL1, T::ShippingAddressL1),
        (CURRENCY, true, T::CurrencyCode, T::CurrencyCode),
        (&["fingerprint"], true, T::Fingerprint, T::Fingerprint),
    ];
    let (_, _, billing, shipping) = table
        .into_iter()
        .find(|(group, fits, ..)| short && *fits && has_word(words, group))?;
    let kind = if has_word(words, SHIPPING) {
        shipping
    } else {
        billing
    };
    Some((kind, "by its name"))
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

    /// The type of a column of 200 values, `-` for one that is left out.
    fn infer(name: &str, value: impl Fn(u32) -> String) -> String {
        let values: Vec<String> = (0..200).map(value).collect();
        let rows: Vec<[Option<&str>; 1]> =
            values.iter().map(|value| [Some(value.as_str())]).collect();
        let inferred = infer_types(&[name], &rows);
        let kind = inferred[0].kind;
        kind.map_or("-", VariableType::as_str).to_owned()
    }

    /// A name, values, and the type that they are taken for.
    type Case<'a> = (&'a str, &'a dyn Fn(u32) -> String, &'a str);

    #[test]
    fn amounts_with_a_currency_are_named() {
        // `€12` is read as a number.
        for (value, is_named) in [
            ("12.50 EUR", true),
            ("EUR 12,50", true),
            ("9 zł", true),
            ("€12", false),
            ("12.50", false),
        ] {
            let inferred = infer_types(&["paid"], &vec![[Some(value)]; 60]);
            let found = inferred[0].why.contains("amounts with a currency");
            assert_eq!(found, is_named, "{value}: {}", inferred[0].why);
        }
    }

    #[test]
    fn names_in_several_languages() {
        let money = |n: u32| format!("{}.{:02}", n * 7 % 90, n % 100);
        let whole = |n: u32| (100 + n * 7 % 60).to_string();
        let phone = |n: u32| format!("+49 30 {:07}", n * 977);
        let again = |n: u32| (4_111_000_000 + u64::from(n % 70) * 991).to_string();
        let code = |n: u32| format!("D{}x{}", n * 7919 % 5003, n % 150);
        let token = |n: u32| format!("{:032x}", u128::from(n) << 90);
        let street = |n: u32| format!("Lange Reihe {n}");
        let once = |n: u32| (70_001 + n).to_string();
        let flag = |n: u32| (n % 2).to_string();
        let truth = |n: u32| ["true", "false"][n as usize % 2].to_owned();
        let cases: [Case<'_>; 44] = [
            ("used_pin_number", &flag, "NUMERIC"),
            ("repeat_customer", &flag, "NUMERIC"),
            ("avg_amount_per_customer", &money, "PRICE"),
            ("is_paid", &truth, "CATEGORICAL"),
            ("cookie_enabled", &truth, "CATEGORICAL"),
            ("fingerprint_confidence", &money, "NUMERIC"),
            ("zip_count_4w", &whole, "NUMERIC"),
            ("Customer Zipcode", &whole, "BILLING_ZIP"),
            ("orderTotal", &money, "PRICE"),
            ("Rechnungsbetrag", &money, "PRICE"),
            ("montant", &money, "PRICE"),
            ("importe", &money, "PRICE"),
            ("prezzo", &money, "PRICE"),
            ("bedrag", &money, "PRICE"),
            ("amt", &money, "PRICE"),
            ("shippingCost", &whole, "PRICE"),
            ("total_items", &whole, "NUMERIC"),
            ("valueScore", &money, "NUMERIC"),
            ("anzahl_gesamt", &whole, "NUMERIC"),
            ("phoneNumber", &phone, "PHONE_NUMBER"),
            ("Telefonnummer", &phone, "PHONE_NUMBER"),
            ("lieferTelefon", &phone, "SHIPPING_PHONE"),
            ("Rechnungstelefon", &phone, "BILLING_PHONE"),
            ("movil", &phone, "PHONE_NUMBER"),
            ("cc_num", &again, "CATEGORICAL"),
            ("Kartennummer", &again, "CATEGORICAL"),
            ("numeroTarjeta", &again, "CATEGORICAL"),
            ("customerId", &whole, "CATEGORICAL"),
            ("Kundennr", &whole, "CATEGORICAL"),
            ("merchant", &code, "CATEGORICAL"),
            ("deviceId", &code, "FINGERPRINT"),
            ("deviceFingerprint", &token, "FINGERPRINT"),
            ("card_hash", &token, "CATEGORICAL"),
            ("request_token", &token, "-"),
            ("id", &once, "-"),
            ("orderNumber", &once, "-"),
            ("partOfShipment", &code, "CATEGORICAL"),
            ("lieferPlz", &whole, "SHIPPING_ZIP"),
            ("code_postal", &whole, "BILLING_ZIP"),
            ("credit_cap", &whole, "NUMERIC"),
            ("Lieferstrasse", &street, "SHIPPING_ADDRESS_L1"),
            ("direccion", &street, "BILLING_ADDRESS_L1"),
            (
                "paid_via",
                &|n| ["app", "web"][n as usize % 2].to_owned(),
                "CATEGORICAL",
            ),
            (
                "Land",
                &|n| ["DE", "FR"][n as usize % 2].to_owned(),
                "BILLING_COUNTRY",
            ),
        ];
        for (name, value, expected) in cases {
            assert_eq!(infer(name, value), expected, "{name}");
        }
    }
}
