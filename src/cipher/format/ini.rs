//! INI documents: sections of keys; the metadata are flat keys in a section `sops`.
//!
//! Comments belong to what follows them; in the tree a section's comment is its first entry and a key's comment comes
//! after the key, which is where sops puts them.

use crate::cipher::tree::{Branch, Branches, Entry, Value};
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

use super::{at_offset, plain_text};

/// The section of keys that stand before any section.
const DEFAULT: &str = "DEFAULT";

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Branches> {
    let text_start = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        whole: text,
        rest: text_start,
        comment: String::new(),
    };
    let mut sections: Vec<(String, Branch)> = vec![(DEFAULT.into(), Branch::default())];
    while let Some(raw) = reader.line() {
        let line = raw.trim_start();
        if line.is_empty() {
            continue;
        }
        if line.starts_with(['#', ';']) {
            reader.comment.push_str(line);
        } else if let Some(inner) = line.strip_prefix('[') {
            let (name, after) = inner
                .rsplit_once(']')
                .ok_or_else(|| reader.fail("a section is not closed"))?;
            if name.is_empty() {
                return Err(reader.fail("a section has no name"));
            }
            reader.trailing_comment(after);
            let mut branch = Branch::default();
            if let Some(comment) = reader.take_comment() {
                branch.comment(comment, false);
            }
            // Keys before the first section belong to the default one, which may be named again.
            sections.push((name.to_owned(), branch));
        } else {
            let (key, after) = reader.key(line)?;
            let value = reader.value(after)?;
            let comment = reader.take_comment();
            if let Some((_, branch)) = sections.last_mut() {
                put(branch, key, value, comment);
            }
        }
    }
    let mut branch = Branch::default();
    for (name, section) in sections {
        branch.push(name, Value::Map(section));
    }
    Ok(vec![branch])
}

fn put(branch: &mut Branch, key: String, value: String, comment: Option<String>) {
    let known = branch
        .0
        .iter()
        .position(|entry| matches!(entry, Entry::Pair(name, _) if *name == key));
    if let Some(at) = known {
        // A repeated key takes the place of the first one.
        if let Some(Entry::Pair(_, old)) = branch.0.get_mut(at) {
            *old = Value::Text(value);
        }
        return;
    }
    branch.push(key, Value::Text(value));
    if let Some(comment) = comment {
        branch.comment(comment, false);
    }
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    comment: String,
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }

    fn fail(&self, what: &str) -> Error {
        let offset = (self.whole.len() - self.rest.len()).saturating_sub(1);
        at_offset(
            Error::new(
                &BROKEN_DOCUMENT,
                format!("the INI text cannot be read: {what}"),
            ),
            self.whole,
            offset,
        )
    }

    fn take_comment(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.comment);
        let text = text.trim();
        let text = if text.starts_with(';') {
            text.trim_start_matches([';', ' '])
        } else {
            text.trim_start_matches(['#', ' '])
        };
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn trailing_comment(&mut self, after: &str) {
        if let Some(at) = after.find(['#', ';']) {
            self.comment.push_str(&after[at..]);
        }
    }

    fn key(&self, line: &'a str) -> Result<(String, &'a str)> {
        let quote = if line.len() > 6 && line.starts_with("\"\"\"") {
            "\"\"\""
        } else if line.starts_with('"') {
            "\""
        } else if line.starts_with('`') {
            "`"
        } else {
            ""
        };
        let no_sign = || self.fail("a line has neither `=` nor `:`");
        if quote.is_empty() {
            let at = line.find(['=', ':']).ok_or_else(no_sign)?;
            if at == 0 {
                return Err(self.fail("a key is empty"));
            }
            return Ok((line[..at].trim().to_owned(), &line[at + 1..]));
        }
        let inner = &line[quote.len()..];
        let (key, after) = inner
            .split_once(quote)
            .ok_or_else(|| self.fail("a quoted key is not closed"))?;
        let at = after.find(['=', ':']).ok_or_else(no_sign)?;
        if key.trim().is_empty() {
            return Err(self.fail("a key is empty"));
        }
        Ok((key.trim().to_owned(), &after[at + 1..]))
    }

    fn value(&mut self, after: &'a str) -> Result<String> {
        let line = after.trim_start();
        if line.is_empty() {
            return Ok(String::new());
        }
        let quote = if line.len() > 3 && line.starts_with("\"\"\"") {
            "\"\"\""
        } else if line.starts_with('`') {
            "`"
        } else {
            ""
        };
        if !quote.is_empty() {
            return self.quoted(&line[quote.len()..], quote);
        }
        let mut line = line.trim().to_owned();
        if line.ends_with('\\') {
            line.pop();
            return Ok(self.continued(line));
        }
        if let Some(at) = line.find(['#', ';']) {
            self.comment.push_str(&line[at..]);
            line.truncate(at);
            line.truncate(line.trim_end().len());
        }
        for mark in ['\'', '"'] {
            let inner = line
                .strip_prefix(mark)
                .and_then(|rest| rest.strip_suffix(mark));
            if let Some(inner) = inner.filter(|inner| !inner.contains(mark)) {
                return Ok(inner.to_owned());
            }
        }
        Ok(line)
    }

    fn quoted(&mut self, first: &str, quote: &str) -> Result<String> {
        if let Some(end) = first.rfind(quote) {
            return Ok(first[..end].to_owned());
        }
        let mut value = first.to_owned();
        while let Some(line) = self.line() {
            if let Some(end) = line.rfind(quote) {
                value.push_str(&line[..end]);
                let after = line[end + quote.len()..].to_owned();
                self.trailing_comment(&after);
                return Ok(value);
            }
            value.push_str(line);
        }
        Err(self.fail("a quoted value is not closed"))
    }

    fn continued(&mut self, mut value: String) -> String {
        while let Some(line) = self.line() {
            let line = line.trim();
            if line.is_empty() {
                break;
            }
            value.push_str(line.strip_suffix('\\').unwrap_or(line));
            if !line.ends_with('\\') {
                break;
            }
        }
        value
    }
}

/// Writes a document.
pub(super) fn write(branch: &Branch) -> Result<String> {
    let mut out = String::new();
    let sections: Vec<(&str, &Value)> = branch.pairs().collect();
    for (index, (name, value)) in sections.iter().enumerate() {
        let Value::Map(section) = value else {
            return Err(Error::new(
                &UNSUPPORTED_SHAPE,
                format!(
                    "an INI file has sections only, and `{name}` is {}",
                    value.kind()
                ),
            ));
        };
        let (own, entries) = match section.0.split_first() {
            Some((Entry::Comment(comment), rest)) => (Some(comment.text.as_str()), rest),
            _ => (None, section.0.as_slice()),
        };
        comment_lines(&mut out, own.unwrap_or_default());
        if index > 0 || !name.eq_ignore_ascii_case(DEFAULT) {
            out.extend(["[", name, "]\n"]);
        } else if section.pairs().next().is_none() {
            continue;
        }
        write_keys(&mut out, entries)?;
        if index + 1 < sections.len() {
            out.push('\n');
        }
    }
    Ok(out)
}

fn write_keys(out: &mut String, entries: &[Entry]) -> Result<()> {
    let mut keys: Vec<(String, String, &str)> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Comment(comment) => {
                if let Some((_, _, own)) = keys.last_mut() {
                    *own = &comment.text;
                }
            }
            Entry::Pair(key, value) if value.is_complex() => {
                return Err(Error::new(
                    &UNSUPPORTED_SHAPE,
                    format!("an INI key cannot hold {}", value.kind()),
                )
                .field(key));
            }
            Entry::Pair(key, value) => {
                let name = if key.contains(['"', '=', ':']) {
                    format!("`{key}`")
                } else if key.contains('`') {
                    format!("\"\"\"{key}\"\"\"")
                } else {
                    key.clone()
                };
                keys.push((name, plain_text(value), ""));
            }
        }
    }
    let width = keys
        .iter()
        .map(|(name, _, _)| name.len())
        .max()
        .unwrap_or(0);
    for (name, value, comment) in keys {
        comment_lines(out, comment);
        let pad = " ".repeat(width - name.len());
        let value = if value.contains(['\n', '`']) {
            format!("\"\"\"{value}\"\"\"")
        } else if value.contains(['#', ';']) {
            format!("`{value}`")
        } else if value.trim().len() != value.len() {
            format!("\"{value}\"")
        } else {
            value
        };
        out.extend([name.as_str(), &pad, " = ", &value, "\n"]);
    }
    Ok(())
}

fn comment_lines(out: &mut String, comment: &str) {
    for line in comment.split('\n').filter(|line| !line.is_empty()) {
        let (mark, text) = match line.chars().next() {
            Some(mark @ ('#' | ';')) => (mark, &line[1..]),
            _ => (';', line),
        };
        out.push(mark);
        out.push(' ');
        out.push_str(text.trim());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use proptest::prelude::*;

    #[test]
    fn aligns_keys_and_keeps_comments() {
        let text = "top=1\n; about section\n[one]\n; about key\nkey = value ; more\nlonger = \"a b\"\n[two]\n";
        let tree = read(text).unwrap();
        assert_eq!(
            write(&tree[0]).unwrap(),
            "top = 1\n\n; about section\n[one]\n; about key\n; more\nkey    = value\nlonger = a b\n\n[two]\n"
        );
    }

    #[test]
    fn refuses_broken_lines() {
        for text in ["[a\n", "key\n", "=x\n", "a=\"\"\"b\n", "\"a=b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]=:;#\"`'\\\\a-cä \n]{0,60}") {
            let _ = read(&text).map(|tree| write(&tree[0]));
        }
    }
}
