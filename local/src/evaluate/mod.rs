//! `fraudstream evaluate`: a model trained on one file of labelled events and measured on another.
//!
//! Nothing has to be prepared by hand: columns are found by their names, types by their values, and both can be said.

mod measures;
mod page;
mod pictures;
mod rules_only;
mod table;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use comfy_table::{Table as Grid, presets::NOTHING};
use indicatif::{ProgressBar, ProgressStyle};
use model::Histories;
use model::metrics::Ranking;
use model::{
    Dataset, Inferred, Label, LabelsAre, Message, Model, Options, Report, TrainError, VariableType,
};
use rustc_hash::{FxBuildHasher, FxHashSet};
use serde::Serialize;
use thiserror::Error;

use crate::grid::grid;

pub use measures::{LookUps, Measures, Scored};
pub use pictures::PictureError;
pub use rules_only::{Detector, OverColumns, RulesError, RulesOnly};
pub use table::{Columns, Event, Said, TableError};

/// The share of the events that train where there is no test file.
const TRAIN_PERCENT: usize = 80;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// A file.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Training.
    #[error("{0}")]
    Train(String),
    /// The test file says nothing.
    #[error(
        "{path}: {fraud} fraudulent and {legit} legitimate events; without one of each there is nothing to measure"
    )]
    OneKind {
        /// The file.
        path: String,
        /// How many are fraud.
        fraud: usize,
        /// How many are not.
        legit: usize,
    },
    /// A file that cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The detector file.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The scores cannot be written.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// Why.
        source: csv::Error,
    },
}

/// What is evaluated.
#[derive(Clone, Debug, Args)]
pub struct Evaluate {
    /// CSV of labelled events to train on, plain or .gz.
    train: PathBuf,
    /// CSV of labelled events to measure on; default the newest fifth of the first file, or a fifth of it by chance
    /// where it has no times.
    test: Option<PathBuf>,
    #[command(flatten)]
    said: Said,
    /// Whether labels may still change; default `final`, and `maturing` where the file says when labels came.
    #[arg(long, value_enum)]
    labels: Option<Labels>,
    /// Detector file whose rules are measured beside the model, with columns as variables by their names.
    #[arg(long, value_name = "FILE")]
    detector: Option<PathBuf>,
    /// Chooses rows and columns where chance does.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for report.html and its pictures.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// CSV of the score of every measured event.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// File for the trained model.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Whether labels may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Labels {
    /// They will not.
    Final,
    /// Chargebacks still come in: an event counts once its label has had the time to.
    Maturing,
}

/// What `evaluate` found.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// The training file.
    pub train: String,
    /// The test file; none: a part of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// How the events were divided where there is no test file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub divided: Option<&'static str>,
    /// The column of the label.
    pub label: String,
    /// The column of the event's time.
    pub timestamp: Option<String>,
    /// Columns and what they were taken for.
    pub columns: Vec<Inferred>,
    /// Rows that were left out because they do not have the header's columns.
    pub broken_rows: usize,
    /// Rows to train on whose `EVENT_ID` came before.
    pub repeated_ids: usize,
    /// What training found.
    pub training: Report,
    /// What the test says.
    pub measures: Measures,
    /// What it says of the rules of a detector file, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_only: Option<RulesOnly>,
    /// Seconds of training.
    pub training_seconds: f64,
    /// Microseconds to score an event, the median: values to features to trees.
    pub score_microseconds: f64,
    /// Bytes of the model.
    pub model_bytes: usize,
    /// The pictures and the page, if wanted.
    pub files: Vec<String>,
}

/// The events to measure on.
enum Test<'a> {
    File(&'a Path),
    /// Rows of the training file, by their places, and how they were chosen.
    Rows(Vec<bool>, &'static str),
}

impl Evaluate {
    /// Trains, measures, prints.
    ///
    /// # Errors
    /// [`EvaluateError`], a sentence.
    pub fn run(&self) -> Result<(), EvaluateError> {
        let columns = Columns::find(&self.train, &self.said)?;
        if !self.json {
            print(&columns_table(&columns));
        }
        let evaluation = self.evaluate(&columns)?;
        if self.json {
            print(&serde_json::to_string_pretty(&evaluation).unwrap_or_default());
        } else {
            print(&evaluation.to_string());
        }
        Ok(())
    }

    fn evaluate(&self, columns: &Columns) -> Result<Evaluation, EvaluateError> {
        let table = columns.table(&self.train);
        let test = match &self.test {
            Some(path) => Test::File(path),
            None => held_out(&table)?,
        };
        // What is wrong with the detector file is said before a training that may take minutes.
        let detector = self.detector.as_deref().map(Detector::read).transpose()?;
        let mut rules = detector
            .as_ref()
            .map(|detector| self.over(detector, columns))
            .transpose()?;
        let mut look_ups = LookUps::new(&columns.variables);
        let mut dataset = columns.dataset();
        // One time for all rows is when the file was written.
        let mut real_label_times = false;
        let mut first_label_time = None;
        let mut ids: FxHashSet<u64> = FxHashSet::default();
        let mut repeated_ids = 0;
        let broken_rows = table.each(|event| {
            if matches!(&test, Test::Rows(held_out, _) if held_out[event.number - 1]) {
                return Ok(());
            }
            let (event_time, label_time) = (event.row.event_time, event.row.label_time);
            first_label_time = first_label_time.or(label_time);
            real_label_times |=
                label_time.is_some() && label_time != event_time && label_time != first_label_time;
            let id = event.id.map(|id| FxBuildHasher.hash_one(id));
            repeated_ids += usize::from(id.is_some_and(|id| !ids.insert(id)));
            look_ups.learn(&event.row);
            dataset.push(&event.row).map_err(TableError::from)
        })?;
        let labels = self.labels.unwrap_or(if real_label_times {
            Labels::Maturing
        } else {
            Labels::Final
        });
        let start = Instant::now();
        let (model, training) = self.train(&dataset, labels)?;
        let training_seconds = start.elapsed().as_secs_f64();
        let histories = Histories::of(&dataset);
        drop((dataset, ids));

        let histories = self.histories(columns, &test, histories)?;
        let (scored, times) = self.score(
            columns,
            &test,
            &model,
            &look_ups,
            &histories,
            rules.as_mut(),
        )?;
        let bytes = model.to_bytes();
        let mut evaluation = Evaluation {
            train: self.train.display().to_string(),
            test: self.test.as_ref().map(|path| path.display().to_string()),
            divided: match &test {
                Test::File(_) => None,
                Test::Rows(_, how) => Some(*how),
            },
            label: columns.label.clone(),
            timestamp: columns.event_time.clone(),
            columns: columns.inferred.clone(),
            broken_rows,
            repeated_ids,
            measures: Measures::new(&scored, &columns.variables, &look_ups),
            rules_only: rules.map(|rules| rules.measures(&scored)),
            training,
            training_seconds,
            score_microseconds: median_microseconds(times),
            model_bytes: bytes.len(),
            files: Vec::new(),
        };
        if let Some(path) = &self.model {
            std::fs::write(path, &bytes).map_err(io(path))?;
        }
        if let Some(path) = &self.scores {
            write_scores(path, &scored)?;
        }
        if let Some(folder) = &self.report {
            evaluation.files = report(folder, &evaluation, &scored, &model)?;
        }
        Ok(evaluation)
    }

    /// The detector over the columns of the file that is measured on.
    fn over<'a>(
        &self,
        detector: &'a Detector,
        columns: &Columns,
    ) -> Result<OverColumns<'a>, EvaluateError> {
        let path = self.test.as_ref().unwrap_or(&self.train);
        Ok(detector.over(path, &columns.table(path).headers()?)?)
    }

    /// The labelled events of the test, scored, and how long each took.
    fn score(
        &self,
        columns: &Columns,
        test: &Test<'_>,
        model: &Model,
        look_ups: &LookUps,
        histories: &HashMap<usize, Vec<f32>>,
        mut rules: Option<&mut OverColumns<'_>>,
    ) -> Result<(Vec<Scored>, Vec<Duration>), EvaluateError> {
        let price = columns
            .variables
            .iter()
            .position(|variable| variable.kind == VariableType::Price);
        let mut scored = Vec::new();
        let mut times = Vec::new();
        let mut score = |event: &Event<'_>| {
            let row = &event.row;
            let fraud = match row.label {
                Label::Fraud => true,
                Label::Legit => false,
                Label::Unlabelled | Label::Unknown => return,
            };
            let history = histories.get(&event.number).map_or(&[][..], Vec::as_slice);
            let start = Instant::now();
            let score = model.score(row.values, row.event_time, history);
            times.push(start.elapsed());
            scored.push(Scored {
                number: event.number,
                log_odds: score.log_odds,
                score: score.score,
                fraud,
                amount: price.and_then(|place| model::number(row.values[place]?)),
                month: row.event_time.and_then(month),
                look_ups: look_ups.of(row),
                seen: look_ups.seen(row),
                alarm: rules.as_mut().and_then(|rules| rules.alarm(event)),
            });
        };
        self.each(columns, test, |event| score(&event))?;
        let fraud = scored.iter().filter(|event| event.fraud).count();
        let legit = scored.len() - fraud;
        if fraud == 0 || legit == 0 {
            let path = self
                .test
                .as_ref()
                .unwrap_or(&self.train)
                .display()
                .to_string();
            return Err(EvaluateError::OneKind { path, fraud, legit });
        }
        Ok((scored, times))
    }

    /// Goes through the events of the test.
    fn each(
        &self,
        columns: &Columns,
        test: &Test<'_>,
        mut each: impl FnMut(table::Event<'_>),
    ) -> Result<(), TableError> {
        let path = match test {
            Test::File(path) => path,
            Test::Rows(..) => self.train.as_path(),
        };
        columns.table(path).each(|event| {
            if !matches!(test, Test::Rows(held_out, _) if !held_out[event.number - 1]) {
                each(event);
            }
            Ok::<(), TableError>(())
        })?;
        Ok(())
    }

    /// What the entities had done before each event of the test, by the event's place: in training, and in the test
    /// so far. Of the test's own labels nothing is known.
    fn histories(
        &self,
        columns: &Columns,
        test: &Test<'_>,
        mut histories: Histories,
    ) -> Result<HashMap<usize, Vec<f32>>, TableError> {
        let mut events = Vec::new();
        if columns.watched.is_some() {
            self.each(columns, test, |event| {
                if let (Some(entity), Some(seen)) = (event.row.entity, event.row.seen) {
                    events.push((seen.time, event.number, entity.to_owned(), seen));
                }
            })?;
        }
        events.sort_unstable_by_key(|(time, number, ..)| (*time, *number));
        let before = events.into_iter().map(|(_, number, entity, event)| {
            let features = histories.features(Some(&entity), &event);
            histories.add(&entity, event);
            (number, features)
        });
        Ok(before.collect())
    }

    fn train(&self, dataset: &Dataset, labels: Labels) -> Result<(Model, Report), EvaluateError> {
        let options = Options {
            labels_are: match labels {
                Labels::Final => LabelsAre::Final,
                Labels::Maturing => LabelsAre::Maturing,
            },
            // Events without a label teach nothing; a file of a single column is a file all the same.
            unlabelled: Some(model::Unlabelled::Ignore),
            min_variables: 1,
            seed: self.seed,
            ..Options::default()
        };
        let bar = bar(self.json);
        let trained = model::train(dataset, &options, &mut |progress| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 1000"
            )]
            bar.set_position((progress.done * 1000.0) as u64);
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        trained.map_err(|error| match error {
            TrainError::Data(messages) => EvaluateError::Train(sentences(&self.train, &messages)),
            other => EvaluateError::Train(format!("{}: {other}", self.train.display())),
        })
    }
}

fn print(text: &str) {
    // A reader that has seen enough, such as `head`, is no error.
    drop(writeln!(std::io::stdout(), "{}", text.trim_end()));
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> EvaluateError {
    let path = path.display().to_string();
    move |source| EvaluateError::Io {
        path: path.clone(),
        source,
    }
}

fn sentences(path: &Path, messages: &[Message]) -> String {
    let lines: Vec<&str> = messages
        .iter()
        .filter(|message| message.level == model::Level::Error)
        .map(|message| message.content.as_str())
        .collect();
    format!("{}: {}", path.display(), lines.join(" "))
}

fn bar(quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("training {bar:40} {percent} % {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Which rows of the only file are measured: the newest by time, or some by a hash of their place.
fn held_out(table: &table::Table<'_>) -> Result<Test<'static>, TableError> {
    let mut times = Vec::new();
    table.each(|event| {
        // A row that was left out has a place too.
        times.resize(event.number - 1, None);
        times.push(event.row.event_time);
        Ok::<(), TableError>(())
    })?;
    let mut known: Vec<i64> = times.iter().flatten().copied().collect();
    known.sort_unstable();
    let cut = known.get(known.len() * TRAIN_PERCENT / 100).copied();
    let by_time = known.len() * 2 > times.len() && known.first() != known.last();
    let is_held_out = |(place, time): (usize, &Option<i64>)| match (by_time, time, cut) {
        (true, Some(time), Some(cut)) => *time >= cut,
        (true, ..) => false,
        // The finalizer of SplitMix64: neighbours land anywhere.
        (false, ..) => {
            let mut hash = (place as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (hash ^ (hash >> 31)) % 100 >= TRAIN_PERCENT as u64
        }
    };
    let rows = times.iter().enumerate().map(is_held_out).collect();
    Ok(Test::Rows(
        rows,
        if by_time {
            "the newest fifth by time"
        } else {
            "a fifth by chance"
        },
    ))
}

fn month(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.to_string().chars().take(7).collect())
}

fn median_microseconds(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn write_scores(path: &Path, scored: &[Scored]) -> Result<(), EvaluateError> {
    let wrong = |source| EvaluateError::Csv {
        path: path.display().to_string(),
        source,
    };
    let mut writer = csv::Writer::from_path(path).map_err(wrong)?;
    writer
        .write_record(["row", "fraud", "score", "log_odds"])
        .map_err(wrong)?;
    for event in scored {
        let fraud = if event.fraud { "1" } else { "0" };
        let row = [
            event.number.to_string(),
            fraud.to_owned(),
            event.score.to_string(),
            event.log_odds.to_string(),
        ];
        writer.write_record(row).map_err(wrong)?;
    }
    writer.flush().map_err(io(path))
}

fn report(
    folder: &Path,
    evaluation: &Evaluation,
    scored: &[Scored],
    model: &Model,
) -> Result<Vec<String>, EvaluateError> {
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let curve = Ranking::new(scored.iter().map(|event| (event.log_odds, event.fraud))).curve();
    let mut importance = model.importance();
    importance.retain(|importance| importance.share > 0.0);
    let rules = evaluation
        .rules_only
        .iter()
        .flat_map(|rules| &rules.outcomes);
    let rules: Vec<(f64, f64)> = rules.map(|row| (row.fpr, row.recall)).collect();
    let drawn = pictures::Drawn {
        curve: &curve,
        rules: &rules,
        scored,
        importance: &importance,
    };
    let page = folder.join("report.html");
    std::fs::write(&page, page::html(evaluation, &pictures::svgs(&drawn)?)).map_err(io(&page))?;
    let pngs = pictures::pngs(&drawn, folder)?
        .into_iter()
        .map(|name| folder.join(name));
    Ok(std::iter::once(page)
        .chain(pngs)
        .map(|path| path.display().to_string())
        .collect())
}

fn columns_table(columns: &Columns) -> String {
    let time = match &columns.event_time {
        Some(name) => format!("time `{name}`"),
        None => "no time".to_owned(),
    };
    let entity = columns.entity.iter().map(|name| format!("entity `{name}`"));
    let roles: Vec<String> = [format!("label `{}`", columns.label), time]
        .into_iter()
        .chain(entity)
        .collect();
    let mut grid = Grid::new();
    grid.load_style(NOTHING)
        .set_header(["column", "taken for", "because"]);
    for column in &columns.inferred {
        let kind = column.kind.map_or("left out", VariableType::as_str);
        grid.add_row([column.name.as_str(), kind, column.why.as_str()]);
    }
    let roles = roles.join(", ");
    format!("{roles}\n\n{grid}\n\nTo take a column for something else: --type COLUMN=TYPE\n")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.3}"))
}

impl Evaluation {
    /// The figures that come first, as name and value.
    fn headlines(&self) -> Vec<(&'static str, String)> {
        let Measures {
            auc,
            average_precision,
            recall_at_1_percent_fpr,
            amount_recall_at_1_percent_fpr,
            precision_at_capacity,
            best_look_up,
            ..
        } = &self.measures;
        let mut lines = vec![
            (
                "AUC",
                format!("{:.4} ({:.4} to {:.4})", auc.value, auc.low, auc.high),
            ),
            (
                "recall at 1 % false positives",
                percent(*recall_at_1_percent_fpr),
            ),
            ("average precision", format!("{average_precision:.3}")),
        ];
        if let Some(recall) = amount_recall_at_1_percent_fpr {
            lines.push(("the same recall, by amount", percent(*recall)));
        }
        let capacity = format!(
            "{} of {} events",
            percent(precision_at_capacity.precision),
            precision_at_capacity.events
        );
        lines.push(("precision at a review of 1 %", capacity));
        if let Some(look_up) = best_look_up {
            let value = format!(
                "AUC {:.4}, recall {} (`{}`)",
                look_up.auc,
                percent(look_up.recall_at_1_percent_fpr),
                look_up.column
            );
            lines.push(("the best look-up on one column", value));
        }
        lines.push((
            "training",
            format!(
                "{:.1} s, {} trees, {:.1} MB",
                self.training_seconds,
                self.training.trees,
                megabytes(self.model_bytes)
            ),
        ));
        lines.push((
            "scoring an event",
            format!("{:.0} µs", self.score_microseconds),
        ));
        lines
    }

    fn thresholds(&self) -> Grid {
        let row = |threshold: &measures::Threshold| {
            vec![
                format!("{:.0}", threshold.score),
                percent(threshold.fpr),
                percent(threshold.recall),
                percent(threshold.precision),
            ]
        };
        grid(
            &["score from", "false positives", "recall", "precision"],
            self.measures.thresholds.iter().map(row),
        )
    }

    fn months(&self) -> Grid {
        let row = |(month, part): (&String, &measures::Part)| part_row(month.clone(), part);
        grid(
            &["month", "events", "fraud", "AUC", "recall at 1 %"],
            self.measures.months.iter().map(row),
        )
    }

    fn keys(&self) -> Grid {
        let rows = self.measures.keys.iter().flat_map(|keys| {
            [
                part_row(format!("{}: seen", keys.column), &keys.known),
                part_row(format!("{}: new", keys.column), &keys.new),
            ]
        });
        grid(&["keys", "events", "fraud", "AUC", "recall at 1 %"], rows)
    }

    fn importance(&self) -> Grid {
        let row =
            |importance: &model::Importance| vec![importance.name(), percent(importance.share)];
        grid(
            &["variable", "importance"],
            self.training.importance.iter().take(15).map(row),
        )
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .training
            .messages
            .iter()
            .map(|message| match &message.field {
                Some(field) => format!("{field}: {}", message.content),
                None => message.content.clone(),
            })
            .collect();
        if self.training.maturity.immature > 0 {
            notes.push(format!(
                "{} of the newest events were not trained on: labels take {:.0} days ({}). --labels final trains on all.",
                self.training.maturity.immature, self.training.maturity.wait_days, self.training.maturity.why
            ));
        }
        if self.broken_rows > 0 {
            notes.push(format!(
                "{} rows do not have the header's columns and were left out.",
                self.broken_rows
            ));
        }
        notes.extend(self.rules_only.iter().flat_map(RulesOnly::notes));
        if self.repeated_ids > 0 {
            notes.push(format!(
                "{} rows to train on have an EVENT_ID that another row has; all were kept. Is an event in the file twice?",
                self.repeated_ids
            ));
        }
        if self.measures.auc.low <= 0.5 {
            notes.push(
                "on these events the model may be no better than chance: the range of its AUC reaches 0.5.".to_owned(),
            );
        }
        notes
    }
}

fn part_row(name: String, part: &measures::Part) -> Vec<String> {
    vec![
        name,
        part.events.to_string(),
        part.fraud.to_string(),
        figure(part.auc),
        part.recall_at_1_percent_fpr.map_or("-".to_owned(), percent),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measures { events, fraud, .. } = &self.measures;
        let on = self.test.as_deref().or(self.divided).unwrap_or_default();
        writeln!(
            f,
            "measured on {events} events, {fraud} of them fraud ({on})\n"
        )?;
        for (name, value) in self.headlines() {
            writeln!(f, "  {name:<32} {value}")?;
        }
        writeln!(f, "\n{}", self.thresholds())?;
        if let Some(rules) = &self.rules_only {
            writeln!(f, "\n{}", rules.table())?;
        }
        if self.measures.months.len() > 1 {
            writeln!(f, "\n{}", self.months())?;
        }
        if !self.measures.keys.is_empty() {
            writeln!(f, "\n{}", self.keys())?;
        }
        writeln!(f, "\n{}", self.importance())?;
        let notes = self.notes();
        if !notes.is_empty() {
            writeln!(f)?;
        }
        for note in notes {
            writeln!(f, "note: {note}")?;
        }
        for file in &self.files {
            writeln!(f, "written: {file}")?;
        }
        Ok(())
    }
}
