//! YAML documents: read with comments, written as sops writes them.
//!
//! `read` knows the syntax, `resolve` what a plain scalar means, `write` the layout.

mod read;
mod resolve;
mod scalar;
mod write;

use crate::cipher::tree::{Branches, Value};
use crate::error::Result;

/// Spaces of one level unless the rules file says otherwise.
pub(super) const INDENT: usize = 4;

/// Reads all documents of a file.
pub(in crate::cipher) fn read(text: &str) -> Result<Branches> {
    read::documents(text)
}

/// Writes all documents.
pub(super) fn write(branches: &Branches, indent: Option<usize>) -> String {
    write::write(branches, indent.unwrap_or(INDENT))
}

/// Writes one value.
pub(super) fn write_value(value: &Value) -> String {
    write::write_value(value, INDENT)
}
