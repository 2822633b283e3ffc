//! Reads any bytes as an artifact, as a table and as values.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::fuzz::read_artifact(data));
