//! Names of columns and variables that identify something.

use crate::names::split_words;

/// A last word that says that a value identifies something.
const ID_WORDS: [&str; 17] = [
    "id",
    "ids",
    "number",
    "num",
    "no",
    "nr",
    "nummer",
    "numero",
    "kennung",
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
const ACTORS: [&str; 34] = [
    "account",
    "affiliate",
    "agent",
    "beneficiary",
    "card",
    "carte",
    "client",
    "cliente",
    "customer",
    "device",
    "filiale",
    "geraet",
    "haendler",
    "karte",
    "klant",
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
    "tarjeta",
    "terminal",
    "tienda",
    "user",
    "vendeur",
    "vendor",
    "winkel",
];

/// Words for what happens only once, so that its id has no past.
const ONCE: [&str; 26] = [
    "auftrag",
    "auftrags",
    "bestell",
    "bestellung",
    "booking",
    "buchung",
    "buchungs",
    "commande",
    "event",
    "index",
    "invoice",
    "message",
    "order",
    "payment",
    "pedido",
    "rechnung",
    "rechnungs",
    "record",
    "request",
    "row",
    "session",
    "trans",
    "transaction",
    "transaktion",
    "zahlung",
    "zahlungs",
];

/// Words for a measure or a flag, whatever it is about.
const MEASURES: [&str; 14] = [
    "avg", "average", "count", "distance", "has", "is", "max", "mean", "min", "new", "per",
    "ratio", "repeat", "used",
];

/// Whether a name says that its values identify something that comes again, such as `card_id`, `deviceId` or `merchant`.
pub(crate) fn is_key_name(name: &str) -> bool {
    let words = split_words(name);
    let Some(last) = words.last() else {
        return false;
    };
    let has = |group: &[&str]| words.iter().any(|word| group.contains(&word.as_str()));
    !has(&ONCE)
        && !has(&MEASURES)
        && (ID_WORDS.contains(&last.as_str()) || ACTORS.contains(&last.as_str()))
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
            "cc_num",
            "Kartennummer",
            "numero_tarjeta",
        ] {
            assert!(is_key_name(name), "{name}");
        }
        for name in [
            "card_type",
            "session_id",
            "order_number",
            "Bestellnummer",
            "TransactionID",
            "customer_age",
            "avg_amount_per_customer",
            "repeat_customer",
            "used_pin_number",
            "distance_to_store",
            "valid",
            "currency",
            "",
        ] {
            assert!(!is_key_name(name), "{name}");
        }
    }
}
