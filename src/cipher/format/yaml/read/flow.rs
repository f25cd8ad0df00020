//! Flow collections: lists and mappings in brackets.

use std::collections::HashSet;

use super::{Reader, note};
use crate::cipher::tree::{Branch, Value};
use crate::error::Result;

impl Reader<'_> {
    pub(super) fn flow_list(&mut self) -> Result<Value> {
        self.at += 1;
        self.flow += 1;
        let mut list = Vec::new();
        loop {
            self.skip()?;
            for pending in self.pending.drain(..) {
                list.push(note(pending.text, false));
            }
            match self.peek() {
                Some(b']') => break,
                Some(b',') => return Err(self.fail("an item of the list is missing")),
                None => return Err(self.fail("a list is not closed")),
                _ => {}
            }
            let value = self.node(None, false)?;
            self.skip()?;
            let value = if self.peek() == Some(b':') {
                // A single pair without braces.
                self.at += 1;
                self.skip()?;
                let Value::Text(key) = value else {
                    return Err(
                        self.shape(&format!("a key is {} and must be a text", value.kind()))
                    );
                };
                let mut branch = Branch::default();
                let inner = self.node(None, false)?;
                branch.push(key, inner);
                self.skip()?;
                Value::Map(branch)
            } else {
                value
            };
            list.push(value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {}
                _ => return Err(self.fail("a comma or a closing bracket is expected here")),
            }
        }
        self.at += 1;
        self.flow -= 1;
        Ok(Value::List(list))
    }

    pub(super) fn flow_map(&mut self) -> Result<Value> {
        self.at += 1;
        self.flow += 1;
        let mut branch = Branch::default();
        let mut names = HashSet::new();
        loop {
            self.skip()?;
            self.flush(&mut branch);
            match self.peek() {
                Some(b'}') => break,
                Some(b',') => return Err(self.fail("a key of the mapping is missing")),
                None => return Err(self.fail("a mapping is not closed")),
                _ => {}
            }
            let key = match self.node(None, false)? {
                Value::Text(text) => text,
                other => {
                    return Err(self
                        .shape(&format!("a key is {} and must be a text", other.kind()))
                        .help("put the key in quotes"));
                }
            };
            if self.unique && !names.insert(key.clone()) {
                return Err(self.fail(&format!("the key `{key}` is there twice")));
            }
            self.skip()?;
            let mut value = Value::Null;
            if self.peek() == Some(b':') {
                self.at += 1;
                self.skip()?;
                value = self.node(None, false)?;
                self.skip()?;
            }
            branch.push(key, value);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                _ => return Err(self.fail("a comma or a closing brace is expected here")),
            }
        }
        self.at += 1;
        self.flow -= 1;
        Ok(Value::Map(branch))
    }
}
