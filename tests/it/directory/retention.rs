//! What stays on the target: `spec/deploy/directory.md` R10.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the target directory"
)]

use std::fs;

use stagecraft::providers::directory::{KEPT, Pruned, prune};
use stagecraft::release::ReleaseId;

use super::{End, Site, link, release};

fn ids(seconds: impl IntoIterator<Item = u32>) -> Vec<ReleaseId> {
    seconds
        .into_iter()
        .map(|second| release(second).parse().unwrap())
        .collect()
}

/// spec: deploy/directory R10
#[test]
fn old_releases_go_and_then_the_trees_that_nothing_names() {
    let mut site = Site::new("shared");
    let mut trees = Vec::new();
    for second in 1..=7 {
        // The page of every third release is the same.
        let page = if second % 3 == 1 {
            "shared".to_owned()
        } else {
            second.to_string()
        };
        trees.push(site.serve("site", &[("index.html", &page)]).digest.hex());
        assert_eq!(site.deploy(&release(second)), End::Done);
    }
    assert_eq!(KEPT, 5);
    let pruned = prune("deploy", &site.project(), &ids(3..=7)).unwrap();
    let expected = Pruned {
        releases: ids(1..=2),
        trees: vec![trees[1].clone()],
    };
    assert_eq!(pruned, expected);
    assert_eq!(
        site.names("releases"),
        (3..=7).map(release).collect::<Vec<_>>()
    );
    for second in 3..=7 {
        assert!(
            site.path(&format!("releases/{}/site/index.html", release(second)))
                .exists()
        );
    }
    assert_eq!(
        prune("deploy", &site.project(), &ids(3..=7)).unwrap(),
        Pruned::default()
    );
}

/// spec: deploy/directory R10
#[test]
fn what_serves_and_what_a_revert_needs_never_go() {
    let mut site = Site::new("one");
    site.activate_with("true");
    site.check_with(
        stagecraft::config::HealthCheck::Exec(vec!["true".to_owned()]),
        1,
        60_000,
    );
    assert_eq!(site.deploy(&release(1)), End::Done);
    site.serve("site", &[("index.html", "two")]);
    site.place(&release(2));
    // Switched, but its gate was never evaluated.
    assert_eq!(site.switch(&release(2)), End::Done);
    let pruned = prune("deploy", &site.project(), &[]).unwrap();
    assert_eq!(pruned, Pruned::default());
    assert_eq!(site.current(), Some(link(2)));
    assert_eq!(site.names("trees").len(), 2);
}

/// spec: deploy/directory R10
#[test]
fn a_target_that_is_not_there_has_nothing_to_prune() {
    let site = Site::new("one");
    assert_eq!(
        prune("deploy", &site.project(), &[]).unwrap(),
        Pruned::default()
    );
    assert!(fs::symlink_metadata(site.path("")).is_err());
}
