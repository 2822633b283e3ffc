//! Normal forms for values that can be spelled in several ways; lists of a variable type compare them.

use std::borrow::Cow;

/// The function that normalizes values of a variable type; `None` if they are compared as they are.
pub fn find_normalizer(variable_type: &str) -> Option<fn(&str) -> Cow<'_, str>> {
    match variable_type {
        "EMAIL_ADDRESS" => Some(normalize_email),
        "PHONE_NUMBER" | "BILLING_PHONE" | "SHIPPING_PHONE" => Some(normalize_phone),
        _ => None,
    }
}

/// The normal form of a value, as lists of its variable type compare it: an e-mail address in lower case, a phone
/// number by its digits, any other value unchanged.
pub fn normalize_value<'v>(variable_type: &str, value: &'v str) -> Cow<'v, str> {
    find_normalizer(variable_type).map_or(Cow::Borrowed(value), |normal| normal(value))
}

fn normalize_email(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    if value.chars().any(char::is_uppercase) {
        Cow::Owned(value.to_lowercase())
    } else {
        Cow::Borrowed(value)
    }
}

/// The digits, without a leading `00`, which stands for `+`. A value without digits is not changed.
fn normalize_phone(value: &str) -> Cow<'_, str> {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return Cow::Borrowed(value);
    }
    match digits.strip_prefix("00") {
        Some(rest) if !rest.is_empty() => Cow::Owned(rest.to_owned()),
        _ => Cow::Owned(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_spelling() {
        for (variable_type, value, want) in [
            ("EMAIL_ADDRESS", " Jo@Example.COM", "jo@example.com"),
            ("EMAIL_ADDRESS", "jo@example.com", "jo@example.com"),
            ("PHONE_NUMBER", "+1 (415) 555-0100", "14155550100"),
            ("BILLING_PHONE", "0049 30 1234", "49301234"),
            ("SHIPPING_PHONE", "none", "none"),
            ("PHONE_NUMBER", "00", "00"),
            ("IP_ADDRESS", "2001:DB8::1", "2001:DB8::1"),
        ] {
            assert_eq!(
                normalize_value(variable_type, value),
                want,
                "{variable_type} {value}"
            );
            let again = normalize_value(variable_type, value).into_owned();
            assert_eq!(
                normalize_value(variable_type, &again),
                want,
                "{value} twice"
            );
        }
    }
}
