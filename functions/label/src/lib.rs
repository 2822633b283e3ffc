//! The Lambda function label.
