//! Any bytes as the CSV file of a job.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::fuzz::csv(data));
