//! Any bytes as the payload of a record, through the shipped mapping, as an order and as a label. Run it with
//! `-rss_limit_mb=512 -timeout=5`: what is to be found is a record that takes memory or time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mapping::fuzz::run(data));
