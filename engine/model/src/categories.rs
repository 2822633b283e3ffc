//! The categories of a feature of an imported model: which number stands for which value.

use serde::{Deserialize, Serialize};

use crate::parse;

/// The values of a categorical feature; the number that the trees look at is the place of the value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Categories(Vec<Category>);

/// A value as the library's file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Category {
    /// `true` or `false`, which a variable has in any case.
    Boolean(bool),
    /// A number, which a variable may write in any way.
    Number(f64),
    /// A text, which a variable has letter by letter.
    Text(String),
}

impl Categories {
    /// The categories, in the order of their numbers.
    pub fn new(values: Vec<Category>) -> Self {
        Self(values)
    }

    /// How many numbers have a value.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The number of a value; `None` for one that was not seen in training, which counts as missing.
    pub(crate) fn number_of(&self, text: &str) -> Option<f64> {
        let place = self.0.iter().position(|category| category.is(text))?;
        u32::try_from(place).ok().map(f64::from)
    }
}

impl Category {
    #[expect(
        clippy::float_cmp,
        reason = "a category is one number and not those near to it"
    )]
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => own == text,
            Self::Number(own) => parse::parse_number(text).is_some_and(|number| number == *own),
            Self::Boolean(own) => text.eq_ignore_ascii_case(if *own { "true" } else { "false" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_as_the_library_wrote_it() {
        let categories: Categories =
            serde_json::from_str(r#"["GB", "gb", 7, 0.5, true, "9"]"#).unwrap();
        for (text, want) in [
            ("GB", Some(0.0)),
            ("gb", Some(1.0)),
            ("7", Some(2.0)),
            ("7.0", Some(2.0)),
            ("0.50", Some(3.0)),
            ("True", Some(4.0)),
            ("9", Some(5.0)),
            ("9.0", None),
            ("FR", None),
            ("false", None),
        ] {
            assert_eq!(categories.number_of(text), want, "{text}");
        }
    }
}
