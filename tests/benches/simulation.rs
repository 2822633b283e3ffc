//! Simulates a thousand days of a thousand orders each, and prints counts and violated properties.
//!
//! `DAYS=20 ORDERS=500 cargo bench --workspace --bench simulation` simulates other numbers.

#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use end_to_end::simulation::{Counts, simulate_days};

/// How many days are simulated between two lines of progress.
const AT_ONCE: u64 = 20;

fn main() -> ExitCode {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let (days, orders) = (number("DAYS", 1_000), number("ORDERS", 1_000));
    let start = Instant::now();
    let so_far = Mutex::new((0, Counts::default()));
    let failed = simulate_days(1..=days, usize::try_from(orders).unwrap(), |report| {
        let mut so_far = so_far.lock().unwrap();
        so_far.0 += 1;
        so_far.1.add(&report.counts);
        if !report.violations.is_empty() {
            eprint!("{report}");
        }
        if so_far.0 % AT_ONCE == 0 {
            eprintln!("{} of {days} days after {:.0?}", so_far.0, start.elapsed());
        }
    });
    let (_, counts) = so_far.into_inner().unwrap();
    println!(
        "simulation: {days} days of {orders} orders in {:.0?}: {counts}",
        start.elapsed()
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let seeds: Vec<String> = failed.iter().map(|it| it.scenario.to_string()).collect();
    eprintln!("laws were broken on the days {}", seeds.join(", "));
    ExitCode::FAILURE
}
