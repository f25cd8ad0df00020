//! Lines and comments: where a break, a blank line and an indentation fall.

use super::Writer;

impl Writer {
    pub(super) fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    pub(super) fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    pub(super) fn indicator(
        &mut self,
        text: &str,
        needs_space: bool,
        is_space: bool,
        is_indention: bool,
    ) {
        if needs_space && !self.whitespace {
            self.put(" ");
        }
        self.put(text);
        self.whitespace = is_space;
        self.indention = self.indention && is_indention;
        self.open_ended = false;
    }

    pub(super) fn indent_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        if self.foot_indent == Some(indent) {
            self.line_break();
        }
        while self.column < indent {
            self.put(" ");
        }
        self.whitespace = true;
        self.foot_indent = None;
    }

    pub(super) fn comment(&mut self, lines: &str) {
        for (index, line) in lines.split('\n').enumerate() {
            if index > 0 {
                self.line_break();
                self.indent_line();
            }
            self.put(line);
            self.indention = false;
        }
        self.line_break();
        self.whitespace = true;
    }

    pub(super) fn head_comment(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.indent_line();
            self.comment(&tail);
            self.foot_indent = Some(self.indent.unwrap_or(0));
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.indent_line();
            self.comment(&head);
        }
    }

    pub(super) fn line_comment(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        if !self.whitespace {
            self.put(" ");
        }
        self.comment(&line);
    }

    pub(super) fn foot_comment(&mut self) {
        if self.foot.is_empty() {
            return;
        }
        let foot = std::mem::take(&mut self.foot);
        self.indent_line();
        self.comment(&foot);
        self.foot_indent = Some(self.indent.unwrap_or(0));
    }
}
