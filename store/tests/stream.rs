//! Closures from one store to another.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::sync::Arc;

use stagecraft_store::sim::{Fault, SimDisk};
use stagecraft_store::{
    ActionKey, ActionResult, Delivery, Digest, HistoryKey, Parcel, Reference, Root, RootName,
    Store, StoreError, StreamError, TreeBuilder,
};

const KEY: ActionKey = ActionKey(Digest::from_bytes([7; 32]));
/// Long enough to be hashed while it is written.
const LARGE: usize = (1 << 20) + 5;
/// Where the first frame begins.
const HEAD: usize = b"stagecraft export 1\n".len();

fn name(text: &str) -> RootName {
    text.parse().unwrap()
}

/// A tree with shared, empty, large and executable files, and a result around it.
fn fill(store: &Store, stray: bool) -> Parcel {
    let mut batch = store.batch();
    if stray {
        batch.put(b"nothing refers to this").unwrap();
    }
    let mut tree = TreeBuilder::new();
    for (path, bytes) in [
        ("a/one", b"one".to_vec()),
        ("a/two", b"two".to_vec()),
        ("b/one", b"one".to_vec()),
        ("empty", Vec::new()),
        ("large", vec![9; LARGE]),
    ] {
        let object = batch.put(&bytes).unwrap();
        tree.file(path, &object, path == "a/two").unwrap();
    }
    tree.directory("hollow").unwrap();
    tree.symlink("link", "a/one").unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(b"log").unwrap(),
        leaves: batch.put(b"leaves").unwrap(),
        level: 2,
        milliseconds: 3,
    };
    let manifest = batch.put(b"manifest").unwrap();
    let history = vec![(HistoryKey::new("shop", "css"), result.leaves.digest)];
    store
        .commit(vec![batch], vec![(KEY, result)], history)
        .unwrap();
    let root = Root {
        references: vec![
            Reference::Blob(manifest.digest),
            Reference::Tree(tree.root.digest),
            Reference::Result(KEY),
        ],
        reason: "release 1".to_owned(),
    };
    Parcel {
        roots: [(name("release/shop/prod/rel-1"), root)].into(),
        notes: [("entry".to_owned(), b"{}".to_vec())].into(),
    }
}

fn sim() -> (SimDisk, Store) {
    let disk = SimDisk::new();
    let store = Store::on(Arc::new(disk.clone())).unwrap();
    (disk, store)
}

fn exported(store: &Store, parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.export_closure(parcel, &mut bytes).unwrap();
    bytes
}

fn stream() -> Vec<u8> {
    let (_, store) = sim();
    let parcel = fill(&store, false);
    exported(&store, &parcel)
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::decode_all(bytes).unwrap()
}

fn packed(plain: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(plain, 1).unwrap()
}

/// The stream with these frames, and a right hash at its end.
fn sealed(frames: &[u8]) -> Vec<u8> {
    let mut bytes = b"stagecraft export 1\n".to_vec();
    bytes.extend_from_slice(frames);
    bytes.push(5);
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    packed(&bytes)
}

/// The frames of a stream, without first line and end.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let plain = plain(bytes);
    let (mut at, mut found) = (HEAD, Vec::new());
    while plain[at] != 5 {
        let number = |at: usize| {
            usize::try_from(u64::from_le_bytes(plain[at..at + 8].try_into().unwrap())).unwrap()
        };
        let end = match plain[at] {
            2 => {
                let name_end = at + 9 + number(at + 1);
                name_end + 8 + number(name_end)
            }
            3 => at + 41 + number(at + 33),
            _ => at + 9 + number(at + 1),
        };
        found.push(plain[at..end].to_vec());
        at = end;
    }
    found
}

fn import(store: &Store, bytes: &[u8]) -> Result<Delivery, StoreError> {
    store.import_closure(&mut &*bytes)?.accept()
}

/// Imports into an empty store, which must refuse and set no root and no result.
fn refused(bytes: &[u8]) -> StreamError {
    let (_, store) = sim();
    let error = import(&store, bytes).unwrap_err();
    assert_eq!(store.roots().unwrap(), []);
    assert_eq!(store.result(&KEY).unwrap(), None);
    assert_eq!(store.verify(false).unwrap().damage, []);
    match error {
        StoreError::Stream(error) => error,
        other => panic!("{other}"),
    }
}

/// spec: store/stream R2, store/stream R7, store/stream R1
#[test]
fn a_closure_arrives_whole_and_rooted() {
    let (_, from) = sim();
    let parcel = fill(&from, true);
    let bytes = exported(&from, &parcel);
    let (disk, to) = sim();
    let arrival = to.import_closure(&mut &*bytes).unwrap();
    assert_eq!(arrival.parcel(), &parcel);
    assert_eq!(to.roots().unwrap(), []);
    let delivery = arrival.accept().unwrap();
    assert_eq!(
        (
            delivery.added.objects,
            delivery.added.results,
            delivery.skipped
        ),
        (9, 1, 0)
    );
    let rooted: Vec<_> = parcel.roots.clone().into_iter().collect();
    assert_eq!(to.roots().unwrap(), rooted);
    assert_eq!(to.missing(&rooted[0].1.references).unwrap(), []);
    assert_eq!(to.result(&KEY).unwrap(), from.result(&KEY).unwrap());
    assert!(!to.contains(&Digest::of(b"nothing refers to this")).unwrap());
    assert_eq!(to.latest(&HistoryKey::new("shop", "css")).unwrap(), None);
    // Durable: nothing is lost with the power.
    let after = Store::on(Arc::new(disk.crash(3))).unwrap();
    assert_eq!(after.roots().unwrap(), rooted);
    assert_eq!(after.verify(false).unwrap().damage, []);
    let kinds: Vec<u8> = frames(&bytes).iter().map(|frame| frame[0]).collect();
    assert_eq!(kinds, [1, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
}

/// spec: store/stream R3
#[test]
fn equal_closures_are_equal_bytes() {
    let first = stream();
    let (_, store) = sim();
    let mut batch = store.batch();
    batch.put(b"leaves").unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    let parcel = fill(&store, true);
    assert!(exported(&store, &parcel) == first);
    let (_, arrived) = sim();
    let parcel = import(&arrived, &first).unwrap().parcel;
    assert!(exported(&arrived, &parcel) == first);
    // Frozen: another compressor or another frame is another format.
    assert_eq!(
        Digest::of(&first).to_string(),
        "b3:6a0250593f09a7b3282d4a356d936ebe4d5e2dbe195d9b6751084f603078be7a"
    );
}

/// spec: store/stream R8
#[test]
fn what_is_here_is_skipped() {
    let bytes = stream();
    let (disk, store) = sim();
    let mut batch = store.batch();
    batch.put(&vec![9; LARGE]).unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    let delivery = import(&store, &bytes).unwrap();
    assert_eq!((delivery.added.objects, delivery.skipped), (8, 1));
    let before = disk.files();
    let delivery = import(&store, &bytes).unwrap();
    assert_eq!((delivery.added.objects, delivery.added.results), (0, 0));
    assert_eq!(delivery.skipped, 9);
    assert_eq!(disk.files(), before);
}

/// spec: store/stream R8
#[test]
fn an_interrupted_import_goes_on() {
    let (_, from) = sim();
    let mut batch = from.batch();
    let mut references = Vec::new();
    for number in 0..2_500_u32 {
        let object = batch.put(&number.to_le_bytes()).unwrap();
        references.push(Reference::Blob(object.digest));
    }
    from.commit(vec![batch], vec![], vec![]).unwrap();
    let reason = String::new();
    let parcel = Parcel {
        roots: [(name("pin/all"), Root { references, reason })].into(),
        notes: [].into(),
    };
    let whole = plain(&exported(&from, &parcel));
    let (_, to) = sim();
    let cut = packed(&whole[..whole.len() - 100 * 45]);
    let error = import(&to, &cut).unwrap_err();
    assert!(
        matches!(error, StoreError::Stream(StreamError::Short)),
        "{error}"
    );
    assert_eq!(to.roots().unwrap(), []);
    let delivery = import(&to, &packed(&whole)).unwrap();
    assert_eq!((delivery.skipped, delivery.added.objects), (2_000, 500));
    assert_eq!(to.roots().unwrap().len(), 1);
}

/// spec: store/stream R5, store/stream R7
#[test]
fn a_stream_that_ends_early_is_refused_wherever() {
    let bytes = stream();
    for end in (0..bytes.len()).step_by(bytes.len() / 25 + 1) {
        let error = refused(&bytes[..end]);
        assert!(
            matches!(error, StreamError::Short | StreamError::Foreign),
            "{end}: {error}"
        );
    }
    let whole = plain(&bytes);
    for end in (0..whole.len()).step_by(whole.len() / 25 + 1) {
        let error = refused(&packed(&whole[..end]));
        assert!(
            matches!(error, StreamError::Short | StreamError::Foreign),
            "{end}: {error}"
        );
    }
    assert_eq!(
        refused(&packed(&whole[..whole.len() - 1])),
        StreamError::Short
    );
}

/// spec: store/stream R5, store/stream R7
#[test]
fn a_flipped_byte_is_refused_wherever() {
    let whole = plain(&stream());
    let large = whole.len() - LARGE;
    let mut places: Vec<usize> = (0..whole.len()).step_by(whole.len() / 20 + 1).collect();
    places.extend((0..large).step_by(23));
    for place in places {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x40;
        refused(&packed(&flipped));
    }
    let bytes = stream();
    for place in (0..bytes.len()).step_by(17) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        // Some bits of the compressed form say how to decompress, and change nothing.
        if zstd::stream::decode_all(&*flipped).ok().as_ref() != Some(&whole) {
            refused(&flipped);
        }
    }
}

/// spec: store/stream R5
#[test]
fn each_fault_of_a_stream_has_its_name() {
    let all = frames(&stream());
    let joined = |frames: &[&[u8]]| frames.concat();
    let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    assert!(import(&sim().1, &sealed(&joined(&parts))).is_ok());
    assert_eq!(refused(b""), StreamError::Foreign);
    assert_eq!(refused(b"not compressed"), StreamError::Foreign);
    assert_eq!(refused(&packed(b"something else\n")), StreamError::Foreign);
    let newer = packed(b"stagecraft export 2\n");
    assert_eq!(
        refused(&newer).to_string(),
        "stream has the format `stagecraft export 2`, which is newer than this program"
    );
    assert_eq!(
        refused(&packed(b"stagecraft export 0\n")),
        StreamError::Foreign
    );
    // Two objects swapped, an object twice, a note before the root, an unknown kind.
    let (mut swapped, mut twice, mut early) = (parts.clone(), parts.clone(), parts.clone());
    swapped.swap(2, 3);
    twice.insert(3, parts[2]);
    early.swap(0, 1);
    assert_eq!(
        refused(&sealed(&joined(&swapped))),
        StreamError::Frame { frame: 3 }
    );
    assert_eq!(
        refused(&sealed(&joined(&twice))),
        StreamError::Frame { frame: 3 }
    );
    assert_eq!(
        refused(&sealed(&joined(&early))),
        StreamError::Frame { frame: 1 }
    );
    assert_eq!(refused(&sealed(&[9, 0])), StreamError::Frame { frame: 0 });
    assert_eq!(refused(&sealed(&[0])), StreamError::Frame { frame: 0 });
    let mut huge = vec![1];
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(refused(&sealed(&huge)), StreamError::Frame { frame: 0 });
    let mut endless = vec![3; 33];
    endless.extend_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(refused(&sealed(&endless)), StreamError::Short);
    // A torn record in a whole stream, other bytes under a name, a wrong hash, more behind the end.
    let mut torn = all.clone();
    torn[0][20] ^= 1;
    assert!(matches!(
        refused(&sealed(&torn.concat())),
        StreamError::Record { frame: 0, .. }
    ));
    let mut other = all.clone();
    let last = other[4].len() - 1;
    other[4][last] ^= 1;
    assert!(matches!(
        refused(&sealed(&other.concat())),
        StreamError::Object { .. }
    ));
    let mut wrong = plain(&stream());
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(refused(&packed(&wrong)), StreamError::Checksum);
    let mut longer = plain(&stream());
    longer.push(0);
    assert_eq!(refused(&packed(&longer)), StreamError::Trailing);
    let mut behind = stream();
    behind.extend_from_slice(b"more");
    assert_eq!(refused(&behind), StreamError::Trailing);
}

/// spec: store/stream R6
#[test]
fn a_stream_brings_what_its_roots_name_and_no_more() {
    let all = frames(&stream());
    for lost in 2..all.len() {
        let mut fewer = all.clone();
        fewer.remove(lost);
        let error = refused(&sealed(&fewer.concat()));
        assert!(
            matches!(error, StreamError::Incomplete { .. }),
            "{lost}: {error}"
        );
    }
    let rootless = all[1..].concat();
    assert_eq!(
        refused(&sealed(&rootless)),
        StreamError::Uninvited { key: KEY }
    );
    // What the store has already need not be carried.
    let (_, store) = sim();
    fill(&store, false);
    assert!(import(&store, &sealed(&all[..2].concat())).is_ok());
}

/// spec: store/stream R9
#[test]
fn what_is_here_stays() {
    let bytes = stream();
    let (_, store) = sim();
    let release = name("release/shop/prod/rel-1");
    let other = Root {
        references: vec![Reference::Blob(Digest::of(b""))],
        reason: String::new(),
    };
    store.set_root(&release, &other).unwrap();
    let error = import(&store, &bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "root `release/shop/prod/rel-1` is here already and keeps something else"
    );
    assert_eq!(store.root(&release).unwrap(), Some(other));
    // A result of our own is not replaced by that of the stream.
    let (_, store) = sim();
    fill(&store, false);
    let mut own = store.result(&KEY).unwrap().unwrap();
    own.milliseconds = 99;
    store.commit(vec![], vec![(KEY, own)], vec![]).unwrap();
    import(&store, &bytes).unwrap();
    assert_eq!(store.result(&KEY).unwrap(), Some(own));
}

/// spec: store/stream R4
#[test]
fn what_cannot_be_read_is_not_exported() {
    let (disk, store) = sim();
    let parcel = fill(&store, false);
    let hex = Digest::of(b"one").hex();
    disk.rot(&format!("cas/{}/{}", &hex[..2], &hex[2..]), b"0ne")
        .unwrap();
    let mut bytes = Vec::new();
    let error = store.export_closure(&parcel, &mut bytes).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    refused(&bytes);
    // It was set aside, so from here on it is absent.
    let mut nothing = Vec::new();
    let error = store.export_closure(&parcel, &mut nothing).unwrap_err();
    assert!(matches!(error, StoreError::Absent { .. }), "{error}");
    assert_eq!(nothing, b"");
}

/// Accepts `left` bytes, then is full.
struct Full {
    left: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.left);
        self.left -= count;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// spec: store/stream R4
#[test]
fn every_write_of_an_export_is_checked() {
    let (_, store) = sim();
    let parcel = fill(&store, false);
    let length = exported(&store, &parcel).len();
    for left in (0..length).step_by(length / 50 + 1).chain([length - 1]) {
        let error = store
            .export_closure(&parcel, &mut Full { left })
            .unwrap_err();
        let StoreError::Io { path, source } = error else {
            panic!("{error}")
        };
        assert_eq!(path.to_str(), Some("output"));
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{left}");
    }
    assert!(
        store
            .export_closure(&parcel, &mut Full { left: length })
            .is_ok()
    );
}

/// spec: store/stream R7, store/stream R8
#[test]
fn an_import_survives_a_crash_at_any_call() {
    let bytes = stream();
    let calls = {
        let (disk, store) = sim();
        import(&store, &bytes).unwrap();
        disk.calls()
    };
    for call in 1..=calls {
        for fault in [Fault::Crash, Fault::Error(std::io::ErrorKind::StorageFull)] {
            let disk = SimDisk::new();
            disk.fail_at(call, fault);
            let done = Store::on(Arc::new(disk.clone())).and_then(|store| import(&store, &bytes));
            let after = if fault == Fault::Crash {
                disk.crash(call)
            } else {
                disk
            };
            let store = Store::on(Arc::new(after)).unwrap();
            assert_eq!(store.verify(false).unwrap().damage, [], "{call}");
            if done.is_ok() {
                assert_eq!(store.roots().unwrap().len(), 1, "{call}");
            }
            import(&store, &bytes).unwrap();
            assert_eq!(store.roots().unwrap().len(), 1, "{call}");
        }
    }
}

/// Yields one byte at a time, and then as many zeros as one cares to read.
struct Slow<'a>(&'a [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// spec: store/stream R10, store/stream R5
#[test]
fn a_stream_may_come_in_pieces_and_promise_what_it_does_not_hold() {
    let (_, store) = sim();
    store
        .import_closure(&mut Slow(&stream()))
        .unwrap()
        .accept()
        .unwrap();
    // A length of 16 GiB is not believed: were it, this would not fit into memory.
    let mut promise = vec![3; 33];
    promise.extend_from_slice(&(16_u64 << 30).to_le_bytes());
    promise.extend_from_slice(&[0; 1000]);
    assert_eq!(refused(&sealed(&promise)), StreamError::Short);
}
