//! Reads any bytes as the CSV file of an import or a batch prediction.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol::fuzz::check_job_file_bytes(data));
