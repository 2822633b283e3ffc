//! What a score promises holds on events that the model was not trained on: of legitimate events, 1 % score 950 or more.

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

/// One event of a set.
struct Event {
    time: i64,
    values: Vec<Option<String>>,
    entity: Option<String>,
    fraud: bool,
}

/// How a set is made: its variables, how many events train, and an event at a share of the whole time, from 0 to 1.
struct Set {
    name: &'static str,
    variables: Vec<Variable>,
    trained: usize,
    has_times: bool,
    draw: fn(&mut ChaCha8Rng, f64) -> (Vec<Option<String>>, Option<String>, bool),
}

fn number(value: f64) -> Option<String> {
    Some(format!("{value:.3}"))
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

fn numbers(random: &mut ChaCha8Rng, rate: f64) -> (Vec<Option<String>>, Option<String>, bool) {
    let x: Vec<f64> = (0..5).map(|_| normal(random)).collect();
    let fraud = is_fraud(random, x[0] + 0.7 * x[1] * x[2], rate);
    (x.into_iter().map(number).collect(), None, fraud)
}

fn sets() -> Vec<Set> {
    use VariableType as T;
    let of = |kinds: &[T]| {
        let variable = |(at, kind): (usize, &T)| Variable::new(format!("v{at}"), *kind);
        kinds.iter().enumerate().map(variable).collect::<Vec<_>>()
    };
    let numeric = || of(&[T::Numeric; 5]);
    let set = |name, variables, trained, draw| Set {
        name,
        variables,
        trained,
        has_times: true,
        draw,
    };
    vec![
        set("few events", numeric(), 1500, |random, _| {
            numbers(random, 0.12)
        }),
        set("numbers", numeric(), 6000, |random, _| {
            numbers(random, 0.05)
        }),
        set("many events", numeric(), 25_000, |random, _| {
            numbers(random, 0.03)
        }),
        set("rare fraud", numeric(), 20_000, |random, _| {
            numbers(random, 0.006)
        }),
        set("much fraud", numeric(), 3000, |random, _| {
            numbers(random, 0.3)
        }),
        set("more fraud every month", numeric(), 8000, |random, at| {
            numbers(random, 0.02 + 0.1 * at)
        }),
        set("less fraud every month", numeric(), 8000, |random, at| {
            numbers(random, 0.12 - 0.1 * at)
        }),
        set(
            "rising prices",
            of(&[T::Price, T::Numeric]),
            8000,
            |random, at| {
                let (price, other) = (normal(random), normal(random));
                let fraud = is_fraud(random, price + other, 0.05);
                let price = (3.0 + price + 0.5 * at).exp();
                (vec![number(price), number(other)], None, fraud)
            },
        ),
        set(
            "categories",
            of(&[T::Categorical, T::CardBin, T::Numeric]),
            8000,
            |random, _| {
                let (shop, bin) = (random.random_range(0..40), random.random_range(0..900));
                let x = normal(random);
                let strength =
                    x + f64::from(u8::from(shop < 4)) * 1.5 + f64::from(bin % 7) / 4.0 - 1.0;
                let fraud = is_fraud(random, strength, 0.04);
                let values = vec![
                    Some(format!("s{shop}")),
                    Some(format!("{}", 400_000 + bin)),
                    number(x),
                ];
                (values, None, fraud)
            },
        ),
        set(
            "texts",
            of(&[T::FreeFormText, T::Numeric]),
            6000,
            |random, _| {
                const WORDS: [&str; 8] = [
                    "shoes", "gift", "card", "phone", "book", "urgent", "tea", "lamp",
                ];
                let words: Vec<usize> = (0..4).map(|_| random.random_range(0..8)).collect();
                let x = normal(random);
                let odd = words
                    .iter()
                    .filter(|word| [1, 2, 5].contains(*word))
                    .count();
                #[expect(clippy::cast_precision_loss, reason = "at most four")]
                let fraud = is_fraud(random, x + odd as f64 - 1.5, 0.05);
                let text: Vec<&str> = words.iter().map(|word| WORDS[*word]).collect();
                (vec![Some(text.join(" ")), number(x)], None, fraud)
            },
        ),
        set("missing values", numeric(), 8000, |random, _| {
            let (mut values, entity, fraud) = numbers(random, 0.05);
            for value in &mut values {
                if random.random_bool(if fraud { 0.5 } else { 0.3 }) {
                    *value = None;
                }
            }
            (values, entity, fraud)
        }),
        set(
            "few different values",
            of(&[T::Categorical, T::Categorical]),
            6000,
            |random, _| {
                let (one, other) = (random.random_range(0..3), random.random_range(0..4));
                let strength = f64::from(one) + f64::from(other) - 2.5;
                let fraud = is_fraud(random, strength, 0.05);
                (
                    vec![Some(format!("a{one}")), Some(format!("b{other}"))],
                    None,
                    fraud,
                )
            },
        ),
        set(
            "entities",
            of(&[T::Price, T::IpAddress]),
            8000,
            |random, _| {
                let customer = random.random_range(0..1200);
                let price = (3.0 + normal(random)).exp();
                let strength = f64::from(u8::from(customer % 15 == 0)) * 2.0 + price.ln() - 3.0;
                let fraud = is_fraud(random, strength, 0.04);
                let ip = format!("10.0.{}.{}", customer % 90, random.random_range(1..250));
                (
                    vec![number(price), Some(ip)],
                    Some(format!("c{customer}")),
                    fraud,
                )
            },
        ),
        set(
            "devices",
            of(&[T::Price, T::Fingerprint]),
            12_000,
            |random, at| {
                let device = random.random_range(0..800);
                // A device is stolen for a while.
                let stolen = f64::from(device) / 800.0;
                let is_stolen = at > stolen && at < stolen + 0.1 && device % 8 == 0;
                let price = (3.0 + normal(random)).exp();
                let fraud = random.random_bool(if is_stolen { 0.7 } else { 0.01 });
                let customer = format!("c{}", random.random_range(0..3000));
                (
                    vec![number(price), Some(format!("d{device}"))],
                    Some(customer),
                    fraud,
                )
            },
        ),
        Set {
            has_times: false,
            ..set("without times", numeric(), 6000, |random, _| {
                numbers(random, 0.05)
            })
        },
        set("labels by chance", numeric(), 8000, |random, _| {
            let (values, entity, _) = numbers(random, 0.05);
            (values, entity, random.random_bool(0.05))
        }),
    ]
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
                let (values, entity, fraud) = (self.draw)(&mut random, at);
                #[expect(clippy::cast_possible_truncation, reason = "seconds of half a year")]
                let time = (at * (DAYS * DAY) as f64) as i64;
                Event {
                    time,
                    values,
                    entity,
                    fraud,
                }
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

fn measure(set: &Set, seed: u64) -> Result<(Measured, TrainingReport), TrainingError> {
    let events = set.events(seed);
    let tracked = TrackedFields::new(&set.variables, 1);
    let mut dataset = Dataset::new(set.variables.clone()).with_tracked_fields(tracked.clone());
    let seen = |at: usize, event: &Event| {
        let value = |name: &str| event.values[name[1..].parse::<usize>().unwrap()].as_deref();
        tracked.build_event(&at.to_string(), event.time, &[event.entity.clone()], value)
    };
    let delay = 7 * DAY;
    for (at, event) in events.iter().take(set.trained).enumerate() {
        let values: Vec<Option<&str>> = event.values.iter().map(Option::as_deref).collect();
        let tracked = seen(at, event);
        let row = EventRow {
            values: &values,
            event_time: set.has_times.then_some(event.time),
            entity: event.entity.as_deref(),
            tracked: set.has_times.then_some(&tracked),
            label: if event.fraud {
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
            if events[waiting].fraud {
                let known = events[waiting].time + 7 * DAY;
                histories.note_fraud(&seen(waiting, &events[waiting]), known);
            }
            waiting += 1;
        }
        let values: Vec<Option<&str>> = event.values.iter().map(Option::as_deref).collect();
        let this = seen(at, event);
        let history = histories.features(tracked, &this);
        let time = set.has_times.then_some(event.time);
        let score = model.score(&values, time, if set.has_times { &history } else { &[] });
        histories.add(tracked, &this);
        if !event.fraud {
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
    let (held_back, legit) = (set.trained as f64 / 10.0, measured.legit as f64);
    let chance = (promised / held_back + promised / legit).sqrt();
    (
        (promised / 2.0 - 3.0 * chance).max(0.0),
        promised * 2.0 + 3.0 * chance,
    )
}

#[test]
fn scores_keep_their_promise_on_later_events() {
    let mut wrong = Vec::new();
    for set in sets() {
        let (measured, report) = measure(&set, 1).unwrap();
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
