//! A simulated day of a shop in one thread: orders, history and labels, failures of everything that they meet, and the
//! properties that must hold at the end of the day.
//!
//! Real handlers (`predict`, `ingest`, `label`, `forward`) use real SDK clients; a network that delays, refuses and
//! loses calls ([`network`]); services in memory ([`store`]); records as Lambda delivers them ([`delivery`]);
//! environments that start, freeze and are killed ([`environment`]). No sleep is real: time advances only when nothing
//! else can happen. One seed decides everything, so that a day can be repeated.
//!
//! ARCHITECTURE.md says how to repeat a day, shrunk or not, and how to see one order of it.

pub mod check;
pub mod day;
pub mod delivery;
pub mod dice;
pub mod environment;
pub mod history;
mod lambda;
pub mod network;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod store;

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use shared::known_faults::{self, KnownFault};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

pub use network::Counts;
use report::Log;
pub use report::{Law, Report, Violation};
pub use scenario::Scenario;

/// Simulates the day of a scenario.
///
/// # Panics
/// If the simulation itself has a bug.
pub fn simulate(scenario: &Scenario) -> Report {
    simulate_with(scenario, None)
}

/// Simulates the day of a scenario with a known fault put back.
///
/// # Panics
/// If the simulation itself has a bug.
pub fn simulate_with(scenario: &Scenario, fault: Option<KnownFault>) -> Report {
    static FIRST: std::sync::Once = std::sync::Once::new();
    // Values that a process creates once take random numbers from the first day that needs them. So some days are run
    // first whose reports are not used: with the engine linked in and behind its client, and together with every
    // disturbance.
    FIRST.call_once(|| {
        for seed in [7, 8, 93] {
            on_a_thread(&Scenario::new(seed, 60), None);
        }
    });
    let mut report = on_a_thread(scenario, fault);
    if scenario.is_calm() {
        let undisturbed = Scenario {
            is_undisturbed: true,
            ..scenario.clone()
        };
        let undisturbed = on_a_thread(&undisturbed, None);
        report
            .violations
            .extend(check::compare(&report, &undisturbed));
    }
    report
}

/// Simulates many days on all cores and calls `done` with each report. Returns the reports of the days that violate a
/// property, lowest seed first.
///
/// # Panics
/// If the simulation itself has a bug.
pub fn simulate_days(
    seeds: RangeInclusive<u64>,
    orders: usize,
    done: impl Fn(&Report) + Sync,
) -> Vec<Report> {
    let (next, failed) = (AtomicU64::new(*seeds.start()), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    let report = simulate(&Scenario::new(seed, orders));
                    done(&report);
                    if !report.violations.is_empty() {
                        failed.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|report| report.scenario.seed);
    failed
}

/// Runs in a new thread, so that its ids and the order of its hash maps depend only on the seed.
fn on_a_thread(scenario: &Scenario, fault: Option<KnownFault>) -> Report {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    let scenario = scenario.clone();
    let number = THREADS.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::Builder::new()
        .name(format!("day {number}"))
        .stack_size(16 * 1024 * 1024)
        .spawn(move || {
            seeded::seed_this_thread(scenario.seed);
            fastrand::seed(scenario.seed);
            known_faults::inject_fault(fault);
            let log = Log::default();
            let lines = tracing_subscriber::fmt::layer()
                .without_time()
                .with_ansi(false)
                .with_writer(log.clone())
                .with_filter(LevelFilter::TRACE.and(filter_fn(shared::telemetry::may_be_logged)));
            let subscriber = tracing_subscriber::registry().with(lines);
            let _logging = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(lambda::live(&scenario, &log))
        });
    thread.unwrap().join().unwrap()
}
