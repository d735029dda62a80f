//! `stagecraft init`: a small valid `stagecraft.yml` for what is found here.
//! Never overwrites; what it writes loads.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the directory and writes the new file"
)]

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use crate::name::ProjectName;

/// Write a small stagecraft.yml for what is found here
///
/// Never overwrites.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask nothing
    #[arg(long)]
    non_interactive: bool,
    /// The project's name [default: the directory's]
    #[arg(long, value_name = "NAME")]
    project_name: Option<String>,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let path = context.new_config_path()?;
    let shown = path.display().to_string();
    if path.symlink_metadata().is_ok() {
        context.ui().data(&format!(
            "A Stagecraft config file already exists at {shown}.\n"
        ))?;
        context.ui().say("use --config to write another one");
        return Ok(Exit::Done);
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let name = name(context, directory, args)?;
    let environment = context.environment_flag().unwrap_or("dev").to_owned();
    let text = document(directory, &name, &environment);
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
    context.ui().data(&format!(
        "✓ Created Stagecraft config at {shown}\nYou can now run 'stagecraft plan --all' to see what it does.\n"
    ))?;
    Ok(Exit::Done)
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
        .map_err(CliError::Output)?;
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

/// What the directory holds that an operation can be made of: a marker, the operation's name, script, inputs, output, tool.
const FOUND: &[(&str, &str, &str, &[&str], &str, &str)] = &[
    (
        "Cargo.toml",
        "build",
        "cargo build --release --offline --locked",
        &["Cargo.toml", "Cargo.lock", "src/**"],
        "target/release/",
        "cargo",
    ),
    (
        "package.json",
        "build",
        "npm run build",
        &[
            "package.json",
            "**/*",
            "!node_modules/.cache/**",
            "!dist/**",
        ],
        "dist/",
        "npm",
    ),
    (
        "go.mod",
        "build",
        "go build -o build/ ./...",
        &["**/*.go", "go.mod"],
        "build/",
        "go",
    ),
    (
        "Makefile",
        "build",
        "make",
        &["**/*", "!build/**"],
        "build/",
        "make",
    ),
    (
        "main.c",
        "build",
        "cc -O2 -o build/main main.c",
        &["*.c", "*.h"],
        "build/main",
        "cc",
    ),
];

fn document(directory: &Path, name: &ProjectName, environment: &str) -> String {
    let mut root = Mapping::new();
    root.insert(
        "project".into(),
        mapping([("name", name.as_str().into())]).into(),
    );
    let found = FOUND
        .iter()
        .find(|(marker, ..)| directory.join(marker).is_file());
    if let Some((_, operation, script, inputs, output, tool)) = found {
        let inputs: Vec<Value> = inputs
            .iter()
            .filter(|input| input.contains('*') || directory.join(input).exists())
            .map(|input| (*input).into())
            .collect();
        let body = mapping([
            ("script", (*script).into()),
            ("inputs", inputs.into()),
            ("tools", vec![Value::from(*tool)].into()),
            ("outputs", vec![Value::from(*output)].into()),
        ]);
        root.insert(
            "operations".into(),
            mapping([(*operation, body.into())]).into(),
        );
        root.insert(
            "services".into(),
            mapping([("app", mapping([("artifact", (*operation).into())]).into())]).into(),
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
