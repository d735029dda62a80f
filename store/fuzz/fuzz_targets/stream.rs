//! Any frames with a hash that fits are a closure or refused, and nothing refused is rooted.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stagecraft_store::sim::SimDisk;
use stagecraft_store::{Arrival, Digest, Store};

fuzz_target!(|frames: &[u8]| {
    let mut bytes = b"stagecraft export 1\n".to_vec();
    bytes.extend_from_slice(frames);
    bytes.push(5);
    let checksum = Digest::of(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    let packed = zstd::stream::encode_all(&*bytes, 1).expect("memory takes all");
    let store = Store::on(Arc::new(SimDisk::new())).expect("an empty disk opens");
    let accepted = store.import_closure(&mut &*packed).and_then(Arrival::accept);
    let roots = store.roots().expect("roots are whole");
    assert_eq!(accepted.map_or(0, |delivery| delivery.parcel.roots.len()), roots.len());
    for (_, root) in roots {
        assert_eq!(store.missing(&root.references).expect("the disk works"), []);
    }
});
