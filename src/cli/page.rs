//! `Page`: text for people, line by line.

use std::fmt::{Arguments, Write as _};

/// A text that grows by whole lines.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Adds a line.
    pub(super) fn line(&mut self, line: Arguments<'_>) {
        // Writing to a String cannot fail.
        writeln!(self.0, "{line}").ok();
    }

    /// Returns the text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}
