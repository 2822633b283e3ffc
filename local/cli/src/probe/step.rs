//! The steps of a probe.

use serde::Serialize;

/// A step of the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeStep {
    /// The table can be used and has a stream with new items.
    Table,
    /// The control: an item is put, as a single decision is.
    Put,
    /// An item is inserted with a statement, as several decisions are.
    Insert,
    /// The same statement is refused a second time.
    Duplicate,
    /// Both items are in the stream.
    Stream,
    /// Both items are deleted.
    Delete,
}

impl ProbeStep {
    /// The steps that have to pass.
    pub(super) const NEEDED: [Self; 5] = [
        Self::Table,
        Self::Put,
        Self::Insert,
        Self::Duplicate,
        Self::Stream,
    ];

    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Put => "put",
            Self::Insert => "insert",
            Self::Duplicate => "duplicate",
            Self::Stream => "stream",
            Self::Delete => "delete",
        }
    }

    /// What it means that it did not pass.
    pub(super) fn consequence(self) -> &'static str {
        match self {
            Self::Table => "the table cannot feed forward, or is not known here",
            Self::Put => "not even PutItem works, so the probe says nothing about statements",
            Self::Insert => "it is not certain that a statement stores a decision",
            Self::Duplicate => "a statement might decide an order a second time",
            Self::Stream => {
                "it is not certain that decisions which a statement inserts reach forward"
            }
            Self::Delete => "items of the probe are left",
        }
    }

    /// The permissions that it needs.
    pub(super) fn permissions(self) -> &'static str {
        match self {
            Self::Table => "dynamodb:DescribeTable on the table",
            Self::Put => "dynamodb:PutItem on the table",
            Self::Insert | Self::Duplicate => "dynamodb:PartiQLInsert on the table",
            Self::Stream => {
                "dynamodb:DescribeStream, dynamodb:GetShardIterator and dynamodb:GetRecords on the table's stream"
            }
            Self::Delete => "dynamodb:DeleteItem on the table",
        }
    }
}
