//! Dates and times of a country or of a system.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use serde::{Deserialize, de};

/// One way to write times, as `formats` of a mapping file names it.
#[derive(Debug)]
pub struct TimeFormat(TimeForm);

#[derive(Debug)]
enum TimeForm {
    /// Seconds since 1970, with or without a fraction.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMilliseconds,
    /// Conversions such as `%d.%m.%Y %H:%M`, see `strftime`.
    Conversions(String),
}

/// The formats of a feed's times, of which the first that fits counts: one text or a list of texts.
#[derive(Debug)]
pub(super) struct TimeFormats(Vec<TimeFormat>);

impl<'de> Deserialize<'de> for TimeFormats {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeFormatsVisitor).map(Self)
    }
}

struct TimeFormatsVisitor;

impl<'de> de::Visitor<'de> for TimeFormatsVisitor {
    type Value = Vec<TimeFormat>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a form of time such as %d.%m.%Y %H:%M:%S, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        TimeFormat::parse(text)
            .map(|format| vec![format])
            .map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut formats = Vec::new();
        while let Some(text) = items.next_element::<String>()? {
            formats.push(TimeFormat::parse(&text).map_err(de::Error::custom)?);
        }
        if formats.is_empty() {
            return Err(de::Error::custom(
                "`time` is an empty list; name one form, such as %d.%m.%Y",
            ));
        }
        Ok(formats)
    }
}

impl TimeFormats {
    /// The time as ISO 8601, without a zone if the text has none; `None` if it is not written in one of the forms.
    pub(super) fn normalize(&self, text: &str) -> Option<String> {
        self.0.iter().find_map(|format| format.normalize(text))
    }
}

impl TimeFormat {
    /// Reads the name of a form: conversions such as `%d.%m.%Y`, `unix` or `unix_ms`.
    ///
    /// # Errors
    /// A sentence, if it gives no whole date.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "unix" => return Ok(Self(TimeForm::UnixSeconds)),
            "unix_ms" => return Ok(Self(TimeForm::UnixMilliseconds)),
            _ => {}
        }
        // What it writes of a time it must be able to read again as a date.
        let example = Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let written = strtime::format(text, &example).ok();
        match written.and_then(|written| read_conversions(text, &written)) {
            Some(_) => Ok(Self(TimeForm::Conversions(text.to_owned()))),
            None => Err(format!(
                "`{text}` gives no whole date; write conversions such as %d.%m.%Y %H:%M:%S, or unix, or unix_ms"
            )),
        }
    }

    /// The time as ISO 8601, without a zone if the text has none; `None` if it is not written in this form.
    pub fn normalize(&self, text: &str) -> Option<String> {
        match &self.0 {
            TimeForm::UnixSeconds => read_unix(text, 1),
            TimeForm::UnixMilliseconds => read_unix(text, 1000),
            TimeForm::Conversions(format) => read_conversions(format, text),
        }
    }
}

/// The time that is so many parts of a second after 1970.
fn read_unix(text: &str, parts: i64) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let milliseconds = whole.checked_mul(1000 / parts)?;
    Some(Timestamp::from_millisecond(milliseconds).ok()?.to_string())
}

fn read_conversions(format: &str, text: &str) -> Option<String> {
    let parsed = BrokenDownTime::parse(format, text).ok()?;
    if parsed.iana_time_zone().is_some() {
        return Some(parsed.to_zoned().ok()?.timestamp().to_string());
    }
    if parsed.offset().is_some() {
        return Some(parsed.to_timestamp().ok()?.to_string());
    }
    // A date alone is its first moment.
    let time = parsed
        .to_datetime()
        .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)));
    // `%Y` would take the two digits of 26 for the year 26.
    let time = time.ok().filter(|time| time.year() >= 1000)?;
    Some(time.to_string())
}
