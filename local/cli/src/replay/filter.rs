//! Which of the stored records are replayed.

use event::Timestamp;

use super::stored_records::StoredRecords;

/// What all records that are replayed have in common; what is absent says nothing.
#[derive(Clone, Debug, Default)]
pub struct ReplayFilter {
    /// The name of their function. Dead letters do not say it: they are for this function.
    pub function: Option<String>,
    /// A part of the reason, or the class of the rejection.
    pub reason: Option<String>,
    /// They were written at this time or later.
    pub since: Option<Timestamp>,
    /// They were written before this time.
    pub until: Option<Timestamp>,
}

impl ReplayFilter {
    /// Whether these records are replayed. Records without a time are not, if a time is asked for.
    pub(crate) fn selects(&self, stored: &StoredRecords) -> bool {
        let by_function = self.function.as_ref();
        let by_reason = self.reason.as_ref();
        let wants_time = self.since.is_some() || self.until.is_some();
        let is_in_time = |at: Timestamp| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
        };
        by_function.is_none_or(|name| *name == stored.function)
            && by_reason.is_none_or(|reason| {
                *reason == stored.class || stored.reason.contains(reason.as_str())
            })
            && stored.at.map_or(!wants_time, is_in_time)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stored_records::StoredContent;
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::from_jiff(text.parse().unwrap()).unwrap()
    }

    fn stored(at: Option<&str>) -> StoredRecords {
        StoredRecords {
            key: "rejected/predict/1.json".into(),
            function: "predict".into(),
            class: "not-json".into(),
            reason: "the payload is not JSON at byte 3".into(),
            at: at.map(time),
            content: StoredContent::Records(Vec::new()),
        }
    }

    #[test]
    fn function_and_reason_select() {
        #[track_caller]
        fn check(function: Option<&str>, reason: Option<&str>, want: bool) {
            let filter = ReplayFilter {
                function: function.map(str::to_owned),
                reason: reason.map(str::to_owned),
                ..ReplayFilter::default()
            };
            assert_eq!(filter.selects(&stored(None)), want, "{filter:?}");
        }
        check(None, None, true);
        check(Some("predict"), None, true);
        check(Some("label"), None, false);
        check(None, Some("not-json"), true);
        check(None, Some("not JSON"), true);
        check(None, Some("missing-member"), false);
        check(Some("label"), Some("not-json"), false);
    }

    #[test]
    fn times_select() {
        #[track_caller]
        fn check(since: Option<&str>, until: Option<&str>, at: Option<&str>, want: bool) {
            let filter = ReplayFilter {
                since: since.map(time),
                until: until.map(time),
                ..ReplayFilter::default()
            };
            assert_eq!(filter.selects(&stored(at)), want, "{filter:?}");
        }
        let (noon, evening) = (Some("2026-06-01T12:00:00Z"), Some("2026-06-01T18:00:00Z"));
        check(noon, None, noon, true);
        check(evening, None, noon, false);
        check(None, noon, noon, false);
        check(None, evening, noon, true);
        check(noon, evening, noon, true);
        // Its time is not known.
        check(noon, None, None, false);
        check(None, None, None, true);
    }
}
