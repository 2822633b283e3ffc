//! Simulates a shop: half a year of orders, the frauds among them, and the chargebacks weeks
//! later.
//!
//! The same [`SimulationOptions`] give the same bytes on every machine. No data is of a real person: names,
//! numbers, networks and mail domains are reserved or invented.
//!
//! An order has the members of the sample order and three that a checkout knows as well:
//! `payment.attempts` (payments tried in this session), `client.device_id` (the shop's own
//! cookie) and `customer.address_changed_at`; an edited order has `revision`.

mod calendar;
mod chargebacks;
mod corruption;
mod customers;
mod files;
mod fraud;
mod honest;
mod order;
mod random;
#[cfg(test)]
mod tests;
mod truth;
mod world;

pub use chargebacks::{Chargeback, ReportTime};
pub use files::{WriteError, write_files};
pub use order::OrderAmount;
pub use truth::{FraudPattern, OrderTruth};

use calendar::Calendar;
use corruption::CorruptionPlan;
use customers::AccountRegister;
use fraud::{FraudScene, RingTrail};
use honest::Crowd;
use order::Seconds;
use random::RandomStream;
use truth::Draft;
use world::ShopWorld;

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulationOptions {
    /// Another seed gives another shop.
    pub seed: u64,
    /// How many days the history has.
    pub days: u32,
    /// How many orders the history has: one line each.
    pub history_orders: u32,
    /// How many lines the file of new orders has, duplicates, edits and broken ones included.
    pub new_orders: u32,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        Self {
            seed: 5,
            days: 180,
            history_orders: 30_000,
            new_orders: 2_000,
        }
    }
}

/// Orders, the labels that arrive for them, and the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulation {
    /// One JSON order a line, oldest first but for a few.
    pub history: Vec<String>,
    /// Chargebacks and other messages about the history, in order of time: some come long after
    /// the new orders.
    pub history_labels: Vec<Chargeback>,
    /// The truth about each order of the history.
    pub history_truth: Vec<OrderTruth>,
    /// The lines of the stream that follows the history.
    pub orders: Vec<String>,
    /// Chargebacks and other messages about the new orders.
    pub chargebacks: Vec<Chargeback>,
    /// The truth about each new order that can be read.
    pub truth: Vec<OrderTruth>,
}

/// How many of 1,000 orders are frauds.
const FRAUDS_PER_1000: u64 = 10;

/// Simulates a shop. The last order is on 2026-06-30, the history ends where the new orders
/// begin.
pub fn simulate_shop(options: &SimulationOptions) -> Simulation {
    let days = i64::from(options.days.clamp(1, 3_650));
    let new_days = days_of_new_orders(options, days);
    let before = Calendar::new(days, new_days);
    let after = Calendar::new(new_days, 0);
    let plan = CorruptionPlan::for_lines(u64::from(options.new_orders));
    let new = u64::from(options.new_orders).saturating_sub(to_u64(plan.lines() - plan.broken));

    let mut shop = SimulatedShop::open(options, before.first());
    let mut past = shop.trade(&before, u64::from(options.history_orders), false);
    let mut present = shop.trade(&after, new, true);
    let first = number_orders(&mut past, 1);
    number_orders(&mut present, first);
    let broken = take_out_honest_orders(&mut present, plan.broken);

    let mut chance = RandomStream::new(options.seed, streams::CHARGEBACKS);
    let history_labels = chargebacks::report_chargebacks(&past, &mut chance);
    let chargebacks = chargebacks::report_chargebacks(&present, &mut chance);
    let mut chance = RandomStream::new(options.seed, streams::CORRUPTION);
    Simulation {
        history: corruption::export_orders(&past, &mut chance),
        history_labels,
        history_truth: past.iter().map(Draft::truth).collect(),
        orders: corruption::stream_orders(&present, &broken, plan, &mut chance),
        chargebacks,
        truth: present.iter().map(Draft::truth).collect(),
    }
}

/// Each part of the simulation has its own stream of random numbers.
mod streams {
    pub(super) const WORLD: u64 = 1;
    pub(super) const HONEST: u64 = 2;
    pub(super) const FRAUD: u64 = 3;
    pub(super) const CHARGEBACKS: u64 = 4;
    pub(super) const CORRUPTION: u64 = 5;
}

/// The state of the shop: its customers, and the random numbers of its orders.
struct SimulatedShop {
    world: ShopWorld,
    crowd: Crowd,
    register: AccountRegister,
    ring: RingTrail,
    honest: RandomStream,
    fraud: RandomStream,
}

impl SimulatedShop {
    fn open(options: &SimulationOptions, first: Seconds) -> Self {
        let world = ShopWorld::new(&mut RandomStream::new(options.seed, streams::WORLD));
        let mut honest = RandomStream::new(options.seed, streams::HONEST);
        let mut register = AccountRegister::new();
        let orders = u64::from(options.history_orders);
        let crowd = Crowd::new(&world, &mut honest, &mut register, first, orders);
        let fraud = RandomStream::new(options.seed, streams::FRAUD);
        Self {
            world,
            crowd,
            register,
            ring: RingTrail::default(),
            honest,
            fraud,
        }
    }

    /// The orders of the calendar's days, oldest first.
    fn trade(&mut self, calendar: &Calendar, orders: u64, unseen: bool) -> Vec<Draft> {
        let frauds = (orders * FRAUDS_PER_1000 + 500) / 1000;
        let days = calendar.share(orders - frauds);
        let mut drafts = honest::place_honest_orders(
            &self.world,
            &mut self.honest,
            &mut self.register,
            &mut self.crowd,
            &days,
        );
        let scene = FraudScene {
            world: &self.world,
            crowd: &self.crowd,
            calendar,
        };
        drafts.extend(fraud::place_fraud_orders(
            &scene,
            &mut self.fraud,
            &mut self.register,
            &mut self.ring,
            frauds,
            unseen,
        ));
        drafts.sort_by_key(|draft| draft.order.at);
        drafts
    }
}

/// How many days the new orders take at the rate of the history.
fn days_of_new_orders(options: &SimulationOptions, days: i64) -> i64 {
    let (new, old) = (
        i64::from(options.new_orders),
        i64::from(options.history_orders).max(1),
    );
    ((new * days + old / 2) / old).clamp(1, 3_650)
}

/// Numbers the orders in order of time and returns the next number.
fn number_orders(drafts: &mut [Draft], first: u64) -> u64 {
    let mut next = first;
    for draft in drafts {
        draft.order.id = format!("ORD-{next:06}");
        next += 1;
    }
    next
}

/// Takes out `count` honest orders, evenly over the time.
fn take_out_honest_orders(drafts: &mut Vec<Draft>, count: usize) -> Vec<Draft> {
    let stretch = drafts.len() / count.max(1);
    let wanted = |turn: usize| {
        (turn * stretch + stretch / 2..drafts.len()).find(|&place| !drafts[place].is_fraud())
    };
    let mut places: Vec<usize> = (0..count).filter_map(wanted).collect();
    places.dedup();
    places
        .iter()
        .rev()
        .map(|&place| drafts.remove(place))
        .collect()
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
