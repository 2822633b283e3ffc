//! The API of Amazon Fraud Detector as data.
//!
//! Names and inputs of operations, the wire form of requests and answers, errors, and paging. Nothing here knows a
//! table, and nothing waits: the crate has no `async`.
//!
//! - [`Operation`]: the enum of operations with their inputs; `shapes`: the shapes that inputs are made of;
//! - `validation`: checks a request against its shape, with AWS's messages;
//! - [`wire`]: requests and answers as AWS JSON 1.1 over HTTP;
//! - [`Error`]: the exceptions; [`limits`]: every limit of the service;
//! - [`page`]: pages; [`page_token`]: `nextToken`; [`variable_types`]: variable types and their data types;
//! - [`s3_location`]: locations in S3; [`text`]: the text form of times, versions and names;
//! - [`job_file`]: the CSV files of jobs, from bytes to requests;
//! - [`fuzz`]: properties that hold for any request, any token and any file.

mod error;
pub mod fuzz;
pub mod job_file;
pub mod limits;
mod operation;
pub mod page;
pub mod page_token;
pub mod s3_location;
mod shapes;
pub mod text;
mod validation;
pub mod variable_types;
pub mod wire;

pub use error::{Error, ErrorCode, Result};
pub use operation::Operation;
pub use validation::validate;
