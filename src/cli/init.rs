//! `stagecraft init`: a small valid `stagecraft.yml` for what is found here.
//! Never overwrites; what it writes loads.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the directory and writes the new file"
)]

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use serde_json::json;
use serde_yaml::{Mapping, Value};

use super::context::{Context, Format};
use super::error::CliError;
use super::exit::Exit;
use crate::name::{EnvironmentName, ProjectName};

/// Write a small stagecraft.yml for what is found here
///
/// A file that is there already stays as it is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask nothing
    #[arg(long)]
    non_interactive: bool,
    /// Name the project [default: the directory's name]
    #[arg(long, value_name = "NAME")]
    project_name: Option<String>,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let path = context.new_config_path()?;
    let shown = path.display().to_string();
    if path.symlink_metadata().is_ok() {
        let text = format!("A Stagecraft config file already exists at {shown}.\n");
        tell(context, &shown, false, &text)?;
        context.ui().say("use --config to write another one");
        return Ok(Exit::Done);
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = name(context, directory, args)?;
    let environment = context.environment_flag().unwrap_or("dev");
    let environment: EnvironmentName = environment.parse().map_err(|_| CliError::Unknown {
        sort: "environment name; it starts with a letter or digit and goes on with letters, digits, `_`, `.` or `-`:",
        given: environment.to_owned(),
        known: Vec::new(),
    })?;
    let text = document(context, directory, &name, environment.as_str());
    if context.is_dry_run() {
        context.ui().data(&text)?;
        return Ok(Exit::Done);
    }
    let failed = |source| CliError::File {
        path: path.clone(),
        what: "cannot be written",
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    let text = format!(
        "✓ Created Stagecraft config at {shown}\nYou can now run 'stagecraft plan --all' to see what it does.\n"
    );
    tell(context, &shown, true, &text)?;
    Ok(Exit::Done)
}

fn tell(context: &Context, path: &str, created: bool, text: &str) -> Result<(), CliError> {
    match context.format()? {
        Format::Text => context.ui().data(text),
        Format::Json => context
            .ui()
            .json(&json!({ "path": path, "created": created })),
    }
}

/// The name given, answered, or made of the directory's.
fn name(context: &Context, directory: &Path, args: &Args) -> Result<ProjectName, CliError> {
    let wrong = |given: &str| CliError::Unknown {
        sort: "project name; it starts with a letter or digit and goes on with letters, digits, `_`, `.` or `-`:",
        given: given.to_owned(),
        known: Vec::new(),
    };
    if let Some(given) = &args.project_name {
        return given.parse().map_err(|_| wrong(given));
    }
    let absolute = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
    let base = absolute
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let fallback = usable(&base);
    if args.non_interactive || !io::stdin().is_terminal() {
        return fallback.parse().map_err(|_| wrong(&fallback));
    }
    context.ui().say(&format!("Project name [{fallback}]: "));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|_| CliError::Usage("the project's name cannot be read from the terminal"))?;
    let answer = if answer.trim().is_empty() {
        &fallback
    } else {
        answer.trim()
    };
    answer.parse().map_err(|_| wrong(answer))
}

/// Returns the text as a name: what does not fit becomes `-`.
fn usable(text: &str) -> String {
    let mapped: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = mapped.trim_start_matches(['_', '.', '-']);
    if trimmed.is_empty() {
        "app".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// What a directory may hold that an operation can be made of.
struct Kind {
    /// The file that shows it.
    marker: &'static str,
    script: &'static str,
    /// Those that name one file are left out where it is not there.
    inputs: &'static [&'static str],
    output: &'static str,
    /// The first must be there; the others are named where this machine has them.
    tools: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        marker: "Cargo.toml",
        script: "cargo build --release --offline --locked",
        inputs: &["Cargo.toml", "Cargo.lock", "src/**"],
        output: "target/release/",
        tools: &["cargo", "rustc", "cc"],
    },
    Kind {
        marker: "package.json",
        script: "npm run build",
        inputs: &["**", "!dist", "!stagecraft.yml"],
        output: "dist/",
        tools: &["npm", "node"],
    },
    Kind {
        marker: "go.mod",
        script: "go build -o build/ ./...",
        inputs: &["go.mod", "go.sum", "**/*.go"],
        output: "build/",
        tools: &["go"],
    },
    Kind {
        marker: "Makefile",
        script: "make",
        inputs: &["**", "!build", "!stagecraft.yml"],
        output: "build/",
        tools: &["make", "cc"],
    },
    Kind {
        marker: "main.c",
        script: "cc -O2 -o build/main *.c",
        inputs: &["*.c", "*.h"],
        output: "build/main",
        tools: &["cc"],
    },
];

const OPERATION: &str = "build";

/// Returns the programs of `kind` to name: the first always, so that its absence is told, the others if they are there.
fn tools(context: &Context, kind: &Kind) -> Vec<Value> {
    let path = context.caller().get("PATH").map_or("", String::as_str);
    let is_there = |tool: &str| {
        path.split(':')
            .any(|directory| Path::new(directory).join(tool).is_file())
    };
    let (first, others) = kind.tools.split_at(1);
    if !first.iter().all(|tool| is_there(tool)) {
        context.ui().warn(&format!(
            "{} shows that `{}` builds this project, and it is not on PATH",
            kind.marker,
            first.concat()
        ));
    }
    let others = others.iter().filter(|tool| is_there(tool));
    first
        .iter()
        .chain(others)
        .map(|tool| Value::from(*tool))
        .collect()
}

fn document(context: &Context, directory: &Path, name: &ProjectName, environment: &str) -> String {
    let mut root = Mapping::new();
    root.insert(
        "project".into(),
        mapping([("name", name.as_str().into())]).into(),
    );
    let found = KINDS
        .iter()
        .find(|kind| directory.join(kind.marker).is_file());
    if let Some(kind) = found {
        let is_wanted =
            |input: &&&str| input.contains(['*', '!']) || directory.join(input).exists();
        let inputs: Vec<Value> = kind
            .inputs
            .iter()
            .filter(is_wanted)
            .map(|input| (*input).into())
            .collect();
        let body = mapping([
            ("script", kind.script.into()),
            ("inputs", inputs.into()),
            ("tools", tools(context, kind).into()),
            ("outputs", vec![Value::from(kind.output)].into()),
        ]);
        root.insert(
            "operations".into(),
            mapping([(OPERATION, body.into())]).into(),
        );
        root.insert(
            "services".into(),
            mapping([("app", mapping([("artifact", OPERATION.into())]).into())]).into(),
        );
    }
    // Containers are what a compose file or a Dockerfile asks for; everything else fits into a directory.
    let containers = [
        "docker-compose.yml",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "Dockerfile",
    ];
    let driver = if containers.iter().any(|name| directory.join(name).is_file()) {
        mapping([("driver", "local".into())])
    } else {
        mapping([("driver", "directory".into()), ("path", "./deploy".into())])
    };
    root.insert(
        "environments".into(),
        mapping([(environment, driver.into())]).into(),
    );
    // A mapping of text always has a YAML form.
    serde_yaml::to_string(&root).unwrap_or_default()
}

fn mapping<const N: usize>(entries: [(&str, Value); N]) -> Mapping {
    entries
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect()
}
