//! Trains a model on one file of labelled events and measures it on another.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use model::EntityHistories;
use model::history::TrackedEvent;
use model::{
    Dataset, EventLabel, EventRow, LabelsAre, Model, TrainingOptions, TrainingReport, VariableType,
};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::error::{EvaluateError, io_error_in};
use crate::format::{describe_time, month_of};
use crate::measures::{LookUps, Measures, ScoredEvent};
use crate::output::{write_report, write_scores};
use crate::result::EvaluationResult;
use crate::retraining::{ModelsInTime, list_trainings};
use crate::rules_only::{AppliedDetector, MeasuredDetector};
use crate::score_promise::check_promises;
use crate::split::{TestEvents, hold_out_rows};
use crate::table::{
    ColumnOptions, EventColumns, RowNotes, TableError, TableEvent, parse_time_span,
};
use crate::training::train_with_progress;

/// What is evaluated: the options of the command.
#[derive(Clone, Debug, Args)]
pub struct Evaluate {
    /// CSV of labelled events to train on, plain or .gz.
    pub train: PathBuf,
    /// CSV of labelled events to measure on; default the newest fifth of the first file, or a fifth of it by chance
    /// where it has no times.
    test: Option<PathBuf>,
    /// What was given about its columns.
    #[command(flatten)]
    pub column_options: ColumnOptions,
    /// Whether labels may still change; default `final`, and `maturing` where the file says when labels came.
    #[arg(long, value_enum)]
    labels: Option<LabelMaturity>,
    /// Leaves out the events of so much time before the test, such as `7d`: what a model would not know yet when it is
    /// put into service.
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    gap: Option<i64>,
    /// Trains again each time that so much of the test has passed, such as `7d`, on all that is known by then; each event
    /// is scored by the model of its time.
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    retrain_every: Option<i64>,
    /// Detector file whose rules are measured beside the model, with columns as variables by their names.
    #[arg(long, value_name = "FILE")]
    pub detector: Option<PathBuf>,
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
    pub json: bool,
}

/// Whether labels may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabelMaturity {
    /// They will not.
    Final,
    /// Chargebacks still come in: an event counts once its label has had the time to.
    Maturing,
}

/// The events that train, and what was noticed in reading them.
struct TrainingData {
    dataset: Dataset,
    look_ups: LookUps,
    /// Whether label times differ from event times and from each other.
    real_label_times: bool,
    row_notes: RowNotes,
    repeated_ids: usize,
    /// The time of the newest event, in seconds since 1970.
    newest: Option<i64>,
    /// How many events of a test file are among those that train.
    seen_in_test: usize,
}

/// What is known of the test before training.
#[derive(Default)]
struct TestOverview {
    events: usize,
    /// The time of the oldest event, in seconds since 1970.
    start: Option<i64>,
    /// The time of the newest event.
    end: Option<i64>,
    /// Of a test file, how many events have each hash of values, time and entity.
    hashes: FxHashMap<u64, usize>,
}

impl Evaluate {
    /// Trains a model, measures it, and writes the files that are asked for. `columns` are those of the training
    /// file; `detector` is the detector whose rules are measured beside the model.
    ///
    /// # Errors
    /// [`EvaluateError`], a sentence.
    pub fn run(
        &self,
        columns: &EventColumns,
        detector: Option<&MeasuredDetector>,
    ) -> Result<EvaluationResult, EvaluateError> {
        let test = match &self.test {
            Some(path) => {
                columns.check_label_values_of(path)?;
                TestEvents::File(path)
            }
            None => hold_out_rows(&columns.table(&self.train))?,
        };
        let mut overview = self.read_test_overview(columns, &test)?;
        // Before a training that may take minutes.
        let mut rules = detector
            .map(|detector| self.apply_detector(detector, columns))
            .transpose()?;
        let mut data = self.read_training_data(columns, &test, &mut overview)?;
        let start = Instant::now();
        // Where the test is newer than all that trains, a model of its first day knows only the labels that had come.
        let is_newer = |start: &i64| data.newest.is_some_and(|newest| newest <= *start);
        let as_of = overview.start.filter(is_newer);
        let (model, mut training) = self.train_model(&data, as_of, "training")?;
        let histories = EntityHistories::of_dataset(&data.dataset);
        let mut models = ModelsInTime::new(model);
        if let Some(newest) = self.retrain(columns, &test, &overview, &mut data, &mut models)? {
            training = newest;
        }
        let training_seconds = start.elapsed().as_secs_f64();
        // It is large, and no longer needed.
        drop(data.dataset);

        let histories =
            self.read_histories(columns, &test, self.gap_start(&overview), histories)?;
        let (scored, times, test_notes) = self.score_test_events(
            columns,
            &test,
            &models,
            &data.look_ups,
            &histories,
            rules.as_mut(),
        )?;
        let models_trained = models.count();
        let model = models.into_newest();
        let bytes = model.to_bytes();
        let mut about_test = self.describe_test(columns, &overview, data.newest, data.seen_in_test);
        about_test.extend(self.describe_retraining(data.real_label_times));
        let mut evaluation = EvaluationResult {
            summary: Vec::new(),
            train: self.train.display().to_string(),
            test: self.test.as_ref().map(|path| path.display().to_string()),
            divided: match &test {
                TestEvents::File(_) => None,
                TestEvents::Rows(_, how) => Some(*how),
            },
            label: columns.label.clone(),
            label_values: match &test {
                TestEvents::File(path) => columns.label_values_with(path)?,
                TestEvents::Rows(..) => columns.label_values(),
            },
            timestamp: columns.event_time.clone(),
            columns: columns.inferred.clone(),
            broken_rows: data.row_notes.broken,
            row_notes: self.describe_rows(&data.row_notes, &test, &test_notes),
            repeated_ids: data.repeated_ids,
            test_notes: about_test,
            score_promises: check_promises(&scored),
            measures: Measures::new(&scored, &columns.variables, &data.look_ups),
            rules_only: rules.map(|rules| rules.measure(&scored)),
            training,
            models_trained,
            training_seconds,
            score_microseconds: median_microseconds(times),
            model_bytes: bytes.len(),
            files: Vec::new(),
        };
        evaluation.summary = evaluation.write_summary();
        evaluation.files = self.write_files(&evaluation, &scored, &model, &bytes)?;
        Ok(evaluation)
    }

    /// What there is to say of the rows of the files; test events that are part of the first file are described with it.
    fn describe_rows(
        &self,
        train_notes: &RowNotes,
        test: &TestEvents<'_>,
        test_notes: &RowNotes,
    ) -> Vec<String> {
        let mut described = train_notes.describe(&self.train);
        if let TestEvents::File(path) = test {
            described.extend(test_notes.describe(path));
        }
        described
    }

    /// Writes the files that are asked for; returns the names of the page and its pictures.
    fn write_files(
        &self,
        evaluation: &EvaluationResult,
        scored: &[ScoredEvent],
        model: &Model,
        bytes: &[u8],
    ) -> Result<Vec<String>, EvaluateError> {
        if let Some(path) = &self.model {
            std::fs::write(path, bytes).map_err(io_error_in(path))?;
        }
        if let Some(path) = &self.scores {
            write_scores(path, scored)?;
        }
        match &self.report {
            Some(folder) => write_report(folder, evaluation, scored, model),
            None => Ok(Vec::new()),
        }
    }

    /// From when on events are left out before the test, in seconds since 1970.
    fn gap_start(&self, overview: &TestOverview) -> Option<i64> {
        let (start, gap) = overview.start.zip(self.gap)?;
        Some(start.saturating_sub(gap))
    }

    /// Reads the events that train.
    fn read_training_data(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        overview: &mut TestOverview,
    ) -> Result<TrainingData, TableError> {
        let gap_start = self.gap_start(overview);
        let mut newest = None;
        let mut seen_in_test = 0;
        let mut look_ups = LookUps::new(&columns.variables);
        let mut dataset = columns.empty_dataset();
        // If all rows have one label time, it is the time when the file was written.
        let mut real_label_times = false;
        let mut first_label_time = None;
        let mut ids: FxHashSet<u64> = FxHashSet::default();
        let mut repeated_ids = 0;
        let row_notes = columns.table(&self.train).for_each_event(|event| {
            if test.has_row(event.number) {
                return Ok(());
            }
            let (event_time, label_time) = (event.row.event_time, event.row.label_time);
            if matches!((event_time, gap_start), (Some(time), Some(start)) if time >= start) {
                return Ok(());
            }
            newest = newest.max(event_time);
            if !overview.hashes.is_empty() {
                seen_in_test += overview.hashes.remove(&hash_row(&event)).unwrap_or(0);
            }
            first_label_time = first_label_time.or(label_time);
            real_label_times |=
                label_time.is_some() && label_time != event_time && label_time != first_label_time;
            let id = event.id.map(|id| FxBuildHasher.hash_one(id));
            repeated_ids += usize::from(id.is_some_and(|id| !ids.insert(id)));
            look_ups.learn(&event.row);
            dataset.push(&event.row).map_err(TableError::from)
        })?;
        Ok(TrainingData {
            dataset,
            look_ups,
            real_label_times,
            row_notes,
            repeated_ids,
            newest,
            seen_in_test,
        })
    }

    /// What `--retrain-every` makes too good where nothing says when labels came.
    fn describe_retraining(&self, real_label_times: bool) -> Option<String> {
        let is_final = self.label_maturity(real_label_times) == LabelMaturity::Final;
        (self.retrain_every.is_some() && is_final).then(|| {
            "nothing says when labels came, so each model of --retrain-every knows all labels of the events before it: \
             figures are too good. Say --label-delay, such as 7d."
                .to_owned()
        })
    }

    /// What is wrong with a test file as a test.
    fn describe_test(
        &self,
        columns: &EventColumns,
        overview: &TestOverview,
        newest: Option<i64>,
        seen: usize,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(path) = &self.test else {
            return notes;
        };
        let path = path.display();
        let events = overview.events;
        // Without times and ids, equal rows need not be the same event.
        if seen > 0 && columns.event_time.is_some() {
            notes.push(format!(
                "{seen} of {events} events of {path} are also among those that train, with the same values: figures on \
                 them are too good. Measure on events that the model has not seen."
            ));
        }
        if let (Some(start), Some(newest)) = (overview.start, newest)
            && start < newest
        {
            notes.push(format!(
                "{path} begins ({}) before the events that train end ({}): a model in service never knows what comes \
                 later. Measure on newer events.",
                describe_time(start),
                describe_time(newest)
            ));
        }
        notes
    }

    fn read_test_overview(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
    ) -> Result<TestOverview, EvaluateError> {
        let mut overview = TestOverview::default();
        self.for_each_test_event(columns, test, |event| {
            overview.events += 1;
            if let Some(time) = event.row.event_time {
                let start = overview.start.map_or(time, |start| start.min(time));
                overview.start = Some(start);
                overview.end = overview.end.max(Some(time));
            }
            if matches!(test, TestEvents::File(_)) {
                *overview.hashes.entry(hash_row(&event)).or_default() += 1;
            }
        })?;
        let needs_times = [("--gap", self.gap), ("--retrain-every", self.retrain_every)];
        let option = needs_times.iter().find(|(_, given)| given.is_some());
        if let (Some((option, _)), None) = (option, overview.start) {
            return Err(EvaluateError::NoTimes { option });
        }
        Ok(overview)
    }

    /// The detector, applied to the columns of the file that is measured.
    fn apply_detector<'a>(
        &self,
        detector: &'a MeasuredDetector,
        columns: &EventColumns,
    ) -> Result<AppliedDetector<'a>, EvaluateError> {
        let path = self.test.as_ref().unwrap_or(&self.train);
        Ok(detector.apply_to(path, &columns.table(path).read_headers()?)?)
    }

    /// Scores the labelled events of the test, and measures how long each takes.
    fn score_test_events(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        models: &ModelsInTime,
        look_ups: &LookUps,
        histories: &HashMap<usize, Vec<f32>>,
        mut rules: Option<&mut AppliedDetector<'_>>,
    ) -> Result<(Vec<ScoredEvent>, Vec<Duration>, RowNotes), EvaluateError> {
        let price = columns
            .variables
            .iter()
            .position(|variable| variable.kind == VariableType::Price);
        let mut scored = Vec::new();
        let mut times = Vec::new();
        let mut score = |event: &TableEvent<'_>| {
            let row = &event.row;
            let fraud = match row.label {
                EventLabel::Fraud => true,
                EventLabel::Legit => false,
                EventLabel::Unlabelled | EventLabel::Unknown => return,
            };
            let history = histories.get(&event.number).map_or(&[][..], Vec::as_slice);
            let model = models.at(row.event_time);
            let start = Instant::now();
            let score = model.score(row.values, row.event_time, history);
            times.push(start.elapsed());
            scored.push(ScoredEvent {
                number: event.number,
                log_odds: score.log_odds,
                score: score.score,
                fraud,
                entity: row.entity.map(|entity| FxBuildHasher.hash_one(entity)),
                amount: price.and_then(|place| model::parse_number(row.values[place]?)),
                month: row.event_time.and_then(month_of),
                look_ups: look_ups.fraud_rates(row),
                seen: look_ups.known_values(row),
                alarm: rules.as_mut().and_then(|rules| rules.find_alarm(event)),
            });
        };
        let notes = self.for_each_test_event(columns, test, |event| score(&event))?;
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
        Ok((scored, times, notes))
    }

    /// Calls `each` with every event of the test.
    fn for_each_test_event(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        mut each: impl FnMut(TableEvent<'_>),
    ) -> Result<RowNotes, TableError> {
        let path = match test {
            TestEvents::File(path) => path,
            TestEvents::Rows(..) => self.train.as_path(),
        };
        columns.table(path).for_each_event(|event| {
            if !matches!(test, TestEvents::Rows(held_out, _) if !held_out[event.number - 1]) {
                each(event);
            }
            Ok::<(), TableError>(())
        })
    }

    /// What the keys did before each event of the test, by the event's place: in training, and in the test so far.
    /// Labels of the test count once they would have come; without their times they are not used.
    fn read_histories(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        gap_start: Option<i64>,
        mut histories: EntityHistories,
    ) -> Result<HashMap<usize, Vec<f32>>, TableError> {
        let Some(tracked) = &columns.tracked_fields else {
            return Ok(HashMap::new());
        };
        // Events of a gap before the test have no number: service sees them, too, but they are not measured.
        let mut events: Vec<(i64, Option<usize>, TrackedEvent)> = Vec::new();
        let mut fraud: Vec<(i64, TrackedEvent)> = Vec::new();
        let mut note = |event: &TableEvent<'_>, number: Option<usize>| {
            let Some(seen) = event.row.tracked else {
                return;
            };
            let known = event.row.label_time;
            if let (EventLabel::Fraud, Some(known)) = (event.row.label, known) {
                fraud.push((known.max(seen.event.time), seen.clone()));
            }
            events.push((seen.event.time, number, seen.clone()));
        };
        self.for_each_test_event(columns, test, |event| note(&event, Some(event.number)))?;
        if let Some(from) = gap_start {
            columns.table(&self.train).for_each_event(|event| {
                let is_of_gap = event.row.event_time.is_some_and(|time| time >= from);
                if is_of_gap && !test.has_row(event.number) {
                    note(&event, None);
                }
                Ok::<(), TableError>(())
            })?;
        }
        events.sort_unstable_by_key(|(time, number, _)| (*time, *number));
        fraud.sort_unstable_by_key(|(known, _)| *known);
        let mut fraud = fraud.into_iter().peekable();
        let before = events.into_iter().filter_map(|(time, number, event)| {
            while let Some((known, bad)) = fraud.next_if(|(known, _)| *known <= time) {
                histories.note_fraud(&bad, known);
            }
            let features = histories.features(tracked, &event);
            histories.add(tracked, &event);
            Some((number?, features))
        });
        Ok(before.collect())
    }

    /// Trains again each time that so much of the test has passed as `--retrain-every` says, on all that is known by
    /// then, and adds the models. Returns the report of the last training.
    fn retrain(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        overview: &TestOverview,
        data: &mut TrainingData,
        models: &mut ModelsInTime,
    ) -> Result<Option<TrainingReport>, EvaluateError> {
        let (Some(every), Some(start), Some(end)) =
            (self.retrain_every, overview.start, overview.end)
        else {
            return Ok(None);
        };
        let gap = self.gap.unwrap_or(0);
        let trainings = list_trainings((start, end), every)?;
        let count = trainings.len();
        let mut from = start.saturating_sub(gap);
        let mut newest = None;
        for (number, time) in (1..).zip(trainings) {
            let to = time.saturating_sub(gap);
            self.add_events_between(columns, test, from..to, &mut data.dataset)?;
            from = to;
            let what = format!("training again, {number} of {count}");
            let (model, report) = self.train_model(data, Some(time), &what)?;
            models.add(time, model);
            newest = Some(report);
        }
        Ok(newest)
    }

    /// Adds the events of a time to those that train: of the test, and those that a gap before the test left out.
    fn add_events_between(
        &self,
        columns: &EventColumns,
        test: &TestEvents<'_>,
        times: Range<i64>,
        dataset: &mut Dataset,
    ) -> Result<(), TableError> {
        let is_within = |time: Option<i64>| time.is_some_and(|time| times.contains(&time));
        columns.table(&self.train).for_each_event(|event| {
            let is_new = test.has_row(event.number) || self.gap.is_some();
            if is_new && is_within(event.row.event_time) {
                dataset.push(&event.row)?;
            }
            Ok::<(), TableError>(())
        })?;
        if let TestEvents::File(path) = test {
            columns.table(path).for_each_event(|event| {
                if is_within(event.row.event_time) {
                    dataset.push(&event.row)?;
                }
                Ok::<(), TableError>(())
            })?;
        }
        Ok(())
    }

    fn label_maturity(&self, real_label_times: bool) -> LabelMaturity {
        let found = if real_label_times {
            LabelMaturity::Maturing
        } else {
            LabelMaturity::Final
        };
        self.labels.unwrap_or(found)
    }

    /// Trains a model of what was known at `as_of`, or of all.
    fn train_model(
        &self,
        data: &TrainingData,
        as_of: Option<i64>,
        what: &str,
    ) -> Result<(Model, TrainingReport), EvaluateError> {
        let labels = self.label_maturity(data.real_label_times);
        let options = TrainingOptions {
            labels_are: match labels {
                LabelMaturity::Final => LabelsAre::Final,
                LabelMaturity::Maturing => LabelsAre::Maturing,
            },
            // Events without a label cannot be learnt from; a file of one column is accepted, too.
            unlabelled: Some(model::UnlabelledTreatment::Ignore),
            min_variables: 1,
            as_of,
            seed: self.seed,
            ..TrainingOptions::default()
        };
        train_with_progress(&data.dataset, &options, &self.train, !self.json, what)
    }
}

/// A hash of an event: of its values, its time and its entity.
fn hash_row(event: &TableEvent<'_>) -> u64 {
    let EventRow {
        values,
        event_time,
        entity,
        ..
    } = event.row;
    FxBuildHasher.hash_one((values, event_time, entity))
}

fn median_microseconds(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
