//! Where an error is in the mapping file.

/// Line and column, both from 1, and what is wrong there.
pub(crate) type LocatedError = (u64, u64, String);
