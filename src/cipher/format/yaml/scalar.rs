//! YAML scalars: plain, quoted and block texts, with their folding.

use super::read::Reader;
use crate::error::Result;

impl Reader<'_> {
    /// Reads a plain scalar as far as it goes on this line.
    pub(super) fn plain_line(&mut self) -> String {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let flow = self.in_flow();
        while let Some(byte) = bytes.get(self.at) {
            let next = bytes.get(self.at + 1).copied();
            let next_ends = matches!(next, None | Some(b' ' | b'\t' | b'\n'));
            match byte {
                b'\n' => break,
                b':' if next_ends
                    || (flow && matches!(next, Some(b',' | b'[' | b']' | b'{' | b'}'))) =>
                {
                    break;
                }
                b'#' if self.at > start && matches!(bytes.get(self.at - 1), Some(b' ' | b'\t')) => {
                    break;
                }
                b',' | b'[' | b']' | b'{' | b'}' if flow => break,
                _ => self.at += 1,
            }
        }
        let text = self.text[start..self.at].trim_end_matches([' ', '\t']);
        // Blanks before a comment or a colon are left for whoever reads on.
        self.at = start + text.len();
        text.to_owned()
    }

    /// Reads a plain scalar over several lines.
    pub(super) fn plain(&mut self, parent: Option<usize>) -> Result<String> {
        if matches!(self.peek(), Some(b'-' | b'?' | b':')) && self.blank_at(1) && !self.in_flow() {
            return Err(self.fail("a list or a mapping cannot begin here"));
        }
        let mut text = self.plain_line();
        loop {
            let (mut at, mut breaks) = (self.at, 0);
            let mut line_start = None;
            let bytes = self.text.as_bytes();
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b' ' | b'\t' => at += 1,
                    b'\n' => {
                        breaks += 1;
                        at += 1;
                        line_start = Some(at);
                    }
                    _ => break,
                }
            }
            let Some(line_start) = line_start else {
                return Ok(text);
            };
            let Some(byte) = bytes.get(at) else {
                return Ok(text);
            };
            let column = at - line_start;
            let marker = column == 0
                && self
                    .text
                    .get(at..)
                    .is_some_and(|rest| rest.starts_with("---") || rest.starts_with("..."));
            let shallow = !self.in_flow()
                && parent.is_none_or(|parent| column <= parent)
                && !(parent.is_none() && column > 0);
            if *byte == b'#' || marker || shallow {
                return Ok(text);
            }
            if self.in_flow() && matches!(byte, b',' | b'[' | b']' | b'{' | b'}' | b':') {
                return Ok(text);
            }
            let back = self.at;
            while self.at < at {
                if self.peek() == Some(b'\n') {
                    self.newline();
                } else {
                    self.at += 1;
                }
            }
            let more = self.plain_line();
            if more.is_empty() {
                self.at = back.max(self.at);
                return Ok(text);
            }
            fold(&mut text, breaks);
            text.push_str(&more);
        }
    }

    /// Reads a text in double quotes.
    pub(super) fn double_quoted(&mut self) -> Result<String> {
        self.at += 1;
        let mut text = String::new();
        // What escapes gave is not trimmed when a line folds.
        let mut kept = 0;
        loop {
            let rest = self.rest();
            let Some(stop) = rest.find(['"', '\\', '\n']) else {
                return Err(self.fail("a quoted text is not closed"));
            };
            text.push_str(&rest[..stop]);
            self.at += stop;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    if self.peek() == Some(b'\n') {
                        self.newline();
                        self.spaces();
                    } else {
                        let c = self.escape()?;
                        text.push(c);
                    }
                    kept = text.len();
                }
                _ => self.fold_line(&mut text, kept)?,
            }
        }
    }

    /// Reads a text in single quotes.
    pub(super) fn single_quoted(&mut self) -> Result<String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(stop) = rest.find(['\'', '\n']) else {
                return Err(self.fail("a quoted text is not closed"));
            };
            text.push_str(&rest[..stop]);
            self.at += stop;
            if self.peek() == Some(b'\n') {
                self.fold_line(&mut text, 0)?;
            } else if self.byte(1) == Some(b'\'') {
                text.push('\'');
                self.at += 2;
            } else {
                self.at += 1;
                return Ok(text);
            }
        }
    }

    fn fold_line(&mut self, text: &mut String, kept: usize) -> Result<()> {
        let trimmed = text.trim_end_matches([' ', '\t']).len().max(kept);
        text.truncate(trimmed);
        let mut breaks = 0;
        while self.peek() == Some(b'\n') {
            breaks += 1;
            self.newline();
            if self.at_marker() {
                return Err(self.fail("a document ends inside a quoted text"));
            }
            self.spaces();
        }
        fold(text, breaks);
        Ok(())
    }

    fn escape(&mut self) -> Result<char> {
        let Some(mark) = self.rest().chars().next() else {
            return Err(self.fail("a quoted text is not closed"));
        };
        self.at += mark.len_utf8();
        let digits = match mark {
            '0' => return Ok('\0'),
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            't' | '\t' => return Ok('\t'),
            'n' => return Ok('\n'),
            'v' => return Ok('\x0b'),
            'f' => return Ok('\x0c'),
            'r' => return Ok('\r'),
            'e' => return Ok('\x1b'),
            ' ' | '"' | '/' | '\\' | '\'' => return Ok(mark),
            'N' => return Ok('\u{85}'),
            '_' => return Ok('\u{a0}'),
            'L' => return Ok('\u{2028}'),
            'P' => return Ok('\u{2029}'),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(self.fail("this escape is unknown")),
        };
        let code = self
            .rest()
            .get(..digits)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|text| u32::from_str_radix(text, 16).ok())
            .and_then(char::from_u32);
        let Some(c) = code else {
            return Err(self.fail("this escape is not a character"));
        };
        self.at += digits;
        Ok(c)
    }

    /// Reads a `|` or `>` text and the comment behind its mark.
    pub(super) fn block_scalar(
        &mut self,
        parent: Option<usize>,
    ) -> Result<(String, Option<String>)> {
        let folded = self.peek() == Some(b'>');
        self.at += 1;
        let (mut chomp, mut hint) = (None, None);
        loop {
            match self.peek() {
                Some(mark @ (b'+' | b'-')) if chomp.is_none() => chomp = Some(mark),
                Some(digit @ b'1'..=b'9') if hint.is_none() => {
                    hint = Some(usize::from(digit - b'0'));
                }
                _ => break,
            }
            self.at += 1;
        }
        let before = self.at;
        self.spaces();
        let mut comment = None;
        if self.peek() == Some(b'#') && self.at > before {
            let rest = self.rest();
            let end = rest.find('\n').unwrap_or(rest.len());
            comment = Some(rest.get(1..end).unwrap_or_default().to_owned());
            self.at += end;
        }
        match self.peek() {
            None => return Ok((String::new(), comment)),
            Some(b'\n') => self.newline(),
            Some(_) => return Err(self.fail("a block text cannot begin like this")),
        }
        let lines = self.block_lines(parent, hint)?;
        Ok((assemble(&lines, folded, chomp), comment))
    }

    /// Takes the lines of a block text without their indentation.
    fn block_lines(&mut self, parent: Option<usize>, hint: Option<usize>) -> Result<Vec<String>> {
        let least = parent.map_or(0, |parent| parent + 1);
        let mut indent = hint.map(|hint| parent.map_or(0, |parent| parent) + hint);
        let mut lines: Vec<String> = Vec::new();
        loop {
            let rest = self.rest();
            if rest.is_empty() || self.at_marker() {
                break;
            }
            let end = rest.find('\n').unwrap_or(rest.len());
            let line = &rest[..end];
            let spaces = line.len() - line.trim_start_matches(' ').len();
            if indent.is_none() && spaces < line.len() {
                if spaces < least {
                    break;
                }
                if line[spaces..].starts_with('\t') && spaces == 0 && least > 0 {
                    return Err(self.fail("a tab cannot indent"));
                }
                indent = Some(spaces);
            }
            let depth = indent.unwrap_or(usize::MAX);
            if spaces < line.len() && spaces < depth {
                break;
            }
            lines.push(
                line.get(depth.min(line.len())..)
                    .unwrap_or_default()
                    .to_owned(),
            );
            self.at += end;
            if self.peek() == Some(b'\n') {
                self.newline();
            } else {
                // The text ends without a line break: nothing is added to the last line.
                lines.push(END.to_owned());
                break;
            }
        }
        Ok(lines)
    }
}

/// Marks that the file ended right behind the last line; no line can hold it.
const END: &str = "\n";

fn assemble(lines: &[String], folded: bool, chomp: Option<u8>) -> String {
    let open = lines.last().is_some_and(|last| last == END);
    let lines = if open {
        &lines[..lines.len() - 1]
    } else {
        lines
    };
    let content = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    let (body, trailing) = lines.split_at(content);
    let mut text = String::new();
    if folded {
        let mut empties = 0;
        let mut last_spaced = None;
        for line in body {
            if line.is_empty() {
                empties += 1;
                continue;
            }
            let spaced = line.starts_with([' ', '\t']);
            match last_spaced {
                None => text.push_str(&"\n".repeat(empties)),
                Some(false) if !spaced && empties == 0 => text.push(' '),
                Some(false) if !spaced => text.push_str(&"\n".repeat(empties)),
                Some(_) => text.push_str(&"\n".repeat(empties + 1)),
            }
            text.push_str(line);
            empties = 0;
            last_spaced = Some(spaced);
        }
    } else {
        text = body.join("\n");
    }
    let ended = !open || !trailing.is_empty();
    match chomp {
        Some(b'-') => {}
        Some(_) => {
            if !body.is_empty() && ended {
                text.push('\n');
            }
            let extra = if open {
                trailing.len().saturating_sub(1)
            } else {
                trailing.len()
            };
            text.push_str(&"\n".repeat(extra));
        }
        None => {
            if !body.is_empty() && ended {
                text.push('\n');
            }
        }
    }
    text
}

fn fold(text: &mut String, breaks: usize) {
    if breaks <= 1 {
        text.push(' ');
    } else {
        text.push_str(&"\n".repeat(breaks - 1));
    }
}
