//! A model from raw strings: one score, one explanation, and reading an artifact.

#![expect(clippy::panic, reason = "a benchmark stops on an error")]

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{Criterion, criterion_group, criterion_main};
use model::{
    Attribution, Dataset, EventLabel, EventRow, LabelsAre, Model, TrainingOptions, Variable,
    VariableType, train_model,
};

const ROWS: u64 = 20_000;

/// An order like those of a shop: address, e-mail, browser, sums, dates, places.
fn event(n: u64) -> ([String; 12], bool) {
    let r = n
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(31)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let part = |shift: u32, of: u64| (r >> shift) % of;
    let fraud = part(3, 20) == 0;
    let bad = fraud && part(7, 3) > 0;
    let values = [
        format!(
            "{}.{}.{}.{}",
            if bad { 66 } else { part(8, 220) },
            part(16, 256),
            part(24, 256),
            part(32, 256)
        ),
        format!("user.name{}@example{}.com", part(5, 4000), part(11, 40)),
        format!("+1415{:07}", part(13, 10_000_000)),
        format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
            90 + part(17, 30)
        ),
        format!(
            "{}.{:02}",
            part(19, 500) + if bad { 300 } else { 0 },
            part(23, 100)
        ),
        format!("{}{:03}", part(27, 90) + 10, part(29, 1000)),
        format!("{}{:03}", part(27, 90) + 10, part(35, 1000)),
        format!("4{:05}", part(37, 3000)),
        ["electronics", "books", "clothes", "toys"][usize::try_from(part(41, 4)).unwrap_or(0)]
            .to_owned(),
        format!("2025-0{}-1{}T09:00:00Z", 1 + part(43, 9), part(45, 10)),
        format!("{} Main Street, Apartment {}", part(47, 900), part(49, 60)),
        part(51, 30).to_string(),
    ];
    (values, fraud)
}

fn trained() -> Model {
    use VariableType as T;
    let kinds = [
        T::IpAddress,
        T::EmailAddress,
        T::PhoneNumber,
        T::UserAgent,
        T::Price,
        T::BillingZip,
        T::ShippingZip,
        T::CardBin,
        T::ProductCategory,
        T::DateTime,
        T::BillingAddressL1,
        T::Numeric,
    ];
    let variables = kinds
        .iter()
        .map(|kind| Variable::new(kind.as_str().to_lowercase(), *kind));
    let mut dataset = Dataset::new(variables.collect());
    for n in 0..ROWS {
        let (values, fraud) = event(n);
        let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        let row = EventRow {
            values: &values,
            event_time: i64::try_from(n * 600 + 1_750_000_000).ok(),
            label: if fraud {
                EventLabel::Fraud
            } else {
                EventLabel::Legit
            },
            ..EventRow::default()
        };
        assert!(dataset.push(&row).is_ok());
    }
    let options = TrainingOptions {
        labels_are: LabelsAre::Final,
        budget_trees: 400,
        ..TrainingOptions::default()
    };
    match train_model(&dataset, &options, &mut |_| ControlFlow::Continue(())) {
        Ok((model, _)) => model,
        Err(error) => panic!("{error}"),
    }
}

fn benches(criterion: &mut Criterion) {
    let model = trained();
    let bytes = model.to_bytes();
    println!("{model:?}, {} bytes", bytes.len());
    let events: Vec<[String; 12]> = (ROWS..ROWS + 512).map(|n| event(n).0).collect();
    let events: Vec<Vec<Option<&str>>> = events
        .iter()
        .map(|values| values.iter().map(|value| Some(value.as_str())).collect())
        .collect();
    let time = Some(1_760_000_000);
    let mut group = criterion.benchmark_group("model");
    let mut next = events.iter().cycle();
    let mut event = move || next.next().map_or(&[][..], Vec::as_slice);
    group.bench_function("encode", |b| {
        let mut row = Vec::new();
        b.iter(|| model.encode(event(), time, &[], black_box(&mut row)));
    });
    group.bench_function("score", |b| b.iter(|| model.score(event(), time, &[])));
    group.bench_function("explain", |b| {
        b.iter(|| model.explain(event(), time, &[], Attribution::Path));
    });
    group.bench_function("from_bytes", |b| {
        b.iter(|| Model::from_bytes(black_box(&bytes)).is_ok());
    });
    group.finish();
}

criterion_group!(model, benches);
criterion_main!(model);
