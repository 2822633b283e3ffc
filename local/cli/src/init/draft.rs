//! What a file's fields are taken for.

use std::collections::BTreeMap;

use shared::mapping::read_number_in;

use super::aggregate_table::{KEY_NAMES, all_aggregate_names};
use super::field_samples::{FieldSamples, FileSamples};
use super::roles::{Evidence, ROLE_SIGNS, Role};
use super::status_words::{StatusMeaning, find_meaning};
use super::time_shape::TimeShape;
use super::value_shapes::find_number_form;
use super::yaml_text::is_yaml_word;
use model::names::split_words;
use model::names::words::{BILLING, KNOWN_LATER, PERSON_NAME, has_word};

/// Values of a field that rules and models can use as they are.
const MOST_CATEGORIES: usize = 100;
/// Fields that are drafted as variables although nothing is known of them; the others are named in comments.
const MOST_OTHERS: usize = 40;

/// The draft: which field is what.
pub(crate) struct Draft<'a> {
    pub(crate) samples: &'a FileSamples,
    pub(crate) chosen: BTreeMap<Role, ChosenField<'a>>,
    /// Fields without a role that become variables.
    pub(crate) others: Vec<OtherField<'a>>,
    /// Fields that become none, and why.
    pub(crate) left_out: Vec<(&'a FieldSamples, &'static str)>,
}

/// A field with a role.
pub(crate) struct ChosenField<'a> {
    pub(crate) field: &'a FieldSamples,
    pub(crate) evidence: Evidence,
    /// Other fields that fit the role as well by their names.
    pub(crate) rivals: Vec<&'a FieldSamples>,
}

/// A field without a role that becomes a variable.
pub(crate) struct OtherField<'a> {
    pub(crate) name: String,
    pub(crate) field: &'a FieldSamples,
    pub(crate) kind: OtherKind,
}

/// What kind of values such a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherKind {
    Number,
    Category,
}

impl<'a> Draft<'a> {
    /// Gives each role the field that fits best.
    pub(crate) fn make(samples: &'a FileSamples) -> Self {
        let words: Vec<Vec<String>> = samples
            .fields
            .iter()
            .map(|field| split_words(&field.pointer))
            .collect();
        let mut taken = vec![false; samples.fields.len()];
        let mut chosen = BTreeMap::new();
        for signs in ROLE_SIGNS {
            if chosen.contains_key(&signs.role) {
                continue;
            }
            let rated = samples
                .fields
                .iter()
                .enumerate()
                .filter(|(place, _)| !taken[*place]);
            let mut rated: Vec<_> = rated
                .filter_map(|(place, field)| {
                    let (rating, evidence) = signs.rate_field(field, &words[place])?;
                    Some((rating, place, evidence))
                })
                .collect();
            // The sort is stable: of equal fields the first of the file.
            rated.sort_by_key(|(rating, ..)| std::cmp::Reverse(*rating));
            let Some((best, place, evidence)) = rated.first().copied() else {
                continue;
            };
            taken[place] = true;
            let rivals = rated
                .iter()
                .skip(1)
                .filter(|(rating, ..)| *rating + 3 > best);
            chosen.insert(
                signs.role,
                ChosenField {
                    field: &samples.fields[place],
                    evidence,
                    rivals: rivals
                        .map(|(_, place, _)| &samples.fields[*place])
                        .collect(),
                },
            );
        }
        let mut draft = Self {
            samples,
            chosen,
            others: Vec::new(),
            left_out: Vec::new(),
        };
        draft.join_address();
        let rest = samples
            .fields
            .iter()
            .zip(&words)
            .zip(&taken)
            .filter(|(_, taken)| !**taken);
        for ((field, words), _) in rest {
            draft.add_other(field, words);
        }
        draft
    }

    /// A file with one address has its parts without a word for whose it is: they belong to the street.
    fn join_address(&mut self) {
        let parts = [
            (Role::BillingZip, Role::ShippingZip),
            (Role::BillingCity, Role::ShippingCity),
            (Role::BillingCountry, Role::ShippingCountry),
        ];
        if !self.has(Role::ShippingStreet) || self.has(Role::BillingStreet) {
            return;
        }
        for (billing, shipping) in parts {
            let field = self.field(billing);
            let says_bill = field.is_some_and(|it| has_word(&split_words(&it.pointer), BILLING));
            if !self.has(shipping)
                && !says_bill
                && let Some(part) = self.chosen.remove(&billing)
            {
                self.chosen.insert(shipping, part);
            }
        }
    }

    fn add_other(&mut self, field: &'a FieldSamples, words: &[String]) {
        let kind = if field.filled == 0 {
            Err("no record has it")
        } else if has_word(words, KNOWN_LATER) {
            Err("known only after the order")
        } else if has_word(words, PERSON_NAME) {
            Err("the name of a person")
        } else if field.values.len() == 1 && field.filled > 1 {
            Err("the same in every order")
        } else if field.time_shape().is_some() {
            Err("a time: rules compare times, see `type: DATETIME`")
        } else if is_number(field) {
            if is_whole_id(field) {
                Err("an id: almost no value stands there twice")
            } else {
                Ok(OtherKind::Number)
            }
        } else if !field.has_more && field.values.len() <= MOST_CATEGORIES {
            Ok(OtherKind::Category)
        } else {
            Err("free text or an id: too many different values")
        };
        match kind {
            Ok(kind) if self.others.len() < MOST_OTHERS => {
                let name = self.name_variable(words);
                self.others.push(OtherField { name, field, kind });
            }
            Ok(_) => self
                .left_out
                .push((field, "beyond the first variables that were drafted")),
            Err(why) => self.left_out.push((field, why)),
        }
    }

    /// A name for a variable that no other has.
    fn name_variable(&self, words: &[String]) -> String {
        let ascii = |word: &String| {
            word.chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
        };
        let name: Vec<String> = words
            .iter()
            .map(ascii)
            .filter(|word| !word.is_empty())
            .collect();
        let mut name = name.join("_");
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || is_yaml_word(&name) {
            name.insert_str(0, "field_");
        }
        name.truncate(50);
        let is_taken = |name: &str| {
            self.others.iter().any(|other| other.name == name)
                || Role::all_variable_names().any(|known| known == name)
                || all_aggregate_names().any(|known| known == name)
                || KEY_NAMES.contains(&name)
        };
        if !is_taken(&name) {
            return name;
        }
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        numbered
            .take(MOST_OTHERS + 50)
            .find(|name| !is_taken(name))
            .unwrap_or(name)
    }

    pub(crate) fn field(&self, role: Role) -> Option<&'a FieldSamples> {
        self.chosen.get(&role).map(|chosen| chosen.field)
    }

    /// Whether any field becomes a variable.
    pub(crate) fn has_variables(&self) -> bool {
        let mut roles = self.chosen.keys();
        !self.others.is_empty() || roles.any(|role| role.variable().is_some())
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.chosen.contains_key(&role)
    }

    /// How the times of this role are written.
    pub(crate) fn time_shape(&self, role: Role) -> Option<&'a TimeShape> {
        self.field(role).and_then(FieldSamples::time_shape)
    }

    /// The currency in which most orders are paid, and the others, if there is a field of currencies.
    pub(crate) fn currencies(&self) -> Option<(String, Vec<String>)> {
        let field = self.field(Role::Currency)?;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (code, count) in &field.counts {
            *counts.entry(code.to_ascii_uppercase()).or_default() += count;
        }
        let mut codes: Vec<(String, u64)> = counts.into_iter().collect();
        codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut codes = codes.into_iter().map(|(code, _)| code);
        Some((codes.next()?, codes.collect()))
    }

    /// The words of the status with what they seem to mean; `None` if none says fraud.
    pub(crate) fn status_meanings(&self) -> Option<Vec<(&'a str, StatusMeaning)>> {
        let field = self.field(Role::Status)?;
        let meanings: Vec<_> = field
            .values
            .iter()
            .map(|value| (value.as_str(), find_meaning(field, value)))
            .collect();
        let says_fraud = meanings
            .iter()
            .any(|(_, meaning)| *meaning == StatusMeaning::Fraud);
        (says_fraud && field.values.len() <= 20).then_some(meanings)
    }

    /// The amount that this share of the orders does not exceed, rounded to two digits.
    pub(crate) fn amount_quantile(&self, share: f64) -> Option<u64> {
        let field = self.field(Role::Amount)?;
        let form = find_number_form(field)?;
        let read = |text: &String| {
            let usual = if field.is_json_number {
                Some(text.clone())
            } else {
                read_number_in(form, text)
            };
            usual?
                .parse::<f64>()
                .ok()
                .filter(|amount| amount.is_finite())
        };
        // As often as it stands in the file: a share of orders, not of prices.
        let mut amounts: Vec<(f64, u64)> = field
            .counts
            .iter()
            .filter_map(|(text, count)| Some((read(text)?, *count)))
            .collect();
        amounts.sort_by(|one, other| one.0.total_cmp(&other.0));
        let orders: u64 = amounts.iter().map(|(_, count)| count).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers of orders are far below 2^52"
        )]
        let reaches = |below: u64| below as f64 >= orders as f64 * share;
        let mut below = 0;
        let found = amounts.iter().find(|(_, count)| {
            below += count;
            reaches(below)
        });
        let amount = found.map(|(amount, _)| *amount)?.max(1.0);
        let unit = 10_f64.powf(amount.log10().floor() - 1.0).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an amount of money, at least 1"
        )]
        let rounded = ((amount / unit).round() * unit) as u64;
        Some(rounded)
    }
}

/// Whether a field has numbers to compute with. Digits of one length are rather codes.
fn is_number(field: &FieldSamples) -> bool {
    let length = field.values.first().map_or(0, String::len);
    let is_code =
        |text: &String| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_code = length > 2 && !field.is_json_number && field.values.iter().all(is_code);
    find_number_form(field).is_some() && !is_code
}

/// Whether a field of numbers is rather a field of ids: whole numbers of which almost none stands there twice.
fn is_whole_id(field: &FieldSamples) -> bool {
    let is_whole = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
    field.values.len() > 50 && field.is_mostly_different() && field.values.iter().all(is_whole)
}

/// Words that stand where there is no account.
const GUEST_WORDS: &[&str] = &[
    "0",
    "-1",
    "guest",
    "gast",
    "null",
    "none",
    "n/a",
    "na",
    "-",
    "anonymous",
    "anonym",
    "not logged in",
    "invite",
    "invité",
];

impl Draft<'_> {
    /// Values of the account that stand for a guest, because several orders have them.
    pub(crate) fn guest_accounts(&self) -> Vec<&str> {
        let Some(field) = self.field(Role::CustomerId) else {
            return Vec::new();
        };
        let is_guest = |value: &&String| {
            let count = field.counts.get(*value).copied().unwrap_or_default();
            count > 1 && GUEST_WORDS.contains(&value.to_lowercase().as_str())
        };
        field
            .values
            .iter()
            .filter(is_guest)
            .map(String::as_str)
            .collect()
    }

    /// Whether the amounts look as if they were hundredths: whole numbers of JSON of at least three digits.
    pub(crate) fn may_be_cents(&self) -> bool {
        self.field(Role::Amount).is_some_and(|field| {
            field.is_json_number
                && field.values.len() > 5
                && field.share_of(|text| {
                    text.len() >= 3 && text.bytes().all(|byte| byte.is_ascii_digit())
                }) > 0.9
        })
    }
}
