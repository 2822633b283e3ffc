//! Reads any bytes as a rule and as values of variables.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rules::fuzz::check_bytes(data));
