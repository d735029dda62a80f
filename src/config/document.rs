//! One file of the configuration, read but not yet judged, and what it asks the caller to look up.

use super::fault::Faults;
use super::node::{Node, Span, View};
use super::{Diagnostic, Spanned, glob, yaml};
use std::collections::BTreeMap;

/// One parsed YAML file: its values with their places, and the faults of its syntax.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) file: String,
    pub(super) text: String,
    pub(super) root: Option<Node>,
    pub(super) faults: Vec<Diagnostic>,
    /// Values are missing, so that what is absent proves nothing.
    pub(super) broken: bool,
}

/// What the caller must look up in the file system before `parse`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// `project.include`: globs of files, from the project root.
    pub include: Vec<Spanned<String>>,
    /// The values of every `for`: globs of directories, from the project root, sorted.
    pub directories: Vec<String>,
}

/// Everything that `parse` needs.
#[derive(Debug, Clone)]
pub struct Source {
    /// `stagecraft.yml`; it stands in the project root.
    pub main: Document,
    /// The files that `project.include` matches, sorted by path.
    pub included: Vec<Document>,
    /// For every glob of `Requests::directories`: the matching directories from the project root, sorted.
    pub directories: BTreeMap<String, Vec<String>>,
}

/// Reads one file; `file` is its path from the project root, with `/` between parts.
pub fn read(file: &str, text: &str) -> Document {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = yaml::read(file, text);
    Document {
        file: file.to_owned(),
        text: text.to_owned(),
        root: tree.root,
        faults: tree.faults.into_vec(),
        broken: tree.broken,
    }
}

/// Reads one file as it comes from the disk; bytes that are not UTF-8 are a fault with a place.
pub fn read_bytes(file: &str, bytes: &[u8]) -> Document {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return read(file, text),
        Err(error) => error,
    };
    let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let mut faults = Faults::default();
    let at = Span {
        line,
        column,
        length: 1,
    }
    .within(file);
    faults.advise(at, "not UTF-8", "save the file as UTF-8".to_owned());
    Document {
        file: file.to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
        root: None,
        faults: faults.into_vec(),
        broken: true,
    }
}

impl Document {
    /// Returns the path from the project root.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the directory the file stands in, from the project root; empty for the root.
    pub(super) fn directory(&self) -> &str {
        self.file
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory)
    }

    /// Returns a view of the root value.
    pub(super) fn view(&self) -> Option<View<'_>> {
        self.root.as_ref().map(|root| View::root(&self.file, root))
    }

    /// Returns what must be looked up: what is well formed; `parse` says what is not.
    pub fn requests(&self) -> Requests {
        let mut requests = Requests::default();
        let Some(root) = self.view() else {
            return requests;
        };
        for pattern in root
            .find(&["project", "include"])
            .iter()
            .flat_map(View::items)
        {
            if let Some(text) = pattern.text().filter(|text| glob::check(text).is_ok()) {
                requests.include.push(Spanned {
                    value: text.to_owned(),
                    at: pattern.at(),
                });
            }
        }
        for operation in root.get("operations").iter().flat_map(View::entries) {
            for variable in operation.get("for").iter().flat_map(View::entries) {
                if let Some(text) = variable.text().filter(|text| glob::check(text).is_ok()) {
                    requests
                        .directories
                        .push(glob::join(self.directory(), text));
                }
            }
        }
        requests.directories.sort();
        requests.directories.dedup();
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/project R8
    #[test]
    fn requests_are_what_is_well_formed_from_the_project_root() {
        let text = "project: { include: [\"packages/*/x.yml\", ../y, 5] }\n\
                    operations:\n  \"a-{p}-{q}\": { for: { p: \"mods/*\", q: /abs } }\n  \"b-{p}\": { for: { p: \"mods/*\" } }\n";
        let requests = read("lib/stagecraft.yml", text).requests();
        let include: Vec<&str> = requests
            .include
            .iter()
            .map(|glob| glob.value.as_str())
            .collect();
        assert_eq!(include, ["packages/*/x.yml"]);
        assert_eq!(requests.include[0].at.column, 22);
        assert_eq!(requests.directories, ["lib/mods/*"]);
        assert_eq!(read("stagecraft.yml", "5").requests(), Requests::default());
    }

    /// spec: config/yaml R11
    #[test]
    fn a_byte_order_mark_is_no_column() {
        let document = read("stagecraft.yml", "\u{feff}project: { include: [a] }\n");
        assert!(document.faults.is_empty());
        assert_eq!(document.requests().include[0].at.column, 22);
        assert!(!document.text.starts_with('\u{feff}'));
    }
}
