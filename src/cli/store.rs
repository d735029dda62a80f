//! `stagecraft store`: care of the store.

use serde_json::{Value, json};
use stagecraft_store::{Amount, Digest, Directory, Node, Reference, Store, VerifyReport};

use super::collect;
use super::context::{Context, Format};
use super::error::CliError;
use super::exit::Exit;
use super::page::Page;
use super::transfer;

/// Verify, show, measure and tidy the store
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check every object, record and root; exit 13 when something is damaged
    Verify {
        /// Mend what can be mended and forget the rest, so that it is made again
        #[arg(long)]
        repair: bool,
    },
    /// Show an object: a tree as a listing, anything else as its bytes
    Show {
        /// Its digest, `b3:…`
        digest: String,
    },
    /// Show what takes how much space
    Du {},
    /// Remove what nothing roots and nobody used for long
    ///
    /// `store` in stagecraft.yml says how long and how much: `max_age`, `max_size`, `min_free`. Others may
    /// use the store meanwhile. With `--dry-run` it says of every result why it would stay or go.
    Gc {
        /// Only if it is due, after all others, and without a word
        #[arg(long, hide = true)]
        background: bool,
    },
    /// List the roots: what the store must keep
    Roots {},
    /// Say what keeps an object, a tree or a result
    Why {
        /// Its digest or key, `b3:…`
        digest: String,
    },
    /// Write a root or release with all its bytes to stdout, for another store
    Export {
        /// The id of a release, or the name of a root
        #[arg(value_name = "ROOT|RELEASE")]
        name: String,
    },
    /// Read what `export` wrote from stdin; a release joins the log
    Import {},
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    match &args.command {
        Command::Verify { repair } => verify(context, *repair, format),
        Command::Show { digest } => show(context, digest, format),
        Command::Du {} => du(context, format),
        Command::Gc { background: true } => collect::quietly(context),
        Command::Gc { background: false } => collect::gc(context, format),
        Command::Why { digest } => collect::why(context, digest, format),
        Command::Roots {} => roots(context, format),
        Command::Export { name } => transfer::export(context, &existing(context)?, name),
        Command::Import {} => transfer::import(context, format),
    }
}

pub(super) fn existing(context: &Context) -> Result<Store, CliError> {
    context
        .existing_store()?
        .ok_or(CliError::StoreAbsent(context.store_path()?))
}

fn verify(context: &Context, repair: bool, format: Format) -> Result<Exit, CliError> {
    existing(context)?;
    let repair = repair && !context.is_dry_run();
    let store = if repair {
        context.store()?
    } else {
        existing(context)?
    };
    let report = store.verify(repair)?;
    let damage: Vec<Value> = report
        .damage
        .iter()
        .map(|damage| {
            json!({ "path": damage.path, "meaning": damage.kind.meaning(), "repaired": damage.repaired })
        })
        .collect();
    match format {
        Format::Json => context.ui().json(&json!({
            "objects": report.objects,
            "bytes": report.bytes,
            "records": report.records,
            "trees": report.trees,
            "damage": damage,
        }))?,
        Format::Text => context.ui().data(&verified(&report))?,
    }
    if report.damage.iter().all(|damage| damage.repaired) {
        return Ok(Exit::Done);
    }
    if !repair {
        context
            .ui()
            .say("run `stagecraft store verify --repair` to forget what is damaged");
    }
    Ok(Exit::Damaged)
}

fn verified(report: &VerifyReport) -> String {
    let mut out = Page::default();
    for damage in &report.damage {
        let state = if damage.repaired {
            "repaired"
        } else {
            "damaged"
        };
        out.line(format_args!(
            "{state}: {}: {}",
            damage.path,
            damage.kind.meaning()
        ));
    }
    let summary = match report.damage.len() {
        0 => "clean".to_owned(),
        count => format!("{count} damaged"),
    };
    out.line(format_args!(
        "{} objects ({}), {} records, {} trees: {summary}",
        report.objects,
        size(report.bytes),
        report.records,
        report.trees,
    ));
    out.into_text()
}

fn show(context: &Context, given: &str, format: Format) -> Result<Exit, CliError> {
    let store = existing(context)?;
    let unknown = || CliError::Unknown {
        sort: "object",
        given: given.to_owned(),
        known: Vec::new(),
    };
    let digest: Digest = given.parse().map_err(|_| unknown())?;
    let bytes = store.read(&digest)?.ok_or_else(unknown)?;
    // The empty blob is the empty directory too; it is shown as what people put into stores: a file.
    let directory = if bytes.is_empty() {
        None
    } else {
        Directory::decode(&bytes).ok()
    };
    match (directory, format) {
        (Some(directory), Format::Json) => context.ui().json(&tree_json(&store, &directory)?)?,
        (Some(directory), Format::Text) => {
            let mut out = Page::default();
            tree_text(&store, &directory, "", &mut out)?;
            context.ui().data(&out.into_text())?;
        }
        (None, Format::Json) => context.ui().json(&json!({
            "digest": digest.to_string(),
            "size": bytes.len(),
            "text": String::from_utf8(bytes).ok(),
        }))?,
        (None, Format::Text) => context.ui().bytes(&bytes)?,
    }
    Ok(Exit::Done)
}

fn tree_text(
    store: &Store,
    directory: &Directory,
    base: &str,
    out: &mut Page,
) -> Result<(), CliError> {
    for (name, node) in directory.iter() {
        let path = format!("{base}{}", name.as_str());
        match node {
            Node::File { object, executable } => {
                let mode = if *executable { "x" } else { "-" };
                out.line(format_args!(
                    "{mode} {} {path} ({})",
                    object.digest,
                    size(object.size)
                ));
            }
            Node::Symlink { target } => out.line(format_args!("l {path} -> {target}")),
            Node::Directory { object } => {
                out.line(format_args!("d {} {path}/", object.digest));
                if let Some(below) = store.directory(&object.digest)? {
                    tree_text(store, &below, &format!("{path}/"), out)?;
                }
            }
        }
    }
    Ok(())
}

fn tree_json(store: &Store, directory: &Directory) -> Result<Value, CliError> {
    let mut entries = serde_json::Map::new();
    for (name, node) in directory.iter() {
        let entry = match node {
            Node::File { object, executable } => json!({
                "digest": object.digest.to_string(),
                "size": object.size,
                "executable": executable,
            }),
            Node::Symlink { target } => json!({ "symlink": target }),
            Node::Directory { object } => {
                let below = match store.directory(&object.digest)? {
                    Some(below) => tree_json(store, &below)?,
                    None => Value::Null,
                };
                json!({ "digest": object.digest.to_string(), "entries": below })
            }
        };
        entries.insert(name.as_str().to_owned(), entry);
    }
    Ok(entries.into())
}

fn du(context: &Context, format: Format) -> Result<Exit, CliError> {
    let usage = existing(context)?.usage()?;
    let rows = [
        ("objects", usage.blobs),
        ("executables", usage.twins),
        ("results", usage.results),
        ("history", usage.history),
        ("roots", usage.roots),
        ("trees", usage.trees),
        ("temporary", usage.tmp),
        ("trash", usage.trash),
    ];
    match format {
        Format::Json => {
            let entry = |amount: Amount| json!({ "count": amount.count, "bytes": amount.bytes });
            let document: serde_json::Map<String, Value> = rows
                .into_iter()
                .map(|(name, amount)| (name.to_owned(), entry(amount)))
                .collect();
            context.ui().json(&document.into())?;
        }
        Format::Text => {
            let mut out = Page::default();
            for (name, amount) in rows {
                out.line(format_args!(
                    "{name:<12} {:>9} {:>10}",
                    amount.count,
                    size(amount.bytes)
                ));
            }
            context.ui().data(&out.into_text())?;
        }
    }
    Ok(Exit::Done)
}

fn roots(context: &Context, format: Format) -> Result<Exit, CliError> {
    let roots = existing(context)?.roots()?;
    match format {
        Format::Json => {
            let entries: Vec<Value> = roots
                .iter()
                .map(|(name, root)| {
                    let references: Vec<String> = root.references.iter().map(reference).collect();
                    json!({ "name": name.as_str(), "reason": root.reason, "references": references })
                })
                .collect();
            context.ui().json(&json!({ "roots": entries }))?;
        }
        Format::Text => {
            let lines = roots.iter().map(|(name, root)| {
                format!(
                    "{name}: {} ({} references)\n",
                    root.reason,
                    root.references.len()
                )
            });
            context.ui().data(&lines.collect::<String>())?;
        }
    }
    Ok(Exit::Done)
}

fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Blob(digest) => format!("blob {digest}"),
        Reference::Tree(digest) => format!("tree {digest}"),
        Reference::Result(key) => format!("result {key}"),
    }
}

/// Bytes for people: three digits and a binary unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut rest = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 || whole >= 100 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{rest} {}", UNITS[unit])
    }
}
