//! `stagecraft store export` and `import`: a root or a release with all its bytes as one stream, and
//! its way into another store and log. What a stream is belongs to the store (`spec/store/stream.md`).

use std::fmt::Write as _;

use serde_json::json;
use stagecraft_store::{Delivery, Parcel, Reference, Root, RootName, Store, StoreError};

use super::context::{Context, Format};
use super::error::CliError;
use super::exit::Exit;
use crate::release::log::{Adoption, LogError, Release, ReleaseLog};
use crate::release::manifest::Manifest;

/// Writes the stream of a root or release to stdout.
pub(super) fn export(context: &Context, store: &Store, given: &str) -> Result<Exit, CliError> {
    let mut out = context.ui().sink().ok_or(CliError::Usage(
        "an export is for a file: redirect stdout, as in `stagecraft store export ROOT > file`",
    ))?;
    let log = log(context)?;
    let parcel = match log.get(given) {
        Ok(release) => of_release(store, &log, &release)?,
        Err(LogError::NotFound { .. }) => of_root(store, &log, given)?,
        Err(error) => return Err(error.into()),
    };
    let shipped = store.export_closure(&parcel, &mut out)?;
    context.ui().say(&format!(
        "exported {} objects ({}), {} results",
        shipped.objects,
        super::store::size(shipped.bytes),
        shipped.results
    ));
    Ok(Exit::Done)
}

/// Reads a stream from stdin, sets its roots and adds its releases to the log.
pub(super) fn import(context: &Context, format: Format) -> Result<Exit, CliError> {
    if context.is_dry_run() {
        return Err(CliError::Usage("--dry-run does not go with import"));
    }
    let mut source = context.ui().source().ok_or(CliError::Usage(
        "import reads a file: redirect stdin, as in `stagecraft store import < file`",
    ))?;
    let log = log(context)?;
    let store = context.store()?;
    let arrival = store.import_closure(&mut source)?;
    check_entries(arrival.parcel())?;
    let delivery = arrival.accept()?;
    let mut releases = Vec::new();
    for (name, entry) in entries(&delivery.parcel) {
        let added = log.adopt(entry)? == Adoption::Added;
        releases.push((last_word(name).to_owned(), added));
    }
    tell(context, format, &delivery, &releases)?;
    Ok(Exit::Done)
}

fn log(context: &Context) -> Result<ReleaseLog, CliError> {
    Ok(ReleaseLog::at(Context::state_path(&context.state_root()?)))
}

fn of_release(store: &Store, log: &ReleaseLog, release: &Release) -> Result<Parcel, CliError> {
    let lost = |what: String| CliError::MissingBytes {
        release: release.id.to_string(),
        missing: vec![what],
    };
    let digest = release
        .manifest
        .ok_or_else(|| lost("its manifest".to_owned()))?;
    let manifest = Manifest::load(store, &digest)?;
    let manifest = manifest.ok_or_else(|| lost(format!("manifest {digest}")))?;
    let name: RootName = format!(
        "release/{}/{}/{}",
        manifest.project, release.environment, release.id
    )
    .parse()
    .map_err(|_| lost("a name for its root".to_owned()))?;
    let root = match store.root(&name)? {
        Some(root) => root,
        None => Root {
            references: manifest.references(),
            reason: format!("release {} of {}", release.id, release.environment),
        },
    };
    let entry = log.entry(release.id.as_str())?;
    Ok(Parcel {
        notes: [(name.as_str().to_owned(), entry)].into(),
        roots: [(name, root)].into(),
    })
}

fn of_root(store: &Store, log: &ReleaseLog, given: &str) -> Result<Parcel, CliError> {
    let found = match given.parse::<RootName>() {
        Ok(name) => store.root(&name)?.map(|root| (name, root)),
        Err(_) => None,
    };
    if let Some(found) = found {
        return Ok(Parcel {
            roots: [found].into(),
            notes: [].into(),
        });
    }
    let mut known: Vec<String> = store
        .roots()?
        .into_iter()
        .map(|(name, _)| name.as_str().to_owned())
        .collect();
    known.extend(log.list_all()?.iter().map(|release| release.id.to_string()));
    Err(CliError::Unknown {
        sort: "root or release",
        given: given.to_owned(),
        known,
    })
}

/// The entries of releases: notes that are named like a root.
fn entries(parcel: &Parcel) -> impl Iterator<Item = (&RootName, &Vec<u8>)> {
    parcel
        .roots
        .keys()
        .filter_map(|name| Some((name, parcel.notes.get(name.as_str())?)))
}

fn last_word(name: &RootName) -> &str {
    let text = name.as_str();
    text.rsplit_once('/').map_or(text, |(_, last)| last)
}

/// An entry that does not belong to its bytes would promise a release that cannot be gone back to.
fn check_entries(parcel: &Parcel) -> Result<(), CliError> {
    for (name, entry) in entries(parcel) {
        let release = ReleaseLog::parse_entry(entry)?;
        let end = format!("/{}/{}", release.environment, release.id);
        let references = &parcel.roots[name].references;
        let kept = release
            .manifest
            .is_some_and(|manifest| references.contains(&Reference::Blob(manifest)));
        if !name.as_str().ends_with(&end) || !kept {
            return Err(CliError::ForeignEntry {
                name: name.as_str().to_owned(),
            });
        }
    }
    Ok(())
}

fn tell(
    context: &Context,
    format: Format,
    delivery: &Delivery,
    releases: &[(String, bool)],
) -> Result<(), CliError> {
    let roots = delivery.parcel.roots.keys();
    if format == Format::Json {
        let roots: Vec<&str> = roots.map(RootName::as_str).collect();
        let names: Vec<&String> = releases.iter().map(|(id, _)| id).collect();
        return context.ui().json(&json!({
            "roots": roots,
            "releases": names,
            "objects": delivery.added.objects,
            "bytes": delivery.added.bytes,
            "results": delivery.added.results,
            "skipped": delivery.skipped,
        }));
    }
    let mut out = format!(
        "imported {} objects ({}), {} results; {} objects were here already\n",
        delivery.added.objects,
        super::store::size(delivery.added.bytes),
        delivery.added.results,
        delivery.skipped
    );
    for name in roots {
        writeln!(out, "root {}", name.as_str()).ok();
    }
    for (id, added) in releases {
        let what = if *added { "added to" } else { "already in" };
        writeln!(out, "release {id}: {what} the log").ok();
    }
    context.ui().data(&out)
}

/// Returns whether an error says that a stream cannot be used.
pub(super) fn is_bad_stream(error: &StoreError) -> bool {
    matches!(error, StoreError::Stream(_))
}
