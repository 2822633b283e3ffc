//! The prefixes of the bucket's objects that hold records.

/// Records that a function rejected.
pub use shared::rejected::PREFIX as REJECTED;

/// Records that were rejected and later replayed.
pub const REPLAYED: &str = "replayed/";

/// On-failure objects: batches that Lambda gave up on before a function was done with them.
pub const ON_FAILURE: &str = "aws/lambda/";
