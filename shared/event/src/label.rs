//! What a message says about an event afterwards: fraud or not, and since when that is known.

use jiff::tz::TimeZone;

use crate::{EventId, InvalidTimestamp, LabelName, Timestamp};

/// When a label became known, and how precise that time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelTime {
    /// The instant; midnight where the source gave a day only.
    pub time: Timestamp,
    /// Whether the source gave a day without a clock time; it is then compared by day.
    pub day_only: bool,
}

impl LabelTime {
    /// Parses the time of a label; a time without a zone is in `zone`.
    ///
    /// # Errors
    /// [`InvalidTimestamp`], as [`Timestamp::parse_in`].
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, InvalidTimestamp> {
        let time = Timestamp::parse_in(text, zone)?;
        Ok(Self {
            time,
            day_only: !Timestamp::has_clock_time(text),
        })
    }

    /// By how many seconds this time lies before the event's; 0 if it does not. Where only a day is known, whole days of
    /// `zone` are compared.
    pub fn seconds_before(self, event: Timestamp, zone: &TimeZone) -> i64 {
        let before = if self.day_only {
            let day = |time: Timestamp| time.to_jiff().to_zoned(zone.clone()).date();
            let days = day(event)
                .since(day(self.time))
                .map_or(0, |span| span.get_days());
            i64::from(days) * 86_400
        } else {
            event.epoch_seconds() - self.time.epoch_seconds()
        };
        before.max(0)
    }
}

/// One message about an order: a chargeback, an early warning, a refund, a reversal, or an analyst's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMessage {
    /// The event it is about.
    pub event_id: EventId,
    /// The label it gives; `None` where the mapping says that such a message changes no label.
    pub label: Option<LabelName>,
    /// When it became known.
    pub time: LabelTime,
    /// Rank of its source: a label of a higher rank wins.
    pub rank: u32,
    /// What kind of message it is, such as `chargeback`.
    pub kind: String,
    /// The scheme's reason code.
    pub reason_code: Option<String>,
    /// The amount in dispute, a decimal number.
    pub amount: Option<String>,
    /// Its currency.
    pub currency: Option<String>,
    /// Who sent it.
    pub source: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_compared_by_day() {
        #[track_caller]
        fn check(zone: &str, label: &str, want: i64) {
            let zone = TimeZone::get(zone).unwrap();
            let event = Timestamp::parse("2026-06-01T23:00:00Z").unwrap();
            let label = LabelTime::parse(label, &zone).unwrap();
            assert_eq!(label.seconds_before(event, &zone), want);
        }
        check("UTC", "2026-06-01", 0);
        check("UTC", "2026/05/31", 86_400);
        check("UTC", "2026-06-01T22:00:00Z", 3600);
        check("UTC", "2026-06-02T00:00:00Z", 0);
        // It is the second of June in Berlin, and still the first in New York.
        check("Europe/Berlin", "2026-06-02", 0);
        check("Europe/Berlin", "2026-06-01", 86_400);
        check("America/New_York", "2026-06-01", 0);
        check("America/New_York", "2026-05-31", 86_400);
        check("Pacific/Auckland", "2026-05-31", 2 * 86_400);
    }
}
