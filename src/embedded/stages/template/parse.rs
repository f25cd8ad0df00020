//! Reading templates: text and actions, actions as words, blocks of both.

use serde_json::Value;

enum Piece {
    Text(String),
    Action(String),
}

pub(super) enum Node {
    Text(String),
    Print(Vec<Token>),
    If(Vec<(Vec<Token>, Vec<Node>)>, Vec<Node>),
    Range(Vec<Token>, Vec<Node>, Vec<Node>),
    With(Vec<Token>, Vec<Node>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
    Text(Value),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Word(String),
}

/// Splits text and actions; `-` next to the braces takes the white space beside them.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, tail) = after.split_once("}}").ok_or("an action does not end")?;
        let (left, inside) = match inside.strip_prefix('-') {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        let (right, inside) = match inside.strip_suffix('-') {
            Some(inside) => (true, inside),
            None => (false, inside),
        };
        let mut before = if trim { before.trim_start() } else { before };
        if left {
            before = before.trim_end();
        }
        pieces.push(Piece::Text(before.to_owned()));
        let inside = inside.trim();
        if !inside.starts_with("/*") {
            pieces.push(Piece::Action(inside.to_owned()));
        }
        trim = right;
        rest = tail;
    }
    let rest = if trim { rest.trim_start() } else { rest };
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

type Pieces = std::iter::Peekable<std::vec::IntoIter<Piece>>;

/// Reads until one of the words that end a block; answers with what ended it.
fn block(pieces: &mut Pieces, until: &[&str]) -> Result<(Vec<Node>, String), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
        if until.contains(&word) {
            return Ok((nodes, action));
        }
        match word {
            "if" => nodes.push(condition(pieces, rest)?),
            "range" | "with" => {
                let head = tokens(rest)?;
                let (body, mut end) = block(pieces, &["end", "else"])?;
                let mut other = Vec::new();
                if end.starts_with("else") {
                    (other, end) = block(pieces, &["end"])?;
                }
                let _ = end;
                nodes.push(match word {
                    "range" => Node::Range(head, body, other),
                    _ => Node::With(head, body, other),
                });
            }
            "end" | "else" => return Err(format!("{word} without a beginning")),
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("{word} is not known here"));
            }
            _ => nodes.push(Node::Print(tokens(&action)?)),
        }
    }
    match until.is_empty() {
        true => Ok((nodes, String::new())),
        false => Err("a block does not end".to_owned()),
    }
}

fn condition(pieces: &mut Pieces, head: &str) -> Result<Node, String> {
    let mut arms = Vec::new();
    let mut head = head.to_owned();
    loop {
        let question = tokens(&head)?;
        let (body, end) = block(pieces, &["end", "else"])?;
        arms.push((question, body));
        match end.strip_prefix("else").map(str::trim) {
            None => return Ok(Node::If(arms, Vec::new())),
            Some("") => return Ok(Node::If(arms, block(pieces, &["end"])?.0)),
            Some(more) => {
                let more = more
                    .strip_prefix("if ")
                    .ok_or("else of something unknown")?;
                more.clone_into(&mut head);
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let one = |token: Token, size: usize| (token, rest.get(size..).unwrap_or_default());
        let (token, tail) = match first {
            '(' => one(Token::Open, 1),
            ')' => one(Token::Close, 1),
            '|' => one(Token::Pipe, 1),
            ',' => one(Token::Comma, 1),
            '=' => one(Token::Assign, 1),
            ':' if rest.starts_with(":=") => one(Token::Declare, 2),
            '"' => {
                let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
                let value = stream.next().and_then(Result::ok);
                let value = value.ok_or("a text does not end")?;
                let size = stream.byte_offset();
                one(Token::Text(value), size)
            }
            '`' => {
                let body = rest.get(1..).unwrap_or_default();
                let (body, tail) = body.split_once('`').ok_or("a text does not end")?;
                (Token::Text(body.into()), tail)
            }
            '.' | '$' => {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '$')));
                let (word, tail) = rest.split_at(end.unwrap_or(rest.len()));
                let mut steps = word.split('.').map(str::to_owned);
                let head = steps.next().unwrap_or_default();
                let steps: Vec<String> = steps.filter(|step| !step.is_empty()).collect();
                match head.as_str() {
                    "" => (Token::Field(steps), tail),
                    _ => (Token::Variable(head, steps), tail),
                }
            }
            first if first.is_ascii_digit() || first == '-' => {
                let rest_of = rest.get(1..).unwrap_or_default();
                let end = rest_of.find(|c: char| !(c.is_ascii_digit() || c == '.'));
                let (word, tail) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
                let number =
                    serde_json::from_str(word).map_err(|_| format!("{word} is no number"))?;
                (Token::Text(number), tail)
            }
            first if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let (word, tail) = rest.split_at(end.unwrap_or(rest.len()));
                (Token::Word(word.to_owned()), tail)
            }
            other => return Err(format!("{other} is not known here")),
        };
        tokens.push(token);
        rest = tail.trim_start();
    }
    Ok(tokens)
}

/// Reads a template as a whole.
pub(super) fn read(text: &str) -> Result<Vec<Node>, String> {
    let mut parts = pieces(text)?.into_iter().peekable();
    Ok(block(&mut parts, &[])?.0)
}
