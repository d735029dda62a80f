//! The bytes that a command sees are the planned ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use stagecraft::evaluate::Cause;
use stagecraft_store::{Node, Object};

use super::bench::{Bench, levels};

/// spec: sandbox/staging R1
#[test]
fn a_source_that_changed_is_drift_and_nothing_runs() {
    type Change = fn(&Bench);
    let changes: [(&str, Change); 6] = [
        ("other bytes", |bench| {
            fs::write(bench.project.path().join("d/in"), "byteS").unwrap();
        }),
        ("other size", |bench| {
            fs::write(bench.project.path().join("d/in"), "bytes and more").unwrap();
        }),
        ("gone", |bench| {
            fs::remove_file(bench.project.path().join("d/in")).unwrap();
        }),
        ("executable", |bench| {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(bench.project.path().join("d/in"), mode).unwrap();
        }),
        ("a symlink", |bench| {
            fs::rename(
                bench.project.path().join("d/in"),
                bench.project.path().join("d/real"),
            )
            .unwrap();
            symlink("real", bench.project.path().join("d/in")).unwrap();
        }),
        ("below a symlink", |bench| {
            fs::rename(
                bench.project.path().join("d"),
                bench.project.path().join("e"),
            )
            .unwrap();
            symlink("e", bench.project.path().join("d")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let bench = Bench::script(0, "echo ran").source("d/in", "bytes");
        change(&bench);
        let (failure, log) = bench.failed();
        assert_eq!(failure.cause, Cause::Drift, "{what}");
        assert_eq!(failure.message, "`d/in` changed after it was planned");
        assert_eq!(log, "", "{what}");
    }
}

/// spec: sandbox/staging R2
#[test]
fn a_symlink_is_staged_as_it_is() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "readlink link > out; cat link 2>/dev/null || echo dangling >> out",
        )
        .declare(
            "link",
            Node::Symlink {
                target: "/etc/hostname.absent".to_owned(),
            },
        )
        .outputs(&["out"]);
        symlink("/etc/hostname.absent", bench.project.path().join("link")).unwrap();
        assert_eq!(
            bench.produced().files["out"],
            "/etc/hostname.absent\ndangling\n"
        );
        fs::remove_file(bench.project.path().join("link")).unwrap();
        symlink("elsewhere", bench.project.path().join("link")).unwrap();
        assert_eq!(bench.failed().0.cause, Cause::Drift);
    }
}

/// spec: sandbox/staging R3
#[test]
fn modes_and_times_of_the_staged_tree_are_fixed() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "stat -c '%n %a %Y' d d/plain d/run need need/x > out",
        )
        .source("d/plain", "x")
        .executable("d/run", "x")
        .mount("need", &[("x", "y")])
        .outputs(&["out"]);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(bench.project.path().join("d/plain"), mode).unwrap();
        assert_eq!(
            bench.produced().files["out"],
            "d 755 315532800\nd/plain 644 315532800\nd/run 755 315532800\nneed 755 315532800\nneed/x 644 315532800\n",
            "level {level}"
        );
    }
}

/// spec: sandbox/staging R4
#[test]
fn the_directories_of_outputs_and_the_workdir_are_there() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "pwd | sed 's,.*/tree,,;s,.*/build,,' > deep/er/file; ls -d dist deep/er many/lib",
        )
        .workdir("services/api")
        .outputs(&["dist/", "deep/er/file", "?many/lib/*.so"]);
        let made = bench.produced();
        assert_eq!(made.log, "deep/er\ndist\nmany/lib\n");
        assert_eq!(made.files["deep/er/file"], "/services/api\n");
        assert_eq!(made.paths(), ["deep/er/file", "dist/"]);
    }
}

/// spec: sandbox/staging R5
#[test]
fn a_source_that_changes_during_the_run_is_told() {
    let bench = Bench::script(0, "")
        .source("in", "before")
        .source("other", "x")
        .outputs(&["out"]);
    let path = bench.project.path().join("in");
    let mut bench = bench;
    // Level 0 reaches the project by its absolute path, which makes the moment of the change certain.
    bench.run.command = stagecraft::config::CommandLine::Script(format!(
        "cat in > out; printf after > '{}'",
        path.display()
    ));
    let made = bench.produced();
    assert_eq!(made.drifted.as_deref(), Some("in"));
    assert_eq!(made.files["out"], "before");
}

/// spec: sandbox/staging R5
#[test]
fn a_source_that_is_only_touched_has_not_drifted() {
    let mut bench = Bench::script(0, "").source("in", "same");
    let path = bench.project.path().join("in");
    bench.run.command =
        stagecraft::config::CommandLine::Script(format!("printf same > '{}'", path.display()));
    assert_eq!(bench.produced().drifted, None);
}

/// spec: sandbox/staging R6
#[test]
fn a_dependency_that_is_not_in_the_store_is_missing_bytes() {
    let mut bench = Bench::script(0, "true");
    bench
        .mounts
        .push(("need".parse().unwrap(), Object::of(b"never stored")));
    assert_eq!(bench.failed().0.cause, Cause::MissingBytes);
}

/// spec: sandbox/staging R7
#[test]
fn everything_is_writable_and_private() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "echo more >> d/in; echo more >> need/x; rm d/gone; cat d/in need/x > out",
        )
        .source("d/in", "in\n")
        .source("d/gone", "gone\n")
        .mount("need", &[("x", "x\n")])
        .outputs(&["out"]);
        for _ in 0..2 {
            assert_eq!(
                bench.produced().files["out"],
                "in\nmore\nx\nmore\n",
                "level {level}"
            );
        }
        assert_eq!(
            fs::read_to_string(bench.project.path().join("d/in")).unwrap(),
            "in\n"
        );
        assert!(bench.project.path().join("d/gone").exists());
    }
}
