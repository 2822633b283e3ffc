//! Finds which column of a file is what: by options, by names, and by values.

use std::collections::HashMap;
use std::path::Path;

use model::history::TrackedFields;
use model::{Dataset, EventLabel, InferredColumn, Variable, VariableType};

use super::csv_file::{RowCells, open_csv, sample_rows};
use super::decimal_commas::replace_decimal_commas;
use super::error::TableError;
use super::label_values::{LabelCounts, LabelSides, LabelValue};

/// Headers of Amazon's files.
const EVENT_LABEL: &str = "EVENT_LABEL";
const EVENT_TIMESTAMP: &str = "EVENT_TIMESTAMP";
const LABEL_TIMESTAMP: &str = "LABEL_TIMESTAMP";
const ENTITY_ID: &str = "ENTITY_ID";
pub(super) const EVENT_ID: &str = "EVENT_ID";
const METADATA: [&str; 2] = [EVENT_ID, "ENTITY_TYPE"];

/// Usual names of a column of labels, beside Amazon's.
const LABEL_NAMES: [&str; 18] = [
    "is_fraud",
    "isfraud",
    "fraud",
    "fraudulent",
    "fraud_label",
    "label",
    "class",
    "target",
    "is_bad",
    "isfraudulent",
    "fraud_reported",
    "is_fraudulent",
    "is_chargeback",
    "is_malicious",
    "is_ip_malign",
    "is_phishing",
    "loan_default",
    "account_type",
];
/// Usual names of a column of event times, beside Amazon's.
const TIME_NAMES: [&str; 15] = [
    "timestamp",
    "event_time",
    "event_date",
    "trans_date_trans_time",
    "transaction_time",
    "transaction_date",
    "transaction_timestamp",
    "trans_date",
    "purchase_time",
    "purchase_date",
    "order_date",
    "order_time",
    "datetime",
    "date_time",
    "date",
];
/// What was given about a file's columns on the command line; the rest is inferred.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ColumnOptions {
    /// Column of the label; default `EVENT_LABEL`, or one called like a label.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// A value of the label that is legitimate. With --legit or --fraud alone, the one value that is left is the other
    /// side; with both, rows with any other value are left out. Default what looks legitimate. No value is unlabelled.
    #[arg(long = "legit", value_name = "VALUE")]
    pub legit: Vec<String>,
    /// A value of the label that is fraud, see --legit.
    #[arg(long = "fraud", value_name = "VALUE")]
    pub fraud: Vec<String>,
    /// Column of the event's time; default `EVENT_TIMESTAMP`, or one called like it; `none` for none.
    #[arg(long, value_name = "COLUMN")]
    pub timestamp: Option<String>,
    /// Column of the entity; default `ENTITY_ID`.
    #[arg(long, value_name = "COLUMN")]
    pub entity: Option<String>,
    /// How long after its event a label came, such as `7d`, where the file does not say it in `LABEL_TIMESTAMP`.
    #[arg(long, value_name = "TIME", value_parser = parse_time_span)]
    pub label_delay: Option<i64>,
    /// Type of a column, such as `client_ip=IP_ADDRESS`; `COLUMN=ignore` leaves it out. Default what its values look like.
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
}

/// Which column of a file is what.
#[derive(Clone, Debug)]
pub struct EventColumns {
    /// The column of the label.
    pub label: String,
    /// What its values mean.
    sides: LabelSides,
    /// Its values in the file.
    label_counts: LabelCounts,
    /// The column of the event's time.
    pub event_time: Option<String>,
    /// The column of the label's time.
    pub label_time: Option<String>,
    /// After how many seconds a label came whose time the file does not say.
    pub label_delay: Option<i64>,
    /// The column of the entity.
    pub entity: Option<String>,
    /// The columns that the model may use, their types, and the reasons for them.
    pub inferred: Vec<InferredColumn>,
    /// The same as variables of the model.
    pub variables: Vec<Variable>,
    /// Which variables make up the histories of entities and other keys, if there are times.
    pub tracked_fields: Option<TrackedFields>,
    day_first: bool,
    /// Names of columns whose numbers are written `1.234,5`.
    pub(super) decimal_commas: Vec<String>,
}

impl EventColumns {
    /// Reads the header and a sample of the rows.
    ///
    /// # Errors
    /// [`TableError`]: what is missing, and which option to give.
    pub fn find(path: &Path, said: &ColumnOptions) -> Result<Self, TableError> {
        let shown = path.display().to_string();
        let mut reader = open_csv(path)?;
        let headers = reader.header().names.clone();
        let mut sample = sample_rows(path, &mut reader)?;
        if sample.is_empty() {
            return Err(TableError::Empty { path: shown });
        }
        let decimal_commas = replace_decimal_commas(&headers, &mut sample);
        let inferred = infer_types(path, &headers, &sample, &said.types)?;
        let values = |column: usize| {
            sample
                .iter()
                .map(move |row| row.get(column).and_then(Option::as_deref))
        };

        let header = ColumnNames {
            path: &shown,
            names: &headers,
        };
        let label = header.find_label(said.label.as_ref())?;
        let has_commas = decimal_commas.contains(&headers[label]);
        let label_counts = LabelCounts::count(path, &headers[label], has_commas)?;
        let sides = LabelSides::find(
            &shown,
            &headers[label],
            &said.legit,
            &said.fraud,
            &label_counts,
        )?;
        let event_time = header.find_event_time(said.timestamp.as_ref(), &inferred)?;
        let label_time = header.find(None, "the label's time", &[LABEL_TIMESTAMP])?;
        let entity = header.find(said.entity.as_ref(), "the entity", &[ENTITY_ID])?;
        let day_first =
            event_time.is_some_and(|column| values(column).flatten().any(model::has_day_first));
        let is_variable = |column: &usize| {
            let roles = [Some(label), event_time, label_time, entity];
            !roles.contains(&Some(*column)) && !METADATA.contains(&headers[*column].as_str())
        };
        let inferred: Vec<InferredColumn> = (0..headers.len())
            .filter(is_variable)
            .map(|column| inferred[column].clone())
            .collect();
        let variables = inferred
            .iter()
            .filter_map(|column| Some(Variable::new(&column.name, column.kind?)))
            .collect::<Vec<Variable>>();
        let tracked_fields = event_time.map(|_| TrackedFields::new(&variables, &[]));
        let name = |column: usize| headers[column].clone();
        Ok(Self {
            label: name(label),
            sides,
            label_counts,
            event_time: event_time.map(name),
            label_time: label_time.map(name),
            label_delay: said.label_delay,
            entity: entity.map(name),
            inferred,
            variables,
            tracked_fields,
            day_first,
            decimal_commas,
        })
    }

    /// What a value of the label means.
    pub(super) fn read_label(&self, text: Option<&str>) -> EventLabel {
        self.sides.read_label(text)
    }

    /// The values of the label in the file, and what they are taken for.
    pub fn label_values(&self) -> Vec<LabelValue> {
        self.sides.describe(&self.label_counts)
    }

    /// The values of the label in the file and in `other`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn label_values_with(&self, other: &Path) -> Result<Vec<LabelValue>, TableError> {
        let has_commas = self.decimal_commas.contains(&self.label);
        let counts = LabelCounts::count(other, &self.label, has_commas)?;
        Ok(self
            .sides
            .describe(&self.label_counts.clone().merge(counts)))
    }

    /// Refuses another file none of whose labels has a value that is fraud or legitimate in the first.
    ///
    /// # Errors
    /// [`TableError`].
    pub(crate) fn check_label_values_of(&self, other: &Path) -> Result<(), TableError> {
        let has_commas = self.decimal_commas.contains(&self.label);
        let counts = LabelCounts::count(other, &self.label, has_commas)?;
        if self.sides.knows_any_of(&counts) {
            return Ok(());
        }
        Err(TableError::OtherLabels {
            path: other.display().to_string(),
            column: self.label.clone(),
            values: counts.list_values(),
        })
    }

    /// Seconds since 1970. In a file of plain numbers they may count from another time.
    pub(super) fn read_time(&self, text: Option<&str>) -> Option<i64> {
        let text = text?;
        model::parse_date(text, self.day_first).or_else(|| {
            let number = model::parse_number(text)?;
            // Milliseconds since 1970 are this large from 1973 on, seconds only in the year 5138.
            let seconds = if number.abs() >= 1e11 {
                number / 1000.0
            } else {
                number
            };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is no time then anyway"
            )]
            let seconds = seconds as i64;
            Some(seconds)
        })
    }

    /// An empty data set for the rows.
    pub fn empty_dataset(&self) -> Dataset {
        let dataset = Dataset::new(self.variables.clone());
        match &self.tracked_fields {
            Some(tracked_fields) => dataset.with_tracked_fields(tracked_fields.clone()),
            None => dataset,
        }
    }
}

/// The seconds of a time span such as `7d` or `12h`.
///
/// # Errors
/// What was wrong, and what would be right.
pub(crate) fn parse_time_span(text: &str) -> Result<i64, String> {
    let span = text.parse::<jiff::Span>().ok();
    let span = span.and_then(|span| {
        span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .ok()
    });
    let seconds = span.map(|span| span.as_secs());
    seconds.filter(|seconds| *seconds >= 0).ok_or_else(|| {
        format!("`{text}` is not a time span; write days, hours or minutes, such as 7d, 12h or 30m")
    })
}

/// The columns of a file, by their names.
struct ColumnNames<'a> {
    path: &'a str,
    names: &'a [String],
}

impl ColumnNames<'_> {
    /// The column for `what`: the one that was named, or the first that has one of `usual` names.
    fn find(
        &self,
        named: Option<&String>,
        what: &'static str,
        usual: &[&str],
    ) -> Result<Option<usize>, TableError> {
        let Some(name) = named else {
            return Ok(usual.iter().find_map(|name| {
                let is_like = |header: &String| header.eq_ignore_ascii_case(name);
                self.names.iter().position(is_like)
            }));
        };
        if name == "none" {
            return Ok(None);
        }
        let column = self.names.iter().position(|header| header == name);
        let column = column.ok_or_else(|| TableError::NoColumn {
            path: self.path.to_owned(),
            name: name.clone(),
            what,
            columns: self.names.to_vec(),
        })?;
        Ok(Some(column))
    }

    fn find_label(&self, named: Option<&String>) -> Result<usize, TableError> {
        let usual: Vec<&str> = [EVENT_LABEL].into_iter().chain(LABEL_NAMES).collect();
        let label = self.find(named, "the label", &usual)?;
        label.ok_or_else(|| TableError::NoLabel {
            path: self.path.to_owned(),
            columns: self.names.to_vec(),
        })
    }

    fn find_event_time(
        &self,
        named: Option<&String>,
        inferred: &[InferredColumn],
    ) -> Result<Option<usize>, TableError> {
        let usual: Vec<&str> = [EVENT_TIMESTAMP].into_iter().chain(TIME_NAMES).collect();
        let column = self.find(named, "the event's time", &usual)?;
        // A column that has such a name, but holds no times, is a variable.
        Ok(column.filter(|column| {
            let kind = inferred[*column].kind;
            named.is_some()
                || kind == Some(VariableType::DateTime)
                || kind == Some(VariableType::Numeric) && self.names[*column] == EVENT_TIMESTAMP
        }))
    }
}

/// The type of each column: as given, or as its values look.
fn infer_types(
    path: &Path,
    headers: &[String],
    sample: &[RowCells],
    given: &[String],
) -> Result<Vec<InferredColumn>, TableError> {
    let rows: Vec<Vec<Option<&str>>> = sample
        .iter()
        .map(|row| row.iter().map(Option::as_deref).collect())
        .collect();
    let names: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut inferred = model::infer_types(&names, &rows);
    set_given_types(given, &mut inferred, path)?;
    Ok(inferred)
}

/// A type that was given comes before what the values look like.
fn set_given_types(
    given: &[String],
    inferred: &mut [InferredColumn],
    path: &Path,
) -> Result<(), TableError> {
    let places: HashMap<String, usize> = inferred
        .iter()
        .enumerate()
        .map(|(place, column)| (column.name.clone(), place))
        .collect();
    for text in given {
        let wrong = |why: String| TableError::Type {
            said: text.clone(),
            why,
        };
        let (name, kind) = text
            .rsplit_once('=')
            .ok_or_else(|| wrong("write COLUMN=TYPE, such as client_ip=IP_ADDRESS".to_owned()))?;
        let place = places
            .get(name)
            .ok_or_else(|| wrong(format!("{} has no column `{name}`", path.display())))?;
        let column = &mut inferred[*place];
        column.kind = if kind.eq_ignore_ascii_case("ignore") {
            None
        } else {
            Some(
                kind.parse()
                    .map_err(|error: model::UnknownVariableType| wrong(error.to_string()))?,
            )
        };
        "said on the command line".clone_into(&mut column.why);
    }
    Ok(())
}
