//! What makes a digest differ, what is gathered and how often it is read.

use super::*;

/// spec: inputs/sources R1
#[test]
fn only_content_and_the_executable_bit_make_a_difference() {
    let project = Project::new(&["a", "b"]).operation("op", &["**"]);
    symlink("a", project.place("link")).unwrap();
    let before = project.gather().sources;
    set_time(&project.place("a"), std::time::UNIX_EPOCH);
    fs::set_permissions(project.place("a"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o666)).unwrap();
    fs::create_dir(project.place("empty")).unwrap();
    assert_eq!(
        project.gather().sources,
        before,
        "times, other bits, empty directories"
    );
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o677)).unwrap();
    assert_eq!(
        project.gather().sources,
        before,
        "executable for others only"
    );
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o744)).unwrap();
    assert_ne!(project.gather().sources, before, "executable for the owner");
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(project.gather().sources, before);
    fs::remove_file(project.place("link")).unwrap();
    symlink("b", project.place("link")).unwrap();
    assert_ne!(project.gather().sources, before, "another target");
}

/// spec: inputs/sources R1
#[test]
fn digests_are_of_the_bytes_whatever_the_size() {
    let project = Project::new(&[]).operation("op", &["**"]);
    for size in [0, 1, 16383, 16384, 16385, (1 << 20) - 1, (1 << 20) + 7] {
        let text = "x".repeat(size);
        project.write("file", &text);
        assert_eq!(
            digest(&project.gather(), "file"),
            Digest::of(text.as_bytes()),
            "{size}"
        );
    }
}

/// spec: inputs/sources R2
#[test]
fn only_wanted_operations_are_looked_at() {
    let project = Project::new(&["a"])
        .operation("good", &["a"])
        .operation("bad", &["missing"]);
    let project = project.tools("bad", &["no-such-tool"]);
    let wanted = BTreeSet::from(["good".parse().unwrap()]);
    let inputs = project.gather_some(&wanted, &mut Snapshot::none()).unwrap();
    assert_eq!(inputs.sources.len(), 1);
    assert!(inputs.tools.is_empty());
}

/// spec: inputs/sources R3
#[test]
fn sources_are_sorted_by_path_and_each_is_there_once() {
    let files = ["a-b/x", "a.b", "a/x", "a/x.y", "a/x-", "ab"];
    let project = Project::new(&files).operation("op", &["a*", "a", "**/x*", "a-b/**"]);
    assert_eq!(
        project.matched("op"),
        ["a-b/x", "a.b", "a/x", "a/x-", "a/x.y", "ab"]
    );
}

/// spec: inputs/sources R4
#[test]
fn pass_env_lets_the_named_variables_through() {
    let mut project = Project::new(&[])
        .operation("op", &[])
        .operation("other", &[]);
    let pass = |name: &str| PassEnv {
        name: name.to_owned(),
        secret: false,
        at: at(1, 1),
    };
    project
        .config
        .operations
        .get_mut(&"op".parse().unwrap())
        .unwrap()
        .pass_env = vec![pass("A"), pass("B")];
    project
        .config
        .operations
        .get_mut(&"other".parse().unwrap())
        .unwrap()
        .pass_env = vec![pass("C")];
    project.caller = ["A", "C", "D"]
        .map(|name| (name.to_owned(), name.to_lowercase()))
        .into();
    let wanted = BTreeSet::from(["op".parse().unwrap()]);
    let inputs = project.gather_some(&wanted, &mut Snapshot::none()).unwrap();
    assert_eq!(
        inputs.passed,
        BTreeMap::from([("A".to_owned(), "a".to_owned())])
    );
    assert_eq!(inputs.platform, format!("linux-{}", std::env::consts::ARCH));
}

/// spec: inputs/sources R5
#[test]
fn a_file_that_is_replaced_meanwhile_is_one_of_what_it_was() {
    let project = Project::new(&["a"]).operation("op", &["**"]);
    let contents = ["short".to_owned(), "long".repeat(20_000)];
    let digests = contents.clone().map(|text| Digest::of(text.as_bytes()));
    project.write("a", &contents[0]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let other = TempDir::new_in(project.root().parent().unwrap()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = other.path().join("next");
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for text in &contents {
                    fs::write(&next, text).unwrap();
                    fs::rename(&next, project.place("a")).unwrap();
                    symlink("elsewhere", &next).unwrap();
                    fs::rename(&next, project.place("a")).unwrap();
                }
            }
        });
        let mut snapshot = Snapshot::load(project.root()).recording();
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            let gathered = project.gather_with(&mut snapshot);
            match gathered {
                Ok(inputs) => match node(&inputs, "a") {
                    Node::File { object, .. } => assert!(digests.contains(&object.digest)),
                    Node::Symlink { target } => assert_eq!(target, "elsewhere"),
                    Node::Directory { .. } => panic!("a directory is no source"),
                },
                Err(error) => {
                    seen.insert(error.to_string());
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            seen.iter()
                .all(|message| message == "`a` changes while it is read"),
            "{seen:?}"
        );
    });
}

/// spec: inputs/sources R6
#[test]
fn only_what_a_glob_can_reach_is_listed() {
    let mut project = Project::new(&["top/a/x.c", "top/literal"]);
    let deep = "deep/".repeat(300);
    fs::create_dir_all(project.place(&format!("top/{deep}"))).unwrap();
    project = project.operation("op", &["top/*/*.c", "top/literal", "top/d*"]);
    assert_eq!(project.matched("op"), ["top/a/x.c", "top/literal"]);
    let project = project.operation("all", &["top/**"]);
    let error = project.gather_with(&mut Snapshot::none()).unwrap_err();
    assert!(
        matches!(&error, InputError::Depth { limit: 256, .. }),
        "{error}"
    );
}

/// spec: inputs/sources R6
#[test]
fn operations_with_equal_inputs_share_one_list() {
    let project = Project::new(&["a", "b"])
        .operation("one", &["*"])
        .operation("two", &["*"])
        .operation("three", &["a"]);
    let sources = project.gather().sources;
    let of = |name: &str| sources[&name.parse().unwrap()].clone();
    assert!(std::sync::Arc::ptr_eq(&of("one"), &of("two")));
    assert_eq!(of("three").len(), 1);
}

/// Prints how long gathering takes; run with `cargo test --release --test it -- --ignored --nocapture gathering`.
#[test]
#[ignore = "a measurement, not a check"]
fn gathering_forty_thousand_files() {
    let mut project = Project::new(&[]);
    for number in 0..10_000 {
        for file in ["a.c", "b.c", "c.h", "d.txt"] {
            project.write(
                &format!("packages/p{number:05}/{file}"),
                &format!("{number} {file}"),
            );
        }
    }
    let time = |project: &Project, snapshot: Snapshot, what: &str| {
        let mut snapshot = snapshot;
        let start = std::time::Instant::now();
        let inputs = project.gather_with(&mut snapshot).unwrap();
        let gathered = start.elapsed();
        snapshot.save().unwrap();
        println!(
            "{what}: gather {gathered:?}, with save {:?}, {} operations",
            start.elapsed(),
            inputs.sources.len()
        );
    };
    for globs in [
        &["packages/{}/**"][..],
        &["packages/{}/*.c", "packages/{}/c.h"],
        &["packages/{}/a.c", "packages/{}/b.c"],
    ] {
        project.config.operations.clear();
        for number in 0..10_000 {
            let name = format!("p{number:05}");
            let globs: Vec<_> = globs.iter().map(|glob| glob.replace("{}", &name)).collect();
            project =
                project.operation(&name, &globs.iter().map(String::as_str).collect::<Vec<_>>());
        }
        println!("{globs:?}");
        time(&project, Snapshot::none(), "without snapshot");
        time(
            &project,
            Snapshot::load(project.root()).recording(),
            "first, recording",
        );
        for _ in 0..5 {
            let start = std::time::Instant::now();
            let snapshot = Snapshot::load(project.root()).recording();
            println!("load {:?}", start.elapsed());
            time(&project, snapshot, "again");
        }
    }
}
