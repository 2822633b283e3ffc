//! Words in the names of fields, in English, German, French, Spanish, Italian and Dutch.

/// Words of which a name must have one.
pub(crate) type WordGroup = &'static [&'static str];

pub(crate) const ORDER: WordGroup = &[
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
pub(crate) const ID: WordGroup = &[
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
    "locator",
    "docno",
    "invoice",
];
pub(crate) const TIME: WordGroup = &[
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
    "placed",
    "ordered",
    "purchase",
    "purchased",
    "uhrzeit",
    "heure",
    "hora",
    "ora",
];
pub(crate) const CREATED: WordGroup = &[
    "created",
    "erstellt",
    "timestamp",
    "datum",
    "date",
    "fecha",
    "placed",
    "booked",
    "ordered",
    "purchase",
    "purchased",
];
pub(crate) const CUSTOMER: WordGroup = &[
    "customer", "client", "kunde", "kunden", "cliente", "klant", "user", "account", "konto",
    "buyer", "kaeufer", "member", "shopper", "cust", "payer", "uid", "klanten",
];
pub(crate) const EMAIL: WordGroup = &["email", "mail", "correo", "courriel"];
pub(crate) const PHONE: WordGroup = &[
    "phone",
    "telefon",
    "telephone",
    "telefono",
    "mobile",
    "mobil",
    "handy",
    "tel",
    "telefoon",
    "cellulare",
    "movil",
    "portable",
    "gsm",
];
pub(crate) const IP: WordGroup = &["ip", "remoteaddr"];
pub(crate) const AGENT: WordGroup = &["agent", "useragent", "browser"];
pub(crate) const DEVICE: WordGroup = &[
    "device",
    "geraet",
    "geraete",
    "fingerprint",
    "visitor",
    "cookie",
    "dispositivo",
    "appareil",
];
pub(crate) const CARD: WordGroup = &[
    "card", "karte", "karten", "carte", "tarjeta", "carta", "kaart", "cc",
];
pub(crate) const TOKEN: WordGroup = &["fingerprint", "token", "hash", "id", "kennung"];
pub(crate) const BIN: WordGroup = &["bin", "iin"];
pub(crate) const AMOUNT: WordGroup = &[
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
    "gross",
    "brutto",
    "bruto",
    "ttc",
    "totaal",
    "totaalbedrag",
    "endbetrag",
    "revenue",
    "fare",
    "paid",
    "charge",
    "rechnungsbetrag",
    "rechnungssumme",
];
pub(crate) const CURRENCY: WordGroup = &[
    "currency", "waehrung", "devise", "moneda", "valuta", "divisa",
];
pub(crate) const PAYMENT: WordGroup = &[
    "payment",
    "zahlung",
    "zahlungs",
    "zahl",
    "paiement",
    "pago",
    "pagamento",
    "betaling",
    "gateway",
    "pay",
    "betaal",
    "moyen",
    "forma",
];
pub(crate) const METHOD: WordGroup = &[
    "method", "methode", "art", "weise", "type", "mode", "metodo", "provider", "gateway", "names",
    "wijze", "wise",
];
pub(crate) const SIGNED_UP: WordGroup = &[
    "signed",
    "signup",
    "registered",
    "registration",
    "registriert",
    "registrierung",
    "angemeldet",
    "inscription",
    "alta",
    "since",
    "seit",
    "depuis",
    "desde",
];
pub(crate) const SHIPPING: WordGroup = &[
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
    "lief",
    "lever",
    "bezorg",
];
pub(crate) const BILLING: WordGroup = &[
    "billing",
    "bill",
    "invoice",
    "rechnung",
    "rechnungs",
    "facturation",
    "facturacion",
    "fatturazione",
    "factuur",
    "rg",
    "rech",
];
pub(crate) const STREET: WordGroup = &[
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
    "adres",
];
pub(crate) const CITY: WordGroup = &[
    "city",
    "town",
    "ort",
    "stadt",
    "ville",
    "ciudad",
    "citta",
    "stad",
    "plaats",
    "woonplaats",
    "poblacion",
    "localita",
];
pub(crate) const ZIP: WordGroup = &[
    "zip",
    "postal",
    "postcode",
    "plz",
    "postleitzahl",
    "leitzahl",
    "cp",
    "cap",
];
pub(crate) const COUNTRY: WordGroup = &["country", "land", "pays", "pais", "paese", "nazione"];
pub(crate) const STATUS: WordGroup = &[
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
    "statut",
    "stand",
    "disputed",
    "dispute",
    "verdacht",
    "betrugsverdacht",
    "fraudulent",
    "outcome",
    "inkasso",
];
/// Words beside `customer` of what is no account.
pub(crate) const NOT_A_CUSTOMER: WordGroup = &[
    "country", "land", "pays", "pais", "city", "ort", "zip", "postal", "email", "mail", "phone",
    "telefon", "ip", "agent", "session", "os", "info", "note", "name", "first", "last", "vorname",
    "nachname", "group", "gruppe", "type", "company", "merchant", "firma", "since", "seit",
    "created", "street", "address", "adresse",
];
/// Words of amounts that are parts of the total.
pub(crate) const NOT_THE_TOTAL: WordGroup = &[
    "net", "netto", "ht", "tax", "mwst", "vat", "steuer", "discount", "rabatt", "remise",
    "shipping", "versand", "fee", "gebuehr", "refunded", "refund", "captured", "fraction", "rate",
    "quantity", "count", "digits", "item", "lineitem", "line",
];
/// Words of what is known only after the order: a model that learned from it would see nothing of it when it matters.
pub(crate) const KNOWN_LATER: WordGroup = &[
    "refunded",
    "refund",
    "dispute",
    "disputed",
    "chargeback",
    "captured",
    "erstattet",
    "erstattung",
    "rueckbelastung",
    "remboursement",
    "reembolso",
];
/// Words of names of people.
pub(crate) const PERSON_NAME: WordGroup = &[
    "name",
    "vorname",
    "nachname",
    "nom",
    "prenom",
    "nombre",
    "apellido",
    "cardholder",
    "anrede",
    "firstname",
    "lastname",
];

/// Whether a name has one of the words.
pub(crate) fn has_word(words: &[String], group: WordGroup) -> bool {
    words.iter().any(|word| group.contains(&word.as_str()))
}
