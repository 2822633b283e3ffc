//! Orders the whole way: Kinesis or SQS, event, prediction, decision, EventBridge; labels behind them.

mod world;

mod batches;
mod decide;
mod forward;
mod labels;
