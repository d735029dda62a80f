//! gc after a build: a process of its own, that nobody waits for and that keeps nothing of this one open.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock, and a process in the background"
)]

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use stagecraft_store::Store;

use super::collect::policy_of;
use super::context::Project;

/// Leaves the process group and all descriptors of the caller, who may wait for the end of a pipe, and reads and writes
/// only when the disk is idle.
const SHELL: &str = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
if command -v ionice >/dev/null; then set -- ionice -c 3 -t \"$@\"; fi
\"$@\" &";

/// Starts gc in the background if it is due. Nothing that goes wrong here is the user's concern.
pub(super) fn tidy(project: &Project, store: &Store) {
    let policy = policy_of(&project.config.store);
    let due = store.is_gc_due(&policy, SystemTime::now());
    if !matches!(due, Ok(true)) {
        return;
    }
    if let Err(error) = start(project, store) {
        tracing::debug!(%error, "no gc in the background");
    }
}

fn start(project: &Project, store: &Store) -> std::io::Result<()> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SHELL, "sh"])
        .arg(std::env::current_exe()?)
        .arg("-C")
        .arg(&project.root);
    if let Some((config, _)) = project.texts.first() {
        command.arg("--config").arg(config);
    }
    command
        .arg("--store")
        .arg(store.root_path())
        .args(["store", "gc", "--background"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    // The shell ends as soon as it has started the rest.
    command.status().map(|_| ())
}
