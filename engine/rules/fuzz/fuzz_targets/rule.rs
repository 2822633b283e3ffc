//! Any bytes as a rule. `RUSTC_BOOTSTRAP=1 cargo fuzz run rule fuzz/corpus cases` starts
//! with the cases.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rules::fuzz::check_bytes(data));
