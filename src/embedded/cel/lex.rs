//! From text to words.

use super::problem::Problem;

/// A word of the language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Ident(String),
    Int(String),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Sign(&'static str),
    End,
}

impl Token {
    /// How messages show it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Ident(text) | Self::Int(text) => text.clone(),
            Self::Uint(number) => format!("{number}u"),
            Self::Double(number) => number.to_string(),
            Self::Text(text) => format!("\"{text}\""),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Sign(sign) => (*sign).to_owned(),
            Self::End => "<EOF>".to_owned(),
        }
    }
}

const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":",
    "+", "*", "/", "%", "<", ">",
];

/// Splits a source into words with their places.
pub(super) fn words(source: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let letters: Vec<char> = source.chars().collect();
    let mut lexer = Lexer {
        letters: &letters,
        at: 0,
    };
    let mut words = Vec::new();
    loop {
        lexer.skip_blank();
        let at = lexer.at;
        let word = lexer.word()?;
        let end = word == Token::End;
        words.push((at, word));
        if end {
            return Ok(words);
        }
    }
}

struct Lexer<'a> {
    letters: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, good: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(letter) = self.peek(0).filter(|letter| good(*letter)) {
            text.push(letter);
            self.at += 1;
        }
        text
    }

    fn skip_blank(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek(0) == Some('/') && self.peek(1) == Some('/') {
                self.take_while(|letter| letter != '\n');
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> Result<Token, Problem> {
        let Some(letter) = self.peek(0) else {
            return Ok(Token::End);
        };
        if let Some(prefix) = self.quote_ahead() {
            return self.quoted(prefix);
        }
        if letter.is_ascii_alphabetic() || letter == '_' {
            return Ok(Token::Ident(
                self.take_while(|l| l.is_ascii_alphanumeric() || l == '_'),
            ));
        }
        let number = letter.is_ascii_digit()
            || letter == '.' && self.peek(1).is_some_and(|l| l.is_ascii_digit());
        if number {
            return self.number();
        }
        for sign in SIGNS {
            if sign
                .chars()
                .enumerate()
                .all(|(n, l)| self.peek(n) == Some(l))
            {
                self.at += sign.len();
                return Ok(Token::Sign(sign));
            }
        }
        Err(Problem::new(
            self.at,
            format!("Syntax error: token recognition error at: '{letter}'"),
        ))
    }

    /// How many letters come before a quote that starts here: `r`, `b`, or both.
    fn quote_ahead(&self) -> Option<usize> {
        for ahead in 0..=2 {
            match self.peek(ahead)? {
                '"' | '\'' => return Some(ahead),
                'r' | 'R' | 'b' | 'B' => {}
                _ => return None,
            }
        }
        None
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        let bad = |what: &str| Problem::new(start, format!("invalid {what} literal"));
        if self.peek(0) == Some('0') && matches!(self.peek(1), Some('x' | 'X')) {
            self.at += 2;
            let digits = self.take_while(|l| l.is_ascii_hexdigit());
            if matches!(self.peek(0), Some('u' | 'U')) {
                self.at += 1;
                let number = u64::from_str_radix(&digits, 16).map_err(|_| bad("uint"))?;
                return Ok(Token::Uint(number));
            }
            return Ok(Token::Int(format!("0x{digits}")));
        }
        let mut text = self.take_while(|l| l.is_ascii_digit());
        let mut double = false;
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|l| l.is_ascii_digit()) {
            double = true;
            self.at += 1;
            text.push('.');
            text.push_str(&self.take_while(|l| l.is_ascii_digit()));
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if self.peek(1 + signed).is_some_and(|l| l.is_ascii_digit()) {
                double = true;
                text.push('e');
                for _ in 0..signed {
                    text.extend(self.peek(1));
                }
                self.at += 1 + signed;
                text.push_str(&self.take_while(|l| l.is_ascii_digit()));
            }
        }
        if double {
            return text.parse().map(Token::Double).map_err(|_| bad("double"));
        }
        if matches!(self.peek(0), Some('u' | 'U')) {
            self.at += 1;
            return text.parse().map(Token::Uint).map_err(|_| bad("uint"));
        }
        Ok(Token::Int(text))
    }

    fn quoted(&mut self, prefix: usize) -> Result<Token, Problem> {
        let start = self.at;
        let (mut raw, mut bytes) = (false, false);
        for _ in 0..prefix {
            match self.peek(0) {
                Some('r' | 'R') => raw = true,
                _ => bytes = true,
            }
            self.at += 1;
        }
        let quote = self.peek(0).unwrap_or('"');
        let long = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at += if long { 3 } else { 1 };
        let mut out: Vec<u8> = Vec::new();
        let mut buffer = [0; 4];
        loop {
            let Some(letter) = self.peek(0) else {
                let text: String = self.letters.iter().skip(start).collect();
                let message = format!("Syntax error: token recognition error at: '{text}'");
                return Err(Problem::new(start, message));
            };
            let ends = letter == quote
                && (!long || self.peek(1) == Some(quote) && self.peek(2) == Some(quote));
            if ends {
                self.at += if long { 3 } else { 1 };
                break;
            }
            if letter == '\n' && !long {
                let message = "Syntax error: token recognition error: a text ends with its line";
                return Err(Problem::new(start, message));
            }
            self.at += 1;
            if letter == '\\' && !raw {
                self.escape(bytes, &mut out)?;
            } else {
                out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
            }
        }
        if bytes {
            return Ok(Token::Bytes(out));
        }
        String::from_utf8(out)
            .map(Token::Text)
            .map_err(|_| Problem::new(start, "invalid string literal"))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), Problem> {
        let start = self.at.saturating_sub(1);
        let bad = || Problem::new(start, "Syntax error: unable to unescape string");
        let letter = self.peek(0).ok_or_else(bad)?;
        self.at += 1;
        let plain = match letter {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '\\' | '\'' | '"' | '`' | '?' => Some(letter),
            _ => None,
        };
        let mut buffer = [0; 4];
        if let Some(plain) = plain {
            out.extend_from_slice(plain.encode_utf8(&mut buffer).as_bytes());
            return Ok(());
        }
        let (count, radix, back) = match letter {
            'x' | 'X' => (2, 16, 0),
            'u' if !bytes => (4, 16, 0),
            'U' if !bytes => (8, 16, 0),
            '0'..='3' => (3, 8, 1),
            _ => return Err(bad()),
        };
        self.at -= back;
        let mut code: u32 = 0;
        for _ in 0..count {
            let digit = self
                .peek(0)
                .and_then(|l| l.to_digit(radix))
                .ok_or_else(bad)?;
            code = code.wrapping_mul(radix).wrapping_add(digit);
            self.at += 1;
        }
        if bytes {
            out.push(u8::try_from(code).map_err(|_| bad())?);
        } else {
            let letter = char::from_u32(code).ok_or_else(bad)?;
            out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Token, words};

    fn tokens(source: &str) -> Vec<Token> {
        words(source).unwrap().into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn numbers_and_texts_are_read() {
        use Token::{Bytes, Double, End, Int, Text, Uint};
        assert_eq!(
            tokens("1 2u 0x1F 1.5 1e3 .5"),
            [
                Int("1".into()),
                Uint(2),
                Int("0x1F".into()),
                Double(1.5),
                Double(1000.0),
                Double(0.5),
                End
            ]
        );
        assert_eq!(
            tokens(r#"'a\n' r'\d' b"\x41" '''it's''' "\u00e9" // done"#),
            [
                Text("a\n".into()),
                Text("\\d".into()),
                Bytes(b"A".to_vec()),
                Text("it's".into()),
                Text("é".into()),
                End
            ]
        );
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for source in ["'open", "a # b", "'\\q'", "`x`"] {
            assert!(words(source).is_err(), "{source}");
        }
    }
}
