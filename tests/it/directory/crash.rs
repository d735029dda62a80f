//! What a killed run may leave, and the run after it: `spec/deploy/directory.md` R9.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: leaves what a killed run leaves"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use stagecraft::config::HealthCheck;
use stagecraft::evaluate::Cause;
use stagecraft::providers::directory::prune;

use super::{End, Site, link, release};

/// spec: deploy/directory R9
#[test]
fn unfinished_things_are_removed_by_the_next_run() {
    let mut site = Site::new("one");
    assert_eq!(site.deploy(&release(1)), End::Done);
    for name in ["trees/.new-1-0", "trees/.old-1-1", "releases/.new-1-2"] {
        fs::create_dir_all(site.path(name).join("a/b")).unwrap();
        fs::write(site.path(name).join("a/b/c"), "half").unwrap();
        for directory in ["a/b", "a", ""] {
            fs::set_permissions(
                site.path(name).join(directory),
                fs::Permissions::from_mode(0o555),
            )
            .unwrap();
        }
    }
    symlink("releases/x", site.path(".new-1-3")).unwrap();
    assert_eq!(site.deploy(&release(2)), End::Converged);
    assert_eq!(site.names("trees").len(), 1);
    assert_eq!(site.names("releases"), [release(1), release(2)]);
    assert!(fs::symlink_metadata(site.path(".new-1-3")).is_err());
    site.serve("site", &[("index.html", "two")]);
    assert_eq!(site.deploy(&release(3)), End::Done);
}

/// spec: deploy/directory R9
#[test]
fn a_run_killed_before_the_switch_leaves_the_old_release_live() {
    let mut site = Site::new("one");
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    site.place(&release(2));
    // The release's directory is there, `current` was not switched yet.
    fs::create_dir(site.path("releases").join(release(2))).unwrap();
    fs::write(site.path(".activate"), "").unwrap();
    assert_eq!(site.read("current/site/index.html"), "one");
    assert_eq!(site.deploy(&release(2)), End::Done);
    assert_eq!(site.read("current/site/index.html"), "two");
}

/// spec: deploy/directory R9
#[test]
fn a_run_killed_before_activate_owes_it() {
    let mut site = Site::new("one");
    site.activate_with("echo told >> told");
    assert_eq!(site.deploy(&release(1)), End::Done);
    fs::write(site.path(".activate"), "").unwrap();
    assert_eq!(site.deploy(&release(2)), End::Done);
    assert_eq!(
        fs::read_to_string(site.project().join("told")).unwrap(),
        "told\ntold\n"
    );
    assert_eq!(site.deploy(&release(3)), End::Converged);
}

/// spec: deploy/directory R9, deploy/health R2
#[test]
fn a_release_whose_gate_was_never_evaluated_is_not_gone_back_to() {
    let mut site = Site::new("one");
    let check = "! grep -q three deploy/current/site/index.html";
    let argv = ["sh", "-c", check].map(str::to_owned).to_vec();
    site.check_with(HealthCheck::Exec(argv), 1, 100);
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    site.place(&release(2));
    // Killed here: switched, not checked.
    assert_eq!(site.switch(&release(2)), End::Done);
    site.serve("site", &[("index.html", "three")]);
    assert!(matches!(
        site.deploy(&release(3)),
        End::Failed(Cause::Reverted, _)
    ));
    assert_eq!(site.current(), Some(link(1)));
    // The content that was never checked is not taken for converged either.
    site.serve("site", &[("index.html", "two")]);
    site.place(&release(4));
    assert_eq!(site.switch(&release(4)), End::Done);
    assert_eq!(site.deploy(&release(5)), End::Done);
    assert_eq!(site.deploy(&release(6)), End::Converged);
}

/// spec: deploy/directory R9, deploy/directory R10
#[test]
fn a_half_done_removal_is_finished_by_the_next() {
    let mut site = Site::new("one");
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    assert_eq!(site.deploy(&release(2)), End::Done);
    let old = site.path("releases").join(release(1));
    fs::rename(old, site.path("releases/.old-1-0")).unwrap();
    let pruned = prune("deploy", &site.project(), &[]).unwrap();
    assert_eq!((pruned.releases.len(), pruned.trees.len()), (0, 1));
    assert_eq!(site.names("releases"), [release(2)]);
    assert_eq!(site.read("current/site/index.html"), "two");
}

const ROOT: &str = "STAGECRAFT_TEST_ROOT";
const FIRST: &str = "STAGECRAFT_TEST_FIRST";

/// Two services that must always serve the same number.
fn numbered(site: &mut Site, number: u32) {
    for service in ["site", "extra"] {
        let text = number.to_string();
        site.serve(
            service,
            &[("number", &text), ("of", service), ("deep/er/file", &text)],
        );
    }
    site.activate_with("cmp deploy/current/site/number deploy/current/extra/number");
}

fn numbered_release(number: u32) -> String {
    format!("rel-20250102-0304{:02}{:03}", number / 1000, number % 1000)
}

/// Not a test of its own: what `a_killed_deploy_leaves_a_target_that_the_next_deploy_completes` starts and kills.
#[test]
#[ignore = "started and killed by another test"]
fn victim() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut site = Site::at(Path::new(&root));
    for number in first.. {
        println!("deploys {number}");
        numbered(&mut site, number);
        site.deploy(&numbered_release(number));
        prune("deploy", &site.project(), &[]).unwrap();
    }
}

/// spec: deploy/directory R3, deploy/directory R9
#[test]
fn a_killed_deploy_leaves_a_target_that_the_next_deploy_completes() {
    let mut site = Site::new("0");
    for round in 0..12 {
        let first = round * 100;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "directory::crash::victim",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(ROOT, &site.root)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let started = lines
            .filter(|line| line.contains("deploys "))
            .take(2 + round as usize % 3)
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(started >= 2);
        if site.current().is_some() {
            let served =
                ["site", "extra"].map(|service| site.read(&format!("current/{service}/number")));
            assert_eq!(served[0], served[1], "round {round}");
            assert_eq!(site.read("current/site/deep/er/file"), served[0]);
        }
        numbered(&mut site, first + 99);
        assert_eq!(
            site.deploy(&numbered_release(first + 99)),
            End::Done,
            "round {round}"
        );
        prune("deploy", &site.project(), &[]).unwrap();
        assert_eq!(site.names("releases"), [numbered_release(first + 99)]);
        assert_eq!(site.names("trees").len(), 2);
        assert_eq!(
            site.names(""),
            [
                ".good",
                ".lock",
                "activate.log",
                "current",
                "releases",
                "trees"
            ]
        );
    }
}
