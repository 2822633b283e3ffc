//! Maps any bytes as the payload of a record, with the shipped mapping, as an order and as a label. Run it with
//! `-rss_limit_mb=512 -timeout=5`, which makes records that take too much memory or time fail.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mapping::fuzz::map_payload(data));
