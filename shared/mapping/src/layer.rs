//! The layers that a payload may have around an order.

use std::fmt;

/// A layer that was taken off; its text says where reading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Gzip,
    Base64,
    JsonText,
    SnsMessage,
    EventDetail,
    SqsMessage,
    KinesisRecord,
    /// An element of a list, counted from 1.
    Element(usize),
    /// One of several JSON values that stand one after the other, counted from 1.
    Line(usize),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip => f.write_str("in the gzip"),
            Self::Base64 => f.write_str("in the base64"),
            Self::JsonText => f.write_str("in the JSON text"),
            Self::SnsMessage => f.write_str("in the SNS message"),
            Self::EventDetail => f.write_str("in the detail of the EventBridge event"),
            Self::SqsMessage => f.write_str("in the SQS message"),
            Self::KinesisRecord => f.write_str("in the Kinesis record"),
            Self::Element(number) => write!(f, "in element {number} of the list"),
            Self::Line(number) => write!(f, "in JSON value {number}"),
        }
    }
}
