//! From the engine's positions to places in the text.
//!
//! A position of the engine's is a point. [`token`] makes the word there of it; [`field`] goes further: it finds the call
//! at the point in the tree and follows a field's path, such as `components[1]`, into the call's map literal.

use rhai::{AST, ASTNode, Expr, Position};

use crate::diag::{Label, Source};

/// The word at a position.
pub(super) fn token(source: &Source, at: Position) -> Option<Label> {
    let mut start = offset(source, at)?;
    // The engine points at the dot of `c.worker`; the name behind it is meant.
    if source
        .text()
        .get(start..)
        .is_some_and(|rest| rest.starts_with('.'))
    {
        start += 1;
    }
    Some(Label::new(
        source,
        start..end_of_token(source.text(), start),
        "",
    ))
}

/// Which part of `key: value` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Key,
    Value,
}

/// The value of a field of the call at a position; the call itself if the field is not written there.
pub(super) fn field(
    source: &Source,
    tree: Option<&AST>,
    at: Position,
    path: &str,
    spot: Spot,
) -> Option<Label> {
    let Some(found) = tree.and_then(|tree| find(tree, at, path, spot)) else {
        return token(source, at);
    };
    if spot == Spot::Key {
        return token(source, found);
    }
    let start = offset(source, found)?;
    Some(Label::new(
        source,
        start..end_of_value(source.text(), start),
        "",
    ))
}

fn offset(source: &Source, at: Position) -> Option<usize> {
    let line = at.line()?;
    Some(source.offset(line, at.position().unwrap_or(1)))
}

/// Finds the call at a position and follows the path through its arguments.
fn find(tree: &AST, at: Position, path: &str, spot: Spot) -> Option<Position> {
    if path.is_empty() {
        return None;
    }
    let mut found = None;
    tree.walk(&mut |nodes: &[ASTNode]| {
        let Some(ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))) =
            nodes.last()
        else {
            return true;
        };
        if *position != at {
            return true;
        }
        // `name` is the first argument of cluster(name, map); an index such as `[1]` names an argument.
        found = match path {
            "name" => call.args.first().map(Expr::position),
            _ => call
                .args
                .iter()
                .find_map(|argument| follow(argument, path, spot)),
        };
        false
    });
    found
}

/// Follows `a.b[0].c` into a literal; stops at the deepest part that is written out.
fn follow(value: &Expr, path: &str, spot: Spot) -> Option<Position> {
    if path.is_empty() {
        return Some(value.position());
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        let index: usize = index.parse().ok()?;
        let Expr::Array(entries, _) = value else {
            return None;
        };
        let entry = entries.get(index)?;
        return follow(entry, rest.trim_start_matches('.'), spot).or(Some(entry.position()));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (key, rest) = path.split_at(end);
    let Expr::Map(map, _) = value else {
        return None;
    };
    let (name, entry) = map.0.iter().find(|(name, _)| name.name == key)?;
    if rest.is_empty() {
        return Some(if spot == Spot::Key {
            name.pos
        } else {
            entry.position()
        });
    }
    follow(entry, rest.trim_start_matches('.'), spot).or(Some(entry.position()))
}

/// The end of the word, text or sign that begins here.
fn end_of_token(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let mut chars = rest.char_indices();
    let Some((_, first)) = chars.next() else {
        return start;
    };
    if first == '"' || first == '`' {
        return start + end_of_text(rest, first);
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if is_word(first) {
        return start + rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    }
    start + first.len_utf8()
}

/// The end of the value that begins here: up to the comma or bracket that closes it, or the end of the line.
fn end_of_value(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let mut depth = 0usize;
    let mut skip_to = 0;
    let mut end = rest.len();
    for (index, c) in rest.char_indices() {
        if index < skip_to {
            continue;
        }
        match c {
            '"' | '`' => skip_to = index + end_of_text(&rest[index..], c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | ']' | '}' => {
                end = index;
                break;
            }
            ',' | ';' | '\n' if depth == 0 => {
                end = index;
                break;
            }
            '/' if depth == 0 && rest[index..].starts_with("//") => {
                end = index;
                break;
            }
            _ => {}
        }
    }
    start + rest[..end].trim_end().len().max(1).min(rest.len())
}

fn end_of_text(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            return index + c.len_utf8();
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_values_end() {
        for (text, end) in [
            ("-1, b: 2", "-1"),
            ("[1, f(2)], x", "[1, f(2)]"),
            ("\"a, b\" }", "\"a, b\""),
            ("when(|c| c.x > 1, y)\n]", "when(|c| c.x > 1, y)"),
            ("3 // three", "3"),
            ("`x ${1}`)", "`x ${1}`"),
        ] {
            assert_eq!(&text[..end_of_value(text, 0)], end);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", start in 0usize..50) {
            let source = Source::new("x", text.clone());
            let mut start = start.min(text.len());
            while !text.is_char_boundary(start) { start -= 1; }
            let _ = end_of_value(source.text(), start);
            let _ = end_of_token(source.text(), start);
        }
    }
}
