//! What a text allows: plain, in single quotes, or as a block.

/// Which scalar styles a text allows.
pub(super) struct Shape {
    pub(super) plain: bool,
    pub(super) single: bool,
    pub(super) block: bool,
}

impl Shape {
    pub(super) fn of(text: &str) -> Self {
        let mut shape = Self {
            plain: true,
            single: true,
            block: !text.is_empty(),
        };
        if text.starts_with("---") || text.starts_with("...") {
            shape.plain = false;
        }
        let mut before: Option<char> = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            let blank_next = next.is_none_or(|next| matches!(next, ' ' | '\t') || is_break(next));
            let blank_before = before.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(c));
            let indicator = match c {
                '#' => blank_before,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
                | '@' | '`' => before.is_none(),
                '?' | '-' => before.is_none() && blank_next,
                ':' => blank_next,
                _ => false,
            };
            if indicator {
                shape.plain = false;
            }
            let tab = c == '\t';
            if tab || !is_printable(c) {
                shape.plain = false;
                shape.single = false;
                shape.block &= tab;
            }
            if is_break(c) {
                shape.plain = false;
                if before == Some(' ') {
                    shape.single = false;
                    shape.block = false;
                }
            }
            if c == ' ' {
                if before.is_none() || next.is_none() {
                    shape.plain = false;
                }
                if next.is_none() {
                    shape.block = false;
                }
                if before.is_some_and(is_break) {
                    shape.single = false;
                }
            }
            before = Some(c);
        }
        shape
    }
}

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}
