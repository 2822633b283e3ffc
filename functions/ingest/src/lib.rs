//! The Lambda function ingest.
