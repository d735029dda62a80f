//! Validated names. A value of one of these types cannot be malformed: parse, don't validate.
//! Refuses to know what a name refers to.

use std::fmt;
use std::str::FromStr;

/// Why a text is not a name of the wanted sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("{sort} must be non-empty")]
    Empty {
        /// What the text should have named.
        sort: &'static str,
    },
    /// The text holds a character that the sort does not allow, or starts with one it may not start with.
    #[error("{sort} `{text}` has `{character}` at character {position}; {rule}")]
    Character {
        /// What the text should have named.
        sort: &'static str,
        /// The text as written.
        text: String,
        /// The offending character.
        character: char,
        /// Its position, counted from 1.
        position: usize,
        /// What the sort allows.
        rule: &'static str,
    },
    /// A path has an empty, `.` or `..` part, or starts at the root.
    #[error("{sort} `{text}` must be a relative path without empty, `.` or `..` parts")]
    Path {
        /// What the text should have named.
        sort: &'static str,
        /// The text as written.
        text: String,
    },
}

const WORD: &str =
    "a name starts with a letter or digit and goes on with letters, digits, `_`, `.` or `-`";

fn check_word(sort: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { sort });
    }
    for (index, character) in text.chars().enumerate() {
        let fits = character.is_ascii_alphanumeric()
            || (index > 0 && matches!(character, '_' | '.' | '-'));
        if !fits {
            return Err(NameError::Character {
                sort,
                text: text.to_owned(),
                character,
                position: index + 1,
                rule: WORD,
            });
        }
    }
    Ok(())
}

fn check_words(sort: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { sort });
    }
    for part in text.split('/') {
        if matches!(part, "" | "." | "..") {
            return Err(NameError::Path {
                sort,
                text: text.to_owned(),
            });
        }
        check_word(sort, part)?;
    }
    Ok(())
}

/// The root itself is the empty path.
fn check_path(sort: &'static str, text: &str) -> Result<(), NameError> {
    let bad = text.starts_with('/')
        || text.contains('\0')
        || (!text.is_empty() && text.split('/').any(|part| matches!(part, "" | "." | "..")));
    if bad {
        return Err(NameError::Path {
            sort,
            text: text.to_owned(),
        });
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $sort:literal, $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check($sort, text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// The project's name: `project.name`.
    ProjectName, "project name", check_word;
    /// A key of `environments`.
    EnvironmentName, "environment name", check_word;
    /// A key of `services`; the same rule as Compose's.
    ServiceName, "service name", check_word;
    /// A key of `operations`, after `include` and `for`: words joined by `/`.
    OperationName, "operation name", check_words;
    /// A host that operations act on; `local` for drivers `directory` and `local`.
    HostName, "host name", check_word;
    /// A path inside the project or an output tree: UTF-8, relative, `/` between parts, no `.` or `..`;
    /// the empty path is the root.
    ProjectPath, "path", check_path;
}

impl HostName {
    /// Returns the host of the drivers that act on this machine.
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl ProjectPath {
    /// Returns the root.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the path below this one.
    pub fn join(&self, below: &ProjectPath) -> ProjectPath {
        match (self.0.as_str(), below.0.as_str()) {
            ("", _) => below.clone(),
            (_, "") => self.clone(),
            (parent, child) => Self(format!("{parent}/{child}")),
        }
    }

    /// Returns the directory that holds this path; the root for a top-level name and for the root.
    pub fn parent(&self) -> ProjectPath {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Self(parent.to_owned()),
            None => Self::root(),
        }
    }

    /// Returns the parts, from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// Returns whether `self` is `ancestor` or lies below it.
    pub fn starts_with(&self, ancestor: &ProjectPath) -> bool {
        ancestor.is_root()
            || self.0 == ancestor.0
            || self
                .0
                .strip_prefix(&ancestor.0)
                .is_some_and(|rest| rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_they_cannot_hold() {
        assert!("shop".parse::<ProjectName>().is_ok());
        assert!("".parse::<ProjectName>().is_err());
        assert!("-x".parse::<ServiceName>().is_err());
        assert!("packages/a/build".parse::<OperationName>().is_ok());
        assert!("packages//build".parse::<OperationName>().is_err());
        assert!("../up".parse::<OperationName>().is_err());
        assert_eq!(
            "a b".parse::<ServiceName>().unwrap_err().to_string(),
            "service name `a b` has ` ` at character 2; a name starts with a letter or digit and goes on with letters, digits, `_`, `.` or `-`"
        );
    }

    #[test]
    fn paths_stay_inside_the_project() {
        for bad in ["/etc", "a//b", "./a", "a/../b", "a/"] {
            assert!(bad.parse::<ProjectPath>().is_err(), "{bad}");
        }
        let path: ProjectPath = "services/api".parse().unwrap();
        assert_eq!(path.parent().as_str(), "services");
        assert!(path.starts_with(&"services".parse().unwrap()));
        assert!(!path.starts_with(&"serv".parse().unwrap()));
        assert_eq!(ProjectPath::root().join(&path), path);
    }
}
