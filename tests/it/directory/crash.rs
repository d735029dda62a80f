//! What a killed run may leave, and the run after it: `spec/deploy/directory.md` R9.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: leaves what a killed run leaves"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

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
    assert_eq!(site.current(), link(1));
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
