//! Diagnostics: what is wrong with a configuration, where, and what to write instead.
//! Owns their order and their text form; knows nothing of YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Longer lines are shown in part.
const LONGEST_LINE: usize = 180;

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

/// Returns the part of a line around a place, and the carets to print below it.
fn excerpt(line: &str, at: &Location) -> (String, String) {
    let characters: Vec<char> = line.chars().collect();
    let start = (at.column - 1).min(characters.len());
    let (from, to) = if characters.len() <= LONGEST_LINE {
        (0, characters.len())
    } else {
        let from = start.saturating_sub(LONGEST_LINE / 3);
        (from, characters.len().min(from + LONGEST_LINE))
    };
    let before = if from > 0 { "…" } else { "" };
    let after = if to < characters.len() { "…" } else { "" };
    let shown: String = characters[from..to].iter().collect();
    let blank = |c: &char| if *c == '\t' { '\t' } else { ' ' };
    let indent: String = characters[from..start].iter().map(blank).collect();
    let carets = "^".repeat(at.length.clamp(1, (to - start).max(1)));
    let gap = if from > 0 { " " } else { "" };
    (
        format!("{before}{shown}{after}"),
        format!("{gap}{indent}{carets}"),
    )
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
                let (shown, marks) = excerpt(line, &fault.at);
                write!(
                    f,
                    "\n {number} | {shown}\n {:w$} | {marks}",
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

    /// spec: config/diagnostics R7
    #[test]
    fn a_long_line_is_shown_around_the_fault() {
        let text = format!("{}bad{}", "a".repeat(500), "b".repeat(500));
        let shown = Diagnostics::new(vec![fault("a.yml", 1, 501, 3, "no")], &[("a.yml", &text)])
            .to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1].chars().count(), " 1 | ".len() + LONGEST_LINE + 2);
        let column = lines[2].chars().position(|c| c == '^').unwrap();
        let below: String = lines[1].chars().skip(column).take(3).collect();
        assert_eq!((below.as_str(), lines[2].matches('^').count()), ("bad", 3));
        let last = Diagnostics::new(vec![fault("a.yml", 1, 1003, 9, "no")], &[("a.yml", &text)])
            .to_string();
        assert_eq!(last.matches('^').count(), 1);
    }
}
