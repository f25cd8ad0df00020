//! From words to an expression. Macros are expanded on the way, in `macros`.

use std::sync::Arc;

use super::ast::{Expr, Node, Select};
use super::lex::{self, Token};
use super::macros;
use super::problem::Problem;
use super::value::Val;

/// How deep expressions may be nested; what is deeper could exhaust the stack.
const DEPTH: usize = 200;

/// How long an expression may be, in characters.
const LENGTH: usize = 100_000;

/// Words that no identifier may be.
pub(super) const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const PRIMARY: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Parses an expression.
pub(super) fn parse(source: &str) -> Result<Expr, Problem> {
    if source.chars().count() > LENGTH {
        let message = "expression code point size exceeds limit: size: too long, limit 100000";
        return Err(Problem::new(0, message));
    }
    let words = lex::words(source)?;
    let mut parser = Parser {
        words: &words,
        next: 0,
        depth: 0,
    };
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        other => {
            let message = format!(
                "Syntax error: extraneous input '{}' expecting <EOF>",
                other.shown()
            );
            Err(Problem::new(parser.at(), message))
        }
    }
}

struct Parser<'a> {
    words: &'a [(usize, Token)],
    next: usize,
    depth: usize,
}

/// Makes an expression, unless it would be too deep.
pub(super) fn make(at: usize, below: usize, node: Node) -> Result<Expr, Problem> {
    if below >= DEPTH {
        return Err(Problem::new(at, "expression recursion limit exceeded: 250"));
    }
    Ok(Expr::new(at, below, node))
}

/// A call of an operator or a function.
pub(super) fn call(at: usize, name: &str, args: Vec<Expr>) -> Result<Expr, Problem> {
    let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
    let name = Arc::from(name);
    make(
        at,
        below,
        Node::Call {
            target: None,
            name,
            args,
        },
    )
}

fn binding(sign: &str) -> Option<(u8, &'static str)> {
    Some(match sign {
        "<" => (1, "_<_"),
        "<=" => (1, "_<=_"),
        ">" => (1, "_>_"),
        ">=" => (1, "_>=_"),
        "==" => (1, "_==_"),
        "!=" => (1, "_!=_"),
        "in" => (1, "@in"),
        "+" => (2, "_+_"),
        "-" => (2, "_-_"),
        "*" => (3, "_*_"),
        "/" => (3, "_/_"),
        "%" => (3, "_%_"),
        _ => return None,
    })
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.words
            .get(self.next)
            .map_or(&Token::End, |word| &word.1)
    }

    fn at(&self) -> usize {
        let word = self.words.get(self.next).or(self.words.last());
        word.map_or(0, |word| word.0)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Result<(), Problem> {
        if self.eat(sign) {
            return Ok(());
        }
        let message = format!(
            "Syntax error: missing '{sign}' at '{}'",
            self.peek().shown()
        );
        Err(Problem::new(self.at(), message))
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let message = format!(
            "Syntax error: mismatched input '{}' expecting {wanted}",
            self.peek().shown()
        );
        Problem::new(self.at(), message)
    }

    fn expr(&mut self) -> Result<Expr, Problem> {
        self.depth += 1;
        if self.depth > DEPTH / 2 {
            return Err(Problem::new(
                self.at(),
                "expression recursion limit exceeded: 250",
            ));
        }
        let condition = self.logical("||")?;
        let at = self.at();
        let result = if self.eat("?") {
            let yes = self.logical("||")?;
            self.need(":")?;
            let no = self.expr()?;
            call(at, "_?_:_", vec![condition, yes, no])
        } else {
            Ok(condition)
        };
        self.depth -= 1;
        result
    }

    fn logical(&mut self, sign: &str) -> Result<Expr, Problem> {
        let mut terms = Vec::new();
        let mut places = Vec::new();
        loop {
            terms.push(match sign {
                "||" => self.logical("&&")?,
                _ => self.binary(1)?,
            });
            places.push(self.at());
            if !self.eat(sign) {
                break;
            }
        }
        let name = if sign == "||" { "_||_" } else { "_&&_" };
        balanced(terms, &places, name)
    }

    fn binary(&mut self, least: u8) -> Result<Expr, Problem> {
        let mut left = if least > 3 {
            return self.unary();
        } else {
            self.binary(least + 1)?
        };
        loop {
            let sign = match self.peek() {
                Token::Sign(sign) => *sign,
                Token::Ident(word) if word == "in" => "in",
                _ => return Ok(left),
            };
            let Some((_, name)) = binding(sign).filter(|(level, _)| *level == least) else {
                return Ok(left);
            };
            let at = self.at();
            self.next += 1;
            let right = self.binary(least + 1)?;
            left = call(at, name, vec![left, right])?;
        }
    }

    fn unary(&mut self) -> Result<Expr, Problem> {
        let at = self.at();
        let sign = if self.is("!") {
            "!"
        } else if self.is("-") {
            "-"
        } else {
            return self.member();
        };
        let mut count = 0;
        while self.eat(sign) {
            count += 1;
        }
        if sign == "-" && count == 1 {
            let negated = match self.peek().clone() {
                Token::Int(text) => Some(int(&format!("-{text}"), at)?),
                Token::Double(number) => Some(Val::Double(-number)),
                _ => None,
            };
            if let Some(value) = negated {
                self.next += 1;
                let literal = make(at, 0, Node::Const(value))?;
                return self.rest(literal);
            }
        }
        let inner = self.member()?;
        if count % 2 == 0 {
            return Ok(inner);
        }
        call(at, if sign == "!" { "!_" } else { "-_" }, vec![inner])
    }

    fn member(&mut self) -> Result<Expr, Problem> {
        let first = self.primary()?;
        self.rest(first)
    }

    fn rest(&mut self, mut expr: Expr) -> Result<Expr, Problem> {
        loop {
            let at = self.at();
            if self.eat(".") {
                let optional = self.eat("?");
                let Token::Ident(field) = self.peek().clone() else {
                    return Err(self.unexpected("IDENTIFIER"));
                };
                self.next += 1;
                let open = self.at();
                if !optional && self.eat("(") {
                    let args = self.args(")")?;
                    expr = macros::member(open, expr, &field, args)?;
                    continue;
                }
                if !optional && self.is("{") {
                    let name = expr.dotted();
                    if let Some(name) = name {
                        return self.message(open, format!("{name}.{field}"));
                    }
                }
                let how = if optional {
                    Select::Optional
                } else {
                    Select::Value
                };
                let below = expr.depth;
                let of = Box::new(expr);
                let field = Arc::from(field);
                expr = make(at, below, Node::Select { of, field, how })?;
            } else if self.eat("[") {
                let name = if self.eat("?") { "_[?_]" } else { "_[_]" };
                let index = self.expr()?;
                self.need("]")?;
                expr = call(at, name, vec![expr, index])?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn args(&mut self, end: &str) -> Result<Vec<Expr>, Problem> {
        let mut args = Vec::new();
        if self.eat(end) {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if !self.eat(",") {
                self.need(end)?;
                return Ok(args);
            }
        }
    }

    fn message(&mut self, at: usize, name: String) -> Result<Expr, Problem> {
        self.need("{")?;
        while !self.eat("}") {
            self.eat("?");
            let Token::Ident(_) = self.peek() else {
                return Err(self.unexpected("IDENTIFIER"));
            };
            self.next += 1;
            self.need(":")?;
            self.expr()?;
            if !self.eat(",") {
                self.need("}")?;
                break;
            }
        }
        make(at, 0, Node::Message(name.into()))
    }

    fn primary(&mut self) -> Result<Expr, Problem> {
        let at = self.at();
        let value = match self.peek().clone() {
            Token::Int(text) => int(&text, at)?,
            Token::Uint(number) => Val::Uint(number),
            Token::Double(number) => Val::Double(number),
            Token::Text(text) => Val::from(text),
            Token::Bytes(bytes) => Val::Bytes(bytes.into()),
            Token::Ident(word) => match word.as_str() {
                "true" => Val::Bool(true),
                "false" => Val::Bool(false),
                "null" => Val::Null,
                "in" => return Err(self.unexpected(PRIMARY)),
                _ => {
                    self.next += 1;
                    return self.named(at, &word);
                }
            },
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.expr()?;
                self.need(")")?;
                return Ok(inner);
            }
            Token::Sign(".") => {
                self.next += 1;
                let Token::Ident(word) = self.peek().clone() else {
                    return Err(self.unexpected("IDENTIFIER"));
                };
                self.next += 1;
                return self.named(at, &word);
            }
            Token::Sign("[") => return self.list(at),
            Token::Sign("{") => return self.map(at),
            Token::Sign(_) | Token::End => return Err(self.unexpected(PRIMARY)),
        };
        self.next += 1;
        make(at, 0, Node::Const(value))
    }

    fn named(&mut self, at: usize, word: &str) -> Result<Expr, Problem> {
        if RESERVED.contains(&word) {
            return Err(Problem::new(at, format!("reserved identifier: {word}")));
        }
        let open = self.at();
        if self.eat("(") {
            let args = self.args(")")?;
            return macros::global(open, word, args);
        }
        if self.is("{") && word.starts_with(|l: char| l.is_ascii_uppercase()) {
            return self.message(open, word.to_owned());
        }
        make(at, 0, Node::Ident(word.into()))
    }

    fn list(&mut self, at: usize) -> Result<Expr, Problem> {
        self.next += 1;
        let mut items = Vec::new();
        while !self.eat("]") {
            let optional = self.eat("?");
            items.push((self.expr()?, optional));
            if !self.eat(",") {
                self.need("]")?;
                break;
            }
        }
        let below = items.iter().map(|item| item.0.depth).max().unwrap_or(0);
        make(at, below, Node::List(items))
    }

    fn map(&mut self, at: usize) -> Result<Expr, Problem> {
        self.next += 1;
        let mut items = Vec::new();
        while !self.eat("}") {
            let optional = self.eat("?");
            let key = self.expr()?;
            self.need(":")?;
            let value = self.expr()?;
            items.push((key, value, optional));
            if !self.eat(",") {
                self.need("}")?;
                break;
            }
        }
        let deepest = items.iter().map(|item| item.0.depth.max(item.1.depth));
        let below = deepest.max().unwrap_or(0);
        make(at, below, Node::Map(items))
    }
}

/// Joins terms as a tree that is no deeper than it must be.
fn balanced(mut terms: Vec<Expr>, places: &[usize], name: &str) -> Result<Expr, Problem> {
    if terms.len() <= 1 {
        return terms
            .pop()
            .ok_or_else(|| Problem::new(0, "Syntax error: an expression is missing"));
    }
    let half = terms.len().div_ceil(2);
    let right = terms.split_off(half);
    let at = places.get(half - 1).copied().unwrap_or(0);
    let left = balanced(terms, places, name)?;
    let right = balanced(right, places.get(half..).unwrap_or_default(), name)?;
    call(at, name, vec![left, right])
}

fn int(text: &str, at: usize) -> Result<Val, Problem> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let number = parsed.ok().and_then(|n| i64::try_from(n * sign).ok());
    number
        .map(Val::Int)
        .ok_or_else(|| Problem::new(at, "invalid int literal"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn long_chains_are_read_and_too_deep_ones_refused() {
        assert!(parse(&vec!["a"; 5000].join(" && ")).is_ok());
        assert!(parse(&vec!["1"; 5000].join("+")).is_err());
        assert!(parse(&"(".repeat(5000)).is_err());
        assert!(parse(&"[".repeat(5000)).is_err());
        assert!(parse(&"!".repeat(5000)).is_err());
        assert!(parse(&format!("a{}", ".b".repeat(5000))).is_err());
        assert!(parse(&"a?b:".repeat(5000)).is_err());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let problem = |source: &str| {
            let problem = parse(source).unwrap_err();
            (problem.at, problem.message)
        };
        assert_eq!(
            problem("self.a >"),
            (
                8,
                format!(
                    "Syntax error: mismatched input '<EOF>' expecting {}",
                    super::PRIMARY
                )
            )
        );
        assert_eq!(problem("for"), (0, "reserved identifier: for".to_owned()));
        assert_eq!(problem("a b").0, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(source in ".{0,60}") {
            let _ = parse(&source);
        }

        #[test]
        fn near_expressions_are_read_without_panic(words in proptest::collection::vec(
            prop::sample::select(vec!["a", ".", "(", ")", "[", "]", "{", "}", "?", ":", ",", "1", "-", "!", "in", "'x'", "&&", "||", "==", "map", "has", "all", "cel", "bind", "1u", "1.0", "\\", "'", "\n"]), 0..40)) {
            let _ = parse(&words.concat());
            let _ = parse(&words.join(" "));
        }
    }
}
