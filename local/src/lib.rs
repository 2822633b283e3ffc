//! The whole of fraudstream on one machine.

pub mod clients;
pub mod connector;
pub mod dynamodb;
