//! Reads any bytes as a CSV file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| csv_rows::fuzz::check_csv_bytes(data));
