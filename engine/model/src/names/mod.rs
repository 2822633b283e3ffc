//! The words in the names of fields, columns and variables, in several languages: what a draft of a mapping, the types of
//! columns and the keys of histories are guessed by.

pub mod words;

/// Words with which German compounds begin: `Bestellnummer` is read as `bestell nummer`.
const COMPOUND_BEGINNINGS: &[&str] = &[
    "bestell",
    "bestellungs",
    "auftrags",
    "kunden",
    "liefer",
    "lieferungs",
    "rechnungs",
    "versand",
    "karten",
    "zahlungs",
    "zahl",
    "artikel",
    "geraete",
    "gesamt",
    "telefon",
    "mobil",
    "post",
    "klant",
    "bestel",
    "betaal",
    "verzend",
    "telefoon",
    "lever",
    "factuur",
    "totaal",
    "waren",
    "konto",
    "order",
    "customer",
    "shipping",
    "billing",
    "card",
    "payment",
    "email",
    "ip",
    "device",
    "user",
];
/// Words that follow those of the list above in names without a separator.
const COMPOUND_ENDINGS: &[&str] = &[
    "nummer",
    "methode",
    "adres",
    "plaats",
    "bedrag",
    "wijze",
    "nr",
    "id",
    "datum",
    "zeit",
    "strasse",
    "ort",
    "stadt",
    "plz",
    "postleitzahl",
    "land",
    "name",
    "adresse",
    "anschrift",
    "art",
    "weise",
    "betrag",
    "summe",
    "preis",
    "wert",
    "waehrung",
    "status",
    "bin",
    "token",
    "number",
    "date",
    "time",
    "address",
    "city",
    "zip",
    "country",
    "street",
    "total",
    "amount",
    "method",
    "email",
    "leitzahl",
    "mail",
    "gruppe",
    "korb",
    "kennung",
    "agent",
    "fingerprint",
    "hash",
    "code",
    "type",
    "telefon",
];

/// The words of a name or a JSON pointer in lower case and without accents: `/customer/signedUpAt` gives
/// `customer signed up at`, and `Bestellnummer` gives `bestell nummer`.
pub fn split_words(pointer: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in pointer.split('/') {
        let mut word = String::new();
        let mut after_lower = false;
        for c in part.chars() {
            if !c.is_alphanumeric() {
                words.push(std::mem::take(&mut word));
                after_lower = false;
                continue;
            }
            // `orderId` are two words, `IP` is one.
            if c.is_uppercase() && after_lower {
                words.push(std::mem::take(&mut word));
            }
            after_lower = c.is_lowercase() || c.is_numeric();
            word.push_str(fold_letter(c).as_str());
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().flat_map(split_compound).collect()
}

fn fold_letter(c: char) -> String {
    let lower = c.to_lowercase().next().unwrap_or(c);
    let folded = match lower {
        'ä' => "ae",
        'ö' | 'ø' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ò' | 'ó' | 'ô' | 'õ' => "o",
        'ù' | 'ú' | 'û' => "u",
        'ç' => "c",
        'ñ' => "n",
        _ => return lower.to_string(),
    };
    folded.to_owned()
}

fn split_compound(word: String) -> Vec<String> {
    // A word of its own in several languages.
    if word == "postcode" {
        return vec![word];
    }
    let split = COMPOUND_BEGINNINGS.iter().find_map(|beginning| {
        let rest = word.strip_prefix(beginning)?;
        COMPOUND_ENDINGS
            .contains(&rest)
            .then(|| (beginning.to_string(), rest.to_owned()))
    });
    match split {
        Some((beginning, rest)) => vec![beginning, rest],
        None => vec![word],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        for (pointer, want) in [
            ("/Bestellnummer", "bestell nummer"),
            ("/customer/signedUpAt", "customer signed up at"),
            ("/shipping_address_ZIP", "shipping address zip"),
            ("/Rechnungsstraße", "rechnungs strasse"),
            ("/IP-Adresse", "ip adresse"),
            ("/clientIP", "client ip"),
            ("/Währung", "waehrung"),
            ("/Montant total (€)", "montant total"),
            ("/customerid", "customer id"),
            ("/billing_postcode", "billing postcode"),
            ("/klantnummer", "klant nummer"),
            ("/Kundenservice", "kundenservice"),
        ] {
            assert_eq!(split_words(pointer).join(" "), want, "{pointer}");
        }
    }
}
