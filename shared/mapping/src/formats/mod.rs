//! How a feed writes its values: decimal commas, dates of a country, words of a language.

mod number_format;
mod time_format;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, de};
use serde_json::Value;

use crate::computed_source::JsonPointer;
use crate::value_source::{NOT_AS_WRITTEN, read_scalar};

use number_format::NumberFormat;
pub use number_format::{is_currency_code, number_forms, read_number_in};
pub use time_format::TimeFormat;
use time_format::TimeFormats;

/// For each pointer, how the value there is written.
///
/// A message is read as if the values were written in the usual form (`1234.56`, `2026-06-01T10:15:00`), so the rule is
/// the same for all that read it: variables, times, money, keys, computed values, filters and labels.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct ValueFormats(BTreeMap<JsonPointer, ValueFormat>);

/// How one value is written.
#[derive(Debug)]
enum ValueFormat {
    Number(NumberFormat),
    Times(TimeFormats),
    /// What a text means; `None` for no value. Other texts stay as they are.
    Values(BTreeMap<String, Option<String>>),
}

/// A format as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatSection {
    #[serde(default)]
    number: Option<NumberFormat>,
    #[serde(default)]
    time: Option<TimeFormats>,
    #[serde(default)]
    values: Option<BTreeMap<String, Option<String>>>,
}

impl<'de> Deserialize<'de> for ValueFormat {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let section = FormatSection::deserialize(deserializer)?;
        match (section.number, section.time, section.values) {
            (Some(number), None, None) => Ok(Self::Number(number)),
            (None, Some(times), None) => Ok(Self::Times(times)),
            (None, None, Some(values)) if !values.is_empty() => Ok(Self::Values(values)),
            _ => Err(de::Error::custom(
                "a format is one of `{number: \"1.234,56\"}`, `{time: \"%d.%m.%Y %H:%M\"}` and `{values: {word: meaning}}`",
            )),
        }
    }
}

impl ValueFormats {
    /// The message, with its values in the usual form. Numbers of JSON stay as they are; a text that is not written as its
    /// format says becomes [`NOT_AS_WRITTEN`], which all readers refuse.
    pub(crate) fn normalize<'a>(&self, mut message: Cow<'a, Value>) -> Cow<'a, Value> {
        for (pointer, format) in &self.0 {
            let read = message.pointer(&pointer.0).map(read_scalar);
            let Some(Ok(Some(text))) = read else { continue };
            let is_text = message.pointer(&pointer.0).is_some_and(Value::is_string);
            if let Some(usual) = format.normalize(&text, is_text)
                && let Some(member) = message.to_mut().pointer_mut(&pointer.0)
            {
                *member = usual;
            }
        }
        message
    }
}

impl ValueFormat {
    /// The value in the usual form; `None` if it is so already.
    fn normalize(&self, text: &str, is_text: bool) -> Option<Value> {
        let usual = match self {
            Self::Number(_) if !is_text => return None,
            Self::Number(format) => format.normalize(text),
            Self::Times(formats) => formats.normalize(text),
            Self::Values(table) => {
                let meaning = table.get(text)?;
                return Some(meaning.as_deref().map_or(Value::Null, Value::from));
            }
        };
        Some(usual.map_or_else(|| Value::from(NOT_AS_WRITTEN), Value::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, message: &str, want: &str) {
        let formats: ValueFormats = serde_saphyr::from_str(&format!("/a: {format}")).unwrap();
        let message: Value = serde_json::from_str(&format!(r#"{{"a":{message}}}"#)).unwrap();
        let got = formats.normalize(Cow::Borrowed(&message));
        let want = want.replace("unreadable", &format!("\"{NOT_AS_WRITTEN}\""));
        assert_eq!(got.to_string(), format!(r#"{{"a":{want}}}"#));
    }

    #[track_caller]
    fn broken(format: &str, want: &str) {
        let error = serde_saphyr::from_str::<ValueFormats>(&format!("/a: {format}")).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        let german = "{number: '1.234,56'}";
        check(german, r#""1.234,56""#, r#""1234.56""#);
        check(german, r#""1.234""#, r#""1234""#);
        check(german, r#""12,5""#, r#""12.5""#);
        check(german, r#""-1234567,89""#, r#""-1234567.89""#);
        check(german, r#""12,50-""#, r#""-12.50""#);
        check(german, r#""12,50 €""#, r#""12.50""#);
        check(german, r#""EUR 1.012,50""#, r#""1012.50""#);
        check(german, r#""12.50""#, "unreadable");
        check(german, r#""1.23.456""#, "unreadable");
        check(german, r#""1,234,567""#, "unreadable");
        check(german, r#""n/a""#, "unreadable");
        check(german, r#""0.500""#, "unreadable");
        check(german, r#""0,500""#, r#""0.500""#);
        check(german, r#""VIP10""#, "unreadable");
        check(german, "12.5", "12.5");
        check(german, r#""""#, r#""""#);
        check("{number: '1,234.56'}", r#""$1,234.56""#, r#""1234.56""#);
        check("{number: '1,234.56'}", r#""1,23""#, "unreadable");
        check("{number: '1 234,56'}", "\"1\u{a0}234,56\"", r#""1234.56""#);
        check("{number: \"1'234.56\"}", r#""12'345.6""#, r#""12345.6""#);
        check(
            "{number: \"1'234.56\"}",
            "\"3\u{2019}882.00\"",
            r#""3882.00""#,
        );
        check("{number: '1234,56'}", r#""1.234""#, "unreadable");
        check("{number: '1234,56'}", r#""0,5""#, r#""0.5""#);
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        let times = "{time: ['%d.%m.%Y %H:%M', '%d.%m.%y']}";
        check(times, r#""01.06.2026 10:15""#, r#""2026-06-01T10:15:00""#);
        check(times, r#""1.6.26""#, r#""2026-06-01T00:00:00""#);
        check(times, r#""2026-06-01""#, "unreadable");
        check(
            "{time: ['%d.%m.%Y', '%d.%m.%y']}",
            r#""1.6.26""#,
            r#""2026-06-01T00:00:00""#,
        );
        check(times, r#""31.06.2026 10:15""#, "unreadable");
        check(
            "{time: '%d/%b/%Y %H:%M:%S %z'}",
            r#""01/Jun/2026 10:15:00 +0200""#,
            r#""2026-06-01T08:15:00Z""#,
        );
        check(
            "{time: '%Y-%m-%d %H:%M %Q'}",
            r#""2026-06-01 10:00 America/New_York""#,
            r#""2026-06-01T14:00:00Z""#,
        );
        check("{time: unix}", "1780308900", r#""2026-06-01T10:15:00Z""#);
        check(
            "{time: unix_ms}",
            r#""1780308900123""#,
            r#""2026-06-01T10:15:00.123Z""#,
        );
        check("{time: unix}", r#""soon""#, "unreadable");
    }

    #[test]
    fn words_become_what_they_mean() {
        let table = "{values: {storniert: legit, Betrug: fraud, offen: null}}";
        check(table, r#""storniert""#, r#""legit""#);
        check(table, r#"" Betrug ""#, r#""fraud""#);
        check(table, r#""offen""#, "null");
        check(table, r#""bezahlt""#, r#""bezahlt""#);
        check("{values: {1: fraud}}", "1", r#""fraud""#);
    }

    #[test]
    fn a_broken_format_says_what_would_be_right() {
        broken("{}", "a format is one of");
        broken("{number: '1.234,56', time: unix}", "a format is one of");
        broken(
            "{number: german}",
            "`german` is no form of numbers; write one of",
        );
        broken("{time: '%d.%m.'}", "`%d.%m.` gives no whole date");
        broken("{time: dd.MM.yyyy}", "`dd.MM.yyyy` gives no whole date");
        broken("{date: unix}", "unknown field `date`");
    }
}
