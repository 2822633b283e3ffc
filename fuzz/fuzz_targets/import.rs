//! Reads any bytes as a model of another library.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::import::fuzz::read_model(data));
