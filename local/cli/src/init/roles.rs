//! What a field may be for, and how that is recognised: by the words of its name in several languages, and by its values.

use super::field_samples::FieldSamples;
use super::value_shapes::{
    ALMOST_ALL, find_number_form, find_time_shape, is_currency_code, is_digits, is_email, is_ip,
    is_user_agent,
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

/// Words of which a name must have one.
type WordGroup = &'static [&'static str];

const ORDER: WordGroup = &[
    "order",
    "bestell",
    "bestellung",
    "auftrag",
    "auftrags",
    "commande",
    "pedido",
    "ordine",
    "bestelling",
    "transaction",
    "transaktion",
    "booking",
    "buchung",
    "buchungs",
    "reserva",
    "reservation",
    "trip",
];
const ID: WordGroup = &[
    "id",
    "nr",
    "nummer",
    "number",
    "no",
    "num",
    "numero",
    "reference",
    "ref",
    "referenz",
    "code",
    "kennung",
    "pnr",
];
const TIME: WordGroup = &[
    "date",
    "time",
    "at",
    "datum",
    "zeit",
    "zeitpunkt",
    "fecha",
    "data",
    "timestamp",
    "created",
    "erstellt",
    "booked",
];
const CREATED: WordGroup = &[
    "created",
    "erstellt",
    "timestamp",
    "datum",
    "date",
    "fecha",
    "placed",
    "booked",
    "ordered",
];
const CUSTOMER: WordGroup = &[
    "customer", "client", "kunde", "kunden", "cliente", "klant", "user", "account", "konto",
    "buyer", "kaeufer", "member", "shopper",
];
const EMAIL: WordGroup = &["email", "mail", "correo", "courriel"];
const PHONE: WordGroup = &[
    "phone",
    "telefon",
    "telephone",
    "telefono",
    "mobile",
    "mobil",
    "handy",
    "tel",
    "telefoon",
];
const IP: WordGroup = &["ip"];
const AGENT: WordGroup = &["agent", "useragent", "browser"];
const DEVICE: WordGroup = &[
    "device",
    "geraet",
    "geraete",
    "fingerprint",
    "visitor",
    "cookie",
    "dispositivo",
    "appareil",
];
const CARD: WordGroup = &[
    "card", "karte", "karten", "carte", "tarjeta", "carta", "kaart", "cc",
];
const TOKEN: WordGroup = &["fingerprint", "token", "hash", "id", "kennung"];
const BIN: WordGroup = &["bin", "iin"];
const AMOUNT: WordGroup = &[
    "amount",
    "total",
    "sum",
    "betrag",
    "summe",
    "gesamt",
    "gesamtbetrag",
    "gesamtsumme",
    "bestellwert",
    "warenwert",
    "preis",
    "wert",
    "price",
    "montant",
    "importe",
    "prezzo",
    "totale",
    "importo",
    "bedrag",
    "value",
    "grand",
];
const CURRENCY: WordGroup = &[
    "currency", "waehrung", "devise", "moneda", "valuta", "divisa",
];
const PAYMENT: WordGroup = &[
    "payment",
    "zahlung",
    "zahlungs",
    "zahl",
    "paiement",
    "pago",
    "pagamento",
    "betaling",
    "gateway",
];
const METHOD: WordGroup = &[
    "method", "methode", "art", "weise", "type", "mode", "metodo", "provider", "gateway", "names",
];
const SIGNED_UP: WordGroup = &[
    "signed",
    "signup",
    "registered",
    "registration",
    "registriert",
    "registrierung",
    "angemeldet",
    "inscription",
    "alta",
];
const SHIPPING: WordGroup = &[
    "shipping",
    "ship",
    "delivery",
    "liefer",
    "lieferung",
    "lieferungs",
    "versand",
    "livraison",
    "envio",
    "entrega",
    "spedizione",
    "consegna",
    "verzend",
    "recipient",
    "empfaenger",
];
const BILLING: WordGroup = &[
    "billing",
    "bill",
    "invoice",
    "rechnung",
    "rechnungs",
    "facturation",
    "facturacion",
    "fatturazione",
    "factuur",
];
const STREET: WordGroup = &[
    "street",
    "address1",
    "line1",
    "strasse",
    "rue",
    "calle",
    "via",
    "straat",
    "adresse",
    "address",
    "anschrift",
    "indirizzo",
    "direccion",
];
const CITY: WordGroup = &[
    "city", "town", "ort", "stadt", "ville", "ciudad", "citta", "stad", "plaats",
];
const ZIP: WordGroup = &[
    "zip",
    "postal",
    "postcode",
    "plz",
    "postleitzahl",
    "leitzahl",
    "cp",
    "cap",
];
const COUNTRY: WordGroup = &["country", "land", "pays", "pais", "paese"];
const STATUS: WordGroup = &[
    "status",
    "state",
    "label",
    "fraud",
    "betrug",
    "chargeback",
    "zustand",
    "estado",
    "stato",
    "etat",
];

/// What a role needs: words, of which the name must have one of each group, and values that fit.
pub(crate) struct RoleSigns {
    pub(crate) role: Role,
    /// Alternatives, the clearest first.
    pub(crate) words: &'static [&'static [WordGroup]],
    fits: fn(&FieldSamples) -> bool,
    /// Whether the values alone are enough.
    by_values: bool,
}

/// The roles in the order in which fields are given to them.
pub(crate) const ROLE_SIGNS: &[RoleSigns] = &[
    RoleSigns {
        role: Role::Email,
        words: &[&[EMAIL]],
        fits: |field| field.share_of(is_email) >= 0.8,
        by_values: true,
    },
    RoleSigns {
        role: Role::IpAddress,
        words: &[&[IP]],
        fits: |field| field.share_of(is_ip) >= 0.8,
        by_values: true,
    },
    RoleSigns {
        role: Role::UserAgent,
        words: &[&[AGENT]],
        fits: |field| field.share_of(is_user_agent) >= 0.5,
        by_values: true,
    },
    RoleSigns {
        role: Role::Currency,
        words: &[&[CURRENCY]],
        fits: is_currency,
        by_values: true,
    },
    RoleSigns {
        role: Role::SignedUpAt,
        words: &[&[SIGNED_UP], &[CUSTOMER, CREATED]],
        fits: is_time,
        by_values: false,
    },
    RoleSigns {
        role: Role::OrderTime,
        words: &[&[ORDER, TIME], &[CREATED], &[TIME]],
        fits: is_time,
        by_values: true,
    },
    RoleSigns {
        role: Role::CustomerId,
        words: &[&[CUSTOMER, ID], &[CUSTOMER]],
        fits: |field| !is_time(field) && !field.has_spaces(),
        by_values: false,
    },
    RoleSigns {
        role: Role::CardBin,
        words: &[&[BIN]],
        fits: |field| field.share_of(|text| is_digits(text, 6..=8)) >= ALMOST_ALL,
        by_values: false,
    },
    RoleSigns {
        role: Role::CardFingerprint,
        words: &[&[CARD, TOKEN]],
        fits: |field| !field.has_spaces(),
        by_values: false,
    },
    RoleSigns {
        role: Role::DeviceId,
        words: &[&[DEVICE, ID], &[DEVICE]],
        fits: |field| !field.has_spaces() && field.values.len() > 3,
        by_values: false,
    },
    RoleSigns {
        role: Role::OrderId,
        words: &[&[ORDER, ID], &[ORDER], &[ID]],
        fits: |field| field.is_mostly_different() && !field.has_spaces(),
        by_values: true,
    },
    RoleSigns {
        role: Role::Amount,
        words: &[&[ORDER, AMOUNT], &[AMOUNT, AMOUNT], &[AMOUNT]],
        fits: is_amount,
        by_values: false,
    },
    RoleSigns {
        role: Role::PaymentMethod,
        words: &[&[PAYMENT, METHOD], &[PAYMENT]],
        fits: is_word,
        by_values: false,
    },
    RoleSigns {
        role: Role::Phone,
        words: &[&[PHONE]],
        fits: |field| field.share_of(has_digits) >= 0.8,
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingCountry,
        words: &[&[SHIPPING, COUNTRY]],
        fits: is_word,
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingZip,
        words: &[&[SHIPPING, ZIP]],
        fits: has_values,
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingCity,
        words: &[&[SHIPPING, CITY]],
        fits: has_values,
        by_values: false,
    },
    RoleSigns {
        role: Role::ShippingStreet,
        words: &[&[SHIPPING, STREET]],
        fits: |field| field.share_of(has_digits) >= 0.3,
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingCountry,
        words: &[&[BILLING, COUNTRY], &[COUNTRY]],
        fits: is_word,
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingZip,
        words: &[&[BILLING, ZIP], &[ZIP]],
        fits: has_values,
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingCity,
        words: &[&[BILLING, CITY], &[CITY]],
        fits: has_values,
        by_values: false,
    },
    RoleSigns {
        role: Role::BillingStreet,
        words: &[&[BILLING, STREET], &[STREET]],
        fits: |field| field.share_of(has_digits) >= 0.3,
        by_values: false,
    },
    RoleSigns {
        role: Role::Status,
        words: &[&[STATUS]],
        fits: is_word,
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
        if field.filled == 0 || !(self.fits)(field) {
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
    find_time_shape(field).is_some()
}

fn is_currency(field: &FieldSamples) -> bool {
    field.share_of(is_currency_code) >= 0.8
}

fn is_amount(field: &FieldSamples) -> bool {
    find_number_form(field).is_some() && !is_time(field)
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
