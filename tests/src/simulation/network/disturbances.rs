//! What goes wrong during a day, and how often.

use std::ops::Range;

use super::{PATIENCE_MS, Service};
use crate::simulation::day::{Day, End, Input, Source};
use crate::simulation::dice::Dice;
use crate::simulation::scenario::{DISTURBANCES, Disturbance, Scenario};

/// The services that have outages. The bucket is listed twice, because most of its outages have no effect.
const SERVICES: [Service; 5] = [
    Service::DynamoDb,
    Service::S3,
    Service::S3,
    Service::EventBridge,
    Service::FraudDetector,
];

/// How a service fails during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutageKind {
    AccessDenied,
    NotThere,
    Throttled,
    Slow,
}

/// A service that fails for some time.
#[derive(Debug)]
struct Outage {
    service: Service,
    times: Range<u64>,
    kind: OutageKind,
}

impl Outage {
    /// Draws an outage. It begins before something is sent that needs the service, because without calls it would have
    /// no effect.
    fn draw(dice: Dice, number: u64, day: &Day) -> Self {
        let name = |what: &str| format!("outage {number} {what}");
        let service = dice.one_of(name("service"), &SERVICES);
        // Only records that are parked need the bucket.
        let is_poison = |input: &Input| {
            matches!(input.end, End::Parked(_)) && input.source != Source::Chargebacks
        };
        let needs = |input: &&Input| service != Service::S3 || is_poison(input);
        let inputs: Vec<&Input> = day.inputs.iter().filter(needs).collect();
        let at = inputs
            .get(dice.place(name("input"), inputs.len()))
            .map_or(0, |input| input.at);
        let longest = if dice.happens(name("long"), 500) {
            60 * 60_000
        } else {
            120_000
        };
        let length = dice.between(name("length"), 1_000, longest);
        // Half of the outages begin while such a record is processed.
        let start = if dice.happens(name("in the middle"), 500) {
            at + dice.between(name("start"), 0, 2_000)
        } else {
            at.saturating_sub(dice.between(name("start"), 0, length / 2 + 1))
        };
        let kinds = [
            OutageKind::AccessDenied,
            OutageKind::NotThere,
            OutageKind::Throttled,
            OutageKind::Slow,
        ];
        Self {
            service,
            times: start..start + length,
            kind: dice.one_of(name("kind"), &kinds),
        }
    }
}

/// The disturbances of a day, with their rates.
#[derive(Debug)]
pub struct Disturbances {
    scenario: Scenario,
    pub(super) dice: Dice,
    /// Per thousand calls.
    rates: Vec<(Disturbance, u64)>,
    outages: Vec<Outage>,
    /// When all services work again, in milliseconds of the day.
    ends: u64,
}

impl Disturbances {
    /// The disturbances of a day until `ends`.
    pub fn new(scenario: &Scenario, day: &Day, ends: u64) -> Self {
        let dice = scenario.dice();
        let rate = |disturbance: Disturbance| {
            let rates: &[u64] = match disturbance {
                Disturbance::Unprocessed | Disturbance::PartialFailure => &[0, 50, 200, 400],
                _ => &[0, 0, 3, 10, 30],
            };
            (
                disturbance,
                dice.one_of(format_args!("rate {disturbance:?}"), rates),
            )
        };
        let rates = DISTURBANCES
            .into_iter()
            .filter(|it| it.is_of_a_call() && scenario.has(*it));
        let outages = (0..dice.between("outages", 0, 5))
            .filter(|_| scenario.has(Disturbance::Outage))
            .map(|number| Outage::draw(dice, number, day))
            .collect();
        Self {
            rates: rates.map(rate).collect(),
            outages,
            scenario: scenario.clone(),
            dice,
            ends,
        }
    }

    pub(super) fn outage(&self, service: Service, now: u64) -> Option<OutageKind> {
        let mut outages = self.outages.iter();
        let found = outages.find(|out| out.service == service && out.times.contains(&now));
        found.filter(|_| now < self.ends).map(|out| out.kind)
    }

    /// When all services work again that fail at this time or soon after.
    pub fn works_from(&self, time: u64) -> u64 {
        let mut works = time;
        // An outage that begins before the record is done may delay it, too.
        while let Some(out) = self
            .outages
            .iter()
            .find(|out| out.times.start <= works + PATIENCE_MS && out.times.end > works)
        {
            works = out.times.end;
        }
        works
    }

    pub(super) fn disturbance(&self, name: &str, now: u64) -> Option<Disturbance> {
        if now >= self.ends {
            return None;
        }
        let happens = |(disturbance, rate): &&(Disturbance, u64)| {
            self.dice
                .happens(format_args!("{disturbance:?} of {name}"), *rate)
        };
        self.rates.iter().find(happens).map(|(found, _)| *found)
    }

    /// Whether environments may be killed at this time.
    pub fn kills(&self, now: u64) -> bool {
        now < self.ends && self.has(Disturbance::Kill)
    }

    /// Whether only delivery is disturbed.
    pub fn is_calm(&self) -> bool {
        self.scenario.is_calm()
    }

    /// Whether this disturbance may happen on this day.
    pub fn has(&self, disturbance: Disturbance) -> bool {
        self.scenario.has(disturbance)
    }
}
