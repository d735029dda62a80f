//! Any body with a hash that fits is the result it encodes to, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stagecraft_store::{ActionKey, ActionResult, Digest};

fuzz_target!(|body: &[u8]| {
    let key = ActionKey(Digest::from_bytes([0; 32]));
    let mut bytes = b"stagecraft result 1\n".to_vec();
    bytes.extend_from_slice(body);
    let checksum = Digest::of(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    if let Ok(result) = ActionResult::decode(&key, &bytes) {
        assert_eq!(result.encode(&key), bytes);
    }
});
