//! Random and mutated bytes against every decoder, for as long as one cares to wait.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock and variables that bound the loop"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use stagecraft_store::sim::SimDisk;
use stagecraft_store::{
    ActionKey, ActionResult, Digest, Directory, Object, Parcel, Reference, Root, Store, TreeBuilder,
};

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    /// Flips, cuts, doubles, inserts or overwrites, a few times.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => {
                    let piece = bytes[at..bytes.len().min(at + 40)].to_vec();
                    bytes.splice(at..at, piece);
                }
                3 => bytes.insert(at.min(bytes.len()), [0, 1, 0x7f, 0x80, 0xff][self.below(5)]),
                4 if bytes.len() >= at + 8 => {
                    bytes[at..at + 8].copy_from_slice(&[0xff; 8]);
                }
                _ => {
                    let value = u8::try_from(self.below(256)).unwrap();
                    bytes.push(value);
                }
            }
        }
    }
}

/// Runs `body` with fresh randomness until the time is up; says the seed of a round that failed.
fn rounds(body: impl Fn(&mut Random)) {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let wanted = Duration::from_secs(variable("STAGECRAFT_FUZZ_SECONDS").unwrap_or(2));
    let first = variable("STAGECRAFT_FUZZ_SEED").unwrap_or(0x5747);
    let begun = Instant::now();
    let mut seed = first;
    while begun.elapsed() < wanted {
        let tried =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&mut Random(seed))));
        assert!(tried.is_ok(), "again with STAGECRAFT_FUZZ_SEED={seed}");
        seed = seed.wrapping_add(1);
    }
    assert!(seed > first + 20, "only {} rounds", seed - first);
}

fn directory(random: &mut Random) -> Vec<u8> {
    let mut tree = TreeBuilder::new();
    for _ in 0..random.below(8) {
        let object = Object::of(&random.next().to_le_bytes());
        let path = format!("{:x}", random.below(40));
        match random.below(3) {
            0 => drop(tree.file(&path, &object, random.below(2) == 0)),
            1 => drop(tree.graft(&path, object)),
            _ => drop(tree.symlink(&path, "target")),
        }
    }
    let built = tree.build();
    built.directories[&built.root.digest].clone()
}

/// spec: store/trials R9, store/format R7
#[test]
fn directories_are_canonical_or_refused() {
    rounds(|random| {
        let mut bytes = directory(random);
        random.mutate(&mut bytes);
        if let Ok(decoded) = Directory::decode(&bytes) {
            assert_eq!(decoded.encode(), bytes);
        }
    });
}

/// spec: store/trials R9, store/format R13
#[test]
fn records_are_themselves_or_refused() {
    let key = ActionKey(Digest::of(b"key"));
    let object = Object::of(b"object");
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: object,
        log: object,
        leaves: object,
        level: 1,
        milliseconds: 2,
    };
    rounds(|random| {
        let mut bytes = result.encode(&key);
        let end = bytes.len() - 32;
        random.mutate(&mut bytes);
        // Half of them with a hash that fits, so that the body is reached.
        if random.below(2) == 0 && bytes.len() > end / 2 {
            bytes.truncate(bytes.len().saturating_sub(32));
            let checksum = Digest::of(&bytes);
            bytes.extend_from_slice(checksum.as_bytes());
        }
        if let Ok(decoded) = ActionResult::decode(&key, &bytes) {
            assert_eq!(decoded.encode(&key), bytes);
        }
    });
}

fn stream() -> Vec<u8> {
    let store = Store::on(Arc::new(SimDisk::new())).unwrap();
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    tree.file("a/file", &batch.put(b"bytes").unwrap(), true)
        .unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(b"log").unwrap(),
        leaves: Object::empty(),
        level: 1,
        milliseconds: 2,
    };
    let key = ActionKey(Digest::of(b"key"));
    store
        .commit(vec![batch], vec![(key, result)], vec![])
        .unwrap();
    let root = Root {
        references: vec![Reference::Result(key)],
        reason: "reason".to_owned(),
    };
    let parcel = Parcel {
        roots: [("pin/a".parse().unwrap(), root)].into(),
        notes: [("note".to_owned(), b"bytes".to_vec())].into(),
    };
    let mut bytes = Vec::new();
    store.export_closure(&parcel, &mut bytes).unwrap();
    zstd::stream::decode_all(&*bytes).unwrap()
}

/// spec: store/trials R9, store/stream R5, store/stream R7
#[test]
fn streams_are_whole_or_refused() {
    let stream = stream();
    rounds(|random| {
        let mut bytes = stream.clone();
        random.mutate(&mut bytes);
        // Most of them with a hash that fits, so that frames are judged and not their sum.
        if random.below(4) > 0 && bytes.len() > 32 {
            bytes.truncate(bytes.len() - 32);
            let checksum = Digest::of(&bytes);
            bytes.extend_from_slice(checksum.as_bytes());
        }
        let packed = zstd::stream::encode_all(&*bytes, 1).unwrap();
        let store = Store::on(Arc::new(SimDisk::new())).unwrap();
        let accepted = store
            .import_closure(&mut &*packed)
            .and_then(stagecraft_store::Arrival::accept);
        let roots = store.roots().unwrap();
        match accepted {
            Ok(delivery) => {
                let set: Vec<_> = delivery.parcel.roots.into_iter().collect();
                assert_eq!(roots, set);
                for (_, root) in roots {
                    assert_eq!(store.missing(&root.references).unwrap(), []);
                }
            }
            Err(_) => assert_eq!(roots, []),
        }
        assert_eq!(store.verify(false).unwrap().damage, []);
    });
}

/// spec: store/trials R9
#[test]
fn random_bytes_are_no_stream() {
    rounds(|random| {
        let bytes: Vec<u8> = (0..random.below(300))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        let store = Store::on(Arc::new(SimDisk::new())).unwrap();
        assert!(store.import_closure(&mut &*bytes).is_err());
        let packed = zstd::stream::encode_all(&*bytes, 1).unwrap();
        assert!(store.import_closure(&mut &*packed).is_err());
    });
}
