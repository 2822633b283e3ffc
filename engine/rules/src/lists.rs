//! Lists of values, and whether a value is in one.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{utc_time, value::parse_boolean_word};

/// All lists, by name. A clone shares them until one of the two is changed.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    by_name: Arc<FxHashMap<Box<str>, Arc<ListValues>>>,
}

impl Lists {
    /// Sets the list `name` (without `@`) to `values` and drops its old values.
    /// Earlier clones keep the old values.
    pub fn insert(
        &mut self,
        name: impl Into<Box<str>>,
        values: impl IntoIterator<Item = impl AsRef<str>>,
    ) {
        let list = Arc::new(values.into_iter().collect());
        Arc::make_mut(&mut self.by_name).insert(name.into(), list);
    }

    /// Sets the list `name` (without `@`) to an existing list, without copying it.
    pub fn insert_shared(&mut self, name: impl Into<Box<str>>, list: Arc<ListValues>) {
        Arc::make_mut(&mut self.by_name).insert(name.into(), list);
    }

    /// The list `name` (without `@`), if there is one.
    pub fn get(&self, name: &str) -> Option<&Arc<ListValues>> {
        self.by_name.get(name)
    }

    /// The number of lists.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

/// Normalizes a text before it is compared, for example to lower case.
pub type NormalizeText = fn(&str) -> Cow<'_, str>;

/// The values of one list: a set of texts.
///
/// A `STRING` is in the list if the list holds exactly this text, with the same case and
/// spaces. A value of another type is in the list if one of its texts means the same
/// value: the number 5 is in a list that holds `5`, `05` or `5.0` (digits, one point and a
/// leading `-` only; spaces around them are ignored), a time in a list that holds the
/// same time, a Boolean in a list that holds `true` or `false` in any case.
#[derive(Clone, Debug, Default)]
pub struct ListValues {
    normal: Option<NormalizeText>,
    texts: FxHashSet<Box<str>>,
    numbers: Numbers,
    times: FxHashSet<i64>,
    /// Whether it holds `false`, and `true`.
    words: [bool; 2],
}

impl ListValues {
    /// A list that normalizes its texts, and each text that is looked up, with `normal`: if
    /// it converts to lower case, `Jo@Example.com` is in a list that holds `jo@example.com`.
    pub fn normalized(
        normal: NormalizeText,
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let mut list = Self {
            normal: Some(normal),
            ..Self::default()
        };
        for text in texts {
            list.insert(text.as_ref());
        }
        list
    }

    /// Whether the text is in the list: exactly, or normalized if the list normalizes texts.
    pub fn contains(&self, text: &str) -> bool {
        match self.normal {
            Some(normal) => self.texts.contains(&*normal(text)),
            None => self.texts.contains(text),
        }
    }

    /// The number of different texts.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether the list has no text.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// Adds a text, and the number, time or Boolean that it means.
    pub(crate) fn insert(&mut self, text: &str) {
        if let Some(boolean) = parse_boolean_word(text) {
            self.words[usize::from(boolean)] = true;
        }
        self.times.extend(utc_time::parse_utc_time(text));
        self.numbers.insert_text(text.trim());
        match self.normal {
            Some(normal) => self.texts.insert(normal(text).into()),
            None => self.texts.insert(text.into()),
        };
    }

    pub(crate) fn insert_integer(&mut self, number: i64) {
        self.numbers.insert_integer(number);
    }

    pub(crate) fn insert_float(&mut self, number: f64) {
        self.numbers.insert_float(number);
    }

    pub(crate) fn has_integer(&self, number: i64) -> bool {
        let Numbers {
            integers, decimals, ..
        } = &self.numbers;
        integers.contains(&number)
            || !decimals.is_empty() && decimals.contains(&comparable_bits(convert_to_float(number)))
    }

    pub(crate) fn has_float(&self, number: f64) -> bool {
        self.numbers.all.contains(&comparable_bits(number))
    }

    pub(crate) fn has_time(&self, millis: i64) -> bool {
        self.times.contains(&millis)
    }

    pub(crate) fn has_boolean(&self, boolean: bool) -> bool {
        self.words[usize::from(boolean)]
    }
}

impl<T: AsRef<str>> FromIterator<T> for ListValues {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut list = Self::default();
        for text in texts {
            list.insert(text.as_ref());
        }
        list
    }
}

/// The numbers of a list. As with `==`, two integers are compared exactly, and all other
/// numbers as floats.
#[derive(Clone, Debug, Default)]
struct Numbers {
    integers: FxHashSet<i64>,
    decimals: FxHashSet<u64>,
    /// Whole and decimal numbers alike, as floats.
    all: FxHashSet<u64>,
}

impl Numbers {
    fn insert_text(&mut self, text: &str) {
        // Stricter than Rust's `parse`: an id such as `1e5` or `inf` is not a number.
        if !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'))
        {
            return;
        }
        if let Ok(integer) = text.parse() {
            self.insert_integer(integer);
            return;
        }
        let decimal = text.parse().ok().filter(|number: &f64| number.is_finite());
        if let Some(decimal) = decimal {
            self.insert_float(decimal);
        }
    }

    fn insert_integer(&mut self, number: i64) {
        self.integers.insert(number);
        self.all.insert(comparable_bits(convert_to_float(number)));
    }

    fn insert_float(&mut self, number: f64) {
        self.decimals.insert(comparable_bits(number));
        self.all.insert(comparable_bits(number));
    }
}

/// The float nearest to an integer.
#[expect(
    clippy::cast_precision_loss,
    reason = "integers mix with floats as floats"
)]
pub(crate) fn convert_to_float(number: i64) -> f64 {
    number as f64
}

/// The bits of a number. Adding zero turns -0 into 0, which is equal to it.
fn comparable_bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_in_a_list_exactly() {
        let list = ListValues::from_iter(["US", " ca"]);
        assert!(list.contains("US") && list.contains(" ca"));
        assert!(!list.contains("us") && !list.contains("ca"));
    }

    #[test]
    fn a_text_is_in_a_normalized_list_by_its_spelling() {
        let list =
            ListValues::normalized(|text| text.to_lowercase().into(), ["Jo@Example.com", "5"]);
        assert!(list.contains("jo@example.com") && list.contains("JO@EXAMPLE.COM"));
        assert!(!list.contains("jo@example.org") && list.has_integer(5));
    }

    #[test]
    fn other_values_are_in_it_by_what_its_texts_stand_for() {
        let list =
            ListValues::from_iter(["05", "-0.0", "2.50", "1e5", "TRUE", "2019-11-30T01:01:01Z"]);
        assert!(list.has_integer(5) && list.has_float(5.0) && list.has_float(2.5));
        assert!(list.has_integer(0) && list.has_float(0.0));
        assert!(!list.has_integer(2) && !list.has_integer(100_000));
        assert!(list.has_boolean(true) && !list.has_boolean(false));
        assert!(list.has_time(1_575_075_661_000));
    }

    #[test]
    fn whole_numbers_are_compared_exactly() {
        let list = ListValues::from_iter(["9007199254740992"]);
        assert!(!list.has_integer(9_007_199_254_740_993));
        assert!(list.has_float(9_007_199_254_740_992.0));
    }

    #[test]
    fn a_clone_keeps_what_it_had() {
        let mut lists = Lists::default();
        lists.insert("blocked", ["a"]);
        let before = lists.clone();
        lists.insert("blocked", ["b"]);
        assert!(before.get("blocked").unwrap().contains("a"));
        assert!(lists.get("blocked").unwrap().contains("b"));
        assert!(lists.get("allowed").is_none());
    }
}
