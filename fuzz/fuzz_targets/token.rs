//! Reads any bytes as a page token, and as what a page token is made of.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| protocol::fuzz::check_token_bytes(data));
