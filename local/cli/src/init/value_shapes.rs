//! What values look like: addresses, times, numbers, codes.

use std::net::IpAddr;

use event::Timestamp;
use jiff::tz::TimeZone;
use shared::mapping::{number_forms, read_number_in, read_time_in};

use super::field_samples::FieldSamples;

/// The share of values that must have a shape, so that a few broken ones hide nothing.
pub(crate) const ALMOST_ALL: f64 = 0.95;
/// Forms of one column's times.
const MOST_TIME_FORMS: usize = 4;

/// Forms of times, the more exact ones first. Where day and month can be exchanged, the day comes first.
const TIME_FORMS: &[&str] = &[
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y, %H:%M",
    "%d.%m.%Y",
    "%d.%m.%y %H:%M",
    "%d.%m.%y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y",
    "%Y%m%d",
    "unix",
    "unix_ms",
];

/// How the times of a field are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeShape {
    /// The forms; none if all are read without one.
    pub(crate) forms: Vec<&'static str>,
    /// Whether another order of day and month fits as well.
    pub(crate) is_ambiguous: bool,
    /// Whether some time has no zone.
    pub(crate) lacks_zone: bool,
}

/// How the times of a field are written; `None` if it has other values.
pub(crate) fn find_time_shape(field: &FieldSamples) -> Option<TimeShape> {
    // 03/04/2026 is read without a form, too, but nobody knows by itself in which order.
    let is_native = |text: &str| {
        text.as_bytes().get(4) == Some(&b'-') && Timestamp::parse_in(text, &TimeZone::UTC).is_ok()
    };
    if field.share_of(is_native) >= 1.0 {
        let has_zone = |text: &str| {
            text.ends_with(['Z', 'z']) || text.rfind(['+', '-']).is_some_and(|at| at > 10)
        };
        return Some(TimeShape {
            forms: Vec::new(),
            is_ambiguous: false,
            lacks_zone: field.share_of(has_zone) < 1.0,
        });
    }
    let reads = |form: &str, text: &str| {
        read_time_in(form, text).is_some_and(|time| is_plausible_year(&time))
    };
    let mut left: Vec<&str> = field.values.iter().map(String::as_str).collect();
    let mut forms: Vec<&'static str> = Vec::new();
    while !left.is_empty() && forms.len() < MOST_TIME_FORMS {
        let counted = TIME_FORMS
            .iter()
            .rev()
            .map(|form| (left.iter().filter(|text| reads(form, text)).count(), *form));
        // Of equal forms the first of the table.
        let Some((count, form)) = counted.max_by_key(|(count, _)| *count) else {
            break;
        };
        if count == 0 {
            break;
        }
        forms.push(form);
        left.retain(|text| !reads(form, text));
    }
    let covered = field.share_of(|text| forms.iter().any(|form| reads(form, text)));
    if covered < ALMOST_ALL || forms.is_empty() {
        return None;
    }
    let exchanged = |form: &str| form.replace("%d/%m", "%m/%d");
    let is_ambiguous = forms.iter().any(|form| {
        form.starts_with("%d/%m")
            && field
                .values
                .iter()
                .filter(|text| reads(form, text))
                .all(|text| reads(&exchanged(form), text))
    });
    let is_unix = forms.iter().all(|form| form.starts_with("unix"));
    Some(TimeShape {
        lacks_zone: !is_unix && forms.iter().any(|form| !form.contains("%z")),
        forms,
        is_ambiguous,
    })
}

/// A number that is no time is often one before 1990 or after 2100.
fn is_plausible_year(time: &str) -> bool {
    time.get(..4)
        .is_some_and(|year| ("1990".."2100").contains(&year))
}

/// The form of a field's numbers, `1234.56` where no other is needed; `None` if it has other values.
pub(crate) fn find_number_form(field: &FieldSamples) -> Option<&'static str> {
    if field.is_json_number {
        return Some("1234.56");
    }
    let mut forms: Vec<(usize, &'static str)> = number_forms()
        .map(|form| {
            let reads = |text: &&String| read_number_in(form, text).is_some();
            (field.values.iter().filter(reads).count(), form)
        })
        .collect();
    // The sort is stable: of equal forms the first.
    forms.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let (count, form) = forms.first().copied()?;
    let enough = count > 0 && count * 100 >= field.values.len() * 95;
    enough.then_some(form)
}

/// Whether numbers of this field need a form because they are text that is no number by itself.
pub(crate) fn needs_number_form(field: &FieldSamples) -> bool {
    field.values.iter().any(|text| text.parse::<f64>().is_err())
}

pub(crate) fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty()
            && domain.contains('.')
            && !domain.contains(['@', ' '])
            && !name.contains(' ')
    })
}

pub(crate) fn is_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

pub(crate) fn is_currency_code(text: &str) -> bool {
    const CODES: &[&str] = &[
        "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF",
        "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON",
        "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
    ];
    CODES.contains(&text.to_ascii_uppercase().as_str())
}

pub(crate) fn is_user_agent(text: &str) -> bool {
    text.contains("Mozilla/") || text.contains("AppleWebKit")
}

pub(crate) fn is_digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
