//! Any bytes are a canonical directory or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stagecraft_store::Directory;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(directory) = Directory::decode(bytes) {
        assert_eq!(directory.encode(), bytes);
    }
});
