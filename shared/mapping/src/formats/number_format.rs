//! Numbers with a decimal comma, or with separators of thousands.

use serde::{Deserialize, de};

/// The forms, each shown by how it writes 1234.56.
const FORMS: &[(&str, NumberFormat)] = &[
    ("1234.56", NumberFormat::new('.', None)),
    ("1234,56", NumberFormat::new(',', None)),
    ("1.234,56", NumberFormat::new(',', Some('.'))),
    ("1,234.56", NumberFormat::new('.', Some(','))),
    ("1 234,56", NumberFormat::new(',', Some(' '))),
    ("1'234.56", NumberFormat::new('.', Some('\''))),
];

/// How the numbers of a feed are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberFormat {
    decimal: char,
    /// What stands between thousands, or does not.
    group: Option<char>,
}

impl<'de> Deserialize<'de> for NumberFormat {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::find(&text).ok_or_else(|| {
            let known: Vec<String> = number_forms().map(|form| format!("\"{form}\"")).collect();
            de::Error::custom(format!(
                "`{text}` is no form of numbers; write one of {}",
                known.join(", ")
            ))
        })
    }
}

/// The forms of numbers that `formats` of a mapping file knows, each shown by how it writes 1234.56.
pub fn number_forms() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|(form, _)| *form)
}

/// The number in `text`, with a decimal point and without separators; `None` if it is not written in `form`, which is one
/// of [`number_forms`].
pub fn read_number_in(form: &str, text: &str) -> Option<String> {
    NumberFormat::find(form)?.normalize(text)
}

impl NumberFormat {
    fn find(form: &str) -> Option<Self> {
        let mut forms = FORMS.iter();
        forms
            .find(|(known, _)| *known == form)
            .map(|(_, format)| *format)
    }

    const fn new(decimal: char, group: Option<char>) -> Self {
        Self { decimal, group }
    }

    /// The number with a decimal point and without separators; `None` if it is not written in this form. A sign of a
    /// currency, or its code, may stand before or behind it, and a minus behind it.
    pub(super) fn normalize(self, text: &str) -> Option<String> {
        let text = strip_currency(text);
        let (text, is_negative) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (rest, true),
            None => match text.strip_suffix('-') {
                Some(rest) => (rest, true),
                None => (text.strip_prefix('+').unwrap_or(text), false),
            },
        };
        let text = strip_currency(text);
        let (whole, fraction) = match text.split_once(self.decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let whole = self.join_groups(whole)?;
        if !is_number(&whole) || !fraction.is_none_or(is_number) {
            return None;
        }
        let sign = if is_negative { "-" } else { "" };
        Some(match fraction {
            Some(fraction) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{whole}"),
        })
    }

    /// The digits without separators; `None` if a separator stands elsewhere than before three digits.
    fn join_groups(self, whole: &str) -> Option<String> {
        let is_separator = |c: char| match self.group {
            // French and Swedish software writes these spaces, which break no line.
            Some(' ') => matches!(c, ' ' | '\u{a0}' | '\u{202f}'),
            // Swiss software writes either.
            Some('\'') => matches!(c, '\'' | '\u{2019}'),
            group => Some(c) == group,
        };
        let mut groups = whole.split(is_separator);
        let first = groups.next()?;
        let mut joined = first.to_owned();
        for group in groups {
            // 0.500 with this separator is half of something, written by somebody else.
            let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0');
            if group.len() != 3 || !is_first {
                return None;
            }
            joined.push_str(group);
        }
        Some(joined)
    }
}

/// The text without a sign or a code of a currency at its ends, and without the space between.
fn strip_currency(text: &str) -> &str {
    let is_sign =
        |c: char| c.is_whitespace() || matches!(c, '€' | '$' | '£' | '¥' | '₹' | '₽' | '₺');
    let text = text.trim_matches(is_sign);
    let text = match text.split_at_checked(3) {
        Some((code, rest)) if is_currency_code(code) => rest,
        _ => text,
    };
    let end = text.len().saturating_sub(3);
    let text = match text.split_at_checked(end) {
        Some((rest, code)) if is_currency_code(code) => rest,
        _ => text,
    };
    text.trim_matches(is_sign)
}

/// The codes of the currencies (ISO 4217) that shops are paid in.
const CURRENCY_CODES: &[&str] = &[
    "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR",
    "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "KWD", "MAD", "MXN", "MYR",
    "NGN", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK",
    "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
];

/// Whether a text is the code of a currency that shops are paid in, such as `EUR`, in capitals.
pub fn is_currency_code(text: &str) -> bool {
    CURRENCY_CODES.contains(&text)
}
