//! Maps any bytes as the payload of a record, with the shipped mapping, as an order and as a label.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mapping::fuzz::map_payload(data));
