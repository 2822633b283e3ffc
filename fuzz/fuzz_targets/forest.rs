//! Reads any bytes as a forest.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::trees::fuzz::read_forest(data));
