//! What values look like: addresses, times, numbers, codes.

use std::net::IpAddr;
use std::sync::LazyLock;

use event::Timestamp;
use jiff::tz::TimeZone;
use shared::mapping::{TimeFormat, number_forms, read_number_in};

use super::field_samples::FieldSamples;
use super::time_shape::TimeShape;
use model::names::split_words;
use model::names::words::{CREATED, SIGNED_UP, TIME, has_word};

/// The share of values that must have a shape, so that a few broken ones hide nothing.
pub(crate) const ALMOST_ALL: f64 = 0.95;
/// Values that tell whether a field may have times.
const FIRST_VALUES: usize = 30;
/// Forms of one column's times.
const MOST_TIME_FORMS: usize = 4;

/// Forms of times, the more exact ones first. Where day and month can be exchanged, the day comes first.
const TIME_FORMS: &[&str] = &[
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S %z",
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
    "%d/%m/%y %H:%M",
    "%d/%m/%y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y",
    "%m/%d/%y %H:%M",
    "%m/%d/%y",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H.%M",
    "%d-%m-%Y",
    "%m-%d-%Y %H:%M:%S",
    "%m-%d-%Y %H:%M",
    "%m-%d-%Y",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%b %d, %Y %I:%M:%S %p",
    "%b %d, %Y",
    "%d %b %Y %H:%M:%S",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%y",
    "%Y%m%d",
];

/// Seconds and milliseconds since 1970: read only where the name says that it is a time, because ids look the same.
const UNIX_FORMS: &[&str] = &["unix", "unix_ms"];

/// A form with its name.
type NamedForm = (&'static str, TimeFormat);

static FORMS: LazyLock<Vec<NamedForm>> = LazyLock::new(|| parse_forms(TIME_FORMS));
static UNIX: LazyLock<Vec<NamedForm>> = LazyLock::new(|| parse_forms(UNIX_FORMS));

fn parse_forms(names: &'static [&'static str]) -> Vec<NamedForm> {
    let parse = |name: &&'static str| Some((*name, TimeFormat::parse(name).ok()?));
    names.iter().filter_map(parse).collect()
}

impl FieldSamples {
    /// How its times are written; `None` if it has other values. Asked when all values are there.
    pub(crate) fn time_shape(&self) -> Option<&TimeShape> {
        let shape = self.time_shape.get_or_init(|| find_time_shape(self));
        shape.as_ref()
    }
}

/// How the times of a field are written; `None` if it has other values.
fn find_time_shape(field: &FieldSamples) -> Option<TimeShape> {
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
    // What a member is for stands in its own name: `/data/id` is no time.
    let name = field.pointer.rsplit('/').next().unwrap_or_default();
    let words = split_words(name);
    let is_named = [TIME, CREATED, SIGNED_UP]
        .iter()
        .any(|group| has_word(&words, group));
    let known: Vec<&NamedForm> = FORMS
        .iter()
        .chain(is_named.then_some(&*UNIX).into_iter().flatten())
        .collect();
    let reads = |form: &TimeFormat, text: &str| {
        form.normalize(text)
            .is_some_and(|time| is_plausible_year(&time))
    };
    // Most fields have no times, and the first values tell.
    let is_time = |text: &String| known.iter().any(|(_, form)| reads(form, text));
    if !field.values.iter().take(FIRST_VALUES).any(is_time) {
        return None;
    }
    let mut left: Vec<&str> = field.values.iter().map(String::as_str).collect();
    let mut chosen: Vec<&NamedForm> = Vec::new();
    while !left.is_empty() && chosen.len() < MOST_TIME_FORMS {
        let counted = known.iter().rev().map(|form| {
            let count = left.iter().filter(|text| reads(&form.1, text)).count();
            (count, *form)
        });
        // Of equal forms the first of the table.
        let Some((count, form)) = counted.max_by_key(|(count, _)| *count) else {
            break;
        };
        if count == 0 {
            break;
        }
        chosen.push(form);
        left.retain(|text| !reads(&form.1, text));
    }
    let covered = field.share_of(|text| chosen.iter().any(|(_, form)| reads(form, text)));
    if covered < ALMOST_ALL || chosen.is_empty() {
        return None;
    }
    let is_ambiguous = chosen.iter().any(|(name, form)| {
        find_exchanged_form(name).is_some_and(|exchanged| {
            let mut own = field.values.iter().filter(|text| reads(form, text));
            own.all(|text| reads(exchanged, text))
        })
    });
    let forms: Vec<&'static str> = chosen.iter().map(|(name, _)| *name).collect();
    let has_zone = |form: &&str| form.contains("%z") || UNIX_FORMS.contains(form);
    Some(TimeShape {
        lacks_zone: !forms.iter().all(has_zone),
        forms,
        is_ambiguous,
    })
}

/// The form with day and month exchanged.
fn find_exchanged_form(name: &str) -> Option<&'static TimeFormat> {
    let exchanged = ['/', '-'].into_iter().find_map(|sign| {
        let rest = name.strip_prefix(&format!("%d{sign}%m"))?;
        Some(format!("%m{sign}%d{rest}"))
    })?;
    let mut forms = FORMS.iter();
    forms
        .find(|(name, _)| *name == exchanged)
        .map(|(_, form)| form)
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

pub(crate) fn is_user_agent(text: &str) -> bool {
    text.contains("Mozilla/") || text.contains("AppleWebKit")
}

pub(crate) fn is_digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
