//! The switch: a release's links, `current`, `activate`, and the way back (`spec/deploy/directory.md`).
//! Effects below the target; at every instant `current` names a whole release or nothing.
#![expect(clippy::disallowed_methods, reason = "effects: releases on the target")]

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use stagecraft_store::{Digest, Store};

use super::error::DirectoryError;
use super::record::{FILE, Record};
use super::target::{Pointer, Sharing, Target};
use super::tree;
use crate::action::SwitchTask;
use crate::evaluate::{Cancel, Cause, Completion, ExecutionContext, Failure, Observed};
use crate::providers::command::{HookCommand, tail};
use crate::providers::wait::Deadline;
use crate::release::id::ReleaseId;

/// How long `activate` may take on the way back, where nothing can cancel it.
const REVERT_DEADLINE: Duration = Duration::from_secs(60);
const ACTIVATE_OUTPUT: &str = "activate.log";

/// Returns whether the target already serves what `task` wants, told and checked.
pub(super) fn observe(
    task: &SwitchTask<'_>,
    context: &ExecutionContext<'_>,
) -> Result<Observed, DirectoryError> {
    let target = Target::new(task.path, context.project);
    let Some(current) = target.pointer(Pointer::Current)? else {
        return Ok(Observed::Differs("nothing is live".to_owned()));
    };
    let Some(record) = record(&target, &current)? else {
        return Ok(Observed::Differs(
            "the live release has no record".to_owned(),
        ));
    };
    if let Some(difference) = record.difference(&Record::of(task)) {
        return Ok(Observed::Differs(difference));
    }
    if target.pointer(Pointer::Good)?.as_ref() != Some(&current) {
        return Ok(Observed::Differs(
            "the live release never passed its gate".to_owned(),
        ));
    }
    if target.owes_activation() {
        return Ok(Observed::Differs(
            "what serves was not told about the last change".to_owned(),
        ));
    }
    for (service, wanted) in &task.services {
        let service = service.as_str();
        let found = service_difference(&target, context.store, &current, service, &wanted.digest)?;
        if let Some(difference) = found {
            return Ok(Observed::Differs(difference));
        }
    }
    Ok(Observed::Holds)
}

/// Returns in which respect what is live differs from what was deployed, whatever that was; `None` where nothing is.
pub(super) fn drift(target: &Target, store: &Store) -> Result<Option<String>, DirectoryError> {
    let Some(current) = target.pointer(Pointer::Current)? else {
        return Ok(None);
    };
    let Some(record) = record(target, &current)? else {
        return Ok(Some("the live release has no record".to_owned()));
    };
    for (service, digest) in record.trees() {
        if let Some(difference) = service_difference(target, store, &current, service, &digest)? {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

/// Returns how a service's link, or the tree it should lead to, differs from what was made.
fn service_difference(
    target: &Target,
    store: &Store,
    release: &ReleaseId,
    service: &str,
    wanted: &Digest,
) -> Result<Option<String>, DirectoryError> {
    let link = target.release(release).join(service);
    if fs::read_link(&link).ok().as_deref() != Some(Path::new(&link_target(&wanted.hex()))) {
        return Ok(Some(format!("the link of service `{service}` was changed")));
    }
    let difference = tree::difference(target, store, wanted)?;
    Ok(difference.map(|difference| format!("service `{service}`: {difference}")))
}

/// Gives a target that already serves what `task` wants the new release's name; tells nobody.
pub(super) fn advance(
    task: &SwitchTask<'_>,
    context: &ExecutionContext<'_>,
) -> Result<(), DirectoryError> {
    let target = Target::new(task.path, context.project);
    let id = release(context)?;
    let _lock = target.lock(Sharing::Alone, Some(context.cancel))?;
    target.clean()?;
    write_release(&target, &id, task)?;
    target.point(Pointer::Current, Some(&id))?;
    pass_without_gate(&target, &id, task)
}

/// Switches the target to the new release and tells what serves; goes back when that fails.
pub(super) fn switch(
    task: &SwitchTask<'_>,
    context: &ExecutionContext<'_>,
) -> Result<Completion, DirectoryError> {
    let target = Target::new(task.path, context.project);
    let id = release(context)?;
    target.prepare()?;
    let _lock = target.lock(Sharing::Alone, Some(context.cancel))?;
    target.clean()?;
    // A `current` that is not ours is found before anything changes.
    target.pointer(Pointer::Current)?;
    for service in task.services.values() {
        if !tree::is_there(&target, service) {
            tree::materialise(&target, context.store, service)?;
        }
    }
    write_release(&target, &id, task)?;
    target.owe_activation()?;
    target.point(Pointer::Current, Some(&id))?;
    let Some(argv) = task.activate else {
        target.activated()?;
        pass_without_gate(&target, &id, task)?;
        return Ok(Completion::Done);
    };
    let told = Activation {
        target: &target,
        context,
        release: &id,
        argv,
    }
    .run(Some(context.cancel), Deadline::never(), true);
    match told {
        Ok(None) => {
            target.activated()?;
            pass_without_gate(&target, &id, task)?;
            Ok(Completion::Done)
        }
        Ok(Some(_)) if context.cancel.is_cancelled() => Ok(go_back(&target, context, None)),
        Ok(Some(complaint)) => Ok(go_back(&target, context, Some(&complaint))),
        Err(error) => Ok(go_back(&target, context, Some(&error.to_string()))),
    }
}

/// Notes that the release in `context` passed its gate: reverts go back to it from now on.
pub(in crate::providers) fn passed(
    task: &SwitchTask<'_>,
    context: &ExecutionContext<'_>,
) -> Result<(), DirectoryError> {
    let target = Target::new(task.path, context.project);
    let id = release(context)?;
    let _lock = target.lock(Sharing::Alone, None)?;
    target.point(Pointer::Good, Some(&id))
}

/// Takes the target back to the last release that passed, because of `complaint`; without one, because the work was
/// cancelled. Cannot be cancelled itself.
pub(in crate::providers) fn revert(
    task: &SwitchTask<'_>,
    context: &ExecutionContext<'_>,
    complaint: Option<&str>,
) -> Completion {
    let target = Target::new(task.path, context.project);
    match target.lock(Sharing::Alone, None) {
        Ok(_lock) => go_back(&target, context, complaint),
        Err(error) => not_reverted(complaint, &error.to_string()),
    }
}

fn go_back(target: &Target, context: &ExecutionContext<'_>, complaint: Option<&str>) -> Completion {
    let outcome = point_back(target, context);
    match (outcome, complaint) {
        (Err(error), _) => not_reverted(complaint, &error.to_string()),
        (Ok(Some((_, Some(trouble)))), _) => not_reverted(
            complaint,
            &format!("`current` points back, but on the way {trouble}"),
        ),
        (Ok(_), None) => Completion::Cancelled,
        (Ok(back), Some(complaint)) => {
            let now = match back {
                Some((id, _)) => format!("`current` points back to {id}"),
                None => "`current` is removed, for nothing passed before".to_owned(),
            };
            failed(Cause::Reverted, format!("{complaint}\n{now}"), None)
        }
    }
}

/// Returns where `current` points afterwards, and what `activate` complained about.
fn point_back(
    target: &Target,
    context: &ExecutionContext<'_>,
) -> Result<Option<(ReleaseId, Option<String>)>, DirectoryError> {
    let Some(good) = target.pointer(Pointer::Good)? else {
        target.point(Pointer::Current, None)?;
        target.activated()?;
        return Ok(None);
    };
    let record = whole(target, &good)?;
    target.owe_activation()?;
    target.point(Pointer::Current, Some(&good))?;
    if let Some(argv) = record.activate() {
        let activation = Activation {
            target,
            context,
            release: &good,
            argv: &argv,
        };
        if let Some(complaint) = activation.run(None, Deadline::after(REVERT_DEADLINE), false)? {
            return Ok(Some((good, Some(complaint))));
        }
    }
    target.activated()?;
    Ok(Some((good, None)))
}

fn not_reverted(complaint: Option<&str>, trouble: &str) -> Completion {
    let message = match complaint {
        Some(complaint) => format!("{complaint}\nnot fully reverted: {trouble}"),
        None => format!("interrupted, and not fully reverted: {trouble}"),
    };
    failed(
        Cause::NotReverted,
        message,
        Some("deploy or roll back again once that is mended"),
    )
}

fn failed(cause: Cause, message: String, hint: Option<&str>) -> Completion {
    let failure = Failure {
        cause,
        message,
        hint: hint.map(str::to_owned),
    };
    Completion::Failed {
        failure,
        log: Vec::new(),
        level: None,
    }
}

/// Where nothing is asked after the switch, the switch itself is the gate.
fn pass_without_gate(
    target: &Target,
    id: &ReleaseId,
    task: &SwitchTask<'_>,
) -> Result<(), DirectoryError> {
    if task.health.is_some() {
        Ok(())
    } else {
        target.point(Pointer::Good, Some(id))
    }
}

/// Returns the id of the release being made.
fn release(context: &ExecutionContext<'_>) -> Result<ReleaseId, DirectoryError> {
    context
        .release
        .and_then(|id| id.parse().ok())
        .ok_or(DirectoryError::NoRelease)
}

/// Returns the record of a release on the target.
pub(super) fn record(target: &Target, id: &ReleaseId) -> Result<Option<Record>, DirectoryError> {
    let path = target.release(id).join(FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(Record::parse(&bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(target.error("reading", &path, source)),
    }
}

/// Returns the record of a release whose links all lead somewhere.
fn whole(target: &Target, id: &ReleaseId) -> Result<Record, DirectoryError> {
    let broken = |what: String| DirectoryError::BrokenRelease {
        id: id.to_string(),
        what,
    };
    let record = record(target, id)?.ok_or_else(|| broken("its record is gone".to_owned()))?;
    for service in record.services() {
        if !fs::metadata(target.release(id).join(service)).is_ok_and(|found| found.is_dir()) {
            return Err(broken(format!("service `{service}` leads nowhere")));
        }
    }
    Ok(record)
}

/// The target of a service's link, from the release's directory.
fn link_target(hex: &str) -> String {
    format!("../../trees/{hex}")
}

/// Makes `releases/<id>` in one rename; an unfinished or older one of the same id gives way.
fn write_release(
    target: &Target,
    id: &ReleaseId,
    task: &SwitchTask<'_>,
) -> Result<(), DirectoryError> {
    let finished = target.release(id);
    let fresh = Target::unfinished(&target.releases());
    let failed = |path: &Path, source| target.error("making", path, source);
    fs::create_dir(&fresh).map_err(|source| failed(&fresh, source))?;
    for (service, wanted) in &task.services {
        let link = fresh.join(service.as_str());
        symlink(link_target(&wanted.digest.hex()), &link)
            .map_err(|source| failed(&link, source))?;
    }
    let path = fresh.join(FILE);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(&Record::of(task).to_bytes())?;
            file.sync_all()
        });
    written.map_err(|source| failed(&path, source))?;
    target.sync(&fresh)?;
    if fs::symlink_metadata(&finished).is_ok() {
        target.discard(&finished)?;
    }
    fs::rename(&fresh, &finished).map_err(|source| failed(&finished, source))?;
    target.sync(&target.releases())
}

/// One run of `activate`.
struct Activation<'a> {
    target: &'a Target,
    context: &'a ExecutionContext<'a>,
    release: &'a ReleaseId,
    argv: &'a [String],
}

impl Activation<'_> {
    /// Returns what went wrong, with the end of what it printed, or `None` when it succeeded.
    fn run(
        &self,
        cancel: Option<&Cancel>,
        deadline: Deadline,
        afresh: bool,
    ) -> Result<Option<String>, DirectoryError> {
        let output = self.target.hook_output(ACTIVATE_OUTPUT, afresh)?;
        let name = self.argv.join(" ");
        let start = output.metadata().map_or(0, |metadata| metadata.len());
        let command = HookCommand {
            argv: self.argv,
            project: self.context.project,
            release: self.release.as_str(),
            output: &output,
        };
        let complaint = match command.run(cancel, deadline) {
            Ok(ended) => ended.complaint(),
            Err(error) => Some(format!("could not be started: {error}")),
        };
        Ok(complaint.map(|complaint| match tail(&output, start) {
            Ok(text) if !text.is_empty() => format!("activate `{name}` {complaint}:\n{text}"),
            Ok(_) | Err(_) => format!("activate `{name}` {complaint}"),
        }))
    }
}
