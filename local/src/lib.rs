//! The whole of fraudstream on one machine.
