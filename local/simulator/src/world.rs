//! What exists before the first order: countries, streets, goods, networks, browsers.
//!
//! Networks, phone numbers and mail domains come from the ranges reserved for documentation,
//! benchmarks and fiction, so no record can point at anyone.

use super::order::{OrderAmount, OrderItem, PaymentCard, PostalAddress};
use super::random::{QuantileCurve, RandomStream};

/// A country the shop delivers to.
pub(super) struct Country {
    pub(super) code: &'static str,
    pub(super) currency: &'static str,
    /// Digits behind the point in its prices.
    pub(super) decimals: u8,
    /// What 1,000 units of the currency are worth, in US dollars.
    pub(super) dollars_for_1000: i64,
    /// Average hours from UTC; there is no summer time.
    pub(super) offset: i64,
    /// City, state, first digits of the postal code, and what stands behind them.
    pub(super) cities: &'static [City],
    pub(super) phone: &'static str,
    /// The share of all customers who live there, in permille.
    pub(super) weight: u64,
}

/// City, state or province, and a postal code in which `#` is any digit.
pub(super) type City = (&'static str, Option<&'static str>, &'static str);

pub(super) const UNITED_STATES: usize = 0;

pub(super) const COUNTRIES: &[Country] = &[
    Country {
        code: "US",
        currency: "USD",
        decimals: 2,
        dollars_for_1000: 1000,
        offset: -6,
        cities: &[
            ("Reno", Some("NV"), "895##"),
            ("Portland", Some("OR"), "972##"),
            ("Austin", Some("TX"), "787##"),
            ("Columbus", Some("OH"), "432##"),
            ("Miami", Some("FL"), "331##"),
            ("Newark", Some("NJ"), "071##"),
            ("Denver", Some("CO"), "802##"),
            ("Wilmington", Some("DE"), "198##"),
            ("Chicago", Some("IL"), "606##"),
            ("Fresno", Some("CA"), "937##"),
            ("Atlanta", Some("GA"), "303##"),
            ("Boise", Some("ID"), "837##"),
        ],
        phone: "+141555501##",
        weight: 560,
    },
    Country {
        code: "GB",
        currency: "GBP",
        decimals: 2,
        dollars_for_1000: 1280,
        offset: 0,
        cities: &[
            ("London", None, "E1# 4AB"),
            ("Leeds", None, "LS1# 2CD"),
            ("Bristol", None, "BS1# 6EF"),
            ("Glasgow", None, "G1# 3GH"),
        ],
        phone: "+447700900###",
        weight: 130,
    },
    Country {
        code: "CA",
        currency: "CAD",
        decimals: 2,
        dollars_for_1000: 730,
        offset: -5,
        cities: &[
            ("Toronto", Some("ON"), "M5V #A#"),
            ("Calgary", Some("AB"), "T2P #B#"),
            ("Montreal", Some("QC"), "H3B #C#"),
        ],
        phone: "+161355501##",
        weight: 90,
    },
    Country {
        code: "DE",
        currency: "EUR",
        decimals: 2,
        dollars_for_1000: 1090,
        offset: 1,
        cities: &[
            ("Berlin", None, "101##"),
            ("Hamburg", None, "203##"),
            ("Leipzig", None, "041##"),
        ],
        phone: "+493023125###",
        weight: 90,
    },
    Country {
        code: "FR",
        currency: "EUR",
        decimals: 2,
        dollars_for_1000: 1090,
        offset: 1,
        cities: &[
            ("Lyon", None, "690##"),
            ("Lille", None, "590##"),
            ("Nantes", None, "440##"),
        ],
        phone: "+3319900####",
        weight: 60,
    },
    Country {
        code: "JP",
        currency: "JPY",
        decimals: 0,
        dollars_for_1000: 7,
        offset: 9,
        cities: &[("Osaka", None, "530-00##"), ("Sapporo", None, "060-00##")],
        phone: "+81355501###",
        weight: 40,
    },
    Country {
        code: "AU",
        currency: "AUD",
        decimals: 2,
        dollars_for_1000: 660,
        offset: 10,
        cities: &[
            ("Perth", Some("WA"), "60##"),
            ("Brisbane", Some("QLD"), "40##"),
        ],
        phone: "+61491570###",
        weight: 30,
    },
];

/// Warehouses that send parcels on: street, city, state, postal code. Expatriates use them, and so do
/// reshippers.
pub(super) const FORWARDERS: &[(&str, &str, &str, &str)] = &[
    ("1200 Airport Rd Unit", "Wilmington", "DE", "19801"),
    ("88 Logistics Way Suite", "Miami", "FL", "33192"),
    ("4283 Express Ln Suite", "Fresno", "CA", "93730"),
    ("17 Cargo Park Dr Unit", "Portland", "OR", "97218"),
    ("505 Gateway Blvd Box", "Newark", "NJ", "07114"),
    ("2 Harbour Freight Ct Unit", "Columbus", "OH", "43217"),
];

/// A shelf of the shop: its name, the letters of its SKUs, what its goods cost in US cents.
pub(super) struct Shelf {
    pub(super) category: &'static str,
    letters: &'static str,
    cents: &'static QuantileCurve,
    /// How often honest customers go there.
    pub(super) weight: u64,
}

pub(super) const ELECTRONICS: usize = 0;
pub(super) const GIFT_CARDS: usize = 1;
pub(super) const DIGITAL: usize = 2;
pub(super) const FASHION: usize = 3;
pub(super) const BEAUTY: usize = 5;
pub(super) const BOOKS: usize = 6;
pub(super) const SPORTS: usize = 8;

pub(super) const SHELVES: &[Shelf] = &[
    Shelf {
        category: "electronics",
        letters: "EL",
        cents: &[
            (0, 1_500),
            (400, 6_000),
            (700, 19_000),
            (900, 52_000),
            (1000, 110_000),
        ],
        weight: 170,
    },
    Shelf {
        category: "gift_cards",
        letters: "GC",
        cents: &[
            (0, 1_000),
            (400, 2_500),
            (700, 5_000),
            (900, 10_000),
            (1000, 20_000),
        ],
        weight: 70,
    },
    Shelf {
        category: "digital",
        letters: "DG",
        cents: &[(0, 199), (500, 899), (800, 1_999), (1000, 5_999)],
        weight: 120,
    },
    Shelf {
        category: "fashion",
        letters: "FA",
        cents: &[(0, 900), (500, 3_900), (850, 12_000), (1000, 42_000)],
        weight: 180,
    },
    Shelf {
        category: "home",
        letters: "HO",
        cents: &[(0, 600), (500, 3_400), (850, 14_000), (1000, 60_000)],
        weight: 160,
    },
    Shelf {
        category: "beauty",
        letters: "BE",
        cents: &[(0, 500), (500, 1_900), (900, 7_000), (1000, 18_000)],
        weight: 90,
    },
    Shelf {
        category: "books",
        letters: "BO",
        cents: &[(0, 500), (500, 1_500), (1000, 5_500)],
        weight: 100,
    },
    Shelf {
        category: "toys",
        letters: "TO",
        cents: &[(0, 700), (500, 2_400), (1000, 15_000)],
        weight: 60,
    },
    Shelf {
        category: "sports",
        letters: "SP",
        cents: &[(0, 900), (500, 4_500), (900, 22_000), (1000, 80_000)],
        weight: 50,
    },
];

const GOODS_PER_SHELF: usize = 60;

/// What the shop sells: a price in US cents for each good of each shelf.
pub(super) struct ShopWorld {
    prices: Vec<Vec<i64>>,
    /// The first six digits of the cards that each country's banks issue.
    bins: Vec<Vec<String>>,
}

impl ShopWorld {
    pub(super) fn new(chance: &mut RandomStream) -> Self {
        let mut stock = |shelf: &Shelf| {
            let draws = (0..GOODS_PER_SHELF).map(|_| chance.curve(shelf.cents));
            draws.map(|cents| cents / 100 * 100 + 99).collect()
        };
        let prices = SHELVES.iter().map(&mut stock).collect();
        let mut banks = |_| (0..14).map(|_| choose_card_prefix(chance)).collect();
        let bins = (0..COUNTRIES.len()).map(&mut banks).collect();
        Self { prices, bins }
    }

    /// One good of a shelf, priced in a country's currency: of a few random ones the nearest to
    /// `cents`.
    pub(super) fn choose_good(
        &self,
        chance: &mut RandomStream,
        shelf_at: usize,
        country: usize,
        cents: i64,
    ) -> OrderItem {
        let prices = &self.prices[shelf_at];
        let looks = (0..6).map(|_| chance.index(prices.len()));
        let good = looks
            .min_by_key(|&good| (prices[good] - cents).abs())
            .unwrap_or(0);
        OrderItem {
            sku: format!("{}-{good:03}", SHELVES[shelf_at].letters),
            category: SHELVES[shelf_at].category,
            quantity: 1,
            unit_price: convert_to_local_price(prices[good], country),
        }
    }

    /// A card of one of the country's banks; a few banks issue most of them.
    pub(super) fn issue_card(&self, chance: &mut RandomStream, country: usize) -> PaymentCard {
        let bins = &self.bins[country];
        let bank = chance.index(bins.len()).min(chance.index(bins.len()));
        PaymentCard {
            bin: bins[bank].clone(),
            fingerprint: chance.hex(10),
        }
    }
}

/// A gift card of a round value.
pub(super) fn choose_gift_card(
    chance: &mut RandomStream,
    country: usize,
    values: &[i64],
) -> OrderItem {
    let value = *chance.pick(values);
    let decimals = COUNTRIES[country].decimals;
    let minor = if decimals == 0 {
        value * 150
    } else {
        value * 100
    };
    OrderItem {
        sku: format!("{}-V{value}", SHELVES[GIFT_CARDS].letters),
        category: SHELVES[GIFT_CARDS].category,
        quantity: 1,
        unit_price: OrderAmount { minor, decimals },
    }
}

/// The first six digits of a card number: a scheme's first digit, the rest invented.
fn choose_card_prefix(chance: &mut RandomStream) -> String {
    let pattern = chance.weighted(&[("4#####", 5), ("5#####", 4), ("37####", 1)]);
    fill_digits(chance, pattern)
}

/// Replaces each `#` with a random digit.
pub(super) fn fill_digits(chance: &mut RandomStream, pattern: &str) -> String {
    let mut digit = |c| match c {
        '#' => char::from(*chance.pick(b"0123456789")),
        c => c,
    };
    pattern.chars().map(&mut digit).collect()
}

/// US cents as a price in a country's currency, with the usual last digits of prices there.
fn convert_to_local_price(cents: i64, country: usize) -> OrderAmount {
    let Country {
        dollars_for_1000,
        decimals,
        ..
    } = COUNTRIES[country];
    let minor = match decimals {
        0 => (cents * 10 / dollars_for_1000 / 10 * 10).max(100),
        _ if dollars_for_1000 == 1000 => cents,
        _ => cents * 1000 / dollars_for_1000 / 50 * 50 + 49,
    };
    OrderAmount { minor, decimals }
}

/// An amount in US cents, at the rates the sample mapping uses.
pub(super) fn convert_to_dollars(money: OrderAmount, country: usize) -> i64 {
    let rate = COUNTRIES[country].dollars_for_1000;
    match money.decimals {
        0 => money.minor * rate / 10,
        _ => money.minor * rate / 1000,
    }
}

const STREETS: &[&str] = &[
    "Main St",
    "Oak Ave",
    "Maple Dr",
    "Cedar Ln",
    "Park Rd",
    "Lake St",
    "Hill Rd",
    "River Rd",
    "Station Rd",
    "Church St",
    "Mill Ln",
    "Garden Way",
    "School St",
    "Market St",
    "Forest Ave",
];

/// An address in a city of the country.
pub(super) fn choose_address(
    chance: &mut RandomStream,
    country: usize,
    name: &str,
) -> PostalAddress {
    let (city, state, postal_code) = *chance.pick(COUNTRIES[country].cities);
    let mut street = format!("{} {}", chance.between(1, 420), chance.pick(STREETS));
    if chance.permille(250) {
        street.push_str(&write_unit(chance));
    }
    PostalAddress {
        name: name.to_owned(),
        address: street,
        city: city.to_owned(),
        state,
        postal_code: fill_digits(chance, postal_code),
        country: COUNTRIES[country].code,
    }
}

fn write_unit(chance: &mut RandomStream) -> String {
    let word = chance.weighted(&[(" Apt", 6), (" Unit", 3), (" #", 1)]);
    format!("{word} {}", chance.between(1, 60))
}

/// An address at a freight forwarder's warehouse.
pub(super) fn choose_forwarder_address(chance: &mut RandomStream, name: &str) -> PostalAddress {
    // Two warehouses have most of the trade.
    let warehouse = chance
        .index(FORWARDERS.len())
        .min(chance.index(FORWARDERS.len()));
    let (street, city, state, postal_code) = FORWARDERS[warehouse];
    PostalAddress {
        name: name.to_owned(),
        address: format!("{street} {}", chance.between(100, 999)),
        city: city.to_owned(),
        state: Some(state),
        postal_code: postal_code.to_owned(),
        country: "US",
    }
}

/// An IP address of a home or a phone.
pub(super) fn choose_home_ip(chance: &mut RandomStream, country: usize) -> String {
    let block = 36 * i64::try_from(country).unwrap_or(0);
    let host = chance.between(1, 254);
    match chance.below(10) {
        0..7 => {
            let half = chance.between(18, 19);
            format!("198.{half}.{}.{host}", block + chance.between(0, 35))
        }
        7..9 => {
            let carrier = 64 + block / 4 + chance.between(0, 8);
            format!("100.{carrier}.{}.{host}", chance.between(0, 255))
        }
        _ => format!(
            "2001:db8:{:x}:{:x}::{host:x}",
            block + 1,
            chance.between(1, 0xffff)
        ),
    }
}

/// An IP address of a rented server: used by privacy services and by frauds.
pub(super) fn choose_hosted_ip(chance: &mut RandomStream) -> String {
    let network = chance.pick(&["203.0.113", "198.51.100", "192.0.2"]);
    format!("{network}.{}", chance.between(1, 254))
}

/// Browsers and their share among honest customers.
pub(super) const USER_AGENTS: &[(&str, u64)] = &[
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
        250,
    ),
    (
        "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36",
        220,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
        220,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
        110,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0",
        60,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0",
        30,
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
        45,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Mobile Safari/537.36",
        40,
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/121.0.0.0 Safari/537.36",
        3,
    ),
    ("ShopApp/7.2 (iOS 18.4)", 22),
];

/// Browsers that frauds use more often than customers do: old, on servers, or headless.
pub(super) const FRAUD_AGENTS: &[(usize, u64)] =
    &[(1, 14), (2, 30), (4, 10), (5, 10), (6, 22), (7, 8), (8, 6)];

pub(super) const FIRST_NAMES: &[&str] = &[
    "Jo", "Sam", "Alex", "Robin", "Chris", "Pat", "Kim", "Lee", "Max", "Charlie", "Jamie", "Casey",
    "Morgan", "Taylor", "Jordan", "Riley", "Quinn", "Avery", "Drew", "Frankie", "Jess", "Ash",
];

pub(super) const LAST_NAMES: &[&str] = &[
    "Doe", "Smith", "Jones", "Brown", "Miller", "Martin", "Meyer", "Roe", "Green", "White",
    "Black", "King", "Hill", "Wood", "Baker", "Cook", "Mason", "Carter", "Fisher", "Porter",
    "Turner", "Clark",
];

/// Mail domains of honest people.
pub(super) const MAIL_DOMAINS: &[(&str, u64)] = &[
    ("example.com", 420),
    ("example.net", 210),
    ("example.org", 120),
    ("post.example", 130),
    ("webmail.example", 80),
    ("privatemail.example", 34),
    ("tenminutes.example", 4),
    ("burner.example", 2),
];

/// Domains of disposable e-mail addresses.
pub(super) const DISPOSABLE_DOMAINS: &[&str] =
    &["tenminutes.example", "burner.example", "trashbox.example"];

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, convert_to_dollars, convert_to_local_price};

    #[test]
    fn prices_survive_the_way_to_another_currency_and_back() {
        for (place, country) in COUNTRIES.iter().enumerate() {
            for cents in [999, 4_999, 129_999] {
                let back = convert_to_dollars(convert_to_local_price(cents, place), place);
                assert!(
                    (back - cents).abs() < 80,
                    "{}: {cents} {back}",
                    country.code
                );
            }
        }
    }
}
