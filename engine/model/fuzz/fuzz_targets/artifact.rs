//! Artifacts, tables and values, from any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::fuzz::run(data));
