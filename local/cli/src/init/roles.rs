//! What a field may be for, and how that is recognised: by the words of its name in several languages, and by its values.

use shared::mapping::is_currency_code;

use super::field_samples::FieldSamples;
use super::status_words::says_fraud_word;
use super::value_shapes::{
    ALMOST_ALL, find_number_form, is_digits, is_email, is_ip, is_user_agent,
};
use model::names::words::{
    AGENT, AMOUNT, BILLING, BIN, CARD, CITY, COUNTRY, CREATED, CURRENCY, CUSTOMER, DEVICE, EMAIL,
    ID, IP, METHOD, NOT_A_CUSTOMER, NOT_THE_TOTAL, ORDER, PAYMENT, PHONE, SHIPPING, SIGNED_UP,
    STATUS, STREET, TIME, TOKEN, WordGroup, ZIP, has_word,
};

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    OrderId,
    OrderTime,
    CustomerId,
    Email,
    Phone,
    IpAddress,
    UserAgent,
    DeviceId,
    Amount,
    Currency,
    CardFingerprint,
    CardBin,
    PaymentMethod,
    SignedUpAt,
    ShippingStreet,
    ShippingCity,
    ShippingZip,
    ShippingCountry,
    BillingStreet,
    BillingCity,
    BillingZip,
    BillingCountry,
    Status,
}

/// What a role needs: words, of which the name must have one of each group, and values that fit.
pub(crate) struct RoleSigns {
    pub(crate) role: Role,
    /// Alternatives, the clearest first.
    pub(crate) words: &'static [&'static [WordGroup]],
    fits: fn(&FieldSamples) -> bool,
    /// Words that a name must not have.
    unless: &'static [WordGroup],
    /// Whether the values alone are enough.
    by_values: bool,
}

/// The roles in the order in which fields are given to them.
pub(crate) const ROLE_SIGNS: &[RoleSigns] = &[
    RoleSigns {
        role: Role::Email,
        words: &[&[EMAIL]],
        fits: |field| field.share_of(is_email) >= 0.8,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::IpAddress,
        words: &[&[IP]],
        fits: |field| field.share_of(is_ip) >= 0.8,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::UserAgent,
        words: &[&[AGENT]],
        fits: |field| field.share_of(is_user_agent) >= 0.5,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::Currency,
        words: &[&[CURRENCY]],
        fits: is_currency,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::SignedUpAt,
        words: &[&[SIGNED_UP], &[CUSTOMER, CREATED]],
        fits: is_time,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::OrderTime,
        words: &[&[ORDER, TIME], &[CREATED], &[TIME]],
        fits: is_time,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::CustomerId,
        words: &[&[CUSTOMER, ID], &[CUSTOMER]],
        fits: is_account,
        unless: &[NOT_A_CUSTOMER],
        by_values: false,
    },
    RoleSigns {
        role: Role::CardBin,
        words: &[&[BIN]],
        fits: |field| field.share_of(|text| is_digits(text, 6..=8)) >= ALMOST_ALL,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::CardFingerprint,
        words: &[&[CARD, TOKEN]],
        fits: |field| !field.has_spaces() && field.values.len() > 1,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::DeviceId,
        words: &[&[DEVICE, ID], &[DEVICE]],
        fits: |field| !field.has_spaces() && field.values.len() > 3,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::OrderId,
        words: &[&[ORDER, ID], &[ORDER], &[ID]],
        fits: |field| field.is_mostly_different() && !field.has_spaces(),
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::Amount,
        words: &[&[ORDER, AMOUNT], &[AMOUNT, AMOUNT], &[AMOUNT]],
        fits: is_amount,
        unless: &[NOT_THE_TOTAL],
        by_values: false,
    },
    RoleSigns {
        role: Role::PaymentMethod,
        words: &[&[PAYMENT, METHOD], &[PAYMENT]],
        fits: is_word,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::Phone,
        words: &[&[PHONE]],
        fits: |field| field.share_of(has_digits) >= 0.8,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingCountry,
        words: &[&[SHIPPING, COUNTRY]],
        fits: is_word,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingZip,
        words: &[&[SHIPPING, ZIP]],
        fits: is_short,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingCity,
        words: &[&[SHIPPING, CITY]],
        fits: has_values,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingStreet,
        words: &[&[SHIPPING, STREET]],
        fits: |field| field.share_of(has_digits) >= 0.3,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingCountry,
        words: &[&[BILLING, COUNTRY], &[COUNTRY]],
        fits: is_word,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingZip,
        words: &[&[BILLING, ZIP], &[ZIP]],
        fits: is_short,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingCity,
        words: &[&[BILLING, CITY], &[CITY]],
        fits: has_values,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingStreet,
        words: &[&[BILLING, STREET], &[STREET]],
        fits: |field| field.share_of(has_digits) >= 0.3,
        unless: &[],
        by_values: false,
    },
    RoleSigns {
        role: Role::Status,
        words: &[],
        fits: says_fraud,
        unless: &[],
        by_values: true,
    },
    RoleSigns {
        role: Role::Status,
        words: &[&[STATUS]],
        fits: is_word,
        unless: &[],
        by_values: false,
    },
];

/// Why a field was taken for its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Its name and its values say so.
    NameAndValues,
    /// Only its values do.
    Values,
}

impl RoleSigns {
    /// How well a field fits, the higher the better; `None` if it does not.
    pub(crate) fn rate_field(
        &self,
        field: &FieldSamples,
        words: &[String],
    ) -> Option<(u32, Evidence)> {
        let is_ruled_out = self.unless.iter().any(|group| has_word(words, group));
        if field.filled == 0 || is_ruled_out || !(self.fits)(field) {
            return None;
        }
        let alternatives = self.words.iter().zip((1..=3).rev());
        let named = alternatives.filter_map(|(groups, rank)| {
            let matched = count_matched_groups(groups, words)?;
            // What else the name says makes it less clear: the total of a discount, the city of a branch.
            let others = u32::try_from(words.len().saturating_sub(matched)).unwrap_or(u32::MAX);
            Some(1000 + 100 * rank - others.min(50))
        });
        match named.max() {
            Some(rating) => Some((rating, Evidence::NameAndValues)),
            None if self.by_values => Some((1, Evidence::Values)),
            None => None,
        }
    }
}

/// How many words fulfil the groups; `None` if a group has no word of its own.
fn count_matched_groups(groups: &[WordGroup], words: &[String]) -> Option<usize> {
    let mut used: Vec<usize> = Vec::new();
    for group in groups {
        let fits = |(place, word): &(usize, &String)| {
            group.contains(&word.as_str()) && !used.contains(place)
        };
        let (place, _) = words.iter().enumerate().find(fits)?;
        used.push(place);
    }
    Some(used.len())
}

impl FieldSamples {
    fn has_spaces(&self) -> bool {
        self.share_of(|text| text.contains(' ')) > 0.05
    }
}

fn is_time(field: &FieldSamples) -> bool {
    field.time_shape().is_some()
}

fn is_currency(field: &FieldSamples) -> bool {
    field.share_of(|text| is_currency_code(&text.to_ascii_uppercase())) >= 0.8
}

fn is_amount(field: &FieldSamples) -> bool {
    find_number_form(field).is_some() && !is_time(field)
}

/// Something that names an account: neither the same for all nor one of a few.
fn is_account(field: &FieldSamples) -> bool {
    let is_few = field.filled > 100 && field.values.len() < 10;
    !is_time(field) && !field.has_spaces() && field.values.len() > 1 && !is_few
}

/// Whether a word of a small set says that an order was fraud.
fn says_fraud(field: &FieldSamples) -> bool {
    is_word(field)
        && field.values.len() <= 20
        && field.values.iter().any(|value| says_fraud_word(value))
}

fn is_short(field: &FieldSamples) -> bool {
    field.share_of(|text| (3..=10).contains(&text.chars().count())) >= ALMOST_ALL
}

/// A word of a small set, such as a country or a method.
fn is_word(field: &FieldSamples) -> bool {
    !field.has_more && field.values.len() <= 300 && !is_time(field)
}

fn has_values(field: &FieldSamples) -> bool {
    !field.values.is_empty()
}

fn has_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}
