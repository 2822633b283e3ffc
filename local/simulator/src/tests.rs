//! The simulated shop is varied, corrupted, hard to judge, and the same everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;

use super::{FraudPattern, OrderTruth, Simulation, SimulationOptions, simulate_shop, write_files};

fn world() -> &'static Simulation {
    static WORLD: OnceLock<Simulation> = OnceLock::new();
    WORLD.get_or_init(|| simulate_shop(&SimulationOptions::default()))
}

fn small(seed: u64) -> Simulation {
    simulate_shop(&SimulationOptions {
        seed,
        days: 30,
        history_orders: 1_500,
        new_orders: 300,
    })
}

fn order(line: &str) -> Option<Value> {
    let order: Value = serde_json::from_str(line).ok()?;
    order["order_id"].as_str()?;
    time(&order["created_at"])?;
    Some(order)
}

fn time(value: &Value) -> Option<i64> {
    Some(value.as_str()?.parse::<Timestamp>().ok()?.as_second())
}

/// FNV-1a: a short name for many bytes.
fn fingerprint(lines: &[String]) -> u64 {
    lines
        .iter()
        .flat_map(|line| line.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[test]
fn a_seed_is_the_same_world_on_every_machine() {
    assert_eq!(small(1), small(1));
    assert_ne!(small(1).history, small(2).history);
    let (history, orders) = (fingerprint(&world().history), fingerprint(&world().orders));
    assert_eq!(
        (history, orders),
        (PINNED_HISTORY, PINNED_ORDERS),
        "{history:#x} {orders:#x}"
    );
}

const PINNED_HISTORY: u64 = 0xfe2c_91a6_387a_5c1b;
const PINNED_ORDERS: u64 = 0x7d16_fc05_e325_3f67;

#[test]
fn any_options_give_the_lines_asked_for() {
    for (days, history_orders, new_orders) in [
        (0, 0, 0),
        (1, 0, 1),
        (180, 10, 2),
        (3, 500, 499),
        (1, 5, 5_000),
    ] {
        let options = SimulationOptions {
            seed: 3,
            days,
            history_orders,
            new_orders,
        };
        let simulation = simulate_shop(&options);
        assert_eq!(
            simulation.history.len(),
            history_orders as usize,
            "{options:?}"
        );
        assert_eq!(simulation.orders.len(), new_orders as usize, "{options:?}");
    }
}

#[test]
fn the_history_ends_before_the_new_orders_begin_and_they_end_in_june() {
    let times = |lines: &[String]| -> Vec<String> {
        let orders = lines.iter().filter_map(|line| order(line));
        orders
            .filter_map(|order| Some(order["created_at"].as_str()?.to_owned()))
            .collect()
    };
    let (past, present) = (times(&world().history), times(&world().orders));
    assert!(past.iter().max() < present.iter().min());
    assert!(
        past.iter()
            .min()
            .is_some_and(|first| first.starts_with("2025-12-21"))
    );
    assert!(
        present
            .iter()
            .max()
            .is_some_and(|last| last.starts_with("2026-06-30"))
    );
    assert!(!present.is_sorted(), "some orders come late");
}

#[test]
fn one_in_a_hundred_is_a_fraud_and_one_pattern_is_new() {
    let patterns = |truth: &[OrderTruth]| -> BTreeMap<FraudPattern, usize> {
        let mut patterns = BTreeMap::new();
        for truth in truth.iter().filter(|truth| truth.fraud) {
            *patterns.entry(truth.pattern).or_default() += 1;
        }
        patterns
    };
    for truth in [&world().history_truth, &world().truth] {
        let frauds: usize = patterns(truth).values().sum();
        let permille = frauds * 1000 / truth.len();
        assert!((8..=12).contains(&permille), "{permille}");
    }
    let (past, present) = (patterns(&world().history_truth), patterns(&world().truth));
    assert_eq!(past.len(), 5);
    assert!(!past.contains_key(&FraudPattern::WalletDrain));
    assert!(present[&FraudPattern::WalletDrain] >= 3, "{present:?}");
}

#[test]
fn chargebacks_are_late_and_some_never_come() {
    let ordered: BTreeMap<String, i64> = world()
        .history
        .iter()
        .filter_map(|line| {
            let order = order(line)?;
            Some((
                order["order_id"].as_str()?.to_owned(),
                time(&order["created_at"])?,
            ))
        })
        .collect();
    let labels = &world().history_labels;
    let mut delays: Vec<i64> = labels
        .iter()
        .filter(|label| label.kind == "chargeback")
        .map(|label| (label.at.second - ordered[&label.order_id]) / 86_400)
        .collect();
    delays.sort_unstable();
    let at = |permille: usize| delays[(delays.len() - 1) * permille / 1000];
    assert!((22..=28).contains(&at(500)), "median {}", at(500));
    assert!(
        (65..=121).contains(&at(950)) && at(1000) <= 121,
        "{} {}",
        at(950),
        at(1000)
    );

    let known: BTreeSet<&str> = labels
        .iter()
        .filter(|label| label.kind != "refund" || label.reason_code == "fraud_suspected")
        .map(|label| label.order_id.as_str())
        .collect();
    let frauds: Vec<&OrderTruth> = world()
        .history_truth
        .iter()
        .filter(|truth| truth.fraud)
        .collect();
    let silent = frauds
        .iter()
        .filter(|truth| !known.contains(truth.order_id.as_str()))
        .count();
    assert!(
        (10..=20).contains(&(silent * 100 / frauds.len())),
        "{silent} of {}",
        frauds.len()
    );
    for kind in ["chargeback", "early_warning", "refund", "reversal"] {
        assert!(labels.iter().any(|label| label.kind == kind), "{kind}");
    }
}

#[test]
fn the_stream_is_as_dirty_as_streams_are() {
    let lines = &world().orders;
    let readable: Vec<Value> = lines.iter().filter_map(|line| order(line)).collect();
    let rejects = lines.len() - readable.len();
    assert!((6..=10).contains(&rejects), "{rejects}");

    let edits = readable
        .iter()
        .filter(|order| order["revision"] == 2)
        .count();
    let ids: BTreeSet<&str> = readable
        .iter()
        .filter_map(|order| order["order_id"].as_str())
        .collect();
    let copies = lines.len() - lines.iter().collect::<BTreeSet<_>>().len();
    assert_eq!((edits, copies), (24, 30));
    assert_eq!(ids.len(), world().truth.len());
    assert_eq!(
        readable.len(),
        ids.len() + edits + copies + 1,
        "one order changed in silence"
    );

    let guests = readable
        .iter()
        .filter(|order| order["customer"].get("id").is_none())
        .count();
    assert!((150..500).contains(&guests), "{guests}");
    let currencies: BTreeSet<&str> = readable
        .iter()
        .filter_map(|o| o["payment"]["currency"].as_str())
        .collect();
    assert!(currencies.is_superset(&BTreeSet::from(["USD", "EUR", "GBP", "CAD", "JPY"])));
}

#[test]
fn every_readable_order_has_the_members_that_consumers_count_on() {
    let all = world().history.iter().chain(&world().orders);
    for order in all.filter_map(|line| order(line)) {
        for pointer in [
            "/customer/email",
            "/client/ip",
            "/billing/country",
            "/shipping/country",
            "/payment/currency",
        ] {
            assert!(
                order.pointer(pointer).is_some_and(Value::is_string),
                "{pointer} in {order}"
            );
        }
        let items = order["items"].as_array().unwrap();
        assert!(
            !items.is_empty() && items.iter().all(|item| item["quantity"].is_u64()),
            "{order}"
        );
    }
}

#[test]
fn six_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = small(5);
    write_files(&simulation, folder.path()).unwrap();
    let lines = |name: &str| {
        std::fs::read_to_string(folder.path().join(name))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!(lines("history.jsonl"), 1_500);
    assert_eq!(lines("history-truth.jsonl"), 1_500);
    assert_eq!(
        lines("history-chargebacks.jsonl"),
        simulation.history_labels.len()
    );
    assert_eq!(lines("orders.jsonl"), 300);
    assert_eq!(lines("chargebacks.jsonl"), simulation.chargebacks.len());
    assert_eq!(lines("truth.jsonl"), simulation.truth.len());
}

#[test]
fn a_folder_that_is_a_file_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = write_files(&small(5), file.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot write /"), "{error}");
}

mod hardness {
    //! No single variable and no single threshold may give the frauds away.

    use super::{BTreeMap, Value, order, time, world};

    /// One column of the history: a number, if it is one, and a word for each order.
    struct Column {
        name: &'static str,
        numbers: Vec<Option<f64>>,
        words: Words,
    }

    /// The values of a column by number: comparing thirty thousand texts takes a while.
    struct Words {
        of: Vec<usize>,
        texts: Vec<String>,
    }

    impl Words {
        fn new(values: &[Value]) -> Self {
            let mut known = BTreeMap::new();
            let mut texts = Vec::new();
            let mut number = |value: &Value| {
                let text = value.to_string();
                *known.entry(text.clone()).or_insert_with(|| {
                    texts.push(text);
                    texts.len() - 1
                })
            };
            let of = values.iter().map(&mut number).collect();
            Self { of, texts }
        }
    }

    type Extract = fn(&Value) -> Value;

    const COLUMNS: &[(&str, Extract)] = &[
        ("total", |o| {
            number(dollars(o, text(o, "/total").parse().unwrap_or(0.0)))
        }),
        ("item_count", |o| sum(o, "quantity")),
        ("lines", |o| {
            Value::from(o["items"].as_array().map_or(0, Vec::len))
        }),
        ("price", |o| number(prices(o).fold(0.0, f64::max))),
        ("category", dearest),
        ("sku", |o| o["items"][0]["sku"].clone()),
        ("account_age", |o| age(o, "signed_up_at")),
        ("address_age", |o| age(o, "address_changed_at")),
        ("guest", |o| {
            Value::from(u8::from(o["customer"].get("id").is_none()))
        }),
        ("hour", |o| {
            Value::from(time(&o["created_at"]).unwrap_or(0) / 3600 % 24)
        }),
        ("email_domain", |o| {
            Value::from(
                text(o, "/customer/email")
                    .split('@')
                    .next_back()
                    .unwrap_or_default(),
            )
        }),
        ("email_digits", |o| {
            Value::from(
                text(o, "/customer/email")
                    .bytes()
                    .filter(u8::is_ascii_digit)
                    .count(),
            )
        }),
        ("phone", |o| {
            Value::from(text(o, "/customer/phone").get(..4).unwrap_or_default())
        }),
        ("network", |o| {
            Value::from(
                text(o, "/client/ip")
                    .rsplit_once('.')
                    .map_or("v6", |(net, _)| net),
            )
        }),
        ("ip", |o| o["client"]["ip"].clone()),
        ("customer", |o| o["customer"]["id"].clone()),
        ("email", |o| o["customer"]["email"].clone()),
        ("device_id", |o| o["client"]["device_id"].clone()),
        ("card", |o| o["payment"]["card_fingerprint"].clone()),
        ("shipping_address", |o| o["shipping"]["address"].clone()),
        ("name", |o| o["billing"]["name"].clone()),
        ("user_agent", |o| o["client"]["user_agent"].clone()),
        ("device", |o| {
            Value::from(u8::from(text(o, "/client/device_id").is_empty()))
        }),
        ("billing_country", |o| o["billing"]["country"].clone()),
        ("shipping_country", |o| o["shipping"]["country"].clone()),
        ("shipping_city", |o| o["shipping"]["city"].clone()),
        ("shipping_postal_code", |o| {
            o["shipping"]["postal_code"].clone()
        }),
        ("billing_postal_code", |o| {
            o["billing"]["postal_code"].clone()
        }),
        ("same_address", |o| {
            Value::from(u8::from(
                o["billing"]["address"] == o["shipping"]["address"],
            ))
        }),
        ("same_city", |o| {
            Value::from(u8::from(o["billing"]["city"] == o["shipping"]["city"]))
        }),
        ("same_name", |o| {
            Value::from(u8::from(o["billing"]["name"] == o["shipping"]["name"]))
        }),
        ("same_country", |o| {
            Value::from(u8::from(
                o["billing"]["country"] == o["shipping"]["country"],
            ))
        }),
        ("method", |o| o["payment"]["method"].clone()),
        ("card_bin", |o| o["payment"]["card_bin"].clone()),
        ("currency", |o| o["payment"]["currency"].clone()),
        ("avs", |o| o["payment"]["avs"].clone()),
        ("attempts", |o| o["payment"]["attempts"].clone()),
    ];

    fn number(value: f64) -> Value {
        Value::from(value)
    }

    fn text<'a>(order: &'a Value, pointer: &str) -> &'a str {
        order
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn dollars(order: &Value, amount: f64) -> f64 {
        amount
            * match text(order, "/payment/currency") {
                "GBP" => 1.28,
                "CAD" => 0.73,
                "EUR" => 1.09,
                "JPY" => 0.007,
                "AUD" => 0.66,
                _ => 1.0,
            }
    }

    fn prices(order: &Value) -> impl Iterator<Item = f64> {
        let items = order["items"].as_array().into_iter().flatten();
        items.map(|item| dollars(order, text(item, "/unit_price").parse().unwrap_or(0.0)))
    }

    fn dearest(order: &Value) -> Value {
        let dearest = prices(order).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        order["items"][dearest.map_or(0, |(place, _)| place)]["category"].clone()
    }

    fn sum(order: &Value, member: &str) -> Value {
        let items = order["items"].as_array().into_iter().flatten();
        Value::from(items.filter_map(|item| item[member].as_u64()).sum::<u64>())
    }

    fn age(order: &Value, member: &str) -> Value {
        let ages = time(&order["created_at"]).zip(time(&order["customer"][member]));
        ages.map_or(Value::Null, |(now, then)| Value::from(now - then))
    }

    /// The history in the order in which it happened, and which of it is a fraud.
    fn table() -> (Vec<Column>, Vec<bool>) {
        let truth: BTreeMap<&str, bool> = world()
            .history_truth
            .iter()
            .map(|truth| (truth.order_id.as_str(), truth.fraud))
            .collect();
        let orders: Vec<Value> = world()
            .history
            .iter()
            .filter_map(|line| order(line))
            .collect();
        let frauds = orders
            .iter()
            .map(|order| truth[text(order, "/order_id")])
            .collect();
        let column = |&(name, extract): &(&'static str, Extract)| {
            let values: Vec<Value> = orders.iter().map(extract).collect();
            Column {
                name,
                numbers: values.iter().map(Value::as_f64).collect(),
                words: Words::new(&values),
            }
        };
        (COLUMNS.iter().map(column).collect(), frauds)
    }

    /// The area under the curve: how often a fraud stands above an honest order; ties half.
    fn auc(scores: &[f64], frauds: &[bool]) -> f64 {
        let mut ranked: Vec<(f64, bool)> =
            scores.iter().copied().zip(frauds.iter().copied()).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut below, mut won) = (0.0, 0.0);
        for tied in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let frauds = count(tied.iter().filter(|(_, fraud)| *fraud).count());
            let honest = count(tied.len()) - frauds;
            won += frauds * (below + honest / 2.0);
            below += honest;
        }
        won / (below * (count(scores.len()) - below))
    }

    fn count(count: usize) -> f64 {
        f64::from(u32::try_from(count).unwrap())
    }

    /// The rate of frauds of each word, learnt on the other four fifths of the history and
    /// drawn towards the whole where a word is rare: what a word really tells.
    fn rates(words: &Words, frauds: &[bool]) -> Vec<f64> {
        const FOLDS: usize = 5;
        const WEIGHT: f64 = 20.0;
        let orders = frauds.len();
        let mut seen = vec![[(0.0, 0.0); FOLDS]; words.texts.len()];
        for (place, (&word, &fraud)) in words.of.iter().zip(frauds).enumerate() {
            let (all, bad) = &mut seen[word][place * FOLDS / orders];
            *all += 1.0;
            *bad += f64::from(u8::from(fraud));
        }
        let rate = count(frauds.iter().filter(|fraud| **fraud).count()) / count(orders);
        let learnt = |word: usize, held_out: usize| {
            let (mut all, mut bad) = (WEIGHT, WEIGHT * rate);
            for fold in (0..FOLDS).filter(|&fold| fold != held_out) {
                all += seen[word][fold].0;
                bad += seen[word][fold].1;
            }
            bad / all
        };
        let places = words.of.iter().enumerate();
        places
            .map(|(place, &word)| learnt(word, place * FOLDS / orders))
            .collect()
    }

    /// The areas of a column, read as numbers in both directions, and as words.
    fn areas(column: &Column, frauds: &[bool]) -> Vec<(f64, &'static str)> {
        let mut areas = vec![(auc(&rates(&column.words, frauds), frauds), "word")];
        if column.numbers.iter().any(Option::is_some) {
            for missing in [f64::MAX, -1.0] {
                let numbers = column
                    .numbers
                    .iter()
                    .map(|number| number.unwrap_or(missing));
                let up = auc(&numbers.collect::<Vec<f64>>(), frauds);
                areas.extend([(up, "number, up"), (1.0 - up, "number, down")]);
            }
        }
        areas
    }

    #[test]
    fn no_single_variable_tells_a_fraud() {
        let (columns, frauds) = table();
        let mut best = (0.0, "", "");
        for column in &columns {
            for (area, how) in areas(column, &frauds) {
                if area > best.0 {
                    best = (area, column.name, how);
                }
            }
        }
        println!("best single variable: {best:?}");
        assert!(best.0 < 0.80, "{best:?}");
        assert!(best.0 > 0.60, "nothing tells anything: {best:?}");
    }

    /// Rules that hit fewer orders are luck.
    const FEWEST_HITS: usize = 15;

    /// A rule, how many orders it hits, and how many of them are frauds.
    type Hits = (String, usize, usize);

    /// `== word` for each word of a column.
    fn equalities(column: &Column, frauds: &[bool]) -> Vec<Hits> {
        let rule = |text: &String| (format!("{} == {text}", column.name), 0, 0);
        let mut rules: Vec<Hits> = column.words.texts.iter().map(rule).collect();
        for (&word, &fraud) in column.words.of.iter().zip(frauds) {
            rules[word].1 += 1;
            rules[word].2 += usize::from(fraud);
        }
        rules
    }

    /// `<=` and `>=` for each number of a column.
    fn thresholds(column: &Column, frauds: &[bool]) -> Vec<Hits> {
        let known = column.numbers.iter().zip(frauds);
        let mut known: Vec<(f64, bool)> = known
            .filter_map(|(number, &fraud)| Some(((*number)?, fraud)))
            .collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut rules = Vec::new();
        for sign in ["<=", ">="] {
            let (mut all, mut bad) = (0, 0);
            for tied in known.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
                all += tied.len();
                bad += tied.iter().filter(|(_, fraud)| *fraud).count();
                rules.push((format!("{} {sign} {}", column.name, tied[0].0), all, bad));
            }
            known.reverse();
        }
        rules
    }

    #[test]
    fn no_single_threshold_or_equality_is_sure() {
        let (columns, frauds) = table();
        let mut best = (0.0, String::new());
        for column in &columns {
            let rules = [equalities(column, &frauds), thresholds(column, &frauds)].concat();
            for (rule, all, bad) in rules.into_iter().filter(|rule| rule.1 >= FEWEST_HITS) {
                let precision = count(bad) / count(all);
                if precision > best.0 {
                    best = (precision, format!("{rule}: {bad} of {all}"));
                }
            }
        }
        println!("best single rule: {best:?}");
        assert!(best.0 < 0.70, "{best:?}");
    }
}
