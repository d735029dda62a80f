//! Diagnostics: what is wrong with a configuration, where, and what to write instead.
//! Owns their order and their text form; knows nothing of YAML.

use std::collections::BTreeMap;
use std::fmt;

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The file, as a path from the project root.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// How many characters of the line it covers; at least 1.
    pub length: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where it is.
    pub at: Location,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All faults of a configuration, in file order, with the lines they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    faults: Vec<Diagnostic>,
    lines: BTreeMap<(String, usize), String>,
}

impl Diagnostics {
    /// Returns the faults in the order of `files`, then line, then column, each once, with excerpts
    /// from the texts. `files` are (path, text) pairs; the main file comes first.
    pub fn new(mut faults: Vec<Diagnostic>, files: &[(&str, &str)]) -> Self {
        let rank = |name: &str| files.iter().position(|(path, _)| *path == name);
        faults.sort_by(|a, b| {
            (rank(&a.at.file), &a.at, &a.message).cmp(&(rank(&b.at.file), &b.at, &b.message))
        });
        faults.dedup();
        let mut lines = BTreeMap::new();
        for fault in &faults {
            let text = files.iter().find(|(path, _)| *path == fault.at.file);
            let line = text.and_then(|(_, text)| text.lines().nth(fault.at.line.saturating_sub(1)));
            if let Some(line) = line {
                lines.insert((fault.at.file.clone(), fault.at.line), line.to_owned());
            }
        }
        Self { faults, lines }
    }

    /// Returns the faults in printed order; never empty.
    pub fn faults(&self) -> &[Diagnostic] {
        &self.faults
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {}", fault.at, fault.message)?;
            if let Some(line) = self.lines.get(&(fault.at.file.clone(), fault.at.line)) {
                let number = fault.at.line.to_string();
                let indent: String = line
                    .chars()
                    .take(fault.at.column.saturating_sub(1))
                    .map(|c| if c == '\t' { '\t' } else { ' ' })
                    .collect();
                let rest = line
                    .chars()
                    .count()
                    .saturating_sub(fault.at.column - 1)
                    .max(1);
                let carets = "^".repeat(fault.at.length.clamp(1, rest));
                write!(
                    f,
                    "\n {number} | {line}\n {:w$} | {indent}{carets}",
                    "",
                    w = number.len()
                )?;
            }
            if let Some(hint) = &fault.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
