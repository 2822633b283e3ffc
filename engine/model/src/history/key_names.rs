//! Names of columns and variables that identify something.

/// A last word that says that a value identifies something.
const ID_WORDS: [&str; 14] = [
    "id",
    "ids",
    "number",
    "no",
    "nr",
    "nummer",
    "token",
    "hash",
    "fingerprint",
    "iban",
    "wallet",
    "uid",
    "uuid",
    "key",
];

/// A last word for something that acts again and again.
const ACTORS: [&str; 24] = [
    "account",
    "affiliate",
    "agent",
    "beneficiary",
    "card",
    "client",
    "customer",
    "device",
    "filiale",
    "konto",
    "kunde",
    "member",
    "merchant",
    "outlet",
    "partner",
    "payee",
    "publisher",
    "seller",
    "shop",
    "store",
    "supplier",
    "terminal",
    "user",
    "vendor",
];

/// Words for what happens only once, so that its id has no past.
const ONCE: [&str; 13] = [
    "booking",
    "event",
    "index",
    "invoice",
    "message",
    "order",
    "payment",
    "record",
    "request",
    "row",
    "session",
    "trans",
    "transaction",
];

/// Whether a name says that its values identify something that comes again, such as `card_id`, `deviceId` or `merchant`.
pub(crate) fn is_key_name(name: &str) -> bool {
    let words = split_words(name);
    let Some(last) = words.last() else {
        return false;
    };
    let is_once = words.iter().any(|word| ONCE.contains(&word.as_str()));
    !is_once && (ID_WORDS.contains(&last.as_str()) || ACTORS.contains(&last.as_str()))
}

/// The words of a name in lower case: `cardId`, `card_id` and `CARD-ID` are `card` and `id`.
pub(super) fn split_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut last_was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && last_was_lower) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        last_was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys() {
        for name in [
            "card_id",
            "deviceId",
            "TERMINAL_ID",
            "merchant",
            "shop",
            "Kunden-Nr",
            "cc_number",
        ] {
            assert!(is_key_name(name), "{name}");
        }
        for name in [
            "card_type",
            "session_id",
            "order_number",
            "TransactionID",
            "customer_age",
            "valid",
            "currency",
            "",
        ] {
            assert!(!is_key_name(name), "{name}");
        }
    }
}
