//! The tree of one YAML document, every value with its place, and `View`, the way sections read it.
//! Knows no YAML library and no meaning of a key.

use super::Location;

/// A place in the text of one document; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

impl Span {
    /// Returns the place as a location in `file`.
    pub(super) fn within(self, file: &str) -> Location {
        Location {
            file: file.to_owned(),
            line: self.line,
            column: self.column,
            length: self.length.max(1),
        }
    }
}

/// What a scalar is under the YAML 1.2 core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Flag(bool),
    /// Saturates at the bounds of the type.
    Integer(i128),
    Float,
    Text,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// What it resolves to, and its text without quotes.
    Scalar(Scalar, String),
    List(Vec<Node>),
    /// In file order; no two entries have the same key.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    /// Returns whether the node is an absent value: `key:` and nothing, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(Scalar::Null, _))
    }

    /// Returns the entries of a mapping; none for any other value.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(..) | Value::List(_) => &[],
        }
    }

    /// Returns what the value is, in words.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(Scalar::Null, _) => "nothing".to_owned(),
            Value::Scalar(Scalar::Flag(flag), _) => format!("`{flag}`"),
            Value::Scalar(Scalar::Integer(_) | Scalar::Float, text) => format!("the number {text}"),
            Value::Scalar(Scalar::Text, _) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// A node, the file it stands in, and the key that leads to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) file: &'a str,
    pub(super) node: &'a Node,
    key: Option<(&'a str, Span)>,
}

impl<'a> View<'a> {
    /// Returns a view of a document's root.
    pub(super) fn root(file: &'a str, node: &'a Node) -> Self {
        Self {
            file,
            node,
            key: None,
        }
    }

    fn below(self, entry: &'a Entry) -> Self {
        Self {
            file: self.file,
            node: &entry.value,
            key: Some((&entry.key, entry.key_span)),
        }
    }

    /// Returns the place of the value.
    pub(super) fn at(&self) -> Location {
        self.node.span.within(self.file)
    }

    /// Returns the place of the key that leads here; the value's own where there is none.
    pub(super) fn key_at(&self) -> Location {
        self.key
            .map_or(self.node.span, |(_, span)| span)
            .within(self.file)
    }

    /// Returns the key that leads here; empty where there is none.
    pub(super) fn key(&self) -> &'a str {
        self.key.map_or("", |(key, _)| key)
    }

    /// Returns the value of `key`, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<View<'a>> {
        let entry = self.node.entries().iter().find(|entry| entry.key == key)?;
        Some(self.below(entry))
    }

    /// Returns the value at the end of a path of keys.
    pub(super) fn find(&self, path: &[&str]) -> Option<View<'a>> {
        path.iter().try_fold(*self, |view, key| view.get(key))
    }

    /// Returns the values of a mapping, in file order.
    pub(super) fn entries(&self) -> impl Iterator<Item = View<'a>> + use<'a> {
        let view = *self;
        view.node
            .entries()
            .iter()
            .map(move |entry| view.below(entry))
    }

    /// Returns the values of a mapping, sorted by key.
    pub(super) fn sorted(&self) -> Vec<View<'a>> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_by_key(View::key);
        entries
    }

    /// Returns the items of a list; none for any other value.
    pub(super) fn items(&self) -> impl Iterator<Item = View<'a>> + use<'a> {
        let file = self.file;
        let items: &'a [Node] = match &self.node.value {
            Value::List(items) => items,
            Value::Scalar(..) | Value::Map(_) => &[],
        };
        items.iter().map(move |node| View {
            file,
            node,
            key: None,
        })
    }

    /// Returns a string.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar(Scalar::Text, text) => Some(text),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the string of `key`.
    pub(super) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.text()
    }

    /// Returns the boolean of `key`.
    pub(super) fn flag_of(&self, key: &str) -> Option<bool> {
        match self.get(key)?.node.value {
            Value::Scalar(Scalar::Flag(flag), _) => Some(flag),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns a whole number.
    pub(super) fn integer(&self) -> Option<i128> {
        match self.node.value {
            Value::Scalar(Scalar::Integer(number), _) => Some(number),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Returns the whole number of `key` as `T`, where it fits.
    pub(super) fn integer_of<T: TryFrom<i128>>(&self, key: &str) -> Option<T> {
        T::try_from(self.get(key)?.integer()?).ok()
    }

    /// Returns whether this can hold keys: a mapping, or nothing. Anything else is a fault of shape,
    /// and what it lacks is no second one.
    pub(super) fn holds_keys(&self) -> bool {
        self.is_map() || self.node.is_null()
    }

    /// Returns whether this is a mapping.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }
}
