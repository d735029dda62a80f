//! `Leaves`: what went into an `ActionKey`, one line each, kept so that a miss can be explained.
//! An object in the store; never part of a key itself.

use stagecraft_store::{DecodeError, Decoder, Encoder};

/// The sorts of leaf, in the order in which a difference is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeafKind {
    /// The command line or script.
    Command,
    /// Another part of the recipe: workdir, outputs, network, platform, sandbox contract.
    Recipe,
    /// A variable: its own or a passed one.
    Variable,
    /// A tool's identity.
    Tool,
    /// The identity of the base utilities.
    Base,
    /// A source file or symlink.
    Source,
    /// The output of a dependency.
    Dependency,
    /// A part of the state that an effect wants on its target.
    Target,
}

impl LeafKind {
    const ALL: [Self; 8] = [
        Self::Command,
        Self::Recipe,
        Self::Variable,
        Self::Tool,
        Self::Base,
        Self::Source,
        Self::Dependency,
        Self::Target,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Command => 0,
            Self::Recipe => 1,
            Self::Variable => 2,
            Self::Tool => 3,
            Self::Base => 4,
            Self::Source => 5,
            Self::Dependency => 6,
            Self::Target => 7,
        }
    }

    /// Returns the word for it in `why --format json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Recipe => "recipe",
            Self::Variable => "variable",
            Self::Tool => "tool",
            Self::Base => "base",
            Self::Source => "source",
            Self::Dependency => "dependency",
            Self::Target => "target",
        }
    }
}

/// One thing that went into a key: its sort, its name, and its value as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The sort.
    pub kind: LeafKind,
    /// Which one: a path, a variable, a tool, an operation.
    pub name: String,
    /// Its value: a digest, or short text; never a secret's value.
    pub value: String,
}

/// All leaves of one action, sorted by kind and name, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaves(Vec<Leaf>);

const VERSION: u8 = 1;

impl Leaves {
    /// Returns the leaves in order.
    pub fn new(mut leaves: Vec<Leaf>) -> Self {
        leaves.sort();
        leaves.dedup();
        Self(leaves)
    }

    /// Returns them, sorted.
    pub fn as_slice(&self) -> &[Leaf] {
        &self.0
    }

    /// Returns the bytes kept in the store (`spec/evaluate/explain.md`).
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u8(VERSION);
        encoder.list(&self.0, |encoder, leaf| {
            encoder.u8(leaf.kind.code());
            encoder.text(&leaf.name);
            encoder.text(&leaf.value);
        });
        encoder.into_bytes()
    }

    /// Returns the leaves that `bytes` hold; `None` where another version wrote them.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        if decoder.u8()? != VERSION {
            return Ok(None);
        }
        let leaves = decoder.list(|decoder| {
            let code = decoder.u8()?;
            let kind = LeafKind::ALL.into_iter().find(|kind| kind.code() == code);
            let (name, value) = (decoder.text()?.to_owned(), decoder.text()?.to_owned());
            Ok(kind.map(|kind| Leaf { kind, name, value }))
        })?;
        decoder.finish()?;
        Ok(leaves.into_iter().collect::<Option<Vec<_>>>().map(Self::new))
    }
}
