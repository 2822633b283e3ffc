//! Any bytes as a pagination token.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::fuzz::token(data));
