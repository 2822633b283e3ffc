//! Errors of matrices, options and forests.

/// Why a matrix cannot be built, or a forest cannot be trained or read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TreeError {
    /// A column, the labels or the weights do not have one value for each row.
    #[error("{what} has {found} values, but the matrix has {expected} rows")]
    Length {
        /// Which input.
        what: String,
        /// The rows of the matrix.
        expected: usize,
        /// The values given.
        found: usize,
    },
    /// A row number is not in the matrix.
    #[error("row {row} does not exist: the matrix has {rows} rows, counted from 0")]
    Row {
        /// The row number.
        row: u32,
        /// The rows of the matrix.
        rows: usize,
    },
    /// A row is listed twice among the training and stop rows.
    #[error("row {row} is named twice among the training and stop rows")]
    RowTwice {
        /// The row number.
        row: u32,
    },
    /// There are more rows than the sums of a histogram allow.
    #[error("{rows} rows are too many for one training: at most {most}")]
    TooManyRows {
        /// The rows given.
        rows: usize,
        /// The limit.
        most: usize,
    },
    /// There are more columns than a node can refer to.
    #[error("{columns} columns are too many: at most {most}")]
    TooManyColumns {
        /// The columns given.
        columns: usize,
        /// The limit.
        most: usize,
    },
    /// A weight is negative, infinite or not a number.
    #[error("the weight of row {row} is {weight}: it must be a number of at least 0")]
    Weight {
        /// The row number.
        row: u32,
        /// Its weight.
        weight: f32,
    },
    /// All training rows have the same label.
    #[error("every training row has the label {label}: a model needs rows of both labels")]
    OneClass {
        /// The only label.
        label: bool,
    },
    /// No column separates the labels.
    #[error(
        "no column separates the labels: each is constant, or too few rows stand on either side"
    )]
    NothingToLearn,
    /// An option is out of its range.
    #[error("option {name} is {value}: it must be {rule}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        rule: &'static str,
    },
    /// The threads could not be started.
    #[error("the training threads could not be started: {0}")]
    Threads(String),
    /// The caller stopped the training.
    #[error("the training was cancelled")]
    Cancelled,
    /// A tree is not valid: a node is missing, is reached twice, or has an invalid number.
    #[error("tree {tree}, node {node}: {problem}")]
    Tree {
        /// The tree, counted from 0.
        tree: usize,
        /// The node, counted from 0 within its tree.
        node: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The bytes are not a forest of a version that this crate reads.
    #[error("the bytes are not a forest: {0}")]
    Bytes(&'static str),
}
