use proptest::prelude::*;

use super::{
    CATEGORIES, DAY, EntityEvent, EntityHistory, HISTORY_FEATURES, LARGEST_HISTORY, PLACES, Place,
    RECENT_EVENTS, REMEMBERED_IDS, TrackedFields, WINDOWS, hash_id,
};

const START: i64 = 1_780_000_000;

fn event(id: u32, time: i64, price: f32, category: u32) -> EntityEvent {
    EntityEvent {
        time: START + time,
        id,
        price: Some(price),
        categories: [Some(category), None, None, None, None],
        places: [None; PLACES],
    }
}

fn feature(profile: &EntityHistory, event: &EntityEvent, name: &str) -> f64 {
    let features = TrackedFields::new([], &[]).features();
    let at = features
        .iter()
        .position(|feature| feature.name == name)
        .unwrap();
    f64::from(profile.features(event)[at])
}

#[track_caller]
fn check(profile: &EntityHistory, event: &EntityEvent, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let found = feature(profile, event, name);
        let equal = found.is_nan() && expected.is_nan()
            || (found - expected).abs() <= 1e-6 * expected.abs();
        assert!(equal, "{name} is {found}, not {expected}");
    }
}

#[test]
fn an_unknown_entity_has_no_history() {
    let expected = [
        ("count", 0.0),
        ("count 90d", 0.0),
        ("seconds since last", f64::NAN),
        ("price to mean", f64::NAN),
        ("bad", 0.0),
        ("seconds since bad", f64::NAN),
        ("distinct 1", 0.0),
        ("same 1", f64::NAN),
    ];
    check(&EntityHistory::default(), &event(1, 0, 9.0, 1), &expected);
}

#[test]
fn the_history_of_three_events() {
    let mut profile = EntityHistory::default();
    for event in [
        event(1, 0, 10.0, 7),
        event(2, DAY, 20.0, 7),
        event(3, 2 * DAY, 60.0, 8),
    ] {
        assert!(profile.add(event));
    }
    profile.note_label(1, true, START + DAY);
    let next = event(4, 2 * DAY + 1800, 90.0, 7);
    let expected = [
        ("count 1h", 1.0),
        ("sum 1h", 60.0),
        ("count 1d", 1.0),
        ("count 7d", 3.0),
        ("sum 7d", 90.0),
        ("count", 3.0),
        ("seconds since last", 1800.0),
        ("seconds since first", 174_600.0),
        ("price to mean", 3.0),
        ("price to highest", 1.5),
        ("bad", 1.0),
        ("seconds since bad", 88_200.0),
        ("bad 7d", 1.0),
        ("bad 30d", 1.0),
        ("share of bad", 1.0 / 3.0),
        ("distinct 1", 2.0),
        ("same 1", 2.0 / 3.0),
        ("distinct 2", 0.0),
    ];
    check(&profile, &next, &expected);
    // An event's features do not change when the event itself is added, or later ones.
    let before = format!("{:?}", profile.features(&next));
    profile.add(next);
    profile.add(event(5, 3 * DAY, 1.0, 1));
    profile.note_label(2, true, START + 3 * DAY);
    assert_eq!(before, format!("{:?}", profile.features(&next)));
    // A label that is taken back.
    profile.note_label(1, false, START + DAY);
    check(&profile, &next, &[("bad", 0.0)]);
}

#[test]
fn a_busy_entity_is_counted_to_the_day() {
    let mut profile = EntityHistory::default();
    for number in 0..1000 {
        profile.add(event(number, i64::from(number) * 3600, 2.0, 1));
    }
    let next = event(5000, 1000 * 3600, 2.0, 1);
    check(
        &profile,
        &next,
        &[
            ("count", 1000.0),
            ("count 1d", 24.0),
            ("price to mean", 1.0),
        ],
    );
    let month = feature(&profile, &next, "count 30d");
    assert!(
        (30.0 * 24.0 - 24.0..=30.0 * 24.0).contains(&month),
        "{month}"
    );
}

#[test]
fn a_forgotten_event_is_taken_out_and_stays_out() {
    let mut profile = EntityHistory::default();
    for event in [event(1, 0, 10.0, 7), event(2, 60, 20.0, 8)] {
        profile.add(event);
        profile.note_label(event.id, true, event.time);
    }
    profile.forget_event(1);
    let next = event(3, DAY, 30.0, 7);
    check(
        &profile,
        &next,
        &[("count", 1.0), ("sum 7d", 20.0), ("bad", 1.0)],
    );
    assert!(!profile.add(event(1, 0, 10.0, 7)), "it comes again");
    assert!(!profile.keeps_none_whole());
    profile.forget_event(2);
    assert!(profile.keeps_none_whole());
}

#[test]
fn what_was_stored_completes_what_was_noted() {
    let numbered = |numbers: std::ops::Range<u32>| {
        let event = |number| event(number, i64::from(number) * 60, 1.0, 1);
        profile(&numbers.map(event).collect::<Vec<_>>())
    };
    // Ten events are in both.
    let mut noted = numbered(20..40);
    noted.note_label(25, true, START);
    let all = noted.completed_by(&numbered(0..30));
    assert_eq!(all.event_count(), 40);
    check(
        &all,
        &event(99, DAY, 1.0, 1),
        &[("bad", 1.0), ("count 1d", 40.0)],
    );
    // The stored events may cover a short time only.
    let noted = numbered(0..200);
    assert_eq!(noted.completed_by(&numbered(190..200)), noted);
}

#[test]
fn a_key_that_moves() {
    let at = |id, hours: i64, latitude, longitude| EntityEvent {
        places: [Place::new(latitude, longitude), None],
        ..event(id, hours * 3600, 1.0, 1)
    };
    let home = [
        at(1, 0, 52.5, 13.4),
        at(2, 24, 52.5, 13.4),
        at(3, 48, 48.1, 11.6),
    ];
    let mut history = profile(&home);
    // In Munich, then two hours later in New York; usually in Berlin.
    let far = at(4, 50, 40.7, -74.0);
    let found = history.place_features(&far, 0);
    for (found, expected) in found.iter().zip([6385.0, 6490.0, 3245.0]) {
        assert!((found - expected).abs() < 20.0, "{found} is not {expected}");
    }
    assert!(history.place_features(&far, 1).iter().all(|it| it.is_nan()));
    // What is taken out counts no more, also where a place is all that is left of the day before.
    history.forget_event(3);
    let [_, moved, _] = history.place_features(&far, 0);
    assert!((moved - 6385.0).abs() < 20.0, "{moved}");
    // A history of a release without places.
    let text = serde_json::to_string(&profile(&[event(1, 0, 1.0, 1)])).unwrap();
    assert!(!text.contains("\"p\""), "{text}");
    let old: EntityHistory = serde_json::from_str(&text).unwrap();
    assert!(old.place_features(&far, 0).iter().all(|it| it.is_nan()));
}

#[test]
fn keys_stay_the_same() {
    assert_eq!(hash_id(""), 0xe3b0_c442);
}

fn events(most: usize) -> impl Strategy<Value = Vec<EntityEvent>> {
    let event = (
        -200 * DAY..200 * DAY,
        prop::option::of(prop_oneof![0.0..1e6_f32, Just(f32::NAN), Just(f32::MAX)]),
        prop::array::uniform5(prop::option::of(prop_oneof![0..4_u32, any::<u32>()])),
        prop::array::uniform2(prop::option::of((-90.0..90.0_f64, -180.0..180.0_f64))),
    );
    prop::collection::vec(event, 0..most).prop_map(|events| {
        let event =
            |(id, (time, price, categories, places)): (u32, (_, _, _, [Option<_>; PLACES]))| {
                EntityEvent {
                    time: START + time,
                    id: u32::MAX - id,
                    price,
                    categories,
                    places: places.map(|at| at.and_then(|(north, east)| Place::new(north, east))),
                }
            };
        (0..).zip(events).map(event).collect()
    })
}

fn profile(events: &[EntityEvent]) -> EntityHistory {
    let mut profile = EntityHistory::default();
    for event in events {
        profile.add(*event);
    }
    profile
}

fn text(features: &[f32]) -> String {
    format!("{features:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn redelivery_changes_nothing(events in events(2 * REMEMBERED_IDS), at in any::<prop::sample::Index>()) {
        let mut found = profile(&events);
        prop_assert_eq!(found.event_count(), events.len() as u64);
        let before = found.clone();
        let last = &events[events.len().saturating_sub(REMEMBERED_IDS)..];
        if !last.is_empty() {
            prop_assert!(!found.add(last[at.index(last.len())]));
        }
        prop_assert_eq!(found, before);
    }

    #[test]
    fn size_is_bounded(events in events(1200)) {
        let mut profile = profile(&events);
        for event in &events {
            profile.note_label(event.id, true, event.time);
        }
        let json = serde_json::to_string(&profile).unwrap();
        prop_assert!(json.len() <= LARGEST_HISTORY, "{}", json.len());
        prop_assert_eq!(serde_json::from_str::<EntityHistory>(&json).unwrap(), profile);
    }

    #[test]
    fn size_is_bounded_for_the_longest_numbers(price in prop_oneof![Just(f32::MAX), Just(-1.234_567_8e-30)]) {
        let end = 253_402_300_799;
        let mut profile = EntityHistory::default();
        for number in 0..20_000_u32 {
            let id = u32::MAX - number;
            profile.add(EntityEvent {
                time: end - i64::from(number % 140) * DAY,
                id,
                price: Some(price),
                categories: [Some(id); CATEGORIES],
                places: [Place::new(90.0, 179.99); PLACES],
            });
            profile.note_label(id, true, end - i64::from(number % 140));
        }
        let json = serde_json::to_string(&profile).unwrap();
        prop_assert!(json.len() <= LARGEST_HISTORY, "{}", json.len());
        prop_assert_eq!(serde_json::from_str::<EntityHistory>(&json).unwrap(), profile);
    }

    /// An event's features depend only on the events before it, whatever the order of arrival and whatever came later.
    #[test]
    fn features_are_those_of_the_time(events in events(RECENT_EVENTS), order in any::<prop::sample::Index>()) {
        let mut turned = events.clone();
        turned.rotate_left(order.index(events.len().max(1)));
        let all = profile(&turned);
        for event in &events {
            let mut prefix: Vec<EntityEvent> = events.iter().filter(|other| other.time < event.time).copied().collect();
            prefix.sort_by_key(|event| (event.time, event.id));
            prop_assert_eq!(text(&all.features(event)), text(&profile(&prefix).features(event)));
            for place in 0..PLACES {
                let of = |history: &EntityHistory| text(&history.place_features(event, place));
                prop_assert_eq!(of(&all), of(&profile(&prefix)));
            }
            for (name, seconds) in WINDOWS {
                let count = prefix.iter().filter(|other| other.time >= event.time - seconds).count();
                let found = feature(&all, event, &format!("count {name}"));
                prop_assert!((found - f64::from(u32::try_from(count).unwrap())).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn each_feature_has_a_name(events in events(60)) {
        if let Some(event) = events.first() {
            prop_assert_eq!(profile(&events).features(event).len(), HISTORY_FEATURES);
        }
        prop_assert_eq!(TrackedFields::new([], &[]).features().len(), HISTORY_FEATURES);
    }
}
