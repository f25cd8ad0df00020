//! JSON documents: an own reader, because keys may repeat and integers must stay integers.

use std::fmt::Write as _;

use crate::cipher::number;
use crate::cipher::tree::{Branch, Branches, Entry, Value};
use crate::diag::codes::cipher::{BROKEN_DOCUMENT, UNSUPPORTED_SHAPE};
use crate::error::{Error, Result};

use super::{DEPTH, at_offset, too_deep};

/// Reads a document.
pub(super) fn read(text: &str) -> Result<Branches> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    reader.space();
    match reader.value()? {
        Value::Map(branch) => Ok(vec![branch]),
        other => Err(Error::new(
            &UNSUPPORTED_SHAPE,
            format!(
                "the top level of the JSON file is {} and must be an object",
                other.kind()
            ),
        )
        .help(
            "wrap it in an object such as {\"data\": …}, or encrypt it with --input-type binary",
        )),
    }
}

/// Writes a document; `indent` is a number of spaces, a tab without one.
pub(super) fn write(branch: &Branch, indent: Option<usize>) -> String {
    let mut writer = Writer::new(indent);
    writer.map(branch, 0);
    writer.out.push('\n');
    writer.out
}

/// Writes one value.
pub(super) fn write_value(value: &Value, indent: Option<usize>) -> String {
    let mut writer = Writer::new(indent);
    writer.value(value, 0);
    writer.out
}

/// Reads one JSON value, as `set` is given.
pub(super) fn read_value(text: &str) -> Result<Value> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    reader.space();
    let value = reader.value()?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.fail("something follows the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn fail(&self, what: &str) -> Error {
        at_offset(
            Error::new(
                &BROKEN_DOCUMENT,
                format!("the JSON text cannot be read: {what}"),
            ),
            self.text,
            self.at,
        )
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value> {
        match self.peek() {
            Some(b'{') => self.nested(Self::map),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => {
                for (word, value) in [
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("null", Value::Null),
                ] {
                    if self
                        .text
                        .get(self.at..)
                        .is_some_and(|rest| rest.starts_with(word))
                    {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fail("a value is expected here"))
            }
            None => Err(self.fail("it ends too early")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value>) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(too_deep(self.text, self.at));
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn map(&mut self) -> Result<Value> {
        let mut branch = Branch::default();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(branch));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.fail("a key in double quotes is expected here"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.fail("a colon is expected here"));
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            branch.push(key, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Map(branch));
                }
                _ => return Err(self.fail("a comma or a closing brace is expected here")),
            }
        }
    }

    fn list(&mut self) -> Result<Value> {
        let mut list = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(list));
        }
        loop {
            self.space();
            list.push(self.value()?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::List(list));
                }
                _ => return Err(self.fail("a comma or a closing bracket is expected here")),
            }
        }
    }

    fn number(&mut self) -> Result<Value> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let digits = word.strip_prefix('-').unwrap_or(word);
        let leading_zero = digits.len() > 1
            && digits.starts_with('0')
            && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if word.ends_with('.') || digits.starts_with('.') || leading_zero || word.starts_with('+') {
            return Err(self.fail("this is not a number"));
        }
        if let Ok(whole) = word.parse::<i64>() {
            return Ok(Value::Int(whole));
        }
        match word.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(float)),
            _ => Err(self.fail("this is not a number of 64 bits")),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(stop) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') else {
                return Err(self.fail("a text is not closed"));
            };
            out.push_str(&rest[..stop]);
            self.at += stop;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.fail("a control character must be escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let mark = self.peek().ok_or_else(|| self.fail("it ends too early"))?;
        self.at += 1;
        Ok(match mark {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xDC00..0xE000).contains(&low) {
                        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        return Ok(char::from_u32(code).unwrap_or('\u{FFFD}'));
                    }
                    self.at = back;
                }
                char::from_u32(high).unwrap_or('\u{FFFD}')
            }
            _ => return Err(self.fail("this escape is unknown")),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let code = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.fail("four hex digits are expected here"))?;
        self.at += 4;
        Ok(code)
    }
}

struct Writer {
    out: String,
    step: String,
}

impl Writer {
    fn new(indent: Option<usize>) -> Self {
        Self {
            out: String::new(),
            step: indent.map_or_else(|| "\t".to_owned(), |spaces| " ".repeat(spaces)),
        }
    }

    fn line(&mut self, level: usize) {
        self.out.push('\n');
        for _ in 0..level {
            self.out.push_str(&self.step);
        }
    }

    fn map(&mut self, branch: &Branch, level: usize) {
        self.out.push('{');
        let mut first = true;
        for entry in &branch.0 {
            let Entry::Pair(key, value) = entry else {
                continue;
            };
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            self.line(level + 1);
            self.string(key);
            self.out.push_str(": ");
            self.value(value, level + 1);
        }
        if !first {
            self.line(level);
        }
        self.out.push('}');
    }

    fn value(&mut self, value: &Value, level: usize) {
        match value {
            Value::Null | Value::Comment(_) => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(whole) => {
                // Writing to a String cannot fail.
                let _ = write!(self.out, "{whole}");
            }
            Value::Float(float) => self.out.push_str(&number::json(*float)),
            Value::Text(text) | Value::Time(text) => self.string(text),
            Value::Bytes(bytes) => self.string(&String::from_utf8_lossy(bytes)),
            Value::Map(branch) => self.map(branch, level),
            Value::List(list) => {
                self.out.push('[');
                let mut first = true;
                for item in list
                    .iter()
                    .filter(|item| !matches!(item, Value::Comment(_)))
                {
                    if !std::mem::take(&mut first) {
                        self.out.push(',');
                    }
                    self.line(level + 1);
                    self.value(item, level + 1);
                }
                if !first {
                    self.line(level);
                }
                self.out.push(']');
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                // The format escapes what HTML would read.
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use proptest::prelude::*;

    #[test]
    fn keeps_order_repeats_and_types() {
        let text = "{\n\t\"b\": 1,\n\t\"a\": [\n\t\t1.5,\n\t\tnull,\n\t\ttrue,\n\t\t{}\n\t],\n\t\"b\": \"\\u003cä\\u003e\"\n}\n";
        let branches = read(text).unwrap();
        assert_eq!(write(&branches[0], None), text);
    }

    #[test]
    fn refuses_broken_text_with_its_line() {
        let error = read("{\n\"a\": ]\n}").unwrap_err();
        assert_eq!(
            error.labels()[0]
                .source
                .position(error.labels()[0].span.start),
            (2, 6)
        );
        assert!(read(&"[".repeat(100_000)).is_err());
        assert!(read("[1]").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}\",:\\\\u0-9eE.+\\- a-zä\n]{0,60}") {
            let _ = read(&text);
        }
    }
}
