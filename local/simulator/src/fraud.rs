//! The frauds, by pattern.
//!
//! Every fraud starts as an ordinary order and changes only what its pattern needs, so that no
//! single member of an order shows that it is a fraud.

use super::calendar::{self, Calendar, Rhythm};
use super::customers::{self, AccountRegister, Lifestyle, Shopper};
use super::honest::{self, Crowd};
use super::order::{DAY, HOUR, MINUTE, PostalAddress, Seconds, ShopOrder};
use super::random::RandomStream;
use super::truth::{Draft, FraudPattern};
use super::world::{
    self, BEAUTY, COUNTRIES, DIGITAL, DISPOSABLE_DOMAINS, ELECTRONICS, FASHION, SPORTS, ShopWorld,
    UNITED_STATES,
};

/// The shares of the patterns among the frauds of the history, in permille.
const BEFORE: &[(FraudPattern, u64)] = &[
    (FraudPattern::CardTesting, 230),
    (FraudPattern::StolenCards, 265),
    (FraudPattern::AccountTakeover, 190),
    (FraudPattern::Reshipper, 180),
    (FraudPattern::SlowRing, 135),
];

/// The shares among the frauds of the new orders; the last pattern is not in the history.
const AFTER: &[(FraudPattern, u64)] = &[
    (FraudPattern::CardTesting, 270),
    (FraudPattern::StolenCards, 190),
    (FraudPattern::AccountTakeover, 140),
    (FraudPattern::Reshipper, 140),
    (FraudPattern::SlowRing, 70),
    (FraudPattern::WalletDrain, 190),
];

/// What frauds need to know of the shop.
pub(super) struct FraudScene<'a> {
    pub(super) world: &'a ShopWorld,
    pub(super) crowd: &'a Crowd,
    pub(super) calendar: &'a Calendar,
}

/// `frauds` fraudulent orders over the days of the calendar.
pub(super) fn place_fraud_orders(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    ring: &mut RingTrail,
    frauds: u64,
    unseen: bool,
) -> Vec<Draft> {
    let shares = if unseen { AFTER } else { BEFORE };
    let mut drafts = Vec::new();
    let mut seen = 0;
    let mut given = 0;
    for &(pattern, permille) in shares {
        seen += permille;
        let due = (frauds * seen + 500) / 1000;
        let orders = due - given;
        place_pattern_orders(scene, chance, register, ring, pattern, orders, &mut drafts);
        given = due;
    }
    drafts
}

fn place_pattern_orders(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    ring: &mut RingTrail,
    pattern: FraudPattern,
    orders: u64,
    drafts: &mut Vec<Draft>,
) {
    match pattern {
        FraudPattern::CardTesting => place_card_tests(scene, chance, register, orders, drafts),
        FraudPattern::StolenCards => {
            drafts.extend((0..orders).map(|_| order_with_stolen_card(scene, chance, register)));
        }
        FraudPattern::AccountTakeover => {
            drafts.extend((0..orders).map(|_| order_from_taken_account(scene, chance, register)));
        }
        FraudPattern::Reshipper => {
            drafts.extend((0..orders).map(|_| order_for_reshipper(scene, chance, register)));
        }
        FraudPattern::WalletDrain => {
            drafts.extend((0..orders).map(|_| drain_wallet(scene, chance, register)));
        }
        FraudPattern::SlowRing => {
            place_slow_ring_orders(scene, chance, register, ring, orders, drafts);
        }
        FraudPattern::Honest => {}
    }
}

/// A person who commits fraud, with an e-mail address made for it.
fn create_thief(scene: &FraudScene, chance: &mut RandomStream) -> Shopper {
    let mut thief = customers::create_shopper(scene.world, chance);
    // Otherwise ordinary; what is unusual is chosen below.
    thief.kind = Lifestyle::Ordinary;
    thief.pays = "card";
    thief.home = world::choose_address(chance, thief.country, &thief.name);
    thief.ip = choose_thief_ip(chance, thief.country);
    thief.agent = choose_thief_agent(chance);
    thief.rhythm = chance.weighted(&[
        (Rhythm::Evening, 5),
        (Rhythm::Office, 1),
        (Rhythm::Night, 4),
    ]);
    if chance.permille(170) {
        let local = thief.email.split('@').next().unwrap_or("shopper");
        thief.email = format!("{local}@{}", chance.pick(DISPOSABLE_DOMAINS));
    }
    thief
}

fn choose_thief_ip(chance: &mut RandomStream, country: usize) -> String {
    match chance.below(100) {
        0..42 => world::choose_hosted_ip(chance),
        42..62 => {
            let abroad = chance.index(COUNTRIES.len());
            world::choose_home_ip(chance, abroad)
        }
        // A residential proxy near the card's address.
        _ => world::choose_home_ip(chance, country),
    }
}

fn choose_thief_agent(chance: &mut RandomStream) -> &'static str {
    if chance.permille(500) {
        return chance.weighted(world::USER_AGENTS);
    }
    let agent = chance.weighted(world::FRAUD_AGENTS);
    world::USER_AGENTS[agent].0
}

fn choose_time_for(scene: &FraudScene, chance: &mut RandomStream, person: &Shopper) -> Seconds {
    let day = scene.calendar.day(chance);
    calendar::choose_time(chance, day, COUNTRIES[person.country].offset, person.rhythm)
}

fn finish_draft(
    mut order: ShopOrder,
    person: &Shopper,
    pattern: FraudPattern,
    why: &'static str,
) -> Draft {
    order.add_up();
    Draft {
        order,
        country: person.country,
        pattern,
        why,
    }
}

/// Bursts from a few IP addresses and devices; every order has another card and another name.
fn place_card_tests(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    orders: u64,
    drafts: &mut Vec<Draft>,
) {
    let mut left = orders;
    while left > 0 {
        let burst = u64::try_from(chance.between(4, 9)).unwrap_or(4).min(left);
        left -= burst;
        let mut leader = create_thief(scene, chance);
        let mut at = choose_time_for(scene, chance, &leader);
        for _ in 0..burst {
            if chance.permille(400) {
                leader.ip = choose_thief_ip(chance, leader.country);
                leader.device = chance.permille(600).then(|| chance.hex(16));
            }
            at = (at + chance.between(20, 8 * MINUTE)).min(scene.calendar.end() - 1);
            drafts.push(place_card_test(scene, chance, register, &leader, at));
        }
    }
}

fn place_card_test(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    leader: &Shopper,
    at: Seconds,
) -> Draft {
    let mut tester = create_thief(scene, chance);
    tester.ip.clone_from(&leader.ip);
    tester.device.clone_from(&leader.device);
    tester.agent = leader.agent;
    if chance.permille(450) {
        let age = chance.between(MINUTE, 40 * MINUTE);
        customers::open_account(&mut tester, register, chance, at, age);
    }
    let mut order = honest::create_ordinary_order(scene.world, chance, &tester, at);
    let shelf = chance.weighted(&[(DIGITAL, 6), (BEAUTY, 2), (FASHION, 1), (world::BOOKS, 3)]);
    let cents = chance.between(300, 1_900);
    order.items = vec![
        scene
            .world
            .choose_good(chance, shelf, tester.country, cents),
    ];
    if chance.permille(200) {
        order.items = vec![world::choose_gift_card(chance, tester.country, &[10, 15])];
    }
    order.payment.attempts = chance.weighted(&[(1, 22), (2, 28), (3, 25), (4, 14), (5, 7), (6, 4)]);
    order.payment.avs = Some(choose_guessed_avs(chance, tester.country, 450));
    finish_draft(
        order,
        &tester,
        FraudPattern::CardTesting,
        "one of a burst of small orders that test cards",
    )
}

/// The bank's answer to an address that was bought with the card, or made up.
fn choose_guessed_avs(chance: &mut RandomStream, country: usize, wrong: u64) -> &'static str {
    if chance.permille(wrong) {
        return chance.weighted(&[("N", 6), ("Z", 2), ("A", 1), ("U", 2)]);
    }
    honest::choose_avs(chance, country)
}

/// A new account, a stolen card, and goods that are easy to resell.
fn order_with_stolen_card(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
) -> Draft {
    let mut thief = create_thief(scene, chance);
    let at = choose_time_for(scene, chance, &thief);
    if chance.permille(780) {
        let age = chance.curve(&[
            (0, 2 * MINUTE),
            (500, 40 * MINUTE),
            (800, 10 * HOUR),
            (1000, 9 * DAY),
        ]);
        customers::open_account(&mut thief, register, chance, at, age);
    }
    let mut order = honest::create_ordinary_order(scene.world, chance, &thief, at);
    fill_with_resale_goods(scene.world, chance, &thief, &mut order, (12_000, 80_000));
    if chance.permille(560) {
        order.shipping = honest::choose_stranger_address(chance, thief.country);
        if chance.permille(350) {
            order.shipping.name.clone_from(&thief.name);
        }
    }
    order.payment.avs = Some(choose_guessed_avs(chance, thief.country, 400));
    order.payment.attempts = chance.weighted(&[(1, 60), (2, 25), (3, 11), (4, 4)]);
    finish_draft(
        order,
        &thief,
        FraudPattern::StolenCards,
        "new account with a stolen card",
    )
}

/// Fills the basket with goods that are easy to resell.
fn fill_with_resale_goods(
    world: &ShopWorld,
    chance: &mut RandomStream,
    person: &Shopper,
    order: &mut ShopOrder,
    cents: (i64, i64),
) {
    let shelf = chance.weighted(&[(ELECTRONICS, 58), (FASHION, 20), (SPORTS, 8), (BEAUTY, 6)]);
    let price = chance.between(cents.0, cents.1);
    let mut item = world.choose_good(chance, shelf, person.country, price);
    item.quantity = chance.weighted(&[(1, 74), (2, 20), (3, 6)]);
    // Sometimes the rest of the basket stays, so that it looks ordinary.
    let keep = usize::from(chance.permille(300));
    order.items.truncate(keep);
    order.items.retain(|other| other.sku != item.sku);
    order.items.push(item);
    if chance.permille(170) {
        let card = world::choose_gift_card(chance, person.country, &[50, 100, 150, 200]);
        order.items.push(card);
    }
}

/// A customer whose account is old enough to be trusted.
fn choose_victim(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    now: Seconds,
) -> Shopper {
    let people = &scene.crowd.people;
    let trusted = (0..200).find_map(|_| {
        let person = people.get(chance.index(people.len()))?;
        let old = person.id.is_some() && now - person.signed_up > 90 * DAY;
        (old && person.kind == Lifestyle::Ordinary).then(|| person.clone())
    });
    trusted.unwrap_or_else(|| {
        let mut person = create_thief(scene, chance);
        customers::open_account(&mut person, register, chance, now, 400 * DAY);
        person
    })
}

/// A customer's account in other hands; parcels go to a new address.
fn order_from_taken_account(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
) -> Draft {
    let day = scene.calendar.day(chance);
    let mut victim = choose_victim(scene, chance, register, day);
    let rhythm = if chance.permille(450) {
        Rhythm::Night
    } else {
        victim.rhythm
    };
    let at = calendar::choose_time(chance, day, COUNTRIES[victim.country].offset, rhythm);
    victim.address_changed = chance
        .permille(880)
        .then(|| at - honest::choose_recent_span(chance));
    if chance.permille(800) {
        victim.ip = choose_thief_ip(chance, victim.country);
        victim.device = chance.permille(780).then(|| chance.hex(16));
        victim.agent = choose_thief_agent(chance);
    }
    victim.pays = chance.weighted(&[("card", 62), ("wallet", 38)]);
    let mut order = honest::create_ordinary_order(scene.world, chance, &victim, at);
    fill_with_resale_goods(scene.world, chance, &victim, &mut order, (14_000, 95_000));
    order.shipping = honest::choose_stranger_address(chance, victim.country);
    if chance.permille(550) {
        order.shipping.name.clone_from(&victim.name);
    }
    finish_draft(
        order,
        &victim,
        FraudPattern::AccountTakeover,
        "account taken over, address changed before the order",
    )
}

/// Goods for a freight forwarder, or for somebody who was hired to send parcels on.
fn order_for_reshipper(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
) -> Draft {
    let mut thief = create_thief(scene, chance);
    let at = choose_time_for(scene, chance, &thief);
    let age = chance.curve(&[
        (0, HOUR),
        (300, 3 * DAY),
        (700, 30 * DAY),
        (1000, 110 * DAY),
    ]);
    customers::open_account(&mut thief, register, chance, at, age);
    let mut order = honest::create_ordinary_order(scene.world, chance, &thief, at);
    fill_with_resale_goods(scene.world, chance, &thief, &mut order, (10_000, 70_000));
    let name = if chance.permille(600) {
        thief.name.clone()
    } else {
        honest::choose_stranger_address(chance, UNITED_STATES).name
    };
    order.shipping = if chance.permille(620) {
        world::choose_forwarder_address(chance, &name)
    } else {
        choose_mule_address(chance, &name)
    };
    order.payment.avs = Some(choose_guessed_avs(chance, thief.country, 200));
    finish_draft(
        order,
        &thief,
        FraudPattern::Reshipper,
        "goods for an address that sends them on abroad",
    )
}

/// One of the private addresses where hired people collect parcels.
fn choose_mule_address(chance: &mut RandomStream, name: &str) -> PostalAddress {
    let cities = COUNTRIES[UNITED_STATES].cities;
    let house = chance.index(12);
    let (city, state, postal_code) = cities[house % cities.len()];
    PostalAddress {
        name: name.to_owned(),
        address: format!("{} Linden Ct", 11 + 7 * house),
        city: city.to_owned(),
        state,
        postal_code: postal_code.replace("##", "40"),
        country: COUNTRIES[UNITED_STATES].code,
    }
}

/// The last order of the slow ring, from which its next member takes over a device or an address.
#[derive(Default)]
pub(super) struct RingTrail {
    last: Option<ShopOrder>,
    members: u64,
}

impl RingTrail {
    /// Lets the order share one thing with the ring's order before: the address of the parcel, or else the device.
    /// So the accounts of the ring form a chain, and no two neighbours of the chain share all.
    fn join_chain(&mut self, order: &mut ShopOrder) {
        if let Some(last) = &self.last {
            let same_country = last.shipping.country == order.billing.country;
            let without_device = last.client.device_id.is_none();
            if without_device || (same_country && self.members.is_multiple_of(2)) {
                let name = std::mem::take(&mut order.shipping.name);
                order.shipping = PostalAddress {
                    name,
                    ..last.shipping.clone()
                };
            } else {
                order.client.device_id.clone_from(&last.client.device_id);
            }
        }
        self.members += 1;
        self.last = Some(order.clone());
    }
}

/// Old accounts and average baskets, with one order every few days.
fn place_slow_ring_orders(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
    ring: &mut RingTrail,
    orders: u64,
    drafts: &mut Vec<Draft>,
) {
    let shelf = chance.weighted(&[(ELECTRONICS, 5), (FASHION, 4)]);
    for turn in 0..orders {
        let mut member = create_thief(scene, chance);
        member.pays = chance.weighted(&[("card", 6), ("wallet", 4)]);
        member.ip = if chance.permille(250) {
            world::choose_hosted_ip(chance)
        } else {
            world::choose_home_ip(chance, member.country)
        };
        let day = spread_evenly(scene.calendar, turn, orders) + chance.between(0, DAY - 1);
        let at = day.min(scene.calendar.end() - 1);
        let age = chance.curve(&[(0, 5 * DAY), (500, 50 * DAY), (1000, 260 * DAY)]);
        customers::open_account(&mut member, register, chance, at, age);
        let mut order = honest::create_ordinary_order(scene.world, chance, &member, at);
        if chance.permille(750) {
            let cents = chance.between(6_000, 24_000);
            order.items = vec![
                scene
                    .world
                    .choose_good(chance, shelf, member.country, cents),
            ];
        }
        if chance.permille(300) {
            order.shipping = honest::choose_stranger_address(chance, member.country);
        }
        ring.join_chain(&mut order);
        drafts.push(finish_draft(
            order,
            &member,
            FraudPattern::SlowRing,
            "ring that places a few orders a week",
        ));
    }
}

/// The start of the day after `turn` of `turns` equal parts of the calendar.
fn spread_evenly(calendar: &Calendar, turn: u64, turns: u64) -> Seconds {
    let days = u64::try_from((calendar.end() - calendar.first()) / DAY).unwrap_or(0);
    let day = days * turn / turns.max(1);
    calendar.first() + i64::try_from(day).unwrap_or(0) * DAY
}

/// A customer's wallet is turned into gift cards, in office hours, from one kind of phone. No fraud
/// of the history uses a wallet like this, and nothing is delivered to an address.
fn drain_wallet(
    scene: &FraudScene,
    chance: &mut RandomStream,
    register: &mut AccountRegister,
) -> Draft {
    let day = scene.calendar.day(chance);
    let mut victim = choose_victim(scene, chance, register, day);
    let at = calendar::choose_time(
        chance,
        day,
        COUNTRIES[victim.country].offset,
        Rhythm::Office,
    );
    victim.pays = "wallet";
    victim.agent = world::USER_AGENTS[1].0;
    victim.device = Some(chance.hex(16));
    victim.ip = world::choose_home_ip(chance, victim.country);
    let mut order = honest::create_ordinary_order(scene.world, chance, &victim, at);
    let first = world::choose_gift_card(chance, victim.country, &[100, 150, 200]);
    let mut second = world::choose_gift_card(chance, victim.country, &[25, 50, 75]);
    second.quantity = chance.between(1, 3);
    order.items = vec![first, second];
    order.payment.attempts = chance.weighted(&[(1, 6), (2, 3), (3, 1)]);
    finish_draft(
        order,
        &victim,
        FraudPattern::WalletDrain,
        "customer's wallet turned into gift cards",
    )
}
