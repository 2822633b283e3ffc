//! Identifiers, names and values: text with checked length and characters.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::limits::{
    ENTITY_ID_CHARACTERS, IDENTIFIER_CHARACTERS, VARIABLE_DEFINITION_CHARACTERS,
    VARIABLE_NAME_CHARACTERS, VARIABLE_VALUE_CHARACTERS, VERSION_CHARACTERS,
};

/// Why a text is not the name, id or value it should be.
///
/// The sentence says what was read, what is wrong with it and what is allowed. For types that hold
/// personal data it quotes nothing of the text, not even the offending character.
///
/// ```
/// let error = event::EventId::try_from("orD-1").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "event id has `D` at character 3; only 0-9, a-z, `_` and `-` are allowed",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} {problem}")]
pub struct InvalidName {
    kind: &'static str,
    problem: NameProblem,
}

impl InvalidName {
    /// What the text should have been, in words: `event id`, `variable value`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &NameProblem {
        &self.problem
    }
}

/// What is wrong with a text, see [`InvalidName`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has no characters.
    #[error("is empty; 1 to {limit} characters are allowed")]
    Empty {
        /// The most characters it may have.
        limit: usize,
    },
    /// It has too many characters.
    #[error("has {characters} characters; at most {limit} are allowed")]
    TooLong {
        /// How many characters it has.
        characters: usize,
        /// The most characters it may have.
        limit: usize,
    },
    /// It has a character that is not allowed, or not allowed there.
    #[error("has {} at character {position}; only {allowed} are allowed", QuotedCharacter(*found))]
    Character {
        /// The character; `None` if the text may be personal data.
        found: Option<char>,
        /// Where it stands, counted from 1.
        position: usize,
        /// The characters that are allowed, in words.
        allowed: &'static str,
    },
}

/// A character as an error shows it: in backticks, on one line, or not at all.
struct QuotedCharacter(Option<char>);

impl fmt::Display for QuotedCharacter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("a character that is not allowed"),
            Some(c @ ('"' | '\'' | '\\')) => write!(f, "`{c}`"),
            Some(c) => write!(f, "`{}`", c.escape_debug()),
        }
    }
}

/// What a text must look like to be one of the types below.
struct TextConstraint {
    kind: &'static str,
    limit: usize,
    allows: fn(index: usize, c: char) -> bool,
    allowed: &'static str,
    quotable: bool,
}

impl TextConstraint {
    /// The service's `identifier`: 1 to 64 of `^[0-9a-z_-]+$`.
    const fn identifier(kind: &'static str) -> Self {
        Self {
            kind,
            limit: IDENTIFIER_CHARACTERS,
            allows: |_, c| matches!(c, '0'..='9' | 'a'..='z' | '_' | '-'),
            allowed: "0-9, a-z, `_` and `-`",
            quotable: true,
        }
    }

    const LIST_NAME: Self = Self {
        kind: "list name",
        limit: IDENTIFIER_CHARACTERS,
        allows: |_, c| matches!(c, '0'..='9' | 'a'..='z' | '_'),
        allowed: "0-9, a-z and `_`",
        quotable: true,
    };

    const DETECTOR_VERSION: Self = Self {
        kind: "detector version",
        limit: VERSION_CHARACTERS,
        allows: |index, c| c.is_ascii_digit() && (index > 0 || c != '0'),
        allowed: "the digits of a whole number from 1",
        quotable: true,
    };

    const VARIABLE_NAME: Self = Self {
        kind: "variable name",
        limit: VARIABLE_NAME_CHARACTERS,
        allows: |_, _| true,
        allowed: "any characters",
        quotable: true,
    };

    const VARIABLE_DEFINITION: Self = Self {
        kind: "variable name",
        limit: VARIABLE_DEFINITION_CHARACTERS,
        allows: |index, c| matches!(c, 'a'..='z' | '_') || (index > 0 && c.is_ascii_digit()),
        allowed: "a-z, `_` and, after the first, 0-9",
        quotable: true,
    };

    const VARIABLE_VALUE: Self = Self {
        kind: "variable value",
        limit: VARIABLE_VALUE_CHARACTERS,
        allows: |_, _| true,
        allowed: "any characters",
        quotable: false,
    };

    const ENTITY_ID: Self = Self {
        kind: "entity id",
        limit: ENTITY_ID_CHARACTERS,
        allows: |_, c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '+' | '-'),
        allowed: "0-9, A-Z, a-z, `_`, `.`, `@`, `+` and `-`",
        quotable: false,
    };

    fn check(&self, text: &str) -> Result<(), InvalidName> {
        self.problem(text).map_or(Ok(()), |problem| {
            Err(InvalidName {
                kind: self.kind,
                problem,
            })
        })
    }

    fn problem(&self, text: &str) -> Option<NameProblem> {
        let limit = self.limit;
        if text.is_empty() {
            return Some(NameProblem::Empty { limit });
        }
        let mut characters = 0;
        for (index, c) in text.chars().enumerate() {
            if !(self.allows)(index, c) {
                let (found, allowed) = (self.quotable.then_some(c), self.allowed);
                return Some(NameProblem::Character {
                    found,
                    position: index + 1,
                    allowed,
                });
            }
            characters = index + 1;
        }
        (characters > limit).then_some(NameProblem::TooLong { characters, limit })
    }
}

/// Text that has passed a [`TextConstraint`]: the type, its one check, and serde through that check.
macro_rules! checked_text {
    ($(#[$attribute:meta])* $name:ident, $shape:expr) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MAX_CHARACTERS: usize = Self::CONSTRAINT.limit;

            const CONSTRAINT: TextConstraint = $shape;
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::CONSTRAINT.check(&text)?;
                Ok(Self(text))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::CONSTRAINT.check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_from(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

/// Text that may be read and printed by anyone.
macro_rules! open {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// Text that may be personal data: `Debug` hides it and it is read through `expose()` only.
macro_rules! sensitive {
    ($name:ident) => {
        impl $name {
            /// The text itself. It may be personal data: never log it.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

/// Ordered by its text.
macro_rules! ordered_as_text {
    ($name:ident) => {
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.cmp(&other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
    };
}

/// Can be looked up in a map or set by `&str`; order, equality and hash must be those of the text.
macro_rules! found_by_text {
    ($name:ident) => {
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! identifiers {
    ($($(#[$attribute:meta])* $name:ident is $kind:literal;)*) => {
        $(
            checked_text! {
                $(#[$attribute])*
                ///
                /// 1 to 64 characters of `0-9`, `a-z`, `_` and `-` (service model, `identifier`).
                $name, TextConstraint::identifier($kind)
            }
            open!($name);
            ordered_as_text!($name);
            found_by_text!($name);
        )*
    };
}

identifiers! {
    /// Names one event within its event type; [`EventId::slug`] makes one of any text.
    EventId is "event id";
    /// Names an event type.
    EventTypeName is "event type";
    /// Names a detector.
    DetectorId is "detector id";
    /// Names a rule within its detector.
    RuleId is "rule id";
    /// Names a label, such as `fraud`.
    LabelName is "label";
    /// Names an outcome, such as `review`.
    OutcomeName is "outcome";
    /// Names a kind of entity, such as `customer`.
    EntityTypeName is "entity type";
}

checked_text! {
    /// Names a list that rules look things up in.
    ///
    /// 1 to 64 characters of `0-9`, `a-z` and `_`, so no dash (service model, `noDashIdentifier`).
    ListName, TextConstraint::LIST_NAME
}
open!(ListName);
ordered_as_text!(ListName);
found_by_text!(ListName);

checked_text! {
    /// The number of a detector version: a whole number from 1 to 99999 without leading zeros
    /// (service model, `wholeNumberVersionString`).
    ///
    /// Ordered as a number: version 9 comes before version 10.
    DetectorVersionId, TextConstraint::DETECTOR_VERSION
}
open!(DetectorVersionId);

impl DetectorVersionId {
    /// The version as a number, 1 to 99999.
    pub fn number(&self) -> u32 {
        self.0
            .bytes()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    }
}

impl TryFrom<u32> for DetectorVersionId {
    type Error = InvalidName;

    /// Fails for 0 and for more than 99999.
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::try_from(number.to_string())
    }
}

impl Ord for DetectorVersionId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for DetectorVersionId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

checked_text! {
    /// Names a variable of an event: 1 to 64 characters, any characters (service model,
    /// `variableName`).
    ///
    /// A *definition* has a narrower alphabet, see [`VariableName::check_definition`].
    VariableName, TextConstraint::VARIABLE_NAME
}
open!(VariableName);
ordered_as_text!(VariableName);
found_by_text!(VariableName);

impl VariableName {
    /// Checks the name under which a variable may be defined: `^[a-z_][a-z0-9_]{0,99}$`
    /// (CloudFormation, `AWS::FraudDetector::Variable`).
    ///
    /// It takes text, not a `VariableName`, because a definition may be longer than what a request
    /// can send. A variable of 65 characters and more can be defined but never filled.
    pub fn check_definition(text: &str) -> Result<(), InvalidName> {
        TextConstraint::VARIABLE_DEFINITION.check(text)
    }
}

checked_text! {
    /// The value of one variable: 1 to 8192 characters (service model, `variableValue`).
    ///
    /// It may be personal data. `Debug` hides it, there is no `Display`, and
    /// [`expose`](VariableValue::expose) is the only way to the text.
    VariableValue, TextConstraint::VARIABLE_VALUE
}
sensitive!(VariableValue);
ordered_as_text!(VariableValue);

checked_text! {
    /// Names who or what an event is about, for example a customer: 1 to 256 characters of `0-9`,
    /// `A-Z`, `a-z`, `_`, `.`, `@`, `+` and `-` (service model, `entityRestrictedString`).
    ///
    /// It may be an e-mail address, so `Debug` hides it and there is no `Display`. The text
    /// `unknown` is reserved for an entity that is not known.
    EntityId, TextConstraint::ENTITY_ID
}
sensitive!(EntityId);
ordered_as_text!(EntityId);

impl EntityId {
    const UNKNOWN: &str = "unknown";

    /// The reserved id of an entity that is not known.
    pub fn unknown() -> Self {
        Self(Self::UNKNOWN.to_owned())
    }

    /// Whether this is the reserved id `unknown`, in any case: AWS writes it both ways.
    pub fn is_unknown(&self) -> bool {
        self.0.eq_ignore_ascii_case(Self::UNKNOWN)
    }

    /// The same as [`EntityId::expose`]: never log it.
    pub fn as_str(&self) -> &str {
        self.expose()
    }
}

impl EventId {
    /// Makes an event id of any text: the text itself where it is one, else a readable form of it
    /// and a hash.
    ///
    /// The same text gives the same id for ever, and two texts do not share one by chance: the hash
    /// is 80 bits of SHA-256 over the original, so `ORD-1`, `Ord-1` and `ord-1` differ. (By design
    /// they can: whoever sends `ord-1-f7f8bfa06d24d43c3bc4` itself gets the id of `ORD-1`.)
    /// An empty text also gives an id; a caller that needs one must refuse it first.
    ///
    /// ```
    /// use event::EventId;
    ///
    /// assert_eq!(EventId::slug("ord-1").as_str(), "ord-1");
    /// assert_eq!(EventId::slug("ORD-1").as_str(), "ord-1-f7f8bfa06d24d43c3bc4");
    /// ```
    pub fn slug(original: &str) -> Self {
        Self::try_from(original).unwrap_or_else(|_| Self(crate::slug::make_slug(original)))
    }
}

#[cfg(test)]
mod tests;
