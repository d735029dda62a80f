//! Where the dynamic loader looks for libraries: `/etc/ld.so.conf`, the default directories, `$ORIGIN`.
//! Knows no cache and no environment: the sandbox has neither.

use globset::GlobBuilder;

use super::machine::Machine;

pub(super) const CONFIGURATION: &str = "/etc/ld.so.conf";
const DEFAULT: [&str; 4] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// Files that include each other end here.
const INCLUDE_LIMIT: usize = 64;

/// Returns the machine's directories for libraries, in order, and the files that say so.
pub(super) fn directories(machine: &Machine) -> (Vec<String>, Vec<String>) {
    let (mut directories, mut read) = (Vec::new(), Vec::new());
    let mut todo = vec![CONFIGURATION.to_owned()];
    while let Some(file) = todo.pop().filter(|_| read.len() < INCLUDE_LIMIT) {
        let text = machine.read(&file).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = line
                .strip_prefix("include")
                .filter(|rest| rest.starts_with([' ', '\t']))
            {
                let included = patterns
                    .split_ascii_whitespace()
                    .flat_map(|pattern| expand(machine, &file, pattern));
                let included: Vec<_> = included.collect();
                todo.extend(included.into_iter().rev());
            } else if line.starts_with('/') {
                directories.push(line.to_owned());
            }
        }
        read.push(file);
    }
    directories.extend(DEFAULT.map(str::to_owned));
    (directories, read)
}

fn expand(machine: &Machine, file: &str, pattern: &str) -> Vec<String> {
    let parent = file.rsplit_once('/').map_or("", |(parent, _)| parent);
    let pattern = if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("{parent}/{pattern}")
    };
    let Some((directory, name)) = pattern.rsplit_once('/') else {
        return Vec::new();
    };
    let Ok(glob) = GlobBuilder::new(name).literal_separator(true).build() else {
        return Vec::new();
    };
    let matcher = glob.compile_matcher();
    let names = machine
        .names(directory)
        .into_iter()
        .filter(|name| matcher.is_match(name));
    names.map(|name| format!("{directory}/{name}")).collect()
}

/// Returns the directories of an RPATH or RUNPATH of the file in `origin`; one with another variable is left out.
pub(super) fn substitute<'a>(
    paths: &'a [String],
    origin: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let replaced = paths
        .iter()
        .map(move |path| path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin));
    replaced.filter(|path| path.starts_with('/') && !path.contains('$'))
}
