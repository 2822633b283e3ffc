//! `fraudstream demo`, which is `make run`: apply the detector, decide the sample orders, report.

use std::io::Write as _;
use std::path::Path;

use predict::Done;
use shared::failure::Failure;
use shared::mapping::Mapping;

use crate::apply;
use crate::cli::Error;
use crate::dynamodb::Durability;
use crate::home::Home;
use crate::input::Input;
use crate::machine::{Machine, Pipeline};
use crate::report::{self, Report};
use crate::run::{Effect, Function, Run};

/// What to type next.
const NEXT: &str = "next, with F standing for: fraudstream --home {home}
  F show {order}                       one decision, and why
  F show --review 2026-06-30              the open reviews of a day
  F run label {events}/chargebacks.jsonl     the chargebacks that came later
  F replay --dry-run                      the rejected records
  edit config/detector.yaml, and run the demo again";

/// Runs the demo in a folder of its own under `home`, fresh each time.
///
/// # Errors
/// A sentence for the person at the terminal.
pub async fn run(
    home: &Path,
    mapping: Mapping,
    detector: &Path,
    events: &Path,
    json: bool,
) -> Result<(), Error> {
    let folder = home.join("demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| format!("cannot clear {}: {error}", folder.display()))?;
    }
    let home = Home::open(&folder)?;
    let machine = Machine::open(&home, Durability::Kill).await?;
    let say = |text: &str| {
        if json {
            Ok(())
        } else {
            writeln!(std::io::stdout(), "{text}")
        }
    };
    say(&format!("applying {}", detector.display()))?;
    let options = apply::Options {
        file: detector.to_owned(),
        dry_run: false,
        to: apply::Target::Engine,
        json: false,
    };
    let mut log = Vec::new();
    apply::run(&machine.clients.frauddetector, &options, &mut log).await?;
    say(String::from_utf8_lossy(&log)
        .lines()
        .last()
        .unwrap_or_default())?;
    let orders = events.join("orders.jsonl");
    say(&format!("deciding {}\n", orders.display()))?;
    let report = decide(&machine, &home, mapping, events, &orders, json).await?;
    machine.close().await?;
    if json {
        writeln!(
            std::io::stdout(),
            "{}",
            serde_json::to_string_pretty(&report)?
        )?;
        return Ok(());
    }
    let order = report.a_caught_order().unwrap_or("ORDER_ID").to_owned();
    let next = NEXT
        .replace("{home}", &folder.display().to_string())
        .replace("{order}", &order);
    say(&format!(
        "{report}\n{}",
        next.replace("{events}", &events.display().to_string())
    ))?;
    Ok(())
}

async fn decide(
    machine: &Machine,
    home: &Home,
    mapping: Mapping,
    events: &Path,
    orders: &Path,
    quiet: bool,
) -> Result<Report, Error> {
    let truth = report::read_truth(&events.join("truth.jsonl"))?;
    let path = orders.display().to_string();
    let predict = Pipeline::local(&machine.clients).predict(mapping, None);
    let run = Run {
        function: Function::Predict(Box::new(predict)),
        path: &path,
        input: Input::lines(&path)?,
        home: Some(home),
        target: "demo",
        forgotten: None,
        restart: false,
        progress: !quiet,
    };
    let mut report = Report::default();
    let mut answered = 0_u64;
    let summary = run.run(std::future::pending(), |position, result| {
        answered += 1;
        match result {
            Ok(Effect::Decision(Done::Decided(decision))) => {
                report.add(decision, truth.get(&decision.order_id));
            }
            Ok(_) => report.duplicates += 1,
            Err(Failure::Rejected(rejection)) => report
                .rejected
                .push((position.id.clone(), rejection.reason.clone())),
            Err(Failure::Retry(_)) => {}
        }
    });
    let summary = summary.await?;
    report.undecided = summary.records - answered;
    report.records_per_second = summary.rate();
    Ok(report)
}
