//! Labelled events in a CSV file, whatever its headers: which column is what, and rows as the model takes them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::path::Path;

use model::history::Watched;
use model::{Dataset, Inferred, Label, Row, Variable, VariableType};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use crate::input::{InputError, open};

/// Rows that types are guessed from.
const SAMPLE: usize = 5_000;
/// Where more of the rows are cut or have columns too many, the file is not what it seems.
const MOST_BROKEN: f64 = 0.01;

/// Bytes that are looked at to tell how a file is written.
const HEAD: u64 = 64 * 1024;
/// What may stand between cells.
const SEPARATORS: [u8; 4] = *b",;\t|";
/// How files begin that are no text, and what to do about it.
const NO_TEXT: [(&[u8], &str); 7] = [
    (
        b"PK\x03\x04",
        "a ZIP or Excel file; unpack it, or save it as CSV",
    ),
    (b"PAR1", "a Parquet file; write it as CSV"),
    (b"\x1f\x8b", "compressed with gzip; let its name end in .gz"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"\xff\xfe", "written in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "written in UTF-16; save it as UTF-8"),
];

/// Headers of Amazon's files.
const EVENT_LABEL: &str = "EVENT_LABEL";
const EVENT_TIMESTAMP: &str = "EVENT_TIMESTAMP";
const LABEL_TIMESTAMP: &str = "LABEL_TIMESTAMP";
const ENTITY_ID: &str = "ENTITY_ID";
const EVENT_ID: &str = "EVENT_ID";
const METADATA: [&str; 2] = [EVENT_ID, "ENTITY_TYPE"];

/// What a column of labels is called where it is not Amazon's.
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
/// What a column of event times is called where it is not Amazon's.
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
/// Values that stand for a legitimate event.
const LEGIT: [&str; 20] = [
    "0",
    "0.0",
    "false",
    "no",
    "n",
    "f",
    "legit",
    "legitimate",
    "genuine",
    "good",
    "benign",
    "normal",
    "not fraud",
    "non-fraud",
    "not_fraud",
    "no fraud",
    "valid",
    "safe",
    "ham",
    "human",
];

/// A file that cannot be evaluated on.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be opened.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Standard input, which can be read once.
    #[error("`-`: a file is read several times; give its name, not standard input")]
    StandardInput,
    /// It is no text.
    #[error("{path}: the file is {what}")]
    NoText {
        /// The file.
        path: String,
        /// What it is, and what to do about it.
        what: &'static str,
    },
    /// It is no CSV.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// Where and why.
        source: csv::Error,
    },
    /// It has no column of that name.
    #[error("{path}: there is no column `{name}` for {what}; it has {}", columns.join(", "))]
    NoColumn {
        /// The file.
        path: String,
        /// The column.
        name: String,
        /// What it is wanted for.
        what: &'static str,
        /// What there is.
        columns: Vec<String>,
    },
    /// Nobody said which column is the label, and none is called like one.
    #[error("{path}: which column is the label? Say --label COLUMN; it has {}", columns.join(", "))]
    NoLabel {
        /// The file.
        path: String,
        /// What there is.
        columns: Vec<String>,
    },
    /// Nobody said which label is legitimate, and none looks like it.
    #[error(
        "{path}: which value of `{column}` is legitimate? Say --legit VALUE; it has {}",
        values.join(", ")
    )]
    NoLegit {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// What it holds.
        values: Vec<String>,
    },
    /// All events are of one kind.
    #[error(
        "{path}: `{column}` holds {held}; events of two kinds are needed to tell one from the other"
    )]
    OneKind {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// What it holds, in words.
        held: String,
    },
    /// A type that was said for a column.
    #[error("--type {said}: {why}")]
    Type {
        /// As said.
        said: String,
        /// What is wrong with it.
        why: String,
    },
    /// Rows that are cut.
    #[error(
        "{path}: {broken} of {rows} rows do not have the {columns} columns of the header (the first is row {first}); is the file cut, or a quotation mark left open?"
    )]
    Broken {
        /// The file.
        path: String,
        /// How many.
        broken: usize,
        /// Of how many.
        rows: usize,
        /// How many there should be.
        columns: usize,
        /// The first, from 1.
        first: usize,
    },
    /// There are no rows.
    #[error("{path}: there are no rows under the header")]
    Empty {
        /// The file.
        path: String,
    },
    /// A row that the model refuses.
    #[error(transparent)]
    Row(#[from] model::RowError),
}

/// What a person says about a file's columns; the rest is inferred.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Said {
    /// Column of the label; default `EVENT_LABEL`, or one called like a label.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// A value of the label that is legitimate; every other is fraud, none is unlabelled. Default what looks like it.
    #[arg(long = "legit", value_name = "VALUE")]
    pub legit: Vec<String>,
    /// Column of the event's time; default `EVENT_TIMESTAMP`, or one called like it; `none` for none.
    #[arg(long, value_name = "COLUMN")]
    pub timestamp: Option<String>,
    /// Column of the entity; default `ENTITY_ID`.
    #[arg(long, value_name = "COLUMN")]
    pub entity: Option<String>,
    /// Type of a column, such as `client_ip=IP_ADDRESS`; `COLUMN=ignore` leaves it out. Default what its values look like.
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
}

/// Which column of a file is what.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The label.
    pub label: String,
    /// Labels that are legitimate.
    legit: Vec<String>,
    /// When it happened.
    pub event_time: Option<String>,
    /// When the label was given.
    pub label_time: Option<String>,
    /// Whose event it is.
    pub entity: Option<String>,
    /// What the model may use, and why it is taken for that.
    pub inferred: Vec<Inferred>,
    /// The same for the model.
    pub variables: Vec<Variable>,
    /// What of the entities' events makes their history, where there are entities and times.
    pub watched: Option<Watched>,
    day_first: bool,
    /// Names of columns whose numbers are written `1.234,5`.
    decimal_commas: Vec<String>,
}

/// A row as it was read.
pub struct Event<'a> {
    /// Its place in the file, from 1.
    pub number: usize,
    /// Its `EVENT_ID`, if there is one.
    pub id: Option<&'a str>,
    /// As the model takes it.
    pub row: Row<'a>,
    cells: &'a [Cow<'a, str>],
}

impl Event<'_> {
    /// What stands in a column, by its place in the header; an empty cell holds nothing.
    pub fn cell(&self, place: usize) -> Option<&str> {
        present(self.cells.get(place).map(AsRef::as_ref))
    }
}

/// A file as the columns say.
pub struct Table<'a> {
    path: &'a Path,
    columns: &'a Columns,
}

fn reader(path: &Path) -> Result<csv::Reader<Box<dyn Read>>, TableError> {
    if path.as_os_str() == "-" {
        return Err(TableError::StandardInput);
    }
    let shown = path.display().to_string();
    let mut file = open(&path.to_string_lossy())?;
    let mut head = Vec::new();
    if let Err(source) = file.by_ref().take(HEAD).read_to_end(&mut head) {
        return Err(InputError::Unreadable {
            path: shown,
            source,
        }
        .into());
    }
    if let Some((_, what)) = NO_TEXT.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Err(TableError::NoText { path: shown, what });
    }
    let separator = separator(&head);
    let file: Box<dyn Read> = Box::new(Cursor::new(head).chain(file));
    Ok(csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(separator)
        .from_reader(file))
}

/// Which separator is most often in the first line; of equals the first, so a comma where there is none.
fn separator(head: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'\n' | b'\r' => break,
            _ => {
                for (count, separator) in counts.iter_mut().zip(SEPARATORS) {
                    *count += usize::from(*byte == separator);
                }
            }
        }
    }
    let most = counts.iter().max();
    let place = counts.iter().position(|count| Some(count) == most);
    SEPARATORS[place.unwrap_or_default()]
}

/// A cell as text: UTF-8, or Latin-1 where it is not that.
fn text(cell: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(cell) {
        Ok(text) => text.into(),
        Err(_) => cell.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// What is wrong with a file, with its name.
fn wrong(path: &Path) -> impl Fn(csv::Error) -> TableError {
    let path = path.display().to_string();
    move |source| TableError::Csv {
        path: path.clone(),
        source,
    }
}

fn headers(
    path: &Path,
    reader: &mut csv::Reader<Box<dyn Read>>,
) -> Result<Vec<String>, TableError> {
    let headers = reader.byte_headers().map_err(wrong(path))?;
    let name = |header| {
        text(header)
            .trim_start_matches('\u{feff}')
            .trim()
            .to_owned()
    };
    Ok(headers.iter().map(name).collect())
}

impl Columns {
    /// Reads the header and a sample of the rows.
    ///
    /// # Errors
    /// [`TableError`]: what is missing, and how to say it.
    pub fn find(path: &Path, said: &Said) -> Result<Self, TableError> {
        let shown = path.display().to_string();
        let mut reader = reader(path)?;
        let headers = headers(path, &mut reader)?;
        let mut sample = sample(path, &mut reader)?;
        if sample.is_empty() {
            return Err(TableError::Empty { path: shown });
        }
        let mut decimal_commas = Vec::new();
        for (column, header) in headers.iter().enumerate() {
            if has_decimal_commas(sample.iter().filter_map(|row| row.get(column)?.as_deref())) {
                decimal_commas.push(header.clone());
                for cell in sample
                    .iter_mut()
                    .filter_map(|row| row.get_mut(column)?.as_mut())
                {
                    *cell = with_point(cell);
                }
            }
        }
        let find = |said: Option<&String>, what, names: &[&str]| match said {
            Some(name) if name == "none" => Ok(None),
            Some(name) => headers
                .iter()
                .position(|header| header == name)
                .map(Some)
                .ok_or_else(|| TableError::NoColumn {
                    path: shown.clone(),
                    name: name.clone(),
                    what,
                    columns: headers.clone(),
                }),
            None => Ok(names.iter().find_map(|name| {
                let like = |header: &String| header.eq_ignore_ascii_case(name);
                headers.iter().position(like)
            })),
        };
        let values = |column: usize| {
            sample
                .iter()
                .map(move |row| row.get(column).and_then(Option::as_deref))
        };
        let rows: Vec<Vec<Option<&str>>> = sample
            .iter()
            .map(|row| row.iter().map(Option::as_deref).collect())
            .collect();
        let names: Vec<&str> = headers.iter().map(String::as_str).collect();
        let mut inferred = model::infer(&names, &rows);
        say_types(&said.types, &mut inferred, path)?;

        let label_names: Vec<&str> = [EVENT_LABEL].into_iter().chain(LABEL_NAMES).collect();
        let label = find(said.label.as_ref(), "the label", &label_names)?;
        let label = label.ok_or_else(|| TableError::NoLabel {
            path: shown.clone(),
            columns: headers.clone(),
        })?;
        let legit = legit(&shown, &headers[label], said, values(label))?;
        let time_names: Vec<&str> = [EVENT_TIMESTAMP].into_iter().chain(TIME_NAMES).collect();
        let event_time = find(said.timestamp.as_ref(), "the event's time", &time_names)?
            // A column that is only called so, and holds no times, is a variable.
            .filter(|column| {
                let kind = inferred[*column].kind;
                said.timestamp.is_some()
                    || kind == Some(VariableType::DateTime)
                    || kind == Some(VariableType::Numeric) && headers[*column] == EVENT_TIMESTAMP
            });
        let label_time = find(None, "the label's time", &[LABEL_TIMESTAMP])?;
        let entity = find(said.entity.as_ref(), "the entity", &[ENTITY_ID])?;
        let day_first =
            event_time.is_some_and(|column| values(column).flatten().any(model::has_day_first));
        let is_variable = |column: &usize| {
            let roles = [Some(label), event_time, label_time, entity];
            !roles.contains(&Some(*column)) && !METADATA.contains(&headers[*column].as_str())
        };
        let inferred: Vec<Inferred> = (0..headers.len())
            .filter(is_variable)
            .map(|column| inferred[column].clone())
            .collect();
        let variables = inferred
            .iter()
            .filter_map(|column| Some(Variable::new(&column.name, column.kind?)))
            .collect::<Vec<Variable>>();
        let watched = (entity.is_some() && event_time.is_some()).then(|| Watched::new(&variables));
        let name = |column: usize| headers[column].clone();
        Ok(Self {
            label: name(label),
            legit,
            event_time: event_time.map(name),
            label_time: label_time.map(name),
            entity: entity.map(name),
            inferred,
            variables,
            watched,
            day_first,
            decimal_commas,
        })
    }

    fn label(&self, text: Option<&str>) -> Label {
        match text {
            None => Label::Unlabelled,
            Some(text) if self.legit.iter().any(|legit| same(legit, text)) => Label::Legit,
            Some(_) => Label::Fraud,
        }
    }

    /// Seconds since 1970, or since whenever a file of plain numbers counts from.
    fn time(&self, text: Option<&str>) -> Option<i64> {
        let text = text?;
        model::date(text, self.day_first).or_else(|| {
            let number = model::number(text)?;
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

    /// A data set for the rows, empty.
    pub fn dataset(&self) -> Dataset {
        let dataset = Dataset::new(self.variables.clone());
        match &self.watched {
            Some(watched) => dataset.watching(watched.clone()),
            None => dataset,
        }
    }

    /// The rows of `path` by these columns.
    pub fn table<'a>(&'a self, path: &'a Path) -> Table<'a> {
        Table {
            path,
            columns: self,
        }
    }
}

impl Table<'_> {
    /// The headers of the file, in their order.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn headers(&self) -> Result<Vec<String>, TableError> {
        headers(self.path, &mut reader(self.path)?)
    }

    /// Goes through the rows; returns how many were left out because they do not have the header's columns.
    ///
    /// # Errors
    /// [`TableError`], or whatever `each` returns.
    pub fn each<E: From<TableError>>(
        &self,
        mut each: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let columns = self.columns;
        let mut reader = reader(self.path)?;
        let headers = headers(self.path, &mut reader)?;
        let place = |name: &str, what| {
            headers
                .iter()
                .position(|header| header == name)
                .ok_or_else(|| TableError::NoColumn {
                    path: self.path.display().to_string(),
                    name: name.to_owned(),
                    what,
                    columns: headers.clone(),
                })
        };
        let optional =
            |name: &Option<String>, what| name.as_deref().map(|name| place(name, what)).transpose();
        let label = place(&columns.label, "the label")?;
        let event_time = optional(&columns.event_time, "the event's time")?;
        // A file of today's events may lack when they were labelled.
        let label_time = columns
            .label_time
            .as_deref()
            .and_then(|name| place(name, "").ok());
        let entity = optional(&columns.entity, "the entity")?;
        let event_id = headers.iter().position(|header| header == EVENT_ID);
        let is_decimal = |header: &String| columns.decimal_commas.contains(header);
        let decimal_commas: Vec<usize> = (0..headers.len())
            .filter(|place| is_decimal(&headers[*place]))
            .collect();
        let variables = columns
            .variables
            .iter()
            .map(|variable| place(&variable.name, "a variable"))
            .collect::<Result<Vec<usize>, TableError>>()?;
        let names = columns
            .variables
            .iter()
            .map(|variable| variable.name.as_str());
        let places: HashMap<&str, usize> = names.zip(0..).collect();
        let shown = self.path.display().to_string();
        let (mut number, mut broken, mut first) = (0, 0, 0);
        let mut record = csv::ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(wrong(self.path))?
        {
            number += 1;
            if record.len() != headers.len() {
                broken += 1;
                first = if first == 0 { number } else { first };
                continue;
            }
            let mut cells: Vec<Cow<'_, str>> = record.iter().map(text).collect();
            for place in &decimal_commas {
                cells[*place] = with_point(&cells[*place]).into();
            }
            let cell = |place: usize| present(cells.get(place).map(AsRef::as_ref));
            let values: Vec<Option<&str>> = variables.iter().map(|place| cell(*place)).collect();
            let event_time = event_time.and_then(|place| columns.time(cell(place)));
            let watched = columns.watched.as_ref().zip(event_time);
            let seen = watched.map(|(watched, time)| {
                let value = |name: &str| values[*places.get(name)?];
                watched.event(&format!("{shown}#{number}"), time, value)
            });
            each(Event {
                number,
                cells: &cells,
                id: event_id.and_then(cell),
                row: Row {
                    values: &values,
                    event_time,
                    entity: entity.and_then(cell),
                    seen,
                    label: columns.label(cell(label)),
                    label_time: label_time.and_then(|place| columns.time(cell(place))),
                    ..Row::default()
                },
            })?;
        }
        let path = shown;
        #[expect(clippy::cast_precision_loss, reason = "counts of rows")]
        if broken as f64 > MOST_BROKEN * number as f64 && broken > 1 {
            let columns = headers.len();
            return Err(TableError::Broken {
                path,
                broken,
                rows: number,
                columns,
                first,
            }
            .into());
        }
        if number == broken {
            return Err(TableError::Empty { path }.into());
        }
        Ok(broken)
    }

    /// All rows as the model takes them, and how many were left out.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn dataset(&self) -> Result<(Dataset, usize), TableError> {
        let mut dataset = self.columns.dataset();
        let broken = self.each(|event| dataset.push(&event.row).map_err(TableError::from))?;
        Ok((dataset, broken))
    }
}

/// An empty cell holds nothing, and so do `NaN` and `null`.
fn present(text: Option<&str>) -> Option<&str> {
    text.and_then(model::present)
}

/// Whether nearly all are numbers with the comma before the decimals, as in `1.234,5`, and some for certain: `1,234`
/// may have thousands.
fn has_decimal_commas<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = |text: &str| {
        let mut thousands = text.trim_start_matches('-').split('.');
        thousands.next().is_some_and(digits)
            && thousands.all(|part| part.len() == 3 && digits(part))
    };
    let (mut many, mut fitting, mut certain) = (0_usize, 0_usize, false);
    for value in values {
        many += 1;
        fitting += usize::from(match value.split_once(',') {
            None => is_whole(value),
            Some((whole, decimals)) => {
                let fits = is_whole(whole) && digits(decimals);
                certain |= fits && (decimals.len() != 3 || whole == "0");
                fits
            }
        });
    }
    certain && fitting * 100 >= many * 98
}

/// `1.234,5` as `1234.5`.
fn with_point(number: &str) -> String {
    number.replace('.', "").replace(',', ".")
}

/// `1` and `1.0` are one label.
fn same(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b).is_eq(),
        _ => false,
    }
}

type Cells = Vec<Option<String>>;

/// Rows from all over the file: its first ones may be of one day, or of one kind.
fn sample(path: &Path, reader: &mut csv::Reader<Box<dyn Read>>) -> Result<Vec<Cells>, TableError> {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let mut sample: Vec<Cells> = Vec::new();
    let mut seen = 0_usize;
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(wrong(path))? {
        seen += 1;
        let place = if sample.len() < SAMPLE {
            sample.len()
        } else {
            chance.random_range(0..seen)
        };
        if place >= SAMPLE {
            continue;
        }
        let cell = |cell| present(Some(&text(cell))).map(str::to_owned);
        let cells = record.iter().map(cell).collect();
        if place == sample.len() {
            sample.push(cells);
        } else {
            sample[place] = cells;
        }
    }
    Ok(sample)
}

fn legit<'a>(
    path: &str,
    column: &str,
    said: &Said,
    values: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<String>, TableError> {
    if !said.legit.is_empty() {
        return Ok(said.legit.clone());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values.flatten() {
        *counts.entry(value).or_default() += 1;
    }
    let legit: Vec<String> = counts
        .keys()
        .filter(|value| LEGIT.iter().any(|legit| same(legit, value)))
        .map(|value| (*value).to_owned())
        .collect();
    if counts.len() < 2 && legit.is_empty() {
        let only = counts.keys().next();
        return Err(TableError::OneKind {
            path: path.to_owned(),
            column: column.to_owned(),
            held: only.map_or("nothing".to_owned(), |value| {
                format!("nothing but `{value}`")
            }),
        });
    }
    // Fraud may be too rare for the sample.
    if legit.is_empty() || (legit.len() == counts.len() && legit.len() > 1) {
        let mut values: Vec<String> = counts
            .keys()
            .take(10)
            .map(|value| format!("`{value}`"))
            .collect();
        if counts.len() > values.len() {
            values.push("...".to_owned());
        }
        return Err(TableError::NoLegit {
            path: path.to_owned(),
            column: column.to_owned(),
            values,
        });
    }
    Ok(legit)
}

/// What was said of columns comes before what their values look like.
fn say_types(said: &[String], inferred: &mut [Inferred], path: &Path) -> Result<(), TableError> {
    let places: HashMap<String, usize> = inferred
        .iter()
        .enumerate()
        .map(|(place, column)| (column.name.clone(), place))
        .collect();
    for text in said {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(csv: &str, said: &Said) -> Result<Columns, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, csv).unwrap();
        let named = |error: TableError| error.to_string().replace(path.to_str().unwrap(), "a.csv");
        Columns::find(&path, said).map_err(named)
    }

    fn said(label: Option<&str>, legit: &[&str], types: &[&str]) -> Said {
        Said {
            label: label.map(str::to_owned),
            legit: legit.iter().map(ToString::to_string).collect(),
            types: types.iter().map(ToString::to_string).collect(),
            ..Said::default()
        }
    }

    #[track_caller]
    fn refused(csv: &str, said: &Said, want: &str) {
        assert_eq!(columns(csv, said).unwrap_err(), want);
    }

    #[test]
    fn what_cannot_be_guessed_is_asked_for() {
        refused(
            "a,b\n1,2\n",
            &said(None, &[], &[]),
            "a.csv: which column is the label? Say --label COLUMN; it has a, b",
        );
        refused(
            "a,b\n1,2\n",
            &said(Some("c"), &[], &[]),
            "a.csv: there is no column `c` for the label; it has a, b",
        );
        refused(
            "a,kind\n1,new\n2,used\n",
            &said(Some("kind"), &[], &[]),
            "a.csv: which value of `kind` is legitimate? Say --legit VALUE; it has `new`, `used`",
        );
        refused(
            "a,fraud\n1,0\n2,1\n",
            &said(None, &[], &["a=MONEY"]),
            "--type a=MONEY: `MONEY` is no variable type; write one of Amazon's, such as IP_ADDRESS or NUMERIC, or DATETIME",
        );
        refused(
            "a,fraud\n1,yes\n2,yes\n",
            &said(None, &[], &[]),
            "a.csv: `fraud` holds nothing but `yes`; events of two kinds are needed to tell one from the other",
        );
        refused(
            "a,fraud\n1,\n2,NA\n",
            &said(None, &[], &[]),
            "a.csv: `fraud` holds nothing; events of two kinds are needed to tell one from the other",
        );
        refused(
            "a,fraud\n",
            &said(None, &[], &[]),
            "a.csv: there are no rows under the header",
        );
    }

    #[test]
    fn the_rest_is_guessed() {
        let csv = "Timestamp,amt,isFraud,note\n2024-01-01 10:00:00,1.50,0,x\n2024-01-02 11:00:00,2.00,1,y\n";
        let found = columns(csv, &said(None, &[], &["note=ignore"])).unwrap();
        assert_eq!(found.label, "isFraud");
        assert_eq!(found.event_time.as_deref(), Some("Timestamp"));
        assert_eq!(found.label(Some("0.0")), Label::Legit);
        assert_eq!(found.label(Some("1")), Label::Fraud);
        assert_eq!(found.label(None), Label::Unlabelled);
        assert_eq!(
            found.time(Some("1704103200")),
            found.time(Some("2024-01-01T10:00:00Z"))
        );
        assert_eq!(found.time(Some("1704103200000")), Some(1_704_103_200));
        let names: Vec<&str> = found
            .variables
            .iter()
            .map(|variable| variable.name.as_str())
            .collect();
        assert_eq!(names, ["amt"]);
    }

    /// The values of the first row as a model gets them.
    fn first_row(csv: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, csv).unwrap();
        let found = Columns::find(&path, &Said::default()).unwrap();
        let mut first = Vec::new();
        found
            .table(&path)
            .each(|event| {
                if event.number == 1 {
                    let values = event.row.values.iter();
                    first.extend(values.map(|value| value.unwrap_or("-").to_owned()));
                }
                Ok::<(), TableError>(())
            })
            .unwrap();
        first
    }

    #[test]
    fn files_are_written_in_many_ways() {
        let cases: [(&[u8], &[&str]); 7] = [
            (
                b"price,city,fraud\n1.50,Oslo,0\n2.25,Rome,1\n",
                &["1.50", "Oslo"],
            ),
            (
                b"price;city;fraud\r\n1,50;Oslo;0\r\n2.100,25;Rome;1\r\n",
                &["1.50", "Oslo"],
            ),
            (
                b"price\tcity\tfraud\n1.50\tOslo, Norway\t0\n2.25\tRome\t1\n",
                &["1.50", "Oslo, Norway"],
            ),
            (
                b"\"price\"|\"city, or; town\"|\"fraud\"\n1.50|Oslo|0\n2.25|Rome|1\n",
                &["1.50", "Oslo"],
            ),
            (
                b"\xef\xbb\xbfprice,city,fraud\n1.50,Oslo,0\n2.25,Rome,1\n",
                &["1.50", "Oslo"],
            ),
            (
                b"price,city,fraud\n1.50,K\xf6ln,0\n2.25,Rome,1\n",
                &["1.50", "K\u{f6}ln"],
            ),
            (
                b"price,city,fraud\n\"1,500\",Oslo,0\n\"2,250\",Rome,1\n",
                &["1,500", "Oslo"],
            ),
        ];
        for (csv, want) in cases {
            assert_eq!(first_row(csv), want, "{}", String::from_utf8_lossy(csv));
        }
    }

    #[test]
    fn the_comma_of_decimals_is_told_from_that_of_thousands() {
        for (values, want) in [
            (&["1,5", "2,25", "12"][..], true),
            (&["1.234,5", "-0,125"], true),
            (&["1,234", "5,678"], false),
            (&["1,234.5", "12"], false),
            (&["1,2,3", "4,5"], false),
            (&["12", "13"], false),
            (&["Rome, Italy"], false),
            (&[], false),
        ] {
            assert_eq!(
                has_decimal_commas(values.iter().copied()),
                want,
                "{values:?}"
            );
        }
    }

    #[test]
    fn what_is_no_csv_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        for (begin, want) in [
            (&b"PK\x03\x04"[..], "a ZIP or Excel file"),
            (b"PAR1", "a Parquet file"),
            (b"\x1f\x8b\x08", "let its name end in .gz"),
            (b"\xff\xfea\0,\0", "UTF-16"),
        ] {
            std::fs::write(&path, begin).unwrap();
            let error = Columns::find(&path, &Said::default()).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }

    #[test]
    fn an_event_time_may_be_a_number() {
        let csv = "EVENT_TIMESTAMP,a,fraud\n1704103200,1,0\n1704103260,2,1\n";
        let found = columns(csv, &said(None, &[], &[])).unwrap();
        assert_eq!(found.event_time.as_deref(), Some("EVENT_TIMESTAMP"));
    }

    #[test]
    fn a_cut_row_is_left_out_and_many_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let rows = "1,0\n2,1\n".repeat(150);
        std::fs::write(&path, format!("a,fraud\n{rows}12")).unwrap();
        let found = Columns::find(&path, &Said::default()).unwrap();
        let (dataset, broken) = found.table(&path).dataset().unwrap();
        assert_eq!((dataset.len(), broken), (300, 1));
        std::fs::write(&path, "a,fraud\n1,0\n2,1\n3\n4\n").unwrap();
        let error = found.table(&path).dataset().unwrap_err().to_string();
        assert!(
            error.contains(
                "2 of 4 rows do not have the 2 columns of the header (the first is row 3)"
            ),
            "{error}"
        );
    }
}
