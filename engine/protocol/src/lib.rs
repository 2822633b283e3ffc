//! The API of Amazon Fraud Detector as data.
//!
//! What an operation is called, what it accepts, how a request and an answer look on the wire, which errors there are,
//! and how a page continues. Nothing here knows a table, and nothing waits: the crate has no `async`.
//!
//! - [`Operation`]: the enum of operations, and what each accepts; `shapes`: the shapes they are made of;
//! - `validation`: whether a request has its shape, in the words of AWS;
//! - [`wire`]: AWS JSON 1.1 over HTTP, requests and answers;
//! - [`Error`]: the exceptions; [`limits`]: every limit of the service;
//! - [`page`]: pages; [`page_token`]: `nextToken`; [`variable_types`]: what a variable may be; [`s3_location`]: places of files; [`text`]: how times, versions and names are written;
//! - [`job_file`]: the CSV files of jobs, from bytes to requests;
//! - [`fuzz`]: what must hold for any request, any token and any file.

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

pub use error::{Code, Error, Result};
pub use operation::Operation;
pub use validation::validate;
