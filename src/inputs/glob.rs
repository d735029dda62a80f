//! `Pattern`: one glob, split into the directory that it starts from and what is matched below.
//! The literal part costs no automaton, and patterns with equal rests share one. Reads no file.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

/// A directory of either name never matches, wherever it is, nor does anything below.
pub(super) const NEVER: [&str; 2] = [".git", ".stagecraft"];

/// No limit on how many directories a pattern reaches down.
pub(super) const WHOLE: usize = usize::MAX;

/// One glob or literal path, ready to match.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// A path, and everything below it.
    Literal(String),
    /// Everything below `prefix`.
    Tree {
        /// The directory.
        prefix: String,
    },
    /// What `rest` matches below `prefix`.
    Glob {
        /// The directory; empty for the root.
        prefix: String,
        /// Matches the path from `prefix`.
        rest: Arc<GlobMatcher>,
        /// How many names deep a match may lie below `prefix`.
        depth: usize,
    },
}

/// The matchers built so far, by the text of the rest.
#[derive(Debug, Default)]
pub(super) struct Matchers(BTreeMap<String, Arc<GlobMatcher>>);

/// Returns whether `text` names one path.
pub(super) fn is_literal(text: &str) -> bool {
    !text.contains(['*', '?', '[', '{'])
}

impl Matchers {
    /// Builds the pattern that `text` says.
    pub(super) fn pattern(&mut self, text: &str) -> Result<Pattern, globset::Error> {
        if is_literal(text) {
            return Ok(Pattern::Literal(text.to_owned()));
        }
        let (prefix, rest) = split(text);
        let prefix = prefix.to_owned();
        if rest == "**" {
            return Ok(Pattern::Tree { prefix });
        }
        let depth = if rest.contains("**") {
            WHOLE
        } else {
            rest.matches('/').count() + 1
        };
        let matcher = if let Some(matcher) = self.0.get(rest) {
            Arc::clone(matcher)
        } else {
            let glob = GlobBuilder::new(rest).literal_separator(true).build()?;
            let matcher = Arc::new(glob.compile_matcher());
            self.0.insert(rest.to_owned(), Arc::clone(&matcher));
            matcher
        };
        Ok(Pattern::Glob {
            prefix,
            rest: matcher,
            depth,
        })
    }
}

/// Splits before the first part that is not literal; an escape ends the literal part too.
fn split(text: &str) -> (&str, &str) {
    let special = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
    match text[..special].rfind('/') {
        Some(slash) => (&text[..slash], &text[slash + 1..]),
        None => ("", text),
    }
}

/// Returns what follows `ancestor` in `path`: empty for the path itself, `None` outside.
pub(super) fn below<'a>(path: &'a str, ancestor: &str) -> Option<&'a str> {
    if ancestor.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(ancestor)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

impl Pattern {
    /// Returns the directory that the pattern starts from, or its path if it is one.
    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::Literal(path) => path,
            Self::Tree { prefix } | Self::Glob { prefix, .. } => prefix,
        }
    }

    /// Returns how many names below its prefix a match may lie.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Literal(_) | Self::Tree { .. } => WHOLE,
            Self::Glob { depth, .. } => *depth,
        }
    }

    /// Returns whether `path` is matched, where a glob's match of a directory says nothing about what is below.
    pub(super) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Literal(literal) => below(path, literal).is_some(),
            Self::Tree { prefix } => below(path, prefix).is_some_and(|rest| !rest.is_empty()),
            Self::Glob { prefix, rest, .. } => {
                below(path, prefix).is_some_and(|path| !path.is_empty() && rest.is_match(path))
            }
        }
    }

    /// Returns whether `path` or a directory above it is matched: what an excluding pattern takes away.
    pub(super) fn excludes(&self, path: &str) -> bool {
        let Self::Glob { prefix, rest, .. } = self else {
            return self.matches(path);
        };
        let Some(path) = below(path, prefix).filter(|path| !path.is_empty()) else {
            return false;
        };
        rest.is_match(path)
            || path
                .match_indices('/')
                .any(|(slash, _)| rest.is_match(&path[..slash]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Matchers::default().pattern(text).unwrap()
    }

    /// spec: inputs/globs R1, inputs/globs R2
    #[test]
    fn one_table_of_what_matches() {
        for (glob, path, expected) in [
            ("**", "a", true),
            ("**", ".env", true),
            ("**", "a/.b/c", true),
            ("src/**", "src/a/b", true),
            ("src/**", "src", false),
            ("src/**", "srcs/a", false),
            ("src/**/*.css", "src/x.css", true),
            ("src/**/*.css", "src/a/b/.x.css", true),
            ("src/**/*.css", "src/x.csss", false),
            ("src/*.css", "src/a/x.css", false),
            ("src/*", "src/.hidden", true),
            ("**/test", "test", true),
            ("**/test", "a/b/test", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**b", "a/x/b", false),
            ("?.c", "a.c", true),
            ("?.c", "/.c", false),
            ("[ab].c", "b.c", true),
            ("[!ab].c", "b.c", false),
            ("{a,b/c}/x", "b/c/x", true),
            ("{a,b/c}/x", "b/x", false),
            ("a\\*/x*", "a*/x1", true),
            ("a\\*/x*", "ab/x1", false),
            ("lib", "lib", true),
            ("lib", "lib/a/b", true),
            ("lib", "libs", false),
            ("*", "a/b", false),
        ] {
            assert_eq!(pattern(glob).matches(path), expected, "{glob} on {path}");
        }
    }

    /// spec: inputs/globs R3
    #[test]
    fn an_excluded_directory_takes_its_tree_along() {
        assert!(pattern("**/node_modules").excludes("a/node_modules/x/y"));
        assert!(pattern("*.d").excludes("a.d/x"));
        assert!(!pattern("*.d").excludes("b/a.d/x"));
        assert!(!pattern("*.d").excludes("a.c/x"));
        assert!(pattern("src/*").excludes("src/a/b"));
        assert!(!pattern("src/*").matches("src/a/b"));
    }

    #[test]
    fn a_glob_reaches_only_as_deep_as_it_says() {
        assert_eq!(pattern("a/b/*.c").prefix(), "a/b");
        assert_eq!(pattern("a/b/*.c").depth(), 1);
        assert_eq!(pattern("packages/*/package.json").depth(), 2);
        assert_eq!(pattern("{a,b/c}/x").depth(), 3);
        assert_eq!(pattern("a/**/b").depth(), WHOLE);
    }
}
