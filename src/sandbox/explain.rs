//! The words for what went wrong in a sandbox, and what to do about it.
//! Reads the project only to see whether a file that a failed command missed is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use walkdir::WalkDir;

use crate::action::RunTask;
use crate::evaluate::{Cause, Failure};
use crate::name::ProjectPath;
use crate::sandbox::collect::{Deed, Missing, Undeclared};
use crate::sandbox::environment::BUILD;
use crate::sandbox::log::Frame;
use crate::sandbox::tree::Listing;

/// Returns the system's words for an error, without its number.
pub(crate) fn io(error: &io::Error) -> String {
    Errno::from_io_error(error).map_or_else(
        || error.kind().to_string(),
        |known| errno(known.raw_os_error()),
    )
}

/// Returns the system's words for an error number.
pub(crate) fn errno(number: i32) -> String {
    let text = io::Error::from_raw_os_error(number).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

/// Returns a duration as one would write it in the configuration.
pub(crate) fn duration(duration: Duration) -> String {
    let (seconds, milliseconds) = (duration.as_secs(), duration.subsec_millis());
    let mut text = String::new();
    for (count, unit) in [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ] {
        if count > 0 {
            // Writing to a string cannot fail.
            write!(text, "{count}{unit}").ok();
        }
    }
    if milliseconds > 0 || text.is_empty() {
        write!(text, "{milliseconds}ms").ok();
    }
    text
}

/// Returns the failure of a command that cannot be looked up on PATH.
pub(crate) fn not_on_path(program: &str) -> Failure {
    Failure {
        cause: Cause::Machine,
        message: format!("`{program}` is not among the tools of this operation"),
        hint: Some(format!("add `{program}` to tools")),
    }
}

/// Returns the failure of a program that the kernel did not start.
pub(crate) fn unstartable(program: &str, number: i32) -> Failure {
    let (what, hint) = match Errno::from_raw_os_error(number) {
        Errno::NOENT => (
            "no such file, or its interpreter is missing".to_owned(),
            Some(format!(
                "add `{program}` to inputs, or the program of its `#!` line to tools"
            )),
        ),
        Errno::ACCESS => (
            "it is not executable".to_owned(),
            Some(format!("run `chmod +x {program}`")),
        ),
        Errno::NOEXEC => (
            "not a program of this machine".to_owned(),
            Some("start it with a `#!` line".to_owned()),
        ),
        _ => (errno(number), None),
    };
    Failure {
        cause: Cause::Machine,
        message: format!("`{program}` could not be started: {what}"),
        hint,
    }
}

/// Returns the failure of a declared output that is not there.
pub(crate) fn missing(missing: &Missing) -> Failure {
    let Missing {
        output,
        similar,
        literal,
        file,
    } = missing;
    let mut message = match (literal, file) {
        (true, true) => format!("declared output `{output}` is not a directory"),
        (true, false) => format!("declared output `{output}` was not made"),
        (false, _) => format!("declared output `{output}` matches nothing"),
    };
    let hint = match similar.split_first() {
        None => "the command wrote no file; make it write the output, or write `?` before an output that may be missing"
            .to_owned(),
        Some((first, _)) => {
            message.push_str("; written:");
            for path in similar {
                write!(message, "\n  {path}").ok();
            }
            format!("if `{first}` is the output, name it in outputs")
        }
    };
    Failure {
        cause: Cause::MissingOutput,
        message,
        hint: Some(hint),
    }
}

/// How many undeclared writes are named; the others are counted.
const NAMED: usize = 10;

/// Returns a line for each undeclared write.
pub(crate) fn undeclared(undeclared: &[Undeclared], workdir: &ProjectPath) -> Vec<String> {
    let mut lines: Vec<String> = undeclared
        .iter()
        .take(NAMED)
        .map(|one| line(one, workdir))
        .collect();
    if let Some(rest) = undeclared.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        lines.push(format!("wrote {rest} more files which are not declared"));
    }
    lines
}

fn line(undeclared: &Undeclared, workdir: &ProjectPath) -> String {
    let Undeclared { path, deed } = undeclared;
    let inside = if workdir.is_root() {
        Some(path.as_str())
    } else {
        path.strip_prefix(workdir.as_str())
            .and_then(|path| path.strip_prefix('/'))
    };
    match (deed, inside) {
        (Deed::Wrote, Some(path)) => {
            format!("wrote `{path}` which is not declared; add it to outputs")
        }
        (Deed::Wrote, None) => {
            format!("wrote `{path}` which lies outside its workdir `{workdir}` and is dropped")
        }
        (Deed::Changed, _) => format!("changed its input `{path}`; the change is dropped"),
        (Deed::Removed, _) => format!("removed its input `{path}`; nothing comes of it"),
    }
}

/// Returns what would help a command that failed by itself, where its output tells.
pub(crate) fn hint(
    status: Option<i32>,
    frames: &[Frame],
    task: &RunTask<'_>,
    operation: &str,
    staged: &Listing,
    project: &Path,
) -> Option<String> {
    let text = tail(frames);
    if status == Some(127)
        && let Some(program) = text.lines().rev().find_map(not_found)
    {
        return Some(format!("add `{program}` to tools"));
    }
    let path = missed(&text, &task.run.workdir, staged, project)?;
    Some(format!(
        "`{path}` exists in the project but is not among the inputs of `{operation}`; add it to inputs"
    ))
}

/// How much of the end of a log is searched.
const SEARCHED: usize = 256 << 10;

fn tail(frames: &[Frame]) -> String {
    let mut pieces = Vec::new();
    let mut length = 0;
    for frame in frames.iter().rev().take_while(|frame| {
        length += frame.bytes.len();
        length <= SEARCHED
    }) {
        pieces.push(frame.bytes.as_slice());
    }
    pieces.reverse();
    String::from_utf8_lossy(&pieces.concat()).into_owned()
}

/// Returns the program that a shell says it did not find: `sh: 1: cc: not found`.
fn not_found(line: &str) -> Option<&str> {
    let said = line
        .strip_suffix(": not found")
        .or_else(|| line.strip_suffix(": command not found"))?;
    let program = said.rsplit(": ").next()?;
    let plain = !program.is_empty() && !program.contains(['/', ' ']);
    plain.then_some(program)
}

/// Words of a log that are looked at, and files of a project that are.
const WORDS: usize = 4000;
const FILES: usize = 20_000;

/// Returns a file of the project that the text names and that was not staged.
fn missed(text: &str, workdir: &ProjectPath, staged: &Listing, project: &Path) -> Option<String> {
    let words: BTreeSet<&str> = text
        .split(|c: char| !(c.is_alphanumeric() || "_./-+@~".contains(c)))
        .map(|word| word.trim_end_matches(['.', '/']))
        .filter(|word| word.len() >= 3 && word.contains(['.', '/']))
        .take(WORDS)
        .collect();
    let absent = |path: &str| !staged.entries.contains_key(path);
    let direct = words
        .iter()
        .flat_map(|word| [join(workdir.as_str(), word), join("", word)]);
    let direct = direct.flatten().find(|path| {
        absent(path)
            && project
                .join(path)
                .symlink_metadata()
                .is_ok_and(|found| found.is_file())
    });
    direct.or_else(|| by_last_part(&words, staged, project))
}

/// Returns `word` as a path from the root of the tree, if it stays inside.
fn join(directory: &str, word: &str) -> Option<String> {
    let word = match word.strip_prefix(BUILD) {
        Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/').to_owned(),
        _ if word.starts_with('/') => return None,
        _ => format!("{directory}/{word}"),
    };
    let mut path: Vec<&str> = Vec::new();
    for component in Path::new(word.trim_start_matches('/')).components() {
        match component {
            Component::Normal(part) => path.push(part.to_str()?),
            Component::ParentDir => path.pop().map(drop)?,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let hidden = path
        .first()
        .is_none_or(|first| [".git", ".stagecraft"].contains(first));
    (!hidden).then(|| path.join("/"))
}

/// A compiler names `log.h`, which it looked for in directories that it does not name.
fn by_last_part(words: &BTreeSet<&str>, staged: &Listing, project: &Path) -> Option<String> {
    let wanted: BTreeSet<&str> = words
        .iter()
        .map(|word| word.trim_start_matches(['.', '/']))
        .filter(|word| word.contains('.'))
        .collect();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0
            || ![".git", ".stagecraft"]
                .iter()
                .any(|hidden| entry.file_name() == *hidden)
    };
    let files = WalkDir::new(project)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(visible);
    let files = files
        .take(FILES)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file());
    let paths = files.filter_map(|entry| {
        let path: PathBuf = entry.path().strip_prefix(project).ok()?.to_owned();
        path.into_os_string().into_string().ok()
    });
    let mut absent = paths.filter(|path| !staged.entries.contains_key(path));
    absent.find(|path| {
        // The name alone, and each longer end of the path.
        let ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
        ends.chain([path.as_str()]).any(|end| wanted.contains(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_written() {
        let texts: Vec<String> = [600_000, 3_600_000, 90_000, 250, 1500, 0]
            .map(|milliseconds| duration(Duration::from_millis(milliseconds)))
            .into();
        assert_eq!(texts, ["10m", "1h", "1m30s", "250ms", "1s500ms", "0ms"]);
    }

    #[test]
    fn shells_name_the_program_that_they_missed() {
        assert_eq!(not_found("sh: 1: cc: not found"), Some("cc"));
        assert_eq!(
            not_found("bash: line 1: node: command not found"),
            Some("node")
        );
        assert_eq!(not_found("error: file: not found in archive"), None);
    }

    #[test]
    fn words_become_paths_that_stay_inside() {
        assert_eq!(
            join("services/api", "../common/log.h").as_deref(),
            Some("services/common/log.h")
        );
        assert_eq!(join("a", "/build/b/c.h").as_deref(), Some("b/c.h"));
        assert_eq!(join("a", "../../etc/passwd"), None);
        assert_eq!(join("a", "/etc/passwd"), None);
        assert_eq!(join("", ".git/config"), None);
    }
}
