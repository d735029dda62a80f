//! YAML text -> `Node` tree with places; every fault of the syntax, each with its place.
//! The only file that names the YAML library of `stagecraft.yml`. Refuses what would make one
//! text mean two things: duplicate keys, merge keys, tags, several documents, unbounded aliases.

mod scalar;

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as Marks};

use super::fault::Faults;
use super::node::{Entry, Node, Scalar, Span, Value};

/// Collections may nest this deep.
pub(super) const MAX_DEPTH: usize = 64;
/// All aliases of a document together may stand for this many values.
pub(super) const MAX_ALIASED: usize = 100_000;

/// What one text holds.
pub(super) struct Tree {
    /// The root; none where the text holds no value or `broken`.
    pub(super) root: Option<Node>,
    pub(super) faults: Faults,
    /// Values are missing: the text ends, for the parser, at a fault, or a merge was refused.
    pub(super) broken: bool,
}

/// Reads one document. `file` appears in locations only.
pub(super) fn read(file: &str, text: &str) -> Tree {
    let mut builder = Builder::new(file, text);
    let root = match builder
        .check_characters()
        .and_then(|()| builder.build(text))
    {
        Ok(root) => root,
        Err(Stop) => {
            return Tree {
                root: None,
                faults: builder.faults,
                broken: true,
            };
        }
    };
    Tree {
        root,
        broken: builder.partial,
        faults: builder.faults,
    }
}

/// A fault after which the rest of the text has no certain meaning; it is in `faults` already.
struct Stop;

struct Builder<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    faults: Faults,
    open: Vec<Frame>,
    /// Finished anchored values; an anchor whose value is still open has none yet.
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
    /// A merge was refused: its mapping lacks what the merge would have brought.
    partial: bool,
}

/// A collection whose end was not seen yet.
struct Frame {
    start: Marks,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: BTreeMap<String, usize>,
        next: Next,
    },
}

/// What a mapping waits for.
enum Next {
    Key,
    Value(String, Span),
    /// The value of a key that was refused.
    Ignored,
}

impl<'a> Builder<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            lines: text.lines().collect(),
            faults: Faults::default(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliased: 0,
            partial: false,
        }
    }

    /// Refuses characters that editors hide and that terminals obey.
    fn check_characters(&mut self) -> Result<(), Stop> {
        for (index, line) in self.lines.iter().enumerate() {
            let hidden = |c: char| c.is_control() && c != '\t';
            if let Some((column, character)) = line.chars().enumerate().find(|(_, c)| hidden(*c)) {
                let span = Span {
                    line: index + 1,
                    column: column + 1,
                    length: 1,
                };
                let code = u32::from(character);
                self.faults.advise(
                    span.within(self.file),
                    format_args!("control character U+{code:04X}"),
                    "remove it; in a double-quoted string, write its escape".to_owned(),
                );
                return Err(Stop);
            }
        }
        Ok(())
    }

    fn build(&mut self, text: &'a str) -> Result<Option<Node>, Stop> {
        let mut parser = Parser::new_from_str(text);
        let mut root = None;
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, marks) = event.map_err(|error| self.refuse(&error))?;
            if matches!(event, Event::DocumentStart(_)) {
                documents += 1;
                if documents > 1 {
                    let span = self.span(marks);
                    self.faults.advise(
                        span.within(self.file),
                        "a second document starts here",
                        "keep one document in the file".to_owned(),
                    );
                    return Err(Stop);
                }
            }
            if let Some((node, anchor)) = self.event(event, marks)? {
                if anchor > 0 {
                    self.anchors.insert(anchor, node.clone());
                }
                self.place(node, &mut root);
            }
        }
        // A document of comments alone is one empty plain scalar.
        Ok(root.filter(|node| !node.is_null()))
    }

    /// Takes one event; returns a value that it finished, with its anchor (0: none).
    fn event(&mut self, event: Event<'_>, marks: Marks) -> Result<Option<(Node, usize)>, Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), marks);
                let scalar = match style {
                    // What was meant is clear, and one fault is enough.
                    ScalarStyle::Plain if tag.is_some_and(|tag| tag.suffix == "str") => {
                        Scalar::Text
                    }
                    ScalarStyle::Plain => scalar::resolve(&text),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Scalar::Text,
                };
                // The one string that may mean a merge, told apart from a quoted one.
                let merge = style == ScalarStyle::Plain && text == "<<";
                if merge && self.refuse_merge(marks) {
                    return Ok(None);
                }
                let node = Node {
                    span: self.span(marks),
                    value: Value::Scalar(scalar, text.into_owned()),
                };
                Ok(Some((node, anchor)))
            }
            Event::Alias(anchor) => self.alias(anchor, marks),
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), marks);
                self.push(marks, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), marks);
                let content = Content::Map {
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    next: Next::Key,
                };
                self.push(marks, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                Ok(self.open.pop().map(|frame| self.close(frame, marks)))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(None),
        }
    }

    fn push(
        &mut self,
        start: Marks,
        anchor: usize,
        content: Content,
    ) -> Result<Option<(Node, usize)>, Stop> {
        if self.open.len() >= MAX_DEPTH {
            self.faults.add(
                self.span(start).within(self.file),
                format_args!("nested deeper than {MAX_DEPTH} levels"),
            );
            return Err(Stop);
        }
        self.open.push(Frame {
            start,
            anchor,
            content,
        });
        Ok(None)
    }

    fn close(&self, frame: Frame, end: Marks) -> (Node, usize) {
        let mut span = self.span(frame.start);
        let (length, value) = match frame.content {
            Content::List(items) => (0, Value::List(items)),
            Content::Map { entries, .. } => (
                entries.first().map_or(0, |entry| entry.key_span.length),
                Value::Map(entries),
            ),
        };
        let line = self.lines.get(span.line - 1).copied().unwrap_or_default();
        let is_flow = line
            .chars()
            .nth(span.column - 1)
            .is_some_and(|c| matches!(c, '[' | '{'));
        // A flow collection is marked whole where it fits its line, a block one by its first key.
        if !is_flow {
            span.length = length;
        } else if end.start.line() == span.line {
            span.length = (end.start.col() + 2).saturating_sub(span.column);
        } else {
            span.length = 1;
        }
        (Node { span, value }, frame.anchor)
    }

    /// Puts a finished value where it belongs: into the open collection, or at the root.
    fn place(&mut self, node: Node, root: &mut Option<Node>) {
        let Some(frame) = self.open.last_mut() else {
            *root = Some(node);
            return;
        };
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map {
                entries,
                seen,
                next,
            } => match std::mem::replace(next, Next::Key) {
                Next::Key => *next = take_key(self.file, &mut self.faults, node, seen),
                Next::Value(key, key_span) => {
                    let mut value = node;
                    if value.is_null() && value.span.length == 0 {
                        value.span = key_span;
                    }
                    entries.push(Entry {
                        key,
                        key_span,
                        value,
                    });
                }
                Next::Ignored => {}
            },
        }
    }

    fn alias(&mut self, anchor: usize, marks: Marks) -> Result<Option<(Node, usize)>, Stop> {
        let at = self.span(marks).within(self.file);
        let Some(node) = self.anchors.get(&anchor) else {
            self.faults
                .add(at, "an alias inside the value that it stands for");
            return Err(Stop);
        };
        let (size, height) = measure(node);
        self.aliased += size;
        if self.aliased > MAX_ALIASED {
            self.faults.add(
                at,
                format_args!("aliases stand for more than {MAX_ALIASED} values"),
            );
            return Err(Stop);
        }
        if self.open.len() + height > MAX_DEPTH {
            self.faults
                .add(at, format_args!("nested deeper than {MAX_DEPTH} levels"));
            return Err(Stop);
        }
        // The value itself stands where it is used; what is in it, where it is written.
        let span = self.span(marks);
        Ok(Some((
            Node {
                span,
                ..node.clone()
            },
            0,
        )))
    }

    fn refuse_tag(&mut self, tag: Option<&saphyr_parser::Tag>, marks: Marks) {
        if tag.is_some() {
            self.faults.advise(
                self.span(marks).within(self.file),
                "tags are not supported",
                "remove the `!…`; quote the value if it is a string".to_owned(),
            );
        }
    }

    /// Refuses `<<` where a key is due; returns whether it did.
    fn refuse_merge(&mut self, marks: Marks) -> bool {
        let at = self.span(marks).within(self.file);
        let Some(Frame {
            content: Content::Map { next, .. },
            ..
        }) = self.open.last_mut()
        else {
            return false;
        };
        if !matches!(next, Next::Key) {
            return false;
        }
        *next = Next::Ignored;
        self.partial = true;
        self.faults.advise(
            at,
            "merge keys (`<<`) are not supported",
            "write the entries out, or alias one whole value".to_owned(),
        );
        true
    }

    fn refuse(&mut self, error: &ScanError) -> Stop {
        let span = self.clamp(*error.marker());
        let (message, hint) = self.explain(error.info(), span);
        self.faults
            .advise(span.within(self.file), message, hint.map(str::to_owned));
        Stop
    }

    /// Says a parser's complaint in the words of someone who writes YAML.
    fn explain(&self, info: &str, span: Span) -> (String, Option<&'static str>) {
        if info.contains("unknown anchor") {
            let line = self.lines.get(span.line - 1).copied().unwrap_or_default();
            let name: String = line
                .chars()
                .skip(span.column)
                .take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}' | '[' | '{'))
                .collect();
            return (
                format!("unknown anchor `{name}`"),
                Some("an anchor stands before its aliases"),
            );
        }
        if info.contains("tab") {
            return (
                "a tab where YAML wants spaces".to_owned(),
                Some("indent with spaces"),
            );
        }
        if info.contains("mapping values are not allowed")
            || info.contains("illegal placement of ':'")
        {
            return (
                "not valid YAML: a `:` in the wrong place".to_owned(),
                Some("quote a value that contains `: `"),
            );
        }
        let known = [
            ("simple key", "expected `key: value`", None),
            ("',' or '}'", "expected `,` or `}`", None),
            ("',' or ']'", "expected `,` or `]`", None),
            (
                "did not find expected key",
                "expected a key",
                Some("check the indentation"),
            ),
            (
                "did not find expected '-'",
                "expected `- `",
                Some("check the indentation"),
            ),
            (
                "unexpected end of stream",
                "a quoted string does not end",
                None,
            ),
        ];
        if let Some((_, words, hint)) = known.iter().find(|(sign, ..)| info.contains(sign)) {
            return (format!("not valid YAML: {words}"), *hint);
        }
        (format!("not valid YAML: {info}"), None)
    }

    /// Returns where a scalar or the start of a collection stands.
    fn span(&self, marks: Marks) -> Span {
        let mut span = self.clamp(marks.start);
        span.length = if marks.end.line() == marks.start.line() {
            marks.end.col().saturating_sub(marks.start.col())
        } else {
            let line = self.lines.get(span.line - 1).copied().unwrap_or_default();
            line.trim_end()
                .chars()
                .count()
                .saturating_sub(span.column - 1)
        };
        span
    }

    /// Returns a place that the text has: the end of the file belongs to its last line.
    fn clamp(&self, mark: Marker) -> Span {
        let last = self.lines.len().max(1);
        if mark.line() <= last {
            return Span {
                line: mark.line().max(1),
                column: mark.col() + 1,
                length: 0,
            };
        }
        let column = self.lines.last().map_or(0, |line| line.chars().count());
        Span {
            line: last,
            column: column.max(1),
            length: 0,
        }
    }
}

/// Takes a value as the next key of a mapping.
fn take_key(
    file: &str,
    faults: &mut Faults,
    node: Node,
    seen: &mut BTreeMap<String, usize>,
) -> Next {
    let at = node.span.within(file);
    let Value::Scalar(_, key) = node.value else {
        faults.add(at, "a key must be a string");
        return Next::Ignored;
    };
    if let Some(line) = seen.get(&key) {
        faults.advise(
            at,
            format_args!("duplicate key `{key}`"),
            format!("it stands on line {line} already"),
        );
        return Next::Ignored;
    }
    seen.insert(key.clone(), node.span.line);
    Next::Value(key, node.span)
}

/// Returns how many values a value holds, itself included, and how deep its collections nest.
fn measure(node: &Node) -> (usize, usize) {
    let below: Vec<(usize, usize)> = match &node.value {
        Value::Scalar(..) => return (1, 0),
        Value::List(items) => items.iter().map(measure).collect(),
        Value::Map(entries) => entries.iter().map(|entry| measure(&entry.value)).collect(),
    };
    let size = below.iter().map(|(size, _)| size).sum::<usize>();
    let height = below.iter().map(|(_, height)| *height).max().unwrap_or(0);
    (size + 1, height + 1)
}
