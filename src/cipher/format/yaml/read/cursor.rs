//! Moving in the text: characters, blanks, lines, comments, and what ends a value.

use super::{Pending, Reader};
use crate::cipher::format::at_offset;
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

impl<'a> Reader<'a> {
    pub(in crate::cipher::format::yaml) fn fail(&self, what: &str) -> Error {
        at_offset(
            Error::new(
                &BROKEN_DOCUMENT,
                format!("the YAML text cannot be read: {what}"),
            ),
            self.text,
            self.at,
        )
    }

    pub(super) fn shape(&self, what: &str) -> Error {
        at_offset(Error::new(&UNSUPPORTED_SHAPE, what), self.text, self.at)
    }

    pub(in crate::cipher::format::yaml) fn peek(&self) -> Option<u8> {
        self.byte(0)
    }

    pub(in crate::cipher::format::yaml) fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    pub(in crate::cipher::format::yaml) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn column(&self) -> usize {
        self.at - self.line_start
    }

    pub(in crate::cipher::format::yaml) fn newline(&mut self) {
        self.at += 1;
        self.line_start = self.at;
    }

    pub(in crate::cipher::format::yaml) fn blank_at(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), None | Some(b' ' | b'\t' | b'\n'))
    }

    pub(in crate::cipher::format::yaml) fn at_marker(&self) -> bool {
        self.at == self.line_start
            && (self.rest().starts_with("---") || self.rest().starts_with("..."))
            && self.blank_at(3)
    }

    pub(in crate::cipher::format::yaml) fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    pub(in crate::cipher::format::yaml) fn in_flow(&self) -> bool {
        self.flow > 0
    }

    /// Takes a comment that begins here, to the end of its line.
    pub(super) fn comment(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find('\n').unwrap_or(rest.len());
        let text = rest.get(1..end).unwrap_or_default().to_owned();
        self.at += end;
        text
    }

    /// Skips blanks, lines and comments; the comments wait in `pending`.
    pub(super) fn skip(&mut self) -> Result<()> {
        loop {
            let start = self.at;
            self.spaces();
            match self.peek() {
                Some(b'#') if self.at == self.line_start || self.at > start || self.flow > 0 => {
                    let column = self.column();
                    let text = self.comment();
                    self.pending.push(Pending { column, text });
                }
                Some(b'\n') => self.newline(),
                Some(_)
                    if self.flow == 0
                        && start == self.line_start
                        && self.text[start..self.at].contains('\t') =>
                {
                    return Err(self.fail("a tab cannot indent"));
                }
                _ => return Ok(()),
            }
        }
    }

    /// Takes what may follow a value on its line: blanks and a comment.
    pub(super) fn line_end(&mut self) -> Result<Option<String>> {
        let start = self.at;
        self.spaces();
        match self.peek() {
            None | Some(b'\n') => Ok(None),
            Some(b'#') if self.at > start => Ok(Some(self.comment())),
            // A block scalar ends at the start of a line; the colon of a `? ` key may stand there.
            Some(_) if start == self.line_start => {
                self.at = start;
                Ok(None)
            }
            Some(b':') => Err(self.fail("a mapping cannot begin here")),
            Some(_) => Err(self.fail("something follows the value on its line")),
        }
    }

    /// Takes the comments that stand deeper than what comes next; they belong to the collection that ends here.
    pub(super) fn deep_comments(&mut self) -> Vec<String> {
        let next = if self.peek().is_none() || self.at_marker() {
            0
        } else {
            self.column()
        };
        let count = self
            .pending
            .iter()
            .take_while(|pending| pending.column > next)
            .count();
        self.pending
            .drain(..count)
            .map(|pending| pending.text)
            .collect()
    }
}
