//! The Lambda function forward.
