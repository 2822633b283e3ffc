//! What the words of a status say of an order.

use super::field_samples::FieldSamples;
use model::names::split_words;
use model::names::words::has_word;

/// Words that say fraud.
const FRAUD_WORDS: &[&str] = &[
    "fraud",
    "fraudulent",
    "fraudulento",
    "fraudulenta",
    "frauduleux",
    "betrug",
    "betrugsfall",
    "chargeback",
    "chargedback",
    "fraude",
    "frode",
    "stolen",
    "gestohlen",
    "rueckbelastung",
    "contracargo",
    "impaye",
];
/// Words that say that the order was good.
const LEGIT_WORDS: &[&str] = &[
    "paid",
    "bezahlt",
    "legit",
    "ok",
    "completed",
    "complete",
    "delivered",
    "geliefert",
    "fulfilled",
    "settled",
    "abgeschlossen",
    "good",
    "betaald",
    "geleverd",
    "livree",
    "expedie",
    "pagado",
    "entregado",
    "enviado",
    "pagato",
    "consegnato",
    "succeeded",
    "closed",
    "versendet",
    "versandt",
];
/// Words that turn the meaning of the others.
const TURNING_WORDS: &[&str] = &[
    "not",
    "no",
    "non",
    "nicht",
    "kein",
    "keine",
    "pas",
    "sin",
    "geen",
    "niet",
    "won",
    "reversed",
    "suspected",
    "verdacht",
];
/// Names of a status that is answered with yes or no.
const FRAUD_NAMES: &[&str] = &[
    "fraud",
    "betrug",
    "fraude",
    "frode",
    "chargeback",
    "rueckbelastung",
];
const YES_WORDS: &[&str] = &["yes", "y", "ja", "j", "true", "1", "oui", "si"];
const NO_WORDS: &[&str] = &["no", "n", "nein", "false", "0", "non"];

/// What a word of a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusMeaning {
    Fraud,
    Legit,
    Unknown,
}

/// Whether a value says fraud by itself.
pub(crate) fn says_fraud_word(value: &str) -> bool {
    let words = split_words(value);
    has_word(&words, FRAUD_WORDS) && !has_word(&words, TURNING_WORDS)
}

/// What a value of a field means.
pub(crate) fn find_meaning(field: &FieldSamples, value: &str) -> StatusMeaning {
    let words = split_words(value);
    if has_word(&split_words(&field.pointer), FRAUD_NAMES) {
        if has_word(&words, YES_WORDS) {
            return StatusMeaning::Fraud;
        }
        if has_word(&words, NO_WORDS) {
            return StatusMeaning::Legit;
        }
    }
    if has_word(&words, TURNING_WORDS) {
        return StatusMeaning::Unknown;
    }
    if has_word(&words, FRAUD_WORDS) {
        StatusMeaning::Fraud
    } else if has_word(&words, LEGIT_WORDS) {
        StatusMeaning::Legit
    } else {
        StatusMeaning::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_turned_by_a_not() {
        let status = FieldSamples {
            pointer: "/status".to_owned(),
            ..FieldSamples::default()
        };
        let fraud = FieldSamples {
            pointer: "/is_fraud".to_owned(),
            ..FieldSamples::default()
        };
        for (field, value, want) in [
            (&status, "Betrug", StatusMeaning::Fraud),
            (&status, "not fraud", StatusMeaning::Unknown),
            (&status, "chargeback won", StatusMeaning::Unknown),
            (&status, "nicht bezahlt", StatusMeaning::Unknown),
            (&status, "bezahlt", StatusMeaning::Legit),
            (&status, "1", StatusMeaning::Unknown),
            (&fraud, "1", StatusMeaning::Fraud),
            (&fraud, "nein", StatusMeaning::Legit),
        ] {
            assert_eq!(
                find_meaning(field, value),
                want,
                "{} {value}",
                field.pointer
            );
        }
    }
}
