//! Diagnostics: what is wrong with a configuration, where, and what to write instead.
//! Owns their order and their text form; knows nothing of YAML.

use std::collections::{BTreeMap, BTreeSet};
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

impl fmt::Display for Diagnostic {
    /// Prints place and message on one line, without excerpt and hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
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
        let ranks: BTreeMap<&str, usize> = files
            .iter()
            .enumerate()
            .map(|(rank, (path, _))| (*path, rank))
            .collect();
        let rank = |fault: &Diagnostic| ranks.get(fault.at.file.as_str()).copied();
        faults.sort_by(|a, b| (rank(a), &a.at, &a.message).cmp(&(rank(b), &b.at, &b.message)));
        faults.dedup();
        let mut lines = BTreeMap::new();
        for (path, text) in files {
            let wanted: BTreeSet<usize> = faults
                .iter()
                .filter(|fault| fault.at.file == *path)
                .map(|fault| fault.at.line)
                .collect();
            for (index, line) in text
                .lines()
                .enumerate()
                .filter(|(index, _)| wanted.contains(&(index + 1)))
            {
                lines.insert(
                    ((*path).to_owned(), index + 1),
                    line.replace(is_hidden, "\u{fffd}"),
                );
            }
        }
        for fault in &mut faults {
            fault.message = plain(&fault.message);
            fault.hint = fault.hint.as_deref().map(plain);
        }
        Self { faults, lines }
    }

    /// Returns the faults in printed order; never empty.
    pub fn faults(&self) -> &[Diagnostic] {
        &self.faults
    }
}

/// What a terminal would obey rather than show.
fn is_hidden(character: char) -> bool {
    character.is_control() && character != '\t'
}

/// Returns the text with its control characters escaped: a message quotes what a file says.
fn plain(text: &str) -> String {
    let show = |character: char| {
        if character.is_control() {
            character.escape_default().collect::<String>()
        } else {
            character.to_string()
        }
    };
    text.chars().map(show).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(file: &str, line: usize, column: usize, length: usize, message: &str) -> Diagnostic {
        let at = Location {
            file: file.to_owned(),
            line,
            column,
            length,
        };
        Diagnostic {
            at,
            message: message.to_owned(),
            hint: None,
        }
    }

    /// spec: config/diagnostics R2, config/diagnostics R3
    #[test]
    fn faults_stand_in_file_order_each_once() {
        let files = [("z.yml", "one\ntwo\n"), ("a.yml", "three\n")];
        let faults = vec![
            fault("a.yml", 1, 1, 5, "last"),
            fault("z.yml", 2, 1, 1, "second"),
            fault("z.yml", 1, 3, 99, "first"),
            fault("z.yml", 2, 1, 1, "second"),
        ];
        assert_eq!(
            Diagnostics::new(faults, &files).to_string(),
            "z.yml:1:3: first\n 1 | one\n   |   ^\n\
             z.yml:2:1: second\n 2 | two\n   | ^\n\
             a.yml:1:1: last\n 1 | three\n   | ^^^^^"
        );
    }

    /// spec: config/diagnostics R4
    #[test]
    fn control_characters_never_reach_a_terminal() {
        let text = "key\u{1b}[31m\n";
        let faults = vec![fault("a.yml", 1, 1, 3, "unknown key `\u{1b}[31m\n`")];
        let shown = Diagnostics::new(faults, &[("a.yml", text)]).to_string();
        assert_eq!(
            shown,
            "a.yml:1:1: unknown key `\\u{1b}[31m\\n`\n 1 | key\u{fffd}[31m\n   | ^^^"
        );
    }
}
