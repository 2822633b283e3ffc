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

    #[test]
    fn each_filter_leaves_out_what_it_says() {
        let stored = |at: Option<&str>| StoredRecords {
            key: "rejected/predict/1.json".into(),
            function: "predict".into(),
            class: "not-json".into(),
            reason: "the payload is not JSON at byte 3".into(),
            at: at.map(time),
            content: StoredContent::Records(Vec::new()),
        };
        let text = |text: &str| Some(text.to_owned());
        let none = ReplayFilter::default();
        let (noon, evening) = (
            Some(time("2026-06-01T12:00:00Z")),
            Some(time("2026-06-01T18:00:00Z")),
        );
        let cases = [
            (none.clone(), true),
            (
                ReplayFilter {
                    function: text("predict"),
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    function: text("label"),
                    ..none.clone()
                },
                false,
            ),
            (
                ReplayFilter {
                    reason: text("not-json"),
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    reason: text("not JSON"),
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    reason: text("not"),
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    reason: text("missing-member"),
                    ..none.clone()
                },
                false,
            ),
            (
                ReplayFilter {
                    since: noon,
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    since: evening,
                    ..none.clone()
                },
                false,
            ),
            (
                ReplayFilter {
                    until: noon,
                    ..none.clone()
                },
                false,
            ),
            (
                ReplayFilter {
                    until: evening,
                    ..none.clone()
                },
                true,
            ),
            (
                ReplayFilter {
                    since: noon,
                    until: evening,
                    ..none.clone()
                },
                true,
            ),
        ];
        for (filter, want) in cases {
            assert_eq!(
                filter.selects(&stored(Some("2026-06-01T12:00:00Z"))),
                want,
                "{filter:?}"
            );
        }
        assert!(none.selects(&stored(None)));
        let timed = ReplayFilter {
            since: noon,
            ..none
        };
        assert!(!timed.selects(&stored(None)), "its time is not known");
    }
}
