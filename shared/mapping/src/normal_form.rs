//! Normal forms, so that the same e-mail address or phone number is always written in the same way.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

/// The normal form that a value gets before it is sent or hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalForm {
    /// Unchanged, without white space at the ends.
    #[default]
    Text,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// Digits only.
    Digits,
    /// Lower case, one `@`, a dot in the domain.
    Email,
    /// 7 to 15 digits, after a `+` if the number began with `+` or `00`.
    Phone,
    /// Lower case, letters and digits only, so that `1 Main St.` and `1 main st` are the same.
    LettersAndDigits,
    /// The network of an IP address: its first 24 bits, of an IPv6 address the first 48.
    Network,
}

impl NormalForm {
    /// The normal form of `text`.
    ///
    /// # Errors
    /// A phrase that says what the form requires. It quotes no value.
    pub fn apply(self, text: Cow<'_, str>) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Text => Ok(text),
            Self::Lower => Ok(Cow::Owned(text.to_lowercase())),
            Self::Upper => Ok(Cow::Owned(text.to_uppercase())),
            Self::Digits => normalize_digits(&text).map(Cow::Owned),
            Self::Email => normalize_email(&text).map(Cow::Owned),
            Self::Phone => normalize_phone(&text).map(Cow::Owned),
            Self::LettersAndDigits => keep_letters_and_digits(&text).map(Cow::Owned),
            Self::Network => find_network(&text).map(Cow::Owned),
        }
    }
}

fn normalize_digits(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        Err("has no digit".to_owned())
    } else {
        Ok(digits)
    }
}

fn normalize_email(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    let valid = lower.split_once('@').is_some_and(|(local, domain)| {
        let dotted = domain
            .split_once('.')
            .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty() && !b.ends_with('.'));
        !local.is_empty() && dotted && !domain.contains('@')
    });
    if valid && !lower.contains(char::is_whitespace) {
        Ok(lower)
    } else {
        Err("is not an e-mail address such as jo@example.com".to_owned())
    }
}

fn normalize_phone(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (plus, digits) = match digits.strip_prefix("00") {
        Some(rest) if !text.starts_with('+') => (true, rest.to_owned()),
        _ => (text.starts_with('+'), digits),
    };
    if (7..=15).contains(&digits.len()) {
        Ok(format!("{}{digits}", if plus { "+" } else { "" }))
    } else {
        Err(format!(
            "has {} digits, and a phone number has 7 to 15",
            digits.len()
        ))
    }
}

fn keep_letters_and_digits(text: &str) -> Result<String, String> {
    let kept = text.chars().filter(|letter| letter.is_alphanumeric());
    let kept: String = kept.flat_map(char::to_lowercase).collect();
    if kept.is_empty() {
        Err("has neither a letter nor a digit".to_owned())
    } else {
        Ok(kept)
    }
}

fn find_network(text: &str) -> Result<String, String> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| "is not an IP address such as 203.0.113.7".to_owned())?;
    Ok(match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: NormalForm, text: &str, want: &str) {
        let got = form
            .apply(Cow::Borrowed(text))
            .map_or_else(|e| format!("error: {e}"), Cow::into_owned);
        assert_eq!(got, want, "{form:?} {text}");
    }

    #[test]
    fn normal_forms() {
        check(NormalForm::Email, "Jo@Example.COM", "jo@example.com");
        check(
            NormalForm::Email,
            "jo@example",
            "error: is not an e-mail address such as jo@example.com",
        );
        check(
            NormalForm::Email,
            "jo@@example.com",
            "error: is not an e-mail address such as jo@example.com",
        );
        check(NormalForm::Phone, "+1 (415) 555-0100", "+14155550100");
        check(NormalForm::Phone, "0049 30 1234567", "+49301234567");
        check(
            NormalForm::Phone,
            "12",
            "error: has 2 digits, and a phone number has 7 to 15",
        );
        check(NormalForm::Digits, "4111 11", "411111");
        check(NormalForm::Upper, "us", "US");
        check(NormalForm::LettersAndDigits, "1 Main St., #4", "1mainst4");
        check(
            NormalForm::LettersAndDigits,
            "--",
            "error: has neither a letter nor a digit",
        );
        check(NormalForm::Network, "203.0.113.7", "203.0.113.0/24");
        check(NormalForm::Network, "::ffff:203.0.113.7", "203.0.113.0/24");
        check(NormalForm::Network, "2001:db8:1:2::3", "2001:db8:1::/48");
        check(
            NormalForm::Network,
            "203.0.113",
            "error: is not an IP address such as 203.0.113.7",
        );
    }
}
