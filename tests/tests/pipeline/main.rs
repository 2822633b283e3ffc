//! The pipeline from end to end: Kinesis or SQS, event, prediction, decision, EventBridge, and labels.

#![allow(clippy::unwrap_used, reason = "what cannot go on should stop")]

mod world;

mod backoff;
mod batches;
mod deadlines;
mod decide;
mod envelopes;
mod forward;
mod in_call;
mod kpl;
mod label_feedback;
mod labels;
mod links;
mod overrides;
mod rebuild;
mod reviews;
mod velocity;
mod webhooks;
