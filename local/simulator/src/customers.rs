//! The people who order, and their habits.

use super::calendar::Rhythm;
use super::order::{Card, DAY, HOUR, MINUTE, Place, Seconds};
use super::random::Chance;
use super::world::{self, COUNTRIES, DISPOSABLE_DOMAINS, FIRST_NAMES, LAST_NAMES, SHELVES, World};

/// Somebody who orders, honest or not.
#[derive(Clone)]
pub(super) struct Person {
    /// Absent for a guest.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: Option<String>,
    pub(super) signed_up: Seconds,
    pub(super) address_changed: Option<Seconds>,
    pub(super) country: usize,
    pub(super) home: Place,
    pub(super) work: Option<Place>,
    pub(super) cards: Vec<Card>,
    pub(super) pays: &'static str,
    pub(super) ip: String,
    pub(super) device: Option<String>,
    pub(super) agent: &'static str,
    pub(super) rhythm: Rhythm,
    pub(super) kind: Kind,
    /// The two shelves that this person buys from most.
    pub(super) shelves: [usize; 2],
    /// How much this person spends, in permille of an average customer.
    pub(super) purse: i64,
}

/// A way of life that can be seen in the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    /// Buys for an office: many of a kind, on invoice.
    Company,
    /// Lives abroad and has everything sent to a freight forwarder.
    Expatriate,
    /// Shares an address and an internet connection with hundreds.
    Student,
    /// Uses a privacy service.
    Private,
}

/// Gives each account a unique number that does not tell when it was opened.
pub(super) struct Register {
    accounts: u64,
}

impl Register {
    pub(super) fn new() -> Self {
        Self { accounts: 0 }
    }

    pub(super) fn open(&mut self) -> String {
        self.accounts += 1;
        // The modulus is prime: the numbers of the first million accounts differ.
        format!("cust-{}", self.accounts * 611_953 % 999_983)
    }
}

/// A new person, without an account yet.
pub(super) fn person(world: &World, chance: &mut Chance) -> Person {
    let weights: Vec<(usize, u64)> = COUNTRIES
        .iter()
        .enumerate()
        .map(|(i, c)| (i, c.weight))
        .collect();
    let country = chance.weighted(&weights);
    let kind = chance.weighted(&[
        (Kind::Ordinary, 925),
        (Kind::Company, 12),
        (Kind::Expatriate, 9),
        (Kind::Student, 24),
        (Kind::Private, 30),
    ]);
    let (first, last) = (*chance.pick(FIRST_NAMES), *chance.pick(LAST_NAMES));
    let name = format!("{first} {last}");
    let home = home(chance, country, kind, &name);
    Person {
        id: None,
        email: email(chance, first, last, kind),
        phone: phone(chance, country),
        signed_up: 0,
        address_changed: None,
        work: chance
            .permille(300)
            .then(|| world::address(chance, country, &name)),
        cards: (0..chance.weighted(&[(1, 60), (2, 32), (3, 8)]))
            .map(|_| world.card(chance, country))
            .collect(),
        pays: pays(chance, kind),
        ip: ip(chance, country, kind),
        device: chance.permille(930).then(|| chance.hex(16)),
        agent: chance.weighted(world::USER_AGENTS),
        rhythm: rhythm(chance, kind),
        shelves: [shelf(chance), shelf(chance)],
        purse: chance.curve(&[(0, 250), (500, 850), (850, 1_700), (1000, 4_000)]),
        name,
        country,
        home,
        kind,
    }
}

/// Opens an account `before` seconds before `now`; some customers have moved since.
pub(super) fn register(
    person: &mut Person,
    register: &mut Register,
    chance: &mut Chance,
    now: Seconds,
    before: Seconds,
) {
    person.id = Some(register.open());
    person.signed_up = now - before;
    if before > 60 * DAY && chance.permille(330) {
        person.address_changed = Some(now - chance.between(DAY, before));
    }
}

/// How long ago the customers of the first day opened their accounts.
pub(super) fn old_account(chance: &mut Chance) -> Seconds {
    chance.curve(&[(0, 2), (300, 120), (700, 500), (1000, 1_600)]) * DAY + chance.between(0, DAY)
}

/// How long before the first order a new customer opens the account: mostly in the same visit.
pub(super) fn young_account(chance: &mut Chance) -> Seconds {
    match chance.below(100) {
        0..66 => chance.between(MINUTE, 25 * MINUTE),
        66..80 => chance.between(25 * MINUTE, 20 * HOUR),
        _ => chance.between(DAY, 45 * DAY),
    }
}

/// How likely a person is to order again, as a number of tickets: a few people order much more than
/// others.
pub(super) fn tickets(chance: &mut Chance, kind: Kind) -> usize {
    let tickets = chance.curve(&[(0, 1), (500, 4), (850, 12), (1000, 45)]);
    let tickets = usize::try_from(tickets).unwrap_or(1);
    if kind == Kind::Company {
        tickets * 2
    } else {
        tickets
    }
}

fn home(chance: &mut Chance, country: usize, kind: Kind, name: &str) -> Place {
    let mut home = world::address(chance, country, name);
    if kind == Kind::Student {
        let hall = chance.between(1, 3);
        home.address = format!("{hall} College Sq Room {}", chance.between(1, 420));
        home.postal_code = world::digits(chance, &home.postal_code);
    }
    home
}

/// An e-mail address that people make of their name.
pub(super) fn email(chance: &mut Chance, first: &str, last: &str, kind: Kind) -> String {
    let local = match chance.below(10) {
        0..4 => format!("{first}.{last}"),
        4..6 => format!("{first}{last}{}", chance.between(1, 99)),
        6..8 => format!(
            "{}{last}{}",
            first.chars().next().unwrap_or('x'),
            chance.between(1960, 2008)
        ),
        8 => format!("{last}_{first}{}", chance.between(1, 9999)),
        _ => format!(
            "{}{}",
            chance.pick(&["shopper", "mail", "orders", "family", "hello"]),
            chance.between(10, 99_999)
        ),
    };
    let domain = match kind {
        Kind::Company => chance.weighted(&[("office.example", 5), ("company.example", 5)]),
        Kind::Private if chance.permille(150) => *chance.pick(DISPOSABLE_DOMAINS),
        _ => chance.weighted(world::MAIL_DOMAINS),
    };
    format!("{}@{domain}", local.to_lowercase())
}

/// A phone number, mostly in international form; some people leave it out.
pub(super) fn phone(chance: &mut Chance, country: usize) -> Option<String> {
    let number = world::digits(chance, COUNTRIES[country].phone);
    match chance.below(100) {
        0..9 => None,
        9..12 => Some(number.replacen('+', "00", 1)),
        _ => Some(number),
    }
}

fn pays(chance: &mut Chance, kind: Kind) -> &'static str {
    match kind {
        Kind::Company => chance.weighted(&[("invoice", 6), ("card", 4)]),
        _ => chance.weighted(&[
            ("card", 70),
            ("wallet", 23),
            ("invoice", 4),
            ("bank_transfer", 3),
        ]),
    }
}

fn ip(chance: &mut Chance, country: usize, kind: Kind) -> String {
    match kind {
        Kind::Private => world::hosted_ip(chance),
        Kind::Expatriate => {
            let abroad = chance.index(COUNTRIES.len());
            world::home_ip(chance, abroad)
        }
        _ => world::home_ip(chance, country),
    }
}

fn rhythm(chance: &mut Chance, kind: Kind) -> Rhythm {
    match kind {
        Kind::Company => Rhythm::Office,
        _ => chance.weighted(&[
            (Rhythm::Evening, 76),
            (Rhythm::Office, 14),
            (Rhythm::Night, 10),
        ]),
    }
}

pub(super) fn shelf(chance: &mut Chance) -> usize {
    let weights: Vec<(usize, u64)> = SHELVES
        .iter()
        .enumerate()
        .map(|(i, s)| (i, s.weight))
        .collect();
    chance.weighted(&weights)
}
