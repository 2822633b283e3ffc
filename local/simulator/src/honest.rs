//! The orders of honest people, also those that look unusual.

use super::calendar;
use super::customers::{self, AccountRegister, Lifestyle, Shopper};
use super::order::{
    DAY, HOUR, MINUTE, OrderAmount, OrderClient, OrderCustomer, OrderItem, OrderPayment,
    PostalAddress, Seconds, ShopOrder,
};
use super::random::{QuantileCurve, RandomStream};
use super::truth::{Draft, FraudPattern};
use super::world::{self, COUNTRIES, GIFT_CARDS, ShopWorld};

/// The shop's customers. Who has more tickets is more likely to order next.
pub(super) struct Crowd {
    pub(super) people: Vec<Shopper>,
    tickets: Vec<usize>,
}

/// How many customers the shop has on its first day, as a share of the orders that it will get.
const CUSTOMERS_PER_ORDER: (u64, u64) = (1, 5);

impl Crowd {
    /// The customers of the first day of a shop that will get `orders`.
    pub(super) fn new(
        world: &ShopWorld,
        chance: &mut RandomStream,
        register: &mut AccountRegister,
        first: Seconds,
        orders: u64,
    ) -> Self {
        let mut crowd = Self {
            people: Vec::new(),
            tickets: Vec::new(),
        };
        let (customers, per) = CUSTOMERS_PER_ORDER;
        for _ in 0..(orders * customers / per).max(20) {
            let mut person = customers::create_shopper(world, chance);
            let age = customers::choose_old_account_age(chance);
            customers::open_account(&mut person, register, chance, first, age);
            crowd.join(person, false, chance);
        }
        crowd
    }

    fn join(&mut self, person: Shopper, guest: bool, chance: &mut RandomStream) -> usize {
        let place = self.people.len();
        // Guests rarely come back.
        let tickets = if guest {
            1
        } else {
            customers::choose_ticket_count(chance, person.kind)
        };
        self.tickets.extend(std::iter::repeat_n(place, tickets));
        self.people.push(person);
        place
    }

    /// The place of who orders next: a guest, a new customer, or a known one; and whether it is a new
    /// customer.
    fn choose_next_customer(
        &mut self,
        world: &ShopWorld,
        chance: &mut RandomStream,
    ) -> (usize, bool) {
        match chance.below(100) {
            0..13 => (
                self.join(customers::create_shopper(world, chance), true, chance),
                false,
            ),
            13..30 => (
                self.join(customers::create_shopper(world, chance), false, chance),
                true,
            ),
            _ => (*chance.pick(&self.tickets), false),
        }
    }
}

/// The honest orders of each day.
pub(super) fn place_honest_orders(
    world: &ShopWorld,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    crowd: &mut Crowd,
    days: &[(Seconds, u64)],
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for &(day, share) in days {
        for _ in 0..share {
            let (place, new) = crowd.choose_next_customer(world, chance);
            let person = &mut crowd.people[place];
            let offset = COUNTRIES[person.country].offset;
            let moment = calendar::choose_time(chance, day, offset, person.rhythm);
            if new {
                let age = customers::choose_new_account_age(chance);
                customers::open_account(person, register, chance, moment, age);
            }
            // An account cannot order before it was opened.
            let at = moment.max(person.signed_up + MINUTE).min(day + DAY - 1);
            drafts.push(place_honest_order(world, chance, person, at));
        }
    }
    drafts
}

/// One honest order of a person, sometimes an unusual one.
pub(super) fn place_honest_order(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &mut Shopper,
    at: Seconds,
) -> Draft {
    let new = person.id.is_some() && at - person.signed_up < DAY;
    let mut order = create_ordinary_order(world, chance, person, at);
    let why = match person.kind {
        Lifestyle::Company => order_in_bulk(chance, &mut order),
        Lifestyle::Expatriate => {
            order.shipping = world::choose_forwarder_address(chance, &person.name);
            "lives abroad and uses a freight forwarder"
        }
        Lifestyle::Student => "shares an address with a hall of residence",
        Lifestyle::Private => "hides behind a privacy service",
        Lifestyle::Ordinary => make_unusual(world, chance, person, &mut order),
    };
    order.add_up();
    let why = match why {
        "" if new => "first order of a new customer",
        "" if person.id.is_none() => "guest",
        "" => "as usual",
        why => why,
    };
    Draft {
        order,
        country: person.country,
        pattern: FraudPattern::Honest,
        why,
    }
}

/// An order as the person usually orders.
pub(super) fn create_ordinary_order(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    at: Seconds,
) -> ShopOrder {
    let country = &COUNTRIES[person.country];
    let guest = person.id.is_none();
    ShopOrder {
        id: String::new(),
        revision: None,
        at,
        customer: OrderCustomer {
            id: person.id.clone(),
            email: person.email.clone(),
            phone: person.phone.clone(),
            signed_up: (!guest).then_some(person.signed_up),
            address_changed: person
                .address_changed
                .filter(|&changed| !guest && changed < at),
        },
        client: choose_client(chance, person),
        billing: person.home.clone(),
        shipping: person.home.clone(),
        payment: choose_payment(chance, person, country.currency),
        items: fill_basket(world, chance, person),
        total: OrderAmount {
            minor: 0,
            decimals: country.decimals,
        },
    }
}

/// Where the order comes from. Connections get new IP addresses and people clear their cookies, so
/// an unknown address or device is not unusual.
fn choose_client(chance: &mut RandomStream, person: &Shopper) -> OrderClient {
    let renumbered = person.kind != Lifestyle::Private && chance.permille(300);
    let cleared = person.device.is_some() && chance.permille(330);
    OrderClient {
        ip: if renumbered {
            world::choose_home_ip(chance, person.country)
        } else {
            person.ip.clone()
        },
        user_agent: person.agent.to_owned(),
        device_id: if cleared {
            Some(chance.hex(16))
        } else {
            person.device.clone()
        },
    }
}

/// How a person pays. Only cards have an address check, and few banks abroad answer it.
fn choose_payment(
    chance: &mut RandomStream,
    person: &Shopper,
    currency: &'static str,
) -> OrderPayment {
    let card = (person.pays == "card")
        .then(|| person.cards.first().cloned())
        .flatten();
    let avs = card.as_ref().map(|_| choose_avs(chance, person.country));
    let attempts = chance.weighted(&[(1, 880), (2, 85), (3, 24), (4, 7), (5, 3), (6, 1)]);
    let attempts = if person.pays == "invoice" {
        1
    } else {
        attempts
    };
    OrderPayment {
        method: person.pays,
        card,
        currency,
        avs,
        attempts,
    }
}

/// The bank's answer to an honest address.
pub(super) fn choose_avs(chance: &mut RandomStream, country: usize) -> &'static str {
    match COUNTRIES[country].code {
        "US" | "CA" | "GB" => {
            chance.weighted(&[("Y", 800), ("A", 50), ("Z", 60), ("N", 50), ("U", 40)])
        }
        _ => chance.weighted(&[("G", 450), ("U", 350), ("Y", 160), ("N", 40)]),
    }
}

const LINES: &[(usize, u64)] = &[(1, 58), (2, 24), (3, 11), (4, 5), (5, 2)];
const SPEND: &QuantileCurve = &[
    (0, 400),
    (500, 3_200),
    (800, 10_000),
    (950, 34_000),
    (1000, 95_000),
];

/// One to five goods, mostly from the shelves that the person buys from most.
fn fill_basket(world: &ShopWorld, chance: &mut RandomStream, person: &Shopper) -> Vec<OrderItem> {
    let lines = chance.weighted(LINES);
    let mut items: Vec<OrderItem> = Vec::new();
    for _ in 0..lines {
        let shelf = if chance.permille(700) {
            *chance.pick(&person.shelves)
        } else {
            customers::choose_shelf(chance)
        };
        let cents = chance.curve(SPEND) * person.purse / 1000;
        let mut item = if shelf == GIFT_CARDS && chance.permille(700) {
            world::choose_gift_card(
                chance,
                person.country,
                &[10, 15, 20, 25, 50, 50, 75, 100, 150, 200],
            )
        } else {
            world.choose_good(chance, shelf, person.country, cents)
        };
        item.quantity = chance.weighted(&[(1, 86), (2, 10), (3, 3), (4, 1)]);
        if items.iter().all(|other| other.sku != item.sku) {
            items.push(item);
        }
    }
    items
}

/// A company's order: dozens of one thing.
fn order_in_bulk(chance: &mut RandomStream, order: &mut ShopOrder) -> &'static str {
    if chance.permille(450) {
        return "company order";
    }
    order.items.truncate(2);
    for item in &mut order.items {
        item.quantity = chance.between(4, 40);
    }
    "company order in bulk"
}

/// Makes an order unusual in a way that is also typical of fraud; returns why, or nothing.
fn make_unusual(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &mut Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    let why = match chance.below(1000) {
        0..95 => send_gift(chance, person, order),
        95..107 => send_gift_abroad(chance, order, &person.name),
        107..130 => order_while_travelling(chance, person, order),
        130..170 => send_to_work(person, order),
        170..195 => pay_with_family_card(world, chance, person, order),
        195..235 => change_device(chance, person, order),
        235..275 => move_house(chance, person, order),
        275..295 => pay_with_other_card(world, chance, person, order),
        295..323 => buy_expensive_good(world, chance, person, order),
        323..348 => buy_cheap_good(world, chance, person, order),
        348..363 => collect_at_parcel_shop(chance, person, order),
        363..370 => {
            order.shipping = world::choose_forwarder_address(chance, &person.name);
            "has a friend abroad collect at a forwarder"
        }
        _ => "",
    };
    if !why.is_empty() && chance.permille(60) {
        // Unusual orders are often unusual in a second way.
        order.client.ip = world::choose_hosted_ip(chance);
    }
    why
}

/// Another person's name and address.
pub(super) fn choose_stranger_address(chance: &mut RandomStream, country: usize) -> PostalAddress {
    let name = format!(
        "{} {}",
        chance.pick(world::FIRST_NAMES),
        chance.pick(world::LAST_NAMES)
    );
    world::choose_address(chance, country, &name)
}

fn send_gift(chance: &mut RandomStream, person: &Shopper, order: &mut ShopOrder) -> &'static str {
    order.shipping = choose_stranger_address(chance, person.country);
    "gift to another address"
}

fn send_gift_abroad(chance: &mut RandomStream, order: &mut ShopOrder, name: &str) -> &'static str {
    let country = chance.index(COUNTRIES.len());
    order.shipping = choose_stranger_address(chance, country);
    if chance.permille(400) {
        name.clone_into(&mut order.shipping.name);
    }
    "gift to another country"
}

fn order_while_travelling(
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    let country = chance.index(COUNTRIES.len());
    order.client.ip = if chance.permille(250) {
        world::choose_hosted_ip(chance)
    } else {
        world::choose_home_ip(chance, country)
    };
    if chance.permille(400) {
        order.shipping = world::choose_address(chance, country, &person.name);
    }
    "orders while travelling"
}

fn send_to_work(person: &Shopper, order: &mut ShopOrder) -> &'static str {
    match &person.work {
        Some(work) => {
            order.shipping = work.clone();
            "has it sent to work"
        }
        None => "",
    }
}

fn pay_with_family_card(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    let last = person.name.split(' ').next_back().unwrap_or_default();
    order.billing.name = format!("{} {last}", chance.pick(world::FIRST_NAMES));
    order.payment.method = "card";
    order.payment.card = Some(world.issue_card(chance, person.country));
    order.payment.avs = Some(choose_avs(chance, person.country));
    "pays with a card of the family"
}

fn change_device(
    chance: &mut RandomStream,
    person: &mut Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    person.device = Some(chance.hex(16));
    person.agent = chance.weighted(world::USER_AGENTS);
    order.client.device_id.clone_from(&person.device);
    person.agent.clone_into(&mut order.client.user_agent);
    if chance.permille(400) {
        person.phone = customers::choose_phone(chance, person.country);
        order.customer.phone.clone_from(&person.phone);
    }
    "new phone"
}

/// Moves house: the delivery address changes before the bank knows of it.
fn move_house(
    chance: &mut RandomStream,
    person: &mut Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    if person.id.is_none() || order.at - person.signed_up < 10 * DAY {
        return "";
    }
    let changed = order.at - choose_recent_span(chance);
    person.address_changed = Some(changed);
    order.customer.address_changed = Some(changed);
    let home = world::choose_address(chance, person.country, &person.name);
    order.shipping = home.clone();
    if chance.permille(450) {
        order.billing = home.clone();
    } else if order.payment.avs.is_some() && chance.permille(300) {
        order.payment.avs = Some("N");
    }
    person.home = home;
    "moved house"
}

/// A recent time, minutes to days ago, in seconds.
pub(super) fn choose_recent_span(chance: &mut RandomStream) -> Seconds {
    match chance.below(10) {
        0..4 => chance.between(2 * MINUTE, 50 * MINUTE),
        4..7 => chance.between(HOUR, 20 * HOUR),
        _ => chance.between(DAY, 6 * DAY),
    }
}

fn pay_with_other_card(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    order.payment.method = "card";
    order.payment.card = person
        .cards
        .last()
        .cloned()
        .or_else(|| Some(world.issue_card(chance, person.country)));
    order.payment.avs = Some(choose_avs(chance, person.country));
    order.payment.attempts = chance.weighted(&[(1, 3), (2, 4), (3, 2), (4, 1)]);
    "first card was declined"
}

fn buy_expensive_good(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    let shelf = chance.weighted(&[(world::ELECTRONICS, 7), (world::FASHION, 3)]);
    let cents = chance.between(12_000, 100_000);
    order.items = vec![world.choose_good(chance, shelf, person.country, cents)];
    if chance.permille(150) {
        order.shipping = choose_stranger_address(chance, person.country);
    }
    "treats themselves"
}

fn buy_cheap_good(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    order.items = vec![world.choose_good(chance, world::DIGITAL, person.country, 500)];
    "buys one small digital good"
}

fn collect_at_parcel_shop(
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
) -> &'static str {
    let number = chance.between(1, 40);
    let mut shop = world::choose_address(chance, person.country, &person.name);
    shop.address = format!("Parcel Shop {number}");
    order.shipping = shop;
    "collects at a parcel shop"
}
