//! What a score promises holds on events that the model was not trained on: of legitimate events, 1 % score 950 or more.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::ops::ControlFlow;

use model::history::TrackedFields;
use model::{
    Dataset, EntityHistories, EventLabel, EventRow, LabelsAre, Model, TrainingError,
    TrainingOptions, TrainingReport, Variable, VariableType, train_model,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const DAY: i64 = 86_400;
/// The days of the whole set; the first two thirds train.
const DAYS: i64 = 180;
/// So many legitimate events are measured, at least.
const MEASURED: usize = 4000;

/// An event without its time.
struct Drawn {
    values: Vec<Option<String>>,
    entity: Option<String>,
    fraud: bool,
}

/// One event of a set.
struct Event {
    time: i64,
    drawn: Drawn,
}

/// Draws an event at a share of the whole time, from 0 to 1.
type Draw = fn(&mut ChaCha8Rng, f64) -> Drawn;

/// How a set is made: its variables, how many events train, and how events are drawn.
struct Set {
    name: &'static str,
    variables: Vec<Variable>,
    trained: usize,
    has_times: bool,
    draw: Draw,
}

/// An event without an entity.
fn drawn<const N: usize>(values: [String; N], fraud: bool) -> Drawn {
    Drawn {
        values: values.into_iter().map(Some).collect(),
        entity: None,
        fraud,
    }
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}

/// About normal: the sum of twelve numbers from 0 to 1.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Fraud with a probability that rises with `strength` and is `rate` on average, about.
fn is_fraud(random: &mut ChaCha8Rng, strength: f64, rate: f64) -> bool {
    let odds = rate / (1.0 - rate) * (1.8 * strength - 1.6).exp();
    random.random::<f64>() < odds / (1.0 + odds)
}

fn numbers(random: &mut ChaCha8Rng, rate: f64) -> Drawn {
    let x: [f64; 5] = std::array::from_fn(|_| normal(random));
    let fraud = is_fraud(random, x[0] + 0.7 * x[1] * x[2], rate);
    drawn(x.map(number), fraud)
}

fn of(kinds: &[VariableType]) -> Vec<Variable> {
    let variable = |(at, kind): (usize, &VariableType)| Variable::new(format!("v{at}"), *kind);
    kinds.iter().enumerate().map(variable).collect()
}

fn set(name: &'static str, kinds: &[VariableType], trained: usize, draw: Draw) -> Set {
    Set {
        name,
        variables: of(kinds),
        trained,
        has_times: true,
        draw,
    }
}

const NUMERIC: [VariableType; 5] = [VariableType::Numeric; 5];

/// Sets of numbers, with more or less fraud.
fn sets_of_numbers() -> Vec<Set> {
    let set = |name, trained, draw| set(name, &NUMERIC, trained, draw);
    vec![
        set("few events", 1500, |random, _| numbers(random, 0.12)),
        set("numbers", 6000, |random, _| numbers(random, 0.05)),
        set("many events", 25_000, |random, _| numbers(random, 0.03)),
        set("rare fraud", 20_000, |random, _| numbers(random, 0.006)),
        set("much fraud", 3000, |random, _| numbers(random, 0.3)),
        set("more fraud every month", 8000, |random, at| {
            numbers(random, 0.02 + 0.1 * at)
        }),
        set("less fraud every month", 8000, |random, at| {
            numbers(random, 0.12 - 0.1 * at)
        }),
        Set {
            has_times: false,
            ..set("without times", 6000, |random, _| numbers(random, 0.05))
        },
        set("labels by chance", 8000, |random, _| Drawn {
            fraud: random.random_bool(0.05),
            ..numbers(random, 0.05)
        }),
        set("missing values", 8000, |random, _| {
            let mut event = numbers(random, 0.05);
            for value in &mut event.values {
                if random.random_bool(if event.fraud { 0.5 } else { 0.3 }) {
                    *value = None;
                }
            }
            event
        }),
    ]
}

/// Sets of other types of variables.
fn sets_of_other_types() -> Vec<Set> {
    use VariableType as T;
    vec![
        set(
            "rising prices",
            &[T::Price, T::Numeric],
            8000,
            |random, at| {
                let (price, other) = (normal(random), normal(random));
                let fraud = is_fraud(random, price + other, 0.05);
                drawn(
                    [number((3.0 + price + 0.5 * at).exp()), number(other)],
                    fraud,
                )
            },
        ),
        set(
            "categories",
            &[T::Categorical, T::CardBin, T::Numeric],
            8000,
            |random, _| {
                let (shop, bin) = (random.random_range(0..40), random.random_range(0..900));
                let x = normal(random);
                let strength =
                    x + f64::from(u8::from(shop < 4)) * 1.5 + f64::from(bin % 7) / 4.0 - 1.0;
                let fraud = is_fraud(random, strength, 0.04);
                drawn(
                    [format!("s{shop}"), (400_000 + bin).to_string(), number(x)],
                    fraud,
                )
            },
        ),
        set("texts", &[T::FreeFormText, T::Numeric], 6000, draw_text),
        set(
            "few different values",
            &[T::Categorical; 2],
            6000,
            |random, _| {
                let (one, other) = (random.random_range(0..3), random.random_range(0..4));
                let fraud = is_fraud(random, f64::from(one + other) - 2.5, 0.05);
                drawn([format!("a{one}"), format!("b{other}")], fraud)
            },
        ),
        set("entities", &[T::Price, T::IpAddress], 8000, |random, _| {
            let customer = random.random_range(0..1200);
            let price = (3.0 + normal(random)).exp();
            let strength = f64::from(u8::from(customer % 15 == 0)) * 2.0 + price.ln() - 3.0;
            let fraud = is_fraud(random, strength, 0.04);
            let ip = format!("10.0.{}.{}", customer % 90, random.random_range(1..250));
            Drawn {
                entity: Some(format!("c{customer}")),
                ..drawn([number(price), ip], fraud)
            }
        }),
        set(
            "devices",
            &[T::Price, T::Fingerprint],
            12_000,
            |random, at| {
                let device = random.random_range(0..800);
                // A device is stolen for a while.
                let stolen = f64::from(device) / 800.0;
                let is_stolen = at > stolen && at < stolen + 0.1 && device % 8 == 0;
                let price = (3.0 + normal(random)).exp();
                let fraud = random.random_bool(if is_stolen { 0.7 } else { 0.01 });
                Drawn {
                    entity: Some(format!("c{}", random.random_range(0..3000))),
                    ..drawn([number(price), format!("d{device}")], fraud)
                }
            },
        ),
    ]
}

fn draw_text(random: &mut ChaCha8Rng, _at: f64) -> Drawn {
    const WORDS: [&str; 8] = [
        "shoes", "gift", "card", "phone", "book", "urgent", "tea", "lamp",
    ];
    let words: [usize; 4] = std::array::from_fn(|_| random.random_range(0..8));
    let x = normal(random);
    let odd: f64 = words
        .iter()
        .map(|word| f64::from(u8::from([1, 2, 5].contains(word))))
        .sum();
    let fraud = is_fraud(random, x + odd - 1.5, 0.05);
    drawn([words.map(|word| WORDS[word]).join(" "), number(x)], fraud)
}

impl Set {
    /// All events in order of time; the test begins where so many as train are over.
    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let count = (self.trained * 3 / 2).max(self.trained + MEASURED);
        (0..count)
            .map(|place| {
                #[expect(clippy::cast_precision_loss, reason = "thousands")]
                let at = place as f64 / count as f64;
                let drawn = (self.draw)(&mut random, at);
                let time =
                    i64::try_from(place).unwrap() * DAYS * DAY / i64::try_from(count).unwrap();
                Event { time, drawn }
            })
            .collect()
    }
}

/// The share of legitimate events at or above each score, and how many there were.
struct Measured {
    shares: Vec<f64>,
    legit: usize,
    distinct_scores: usize,
}

/// Scores, and the share of legitimate events that they promise.
const SCORES: [(f64, f64); 3] = [(950.0, 0.01), (900.0, 0.02), (600.0, 0.1)];

fn measure(set: &Set, first_random: u64) -> Result<(Measured, TrainingReport), TrainingError> {
    let events = set.events(first_random);
    let tracked = TrackedFields::new(&set.variables, &[]);
    let mut dataset = Dataset::new(set.variables.clone()).with_tracked_fields(tracked.clone());
    let seen = |at: usize, event: &Event| {
        let value = |name: &str| event.drawn.values[name[1..].parse::<usize>().unwrap()].as_deref();
        tracked.build_event(
            &at.to_string(),
            event.time,
            event.drawn.entity.as_slice(),
            value,
        )
    };
    let delay = 7 * DAY;
    for (at, event) in events.iter().take(set.trained).enumerate() {
        let values: Vec<Option<&str>> = event.drawn.values.iter().map(Option::as_deref).collect();
        let tracked = seen(at, event);
        let row = EventRow {
            values: &values,
            event_time: set.has_times.then_some(event.time),
            entity: event.drawn.entity.as_deref(),
            tracked: set.has_times.then_some(&tracked),
            label: if event.drawn.fraud {
                EventLabel::Fraud
            } else {
                EventLabel::Legit
            },
            label_time: set.has_times.then_some(event.time + delay),
            ..EventRow::default()
        };
        dataset.push(&row).unwrap();
    }
    let options = TrainingOptions {
        labels_are: if set.has_times {
            LabelsAre::Maturing
        } else {
            LabelsAre::Final
        },
        budget_trees: 800,
        min_variables: 1,
        as_of: set.has_times.then(|| events[set.trained].time),
        ..TrainingOptions::default()
    };
    let (model, report) = train_model(&dataset, &options, &mut |_| ControlFlow::Continue(()))?;
    Ok((score_later(set, &events, &dataset, &model, &seen), report))
}

/// Scores the events after those that trained, each with the histories and labels of its time.
fn score_later(
    set: &Set,
    events: &[Event],
    dataset: &Dataset,
    model: &Model,
    seen: &dyn Fn(usize, &Event) -> model::history::TrackedEvent,
) -> Measured {
    let mut histories = EntityHistories::of_dataset(dataset);
    let tracked = dataset.tracked_fields().unwrap();
    let mut waiting = set.trained;
    let mut scores = Vec::new();
    for (at, event) in events.iter().enumerate().skip(set.trained) {
        while events[waiting].time + 7 * DAY <= event.time {
            if events[waiting].drawn.fraud {
                let known = events[waiting].time + 7 * DAY;
                histories.note_fraud(&seen(waiting, &events[waiting]), known);
            }
            waiting += 1;
        }
        let values: Vec<Option<&str>> = event.drawn.values.iter().map(Option::as_deref).collect();
        let this = seen(at, event);
        let history = histories.features(tracked, &this);
        let time = set.has_times.then_some(event.time);
        let score = model.score(&values, time, if set.has_times { &history } else { &[] });
        histories.add(tracked, &this);
        if !event.drawn.fraud {
            scores.push(score.score);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let share = |(from, _): &(f64, f64)| {
        scores.iter().filter(|score| *score >= from).count() as f64 / scores.len() as f64
    };
    let shares = SCORES.iter().map(share).collect();
    let legit = scores.len();
    scores.sort_by(f64::total_cmp);
    scores.dedup();
    Measured {
        shares,
        legit,
        distinct_scores: scores.len(),
    }
}

/// How far a share may be from what its score promises: chance, on so many events held back and measured, and a factor
/// for what changes with time.
fn allowed_range(promised: f64, set: &Set, measured: &Measured) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let (held_back, legit) = (set.trained as f64 / 6.0, measured.legit as f64);
    let chance = (promised / held_back + promised / legit).sqrt();
    (
        (promised / 2.0 - 3.0 * chance).max(0.0),
        promised * 2.0 + 3.0 * chance,
    )
}

#[test]
fn scores_keep_their_promise_on_later_events() {
    let mut wrong = Vec::new();
    for set in sets_of_numbers().into_iter().chain(sets_of_other_types()) {
        let (measured, report) = measure(&set, 2).unwrap();
        println!(
            "{:24} AUC {:.3}, of {} legitimate events {}",
            set.name,
            report.auc.value,
            measured.legit,
            SCORES
                .iter()
                .zip(&measured.shares)
                .map(|((score, _), share)| format!("{:.2} % at {score}", share * 100.0))
                .collect::<Vec<_>>()
                .join(", ")
        );
        for ((score, promised), share) in SCORES.iter().zip(&measured.shares) {
            let (low, high) = allowed_range(*promised, &set, &measured);
            if !(low..=high).contains(share) {
                wrong.push(format!(
                    "{} at {score}: {share}, not {low} to {high}",
                    set.name
                ));
            }
        }
        assert!(measured.distinct_scores > 50, "{}: all alike", set.name);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
