//! The types and values of variables.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::utc_time;

/// The data type of a variable. `Display` prints the name in the API, such as `STRING`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Text.
    String,
    /// A signed integer of 64 bits.
    Integer,
    /// A finite number of 64 bits.
    Float,
    /// True or false.
    Boolean,
    /// A time in UTC, with milliseconds.
    DateTime,
}

/// The error for a text that is not the name of a [`Type`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a data type, expected STRING, INTEGER, FLOAT, BOOLEAN or DATETIME")]
pub struct UnknownType(String);

impl FromStr for Type {
    type Err = UnknownType;

    /// Parses the name in the API: `STRING`, `INTEGER`, `FLOAT`, `BOOLEAN` or `DATETIME`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "STRING" => Ok(Self::String),
            "INTEGER" => Ok(Self::Integer),
            "FLOAT" => Ok(Self::Float),
            "BOOLEAN" => Ok(Self::Boolean),
            "DATETIME" => Ok(Self::DateTime),
            _ => Err(UnknownType(word.to_owned())),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "STRING",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::Boolean => "BOOLEAN",
            Self::DateTime => "DATETIME",
        })
    }
}

/// The value of one variable in one event.
///
/// `Debug` names the type and hides the content: values are personal data.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// Text. It is shared, so that a row is cheap to clone.
    String(Arc<str>),
    /// An integer.
    Integer(i64),
    /// A float. [`Value::parse`] gives finite numbers only.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    DateTime(i64),
}

/// The error for a text that is not a value of a type. It does not repeat the text, which
/// may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a valid {expected}: expected {}", describe_expected(*.expected))]
pub struct InvalidValue {
    /// The expected type.
    pub expected: Type,
}

fn describe_expected(ty: Type) -> &'static str {
    match ty {
        Type::String => "text",
        Type::Integer => "a whole number from -9223372036854775808 to 9223372036854775807",
        Type::Float => "a finite number such as `4.01`",
        Type::Boolean => "`true` or `false`",
        Type::DateTime => "a UTC time such as `2019-11-30T13:01:01Z`",
    }
}

impl Value {
    /// Parses `text` as a value of type `ty`.
    ///
    /// Spaces around a number are ignored. A Boolean is `true` or `false` in any case.
    /// A time is `yyyy-MM-ddTHH:mm:ssZ` with an optional fraction of a second, which is
    /// cut to milliseconds. Every text is a `STRING`. The result is never `Null`: the
    /// caller decides whether an empty text means a missing value.
    ///
    /// # Errors
    /// If the text is not a value of this type.
    ///
    /// ```
    /// use rules::{Type, Value};
    /// assert_eq!(Value::parse(Type::Boolean, "True")?, Value::Boolean(true));
    /// assert_eq!(
    ///     Value::parse(Type::Integer, "ten").unwrap_err().to_string(),
    ///     "not a valid INTEGER: expected a whole number \
    ///      from -9223372036854775808 to 9223372036854775807",
    /// );
    /// # Ok::<(), rules::InvalidValue>(())
    /// ```
    pub fn parse(ty: Type, text: &str) -> Result<Self, InvalidValue> {
        let value = match ty {
            Type::String => Some(Self::String(text.into())),
            Type::Integer => text.trim().parse().ok().map(Self::Integer),
            Type::Float => parse_finite_float(text).map(Self::Float),
            Type::Boolean => parse_boolean_word(text).map(Self::Boolean),
            Type::DateTime => utc_time::parse_utc_time(text).map(Self::DateTime),
        };
        value.ok_or(InvalidValue { expected: ty })
    }

    /// Parses the default value of a variable: as [`Value::parse`], and two texts stand for no value, as in programs
    /// that were written for Amazon Fraud Detector: an empty one for a `DATETIME`, and `<null>` for every type except
    /// `STRING`, to which it is a text like any other.
    ///
    /// # Errors
    /// If the text is neither a value of this type nor stands for none.
    ///
    /// ```
    /// use rules::{Type, Value};
    /// assert_eq!(Value::parse_default(Type::Integer, "<null>")?, Value::Null);
    /// assert_eq!(Value::parse_default(Type::String, "<null>")?, Value::String("<null>".into()));
    /// # Ok::<(), rules::InvalidValue>(())
    /// ```
    pub fn parse_default(ty: Type, text: &str) -> Result<Self, InvalidValue> {
        match (ty, text) {
            (Type::DateTime, "") => Ok(Self::Null),
            (Type::Integer | Type::Float | Type::Boolean | Type::DateTime, "<null>") => {
                Ok(Self::Null)
            }
            _ => Self::parse(ty, text),
        }
    }
}

fn parse_finite_float(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// Parses `true` or `false` in any case: the service's samples use both `True` and `true`.
pub(crate) fn parse_boolean_word(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::String(_) => "String(..)",
            Self::Integer(_) => "Integer(..)",
            Self::Float(_) => "Float(..)",
            Self::Boolean(_) => "Boolean(..)",
            Self::DateTime(_) => "DateTime(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_parses(ty: &str, text: &str, want: &Value) {
        let ty: Type = ty.parse().unwrap();
        assert!(Value::parse(ty, text).unwrap() == *want, "{ty} {text}");
    }

    #[track_caller]
    fn assert_does_not_parse(ty: &str, texts: &[&str]) {
        let ty: Type = ty.parse().unwrap();
        for text in texts {
            assert_eq!(
                Value::parse(ty, text),
                Err(InvalidValue { expected: ty }),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_become_values() {
        assert_parses("STRING", " a ", &Value::String(" a ".into()));
        assert_parses("STRING", "", &Value::String("".into()));
        assert_parses("INTEGER", "-1", &Value::Integer(-1));
        assert_parses("INTEGER", " 7 ", &Value::Integer(7));
        assert_parses("FLOAT", "4.01", &Value::Float(4.01));
        assert_parses("FLOAT", "\t4", &Value::Float(4.0));
        assert_parses("BOOLEAN", "True", &Value::Boolean(true));
        assert_parses("BOOLEAN", "FALSE", &Value::Boolean(false));
        assert_parses("DATETIME", "1970-01-01T00:00:01Z", &Value::DateTime(1000));
        assert_parses(
            "DATETIME",
            "1970-01-01T00:00:01.25Z",
            &Value::DateTime(1250),
        );
    }

    #[test]
    fn other_texts_do_not() {
        assert_does_not_parse("INTEGER", &["", "1.0", "ten", "9223372036854775808"]);
        assert_does_not_parse("FLOAT", &["", "NaN", "inf", "1e999", "1,5"]);
        assert_does_not_parse("BOOLEAN", &["", "yes", "1", " true"]);
        assert_does_not_parse(
            "DATETIME",
            &[
                "",
                "2019-11-30",
                "2019-11-30T13:01:01+01:00",
                "2019-02-30T13:01:01Z",
            ],
        );
    }

    #[test]
    fn defaults_may_stand_for_no_value() {
        for (ty, text, want) in [
            ("STRING", "<null>", Some(Value::String("<null>".into()))),
            ("STRING", "", Some(Value::String("".into()))),
            ("INTEGER", "<null>", Some(Value::Null)),
            ("FLOAT", "<null>", Some(Value::Null)),
            ("BOOLEAN", "<null>", Some(Value::Null)),
            ("DATETIME", "<null>", Some(Value::Null)),
            ("DATETIME", "", Some(Value::Null)),
            ("INTEGER", "7", Some(Value::Integer(7))),
            ("INTEGER", "", None),
            ("INTEGER", "null", None),
            ("FLOAT", "<NULL>", None),
            ("BOOLEAN", " <null>", None),
        ] {
            let ty: Type = ty.parse().unwrap();
            assert!(Value::parse_default(ty, text).ok() == want, "{ty} {text}");
        }
    }

    #[test]
    fn types_print_as_their_names_in_the_api() {
        for word in ["STRING", "INTEGER", "FLOAT", "BOOLEAN", "DATETIME"] {
            assert_eq!(word.parse::<Type>().unwrap().to_string(), word);
        }
        assert_eq!(
            "string".parse::<Type>().unwrap_err().to_string(),
            "`string` is not a data type, expected STRING, INTEGER, FLOAT, BOOLEAN or DATETIME"
        );
    }

    #[test]
    fn debug_hides_the_content() {
        let row = [
            Value::String("jo@example.com".into()),
            Value::Integer(42),
            Value::Null,
        ];
        assert_eq!(format!("{row:?}"), "[String(..), Integer(..), Null]");
    }
}
