//! What a command finds, and what it must not find.

use std::net::TcpListener;
use std::process::Command;

use stagecraft::evaluate::{Cause, Completion};
use stagecraft::sandbox::{Sandbox, SandboxError};
use tempfile::TempDir;

use super::bench::{Bench, find, helper, levels, machine_level, tool};

fn at_level_2(script: &str) -> Option<Bench> {
    (machine_level() == 2).then(|| Bench::script(2, script))
}

/// spec: sandbox/contract R1, sandbox/contract R2
#[test]
fn a_command_finds_its_inputs_and_needs_and_nothing_else_of_the_project() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "ls -a > seen; cat a/in .deps/css/x.css >> seen; cat hidden 2>/dev/null || :",
        )
        .source("a/in", "input\n")
        .mount(".deps/css", &[("x.css", "need\n")])
        .undeclared("hidden", "secret\n")
        .outputs(&["seen"]);
        assert_eq!(
            bench.produced().files["seen"],
            ".\n..\n.deps\na\nseen\ninput\nneed\n",
            "level {level}"
        );
    }
}

/// spec: sandbox/contract R4
#[test]
fn the_variables_are_the_fixed_ones_and_its_own() {
    let Some(mut bench) = at_level_2("env > seen") else {
        return;
    };
    bench = bench.outputs(&["seen"]).workdir("w");
    bench.run.env.insert("CFLAGS".to_owned(), "-O2".to_owned());
    bench.run.values.insert("SDK".to_owned(), "7".to_owned());
    let made = bench.produced();
    let mut lines: Vec<&str> = made.files["seen"].lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "CFLAGS=-O2",
            "HOME=/tmp/home",
            "LANG=C.UTF-8",
            "LOGNAME=build",
            "PATH=/tools",
            "PWD=/build/w",
            "SDK=7",
            "SOURCE_DATE_EPOCH=315532800",
            "TMPDIR=/tmp",
            "TZ=UTC",
            "USER=build",
        ]
    );
}

/// spec: sandbox/contract R4
#[test]
fn level_0_has_the_same_variables_with_private_directories() {
    let mut bench = Bench::script(
        0,
        "env > seen; echo x > \"$HOME/a\"; echo x > \"$TMPDIR/b\"; ls \"$PATH\" >> seen",
    );
    bench = bench.outputs(&["seen"]);
    let made = bench.produced();
    let names: Vec<&str> = made.files["seen"]
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    let mut names = names.clone();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HOME",
            "LANG",
            "LOGNAME",
            "PATH",
            "PWD",
            "SOURCE_DATE_EPOCH",
            "TMPDIR",
            "TZ",
            "USER"
        ]
    );
    assert!(made.files["seen"].contains("\nsh\n"));
    assert_eq!(made.warnings, [""; 0]);
}

/// spec: sandbox/contract R3
#[test]
fn user_host_and_directory_are_fixed() {
    let Some(bench) =
        at_level_2("id -u; id -g; id -un; hostname; pwd; readlink /proc/self/ns/pid > /dev/null")
    else {
        return;
    };
    assert_eq!(
        bench.produced().log,
        "1000\n1000\nbuild\nstagecraft\n/build\n"
    );
}

/// spec: sandbox/contract R5
#[test]
fn mask_core_limit_and_signals_are_fixed() {
    for level in levels() {
        let script = "umask; ulimit -c; sed -n '/^Sig[BI]/p' /proc/self/status";
        let log = Bench::script(level, script).produced().log;
        let (fixed, ignored) = log.rsplit_once('\t').unwrap();
        assert_eq!(
            fixed, "0022\n0\nSigBlk:\t0000000000000000\nSigIgn:",
            "level {level}"
        );
        let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
        let pipe = 1 << (rustix::process::Signal::PIPE.as_raw() - 1);
        assert_eq!(ignored & pipe, 0, "level {level}");
    }
}

/// spec: sandbox/level-2 R1
#[test]
fn the_machine_outside_is_not_there() {
    let Some(bench) = at_level_2(
        "ls /; ls /etc; ls /dev; ls /home /root /var /work 2>/dev/null || :; cat /etc/hostname 2>/dev/null || echo none",
    ) else {
        return;
    };
    let log = bench.produced().log;
    assert!(log.ends_with("none\n"), "{log}");
    for absent in [
        "home", "root", "var", "srv", "hostname", "shadow", "mem", "sda", "tty",
    ] {
        assert!(!log.lines().any(|line| line == absent), "{absent} in {log}");
    }
    for present in [
        "usr", "build", "tools", "tmp", "proc", "passwd", "null", "urandom", "shm",
    ] {
        assert!(
            log.lines().any(|line| line == present),
            "{present} not in {log}"
        );
    }
}

/// spec: sandbox/level-2 R2
#[test]
fn the_system_is_read_only_even_for_root() {
    let Some(bench) = at_level_2(
        "for path in /usr/x /etc/x /x /tools/x /usr/bin/sh /proc/sys/kernel/core_pattern; do\n\
         if (: >> $path) 2>/dev/null; then echo wrote $path; fi; done; : > /tmp/x; : > /dev/shm/x; : > here; echo end",
    ) else {
        return;
    };
    assert_eq!(bench.produced().log, "end\n");
}

/// spec: sandbox/level-2 R3
#[test]
fn a_command_has_no_capabilities_and_cannot_gain_any() {
    let Some(bench) = at_level_2("sed -n '/^Cap\\|^NoNewPrivs/p' /proc/self/status") else {
        return;
    };
    let zero = "0000000000000000";
    assert_eq!(
        bench.produced().log,
        format!(
            "CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}\nNoNewPrivs:\t1\n"
        )
    );
}

/// spec: sandbox/level-2 R4
#[test]
fn a_listener_of_the_machine_cannot_be_reached() {
    let Some(bash) = find("bash") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "bash -c 'echo > /dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo reached || echo refused"
    );
    let Some(mut bench) = at_level_2(&script) else {
        return;
    };
    bench.run.tools = vec![tool("bash", &["bash"])];
    assert_eq!(bench.produced().log, "refused\n", "{}", bash.display());
    bench.run.network = true;
    assert_eq!(bench.produced().log, "reached\n");
}

/// spec: sandbox/level-2 R4
#[test]
fn its_own_loopback_is_up() {
    let Some(bench) = at_level_2(
        "cat /proc/net/dev | sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p'; sed -n 1,3p /proc/net/fib_trie",
    ) else {
        return;
    };
    let log = bench.produced().log;
    assert!(log.starts_with("lo\n"), "{log}");
    assert!(
        log.contains("0.0.0.0/0") || log.contains("127.0.0.0/8"),
        "{log}"
    );
}

/// spec: sandbox/level-2 R5
#[test]
fn processes_outside_are_not_seen() {
    let Some(bench) = at_level_2("ls /proc | sed -n '/^[0-9]*$/p' | wc -l") else {
        return;
    };
    let count: u32 = bench.produced().log.trim().parse().unwrap();
    assert!(count <= 6, "{count}");
}

/// spec: sandbox/level-2 R6
#[test]
fn only_base_and_tools_are_on_path() {
    for level in levels() {
        let mut bench = Bench::script(
            level,
            "if command -v awk > /dev/null; then echo there; else echo absent; fi",
        );
        assert_eq!(bench.produced().log, "absent\n", "level {level}");
        bench.run.tools = vec![tool("awk", &["awk"])];
        assert_eq!(bench.produced().log, "there\n", "level {level}");
    }
}

/// spec: sandbox/level-2 R7
#[test]
fn a_compiler_works() {
    if find("cc").is_none() {
        return;
    }
    for level in levels() {
        let mut bench = Bench::argv(level, &["cc", "-O1", "-o", "build/server", "main.c"])
            .source(
                "main.c",
                "#include <stdio.h>\nint main(void) { puts(\"up\"); return 0; }\n",
            )
            .outputs(&["build/server"]);
        bench.run.tools = vec![tool("cc", &["cc", "as", "ld"])];
        assert_eq!(bench.produced_paths(), ["build/server"], "level {level}");
    }
}

/// spec: sandbox/level-2 R8
#[test]
fn tools_outside_the_system_directories_are_seen() {
    let outside = TempDir::new().unwrap();
    let program = outside.path().join("greet");
    std::fs::write(
        &program,
        "#!/bin/sh\ncat \"${0%/*}/x\" 2>/dev/null || echo hello\n",
    )
    .unwrap();
    Command::new("chmod")
        .arg("755")
        .arg(&program)
        .arg(outside.path())
        .status()
        .unwrap();
    for level in levels() {
        let mut bench = Bench::argv(level, &["greet"]);
        let mut greet = (*tool("greet", &[])).clone();
        greet.programs = vec![("greet".to_owned(), program.clone())];
        greet.files = vec![outside.path().to_owned()];
        bench.run.tools = vec![greet.into()];
        assert_eq!(bench.produced().log, "hello\n", "level {level}");
    }
}

/// spec: sandbox/levels R1
#[test]
fn levels_that_cannot_be_asked_for_are_refused() {
    let new =
        |level, require| Sandbox::new("/".as_ref(), "/bin/false".as_ref(), level, require).err();
    assert_eq!(
        new(Some(3), 0),
        Some(SandboxError::NoSuchLevel { level: 3 })
    );
    assert_eq!(new(None, 3), Some(SandboxError::NoSuchLevel { level: 3 }));
    assert_eq!(new(Some(1), 0), Some(SandboxError::NotYet { level: 1 }));
    assert_eq!(new(None, 1), None);
}

/// spec: sandbox/levels R2
#[test]
fn auto_is_the_highest_level_that_works() {
    let mut bench = Bench::script(0, "true");
    bench.level = None;
    assert_eq!(bench.produced().level, machine_level());
    let broken = Sandbox::new(bench.project.path(), "/bin/false".as_ref(), None, 0).unwrap();
    assert_eq!(broken.level(), 0);
}

/// spec: sandbox/levels R3
#[test]
fn a_level_that_is_not_to_be_had_fails_instead_of_falling_back() {
    let bench = Bench::script(0, "true");
    for (level, require) in [(Some(2), 0), (None, 2), (Some(0), 2)] {
        let sandbox =
            Sandbox::new(bench.project.path(), "/bin/false".as_ref(), level, require).unwrap();
        let Completion::Failed { failure, .. } = bench.execute_with(&sandbox) else {
            panic!("it ran")
        };
        assert_eq!(failure.cause, Cause::Sandbox);
        assert!(failure.hint.is_some());
    }
}

/// spec: sandbox/levels R6
#[test]
fn nothing_raises_a_level_that_was_chosen_or_is_the_highest() {
    let chosen = Sandbox::new("/".as_ref(), "/bin/false".as_ref(), Some(0), 0).unwrap();
    assert_eq!(chosen.raise_hint(), None);
    let project = TempDir::new().unwrap();
    let sandbox = Sandbox::new(project.path(), &helper(), None, 0).unwrap();
    if sandbox.level() == 2 {
        assert_eq!(sandbox.raise_hint(), None);
    }
}

/// spec: sandbox/levels R4
#[test]
fn both_levels_give_the_same_output() {
    let outputs: Vec<_> = levels()
        .into_iter()
        .map(|level| {
            let bench = Bench::script(
                level,
                "cat in > out/a; chmod 755 out/a; ln -s a out/b; stat -c %a in out > out/c",
            )
            .source("in", "bytes")
            .outputs(&["out/"]);
            bench.produced().output
        })
        .collect();
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
}

/// Runs all the others again as a user without any privilege.
///
/// spec: sandbox/levels R5
#[test]
fn an_ordinary_user_gets_the_same_sandbox() {
    let root = find("id").and_then(|id| Command::new(id).arg("-u").output().ok());
    if root.is_none_or(|output| output.stdout != b"0\n") || find("setpriv").is_none() {
        return;
    }
    let copies = TempDir::new().unwrap();
    let binaries = [
        (std::env::current_exe().unwrap(), "tests"),
        (helper(), "stagecraft"),
    ];
    for (from, to) in binaries {
        std::fs::copy(from, copies.path().join(to)).unwrap();
    }
    Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(copies.path())
        .status()
        .unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(copies.path().join("tests"))
        .args([
            "sandbox::",
            "--skip",
            "an_ordinary_user",
            "--skip",
            "acceptance",
        ])
        .env("STAGECRAFT_TEST_HELPER", copies.path().join("stagecraft"))
        .env("HOME", "/nonexistent")
        .env_remove("TMPDIR")
        .current_dir("/")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
