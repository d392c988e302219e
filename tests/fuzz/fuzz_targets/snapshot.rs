#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spinway_fuzz::snapshot(data));
