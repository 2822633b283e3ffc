//! The people who order, and their habits.

use super::calendar::Rhythm;
use super::order::{DAY, HOUR, MINUTE, PaymentCard, PostalAddress, Seconds};
use super::random::RandomStream;
use super::world::{
    self, COUNTRIES, DISPOSABLE_DOMAINS, FIRST_NAMES, LAST_NAMES, SHELVES, ShopWorld,
};

/// Somebody who orders, honest or not.
#[derive(Clone)]
pub(super) struct Shopper {
    /// Absent for a guest.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: Option<String>,
    pub(super) signed_up: Seconds,
    pub(super) address_changed: Option<Seconds>,
    pub(super) country: usize,
    pub(super) home: PostalAddress,
    pub(super) work: Option<PostalAddress>,
    pub(super) cards: Vec<PaymentCard>,
    pub(super) pays: &'static str,
    pub(super) ip: String,
    pub(super) device: Option<String>,
    pub(super) agent: &'static str,
    pub(super) rhythm: Rhythm,
    pub(super) kind: Lifestyle,
    /// The two shelves that this person buys from most.
    pub(super) shelves: [usize; 2],
    /// How much this person spends, in permille of an average customer.
    pub(super) purse: i64,
}

/// A way of life that can be seen in the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifestyle {
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
pub(super) struct AccountRegister {
    accounts: u64,
}

impl AccountRegister {
    pub(super) fn new() -> Self {
        Self { accounts: 0 }
    }

    pub(super) fn next_account_id(&mut self) -> String {
        self.accounts += 1;
        // The modulus is prime: the numbers of the first million accounts differ.
        format!("cust-{}", self.accounts * 611_953 % 999_983)
    }
}

/// A new person, without an account yet.
pub(super) fn create_shopper(world: &ShopWorld, chance: &mut RandomStream) -> Shopper {
    let weights: Vec<(usize, u64)> = COUNTRIES
        .iter()
        .enumerate()
        .map(|(i, c)| (i, c.weight))
        .collect();
    let country = chance.weighted(&weights);
    let kind = chance.weighted(&[
        (Lifestyle::Ordinary, 925),
        (Lifestyle::Company, 12),
        (Lifestyle::Expatriate, 9),
        (Lifestyle::Student, 24),
        (Lifestyle::Private, 30),
    ]);
    let (first, last) = (*chance.pick(FIRST_NAMES), *chance.pick(LAST_NAMES));
    let name = format!("{first} {last}");
    let home = choose_home(chance, country, kind, &name);
    Shopper {
        id: None,
        email: choose_email(chance, first, last, kind),
        phone: choose_phone(chance, country),
        signed_up: 0,
        address_changed: None,
        work: chance
            .permille(300)
            .then(|| world::choose_address(chance, country, &name)),
        cards: (0..chance.weighted(&[(1, 60), (2, 32), (3, 8)]))
            .map(|_| world.issue_card(chance, country))
            .collect(),
        pays: choose_payment_method(chance, kind),
        ip: choose_ip(chance, country, kind),
        device: chance.permille(930).then(|| chance.hex(16)),
        agent: chance.weighted(world::USER_AGENTS),
        rhythm: choose_rhythm(chance, kind),
        shelves: [choose_shelf(chance), choose_shelf(chance)],
        purse: chance.curve(&[(0, 250), (500, 850), (850, 1_700), (1000, 4_000)]),
        name,
        country,
        home,
        kind,
    }
}

/// Opens an account `before` seconds before `now`; some customers have moved since.
pub(super) fn open_account(
    person: &mut Shopper,
    register: &mut AccountRegister,
    chance: &mut RandomStream,
    now: Seconds,
    before: Seconds,
) {
    person.id = Some(register.next_account_id());
    person.signed_up = now - before;
    if before > 60 * DAY && chance.permille(330) {
        person.address_changed = Some(now - chance.between(DAY, before));
    }
}

/// How long ago the customers of the first day opened their accounts.
pub(super) fn choose_old_account_age(chance: &mut RandomStream) -> Seconds {
    chance.curve(&[(0, 2), (300, 120), (700, 500), (1000, 1_600)]) * DAY + chance.between(0, DAY)
}

/// How long before the first order a new customer opens the account: mostly in the same visit.
pub(super) fn choose_new_account_age(chance: &mut RandomStream) -> Seconds {
    match chance.below(100) {
        0..66 => chance.between(MINUTE, 25 * MINUTE),
        66..80 => chance.between(25 * MINUTE, 20 * HOUR),
        _ => chance.between(DAY, 45 * DAY),
    }
}

/// How likely a person is to order again, as a number of tickets: a few people order much more than
/// others.
pub(super) fn choose_ticket_count(chance: &mut RandomStream, kind: Lifestyle) -> usize {
    let tickets = chance.curve(&[(0, 1), (500, 4), (850, 12), (1000, 45)]);
    let tickets = usize::try_from(tickets).unwrap_or(1);
    if kind == Lifestyle::Company {
        tickets * 2
    } else {
        tickets
    }
}

fn choose_home(
    chance: &mut RandomStream,
    country: usize,
    kind: Lifestyle,
    name: &str,
) -> PostalAddress {
    let mut home = world::choose_address(chance, country, name);
    if kind == Lifestyle::Student {
        let hall = chance.between(1, 3);
        home.address = format!("{hall} College Sq Room {}", chance.between(1, 420));
        home.postal_code = world::fill_digits(chance, &home.postal_code);
    }
    home
}

/// An e-mail address that people make of their name.
pub(super) fn choose_email(
    chance: &mut RandomStream,
    first: &str,
    last: &str,
    kind: Lifestyle,
) -> String {
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
        Lifestyle::Company => chance.weighted(&[("office.example", 5), ("company.example", 5)]),
        Lifestyle::Private if chance.permille(150) => *chance.pick(DISPOSABLE_DOMAINS),
        _ => chance.weighted(world::MAIL_DOMAINS),
    };
    format!("{}@{domain}", local.to_lowercase())
}

/// A phone number, mostly in international form; some people leave it out.
pub(super) fn choose_phone(chance: &mut RandomStream, country: usize) -> Option<String> {
    let number = world::fill_digits(chance, COUNTRIES[country].phone);
    match chance.below(100) {
        0..9 => None,
        9..12 => Some(number.replacen('+', "00", 1)),
        _ => Some(number),
    }
}

fn choose_payment_method(chance: &mut RandomStream, kind: Lifestyle) -> &'static str {
    match kind {
        Lifestyle::Company => chance.weighted(&[("invoice", 6), ("card", 4)]),
        _ => chance.weighted(&[
            ("card", 70),
            ("wallet", 23),
            ("invoice", 4),
            ("bank_transfer", 3),
        ]),
    }
}

fn choose_ip(chance: &mut RandomStream, country: usize, kind: Lifestyle) -> String {
    match kind {
        Lifestyle::Private => world::choose_hosted_ip(chance),
        Lifestyle::Expatriate => {
            let abroad = chance.index(COUNTRIES.len());
            world::choose_home_ip(chance, abroad)
        }
        _ => world::choose_home_ip(chance, country),
    }
}

fn choose_rhythm(chance: &mut RandomStream, kind: Lifestyle) -> Rhythm {
    match kind {
        Lifestyle::Company => Rhythm::Office,
        _ => chance.weighted(&[
            (Rhythm::Evening, 76),
            (Rhythm::Office, 14),
            (Rhythm::Night, 10),
        ]),
    }
}

pub(super) fn choose_shelf(chance: &mut RandomStream) -> usize {
    let weights: Vec<(usize, u64)> = SHELVES
        .iter()
        .enumerate()
        .map(|(i, s)| (i, s.weight))
        .collect();
    chance.weighted(&weights)
}
