//! One value: its anchor and tag, aliases within their budget, and what kind of content follows.
//!
//! Anchors are expanded where they are used, as sops does.

use super::{Pending, Reader};
use crate::cipher::format::yaml::resolve;
use crate::cipher::format::{DEPTH, at_offset, too_deep};
use crate::cipher::tree::Value;
use crate::diag::codes::cipher::TOO_LARGE;
use crate::error::{Error, Result};

#[derive(Default)]
pub(super) struct Properties {
    pub(super) anchor: Option<String>,
    pub(super) tag: Option<String>,
}

impl Reader<'_> {
    /// Reads the node that begins here. `parent` is the column of what it belongs to; `opens` says whether a mapping or
    /// a list may begin on this very line.
    pub(super) fn node(&mut self, parent: Option<usize>, opens: bool) -> Result<Value> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(too_deep(self.text, self.at));
        }
        let value = self.node_inside(parent, opens);
        self.depth -= 1;
        value
    }

    pub(super) fn node_inside(&mut self, parent: Option<usize>, opens: bool) -> Result<Value> {
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

    pub(super) fn node_with(
        &mut self,
        parent: Option<usize>,
        properties: &Properties,
    ) -> Result<Value> {
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
    pub(super) fn keep(&mut self, properties: Properties, value: Value) -> Result<Value> {
        if let Some(name) = properties.anchor {
            let copy = self.copy(&value)?;
            self.anchors.insert(name, copy);
        }
        Ok(value)
    }

    pub(super) fn copy(&mut self, value: &Value) -> Result<Value> {
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
    pub(super) fn properties(&mut self) -> Result<Properties> {
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

    pub(super) fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}'))
            .unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// Reads what is left when properties and block collections are out of the way.
    pub(super) fn content(&mut self, parent: Option<usize>, tag: Option<&str>) -> Result<Value> {
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
