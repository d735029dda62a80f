//! The shapes a human writes: a table of every key with its type, and the walk that holds a file
//! against it. The table is the one source of what is known: `schema` prints it.
//! Refuses to judge how one key bears on another; that is the sections' work.

mod deploy;
mod original;
mod project;

pub(super) use project::{INCLUDED, STAGECRAFT};

use super::fault::Faults;
use super::nearest;
use super::node::{Node, Scalar, Value, View};
use super::quantity;

/// What a value may look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number between two bounds, both included.
    Whole(i64, i64),
    /// One of some strings.
    Choice(&'static [&'static str]),
    /// `10m`.
    Duration,
    /// `1GiB`.
    Size,
    /// `5%`.
    Percent,
    /// A list of one shape.
    List(&'static Shape),
    /// Names that the user chooses, each with a value of one shape.
    Map(&'static Shape),
    /// Known keys.
    Record(&'static [Field]),
    /// The first of several shapes that has the value's sort; the text says what is expected.
    Either(&'static str, &'static [Shape]),
    /// Anything: it belongs to a provider that is not built in.
    Anything,
    /// A key that is known and refused; the text says why.
    Refused(&'static str),
}

/// A known key of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) presence: Presence,
    pub(super) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Optional,
    /// The walk reports its absence.
    Required,
    /// Its section reports its absence, in words of its own.
    RequiredBySection,
}

const fn optional(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        key,
        shape,
        presence: Presence::Optional,
        doc,
    }
}

const fn required(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        key,
        shape,
        presence: Presence::Required,
        doc,
    }
}

const fn section(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        key,
        shape,
        presence: Presence::RequiredBySection,
        doc,
    }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const TEXT_MAP: Shape = Shape::Map(&Shape::Text);

impl Shape {
    /// Returns what is expected, in words.
    fn expected(&self) -> String {
        match self {
            Shape::Text => "a string".to_owned(),
            Shape::Flag => "`true` or `false`".to_owned(),
            Shape::Whole(..) => "a whole number".to_owned(),
            Shape::Choice(choices) => one_of(choices),
            Shape::Duration => "a duration such as `10m`".to_owned(),
            Shape::Size => "a size such as `1GiB`".to_owned(),
            Shape::Percent => "a percentage such as `5%`".to_owned(),
            Shape::List(item) => format!("a list of {}", item.plural()),
            Shape::Map(value) => format!("a mapping of names to {}", value.plural()),
            Shape::Record(_) => "a mapping".to_owned(),
            Shape::Either(text, _) => (*text).to_owned(),
            Shape::Anything | Shape::Refused(_) => "a value".to_owned(),
        }
    }

    fn plural(&self) -> &'static str {
        match self {
            Shape::Text | Shape::Choice(_) => "strings",
            Shape::Flag => "booleans",
            Shape::Whole(..) => "whole numbers",
            Shape::Duration => "durations",
            Shape::Size => "sizes",
            Shape::Percent => "percentages",
            Shape::List(_) => "lists",
            Shape::Map(_) | Shape::Record(_) => "mappings",
            Shape::Either(..) | Shape::Anything | Shape::Refused(_) => "values",
        }
    }

    /// Returns whether the node is of the sort that this shape judges further.
    fn accepts(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Shape::Anything | Shape::Refused(_), _)
            | (Shape::List(_), Value::List(_))
            | (Shape::Map(_) | Shape::Record(_), Value::Map(_) | Value::Scalar(Scalar::Null, _))
            | (Shape::Flag, Value::Scalar(Scalar::Flag(_), _))
            | (Shape::Whole(..), Value::Scalar(Scalar::Integer(_), _))
            | (
                Shape::Text | Shape::Choice(_) | Shape::Duration | Shape::Size | Shape::Percent,
                Value::Scalar(Scalar::Text, _),
            ) => true,
            (Shape::Either(_, shapes), _) => shapes.iter().any(|shape| shape.accepts(node)),
            _ => false,
        }
    }
}

fn one_of(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

/// Reports everything in `view` that does not have the shape.
pub(super) fn check(view: View<'_>, shape: &Shape, faults: &mut Faults) {
    if let Shape::Refused(why) = shape {
        faults.add(view.key_at(), why);
        return;
    }
    if !shape.accepts(view.node) {
        let message = format!(
            "expected {}, found {}",
            shape.expected(),
            view.node.describe()
        );
        faults.advise(view.at(), message, sort_hint(view.node, shape));
        return;
    }
    match shape {
        Shape::Text => check_text(view, faults),
        Shape::Whole(low, high) => check_whole(view, *low, *high, faults),
        Shape::Choice(choices) => check_choice(view, choices, faults),
        Shape::Duration => check_quantity(view, |text| quantity::duration(text).map(drop), faults),
        Shape::Size => check_quantity(view, |text| quantity::size(text).map(drop), faults),
        Shape::Percent => check_quantity(view, |text| quantity::percent(text).map(drop), faults),
        Shape::List(item) => view.items().for_each(|view| check(view, item, faults)),
        Shape::Map(value) => view.entries().for_each(|view| check(view, value, faults)),
        Shape::Record(fields) => check_record(view, fields, faults),
        Shape::Either(_, shapes) => {
            if let Some(shape) = shapes.iter().find(|shape| shape.accepts(view.node)) {
                check(view, shape, faults);
            }
        }
        Shape::Flag | Shape::Anything | Shape::Refused(_) => {}
    }
}

fn sort_hint(node: &Node, shape: &Shape) -> Option<String> {
    let Value::Scalar(scalar, text) = &node.value else {
        return None;
    };
    match (shape, scalar) {
        (Shape::Flag, Scalar::Text) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" | "true" => Some("write `true`".to_owned()),
            "no" | "off" | "n" | "false" => Some("write `false`".to_owned()),
            _ => None,
        },
        (Shape::Whole(..), Scalar::Text) => text
            .parse::<i64>()
            .ok()
            .map(|number| format!("write `{number}` without quotes")),
        (Shape::Text, Scalar::Flag(_) | Scalar::Integer(_) | Scalar::Float) => {
            Some(format!("quote it: `\"{text}\"`"))
        }
        (Shape::Text, Scalar::Null) => Some("write `\"\"` for an empty string".to_owned()),
        (Shape::Duration, Scalar::Integer(_)) => Some(format!("add a unit: `{text}s`")),
        (Shape::Size, Scalar::Integer(_)) => Some(format!("add a unit: `{text}B`")),
        (Shape::Percent, Scalar::Integer(_)) => Some(format!("write `{text}%`")),
        (Shape::List(Shape::Text), Scalar::Text) if !text.contains(char::is_whitespace) => {
            Some(format!("write `[{text}]`"))
        }
        _ => None,
    }
}

fn check_text(view: View<'_>, faults: &mut Faults) {
    if view.text().is_some_and(|text| text.contains('\0')) {
        faults.add(view.at(), "a string cannot hold U+0000");
    }
}

fn check_whole(view: View<'_>, low: i64, high: i64, faults: &mut Faults) {
    let Some(number) = view.integer() else {
        return;
    };
    if number < i128::from(low) {
        faults.add(view.at(), format_args!("must be at least {low}"));
    } else if number > i128::from(high) {
        faults.add(view.at(), format_args!("must be at most {high}"));
    }
}

fn check_choice(view: View<'_>, choices: &[&'static str], faults: &mut Faults) {
    let Some(text) = view.text().filter(|text| !choices.contains(text)) else {
        return;
    };
    let hint = nearest::nearest(text, choices.iter().copied())
        .map(|name| format!("did you mean `{name}`?"));
    faults.advise(
        view.at(),
        format_args!("`{text}` is not {}", one_of(choices)),
        hint,
    );
}

fn check_quantity(
    view: View<'_>,
    parse: impl Fn(&str) -> Result<(), quantity::QuantityError>,
    faults: &mut Faults,
) {
    if let Some(text) = view.text()
        && let Err(error) = parse(text)
    {
        faults.add(view.at(), format_args!("`{text}`: {error}"));
    }
}

fn check_record(view: View<'_>, fields: &[Field], faults: &mut Faults) {
    for entry in view.entries() {
        check_field(entry, fields, faults);
    }
    for field in fields {
        if field.presence == Presence::Required && view.get(field.key).is_none() {
            faults.add(
                view.key_at(),
                format_args!("`{}` is required here", field.key),
            );
        }
    }
}

fn check_field(entry: View<'_>, fields: &[Field], faults: &mut Faults) {
    if let Some(field) = fields.iter().find(|field| field.key == entry.key()) {
        check(entry, &field.shape, faults);
        return;
    }
    let known: Vec<&str> = fields
        .iter()
        .filter(|field| !matches!(field.shape, Shape::Refused(_)))
        .map(|field| field.key)
        .collect();
    let hint = nearest::suggest(entry.key(), known.iter().copied(), "known keys");
    faults.advise(
        entry.key_at(),
        format_args!("unknown key `{}`", entry.key()),
        hint,
    );
}

/// Holds one entry of a record against its field; an unknown key is a fault.
pub(super) fn check_entry(entry: View<'_>, shape: &Shape, faults: &mut Faults) {
    let Shape::Record(fields) = shape else {
        return;
    };
    check_field(entry, fields, faults);
}

/// Returns whether a whole file may have this key.
pub(super) fn is_section(key: &str) -> bool {
    matches!(STAGECRAFT, Shape::Record(fields) if fields.iter().any(|field| field.key == key))
}

/// Returns whether some environment may have this key.
pub(super) fn is_environment_key(key: &str) -> bool {
    matches!(deploy::ENVIRONMENT, Shape::Record(fields) if fields.iter().any(|field| field.key == key))
}
