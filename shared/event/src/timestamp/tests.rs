use jiff::civil::DateTime;
use proptest::prelude::*;

use super::*;

/// Form 1, or what is wrong.
fn show(read: Result<Timestamp, InvalidTimestamp>) -> String {
    read.map_or_else(
        |error| error.problem().to_string(),
        |timestamp| timestamp.to_string(),
    )
}

#[track_caller]
fn check(cases: &[(&str, &str)], parse: impl Fn(&str) -> Result<Timestamp, InvalidTimestamp>) {
    for (text, want) in cases {
        assert_eq!(show(parse(text)), *want, "{text:?}");
    }
}

/// What every parser accepts, and what it means where no zone stands for UTC.
const DOCUMENTED: &[(&str, &str)] = &[
    // The user guide's examples.
    ("2019-11-30T13:01:01Z", "2019-11-30T13:01:01Z"),
    ("2019/11/30 1:01:01 PM", "2019-11-30T13:01:01Z"),
    ("2019/11/30 13:01:01", "2019-11-30T13:01:01Z"),
    ("11/30/2019 1:01:01 PM", "2019-11-30T13:01:01Z"),
    ("11/30/2019 13:01:01", "2019-11-30T13:01:01Z"),
    ("11/30/19 1:01:01 PM", "2019-11-30T13:01:01Z"),
    ("11/30/19 13:01:01", "2019-11-30T13:01:01Z"),
    // Dashes, one digit, no clock time, no seconds.
    ("2019-11-30 13:01:01", "2019-11-30T13:01:01Z"),
    ("11-30-2019 13:01:01", "2019-11-30T13:01:01Z"),
    ("11-30-19 13:01:01", "2019-11-30T13:01:01Z"),
    ("01/12/2019", "2019-01-12T00:00:00Z"),
    ("2019/11/30", "2019-11-30T00:00:00Z"),
    ("2019-11-30", "2019-11-30T00:00:00Z"),
    ("2019/1/2 3:04", "2019-01-02T03:04:00Z"),
    ("1/2/2019 03:04", "2019-01-02T03:04:00Z"),
    ("1/2/19 3:04", "2019-01-02T03:04:00Z"),
    // Two clocks.
    ("2019/11/30 12:00 AM", "2019-11-30T00:00:00Z"),
    ("2019/11/30 12:59:59 AM", "2019-11-30T00:59:59Z"),
    ("2019/11/30 12:00 PM", "2019-11-30T12:00:00Z"),
    ("2019/11/30 01:00 AM", "2019-11-30T01:00:00Z"),
    ("2019/11/30 11:59:59 PM", "2019-11-30T23:59:59Z"),
    ("2019/11/30 0:00", "2019-11-30T00:00:00Z"),
    // Centuries, leap days, both ends.
    ("12/31/68 0:00", "2068-12-31T00:00:00Z"),
    ("01/01/00 0:00", "2000-01-01T00:00:00Z"),
    ("01/01/70 0:00", "1970-01-01T00:00:00Z"),
    ("02/29/2000", "2000-02-29T00:00:00Z"),
    ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
];

/// Dates that a file may hold but a request may not: they have fewer than 10 characters.
const SHORT: &[(&str, &str)] = &[
    ("1/12/2019", "2019-01-12T00:00:00Z"),
    ("2019/1/2", "2019-01-02T00:00:00Z"),
    ("11/30/19", "2019-11-30T00:00:00Z"),
    ("1-2-19", "2019-01-02T00:00:00Z"),
];

const FORM: &str = "is in no form that is accepted here; write it as `2019-11-30T13:01:01Z`";

/// What no parser accepts.
const WRONG: &[(&str, &str)] = &[
    (
        "2019/11/30 13",
        "has an hour without minutes; write `hh:mm`, `hh:mm:ss` or no clock time",
    ),
    (
        "2019/11/30 1 PM",
        "has an hour without minutes; write `hh:mm`, `hh:mm:ss` or no clock time",
    ),
    (
        "2019/11/30 13:01 PM",
        "has hour 13; with AM or PM hours are 1 to 12",
    ),
    (
        "2019/11/30 0:01 AM",
        "has hour 0; with AM or PM hours are 1 to 12",
    ),
    (
        "2019/11/30 00:01 PM",
        "has hour 0; with AM or PM hours are 1 to 12",
    ),
    ("2019/11/30 24:00", "has hour 24; hours are 0 to 23"),
    ("2019/11/30 13:60", "has minute 60; minutes are 0 to 59"),
    ("2019-11-30T23:59:60Z", "has second 60; seconds are 0 to 59"),
    ("2019-13-01T00:00:00Z", "has month 13; months are 1 to 12"),
    ("19/11/30 13:01", "has month 19; months are 1 to 12"),
    ("0/1/2019 13:01", "has month 0; months are 1 to 12"),
    ("02/29/2019", "has day 29, which month 2 of 2019 lacks"),
    ("2/29/1900 0:00", "has day 29, which month 2 of 1900 lacks"),
    ("11/31/2019", "has day 31, which month 11 of 2019 lacks"),
    ("11/00/2019", "has day 0, which month 11 of 2019 lacks"),
    ("12/31/69 0:00", "is outside the years 1970 to 9999"),
    ("1969-12-31T23:59:59Z", "is outside the years 1970 to 9999"),
    ("0000-01-01T00:00:00Z", "is outside the years 1970 to 9999"),
    (
        "2019-11-30T13:01:01Z ",
        "has ` ` after its end; nothing may follow",
    ),
    (
        "2019-11-30T13:01:01ZZ",
        "has `Z` after its end; nothing may follow",
    ),
    (
        "2019/11/30 1:01 pm",
        "has ` pm` after its end; nothing may follow",
    ),
    (
        "2019/11/30 1:01 PM.",
        "has `.` after its end; nothing may follow",
    ),
    (
        "2019/11/30 1:01PM",
        "has `PM` after its end; nothing may follow",
    ),
    (
        "2019/11/30  1:01 PM",
        "has `  1:01 PM` after its end; nothing may follow",
    ),
    ("2019/11/30 ", "has ` ` after its end; nothing may follow"),
    (
        "2019/11/30x13:01",
        "has `x13:01` after its end; nothing may follow",
    ),
    (
        "2019/11/30 1:01:01:01",
        "has `:01` after its end; nothing may follow",
    ),
    (
        "2019-11-30T13:01:01.Z",
        "has `.Z` after its end; nothing may follow",
    ),
    (
        "2019-11-30T13:01:01+24:00",
        "has `+24:00` after its end; nothing may follow",
    ),
    (
        "2019-11-30T13:01:01+1",
        "has `+1` after its end; nothing may follow",
    ),
    ("2019/11-30 13:01", FORM),
    ("2019/11/30 13:1", FORM),
    ("2019/11/30 13:01:1", FORM),
    ("2019/11/30 013:01", FORM),
    ("2019/011/30", FORM),
    ("20191/11/30", FORM),
    ("11/30/201 0:00", FORM),
    ("219/11/30 0:00", FORM),
    ("2019/11/30T13:01:01Z", FORM),
    ("2019-1-2T13:01:01Z", FORM),
    ("2019-11-30T1:01:01Z", FORM),
    ("2019-11-30T1:01:01 PM", FORM),
    ("11-30-2019T13:01:01Z", FORM),
    ("2019.11.30", FORM),
    (" 2019/11/30", FORM),
    ("-2019/11/30", FORM),
    ("２０１９/11/30", FORM),
    ("1575118861", FORM),
    ("20191130T130101Z", FORM),
    ("Sat, 30 Nov 2019", FORM),
];

const FRACTION: &str = "has a fraction of a second; write whole seconds";
const OFFSET: &str = "has an offset; only UTC is accepted, written `Z`";
const NO_ZONE: &str = "does not end in `Z`; only UTC is accepted, written `Z`";

#[test]
fn documented_forms() {
    check(DOCUMENTED, Timestamp::parse);
    check(SHORT, Timestamp::parse);
    check(DOCUMENTED, Timestamp::from_str);
    check(DOCUMENTED, Timestamp::parse_request);
    check(DOCUMENTED, Timestamp::parse_prediction);
    check(DOCUMENTED, |text| Timestamp::parse_in(text, &TimeZone::UTC));
    check(SHORT, |text| Timestamp::parse_in(text, &TimeZone::UTC));
}

#[test]
fn wrong_everywhere() {
    check(WRONG, Timestamp::parse);
    check(WRONG, Timestamp::parse_request);
    check(WRONG, Timestamp::parse_prediction);
    check(WRONG, |text| Timestamp::parse_in(text, &TimeZone::UTC));
}

#[test]
fn form_1_is_exact() {
    let cases = [
        ("2019-11-30T13:01:01.000Z", FRACTION),
        ("2019/11/30 13:01:01.5", FRACTION),
        ("2019-11-30T13:01:01+00:00", OFFSET),
        ("2019-11-30T13:01:01z", OFFSET),
        ("2019-11-30T13:01:01", NO_ZONE),
        ("2019-11-30t13:01:01Z", FORM),
        ("2019-11-30T13:01Z", FORM),
        ("2019-11-30 13:01:01Z", FORM),
        ("2019/11/30 13:01:01Z", FORM),
    ];
    check(&cases, Timestamp::parse);
    check(&cases, Timestamp::parse_request);
}

#[test]
fn a_request_has_10_to_30_characters() {
    let cases = [
        ("", "has 0 characters; a request takes 10 to 30"),
        ("1/12/2019", "has 9 characters; a request takes 10 to 30"),
        (
            "2019-11-30T13:01:01.12345678901Z",
            "has 32 characters; a request takes 10 to 30",
        ),
        ("２０１９/11/30", FORM),
    ];
    check(&cases, Timestamp::parse_request);
    check(&cases, Timestamp::parse_prediction);
}

#[test]
fn a_prediction_may_have_a_fraction() {
    let cases = [
        ("2019-11-30T13:01:01.000Z", "2019-11-30T13:01:01Z"),
        ("2019-11-30T13:01:01.999999999Z", "2019-11-30T13:01:01Z"),
        ("2019-11-30T13:01:01.5", NO_ZONE),
        ("2019-11-30T13:01:01.5+00:00", OFFSET),
        ("2019-11-30 13:01:01.5", FRACTION),
        (
            "2019-11-30T13:01.5Z",
            "has `.5Z` after its end; nothing may follow",
        ),
    ];
    check(&cases, Timestamp::parse_prediction);
}

/// Five hours behind UTC, four from March 8 to November 1 of 2026.
fn new_york() -> TimeZone {
    TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
}

#[test]
fn a_feed_has_a_zone() {
    let cases = [
        // In the zone.
        ("2026-01-15", "2026-01-15T05:00:00Z"),
        ("1/15/2026", "2026-01-15T05:00:00Z"),
        ("1/15/26 1:30 PM", "2026-01-15T18:30:00Z"),
        ("2026-07-15 13:30:00", "2026-07-15T17:30:00Z"),
        ("2026-07-15 13:30:00.999", "2026-07-15T17:30:00Z"),
        ("2026-07-15T13:30:00", "2026-07-15T17:30:00Z"),
        ("2026-07-15T13:30:00.25", "2026-07-15T17:30:00Z"),
        ("2026-07-15T13:30", "2026-07-15T17:30:00Z"),
        // 2:30 did not happen on March 8, and 1:30 happened twice on November 1.
        ("2026-03-08 02:30:00", "2026-03-08T07:30:00Z"),
        ("2026-11-01 01:30:00", "2026-11-01T05:30:00Z"),
        // In the zone that is written.
        ("2026-07-15T13:30:00Z", "2026-07-15T13:30:00Z"),
        ("2026-07-15t13:30:00.123456789012z", "2026-07-15T13:30:00Z"),
        ("2026-07-15T13:30:00+02:00", "2026-07-15T11:30:00Z"),
        ("2026-07-15T00:30:00-05:30", "2026-07-15T06:00:00Z"),
        ("2026-07-15T13:30:00.5-00:00", "2026-07-15T13:30:00Z"),
        ("2026-07-15 13:30:00.5+0200", "2026-07-15T11:30:00Z"),
        ("2026-07-15 13:30:00+02", "2026-07-15T11:30:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        // Outside the range on one side of UTC only.
        (
            "1970-01-01T00:30:00+01:00",
            "is outside the years 1970 to 9999",
        ),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"),
        ("1969-12-31 23:30:00", "1970-01-01T04:30:00Z"),
        ("9999-12-31 23:59:59", "is outside the years 1970 to 9999"),
        // RFC 3339's parts do not mix with the other forms.
        ("7/15/2026 13:30:00Z", FORM),
        ("2026/07/15 13:30:00.5", FORM),
        ("2026-7-15 13:30:00+02:00", FORM),
        ("2026-07-15 1:30:00Z", FORM),
        ("2026-07-15T01:30:00 PM", FORM),
        (
            "2026-07-15T13:30:00+02:00[Europe/Paris]",
            "has `[Europe/Paris]` after its end; nothing may follow",
        ),
        (
            "2026-07-15T13:30:00+02:60",
            "has `+02:60` after its end; nothing may follow",
        ),
    ];
    check(&cases, |text| Timestamp::parse_in(text, &new_york()));
}

#[test]
fn a_file_is_in_utc() {
    let cases = [
        // Spark, pandas, and databases.
        ("2020-12-08 19:34:56.0", "2020-12-08T19:34:56Z"),
        ("2020-12-08 19:34:56.123456", "2020-12-08T19:34:56Z"),
        ("2020-12-08T19:34:56.000Z", "2020-12-08T19:34:56Z"),
        ("2020-12-08T19:34:56.000+01:00", "2020-12-08T18:34:56Z"),
        ("2020-12-08 19:34:56+00:00", "2020-12-08T19:34:56Z"),
        ("2020-12-08T19:34:56", "2020-12-08T19:34:56Z"),
        ("2020/12/08 19:34:56.0", FORM),
        (
            "2020-12-08 19:34:56.0 UTC",
            "has ` UTC` after its end; nothing may follow",
        ),
    ];
    check(&cases, Timestamp::parse_file);
    check(DOCUMENTED, Timestamp::parse_file);
    check(SHORT, Timestamp::parse_file);
    check(WRONG, Timestamp::parse_file);
}

#[test]
fn a_date_alone_has_no_clock_time() {
    for (text, _) in DOCUMENTED {
        let want = text.len() > "2019-11-30".len();
        assert_eq!(Timestamp::has_clock_time(text), want, "{text}");
    }
    for (text, _) in SHORT {
        assert!(!Timestamp::has_clock_time(text), "{text}");
    }
}

#[test]
fn errors_quote_one_short_line() {
    let cases = [
        ("tomorrow", format!("timestamp `tomorrow` {FORM}")),
        ("a\nb", format!("timestamp `a\\nb` {FORM}")),
        (
            &"x".repeat(41),
            format!("timestamp `{}…` {FORM}", "x".repeat(40)),
        ),
        ("", format!("timestamp `` {FORM}")),
    ];
    for (text, want) in cases {
        assert_eq!(Timestamp::parse(text).unwrap_err().to_string(), want);
    }
    let error = Timestamp::parse(&format!("2019-11-30{}", "x".repeat(50))).unwrap_err();
    let want = TimestampProblem::Trailing(format!("{}…", "x".repeat(40)));
    assert_eq!(*error.problem(), want);
}

#[test]
fn numbers() {
    let timestamp = Timestamp::parse("2019-11-30T13:01:01Z").unwrap();
    assert_eq!(timestamp.epoch_seconds(), 1_575_118_861);
    assert_eq!(timestamp.epoch_millis(), 1_575_118_861_000);
    assert_eq!(timestamp.date(), jiff::civil::date(2019, 11, 30));
    assert_eq!(Timestamp::from_epoch_seconds(1_575_118_861), Ok(timestamp));
    assert_eq!(
        Timestamp::from_epoch_seconds(Timestamp::MAX.epoch_seconds()),
        Ok(Timestamp::MAX)
    );
    for seconds in [i64::MIN, -1, Timestamp::MAX.epoch_seconds() + 1, i64::MAX] {
        assert_eq!(
            Timestamp::from_epoch_seconds(seconds)
                .unwrap_err()
                .to_string(),
            format!("timestamp `{seconds}` is outside the years 1970 to 9999"),
        );
    }
}

#[test]
fn jiff_instants_lose_their_fraction() {
    let cases = [
        ("2019-11-30T13:01:01.999Z", "2019-11-30T13:01:01Z"),
        ("1970-01-01T00:00:00.5Z", "1970-01-01T00:00:00Z"),
        (
            "1969-12-31T23:59:59.5Z",
            "is outside the years 1970 to 9999",
        ),
    ];
    check(&cases, |text| Timestamp::from_jiff(text.parse().unwrap()));
    assert_eq!(Timestamp::MAX.to_jiff(), jiff::Timestamp::MAX);
}

#[test]
fn json_holds_form_1_only() {
    let timestamp = Timestamp::parse("2019-11-30T13:01:01Z").unwrap();
    let json = "\"2019-11-30T13:01:01Z\"";
    assert_eq!(serde_json::to_string(&timestamp).unwrap(), json);
    assert_eq!(serde_json::from_str::<Timestamp>(json).unwrap(), timestamp);
    for json in [
        "\"2019-11-30\"",
        "\"2019/11/30 13:01:01\"",
        "\"2019-11-30T13:01:01.0Z\"",
        "1",
    ] {
        assert!(serde_json::from_str::<Timestamp>(json).is_err(), "{json}");
    }
}

/// Every way in which the forms may write one minute, if the year allows two digits.
fn spellings(at: DateTime) -> Vec<String> {
    let mut dates = Vec::new();
    let (year, month, day) = (at.year(), at.month(), at.day());
    let short = year % 100;
    for s in ['/', '-'] {
        for (month, day) in [
            (format!("{month:02}"), format!("{day:02}")),
            (month.to_string(), day.to_string()),
            (format!("{month:02}"), day.to_string()),
        ] {
            dates.push(format!("{year:04}{s}{month}{s}{day}"));
            dates.push(format!("{month}{s}{day}{s}{year:04}"));
            dates.push(format!("{month}{s}{day}{s}{short:02}"));
        }
    }
    let (hour, minute) = (at.hour(), at.minute());
    let half_hour = (hour + 11) % 12 + 1;
    let half = if hour < 12 { "AM" } else { "PM" };
    let mut clocks = Vec::new();
    for seconds in ["", ":00"] {
        clocks.push(format!("{hour}:{minute:02}{seconds}"));
        clocks.push(format!("{hour:02}:{minute:02}{seconds}"));
        clocks.push(format!("{half_hour}:{minute:02}{seconds} {half}"));
        clocks.push(format!("{half_hour:02}:{minute:02}{seconds} {half}"));
    }
    let mut all: Vec<_> = dates
        .iter()
        .flat_map(|date| clocks.iter().map(move |clock| format!("{date} {clock}")))
        .collect();
    if (hour, minute) == (0, 0) {
        all.extend(dates);
    }
    all
}

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.epoch_seconds..=Timestamp::MAX.epoch_seconds;
    seconds.prop_map(|seconds| Timestamp::from_epoch_seconds(seconds).unwrap())
}

proptest! {
    #[test]
    fn what_is_printed_is_read(timestamp in any_timestamp()) {
        let text = timestamp.to_string();
        prop_assert_eq!(text.len(), 20);
        prop_assert_eq!(Timestamp::parse(&text), Ok(timestamp));
        prop_assert_eq!(Timestamp::parse_request(&text), Ok(timestamp));
        prop_assert_eq!(Timestamp::parse_prediction(&text), Ok(timestamp));
        prop_assert_eq!(Timestamp::parse_in(&text, &new_york()), Ok(timestamp));
        let json = serde_json::to_string(&timestamp).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), timestamp);
    }

    #[test]
    fn text_is_ordered_as_time_is(a in any_timestamp(), b in any_timestamp()) {
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn jiff_agrees(seconds in 0..=jiff::Timestamp::MAX.as_second()) {
        let instant = jiff::Timestamp::from_second(seconds).unwrap();
        let timestamp = Timestamp::from_jiff(instant).unwrap();
        prop_assert_eq!(timestamp.to_jiff(), instant);
        prop_assert_eq!(timestamp.to_string(), instant.to_string());
    }

    #[test]
    fn every_spelling_means_the_same(
        // To the end of 2068, where two digits stop meaning 20xx; midnight one time in four.
        day in 0_i64..36_159, minute in prop_oneof![1 => Just(0_i64), 3 => 0_i64..1440],
    ) {
        let want = Timestamp::from_epoch_seconds(day * 86_400 + minute * 60).unwrap();
        for text in spellings(want.civil()) {
            prop_assert_eq!(Timestamp::parse(&text), Ok(want), "{}", text);
            prop_assert_eq!(Timestamp::parse_in(&text, &TimeZone::UTC), Ok(want), "{}", text);
        }
    }

    #[test]
    fn each_parser_accepts_what_a_stricter_one_does(
        text in "[0-9]{1,4}[/-][0-9]{1,2}[/-][0-9]{1,4}([Tt ][0-9]{1,2}(:[0-9]{2}){0,2}([.][0-9]{1,3})?( [AP]M)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?",
    ) {
        let feed = Timestamp::parse_in(&text, &TimeZone::UTC);
        for strict in [Timestamp::parse(&text), Timestamp::parse_prediction(&text)] {
            prop_assert!(strict.is_err() || strict == feed, "{}: {:?}, {:?}", text, strict, feed);
        }
        let request = Timestamp::parse_request(&text);
        prop_assert!(request.is_err() || request == Timestamp::parse(&text));
        prop_assert!(request.is_err() || request == Timestamp::parse_prediction(&text));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), head in 0_usize..=20) {
        for text in [&text, &format!("{}{text}", &"2019-11-30T13:01:01Z"[..head])] {
            let _ = Timestamp::parse(text);
            let _ = Timestamp::parse_prediction(text);
            let _ = Timestamp::parse_in(text, &new_york());
        }
    }
}
