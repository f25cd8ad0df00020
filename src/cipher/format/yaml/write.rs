//! Writing YAML the way sops does: block style, the given indentation, quotes only where they are needed.
//!
//! Comments stand before a key, behind a value, or after the last key of a branch. Where a break or a blank line falls
//! follows from a few facts about the last thing written, kept in [`Writer`].

mod emit;
mod shape;

use std::fmt::Write as _;

use self::shape::{Shape, is_break, is_printable};
use super::resolve::needs_quotes;
use crate::cipher::number;
use crate::cipher::tree::{Branch, Comment, Entry, Value};

/// Longest key that is written on the line of its value.
const SIMPLE_KEY: usize = 128;

/// Writes documents.
pub(super) fn write(branches: &[Branch], step: usize) -> String {
    let mut writer = Writer::new(step);
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            writer.indent_line();
            writer.indicator("---", true, false, false);
            writer.indent_line();
        }
        writer.map(branch, Place::Root);
        writer.line_comment();
        writer.foot_comment();
        writer.end_document();
    }
    writer.end_stream()
}

/// Writes one value as a document of its own.
pub(super) fn write_value(value: &Value, step: usize) -> String {
    let mut writer = Writer::new(step);
    writer.node(value, Place::Root);
    writer.end_document();
    writer.end_stream()
}

/// Where a collection stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Item,
    Value,
}

/// What a text is written as.
#[derive(Clone, Copy)]
enum Role {
    Key,
    Value(Place),
}

/// An element of a collection with the comments that belong to it.
struct Element<'a> {
    head: String,
    inline: String,
    key: Option<&'a str>,
    value: &'a Value,
}

/// A collection with its comments sorted out.
struct Parts<'a> {
    lead: String,
    elements: Vec<Element<'a>>,
    tail: String,
}

impl<'a> Parts<'a> {
    fn of_map(branch: &'a Branch) -> Self {
        Self::sort(branch.0.iter().map(|entry| match entry {
            Entry::Comment(comment) => Err(comment),
            Entry::Pair(key, value) => Ok((Some(key.as_str()), value)),
        }))
    }

    fn of_list(list: &'a [Value]) -> Self {
        Self::sort(list.iter().map(|value| match value {
            Value::Comment(comment) => Err(comment),
            value => Ok((None, value)),
        }))
    }

    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Map(branch) => Some(Self::of_map(branch)),
            Value::List(list) => Some(Self::of_list(list)),
            _ => None,
        }
    }

    fn sort(
        entries: impl Iterator<Item = Result<(Option<&'a str>, &'a Value), &'a Comment>>,
    ) -> Self {
        let mut parts = Self {
            lead: String::new(),
            elements: Vec::new(),
            tail: String::new(),
        };
        let (mut head, mut inline) = (String::new(), String::new());
        for entry in entries {
            match entry {
                Err(comment) => push_line(
                    if comment.inline {
                        &mut inline
                    } else {
                        &mut head
                    },
                    &comment.text,
                ),
                Ok((key, value)) => {
                    let mut head = std::mem::take(&mut head);
                    if parts.elements.is_empty() {
                        // The first comments belong to the collection itself.
                        parts.lead = std::mem::take(&mut head);
                    }
                    parts.elements.push(Element {
                        head,
                        inline: std::mem::take(&mut inline),
                        key,
                        value,
                    });
                }
            }
        }
        join_lines(&mut head, &inline);
        parts.tail = head;
        parts
    }
}

fn push_line(lines: &mut String, text: &str) {
    if !lines.is_empty() {
        lines.push('\n');
    }
    lines.push('#');
    lines.push_str(text);
}

fn join_lines(lines: &mut String, more: &str) {
    if !lines.is_empty() && !more.is_empty() {
        lines.push('\n');
    }
    lines.push_str(more);
}

struct Writer {
    out: String,
    step: usize,
    indent: Option<usize>,
    column: usize,
    whitespace: bool,
    indention: bool,
    open_ended: bool,
    foot_indent: Option<usize>,
    head: String,
    line: String,
    foot: String,
    tail: String,
}

impl Writer {
    fn new(step: usize) -> Self {
        Self {
            out: String::new(),
            step,
            indent: None,
            column: 0,
            whitespace: true,
            indention: true,
            open_ended: false,
            foot_indent: None,
            head: String::new(),
            line: String::new(),
            foot: String::new(),
            tail: String::new(),
        }
    }

    fn end_document(&mut self) {
        self.foot_indent = Some(0);
        self.foot_comment();
        self.foot_indent = None;
        self.indent_line();
    }

    fn end_stream(mut self) -> String {
        if self.open_ended {
            self.indicator("...", true, false, false);
            self.indent_line();
        }
        self.out
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Map(branch) => self.map(branch, place),
            Value::List(list) => self.list(list, place),
            Value::Text(text) => self.text(text, Role::Value(place)),
            Value::Bytes(bytes) => self.text(&String::from_utf8_lossy(bytes), Role::Value(place)),
            Value::Comment(comment) => self.text(&comment.text, Role::Value(place)),
            Value::Time(text) => self.plain(text),
            Value::Null => self.plain("null"),
            Value::Bool(truth) => self.plain(if *truth { "true" } else { "false" }),
            Value::Int(whole) => self.plain(&whole.to_string()),
            Value::Float(float) if float.is_nan() => self.plain(".nan"),
            Value::Float(float) if float.is_infinite() => {
                self.plain(if *float > 0.0 { ".inf" } else { "-.inf" });
            }
            Value::Float(float) => self.plain(&number::general(*float, 6, 'e')),
        }
    }

    /// Steps into a collection; gives the old indentation back.
    fn deeper(&mut self, place: Place) -> Option<usize> {
        let old = self.indent;
        self.indent = Some(match (old, place) {
            (None, _) => 0,
            (Some(indent), Place::Item) => indent + 2,
            (Some(indent), _) => self.step * ((indent + self.step) / self.step),
        });
        old
    }

    /// Places the collection's own comments; true if there is something to step into.
    fn open(&mut self, parts: &Parts<'_>, place: Place, empty: &str) -> bool {
        match place {
            // The item's dash was written after them already.
            Place::Item => {}
            Place::Root => {
                self.head.clone_from(&parts.lead);
                self.head_comment();
            }
            Place::Value => self.head.clone_from(&parts.lead),
        }
        if parts.elements.is_empty() {
            if !parts.tail.is_empty() {
                self.line.clone_from(&parts.tail);
            }
            self.indicator(empty, true, false, false);
            self.line_comment();
            return false;
        }
        true
    }

    fn map(&mut self, branch: &Branch, place: Place) {
        let parts = Parts::of_map(branch);
        if !self.open(&parts, place, "{}") {
            return;
        }
        let old = self.deeper(place);
        for element in &parts.elements {
            if !element.head.is_empty() {
                self.head.clone_from(&element.head);
            }
            self.head_comment();
            self.indent_line();
            let key = element.key.unwrap_or_default();
            if key == "<<" {
                // A merge key that was expanded keeps its meaning by its tag.
                self.plain("!!merge <<");
                self.indicator(":", false, false, false);
            } else if key.len() <= SIMPLE_KEY && !key.contains(is_break) {
                self.text(key, Role::Key);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, Role::Value(Place::Value));
                self.indent_line();
                self.indicator(":", true, false, true);
            }
            self.element(element, Place::Value);
        }
        self.tail.clone_from(&parts.tail);
        self.head_comment();
        self.indent = old;
    }

    fn list(&mut self, list: &[Value], place: Place) {
        let parts = Parts::of_list(list);
        if !self.open(&parts, place, "[]") {
            return;
        }
        let old = self.deeper(place);
        let last = parts.elements.len() - 1;
        for (index, element) in parts.elements.iter().enumerate() {
            let mut head = element.head.clone();
            if let Some(inner) = Parts::of(element.value) {
                join_lines(&mut head, &inner.lead);
            }
            if !head.is_empty() {
                self.head = head;
            }
            self.head_comment();
            self.indent_line();
            self.indicator("-", true, false, true);
            let foot = index == last && !parts.tail.is_empty();
            if foot && !element.value.is_complex() {
                self.foot.clone_from(&parts.tail);
            }
            self.element(element, Place::Item);
            if foot && element.value.is_complex() {
                self.foot.clone_from(&parts.tail);
            }
        }
        self.indent = old;
    }

    /// Writes a value with its comments; those of a collection come out at the next scalar.
    fn element(&mut self, element: &Element<'_>, place: Place) {
        if element.value.is_complex() {
            self.node(element.value, place);
            if !element.inline.is_empty() {
                self.line.clone_from(&element.inline);
            }
        } else {
            self.line.clone_from(&element.inline);
            self.node(element.value, place);
            self.line_comment();
            self.foot_comment();
        }
    }

    // --- scalars

    fn plain(&mut self, text: &str) {
        if !text.is_empty() && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        if !text.is_empty() {
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn text(&mut self, text: &str, role: Role) {
        let shape = Shape::of(text);
        let multiline = text.contains('\n');
        if multiline
            && shape.block
            && let Role::Value(place) = role
        {
            let old = self.deeper(place);
            // At the root there is no level to be deeper than, yet the text must be.
            if old.is_none() {
                self.indent = Some(self.step);
            }
            let hint = self.indent.unwrap_or(0) - old.unwrap_or(0);
            self.literal(text, hint);
            self.indent = old;
        } else if multiline || needs_quotes(text) || !shape.single {
            self.double(text);
        } else if shape.plain {
            self.plain(text);
        } else {
            self.indicator("'", true, false, false);
            self.put(&text.replace('\'', "''"));
            self.indicator("'", false, false, false);
            self.whitespace = false;
            self.indention = false;
        }
    }

    fn double(&mut self, text: &str) {
        self.indicator("\"", true, false, false);
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if is_printable(c) && !is_break(c) && !matches!(c, '"' | '\\' | '\u{feff}') {
                out.push(c);
                continue;
            }
            out.push('\\');
            let short = match c {
                '\0' => '0',
                '\x07' => 'a',
                '\x08' => 'b',
                '\t' => 't',
                '\n' => 'n',
                '\x0b' => 'v',
                '\x0c' => 'f',
                '\r' => 'r',
                '\x1b' => 'e',
                '"' => '"',
                '\\' => '\\',
                '\u{85}' => 'N',
                '\u{a0}' => '_',
                '\u{2028}' => 'L',
                '\u{2029}' => 'P',
                _ => {
                    let code = u32::from(c);
                    // Writing to a String cannot fail.
                    let _ = if code <= 0xff {
                        write!(out, "x{code:02X}")
                    } else if code <= 0xffff {
                        write!(out, "u{code:04X}")
                    } else {
                        write!(out, "U{code:08X}")
                    };
                    continue;
                }
            };
            out.push(short);
        }
        self.put(&out);
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str, hint: usize) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            let hint = hint.to_string();
            self.indicator(&hint, false, false, false);
        }
        self.open_ended = false;
        let ends = text.chars().rev().take(2).filter(|c| is_break(*c)).count();
        let last = text.chars().next_back().is_some_and(is_break);
        if !last {
            self.indicator("-", false, false, false);
        } else if ends == 2 || text.chars().count() == 1 {
            self.indicator("+", false, false, false);
            self.open_ended = true;
        }
        if self.line.is_empty() {
            self.line_break();
        } else {
            self.line_comment();
        }
        self.whitespace = true;
        for line in text.split_inclusive('\n') {
            let content = line.strip_suffix('\n').unwrap_or(line);
            if !content.is_empty() {
                self.indent_line();
                self.put(content);
                self.indention = false;
            }
            if line.ends_with('\n') {
                self.line_break();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::cipher::tree::{Branch, Comment, Value};

    #[test]
    fn indents_lists_and_quotes_where_needed() {
        let mut inner = Branch::default();
        inner.push("x", Value::text("1"));
        inner.comment(" inline", true);
        inner.push("z", Value::text("a: b"));
        let mut branch = Branch::default();
        branch.comment(" head", false);
        branch.push(
            "list",
            Value::List(vec![
                Value::Map(inner),
                Value::Comment(Comment {
                    text: " before".into(),
                    inline: false,
                }),
                Value::text("two\nlines\n"),
            ]),
        );
        branch.push("empty", Value::Map(Branch::default()));
        branch.comment(" foot", false);
        assert_eq!(
            write(&[branch], 4),
            "# head\nlist:\n    - x: \"1\"\n      z: 'a: b' # inline\n    # before\n    - |\n      two\n      lines\nempty: {}\n# foot\n"
        );
    }
}
