//! Block collections: mappings and lists that live by their indentation.

use std::collections::HashSet;

use super::super::resolve;
use super::{Found, Pending, Reader, note};
use crate::cipher::format::at_offset;
use crate::cipher::tree::{Branch, Value};
use crate::error::Result;

impl Reader<'_> {
    /// Whether a key and its colon stand on this line.
    pub(super) fn key_ahead(&self) -> bool {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        if line.starts_with('?') && (line.len() == 1 || line[1..].starts_with([' ', '\t'])) {
            return true;
        }
        let mut line = line;
        while line.starts_with(['&', '!']) {
            match line.find([' ', '\t']) {
                Some(end) => line = line[end..].trim_start_matches([' ', '\t']),
                None => return false,
            }
        }
        let colon = |after: &str| {
            let after = after.trim_start_matches([' ', '\t']);
            after
                .strip_prefix(':')
                .is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t']))
        };
        match line.bytes().next() {
            None | Some(b'[' | b'{' | b'|' | b'>' | b'#' | b'%' | b'@' | b'`') => false,
            Some(quote @ (b'"' | b'\'')) => {
                let mut bytes = line.bytes().enumerate().skip(1);
                while let Some((at, byte)) = bytes.next() {
                    if byte == b'\\' && quote == b'"' {
                        bytes.next();
                    } else if byte == quote {
                        if quote == b'\'' && line.as_bytes().get(at + 1) == Some(&b'\'') {
                            bytes.next();
                            continue;
                        }
                        return colon(line.get(at + 1..).unwrap_or_default());
                    }
                }
                false
            }
            Some(b'-') if line.len() == 1 || line[1..].starts_with([' ', '\t']) => false,
            Some(_) => {
                let bytes = line.as_bytes();
                for (at, byte) in bytes.iter().enumerate() {
                    let next_blank = bytes
                        .get(at + 1)
                        .is_none_or(|next| matches!(next, b' ' | b'\t'));
                    if *byte == b':' && next_blank {
                        return true;
                    }
                    if *byte == b'#' && at > 0 && matches!(bytes.get(at - 1), Some(b' ' | b'\t')) {
                        return false;
                    }
                }
                false
            }
        }
    }

    pub(super) fn block_map(&mut self, column: usize) -> Result<Branch> {
        let mut branch = Branch::default();
        let mut names = HashSet::new();
        loop {
            self.flush(&mut branch);
            let start = self.at;
            let key = self.key(column)?;
            if self.unique && !names.insert(key.clone()) {
                self.at = start;
                return Err(self.fail(&format!("the key `{key}` is there twice")));
            }
            let found = self.value_of(column)?;
            for text in found.above {
                branch.comment(text, false);
            }
            if let Some(text) = found.inline {
                branch.comment(text, true);
            }
            branch.push(key, found.value);
            self.skip()?;
            if self.peek().is_none() || self.at_marker() || self.column() < column {
                break;
            }
            if self.column() > column || !self.key_ahead() {
                return Err(self.fail("a key of the mapping is expected here"));
            }
        }
        for text in self.deep_comments() {
            branch.comment(text, false);
        }
        Ok(branch)
    }

    pub(super) fn key(&mut self, column: usize) -> Result<String> {
        let explicit = self.peek() == Some(b'?') && self.blank_at(1);
        let value = if explicit {
            self.at += 1;
            let found = self.value_at(column, true)?;
            self.skip()?;
            if self.column() != column || self.peek() != Some(b':') {
                return Err(self.fail("the value of a `? ` key is missing"));
            }
            found.value
        } else {
            let properties = self.properties()?;
            self.spaces();
            let start = self.at;
            let value = match self.peek() {
                Some(b'"') => Value::Text(self.double_quoted()?),
                Some(b'\'') => Value::Text(self.single_quoted()?),
                Some(b'*') => self.content(None, None)?,
                _ => {
                    let text = self.plain_line();
                    match &properties.tag {
                        Some(tag) => resolve::tagged(tag, &text),
                        None => resolve::plain(&text),
                    }
                    .map_err(|error| at_offset(error, self.text, start))?
                }
            };
            self.spaces();
            if self.peek() != Some(b':') {
                return Err(self.fail("a colon is expected here"));
            }
            self.keep(properties, value)?
        };
        self.at += 1;
        match value {
            Value::Text(text) => Ok(text),
            other => Err(self
                .shape(&format!("a key is {} and must be a text", other.kind()))
                .help("put the key in quotes")),
        }
    }

    /// Reads the value after the colon of a key in this column.
    fn value_of(&mut self, column: usize) -> Result<Found> {
        self.value_at(column, false)
    }

    pub(super) fn value_at(&mut self, column: usize, item: bool) -> Result<Found> {
        self.spaces();
        let mut found = Found {
            value: Value::Null,
            above: Vec::new(),
            inline: None,
        };
        let on_line = !matches!(self.peek(), None | Some(b'\n' | b'#'));
        if on_line {
            let waiting = self.pending.len();
            found.value = self.node(Some(column), item)?;
            let extra: Vec<Pending> = self
                .pending
                .drain(waiting.min(self.pending.len())..)
                .collect();
            if found.value.is_complex()
                && (self.at == self.line_start
                    || self.peek().is_none()
                    || self.column() > 0 && self.only_indent_before())
            {
                // A nested block ended at the start of a later line; its comments are still waiting.
                self.pending.extend(extra);
                return Ok(found);
            }
            for pending in extra {
                if pending.column == usize::MAX {
                    found.inline = Some(pending.text);
                } else {
                    self.pending.push(pending);
                }
            }
            if let Some(text) = self.line_end()? {
                found.inline = Some(text);
            }
            return Ok(found);
        }
        let beside = if self.peek() == Some(b'#') {
            Some(self.comment())
        } else {
            None
        };
        self.skip()?;
        let list = self.peek() == Some(b'-') && self.blank_at(1);
        let ends = self.peek().is_none() || self.at_marker();
        if ends || self.column() < column || (self.column() == column && (item || !list)) {
            found.inline = beside;
            return Ok(found);
        }
        found.above.extend(beside);
        if self.column() == column {
            found.value = Value::List(self.block_list(column, true)?);
            return Ok(found);
        }
        let waiting: Vec<Pending> = if list || self.key_ahead() {
            Vec::new()
        } else {
            self.pending.drain(..).collect()
        };
        found
            .above
            .extend(waiting.into_iter().map(|pending| pending.text));
        found.value = self.node(Some(column), true)?;
        if !found.value.is_complex() {
            let extra: Vec<Pending> = self.pending.drain(..).collect();
            for pending in extra {
                if pending.column == usize::MAX {
                    found.inline = Some(pending.text);
                } else {
                    self.pending.push(pending);
                }
            }
        }
        if (!found.value.is_complex() || !self.only_indent_before())
            && let Some(text) = self.line_end()?
        {
            found.inline = Some(text);
        }
        Ok(found)
    }

    fn only_indent_before(&self) -> bool {
        self.text
            .get(self.line_start..self.at)
            .is_some_and(|before| before.trim().is_empty())
    }

    pub(super) fn block_list(&mut self, column: usize, shares_column: bool) -> Result<Vec<Value>> {
        let mut list = Vec::new();
        loop {
            for pending in self.pending.drain(..) {
                list.push(note(pending.text, false));
            }
            self.at += 1;
            let found = self.value_at(column, true)?;
            for text in found.above {
                list.push(note(text, false));
            }
            if let Some(text) = found.inline {
                list.push(note(text, true));
            }
            list.push(found.value);
            self.skip()?;
            if self.peek().is_none() || self.at_marker() || self.column() < column {
                break;
            }
            let dash = self.peek() == Some(b'-') && self.blank_at(1);
            if self.column() == column && dash {
                continue;
            }
            if self.column() == column && shares_column {
                break;
            }
            return Err(self.fail("an item of the list is expected here"));
        }
        for text in self.deep_comments() {
            list.push(note(text, false));
        }
        Ok(list)
    }
}
