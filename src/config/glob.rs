//! Globs as people write them in `inputs`, `outputs`, `include` and `for`: what is well formed,
//! and which paths a set of output patterns may share.

use globset::{Glob, GlobBuilder};

/// Why a text is not a glob of this project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GlobError {
    #[error("a pattern must be non-empty")]
    Empty,
    #[error("pattern `{text}` must be a relative path without empty, `.` or `..` parts")]
    Path { text: String },
    #[error("pattern `{text}` has a backslash")]
    Backslash { text: String },
    #[error("pattern `{text}` is not a glob: {reason}")]
    Syntax {
        text: String,
        reason: globset::ErrorKind,
    },
}

impl GlobError {
    /// Returns what to write instead, where that is certain.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Path { text } if climbs(text) => None,
            Self::Path { text } => super::path::tidy(text).map(|tidy| match tidy.as_str() {
                "" => "write `**` for the whole directory".to_owned(),
                _ => format!("write `{tidy}`"),
            }),
            Self::Backslash { .. } => {
                Some("write `/` between parts, and `[*]` for a literal `*`".to_owned())
            }
            Self::Empty | Self::Syntax { .. } => None,
        }
    }
}

/// Refuses a text that is no pattern.
pub(super) fn check(text: &str) -> Result<(), GlobError> {
    check_parts(text)?;
    // A text without any of these is a glob of itself, so nothing needs to be compiled to know.
    if text.contains(['*', '?', '[', '{', '}']) {
        compile(text)?;
    }
    Ok(())
}

fn check_parts(text: &str) -> Result<(), GlobError> {
    if text.is_empty() {
        return Err(GlobError::Empty);
    }
    if text.contains('\\') {
        return Err(GlobError::Backslash {
            text: text.to_owned(),
        });
    }
    let malformed = text.split('/').any(|part| matches!(part, "" | "."));
    if climbs(text) || malformed || text.contains('\0') {
        return Err(GlobError::Path {
            text: text.to_owned(),
        });
    }
    Ok(())
}

/// Compiles a pattern whose `*` and `?` stay inside one path part.
fn compile(text: &str) -> Result<Glob, GlobError> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|error| GlobError::Syntax {
            text: text.to_owned(),
            reason: error.kind().clone(),
        })
}

/// Alternatives may hold whole paths: `{a,../b}`.
fn climbs(text: &str) -> bool {
    text.split(['/', '{', ',', '}']).any(|part| part == "..")
}

/// Returns whether the text names one path.
pub(super) fn is_literal(text: &str) -> bool {
    !text.contains(['*', '?', '[', '{'])
}

/// Returns `below` as seen from the directory that holds `directory`.
pub(super) fn join(directory: &str, below: &str) -> String {
    match directory {
        "" => below.to_owned(),
        _ => format!("{directory}/{below}"),
    }
}

/// Returns whether a path matched by one pattern can be, or lie below, one matched by the other.
/// Two patterns that both have wildcards are compared as texts only.
pub(super) fn overlap(first: &str, second: &str) -> bool {
    match (is_literal(first), is_literal(second)) {
        (true, true) => within(first, second) || within(second, first),
        (true, false) => reaches(second, first),
        (false, true) => reaches(first, second),
        (false, false) => first == second,
    }
}

/// Returns whether `path` is `ancestor` or lies below it.
pub(super) fn within(path: &str, ancestor: &str) -> bool {
    path == ancestor
        || path
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.starts_with('/'))
}

fn reaches(pattern: &str, literal: &str) -> bool {
    let parts: Vec<&str> = pattern
        .split('/')
        .take_while(|part| is_literal(part))
        .collect();
    let fixed = parts.join("/");
    if !fixed.is_empty() && within(&fixed, literal) {
        return true;
    }
    let Ok(glob) = check_parts(pattern).and_then(|()| compile(pattern)) else {
        return false;
    };
    let matcher = glob.compile_matcher();
    let ends = literal
        .match_indices('/')
        .map(|(end, _)| end)
        .chain([literal.len()]);
    ends.into_iter()
        .any(|end| matcher.is_match(&literal[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: config/operations R9
    #[test]
    fn patterns_stay_inside_the_project() {
        for bad in [
            "",
            "/etc/*",
            "a//b",
            "./a",
            "a/../b",
            "{a,../b}/c",
            "..",
            "a\\*",
            "a/[",
            "{a",
            "a/",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        for good in [
            "**",
            "src/**/*.css",
            ".config/*",
            "a..b",
            "{a,b}/c",
            "file.[ch]",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        assert!(
            !compile("src/*")
                .unwrap()
                .compile_matcher()
                .is_match("src/a/b")
        );
    }

    /// spec: config/operations R12
    #[test]
    fn outputs_overlap_when_one_can_hold_the_other() {
        for (first, second) in [
            ("dist", "dist"),
            ("dist", "dist/site.css"),
            ("dist", "dist/*.css"),
            ("dist/*.css", "dist/site.css"),
            ("dist/*", "dist/a/b"),
            ("*.o", "*.o"),
        ] {
            assert!(overlap(first, second), "{first} {second}");
            assert!(overlap(second, first), "{second} {first}");
        }
        for (first, second) in [
            ("dist", "dist2"),
            ("dist/*.css", "dist/site.js"),
            ("*.o", "*.a"),
            ("a/*", "b"),
        ] {
            assert!(!overlap(first, second), "{first} {second}");
        }
    }
}
