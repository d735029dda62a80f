//! What becomes of what a command writes.

use std::os::unix::process::CommandExt;
use std::process::Command;

use stagecraft::evaluate::Cause;

use super::bench::{Bench, levels};

impl Bench {
    /// Runs the operation and returns the paths of its output tree.
    pub(crate) fn produced_paths(&self) -> Vec<String> {
        self.produced()
            .paths()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
}

/// spec: sandbox/outputs R1
#[test]
fn outputs_keep_their_paths_from_the_workdir() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "echo a > build/a; mkdir -p site/css; echo b > site/css/b; ln -s b site/css/c",
        )
        .workdir("web")
        .outputs(&["build/a", "site/"]);
        let made = bench.produced();
        assert_eq!(made.paths(), ["build/a", "site/css/b", "site/css/c"]);
        assert_eq!(made.files["site/css/c"], "-> b");
        assert_eq!(made.warnings, [""; 0]);
    }
}

/// spec: sandbox/outputs R2
#[test]
fn globs_choose_among_what_was_written() {
    let bench = Bench::script(
        0,
        "mkdir -p a/b c; touch x.js y.css a/z.js a/b/deep.js a/.dot.js c/not.js",
    )
    .outputs(&["*.js", "a/**/*.js"]);
    assert_eq!(
        bench.produced_paths(),
        ["a/.dot.js", "a/b/deep.js", "a/z.js", "x.js"]
    );
}

/// spec: sandbox/outputs R3
#[test]
fn an_optional_output_may_be_missing() {
    let bench = Bench::script(0, "touch a").outputs(&["a", "?b", "?*.map"]);
    assert_eq!(bench.produced_paths(), ["a"]);
}

/// spec: sandbox/outputs R4
#[test]
fn a_missing_output_is_named_beside_what_was_written() {
    let bench = Bench::script(0, "touch build.log out/server2 server").outputs(&["out/server"]);
    let (failure, _) = bench.failed();
    assert_eq!(failure.cause, Cause::MissingOutput);
    assert_eq!(
        failure.message,
        "declared output `out/server` was not made; written:\n  server\n  out/server2\n  build.log"
    );
    assert_eq!(
        failure.hint.as_deref(),
        Some("if `server` is the output, name it in outputs")
    );

    let (failure, _) = Bench::script(0, "true").outputs(&["*.js"]).failed();
    assert_eq!(failure.message, "declared output `*.js` matches nothing");

    let (failure, _) = Bench::script(0, "rm -r dist; touch dist")
        .outputs(&["dist/"])
        .failed();
    assert_eq!(
        failure.message.lines().next(),
        Some("declared output `dist/` is not a directory; written:")
    );
}

/// spec: sandbox/outputs R5
#[test]
fn an_undeclared_write_is_dropped_and_told() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "touch out stray; mkdir -p new/dir; touch new/dir/a new/b; touch out2",
        )
        .outputs(&["out", "out2"]);
        let made = bench.produced();
        assert_eq!(made.paths(), ["out", "out2"]);
        assert_eq!(
            made.warnings,
            [
                "wrote `new/` which is not declared; add it to outputs",
                "wrote `stray` which is not declared; add it to outputs",
            ]
        );
    }
}

/// spec: sandbox/outputs R5
#[test]
fn many_undeclared_writes_are_counted() {
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do touch f$n; done";
    let made = Bench::script(0, script).produced();
    assert_eq!(made.warnings.len(), 11);
    assert_eq!(
        made.warnings[10],
        "wrote 3 more files which are not declared"
    );
}

/// spec: sandbox/outputs R6
#[test]
fn inputs_that_were_changed_or_removed_are_told_unless_they_are_outputs() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "echo x >> changed; rm removed; touch touched; printf same > same; echo x >> declared; echo y > need/n; \
             chmod +x mode; mv moved elsewhere",
        )
        .source("changed", "1")
        .source("removed", "2")
        .source("touched", "3")
        .source("same", "same")
        .source("declared", "5")
        .source("mode", "6")
        .source("moved", "7")
        .source("quiet", "8")
        .mount("need", &[("n", "9"), ("m", "10")])
        .outputs(&["declared", "elsewhere"]);
        let made = bench.produced();
        assert_eq!(made.files["declared"], "5x\n");
        assert_eq!(
            made.warnings,
            [
                "changed its input `changed`; the change is dropped",
                "changed its input `mode`; the change is dropped",
                "removed its input `moved`; nothing comes of it",
                "changed its input `need/n`; the change is dropped",
                "removed its input `removed`; nothing comes of it",
            ],
            "level {level}"
        );
    }
}

/// spec: sandbox/outputs R5
#[test]
fn a_write_beside_the_workdir_is_told_by_its_path_in_the_project() {
    let made = Bench::script(0, "touch ../stray").workdir("web").produced();
    assert_eq!(
        made.warnings,
        ["wrote `stray` which lies outside its workdir `web` and is dropped"]
    );
}

/// spec: sandbox/outputs R7
#[test]
fn undeclared_writes_can_be_errors() {
    let mut bench = Bench::script(0, "touch out stray").outputs(&["out"]);
    bench.run.limits.undeclared_writes_are_errors = true;
    let (failure, _) = bench.failed();
    assert_eq!(failure.cause, Cause::UndeclaredWrite);
    assert_eq!(
        failure.message,
        "wrote `stray` which is not declared; add it to outputs"
    );
}

/// spec: sandbox/outputs R8
#[test]
fn an_output_is_never_read_through_a_symlink() {
    for level in levels() {
        let (failure, _) = Bench::script(level, "rm -r out; ln -s /usr/bin out")
            .outputs(&["out/sh"])
            .failed();
        assert_eq!(failure.cause, Cause::MissingOutput);
        let made = Bench::script(level, "ln -s /etc/passwd out")
            .outputs(&["out"])
            .produced();
        assert_eq!(made.files["out"], "-> /etc/passwd");
    }
}

/// spec: sandbox/outputs R9
#[test]
fn an_output_that_no_tree_can_hold_is_refused_by_name() {
    let (failure, _) = Bench::script(0, "mkfifo dist/pipe")
        .outputs(&["dist/"])
        .failed();
    assert_eq!(failure.cause, Cause::MissingOutput);
    assert_eq!(
        failure.message,
        "output `dist/pipe` cannot be kept: it is a fifo"
    );
}

/// spec: sandbox/outputs R10
#[test]
fn what_a_command_made_unreadable_is_read_all_the_same() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "mkdir out/d; echo x > out/d/f; chmod 000 out/d/f out/d",
        )
        .outputs(&["out/"]);
        assert_eq!(bench.produced().files["out/d/f"], "x\n", "level {level}");
    }
}

/// spec: sandbox/outputs R11
#[test]
fn the_umask_of_the_caller_changes_nothing() {
    if let Ok(level) = std::env::var("STAGECRAFT_TEST_UMASK_LEVEL") {
        let bench = Bench::script(
            level.parse().unwrap(),
            "mkdir out/d; touch out/d/f; touch out/run; chmod +x out/run; umask > out/umask; stat -c %a . in out out/d \
             out/d/f > out/modes",
        )
        .source("in", "x")
        .outputs(&["out/"]);
        println!("digest {}", bench.produced().output.digest);
        return;
    }
    let digest = |mask: &str, level: u8| {
        let mut sh = Command::new("/bin/sh");
        sh.arg0("sh")
            .args(["-c", &format!("umask {mask}; exec \"$0\" \"$@\"")]);
        sh.arg(std::env::current_exe().unwrap());
        sh.args([
            "--exact",
            "sandbox::outputs::the_umask_of_the_caller_changes_nothing",
            "--nocapture",
        ]);
        let output = sh
            .env("STAGECRAFT_TEST_UMASK_LEVEL", level.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found = text
            .split("digest ")
            .nth(1)
            .map(|rest| rest.split_whitespace().next().unwrap().to_owned());
        found.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    };
    for level in levels() {
        assert_eq!(digest("000", level), digest("077", level), "level {level}");
    }
}

/// spec: sandbox/outputs R12
#[test]
fn a_secret_is_kept_neither_in_outputs_nor_in_the_log() {
    for level in levels() {
        let mut bench =
            Bench::script(level, "echo \"token $TOKEN $USER_NAME\"; echo \"$USER_NAME\" > dist/a; echo \"${LEAK-}\" > dist/b")
                .outputs(&["dist/"]);
        bench.run.passed = vec![("TOKEN".to_owned(), true), ("USER_NAME".to_owned(), false)];
        bench
            .run
            .values
            .insert("TOKEN".to_owned(), "hunter22".to_owned());
        bench
            .run
            .values
            .insert("USER_NAME".to_owned(), "someone".to_owned());
        let made = bench.produced();
        assert_eq!(made.log, "token ******** someone\n", "level {level}");
        assert_eq!(made.files["dist/a"], "someone\n");
        bench
            .run
            .env
            .insert("LEAK".to_owned(), "<hunter22>".to_owned());
        let (failure, _) = bench.failed();
        assert_eq!(
            failure.message,
            "output `dist/b` cannot be kept: it contains the value of secret `TOKEN`"
        );
    }
}
