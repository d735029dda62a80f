//! Rust sources as the tests about the code see them: comments and literals blanked, tokens with lines, test modules
//! marked. Knows no rule; `layers` and `spec` do.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads the sources of this repository"
)]

use std::path::Path;

use walkdir::WalkDir;

/// Returns the root of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One file.
pub(crate) struct Source {
    /// Path from the repository root, with slashes.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// The same length and lines, with comments and the contents of literals blanked.
    pub(crate) code: String,
}

/// A word, `::`, or one sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) text: &'s str,
    /// Counts from 1.
    pub(crate) line: usize,
    /// How many inline modules are open around it.
    pub(crate) depth: usize,
    /// Whether it stands in a `#[cfg(test)]` module.
    pub(crate) test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank(text),
        }
    }

    /// Returns the tokens of the code, in order.
    pub(crate) fn tokens(&self) -> Vec<Token<'_>> {
        let mut tokens = words(&self.code);
        mark_modules(&mut tokens);
        tokens
    }

    /// Returns the module path of a file below a source folder: `plan/hash.rs` is `[plan, hash]`, `lib.rs` is `[]`.
    pub(crate) fn modules(&self, folder: &str) -> Vec<String> {
        let inner = self
            .path
            .strip_prefix(folder)
            .unwrap_or(&self.path)
            .trim_start_matches('/');
        let stem = inner.trim_end_matches(".rs");
        match stem {
            "lib" | "main" => Vec::new(),
            _ => stem.split('/').map(str::to_owned).collect(),
        }
    }
}

/// Returns every `.rs` file below the given folders, sorted by path; a folder that is missing has none.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found: Vec<Source> = folders
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| Source::new(&path, &read(&path)))
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Returns the paths below a folder whose name ends in `.<ending>`, sorted, from the repository root.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let root = repository();
    let mut paths: Vec<String> = WalkDir::new(root.join(folder))
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|found| found == ending)
        })
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    paths.sort();
    paths
}

/// Returns the text of a file of this repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path))
        .unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// Blanks comments and the contents of literals; line ends stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole literals and comments are blanked")
}

/// Returns the end of the comment or literal that starts at `at`, or `at` when none does.
fn skipped(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let after_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(bytes, at),
        [b'"', ..] => string(bytes, at + 1),
        [b'r', b'"' | b'#', ..] if !after_word => raw_string(bytes, at),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !after_word => match raw_string(bytes, at + 1) {
            end if end == at + 1 => at,
            end => end,
        },
        [b'\'', b'\\', ..] => rest[2..]
            .iter()
            .skip(1)
            .position(|b| *b == b'\'')
            .map_or(bytes.len(), |n| at + n + 4),
        [b'\'', ..] => character(bytes, at),
        _ => at,
    }
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut open) = (start, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, open) = (at + 2, open + 1),
            [b'*', b'/', ..] => (at, open) = (at + 2, open - 1),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

fn string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string(bytes: &[u8], start: usize) -> usize {
    let hashes = bytes[start + 1..]
        .iter()
        .take_while(|b| **b == b'#')
        .count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return start;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    bytes[open + 1..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(bytes.len(), |n| open + 1 + n + close.len())
}

/// A character in quotes is skipped; a lifetime is not.
fn character(bytes: &[u8], at: usize) -> usize {
    let width = match bytes.get(at + 1) {
        Some(0..=0x7f) => 1,
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(_) => 4,
        None => return at,
    };
    if bytes.get(at + 1 + width) == Some(&b'\'') {
        at + width + 2
    } else {
        at
    }
}

fn words(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'\n' => line += 1,
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                while bytes
                    .get(at + 1)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    at += 1;
                }
            }
            b':' if bytes.get(at + 1) == Some(&b':') => at += 1,
            _ => {}
        }
        at += 1;
        let text = code.get(start..at).unwrap_or("");
        if !text.trim().is_empty() {
            tokens.push(Token {
                text,
                line,
                depth: 0,
                test: false,
            });
        }
    }
    tokens
}

/// Fills in which inline modules are open around each token.
fn mark_modules(tokens: &mut [Token<'_>]) {
    #[derive(Clone, Copy)]
    struct Open {
        module: bool,
        test: bool,
    }
    let mut open: Vec<Open> = Vec::new();
    for at in 0..tokens.len() {
        let text = |back: usize| at.checked_sub(back).map_or("", |index| tokens[index].text);
        let inside = open.last().is_some_and(|scope| scope.test);
        let opens_module =
            text(0) == "{" && (text(2) == "mod" || (text(2) == "$" && text(3) == "mod"));
        let opens_test = opens_module
            && (1..12)
                .map(text)
                .collect::<Vec<_>>()
                .windows(4)
                .any(|w| w == [")", "test", "(", "cfg"]);
        if text(0) == "}" {
            open.pop();
        }
        tokens[at].depth = open.iter().filter(|scope| scope.module).count();
        tokens[at].test = open.last().is_some_and(|scope| scope.test);
        if tokens[at].text == "{" {
            open.push(Open {
                module: opens_module,
                test: inside || opens_test,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        let source = Source::new(
            "x.rs",
            "a /* b /* c */ d */ e // f\n\"g\\\"h\" r#\"i\"j\"# 'k' '\\n' '\\'' &'l m b\"n\" br\"o\" 'é' r#fn p",
        );
        let texts: Vec<&str> = source.tokens().iter().map(|token| token.text).collect();
        assert_eq!(
            texts,
            ["a", "e", "&", "'", "l", "m", "b", "r", "#", "fn", "p"]
        );
        assert_eq!(source.code.lines().count(), source.text.lines().count());
    }

    #[test]
    fn tokens_know_their_modules() {
        let source = Source::new(
            "x.rs",
            "one { }\n#[cfg(test)]\nmod tests { two\nmod inner { three } }\nfour",
        );
        let tokens = source.tokens();
        let of = |word: &str| {
            tokens
                .iter()
                .find(|token| token.text == word)
                .map(|t| (t.line, t.depth, t.test))
        };
        assert_eq!(of("one"), Some((1, 0, false)));
        assert_eq!(of("two"), Some((3, 1, true)));
        assert_eq!(of("three"), Some((4, 2, true)));
        assert_eq!(of("four"), Some((5, 0, false)));
    }

    #[test]
    fn a_file_is_a_module_path() {
        let modules = |path: &str| Source::new(path, "").modules("src").join("::");
        assert_eq!(modules("src/plan/hash.rs"), "plan::hash");
        assert_eq!(modules("src/lib.rs"), "");
    }
}
