//! What an order costs: reading, adding to and writing the profiles of six keys with twenty events each.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop on an error")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use velocity::{Aggregate, Function, KeyEvent, KeyKind, Layout, Profile, SlotId};

fn layout() -> Layout {
    let window = |text: &str| text.parse().ok();
    let with = |function, condition, window| Aggregate {
        function,
        condition,
        window,
    };
    let aggregates = vec![
        with(Function::Count, None, window("1h")),
        with(Function::Count, None, window("1d")),
        with(Function::Count, Some(0), window("1d")),
        with(Function::Sum(0), None, window("7d")),
        with(Function::Distinct(0), None, window("30d")),
        with(Function::Distinct(1), None, window("30d")),
        with(Function::SinceFirst, None, None),
        with(Function::RatioToUsual(0), None, window("90d")),
    ];
    let slots = |names: &[&str]| names.iter().map(|name| SlotId::of(name)).collect();
    Layout::new(
        KeyKind::Profile,
        slots(&["price"]),
        slots(&["email", "device"]),
        slots(&["declined"]),
        aggregates,
    )
    .unwrap()
}

fn event(id: u32) -> KeyEvent {
    KeyEvent {
        id,
        time: 1_780_000_000_000 + i64::from(id) * 7_200_000,
        revision: (1, 0),
        numbers: vec![Some(velocity::Amount::from_decimal(id.into()))],
        values: vec![Some(id % 5), Some(id % 3)],
        conditions: id % 2,
        partners: vec![],
    }
}

fn bench(criterion: &mut Criterion) {
    let layout = layout();
    let mut profile = Profile::default();
    for id in 0..20 {
        profile.add(&layout, &event(id));
    }
    let bytes = profile.to_bytes(&layout);
    let next = event(20);
    criterion.bench_function("six keys of twenty events", |bencher| {
        bencher.iter(|| {
            for _ in 0..6 {
                let read = Profile::from_bytes(&layout, black_box(&bytes));
                let mut profile = read.unwrap_or_default();
                profile.add(&layout, &next);
                black_box(layout.values_before(&[&profile], &next));
                black_box(profile.to_bytes(&layout));
            }
        });
    });
    println!("a profile of twenty events has {} bytes", bytes.len());
    for id in 20..200 {
        let before = profile.to_bytes(&layout).len();
        profile.add(&layout, &event(id));
        if before <= 1_024 && profile.to_bytes(&layout).len() > 1_024 {
            println!("with {} events it is larger than a kilobyte", id + 1);
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
