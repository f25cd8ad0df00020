//! Reading YAML into the value tree, comments included.
//!
//! Recursive descent over the text: `cursor` moves in it, `node` reads one value with its anchor and tag, `block` and `flow`
//! read collections, `scalar` texts with their quotes and folds. Here are the documents.

mod block;
mod cursor;
mod flow;
mod node;

use std::collections::HashMap;

use crate::cipher::tree::{Branch, Branches, Comment, Value};
use crate::error::Result;

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

/// A value of a mapping or list with the comments that came on its way.
struct Found {
    value: Value,
    above: Vec<String>,
    inline: Option<String>,
}

impl Reader<'_> {
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
}

fn note(text: String, inline: bool) -> Value {
    Value::Comment(Comment { text, inline })
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
