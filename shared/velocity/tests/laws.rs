//! The laws of profiles: whatever the order of arrival, a profile gives what a sorted replay of all events gives.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rust_decimal::Decimal;
use velocity::{
    Added, Aggregate, AggregateValue, Amount, Function, KeyEvent, KeyKind, LARGEST_PROFILE, Layout,
    Profile, SlotId, Window,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// 2026-06-01, a whole day.
const START: i64 = 20_605 * DAY;

fn window(text: &str) -> Option<Window> {
    text.parse().ok()
}

/// One aggregate of each function, with and without a condition.
fn aggregates() -> Vec<Aggregate> {
    let with = |function, condition, window| Aggregate {
        function,
        condition,
        window,
    };
    let mut all = vec![
        with(Function::SinceFirst, None, None),
        with(Function::SinceLast, Some(0), None),
        with(Function::RatioToUsual(0), None, window("30d")),
    ];
    for text in ["1m", "1h", "1d", "7d", "90d"] {
        for function in [
            Function::Count,
            Function::Sum(0),
            Function::Mean(0),
            Function::Max(0),
            Function::Distinct(0),
        ] {
            all.push(with(function, None, window(text)));
            if !matches!(
                function,
                Function::Max(_) | Function::Sum(_) | Function::Mean(_)
            ) {
                all.push(with(function, Some(0), window(text)));
            }
        }
    }
    all
}

fn layout() -> Layout {
    let slot = |name: &str| vec![SlotId::of(name)];
    let layout = Layout::new(
        KeyKind::Profile,
        slot("price"),
        slot("email"),
        slot("declined"),
        aggregates(),
    );
    layout.unwrap()
}

fn event() -> impl Strategy<Value = KeyEvent> {
    let time = prop_oneof![
        3 => 0..DAY / 1_000,
        1 => 0..100 * DAY / 1_000,
    ];
    let numbers = prop::option::weighted(0.9, 0_i64..100_000);
    (
        time,
        numbers,
        prop::option::weighted(0.9, 0_u32..90),
        0_u32..2,
    )
        .prop_map(|(seconds, number, value, conditions)| KeyEvent {
            time: START + seconds * 1_000,
            id: 0,
            revision: (1, 0),
            numbers: vec![number.map(|cents| Amount::from_decimal(Decimal::new(cents, 2)))],
            values: vec![value],
            conditions,
            partners: vec![],
        })
}

/// Events with ids of their own.
fn events(most: usize) -> impl Strategy<Value = Vec<KeyEvent>> {
    prop::collection::vec(event(), 1..most).prop_map(|mut events| {
        for (id, event) in (1..).zip(&mut events) {
            event.id = id;
        }
        events
    })
}

/// What the definitions say, from all events.
fn replay(all: &[KeyEvent], event: &KeyEvent, aggregate: &Aggregate) -> Option<AggregateValue> {
    let from = aggregate
        .window
        .map_or(i64::MIN, |window| event.time - window.millis());
    let mut past: Vec<&KeyEvent> = all
        .iter()
        .filter(|it| (it.time, it.id) < (event.time, event.id) && it.id != event.id)
        .filter(|it| it.time >= from)
        .filter(|it| aggregate.condition.is_none() || it.conditions & 1 == 1)
        .collect();
    past.sort_by_key(|it| (it.time, it.id));
    let numbers: Vec<Decimal> = past
        .iter()
        .filter_map(|it| it.numbers[0].map(Amount::to_decimal))
        .collect();
    let sum: Decimal = numbers.iter().sum();
    match aggregate.function {
        Function::Count => Some(AggregateValue::Count(past.len() as u64)),
        Function::Sum(_) => Some(AggregateValue::Number(sum)),
        Function::Mean(_) => sum
            .checked_div(Decimal::from(numbers.len()))
            .map(|mean| AggregateValue::Number(mean.round_dp(4))),
        Function::Max(_) => numbers.into_iter().max().map(AggregateValue::Number),
        Function::Distinct(_) => {
            let values: BTreeSet<u32> = past.iter().filter_map(|it| it.values[0]).collect();
            Some(AggregateValue::Count(values.len().min(64) as u64))
        }
        Function::SinceFirst => past
            .first()
            .map(|first| AggregateValue::Millis(event.time - first.time)),
        Function::SinceLast => past
            .last()
            .map(|last| AggregateValue::Millis(event.time - last.time)),
        // What became known has laws of its own, in frauds_and_links.rs.
        Function::Fraud | Function::FraudRate => None,
        Function::RatioToUsual(_) => {
            let own = event.numbers[0]?.to_decimal();
            let mut sorted = numbers;
            sorted.sort();
            let (low, high) = match sorted.len() {
                0..3 => return None,
                length => (sorted[(length - 1) / 2], sorted[length / 2]),
            };
            let usual = (low + high) / Decimal::TWO;
            own.checked_div(usual)
                .filter(|_| usual > Decimal::ZERO)
                .map(|ratio| AggregateValue::Number(ratio.round_dp(4)))
        }
    }
}

fn add_all(layout: &Layout, arrivals: &[KeyEvent]) -> Profile {
    let mut profile = Profile::default();
    for event in arrivals {
        profile.add(layout, event);
    }
    profile
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Up to as many events as are kept whole: exact, in any order, with duplicates.
    #[test]
    fn a_profile_gives_what_a_sorted_replay_gives(
        (sent, arrivals) in events(32).prop_flat_map(|sent| {
            let mut arrivals = sent.clone();
            arrivals.extend(sent.iter().step_by(3).cloned());
            (Just(sent), Just(arrivals).prop_shuffle())
        }),
    ) {
        let layout = layout();
        prop_assert!(layout.whole_events() >= 32);
        let profile = add_all(&layout, &arrivals);
        for event in &sent {
            let got = layout.values_before(&[&profile], event);
            for (aggregate, got) in aggregates().iter().zip(got) {
                prop_assert_eq!(got, replay(&sent, event, aggregate), "{:?}", aggregate);
            }
        }
    }

    /// With more events: the same in any order, never more than happened, and less by no more than what happened in the
    /// hour or day in which the window begins.
    #[test]
    fn many_events_are_counted_within_the_stated_error(sent in events(120), shuffle in any::<u64>()) {
        let layout = layout();
        let mut random = fastrand::Rng::with_seed(shuffle);
        let mut arrivals = sent.clone();
        random.shuffle(&mut arrivals);
        let (profile, shuffled) = (add_all(&layout, &sent), add_all(&layout, &arrivals));
        let newest = sent.iter().map(|it| it.time).max().unwrap_or_default();
        let next = KeyEvent { id: 9_999, time: newest + 1, ..sent[0].clone() };
        let got = layout.values_before(&[&profile], &next);
        prop_assert_eq!(&got, &layout.values_before(&[&shuffled], &next));
        for (aggregate, got) in aggregates().iter().zip(got) {
            let exact = replay(&sent, &next, aggregate);
            let begins = aggregate.window.map_or(START, |window| next.time - window.millis());
            let unit = if newest - begins > 46 * 60 * MINUTE { DAY } else { 60 * MINUTE };
            let end = (begins.div_euclid(unit) + 1) * unit;
            let later: Vec<KeyEvent> = sent.iter().filter(|it| it.time >= end).cloned().collect();
            let least = replay(&later, &next, aggregate);
            match (aggregate.function, got, exact, least) {
                (Function::Mean(_) | Function::RatioToUsual(_), ..) => {}
                (
                    Function::Distinct(_),
                    Some(AggregateValue::Count(got)),
                    Some(AggregateValue::Count(exact)),
                    _,
                ) => prop_assert_eq!(got, exact),
                (
                    _,
                    Some(AggregateValue::Count(got)),
                    Some(AggregateValue::Count(exact)),
                    Some(AggregateValue::Count(least)),
                ) => prop_assert!((least..=exact).contains(&got), "{:?}", aggregate),
                (
                    _,
                    Some(AggregateValue::Number(got)),
                    Some(AggregateValue::Number(exact)),
                    Some(AggregateValue::Number(least)),
                ) => prop_assert!((least..=exact).contains(&got), "{:?}", aggregate),
                (Function::Max(_), _, _, _) => {}
                (_, got, exact, _) => prop_assert_eq!(got, exact, "{:?}", aggregate),
            }
        }
    }

    /// The binary form gives the profile back, and is never larger than it may be.
    #[test]
    fn the_binary_form_is_bounded_and_exact(sent in events(400)) {
        let layout = layout();
        let mut profile = add_all(&layout, &sent);
        let bytes = profile.to_bytes(&layout);
        prop_assert!(bytes.len() <= LARGEST_PROFILE);
        prop_assert_eq!(Profile::from_bytes(&layout, &bytes).unwrap(), profile);
    }

    /// Revisions that are huge numbers cost memory of the past, and nothing else.
    #[test]
    fn huge_revisions_do_not_make_a_profile_too_large(mut sent in events(400)) {
        let layout = layout();
        for event in &mut sent {
            event.revision = (u64::MAX, u32::MAX);
        }
        let mut profile = add_all(&layout, &sent);
        prop_assert!(profile.to_bytes(&layout).len() <= LARGEST_PROFILE);
    }

    /// Bytes of any kind are read or refused, and what is read can be used and written.
    #[test]
    fn damaged_bytes_are_refused_or_usable(
        sent in events(60), at in any::<prop::sample::Index>(), byte in any::<u8>(), next in event(),
    ) {
        let layout = layout();
        let mut bytes = add_all(&layout, &sent).to_bytes(&layout);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(mut profile) = Profile::from_bytes(&layout, &bytes) {
            profile.add(&layout, &next);
            layout.values_before(&[&profile], &next);
            drop(profile.to_bytes(&layout));
        }
        drop(Profile::from_bytes(&layout, &bytes[..at]));
    }

    /// Each event counts once, however many revisions arrive in whatever order; as long as no event is only part of a
    /// count, with what its last revision says.
    #[test]
    fn an_event_of_several_revisions_counts_once(
        (sent, arrivals) in (2_usize..100).prop_flat_map(events).prop_flat_map(|sent| {
            let revise = |event: &KeyEvent| KeyEvent {
                revision: (2, 0),
                time: event.time + 1_000,
                conditions: 1 - event.conditions,
                ..event.clone()
            };
            let mut arrivals = sent.clone();
            arrivals.extend(sent.iter().step_by(4).map(revise));
            (Just(sent), Just(arrivals).prop_shuffle())
        }),
    ) {
        let layout = layout();
        let profile = add_all(&layout, &arrivals);
        let next = KeyEvent { id: 9_999, time: START + 101 * DAY, ..sent[0].clone() };
        let value = |condition| {
            let counts = Aggregate { function: Function::Count, condition, window: window("90d") };
            let at = layout.aggregates().iter().position(|it| *it == counts).unwrap();
            match layout.values_before(&[&profile], &next)[at] {
                Some(AggregateValue::Count(count)) => count,
                other => panic!("{other:?}"),
            }
        };
        let begins = next.time - 90 * DAY;
        let mut last: BTreeMap<u32, KeyEvent> = BTreeMap::new();
        for event in arrivals.iter().chain(&sent) {
            let kept = last.entry(event.id).or_insert_with(|| event.clone());
            if kept.revision < event.revision {
                *kept = event.clone();
            }
        }
        let since = |time: i64| last.values().filter(|it| it.time >= time).count() as u64;
        if sent.len() <= layout.whole_events() {
            let declined = last.values().filter(|it| it.time >= begins && it.conditions == 1);
            prop_assert_eq!(value(None), since(begins));
            prop_assert_eq!(value(Some(0)), declined.count() as u64);
        } else {
            let first_whole_day = (begins.div_euclid(DAY) + 1) * DAY;
            // The earlier revision of an event may be what is counted, a second before the later one.
            prop_assert!((since(first_whole_day + 2_000)..=since(begins - 2_000)).contains(&value(None)));
        }
    }
}

#[test]
fn many_keys_give_what_a_sorted_replay_gives() {
    let layout = layout();
    let mut random = fastrand::Rng::with_seed(7);
    let mut sent: BTreeMap<u32, Vec<KeyEvent>> = BTreeMap::new();
    let mut arrivals = Vec::new();
    for id in 0..100_000 {
        let key = random.u32(0..5_000);
        let event = KeyEvent {
            time: START + random.i64(0..3 * DAY / 1_000) * 1_000,
            id,
            revision: (1, 0),
            numbers: vec![Some(Amount::from_decimal(Decimal::new(
                random.i64(0..90_000),
                2,
            )))],
            values: vec![Some(random.u32(0..20))],
            conditions: random.u32(0..2),
            partners: vec![],
        };
        sent.entry(key).or_default().push(event.clone());
        arrivals.extend(vec![(key, event); if id % 10 == 0 { 2 } else { 1 }]);
    }
    random.shuffle(&mut arrivals);
    let mut profiles: BTreeMap<u32, Profile> = BTreeMap::new();
    for (key, event) in &arrivals {
        profiles.entry(*key).or_default().add(&layout, event);
    }
    let mut exact_keys = 0;
    for (key, sent) in &sent {
        if sent.len() > layout.whole_events() {
            continue;
        }
        exact_keys += 1;
        let event = random.choice(sent).unwrap();
        let got = layout.values_before(&[&profiles[key]], event);
        for (aggregate, got) in aggregates().iter().zip(got) {
            assert_eq!(got, replay(sent, event, aggregate), "{aggregate:?}");
        }
    }
    assert!(exact_keys > 4_900, "{exact_keys}");
}

#[test]
fn an_event_counts_once_while_its_id_is_remembered() {
    let layout = layout();
    let event = |id: u32| KeyEvent {
        id,
        time: START + i64::from(id) * 1_000,
        ..KeyEvent::default()
    };
    let mut profile = Profile::default();
    let add = |profile: &mut Profile, id| profile.add(&layout, &event(id));
    assert_eq!(add(&mut profile, 1), Added::New);
    assert_eq!(add(&mut profile, 1), Added::Known);
    for id in 2..=128 {
        assert_eq!(add(&mut profile, id), Added::New);
    }
    assert_eq!(add(&mut profile, 1), Added::Known);
    assert_eq!(add(&mut profile, 129), Added::New);
    // Its id is the first that was forgotten.
    assert_eq!(add(&mut profile, 1), Added::NewOrForgotten);
}

#[test]
fn a_million_distinct_values_are_at_least_64() {
    let layout = layout();
    let mut profile = Profile::default();
    let event = |id: u32| KeyEvent {
        id,
        time: START + i64::from(id),
        values: vec![Some(id)],
        ..KeyEvent::default()
    };
    for id in 0..1_000_000 {
        profile.add(&layout, &event(id));
    }
    assert!(profile.to_bytes(&layout).len() <= LARGEST_PROFILE);
    let of_all = Aggregate {
        function: Function::Distinct(0),
        condition: None,
        window: window("1d"),
    };
    let at = layout
        .aggregates()
        .iter()
        .position(|it| *it == of_all)
        .unwrap();
    let values = layout.values_before(&[&profile], &event(1_000_000));
    assert_eq!(values[at], Some(AggregateValue::Count(64)));
}

/// Late events that are only counted push the id of one out that is still whole.
#[test]
fn an_event_that_is_whole_is_known_without_its_id() {
    let layout = layout();
    let event = |id: u32, time: i64| KeyEvent {
        id,
        time,
        ..KeyEvent::default()
    };
    let newest = event(1, START + 10 * DAY);
    let mut profile = Profile::default();
    profile.add(&layout, &newest);
    for id in 2..=300 {
        profile.add(&layout, &event(id, START + i64::from(id)));
    }
    assert_eq!(profile.add(&layout, &newest), Added::Known);
    assert!(profile.take_out(&layout, 1, (9, 0), &[]));
    assert_eq!(profile.add(&layout, &newest), Added::Known);
}

#[test]
fn a_revision_that_has_another_key_is_taken_out() {
    let layout = layout();
    let old = KeyEvent {
        id: 1,
        time: START,
        revision: (1, 0),
        ..KeyEvent::default()
    };
    let next = KeyEvent {
        id: 2,
        time: START + 1,
        ..KeyEvent::default()
    };
    let mut profile = Profile::default();
    profile.add(&layout, &old);
    assert!(profile.take_out(&layout, 1, (2, 0), &[]));
    assert!(!profile.take_out(&layout, 1, (2, 0), &[]));
    assert_eq!(profile.add(&layout, &old), Added::Known);
    assert!(layout.values_before(&[&profile], &next)[0].is_none());
}

/// An aggregate that is added knows nothing of the events until then; the others go on.
#[test]
fn a_profile_stays_readable_when_aggregates_change() {
    let count = |condition| Aggregate {
        function: Function::Count,
        condition,
        window: window("1d"),
    };
    let sum = Aggregate {
        function: Function::Sum(0),
        condition: None,
        window: window("1d"),
    };
    let slots = |names: &[&str]| {
        names
            .iter()
            .map(|name| SlotId::of(name))
            .collect::<Vec<_>>()
    };
    let old = Layout::new(
        KeyKind::Profile,
        vec![],
        vec![],
        slots(&["declined"]),
        vec![count(None), count(Some(0))],
    )
    .unwrap();
    let new = Layout::new(
        KeyKind::Profile,
        slots(&["price"]),
        vec![],
        slots(&["gift", "declined"]),
        vec![sum, count(Some(0)), count(Some(1)), count(None)],
    )
    .unwrap();
    let mut profile = Profile::default();
    for id in 1..=100 {
        let event = KeyEvent {
            id,
            time: START + i64::from(id) * 1_000,
            conditions: id % 2,
            ..KeyEvent::default()
        };
        profile.add(&old, &event);
    }
    let bytes = profile.to_bytes(&old);
    let mut profile = Profile::from_bytes(&new, &bytes).unwrap();
    let next = KeyEvent {
        id: 200,
        time: START + 200_000,
        numbers: vec![Some(Amount::from_decimal(Decimal::TEN))],
        conditions: 1,
        ..KeyEvent::default()
    };
    profile.add(&new, &next);
    let last = KeyEvent {
        id: 300,
        time: START + 300_000,
        ..KeyEvent::default()
    };
    let values = new.values_before(&[&profile], &last);
    let texts: Vec<String> = values
        .iter()
        .map(|value| value.map(|value| value.to_string()).unwrap_or_default())
        .collect();
    assert_eq!(texts, ["10", "1", "50", "101"]);
}

/// A hub counts by hour and day in several profiles; an event does not see itself.
#[test]
fn a_hub_counts_without_its_own_event() {
    let count = Aggregate {
        function: Function::Count,
        condition: None,
        window: window("1d"),
    };
    let hub = Layout::new(KeyKind::Hub, vec![], vec![], vec![], vec![count]).unwrap();
    let mut shards = vec![Profile::default(); hub.shards() as usize];
    let event = |id: u32| KeyEvent {
        id,
        time: START + i64::from(id) * 1_000,
        ..KeyEvent::default()
    };
    for id in 0..1_000 {
        let shard = hub.shard_of(id) as usize;
        shards[shard].add(&hub, &event(id));
    }
    let profiles: Vec<&Profile> = shards.iter().collect();
    let count = |id| hub.values_before(&profiles, &event(id))[0];
    assert_eq!(count(999), Some(AggregateValue::Count(999)));
    assert_eq!(count(1_000), Some(AggregateValue::Count(1_000)));
}

#[test]
fn a_layout_that_cannot_be_kept_is_refused() {
    #[track_caller]
    fn check(kind: KeyKind, aggregates: Vec<Aggregate>, want: &str) {
        let slots: Vec<SlotId> = (0..12).map(|n| SlotId::of(&n.to_string())).collect();
        let made = Layout::new(kind, slots.clone(), slots, vec![], aggregates);
        assert_eq!(made.unwrap_err().to_string(), want);
    }
    let with = |function, window| Aggregate {
        function,
        condition: None,
        window,
    };
    check(
        KeyKind::Hub,
        vec![with(Function::SinceLast, None)],
        "a hub is counted by hour and day, and has no `since_last`; use count, sum, mean, distinct, fraud or fraud_rate, or make it no hub",
    );
    check(
        KeyKind::Profile,
        vec![with(Function::Count, None)],
        "`count` needs a window, such as 7d",
    );
    check(
        KeyKind::Profile,
        vec![with(Function::SinceFirst, window("1d"))],
        "`since_first` looks back without limit; leave the window out",
    );
    let many = (0..12).map(|n| with(Function::Distinct(n), window("1d")));
    let error = Layout::new(
        KeyKind::Profile,
        vec![],
        (0..12).map(|n| SlotId::of(&n.to_string())).collect(),
        vec![],
        many.collect(),
    );
    assert!(matches!(error, Err(velocity::LayoutError::TooLarge(_))));
}
