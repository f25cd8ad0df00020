//! Reading YAML into the value tree, comments included.
//!
//! Recursive descent over the text. Anchors are expanded where they are used, within a budget, as sops does. Scalars
//! with their quotes and folds are in `scalar`, collections in `block` and `flow`.

mod block;
mod flow;

use std::collections::HashMap;

use super::resolve;
use crate::cipher::format::{DEPTH, at_offset};
use crate::cipher::tree::{Branch, Branches, Comment, Value};
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, TOO_LARGE, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

/// How many nodes aliases may add.
const ALIAS_NODES: usize = 500_000;
/// How many bytes aliases may add.
const ALIAS_BYTES: usize = 64 << 20;

/// Reads all documents of a file.
pub(super) fn documents(text: &str) -> Result<Branches> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let unified;
    let text = if text.contains('\r') {
        unified = text.replace("\r\n", "\n").replace('\r', "\n");
        unified.as_str()
    } else {
        text
    };
    let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f' | '\u{80}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    let mut reader = Reader {
        text,
        at: 0,
        line_start: 0,
        depth: 0,
        flow: 0,
        pending: Vec::new(),
        anchors: HashMap::new(),
        nodes: ALIAS_NODES,
        bytes: ALIAS_BYTES,
        unique: true,
    };
    if let Some(at) = text.find(forbidden) {
        reader.at = at;
        return Err(reader.fail("it holds a control character"));
    }
    let mut branches = Branches::new();
    while let Some(branch) = reader.document()? {
        branches.push(branch);
        reader.unique = false;
    }
    Ok(branches)
}

/// A comment that was read and not placed yet.
struct Pending {
    column: usize,
    text: String,
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    line_start: usize,
    depth: usize,
    flow: usize,
    pending: Vec<Pending>,
    anchors: HashMap<String, Value>,
    nodes: usize,
    bytes: usize,
    unique: bool,
}

#[derive(Default)]
struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
}

/// A value of a mapping or list with the comments that came on its way.
struct Found {
    value: Value,
    above: Vec<String>,
    inline: Option<String>,
}

impl<'a> Reader<'a> {
    // --- the text

    pub(super) fn fail(&self, what: &str) -> Error {
        at_offset(
            Error::new(
                &BROKEN_DOCUMENT,
                format!("the YAML text cannot be read: {what}"),
            ),
            self.text,
            self.at,
        )
    }

    fn shape(&self, what: &str) -> Error {
        at_offset(Error::new(&UNSUPPORTED_SHAPE, what), self.text, self.at)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.byte(0)
    }

    pub(super) fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn column(&self) -> usize {
        self.at - self.line_start
    }

    pub(super) fn newline(&mut self) {
        self.at += 1;
        self.line_start = self.at;
    }

    pub(super) fn blank_at(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), None | Some(b' ' | b'\t' | b'\n'))
    }

    pub(super) fn at_marker(&self) -> bool {
        self.at == self.line_start
            && (self.rest().starts_with("---") || self.rest().starts_with("..."))
            && self.blank_at(3)
    }

    pub(super) fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn in_flow(&self) -> bool {
        self.flow > 0
    }

    /// Takes a comment that begins here, to the end of its line.
    fn comment(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find('\n').unwrap_or(rest.len());
        let text = rest.get(1..end).unwrap_or_default().to_owned();
        self.at += end;
        text
    }

    /// Skips blanks, lines and comments; the comments wait in `pending`.
    fn skip(&mut self) -> Result<()> {
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
    fn line_end(&mut self) -> Result<Option<String>> {
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

    // --- documents

    fn document(&mut self) -> Result<Option<Branch>> {
        self.anchors.clear();
        let mut marked = false;
        loop {
            self.skip()?;
            if self.at_marker() {
                if self.rest().starts_with("...") {
                    self.at += 3;
                    continue;
                }
                self.at += 3;
                marked = true;
                self.skip()?;
                break;
            }
            if self.peek() == Some(b'%') && self.column() == 0 {
                let rest = self.rest();
                self.at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            break;
        }
        let mut branch = Branch::default();
        if self.peek().is_none() || self.at_marker() {
            if !marked {
                return Ok(None);
            }
            self.flush(&mut branch);
            return Ok(Some(branch));
        }
        match self.node(None, true)? {
            Value::Map(found) => branch = found,
            Value::Null => {}
            Value::List(_) => {
                return Err(self
                    .shape("the top level of the YAML document is a list and must be a mapping")
                    .help(
                        "put the list under a key, or encrypt the file with --input-type binary",
                    ));
            }
            _ => {
                return Err(self
                    .shape(
                        "the top level of the YAML document is a plain value and must be a mapping",
                    )
                    .help("put it under a key, or encrypt the file with --input-type binary"));
            }
        }
        if let Some(text) = self.line_end()? {
            branch.comment(text, false);
        }
        self.skip()?;
        self.flush(&mut branch);
        if self.peek().is_some() && !self.at_marker() {
            return Err(self.fail("something follows the document's mapping"));
        }
        Ok(Some(branch))
    }

    fn flush(&mut self, branch: &mut Branch) {
        for pending in self.pending.drain(..) {
            branch.comment(pending.text, false);
        }
    }

    /// Takes the comments that stand deeper than what comes next; they belong to the collection that ends here.
    fn deep_comments(&mut self) -> Vec<String> {
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

    // --- nodes

    /// Reads the node that begins here. `parent` is the column of what it belongs to; `opens` says whether a mapping or
    /// a list may begin on this very line.
    fn node(&mut self, parent: Option<usize>, opens: bool) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEPTH {
            let error = Error::new(
                &TOO_LARGE,
                format!("the document is nested more than {DEPTH} levels deep"),
            );
            return Err(at_offset(error, self.text, self.at));
        }
        let value = self.node_inside(parent, opens);
        self.depth -= 1;
        value
    }

    fn node_inside(&mut self, parent: Option<usize>, opens: bool) -> Result<Value> {
        if opens && self.key_ahead() {
            let column = self.column();
            return Ok(Value::Map(self.block_map(column)?));
        }
        if opens && self.peek() == Some(b'-') && self.blank_at(1) {
            let column = self.column();
            return Ok(Value::List(self.block_list(column, false)?));
        }
        let properties = self.properties()?;
        if properties.anchor.is_some() || properties.tag.is_some() {
            let value = self.node_with(parent, &properties)?;
            return self.keep(properties, value);
        }
        self.content(parent, None)
    }

    fn node_with(&mut self, parent: Option<usize>, properties: &Properties) -> Result<Value> {
        let tag = properties.tag.as_deref();
        if self.flow > 0 {
            self.skip()?;
            if matches!(self.peek(), None | Some(b',' | b']' | b'}' | b':')) {
                return tag.map_or(Ok(Value::Null), |tag| resolve::tagged(tag, ""));
            }
            return self.content(parent, tag);
        }
        self.spaces();
        if !matches!(self.peek(), None | Some(b'\n' | b'#')) {
            return self.content(parent, tag);
        }
        self.skip()?;
        let deeper = parent.is_none_or(|parent| self.column() > parent);
        let list_here =
            self.peek() == Some(b'-') && self.blank_at(1) && parent == Some(self.column());
        if self.peek().is_none() || self.at_marker() || !(deeper || list_here) {
            return match tag {
                None => Ok(Value::Null),
                Some(tag) => resolve::tagged(tag, ""),
            };
        }
        if list_here && !deeper {
            let column = self.column();
            return Ok(Value::List(self.block_list(column, true)?));
        }
        if self.key_ahead() || (self.peek() == Some(b'-') && self.blank_at(1)) {
            return self.node(parent, true);
        }
        self.content(parent, tag)
    }

    /// Remembers an anchored value.
    fn keep(&mut self, properties: Properties, value: Value) -> Result<Value> {
        if let Some(name) = properties.anchor {
            let copy = self.copy(&value)?;
            self.anchors.insert(name, copy);
        }
        Ok(value)
    }

    fn copy(&mut self, value: &Value) -> Result<Value> {
        let (mut nodes, mut bytes) = (0, 0);
        measure(value, &mut nodes, &mut bytes);
        if nodes > self.nodes || bytes > self.bytes {
            let error = Error::new(
                &TOO_LARGE,
                "the aliases of the document grow it without bound",
            );
            return Err(at_offset(error, self.text, self.at));
        }
        self.nodes -= nodes;
        self.bytes -= bytes;
        Ok(value.clone())
    }

    /// Reads `&anchor` and `!tag` in any order.
    fn properties(&mut self) -> Result<Properties> {
        let mut properties = Properties::default();
        loop {
            match self.peek() {
                Some(b'&') if properties.anchor.is_none() => {
                    self.at += 1;
                    let name = self.name();
                    if name.is_empty() {
                        return Err(self.fail("an anchor has no name"));
                    }
                    properties.anchor = Some(name);
                }
                Some(b'!') if properties.tag.is_none() => {
                    let rest = self.rest();
                    let end = rest.find(|c: char| {
                        c.is_whitespace() || (self.flow > 0 && matches!(c, ',' | ']' | '}'))
                    });
                    let tag = &rest[..end.unwrap_or(rest.len())];
                    self.at += tag.len();
                    let long = tag
                        .strip_prefix("!<tag:yaml.org,2002:")
                        .and_then(|tag| tag.strip_suffix('>'));
                    properties.tag =
                        Some(long.map_or_else(|| tag.to_owned(), |name| format!("!!{name}")));
                }
                _ => return Ok(properties),
            }
            if !(self.blank_at(0)
                || self.flow > 0 && matches!(self.peek(), Some(b',' | b']' | b'}')))
            {
                return Err(self.fail("a blank must follow an anchor or a tag"));
            }
            let at_end = {
                let rest = self.rest();
                rest.trim_start_matches([' ', '\t']).starts_with(['&', '!'])
            };
            if !at_end {
                return Ok(properties);
            }
            self.spaces();
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}'))
            .unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// Reads what is left when properties and block collections are out of the way.
    fn content(&mut self, parent: Option<usize>, tag: Option<&str>) -> Result<Value> {
        self.spaces();
        let scalar = |tag: Option<&str>, text: String| match tag {
            Some(tag) if tag == "!" || tag.starts_with("!!") => resolve::tagged(tag, &text),
            _ => Ok(Value::Text(text)),
        };
        match self.peek() {
            Some(b'*') => {
                self.at += 1;
                let mut name = self.name();
                // `*a:` in a mapping is an alias as key; there the colon is no part of the name.
                if name.ends_with(':') && !self.anchors.contains_key(&name) {
                    name.pop();
                    self.at -= 1;
                }
                let Some(value) = self.anchors.remove(&name) else {
                    return Err(self.fail(&format!("the anchor `{name}` is unknown")));
                };
                let copy = self.copy(&value)?;
                self.anchors.insert(name, value);
                Ok(copy)
            }
            Some(b'[') => self.flow_list(),
            Some(b'{') => self.flow_map(),
            Some(b'"') => {
                let text = self.double_quoted()?;
                scalar(tag, text)
            }
            Some(b'\'') => {
                let text = self.single_quoted()?;
                scalar(tag, text)
            }
            Some(b'|' | b'>') if self.flow == 0 => {
                let (text, comment) = self.block_scalar(parent)?;
                if let Some(text) = comment {
                    // It stands on the line of the value, so it is not on its own.
                    self.pending.push(Pending {
                        column: usize::MAX,
                        text,
                    });
                }
                scalar(tag, text)
            }
            Some(b',' | b']' | b'}') if self.flow > 0 => Ok(Value::Null),
            Some(b'%' | b'@' | b'`' | b'|' | b'>' | b',' | b']' | b'}') => {
                Err(self.fail("a value cannot begin with this character"))
            }
            _ => {
                let start = self.at;
                let text = self.plain(parent)?;
                let value = match tag {
                    Some(tag) => resolve::tagged(tag, &text),
                    None => resolve::plain(&text),
                };
                value.map_err(|error| at_offset(error, self.text, start))
            }
        }
    }
}

fn note(text: String, inline: bool) -> Value {
    Value::Comment(Comment { text, inline })
}

fn measure(value: &Value, nodes: &mut usize, bytes: &mut usize) {
    *nodes += 1;
    match value {
        Value::Text(text) | Value::Time(text) => *bytes += text.len(),
        Value::Bytes(data) => *bytes += data.len(),
        Value::Comment(comment) => *bytes += comment.text.len(),
        Value::List(list) => list.iter().for_each(|value| measure(value, nodes, bytes)),
        Value::Map(branch) => {
            for (key, value) in branch.pairs() {
                *bytes += key.len();
                measure(value, nodes, bytes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::documents;
    use crate::cipher::format::yaml::{read, write};
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        let tree = read(text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
        assert_eq!(write(&tree, None), expect, "{text}");
    }

    #[test]
    fn keeps_comments_where_they_stand() {
        for text in [
            "# head\na: 1 # beside\n# before b\nb:\n    # inside\n    c: x\n    # end of b\nd: w\n# foot\n",
            "list:\n    # first\n    - a\n    - b # beside\n    # second\n    - k: v\n      # in item\n      l: w\n",
            "a: |\n    one\n      two\n\n    three\nb: \"1\"\nc: 'it''s: so'\n",
            "a: 1\n---\nb: 2\n",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn reads_every_style() {
        check(
            "a: [1, two, {x: y}, \"q\"]\n",
            "a:\n    - 1\n    - two\n    - x: \"y\"\n    - q\n",
        );
        check(
            "a: >-\n  folded\n  text\n\n  para\n",
            "a: |-\n    folded text\n    para\n",
        );
        check(
            "a: plain\n  goes on\nb: \"dq \\u00e4\n  folds\"\n",
            "a: plain goes on\nb: dq ä folds\n",
        );
        check("a: &x\n  k: v\nb: *x\n", "a:\n    k: v\nb:\n    k: v\n");
        check(
            "a:\n- 1\n- 2\n# about b\nb:\n",
            "a:\n    - 1\n    - 2\n# about b\nb: null\n",
        );
        check(
            "- a\n- b"
                .replace("- a\n- b", "x:\n  - - 1\n    - 2\n  -\n    y: 1\n")
                .as_str(),
            "x:\n    - - 1\n      - 2\n    - \"y\": 1\n",
        );
        check("? a\n: b\n", "a: b\n");
        check("a: # why\n  b: 1\n", "# why\na:\n    b: 1\n");
        check("\"k\": v\n'l': w\n", "k: v\nl: w\n");
    }

    #[test]
    fn keys_of_several_lines_are_read_as_they_are_written() {
        let text =
            "a: 1\n? |-\n    x\n    y\n: z\nb:\n    ? |-\n        x\n        y\n    : null\n";
        check(text, text);
    }

    #[test]
    fn refuses_broken_and_hostile_text() {
        for text in [
            "a: b: c\n",
            "a: [1\n",
            "a: \"x\n",
            "a: 1\na: 2\n",
            "a:\n\t- x\n",
            "- a\n",
            "text\n",
            "1: a\n",
            "a: *x\n",
            "a: 1\n b: 2\n",
            "a: {b\n",
            "a: |x\n",
            "a: @x\n",
            "a: \u{1}\n",
            "a: 18446744073709551615\n",
        ] {
            assert!(documents(text).is_err(), "{text}");
        }
        assert!(documents(&"[".repeat(100_000)).is_err());
        assert!(documents(&format!("a: {}", "[".repeat(100_000))).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let last = level - 1;
            let uses = vec![format!("*a{last}"); 10].join(", ");
            bomb += &format!(
                "a{level}: &a{level} [{uses}]
"
            );
        }
        assert!(documents(&bomb).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}:,\"'#&*!|>?%@`\\\\a-c0-2ä \t\n-]{0,60}") {
            if let Ok(tree) = documents(&text) {
                let written = write(&tree, None);
                let again = documents(&written);
                prop_assert!(again.is_ok(), "{text:?} became {written:?}: {again:?}");
            }
        }
    }
}
