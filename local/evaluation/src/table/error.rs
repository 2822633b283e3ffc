//! Why a file of labelled events cannot be used.

use thiserror::Error;

use crate::files::FileError;

/// A file that cannot be used for an evaluation.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// Standard input, which can be read only once.
    #[error("`-`: a file is read several times; give its name, not standard input")]
    StandardInput,
    /// The file is no CSV, or cannot be read.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: String,
        /// Why.
        source: csv_rows::CsvError,
    },
    /// Two columns have the same name.
    #[error("{path}: there are two columns `{name}`; rename one of them")]
    RepeatedColumn {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// It has no column with that name.
    #[error("{path}: there is no column `{name}` for {what}; it has {}", columns.join(", "))]
    NoColumn {
        /// The file.
        path: String,
        /// The column.
        name: String,
        /// What it is needed for.
        what: &'static str,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// No column was named as the label, and no header is a usual name of one.
    #[error("{path}: which column is the label? Say --label COLUMN; it has {}", columns.join(", "))]
    NoLabel {
        /// The file.
        path: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// No value was named as legitimate, and none is a usual word for it.
    #[error(
        "{path}: which value of `{column}` is legitimate? Say --legit VALUE or --fraud VALUE; it has {values}"
    )]
    NoLegit {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// What it holds.
        values: String,
    },
    /// One side was named, and several values could be the other.
    #[error(
        "{path}: `{column}` has more than two values: {values}. Say {option} for each that is meant, such as {all}; rows with a value that is neither --legit nor --fraud are left out"
    )]
    ManyLabels {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// What it holds.
        values: String,
        /// The option for the other side.
        option: &'static str,
        /// The options with which every value counts.
        all: String,
    },
    /// A side was named of which the file has no value.
    #[error("{path}: {option} {value}: `{column}` has no such value; it has {values}")]
    NoSuchLabel {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What the column holds.
        values: String,
    },
    /// A value was named as legitimate and as fraud.
    #[error("--legit and --fraud both name `{value}`; a value is one or the other")]
    BothSides {
        /// The value.
        value: String,
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
    /// The type given for a column on the command line.
    #[error("--type {said}: {why}")]
    Type {
        /// As given.
        said: String,
        /// What is wrong with it.
        why: String,
    },
    /// Too many rows have another number of columns than the header.
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
        first: u64,
    },
    /// There are no rows.
    #[error("{path}: there are no rows under the header")]
    Empty {
        /// The file.
        path: String,
    },
    /// Too many rows have no time that can be read.
    #[error(
        "{path}: the time of {unread} of {rows} rows cannot be read (the first is row {first}, which has `{found}`); name another column with --timestamp, or --timestamp none"
    )]
    Times {
        /// The file.
        path: String,
        /// How many.
        unread: usize,
        /// Of how many.
        rows: usize,
        /// The first, from 1.
        first: u64,
        /// What it has instead.
        found: String,
    },
    /// A test file whose label has other words than the first file.
    #[error(
        "{path}: `{column}` has other values ({values}) than the first file; write them alike, or say what they mean with --legit and --fraud"
    )]
    OtherLabels {
        /// The file.
        path: String,
        /// The column of labels.
        column: String,
        /// What it holds.
        values: String,
    },
    /// A row that the model refuses.
    #[error(transparent)]
    Row(#[from] model::RowError),
}
