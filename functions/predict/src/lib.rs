//! The Lambda function predict.
