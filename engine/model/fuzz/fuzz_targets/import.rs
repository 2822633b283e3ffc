//! Reads any bytes as a model of another library. `cargo +nightly fuzz run import fuzz/corpus tests/models` starts from
//! real ones.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::import::fuzz::read_model(data));
