//! `spec/release/manifest.md` and `spec/release/diff.md`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use stagecraft::config::{HealthCheck, HealthConfig};
use stagecraft::plan::hash::{OpHash, PlanHash};
use stagecraft::plan::operation::{Health, Kind, OperationId, Phase, Place, Switch};
use stagecraft::release::manifest::{ConfigFile, Effect};
use stagecraft::release::{Difference, Manifest, ManifestOperation, seal};
use stagecraft_store::{ActionKey, ActionResult, Digest, Object, Reference, Store, TreeBuilder};
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(&directory.path().join("store")).unwrap();
    (directory, store)
}

fn id(text: &str) -> OperationId {
    OperationId::operation(&text.parse().unwrap())
}

/// A tree of files in the store; a path that ends in `*` is executable.
fn tree(store: &Store, files: &[(&str, &str)]) -> Object {
    let mut batch = store.batch();
    let mut builder = TreeBuilder::new();
    for (path, text) in files {
        let object = batch.put(text.as_bytes()).unwrap();
        builder
            .file(path.trim_end_matches('*'), &object, path.ends_with('*'))
            .unwrap();
    }
    let built = builder.build();
    batch.add_tree(&built).unwrap();
    store.commit(vec![batch], Vec::new(), Vec::new()).unwrap();
    built.root
}

fn pure(name: &str, output: Object) -> ManifestOperation {
    ManifestOperation {
        id: id(name),
        kind: Kind::Run,
        phase: Phase::Build,
        services: Vec::new(),
        hosts: Vec::new(),
        description: format!("make {name}"),
        op_hash: OpHash(Digest::of(name.as_bytes())),
        action_key: Some(ActionKey(Digest::of(
            format!("key of {name} {}", output.digest).as_bytes(),
        ))),
        output: Some(output),
        effect: None,
        dependencies: Vec::new(),
    }
}

fn effect(name: &str, kind: Kind, effect: Effect) -> ManifestOperation {
    ManifestOperation {
        kind,
        phase: Phase::Rollout,
        services: vec!["site".parse().unwrap()],
        hosts: vec!["local".parse().unwrap()],
        output: None,
        effect: Some(effect),
        dependencies: vec![id("css")],
        ..pure(name, Object::empty())
    }
}

/// Operations `css` and `pages`, of which `css` is placed as service `site`, switched and checked.
fn manifest(css: Object, pages: Object) -> Manifest {
    let health = HealthConfig {
        check: HealthCheck::Http("http://127.0.0.1:8080/up".to_owned()),
        interval: Duration::from_millis(1500),
        samples: 3,
        deadline: Duration::from_secs(60),
    };
    let switch = Switch {
        path: "deploy".to_owned(),
        services: [("site".parse().unwrap(), id("css"))].into(),
        activate: Some(vec!["./reload.sh".to_owned(), "now".to_owned()]),
        health: Some(health.clone()),
    };
    let place = Place {
        path: "deploy".to_owned(),
        service: "site".parse().unwrap(),
        artifact: id("css"),
    };
    Manifest {
        project: "shop".parse().unwrap(),
        environment: "prod".parse().unwrap(),
        plan: PlanHash(Digest::of(b"plan")),
        config: vec![ConfigFile {
            path: "stagecraft.yml".parse().unwrap(),
            blob: Object::of(b"project: { name: shop }\n"),
        }],
        operations: vec![
            pure("css", css),
            pure("pages", pages),
            effect("place", Kind::Rollout, Effect::Place(place)),
            effect("switch", Kind::Rollout, Effect::Switch(switch.clone())),
            effect(
                "check",
                Kind::HealthCheck,
                Effect::Health(Health {
                    check: health,
                    switch,
                }),
            ),
        ],
    }
}

fn sample() -> Manifest {
    manifest(Object::of(b"css"), Object::of(b"pages"))
}

/// spec: release/manifest R2
#[test]
fn a_manifest_decodes_to_itself() {
    let manifest = sample();
    let decoded = Manifest::decode(&manifest.encode()).unwrap();
    assert_eq!(decoded, manifest);
    assert_eq!(decoded.digest(), manifest.digest());
}

/// spec: release/manifest R2
#[test]
fn other_bytes_are_refused() {
    let bytes = sample().encode();
    let refused = |bytes: &[u8]| Manifest::decode(bytes).unwrap_err().to_string();
    for end in 0..bytes.len() {
        refused(&bytes[..end]);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    refused(&longer);
    let version = bytes.iter().position(|byte| *byte == 1).unwrap();
    let mut newer = bytes.clone();
    newer[version] = 2;
    assert_eq!(
        refused(&newer),
        "manifest version 2 is newer than this program reads"
    );
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x80;
        // Whatever still decodes says something else and says it canonically.
        if let Ok(other) = Manifest::decode(&flipped) {
            assert_eq!(other.encode(), flipped);
        }
    }
}

/// spec: release/manifest R2
#[test]
fn lists_out_of_order_are_refused() {
    let mut manifest = sample();
    let Some(Effect::Switch(switch)) = &mut manifest.operations[3].effect else {
        unreachable!()
    };
    switch.services.insert("zoo".parse().unwrap(), id("pages"));
    let bytes = manifest.encode();
    let text = |name: &str| {
        let mut framed = u64::try_from(name.len()).unwrap().to_le_bytes().to_vec();
        framed.extend_from_slice(name.as_bytes());
        framed
    };
    let first = [text("site"), text("css")].concat();
    let second = [text("zoo"), text("pages")].concat();
    let ordered = [first.clone(), second.clone()].concat();
    let swapped = [second, first].concat();
    let at = bytes
        .windows(ordered.len())
        .position(|window| window == ordered)
        .unwrap();
    let mut unsorted = bytes.clone();
    unsorted[at..at + swapped.len()].copy_from_slice(&swapped);
    assert_eq!(
        Manifest::decode(&unsorted).unwrap_err().to_string(),
        "manifest is damaged: not in canonical form"
    );
}

/// spec: release/manifest R3
#[test]
fn the_bytes_of_version_1_are_frozen() {
    assert_eq!(
        sample().digest().to_string(),
        "b3:92e49698e83eca2a070a72be03b2fd9143ce0825fdf9d4dc5eb6775a3e962135"
    );
}

/// spec: release/manifest R1, release/manifest R4
#[test]
fn equal_content_is_sealed_to_equal_manifests() {
    let files = [
        (
            "stagecraft.yml".parse().unwrap(),
            b"project: { name: shop }\n".to_vec(),
        ),
        (
            "a/stagecraft.yml".parse().unwrap(),
            b"operations: {}\n".to_vec(),
        ),
    ];
    let mut reversed = files.clone();
    reversed.reverse();
    let (_directory, store_a) = store();
    let (_directory, store_b) = store();
    let a = seal(&store_a, sample(), &files).unwrap();
    let b = seal(&store_b, sample(), &reversed).unwrap();
    assert_eq!(a, b);
    let loaded = Manifest::load(&store_a, &a.manifest.digest)
        .unwrap()
        .unwrap();
    assert_eq!(loaded.operations, sample().operations);
    let paths: Vec<&str> = loaded
        .config
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(paths, ["a/stagecraft.yml", "stagecraft.yml"]);
    assert_eq!(
        store_a
            .read(&loaded.config[0].blob.digest)
            .unwrap()
            .unwrap(),
        b"operations: {}\n"
    );
    assert_eq!(
        Manifest::load(&store_a, &Digest::of(b"other")).unwrap(),
        None
    );
}

/// spec: release/manifest R5
#[test]
fn a_root_keeps_manifest_config_outputs_and_results() {
    let (_directory, store) = store();
    let manifest = sample();
    let sealed = seal(&store, manifest.clone(), &[]).unwrap();
    let key = |index: usize| manifest.operations[index].action_key.unwrap();
    let mut expected = vec![
        Reference::Blob(sealed.manifest.digest),
        Reference::Tree(Object::of(b"css").digest),
        Reference::Tree(Object::of(b"pages").digest),
        Reference::Result(key(0)),
        Reference::Result(key(1)),
    ];
    expected.sort();
    assert_eq!(sealed.references, expected);
    assert!(
        manifest
            .references()
            .contains(&Reference::Blob(manifest.config[0].blob.digest))
    );
}

/// spec: release/manifest R6
#[test]
fn what_going_back_needs_is_found_missing() {
    let (_directory, store) = store();
    let css = tree(&store, &[("dist/site.css", "a")]);
    let lost = Object::of(b"an output that nothing places");
    let files = [(
        "stagecraft.yml".parse().unwrap(),
        b"project: { name: shop }\n".to_vec(),
    )];
    let sealed = seal(&store, manifest(css, lost), &files).unwrap();
    let loaded = Manifest::load(&store, &sealed.manifest.digest)
        .unwrap()
        .unwrap();
    assert!(loaded.closure_missing(&store).unwrap().is_empty());
    let other = manifest(lost, css);
    let mut expected = vec![lost.digest, other.digest()];
    expected.sort();
    assert_eq!(other.closure_missing(&store).unwrap(), expected);
}

/// spec: release/diff R5
#[test]
fn equal_manifests_do_not_differ() {
    let (_directory, store) = store();
    let difference = Difference::between(&sample(), &sample(), &store).unwrap();
    assert!(difference.is_empty());
    assert_eq!(difference.to_string(), "");
}

/// spec: release/diff R1, release/diff R2, release/diff R3
#[test]
fn a_difference_goes_down_to_the_files() {
    let (_directory, store) = store();
    let before = tree(
        &store,
        &[
            ("dist/a", "1"),
            ("dist/b", "2"),
            ("run*", "x"),
            ("turn", "file"),
            ("same/x", "s"),
        ],
    );
    let after = tree(
        &store,
        &[
            ("dist/a", "9"),
            ("dist/c", "2"),
            ("run", "x"),
            ("turn/in", "to"),
            ("same/x", "s"),
        ],
    );
    let older = manifest(before, before);
    let mut newer = manifest(after, before);
    newer.config[0].blob = Object::of(b"other");
    newer.operations[1].op_hash = OpHash(Digest::of(b"other"));
    newer.operations.remove(2);
    newer.operations.push(pure("new", before));
    let Some(Effect::Switch(switch)) = &mut newer.operations[2].effect else {
        unreachable!()
    };
    switch.activate = None;
    let difference = Difference::between(&older, &newer, &store).unwrap();
    let expected = "\
~ config stagecraft.yml
~ css: key, output
    ~ dist/a
    - dist/b
    + dist/c
    ~ run
    - turn
    + turn/in
+ new
    + dist/a
    + dist/b
    + run
    + same/x
    + turn
~ pages: recipe
- place
~ switch: work
";
    assert_eq!(difference.to_string(), expected);
}

/// spec: release/diff R4
#[test]
fn lost_directories_are_named() {
    let (_directory, store) = store();
    let before = tree(&store, &[("a", "1")]);
    let lost = Object::of(b"no directory of this store");
    let difference =
        Difference::between(&manifest(before, before), &manifest(lost, before), &store).unwrap();
    assert_eq!(
        difference.to_string(),
        format!("~ css: key, output\n    bytes lost: {}\n", lost.digest)
    );
}

/// spec: release/manifest R5
#[test]
fn sealed_references_can_be_rooted_and_are_whole() {
    let (_directory, store) = store();
    let css = tree(&store, &[("site.css", "a")]);
    let manifest = manifest(css, css);
    let results = manifest.operations[..2].iter().map(|operation| {
        let result = ActionResult {
            op_hash: operation.op_hash.0,
            output: css,
            log: Object::empty(),
            leaves: Object::empty(),
            level: 0,
            milliseconds: 1,
        };
        (operation.action_key.unwrap(), result)
    });
    store
        .commit(Vec::new(), results.collect(), Vec::new())
        .unwrap();
    let sealed = seal(&store, manifest, &[]).unwrap();
    assert!(store.missing(&sealed.references).unwrap().is_empty());
}
