//! Any bytes as a rule. `cargo +nightly fuzz run rule fuzz/corpus cases` starts from the cases.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rules::fuzz::run(data));
