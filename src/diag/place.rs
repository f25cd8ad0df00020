//! Places in source texts.

use std::ops::Range;
use std::sync::Arc;

/// A named source text; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(Arc<(String, String)>);

impl Source {
    /// Keeps a text under the name that messages show.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self(Arc::new((name.into(), text.into())))
    }

    /// The name: a path as the user typed it, or something like `std/policy`.
    pub fn name(&self) -> &str {
        &self.0.0
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.0.1
    }

    /// Turns a line and a column in characters, both from 1, into a byte offset; past the end means the end.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let text = self.text();
        let mut start = 0;
        for (index, content) in text.split_inclusive('\n').enumerate() {
            if index + 1 == line {
                let ahead: usize = content
                    .chars()
                    .take(column.saturating_sub(1))
                    .map(char::len_utf8)
                    .sum();
                return start + ahead;
            }
            start += content.len();
        }
        text.len()
    }

    /// Turns a byte offset into a line and a column in characters, both from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let text = self.text();
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (line, column)
    }
}

/// A range of a source text with a word about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text.
    pub source: Source,
    /// Bytes in it.
    pub span: Range<usize>,
    /// What is there; may be empty.
    pub text: String,
}

impl Label {
    /// Points at a range of bytes.
    pub fn new(source: &Source, span: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            source: source.clone(),
            span,
            text: text.into(),
        }
    }
}

/// One call on the way to a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function that was called.
    pub function: String,
    /// Where it was called from, if that is known.
    pub at: Option<Label>,
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn converts_positions_both_ways() {
        let source = Source::new("x", "ä b\ncd\n");
        for (line, column, offset) in [(1, 1, 0), (1, 2, 2), (2, 1, 5), (2, 3, 7), (9, 9, 8)] {
            assert_eq!(source.offset(line, column), offset, "{line}:{column}");
        }
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(
            source.position(1),
            (1, 1),
            "inside a character means before it"
        );
        assert_eq!(source.position(6), (2, 2));
    }
}
