//! What stands behind AWS's clients on one machine.
//!
//! [`local_stack`] puts the engine, an embedded DynamoDB, a folder as S3 and a file as event bus
//! behind the clients; [`serve`] puts the same services on a port. Each service stands alone:
//! [`dynamodb`], [`s3`] and [`event_bus`] are a [`service::Service`] each, and [`clients`] builds
//! SDK clients over them or over the network. [`fault`] has calls fail for tests; [`signature`]
//! checks who may ask.

pub mod clients;
pub mod dynamodb;
pub mod event_bus;
pub mod fault;
pub mod home;
pub mod local_stack;
pub mod s3;
pub mod serve;
pub mod service;
pub mod signature;
