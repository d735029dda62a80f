//! Keys against vectors that are built here byte by byte, with prost for the REAPI messages, and the laws they keep.

mod laws;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use stagecraft::action::{ResolveError, resolve};
use stagecraft::config::{CommandLine, HealthCheck, HealthConfig, OutputPattern};
use stagecraft::inputs::Tool;
use stagecraft::plan::operation::{Health, OperationId, Phase, Place, Run, Switch, Work};
use stagecraft::plan::{Draft, Plan};
use stagecraft_store::{ActionKey, Digest, Node, Object};

use crate::support::drafts::{assemble, draft, id, path, run};

/// Frames values as the specification says, without our encoder.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }
    fn texts(self, texts: &[&str]) -> Self {
        let counted = self.count(texts.len());
        texts.iter().fold(counted, |bytes, text| bytes.text(text))
    }
    fn count(mut self, count: usize) -> Self {
        self.0.extend((count as u64).to_le_bytes());
        self
    }
    fn raw(mut self, raw: &[u8]) -> Self {
        self.0.extend(raw);
        self
    }
    fn object(self, object: &Object) -> Self {
        self.raw(object.digest.as_bytes())
            .raw(&object.size.to_le_bytes())
    }
    fn hash(self, context: &str) -> String {
        let digest = blake3::derive_key(context, &self.0);
        Digest::from_bytes(digest).to_string()
    }
}

const RECIPE: &str = "stagecraft 2026 recipe v1";

fn tool(name: &str) -> Arc<Tool> {
    Arc::new(Tool {
        name: name.to_owned(),
        identity: Digest::of(name.as_bytes()),
        description: format!("{name} 1"),
        programs: Vec::new(),
        files: Vec::new(),
    })
}

/// A recipe that uses everything there is.
fn full() -> Run {
    let mut run = run("full");
    run.command = CommandLine::Argv(["cc", "", "-o"].map(str::to_owned).to_vec());
    run.arguments = vec!["-v".to_owned()];
    run.workdir = path("work");
    run.selectors = vec!["src/**".to_owned(), "!src/x".to_owned()];
    run.outputs.push(OutputPattern {
        glob: "dist".to_owned(),
        directory: true,
        optional: true,
    });
    run.env = BTreeMap::from([("E".to_owned(), "value".to_owned())]);
    run.passed = [("P", false), ("S", true), ("U", false)]
        .map(|(name, secret)| (name.to_owned(), secret))
        .to_vec();
    run.values = [("P", "passed"), ("S", "in clear")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    run.fingerprints = BTreeMap::from([("S".to_owned(), "print".to_owned())]);
    run.tools = vec![tool("cc")];
    run.network = true;
    run.sources = Arc::new(vec![
        (
            path("src/a"),
            Node::File {
                object: Object::of(b"a"),
                executable: true,
            },
        ),
        (
            path("src/link"),
            Node::Symlink {
                target: "a".to_owned(),
            },
        ),
    ]);
    run
}

fn full_plan() -> Plan {
    assemble(vec![
        draft("dep", &[], run("dep")),
        draft("full", &["dep"], full()),
    ])
    .unwrap()
}

fn key(plan: &Plan, name: &str, outputs: &[(&str, Object)]) -> Result<ActionKey, ResolveError> {
    let outputs: BTreeMap<OperationId, Object> = outputs
        .iter()
        .map(|(name, object)| (id(name), *object))
        .collect();
    let operation = plan.operation(plan.find(&id(name)).unwrap());
    resolve(operation, &outputs).map(|action| action.key)
}

/// spec: plan/hashes R1, plan/hashes R2, plan/hashes R3
#[test]
fn op_hash_is_what_the_page_says() {
    let plan = full_plan();
    let hash = |name: &str| plan.operation(plan.find(&id(name)).unwrap()).op_hash;
    let bytes = Bytes::default()
        .text("run")
        .raw(&1_u64.to_le_bytes())
        .text("linux-x86_64")
        .text("argv")
        .texts(&["cc", "", "-o"])
        .texts(&["-v"])
        .text("work")
        .texts(&["src/**", "!src/x"])
        .count(2)
        .text("out")
        .raw(&[0, 0])
        .text("dist")
        .raw(&[1, 1])
        .texts(&["deps/dep"])
        .count(1)
        .text("E")
        .text("value")
        .count(3)
        .text("P")
        .raw(&[0])
        .text("S")
        .raw(&[1])
        .text("U")
        .raw(&[0])
        .texts(&["cc"])
        .raw(&[1, 1, 0])
        .count(1)
        .raw(hash("dep").0.as_bytes());
    assert_eq!(hash("full").to_string(), bytes.hash(RECIPE));
    let mut script = run("script");
    script.command = CommandLine::Script("echo".to_owned());
    let plan = assemble(vec![draft("script", &[], script)]).unwrap();
    let bytes = Bytes::default()
        .text("run")
        .raw(&1_u64.to_le_bytes())
        .text("linux-x86_64")
        .text("script")
        .text("echo")
        .count(0)
        .text("")
        .texts(&["src/script"])
        .count(1)
        .text("out")
        .raw(&[0, 0])
        .count(0)
        .count(0)
        .count(0)
        .count(0)
        .raw(&[0, 1, 0])
        .count(0);
    assert_eq!(plan.operation(0).op_hash.to_string(), bytes.hash(RECIPE));
}

fn switch() -> Switch {
    Switch {
        path: "./deploy".to_owned(),
        services: BTreeMap::from([("web".parse().unwrap(), id("full"))]),
        activate: Some(vec!["./up".to_owned()]),
        health: Some(health(HealthCheck::Http("http://h/up".to_owned()))),
    }
}

fn health(check: HealthCheck) -> HealthConfig {
    HealthConfig {
        check,
        interval: Duration::from_millis(1500),
        samples: 3,
        deadline: Duration::from_secs(60),
    }
}

fn place() -> Place {
    Place {
        path: "./deploy".to_owned(),
        service: "web".parse().unwrap(),
        artifact: id("full"),
    }
}

/// A plan of one effect that takes the output of `full`.
fn effect(work: Work) -> Plan {
    let drafts = vec![
        draft("full", &[], run("full")),
        Draft {
            id: id("effect"),
            phase: Phase::Rollout,
            services: Vec::new(),
            hosts: Vec::new(),
            description: String::new(),
            work,
            takes: vec![id("full")],
            after: Vec::new(),
        },
    ];
    assemble(drafts).unwrap()
}

fn health_bytes(bytes: Bytes) -> Bytes {
    bytes
        .text("http")
        .text("http://h/up")
        .raw(&1500_u64.to_le_bytes())
        .raw(&3_u32.to_le_bytes())
        .raw(&60_000_u64.to_le_bytes())
}

/// spec: plan/hashes R4, plan/hashes R10
#[test]
fn hashes_and_keys_of_effects_are_what_the_page_says() {
    let tree = Object::of(b"tree");
    let check = |work: Work, recipe: Bytes, effect_bytes: Bytes| {
        let plan = effect(work);
        let recipe = recipe.count(1).raw(plan.operation(0).op_hash.0.as_bytes());
        assert_eq!(plan.operation(1).op_hash.to_string(), recipe.hash(RECIPE));
        let key = key(&plan, "effect", &[("full", tree)]).unwrap();
        assert_eq!(
            key.to_string(),
            effect_bytes.hash("stagecraft 2026 effect v1")
        );
    };
    let new = Bytes::default;
    check(
        Work::Place(place()),
        new().text("directory place").text("./deploy").text("web"),
        new()
            .text("place")
            .text("./deploy")
            .text("web")
            .object(&tree),
    );
    let recipe = |bytes: Bytes| {
        let bytes = bytes.text("./deploy").texts(&["web"]);
        health_bytes(bytes.raw(&[1]).texts(&["./up"]).raw(&[1]))
    };
    let resolved = |bytes: Bytes| {
        let bytes = bytes.text("switch").text("./deploy").count(1).text("web");
        let bytes = bytes.object(&tree).raw(&[1]).texts(&["./up"]);
        health_bytes(bytes.raw(&[1]))
    };
    check(
        Work::Switch(switch()),
        recipe(new().text("directory switch")),
        resolved(new()),
    );
    let gate = Health {
        check: health(HealthCheck::Http("http://h/up".to_owned())),
        switch: switch(),
    };
    check(
        Work::Health(gate),
        recipe(health_bytes(new().text("directory health"))),
        resolved(health_bytes(new().text("health"))),
    );
}

/// spec: plan/hashes R5
#[test]
fn plan_hash_is_what_the_page_says() {
    let plan = full_plan();
    let hash = |at: usize| *plan.operation(at).op_hash.0.as_bytes();
    let base = Digest::of(b"base");
    let bytes = Bytes::default()
        .count(2)
        .text("dep")
        .raw(&hash(0))
        .raw(&[1])
        .count(1)
        .text("src/dep")
        .raw(&[0])
        .object(&Object::of(b"dep"))
        .raw(&[0])
        .count(0)
        .raw(&[1])
        .raw(base.as_bytes())
        .count(0)
        .text("full")
        .raw(&hash(1))
        .raw(&[1])
        .count(2)
        .text("src/a")
        .raw(&[0])
        .object(&Object::of(b"a"))
        .raw(&[1])
        .text("src/link")
        .raw(&[1])
        .text("a")
        .count(1)
        .raw(Digest::of(b"cc").as_bytes())
        .raw(&[1])
        .raw(base.as_bytes())
        .count(3)
        .raw(&[1])
        .text("passed")
        .raw(&[1])
        .text("print")
        .raw(&[0]);
    assert_eq!(
        plan.hash().to_string(),
        bytes.hash("stagecraft 2026 plan v1")
    );
}

/// The messages of `build.bazel.remote.execution.v2` that a key is made of.
mod reapi {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Digest {
        #[prost(string, tag = "1")]
        pub(super) hash: String,
        #[prost(int64, tag = "2")]
        pub(super) size_bytes: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Pair {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Platform {
        #[prost(message, repeated, tag = "1")]
        pub(super) properties: Vec<Pair>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Command {
        #[prost(string, repeated, tag = "1")]
        pub(super) arguments: Vec<String>,
        #[prost(message, repeated, tag = "2")]
        pub(super) environment_variables: Vec<Pair>,
        #[prost(message, optional, tag = "5")]
        pub(super) platform: Option<Platform>,
        #[prost(string, tag = "6")]
        pub(super) working_directory: String,
        #[prost(string, repeated, tag = "7")]
        pub(super) output_paths: Vec<String>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Action {
        #[prost(message, optional, tag = "1")]
        pub(super) command_digest: Option<Digest>,
        #[prost(message, optional, tag = "2")]
        pub(super) input_root_digest: Option<Digest>,
        #[prost(message, optional, tag = "10")]
        pub(super) platform: Option<Platform>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Entry {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(message, optional, tag = "2")]
        pub(super) digest: Option<Digest>,
        #[prost(bool, tag = "4")]
        pub(super) is_executable: bool,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Directory {
        #[prost(message, repeated, tag = "1")]
        pub(super) files: Vec<Entry>,
        #[prost(message, repeated, tag = "2")]
        pub(super) directories: Vec<Entry>,
        #[prost(message, repeated, tag = "3")]
        pub(super) symlinks: Vec<Pair>,
    }
}

fn digest_of(bytes: &[u8]) -> reapi::Digest {
    reapi::Digest {
        hash: blake3::hash(bytes).to_hex().to_string(),
        size_bytes: i64::try_from(bytes.len()).unwrap(),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<reapi::Pair> {
    let pair = |(name, value): &(&str, &str)| reapi::Pair {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(pair).collect()
}

fn entry(name: &str, digest: reapi::Digest, is_executable: bool) -> reapi::Entry {
    reapi::Entry {
        name: name.to_owned(),
        digest: Some(digest),
        is_executable,
    }
}

fn above(name: &str, directory: &reapi::Directory) -> reapi::Directory {
    reapi::Directory {
        directories: vec![entry(name, digest_of(&directory.encode_to_vec()), false)],
        ..reapi::Directory::default()
    }
}

/// spec: plan/hashes R6, plan/hashes R7, plan/hashes R8, plan/hashes R9
#[test]
fn action_key_is_the_digest_of_the_reapi_action() {
    let tree = reapi::Directory {
        files: vec![entry("out", digest_of(b"made by dep"), false)],
        ..reapi::Directory::default()
    };
    let bytes = tree.encode_to_vec();
    let plan = full_plan();
    let key = key(&plan, "full", &[("dep", Object::of(&bytes))]).unwrap();

    let source = reapi::Directory {
        files: vec![entry("a", digest_of(b"a"), true)],
        symlinks: pairs(&[("link", "a")]),
        ..reapi::Directory::default()
    };
    let work = above("deps", &above("dep", &tree));
    let mut root = above("src", &source);
    root.directories.extend(above("work", &work).directories);
    let hex = |text: &str| digest_of(text.as_bytes()).hash;
    let platform = reapi::Platform {
        properties: pairs(&[
            ("stagecraft-base", &hex("base")),
            ("stagecraft-network", "host"),
            ("stagecraft-output:dist", "directory optional"),
            ("stagecraft-output:out", "path required"),
            ("stagecraft-platform", "linux-x86_64"),
            ("stagecraft-sandbox", "1"),
            ("stagecraft-tool:cc", &hex("cc")),
        ]),
    };
    let command = reapi::Command {
        arguments: ["cc", "", "-o", "-v"].map(str::to_owned).to_vec(),
        environment_variables: pairs(&[("E", "value"), ("P", "passed"), ("S", "print")]),
        platform: Some(platform.clone()),
        working_directory: "work".to_owned(),
        output_paths: ["dist", "out"].map(str::to_owned).to_vec(),
    };
    let action = reapi::Action {
        command_digest: Some(digest_of(&command.encode_to_vec())),
        input_root_digest: Some(digest_of(&root.encode_to_vec())),
        platform: Some(platform),
    };
    assert_eq!(
        key.to_string(),
        format!("b3:{}", digest_of(&action.encode_to_vec()).hash)
    );
}

/// spec: plan/hashes R1, plan/hashes R5, plan/hashes R6, plan/hashes R10
#[test]
fn golden_vectors() {
    let plan = full_plan();
    let tree = Object::of(b"tree");
    let vectors = [
        plan.operation(0).op_hash.to_string(),
        plan.operation(1).op_hash.to_string(),
        plan.hash().to_string(),
        key(&plan, "dep", &[]).unwrap().to_string(),
        key(&plan, "full", &[("dep", tree)]).unwrap().to_string(),
        key(&effect(Work::Place(place())), "effect", &[("full", tree)])
            .unwrap()
            .to_string(),
        key(&effect(Work::Switch(switch())), "effect", &[("full", tree)])
            .unwrap()
            .to_string(),
    ];
    assert_eq!(vectors.join("\n"), GOLDEN);
}

const GOLDEN: &str = "\
b3:2800280f4634aa751bd86985b979ac0be004c2b17823976b1a013ebcd6018ca9
b3:ef19eb4111a5b81da47b2d9bf1d00687f2622a4f0c63ab2ea88900aa40ed6ddc
b3:202b5545b4fc0ce0da20019a0352d3ab810f4fa1170d4045be98cc3a5c13a48d
b3:60e2c968877a1e149b88eb8d1d965455d1e4b55f30067f6ba36c49a840f49c5c
b3:2534eb008f7b985ea6bbd427933bdd18cb2dad98c3934e2c98c1884e7f82882e
b3:629dbd1597b956755edfe421c1e32567671e6519349d1570b86d33b9061678b5
b3:1611baa77b028d867e4233ac0c1c1e6400c6b7074d61583c37d8a2fc260b12ac";

/// spec: plan/hashes R9
#[test]
fn a_source_in_the_place_of_a_mount_has_no_key() {
    let mut clash = run("clash");
    clash.sources = Arc::new(vec![(
        path("deps/dep"),
        Node::Symlink {
            target: "x".to_owned(),
        },
    )]);
    let drafts = vec![
        draft("dep", &[], run("dep")),
        draft("clash", &["dep"], clash),
    ];
    let plan = assemble(drafts).unwrap();
    let error = key(&plan, "clash", &[("dep", Object::empty())]).unwrap_err();
    assert_eq!(error.to_string(), "inputs do not fit together");
    let error = key(&plan, "clash", &[]).unwrap_err();
    assert_eq!(error.to_string(), "waits for the output of `dep`");
}
