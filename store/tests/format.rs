//! The format: golden vectors, properties, and the tree encoding against an independent protobuf.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;
use stagecraft_store::{
    ActionKey, ActionResult, DecodeError, Decoder, Digest, Directory, Encoder, EntryName,
    HistoryKey, Message, Node, Object, RecordError, TreeBuilder,
};

mod reapi {
    //! The messages as REAPI v2 declares them.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Digest {
        #[prost(string, tag = "1")]
        pub(crate) hash: String,
        #[prost(int64, tag = "2")]
        pub(crate) size_bytes: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct FileNode {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) digest: Option<Digest>,
        #[prost(bool, tag = "4")]
        pub(crate) is_executable: bool,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct DirectoryNode {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(message, optional, tag = "2")]
        pub(crate) digest: Option<Digest>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct SymlinkNode {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(string, tag = "2")]
        pub(crate) target: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Directory {
        #[prost(message, repeated, tag = "1")]
        pub(crate) files: Vec<FileNode>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) directories: Vec<DirectoryNode>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) symlinks: Vec<SymlinkNode>,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn example() -> Directory {
    let mut directory = Directory::new();
    let mut add = |name: &str, node| directory.insert(name.parse().unwrap(), node).unwrap();
    let file = |bytes: &[u8], executable| Node::File {
        object: Object::of(bytes),
        executable,
    };
    add("run", file(b"#!/bin/sh\n", true));
    add("empty", file(b"", false));
    let object = Object::empty();
    add("dir", Node::Directory { object });
    let target = "../x".to_owned();
    add("link", Node::Symlink { target });
    directory
}

/// spec: store/format R2
#[test]
fn primitives_are_frozen() {
    let mut encoder = Encoder::new();
    encoder
        .u8(1)
        .u32(2)
        .u64(3)
        .bool(true)
        .text("é")
        .bytes(&[])
        .option(None::<u8>, |e, value| {
            e.u8(value);
        })
        .option(Some("x"), |e, value| {
            e.text(value);
        })
        .list([7_u8, 8], |e, value| {
            e.u8(value);
        });
    assert_eq!(
        hex(&encoder.into_bytes()),
        "01020000000300000000000000010200000000000000c3a900000000000000000001\
         0100000000000000780200000000000000\
         0708"
    );
    let mut encoder = Encoder::new();
    encoder.object(&Object::of(b"abc"));
    assert_eq!(
        hex(&encoder.into_bytes()),
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d850300000000000000"
    );
}

/// spec: store/format R4
#[test]
fn history_keys_are_frozen() {
    let key = HistoryKey::new("shop", "css");
    let mut bytes = Vec::new();
    for text in ["shop", "css"] {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    assert_eq!(
        *key.digest().as_bytes(),
        blake3::derive_key("stagecraft history key v1", &bytes)
    );
    assert_ne!(key, HistoryKey::new("shopc", "ss"));
}

/// spec: store/format R3
#[test]
fn decoder_refuses_what_is_not_there() {
    assert_eq!(
        Decoder::new(&[1, 2, 3]).u32(),
        Err(DecodeError::Short { at: 0 })
    );
    assert_eq!(Decoder::new(&[2]).bool(), Err(DecodeError::Bool { at: 0 }));
    let huge = u64::MAX.to_le_bytes();
    let count = u64::MAX;
    assert_eq!(
        Decoder::new(&huge).bytes(),
        Err(DecodeError::Count { at: 0, count })
    );
    assert_eq!(
        Decoder::new(&huge).list(Decoder::u8),
        Err(DecodeError::Count { at: 0, count })
    );
    let not_text = [1, 0, 0, 0, 0, 0, 0, 0, 0xff];
    assert_eq!(
        Decoder::new(&not_text).text(),
        Err(DecodeError::Utf8 { at: 0 })
    );
    assert_eq!(
        Decoder::new(&[0]).finish(),
        Err(DecodeError::Trailing { left: 1 })
    );
}

/// spec: store/format R5
#[test]
fn messages_are_canonical() {
    let mut message = Message::new();
    message
        .varint(1, 300)
        .varint(2, 0)
        .text(3, "")
        .text(4, "hi")
        .bytes(5, &[0])
        .message(6, Message::new())
        .text_item(7, "");
    assert_eq!(
        hex(&message.into_bytes()),
        "08ac022202686".to_owned() + "92a01003200" + "3a00"
    );
}

/// spec: store/format R6
#[test]
fn directory_bytes_are_frozen() {
    let bytes = example().encode();
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let digest = |hash: &str, size_bytes| {
        Some(reapi::Digest {
            hash: hash.to_owned(),
            size_bytes,
        })
    };
    let file = |name: &str, digest, is_executable| reapi::FileNode {
        name: name.to_owned(),
        digest,
        is_executable,
    };
    let run = Digest::of(b"#!/bin/sh\n").hex();
    let same = reapi::Directory {
        files: vec![
            file("empty", digest(empty, 0), false),
            file("run", digest(&run, 10), true),
        ],
        directories: vec![reapi::DirectoryNode {
            name: "dir".to_owned(),
            digest: digest(empty, 0),
        }],
        symlinks: vec![reapi::SymlinkNode {
            name: "link".to_owned(),
            target: "../x".to_owned(),
        }],
    };
    assert_eq!(hex(&bytes), hex(&same.encode_to_vec()));
    assert_eq!(
        Digest::of(&bytes).to_string(),
        "b3:b7d1d1cc89a97898e820ed032d7357aa9f8e3b5aa34cf7755c2c7060bcea5af1"
    );
    assert_eq!(Directory::new().encode(), b"");
    assert_eq!(Directory::new().object(), Object::empty());
}

/// spec: store/format R7
#[test]
fn other_forms_of_a_directory_are_refused() {
    let digest = || {
        Some(reapi::Digest {
            hash: Digest::of(b"x").hex(),
            size_bytes: 1,
        })
    };
    let file = |name: &str| reapi::FileNode {
        name: name.to_owned(),
        digest: digest(),
        is_executable: false,
    };
    let directory = |name: &str| reapi::DirectoryNode {
        name: name.to_owned(),
        digest: digest(),
    };
    let of = |files, directories| reapi::Directory {
        files,
        directories,
        symlinks: vec![],
    };
    let good = of(vec![file("a"), file("b")], vec![directory("c")]).encode_to_vec();
    assert!(Directory::decode(&good).is_ok());
    for bad in [
        of(vec![file("b"), file("a")], vec![]),
        of(vec![file("a"), file("a")], vec![]),
        of(vec![file("a")], vec![directory("a")]),
        of(vec![file("")], vec![]),
        of(vec![file("..")], vec![]),
        of(vec![file("a/b")], vec![]),
        of(
            vec![reapi::FileNode {
                name: "a".to_owned(),
                digest: None,
                is_executable: false,
            }],
            vec![],
        ),
        of(
            vec![reapi::FileNode {
                name: "a".to_owned(),
                digest: Some(reapi::Digest {
                    hash: Digest::of(b"x").hex(),
                    size_bytes: -1,
                }),
                is_executable: false,
            }],
            vec![],
        ),
    ] {
        assert!(Directory::decode(&bad.encode_to_vec()).is_err(), "{bad:?}");
    }
    // Directories before files, an unknown field, a default written out, an overlong varint.
    let directories = of(vec![], vec![directory("c")]).encode_to_vec();
    let files = of(vec![file("a")], vec![]).encode_to_vec();
    let swapped = [directories.clone(), files.clone()].concat();
    assert!(Directory::decode(&swapped).is_err());
    assert!(Directory::decode(&[files.clone(), vec![0x20, 1]].concat()).is_err());
    let mut with_default = files.clone();
    with_default[1] += 2;
    with_default.extend([0x20, 0]);
    assert!(Directory::decode(&with_default).is_err());
    let mut overlong = files.clone();
    overlong[1] |= 0x80;
    overlong.insert(2, 0);
    assert!(Directory::decode(&overlong).is_err());
    for end in 1..files.len() {
        assert!(Directory::decode(&files[..end]).is_err(), "{end}");
    }
}

/// spec: store/format R8
#[test]
fn names_and_targets_have_limits() {
    assert!("a".repeat(255).parse::<EntryName>().is_ok());
    let long = "a".repeat(256);
    for bad in ["", ".", "..", "a/b", "a\0", &long] {
        assert!(bad.parse::<EntryName>().is_err(), "{bad:?}");
    }
    let mut directory = Directory::new();
    let mut link = |name: &str, target: &str| {
        let target = target.to_owned();
        directory.insert(name.parse().unwrap(), Node::Symlink { target })
    };
    assert!(link("a", "").is_err());
    assert!(link("a", "x\0").is_err());
    assert!(link("a", &"x".repeat(4096)).is_err());
    assert!(link("a", &"x".repeat(4095)).is_ok());
    assert!(link("a", "twice").is_err());
}

fn result() -> (ActionKey, ActionResult) {
    let key = ActionKey(Digest::of(b"key"));
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: Object::of(b"output"),
        log: Object::of(b"log"),
        leaves: Object::of(b"leaves"),
        level: 2,
        milliseconds: 1234,
    };
    (key, result)
}

/// spec: store/format R13, store/format R15
#[test]
fn result_records_are_frozen() {
    let (key, result) = result();
    let bytes = result.encode(&key);
    let mut expected = b"stagecraft result 1\n".to_vec();
    expected.extend_from_slice(blake3::hash(b"key").as_bytes());
    expected.extend_from_slice(blake3::hash(b"op").as_bytes());
    for part in [&b"output"[..], b"log", b"leaves"] {
        expected.extend_from_slice(blake3::hash(part).as_bytes());
        expected.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    expected.push(2);
    expected.extend_from_slice(&1234_u64.to_le_bytes());
    let checksum = blake3::hash(&expected);
    expected.extend_from_slice(checksum.as_bytes());
    assert_eq!(hex(&bytes), hex(&expected));
    assert_eq!(ActionResult::decode(&key, &bytes), Ok(result));
}

/// spec: store/format R13
#[test]
fn altered_records_do_not_open() {
    let (key, result) = result();
    let bytes = result.encode(&key);
    for end in 0..bytes.len() {
        assert!(ActionResult::decode(&key, &bytes[..end]).is_err(), "{end}");
    }
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        assert!(ActionResult::decode(&key, &flipped).is_err(), "{place}");
    }
    assert_eq!(
        ActionResult::decode(&ActionKey(Digest::of(b"other")), &bytes),
        Err(RecordError::Misplaced)
    );
}

fn object() -> impl Strategy<Value = Object> {
    (any::<[u8; 32]>(), 0..=i64::MAX as u64).prop_map(|(digest, size)| Object {
        digest: Digest::from_bytes(digest),
        size,
    })
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        (object(), any::<bool>())
            .prop_map(|(object, executable)| Node::File { object, executable }),
        object().prop_map(|object| Node::Directory { object }),
        "[^\0]{1,20}".prop_map(|target| Node::Symlink { target }),
    ]
}

fn directory() -> impl Strategy<Value = Directory> {
    proptest::collection::btree_map("[^/\0]{1,8}", node(), 0..12).prop_map(
        |entries: BTreeMap<String, Node>| {
            let mut directory = Directory::new();
            for (name, node) in entries {
                if let Ok(name) = name.parse() {
                    directory.insert(name, node).unwrap();
                }
            }
            directory
        },
    )
}

proptest! {
    /// spec: store/format R6, store/format R7
    #[test]
    fn directories_survive_encoding(directory in directory()) {
        let bytes = directory.encode();
        prop_assert_eq!(Directory::decode(&bytes), Ok(directory));
        let again = reapi::Directory::decode(&bytes[..]).unwrap();
        prop_assert_eq!(again.encode_to_vec(), bytes);
    }

    /// spec: store/format R7
    #[test]
    fn random_bytes_never_break_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(directory) = Directory::decode(&bytes) {
            prop_assert_eq!(directory.encode(), bytes);
        }
    }

    /// spec: store/format R7
    #[test]
    fn flipped_directories_never_break_the_decoder(
        directory in directory(), place in any::<prop::sample::Index>(), bit in 0..8,
    ) {
        let mut bytes = directory.encode();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            if let Ok(other) = Directory::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
                prop_assert_ne!(other, directory);
            }
        }
    }

    /// spec: store/format R2
    #[test]
    fn different_values_have_different_encodings(
        a in proptest::collection::vec((".{0,3}", proptest::option::of(".{0,3}")), 0..4),
        b in proptest::collection::vec((".{0,3}", proptest::option::of(".{0,3}")), 0..4),
    ) {
        type Rows = Vec<(String, Option<String>)>;
        let encode = |rows: &Rows| {
            let mut encoder = Encoder::new();
            encoder.list(rows, |e, (name, value)| {
                e.text(name).option(value.as_deref(), |e, value| { e.text(value); });
            });
            encoder.into_bytes()
        };
        let decode = |bytes: &[u8]| -> Result<Rows, DecodeError> {
            let mut decoder = Decoder::new(bytes);
            let rows = decoder.list(|d| {
                let name = d.text()?.to_owned();
                let value = d.option(|d| d.text().map(str::to_owned))?;
                Ok((name, value))
            })?;
            decoder.finish()?;
            Ok(rows)
        };
        prop_assert_eq!(encode(&a) == encode(&b), a == b);
        prop_assert_eq!(decode(&encode(&a)), Ok(a));
    }

    /// spec: store/format R3
    #[test]
    fn random_bytes_never_break_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut decoder = Decoder::new(&bytes);
        let listed = decoder.list(|d| {
            d.bool()?;
            d.option(Decoder::u32)?;
            d.bytes().map(<[u8]>::to_vec)
        });
        if listed.is_ok() {
            prop_assert!(decoder.finish().is_ok() || !bytes.is_empty());
        }
    }

    /// spec: store/format R9
    #[test]
    fn trees_do_not_depend_on_the_order_of_paths(
        mut paths in proptest::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,3}", 0..8)
            .prop_map(|paths| paths.into_iter().collect::<Vec<_>>()),
    ) {
        let build = |paths: &[String]| {
            let mut builder = TreeBuilder::new();
            let mut all = true;
            for path in paths {
                all &= builder.file(path, &Object::of(path.as_bytes()), false).is_ok();
            }
            all.then(|| builder.build())
        };
        let forward = build(&paths);
        paths.reverse();
        prop_assert_eq!(forward, build(&paths));
    }
}
