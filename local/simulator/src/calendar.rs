//! When people order: days, peaks, hours.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};

use super::order::{DAY, HOUR, Seconds};
use super::random::RandomStream;

/// 2026-07-01T00:00:00Z: every order is older than this.
pub(super) const END: Seconds = 1_782_864_000;

/// The days of the simulation and how busy each is.
pub(super) struct Calendar {
    first: Seconds,
    weights: Vec<u64>,
}

impl Calendar {
    /// `days` days, the last of which is `days_before_end` days before [`END`].
    pub(super) fn new(days: i64, days_before_end: i64) -> Self {
        let first = END - (days + days_before_end) * DAY;
        let weights = (0..days).map(|day| day_weight(first + day * DAY)).collect();
        Self { first, weights }
    }

    /// Divides `orders` over the days: start of the day, and its orders.
    pub(super) fn share(&self, orders: u64) -> Vec<(Seconds, u64)> {
        let all: u64 = self.weights.iter().sum::<u64>().max(1);
        let mut seen = 0;
        let mut given = 0;
        let mut day = self.first - DAY;
        let shares = self.weights.iter().map(|weight| {
            // Rounding the running total instead of each day loses no order.
            seen += weight;
            day += DAY;
            let due = orders * seen / all;
            let share = due - given;
            given = due;
            (day, share)
        });
        shares.collect()
    }

    /// The start of a random day; busy days are more likely.
    pub(super) fn day(&self, chance: &mut RandomStream) -> Seconds {
        let mut left = chance.below(self.weights.iter().sum());
        let mut day = self.first;
        for weight in &self.weights {
            if left < *weight {
                break;
            }
            left -= weight;
            day += DAY;
        }
        day
    }

    pub(super) fn first(&self) -> Seconds {
        self.first
    }

    pub(super) fn end(&self) -> Seconds {
        self.first + i64::try_from(self.weights.len()).unwrap_or(0) * DAY
    }
}

/// A month and a day.
type MonthDay = (i8, i8);

/// Peaks: the first and the last day, and how busy they are in permille of an ordinary day.
const PEAKS: &[(MonthDay, MonthDay, u64)] = &[
    ((12, 20), (12, 23), 1500),
    ((12, 25), (12, 25), 550),
    ((1, 2), (1, 6), 1350),
    ((2, 9), (2, 13), 1300),
    ((3, 19), (3, 22), 1400),
    ((5, 6), (5, 9), 1350),
    ((6, 26), (6, 28), 1500),
];

fn day_weight(day: Seconds) -> u64 {
    let date = to_date(day);
    let weekday = match date.weekday() {
        Weekday::Monday | Weekday::Thursday => 96,
        Weekday::Tuesday | Weekday::Wednesday => 92,
        Weekday::Friday => 100,
        Weekday::Saturday => 110,
        Weekday::Sunday => 116,
    };
    let today = (date.month(), date.day());
    let peak = PEAKS
        .iter()
        .find(|(from, to, _)| (*from..=*to).contains(&today))
        .map_or(1000, |&(_, _, permille)| permille);
    // The shop grows by about a sixth in half a year.
    let age = u64::try_from((END - day) / DAY).unwrap_or(0).min(400);
    weekday * peak * (1200 - age) / 1_000_000
}

fn to_date(at: Seconds) -> Date {
    Timestamp::from_second(at)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC)
        .date()
}

/// At which hours of the day somebody shops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// Lunch and evening, as most do.
    Evening,
    /// At the desk.
    Office,
    /// After midnight.
    Night,
}

/// How likely each hour of the local day is.
fn hour_weights(rhythm: Rhythm) -> [u64; 24] {
    match rhythm {
        Rhythm::Evening => [
            14, 7, 4, 3, 3, 5, 12, 22, 32, 40, 46, 50, 58, 52, 46, 44, 46, 54, 66, 80, 92, 88, 62,
            32,
        ],
        Rhythm::Office => [
            4, 2, 1, 1, 1, 3, 12, 40, 80, 95, 92, 84, 70, 78, 88, 90, 80, 62, 34, 24, 20, 18, 12, 7,
        ],
        Rhythm::Night => [
            80, 78, 70, 56, 40, 24, 12, 8, 8, 10, 12, 16, 20, 22, 22, 22, 24, 26, 30, 36, 46, 58,
            70, 78,
        ],
    }
}

/// A random moment of a UTC day at which somebody `offset` hours from UTC shops.
pub(super) fn choose_time(
    chance: &mut RandomStream,
    day: Seconds,
    offset: i64,
    rhythm: Rhythm,
) -> Seconds {
    let hours = hour_weights(rhythm);
    let mut left = chance.below(hours.iter().sum());
    let mut hour = 0;
    for weight in hours {
        if left < weight {
            break;
        }
        left -= weight;
        hour += 1;
    }
    let local = hour * HOUR + chance.between(0, HOUR - 1);
    day + (local - offset * HOUR).rem_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::super::order::{DAY, format_time};
    use super::{Calendar, END};

    #[test]
    fn the_last_day_is_the_last_of_june() {
        assert_eq!(format_time(END - 1), "2026-06-30T23:59:59Z");
    }

    #[test]
    fn every_order_gets_a_day() {
        let calendar = Calendar::new(180, 12);
        let shares = calendar.share(30_000);
        assert_eq!(shares.iter().map(|(_, orders)| orders).sum::<u64>(), 30_000);
        assert_eq!(shares.len(), 180);
        assert_eq!(shares[179].0, END - 13 * DAY);
        assert_eq!(calendar.end(), END - 12 * DAY);
    }

    #[test]
    fn no_days_no_orders() {
        assert!(Calendar::new(0, 0).share(10).is_empty());
    }
}
