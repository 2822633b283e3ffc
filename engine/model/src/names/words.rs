//! Words in names, in English, German, French, Spanish, Italian and Dutch, as [`split_words`](super::split_words) gives
//! them.

/// Words of which a name must have one.
pub type WordGroup = &'static [&'static str];

/// Words for an order or another thing that is done once.
pub const ORDER: WordGroup = &[
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
/// Words for something that identifies.
pub const ID: WordGroup = &[
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
/// Words for a time.
pub const TIME: WordGroup = &[
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
/// Words for the time when something was made.
pub const CREATED: WordGroup = &[
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
/// Words for a customer or an account.
pub const CUSTOMER: WordGroup = &[
    "customer", "client", "kunde", "kunden", "cliente", "klant", "user", "account", "konto",
    "buyer", "kaeufer", "member", "shopper", "cust", "payer", "uid", "klanten",
];
/// Words for an e-mail address.
pub const EMAIL: WordGroup = &["email", "mail", "correo", "courriel"];
/// Words for a telephone number.
pub const PHONE: WordGroup = &[
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
/// Words for an IP address.
pub const IP: WordGroup = &["ip", "remoteaddr"];
/// Words for a browser.
pub const AGENT: WordGroup = &["agent", "useragent", "browser"];
/// Words for a device.
pub const DEVICE: WordGroup = &[
    "device",
    "geraet",
    "geraete",
    "fingerprint",
    "visitor",
    "cookie",
    "dispositivo",
    "appareil",
];
/// Words for a card.
pub const CARD: WordGroup = &[
    "card", "karte", "karten", "carte", "tarjeta", "carta", "kaart", "cc",
];
/// Words for a value that stands for another, such as a fingerprint.
pub const TOKEN: WordGroup = &["fingerprint", "token", "hash", "id", "kennung"];
/// Words for the first digits of a card's number.
pub const BIN: WordGroup = &["bin", "iin"];
/// Words for an amount of money.
pub const AMOUNT: WordGroup = &[
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
/// Words for a currency.
pub const CURRENCY: WordGroup = &[
    "currency", "waehrung", "devise", "moneda", "valuta", "divisa",
];
/// Words for a payment.
pub const PAYMENT: WordGroup = &[
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
/// Words for a way to do something.
pub const METHOD: WordGroup = &[
    "method", "methode", "art", "weise", "type", "mode", "metodo", "provider", "gateway", "names",
    "wijze", "wise",
];
/// Words for the time when a customer signed up.
pub const SIGNED_UP: WordGroup = &[
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
/// Words for a delivery.
pub const SHIPPING: WordGroup = &[
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
/// Words for a bill.
pub const BILLING: WordGroup = &[
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
/// Words for a street with its number.
pub const STREET: WordGroup = &[
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
/// Words for a city.
pub const CITY: WordGroup = &[
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
/// Words for a postal code.
pub const ZIP: WordGroup = &[
    "zip",
    "postal",
    "postcode",
    "plz",
    "postleitzahl",
    "leitzahl",
    "zipcode",
    "cp",
    "cap",
];
/// Words for a country.
pub const COUNTRY: WordGroup = &["country", "land", "pays", "pais", "paese", "nazione"];
/// Words for a state that something is in.
pub const STATUS: WordGroup = &[
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
pub const NOT_A_CUSTOMER: WordGroup = &[
    "country", "land", "pays", "pais", "city", "ort", "zip", "postal", "email", "mail", "phone",
    "telefon", "ip", "agent", "session", "os", "info", "note", "name", "first", "last", "vorname",
    "nachname", "group", "gruppe", "type", "company", "merchant", "firma", "since", "seit",
    "created", "street", "address", "adresse",
];
/// Words for an amount of money that say nothing of a total.
pub const MONEY: WordGroup = &[
    "amt",
    "cost",
    "costs",
    "kosten",
    "fee",
    "gebuehr",
    "prix",
    "precio",
    "prijs",
    "monto",
    "umsatz",
    "subtotal",
    "zwischensumme",
    "payment",
    "balance",
    "netto",
];
/// Words of numbers that are no amount of money, whatever else their names say.
pub const NOT_MONEY: WordGroup = &[
    "count", "counts", "cnt", "items", "item", "number", "num", "nr", "no", "nummer", "id", "qty",
    "quantity", "orders", "products", "days", "hours", "minutes", "seconds", "attempts", "score",
    "age", "ratio", "rate", "percent", "pct", "share", "visits", "clicks", "logins", "anzahl",
    "menge", "stueck", "nombre", "cantidad", "quantita", "aantal", "length", "size", "weight",
    "points", "units", "tage", "stunden", "code", "type",
];
/// Words of amounts that are parts of the total.
pub const NOT_THE_TOTAL: WordGroup = &[
    "net", "netto", "ht", "tax", "mwst", "vat", "steuer", "discount", "rabatt", "remise",
    "shipping", "versand", "fee", "gebuehr", "refunded", "refund", "captured", "fraction", "rate",
    "quantity", "count", "digits", "item", "lineitem", "line",
];
/// Words of what is known only after the order: a model that learned from it would see nothing of it when it matters.
pub const KNOWN_LATER: WordGroup = &[
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
pub const PERSON_NAME: WordGroup = &[
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
pub fn has_word(words: &[String], group: WordGroup) -> bool {
    words.iter().any(|word| group.contains(&word.as_str()))
}
