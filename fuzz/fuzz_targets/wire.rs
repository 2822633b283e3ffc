//! Reads any bytes as a request, and writes the answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol::fuzz::check_request_bytes(data));
