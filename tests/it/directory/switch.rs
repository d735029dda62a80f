//! The switch, `activate` and the way back: `spec/deploy/directory.md` R3 to R8, R12, R13.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the target directory"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use stagecraft::evaluate::Cause;
use stagecraft::providers::directory::{self, live};

use super::{End, Site, link, release};

/// Appends the release and the page that it was told about to `told`.
const TELL: &str = r#"echo "$STAGECRAFT_RELEASE $1 $(cat deploy/current/site/index.html)" >> told"#;

fn told(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.project().join("told")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// spec: deploy/directory R3, deploy/directory R4
#[test]
fn the_first_deploy_makes_links_and_tells() {
    let mut site = Site::new("one");
    site.activate_with(&format!("{TELL}; echo reloaded; echo trouble >&2"));
    let tree = site.services.values().next().unwrap().digest.hex();
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(site.current(), Some(link(1)));
    let service = site.path("current/site");
    assert_eq!(
        fs::read_link(service).unwrap(),
        Path::new(&format!("../../trees/{tree}"))
    );
    assert_eq!(site.read("current/site/index.html"), "one");
    assert_eq!(told(&site), [format!("{} now one", release(1))]);
    assert_eq!(site.read("activate.log"), "reloaded\ntrouble\n");
    assert_eq!(
        live("deploy", &site.project()).unwrap().unwrap().as_str(),
        release(1)
    );
    let names = [
        ".good",
        ".lock",
        "activate.log",
        "current",
        "releases",
        "trees",
    ];
    assert_eq!(site.names(""), names);
    assert_eq!(site.names("releases"), [release(1)]);
}

/// spec: deploy/directory R7
#[test]
fn an_equal_deploy_converges_and_tells_nobody() {
    let mut site = Site::new("one");
    site.activate_with(TELL);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(site.deploy(&release(2)), End::Converged);
    assert_eq!(site.current(), Some(link(2)));
    assert_eq!(site.read("current/site/index.html"), "one");
    assert_eq!(site.names("releases"), [release(1), release(2)]);
    assert_eq!(told(&site).len(), 1);
    assert_eq!(
        fs::read_link(site.path(".good")).unwrap(),
        fs::read_link(site.path("current")).unwrap()
    );
}

/// spec: deploy/directory R7
#[test]
fn every_difference_makes_a_switch() {
    type Edit = fn(&mut Site);
    let edits: [(&str, Edit); 6] = [
        ("tree", |site| {
            _ = site.serve("site", &[("index.html", "two")]);
        }),
        ("service added", |site| {
            _ = site.serve("other", &[("x", "y")]);
        }),
        ("service removed", |site| _ = site.services.pop_first()),
        ("activate", |site| {
            site.activate.as_mut().unwrap().push("more".to_owned());
        }),
        ("activate removed", |site| site.activate = None),
        ("link", |site| {
            let path = site.path("current/extra");
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("../../trees/other", path).unwrap();
        }),
    ];
    for (what, edit) in edits {
        let mut site = Site::new("one");
        site.serve("extra", &[("e", "e")]);
        site.activate_with("true");
        assert_eq!(site.deploy(&release(1)), End::Done);
        assert_eq!(site.deploy(&release(2)), End::Converged);
        edit(&mut site);
        assert_eq!(site.deploy(&release(3)), End::Done, "{what}");
        assert_eq!(site.deploy(&release(4)), End::Converged, "{what}");
    }
}

/// spec: deploy/directory R5
#[test]
fn a_failing_activate_goes_back_and_tells_again() {
    let mut site = Site::new("one");
    site.activate_with(&format!(
        "{TELL}; ! grep -q two deploy/current/site/index.html || {{ echo no two; exit 3; }}"
    ));
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    let expected = format!(
        "activate `./reload.sh now` exited with status 3:\nno two\n`current` points back to {}",
        release(1)
    );
    assert_eq!(
        site.deploy(&release(2)),
        End::Failed(Cause::Reverted, expected)
    );
    assert_eq!(site.current(), Some(link(1)));
    assert_eq!(site.read("current/site/index.html"), "one");
    let words = ["1000 now one", "2000 now two", "1000 now one"]
        .map(|end| format!("rel-20250102-03040{end}"));
    assert_eq!(told(&site), words);
    site.serve("site", &[("index.html", "one")]);
    assert_eq!(site.deploy(&release(3)), End::Converged);
}

/// spec: deploy/directory R5
#[test]
fn a_first_deploy_that_fails_leaves_nothing_live() {
    let mut site = Site::new("one");
    site.activate_with("kill -9 $$");
    let expected = "activate `./reload.sh now` was killed by signal 9\n`current` is removed, for nothing passed before";
    assert_eq!(
        site.deploy(&release(1)),
        End::Failed(Cause::Reverted, expected.to_owned())
    );
    assert_eq!(site.current(), None);
    site.activate_with("true");
    assert_eq!(site.deploy(&release(2)), End::Done);
    assert_eq!(site.current(), Some(link(2)));
}

/// spec: deploy/directory R5
#[test]
fn the_release_gone_back_to_is_told_in_its_own_way() {
    let mut site = Site::new("one");
    site.activate_with(TELL);
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.activate = Some(vec!["./no-such-program".to_owned()]);
    let End::Failed(Cause::Reverted, message) = site.deploy(&release(2)) else {
        panic!("must go back")
    };
    assert!(
        message.starts_with("activate `./no-such-program` could not be started: "),
        "{message}"
    );
    assert_eq!(told(&site).len(), 2);
}

/// spec: deploy/directory R6
#[test]
fn a_way_back_that_fails_is_said() {
    let mut site = Site::new("one");
    site.activate_with("test ! -e broken");
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    fs::write(site.project().join("broken"), "").unwrap();
    let expected = "activate `./reload.sh now` exited with status 1\n\
        not fully reverted: `current` points back, but on the way activate `./reload.sh now` exited with status 1";
    assert_eq!(
        site.deploy(&release(2)),
        End::Failed(Cause::NotReverted, expected.to_owned())
    );
    assert_eq!(site.current(), Some(link(1)));
    // What serves was not told, so an equal deploy must not converge.
    site.serve("site", &[("index.html", "one")]);
    fs::remove_file(site.project().join("broken")).unwrap();
    assert_eq!(site.deploy(&release(3)), End::Done);
}

/// spec: deploy/directory R6
#[test]
fn a_release_that_is_no_longer_whole_is_not_gone_back_to() {
    let mut site = Site::new("one");
    site.activate_with("! grep -q two deploy/current/site/index.html");
    assert_eq!(site.deploy(&release(1)), End::Done);
    fs::remove_file(site.path("current/site")).unwrap();
    site.serve("site", &[("index.html", "two")]);
    let expected = format!(
        "activate `./reload.sh now` exited with status 1\n\
        not fully reverted: release {} is no longer whole on the target: service `site` leads nowhere",
        release(1)
    );
    assert_eq!(
        site.deploy(&release(2)),
        End::Failed(Cause::NotReverted, expected)
    );
    assert_eq!(site.current(), Some(link(2)));
}

/// spec: deploy/directory R8
#[test]
fn without_a_gate_the_switch_is_what_reverts_go_back_to() {
    let mut site = Site::new("one");
    site.activate_with("! grep -q three deploy/current/site/index.html");
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    assert_eq!(site.deploy(&release(2)), End::Done);
    site.serve("site", &[("index.html", "three")]);
    assert!(matches!(
        site.deploy(&release(3)),
        End::Failed(Cause::Reverted, _)
    ));
    assert_eq!(site.current(), Some(link(2)));
}

/// spec: deploy/directory R4
#[test]
fn what_activate_leaves_behind_goes_on() {
    let mut site = Site::new("one");
    site.script("server.sh", "echo $$ > pid; echo up; exec sleep 600");
    site.activate_with("mkfifo ready; ./server.sh & until test -s pid; do :; done");
    assert_eq!(site.deploy(&release(1)), End::Done);
    let process = fs::read_to_string(site.project().join("pid")).unwrap();
    let process = rustix::process::Pid::from_raw(process.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}

/// spec: deploy/directory R12
#[test]
fn a_cancelled_activate_is_stopped_and_the_target_goes_back() {
    let mut site = Site::new("one");
    site.activate_with(
        "if grep -q two deploy/current/site/index.html; then sleep 600 & echo $! > pid; wait; fi",
    );
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    let end = thread::scope(|scope| {
        scope.spawn(|| {
            while fs::read_to_string(site.project().join("pid"))
                .unwrap_or_default()
                .is_empty()
            {
                thread::yield_now();
            }
            site.cancel.cancel();
        });
        site.deploy(&release(2))
    });
    assert_eq!(end, End::Cancelled);
    assert_eq!(site.current(), Some(link(1)));
    let process = fs::read_to_string(site.project().join("pid")).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    assert!(
        stat.is_empty() || stat.contains(") Z "),
        "the whole group is gone: {stat}"
    );
}

/// spec: deploy/directory R13
#[test]
fn a_foreign_current_is_refused_before_anything_changes() {
    type Occupy = fn(&Path);
    let occupations: [Occupy; 3] = [
        |path| fs::create_dir(path).unwrap(),
        |path| fs::write(path, "mine").unwrap(),
        |path| std::os::unix::fs::symlink("/srv/elsewhere", path).unwrap(),
    ];
    for occupy in occupations {
        let site = Site::new("one");
        fs::create_dir(site.path("")).unwrap();
        occupy(&site.path("current"));
        let expected = "`deploy/current` is not a link to one of the releases beside it".to_owned();
        assert_eq!(
            site.deploy(&release(1)),
            End::Failed(Cause::Machine, expected)
        );
        assert!(fs::symlink_metadata(site.path("current")).is_ok());
        assert!(super::is_empty(&site.path("releases")));
    }
}

/// spec: deploy/directory R3
#[test]
fn a_reader_never_meets_anything_but_a_whole_release() {
    let mut site = Site::new("0");
    assert_eq!(site.deploy(&release(0)), End::Done);
    let (page, over) = (site.path("current/site/index.html"), AtomicBool::new(false));
    let reads = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u64;
            while !over.load(Ordering::SeqCst) {
                assert!(fs::read_to_string(&page).unwrap().parse::<u32>().unwrap() <= 30);
                reads += 1;
            }
            reads
        });
        for round in 1..=30 {
            site.serve("site", &[("index.html", &round.to_string())]);
            assert_eq!(site.deploy(&release(round)), End::Done);
        }
        over.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(reads > 0);
    assert_eq!(site.read("current/site/index.html"), "30");
}

/// spec: deploy/directory R15
#[test]
fn drift_is_said_and_left_alone() {
    let site = Site::new("one");
    let drift = || directory::drift("deploy", &site.project(), &site.store).unwrap();
    assert_eq!(drift(), None);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(drift(), None);
    let page = site.path("current/site/index.html");
    fs::remove_file(&page).unwrap();
    fs::write(&page, "two").unwrap();
    assert_eq!(drift().unwrap(), "service `site`: `index.html` was changed");
    assert_eq!(fs::read_to_string(&page).unwrap(), "two");
    fs::remove_file(site.path("current/site")).unwrap();
    assert_eq!(drift().unwrap(), "the link of service `site` was changed");
    fs::remove_file(site.path("current/.stagecraft")).unwrap();
    assert_eq!(drift().unwrap(), "the live release has no record");
}
