//! Which sandbox level this machine gives, found by really trying, and the one command that would raise it.
//! Level 1 (Landlock) has its place between the two and is not offered yet.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: asks the kernel's settings"
)]

use std::path::Path;
use std::time::Duration;

use crate::evaluate::Cancel;
use crate::sandbox::explain;
use crate::sandbox::order::{Order, Report, Setting, View};
use crate::sandbox::process::{Ending, Helper};

/// The highest level that works, and what was in the way of level 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detected {
    /// The level.
    pub(crate) level: u8,
    /// Why it is not 2.
    pub(crate) obstacle: Option<String>,
}

/// Long enough for a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `true` at level 2; `directory` is any existing one.
pub(crate) fn detect(helper: &Path, directory: &Path) -> Detected {
    let candidates = ["/usr/bin/true", "/bin/true", "/usr/bin/sh", "/bin/sh"];
    let program = candidates
        .into_iter()
        .map(Path::new)
        .find(|program| program.exists());
    let Some(program) = program else {
        return none("there is no `/bin/sh`");
    };
    let setting = Setting::Namespaces(View {
        mount_point: directory.to_owned(),
        stages: None,
        programs: Vec::new(),
        files: Vec::new(),
        network: false,
    });
    let order = Order {
        tree: None,
        directory: "/".into(),
        program: program.to_owned(),
        name: "true".to_owned(),
        arguments: Vec::new(),
        environment: Vec::new(),
    };
    let ran = Cancel::new()
        .and_then(|cancel| Helper::start(helper, &setting)?.run(&order, PATIENCE, &cancel));
    match ran.map(|ran| ran.ending) {
        Ok(Ending::Reported(Report::Exited(0))) => Detected {
            level: 2,
            obstacle: None,
        },
        Ok(Ending::Reported(Report::Refused { step, errno })) => {
            none(&format!("{step}: {}", explain::errno(errno)))
        }
        Ok(_) => none("the helper did not answer"),
        Err(error) => none(&format!("the helper: {}", explain::io(&error))),
    }
}

fn none(obstacle: &str) -> Detected {
    Detected {
        level: 0,
        obstacle: Some(obstacle.to_owned()),
    }
}

/// Returns the one command that would let level 2 work here, where one is known.
pub(crate) fn raise_hint() -> Option<String> {
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let contained = ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|path| Path::new(path).exists());
    remedy(&setting, contained)
}

/// Settings of the kernel, the value of each that forbids user namespaces to some, and what to set instead.
const SETTINGS: [(&str, u64, &str); 3] = [
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        1,
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "kernel/unprivileged_userns_clone",
        0,
        "kernel.unprivileged_userns_clone=1",
    ),
    (
        "user/max_user_namespaces",
        0,
        "user.max_user_namespaces=15000",
    ),
];

fn remedy(setting: &dyn Fn(&str) -> Option<u64>, contained: bool) -> Option<String> {
    let blocking = SETTINGS
        .into_iter()
        .find(|(name, bad, _)| setting(name) == Some(*bad));
    if let Some((_, _, command)) = blocking {
        return Some(format!("sysctl -w {command}"));
    }
    let options = ["seccomp", "apparmor", "systempaths"]
        .map(|name| format!(" --security-opt {name}=unconfined"));
    contained.then(|| format!("docker run{} …", options.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: sandbox/levels R6
    #[test]
    fn the_setting_in_the_way_is_named() {
        let only =
            |wanted: &'static str, value| move |name: &str| (name == wanted).then_some(value);
        let apparmor = only("kernel/apparmor_restrict_unprivileged_userns", 1);
        assert_eq!(
            remedy(&apparmor, true).as_deref(),
            Some("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
        );
        let allowed = only("user/max_user_namespaces", 96_365);
        assert_eq!(remedy(&allowed, false), None);
        assert_eq!(
            remedy(&allowed, true).as_deref(),
            Some(
                "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined …"
            )
        );
    }
}
