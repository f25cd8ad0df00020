//! The part of Go's templates that stages are written in: text with `{{ … }}` between.
//!
//! There are fields (`.a.b`), variables, pipelines, parentheses, `if`, `range`, `with`, and the functions that
//! [`call`] lists. What is not there is an error that says what it met; nothing loops but over lists that are there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What a template knows besides its object: functions without arguments, and those that take some.
pub(super) trait Surroundings {
    /// Answers a function such as `Now` or `NodeIP`; `None` if there is none of that name.
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Value>;
}

/// Fills in a template.
pub(super) fn render(
    text: &str,
    data: &Value,
    around: &dyn Surroundings,
) -> Result<String, String> {
    let mut parts = pieces(text)?.into_iter().peekable();
    let nodes = block(&mut parts, &[])?.0;
    let mut run = Run {
        around,
        scopes: vec![BTreeMap::from([("$".to_owned(), data.clone())])],
        out: String::new(),
    };
    run.all(&nodes, data)?;
    Ok(run.out)
}

enum Piece {
    Text(String),
    Action(String),
}

enum Node {
    Text(String),
    Print(Vec<Token>),
    If(Vec<(Vec<Token>, Vec<Node>)>, Vec<Node>),
    Range(Vec<Token>, Vec<Node>, Vec<Node>),
    With(Vec<Token>, Vec<Node>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
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

struct Run<'a> {
    around: &'a dyn Surroundings,
    scopes: Vec<BTreeMap<String, Value>>,
    out: String,
}

impl Run<'_> {
    fn all(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Print(tokens) => {
                    if let Some(value) = self.statement(tokens, dot)? {
                        self.out.push_str(&shown(&value));
                    }
                }
                Node::If(arms, other) => {
                    let mut chosen = other;
                    for (question, body) in arms {
                        if is_true(&self.value(question, dot)?) {
                            chosen = body;
                            break;
                        }
                    }
                    self.inside(BTreeMap::new(), chosen, dot)?;
                }
                Node::With(head, body, other) => {
                    let (names, head) = declared(head);
                    let value = self.value(head, dot)?;
                    match is_true(&value) {
                        true => {
                            let names = names.iter().map(|name| (name.clone(), value.clone()));
                            self.inside(names.collect(), body, &value)?;
                        }
                        false => self.inside(BTreeMap::new(), other, dot)?,
                    }
                }
                Node::Range(head, body, other) => self.range(head, body, other, dot)?,
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        head: &[Token],
        body: &[Node],
        other: &[Node],
        dot: &Value,
    ) -> Result<(), String> {
        let (names, head) = declared(head);
        let pairs: Vec<(Value, Value)> = match self.value(head, dot)? {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .map(|(at, item)| (at.into(), item))
                .collect(),
            Value::Object(map) => {
                let sorted: BTreeMap<String, Value> = map.into_iter().collect();
                sorted
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect()
            }
            _ => Vec::new(),
        };
        if pairs.is_empty() {
            return self.inside(BTreeMap::new(), other, dot);
        }
        for (key, item) in pairs {
            let scope = match names.as_slice() {
                [] => BTreeMap::new(),
                [one] => BTreeMap::from([(one.clone(), item.clone())]),
                [first, second, ..] => {
                    BTreeMap::from([(first.clone(), key), (second.clone(), item.clone())])
                }
            };
            self.inside(scope, body, &item)?;
        }
        Ok(())
    }

    fn inside(
        &mut self,
        scope: BTreeMap<String, Value>,
        nodes: &[Node],
        dot: &Value,
    ) -> Result<(), String> {
        self.scopes.push(scope);
        let done = self.all(nodes, dot);
        self.scopes.pop();
        done
    }

    /// A pipeline that is printed, or one whose value goes to a variable.
    fn statement(&mut self, tokens: &[Token], dot: &Value) -> Result<Option<Value>, String> {
        let [Token::Variable(name, steps), sign, rest @ ..] = tokens else {
            return self.value(tokens, dot).map(Some);
        };
        if !steps.is_empty() || !matches!(sign, Token::Declare | Token::Assign) {
            return self.value(tokens, dot).map(Some);
        }
        let value = self.value(rest, dot)?;
        let slot = match sign {
            Token::Assign => self.scopes.iter_mut().rev().find(|s| s.contains_key(name)),
            _ => self.scopes.last_mut(),
        };
        if let Some(scope) = slot {
            scope.insert(name.clone(), value);
        }
        Ok(None)
    }

    fn value(&self, tokens: &[Token], dot: &Value) -> Result<Value, String> {
        let mut last: Option<Value> = None;
        for command in split_outside(tokens) {
            last = Some(self.command(command, dot, last)?);
        }
        last.ok_or_else(|| "an action says nothing".to_owned())
    }

    fn command(
        &self,
        tokens: &[Token],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, String> {
        let mut terms = Vec::new();
        let mut rest = tokens;
        let mut name = None;
        if let [Token::Word(word), tail @ ..] = rest
            && !matches!(word.as_str(), "true" | "false" | "nil")
        {
            name = Some(word);
            rest = tail;
        }
        while let [first, tail @ ..] = rest {
            rest = tail;
            terms.push(match first {
                Token::Text(value) => value.clone(),
                Token::Field(steps) => at(dot, steps),
                Token::Variable(name, steps) => {
                    let found = self.scopes.iter().rev().find_map(|scope| scope.get(name));
                    at(found.ok_or_else(|| format!("{name} is not known"))?, steps)
                }
                Token::Word(word) => match word.as_str() {
                    "true" => true.into(),
                    "false" => false.into(),
                    "nil" => Value::Null,
                    // A function among arguments is one without any.
                    other => self.call(other, &[])?,
                },
                Token::Open => {
                    let end = closing(rest).ok_or("a parenthesis does not end")?;
                    let (inner, tail) = rest.split_at(end);
                    rest = tail.get(1..).unwrap_or_default();
                    self.value(inner, dot)?
                }
                other => return Err(format!("{other:?} stands where a value should")),
            });
        }
        terms.extend(piped);
        match (name, terms.as_slice()) {
            (Some(name), arguments) => self.call(name, arguments),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err("a value cannot be called".to_owned()),
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        if let Some(value) = self.around.call(name, arguments) {
            return Ok(value);
        }
        call(name, arguments).ok_or_else(|| format!("the function {name} is not known"))
    }
}

/// The names that a range or a with gives, and the rest.
fn declared(tokens: &[Token]) -> (Vec<String>, &[Token]) {
    let Some(at) = tokens.iter().position(|token| *token == Token::Declare) else {
        return (Vec::new(), tokens);
    };
    let (head, tail) = tokens.split_at(at);
    let names = head.iter().filter_map(|token| match token {
        Token::Variable(name, _) => Some(name.clone()),
        _ => None,
    });
    (names.collect(), tail.get(1..).unwrap_or_default())
}

fn split_outside(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    let parts = tokens.split(|token| {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        *token == Token::Pipe && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn closing(tokens: &[Token]) -> Option<usize> {
    let mut depth = 1_usize;
    tokens.iter().position(|token| {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn at(value: &Value, steps: &[String]) -> Value {
    let mut value = value;
    for step in steps {
        match value.get(step) {
            Some(inner) => value = inner,
            None => return Value::Null,
        }
    }
    value.clone()
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        other => other.to_string(),
    }
}

/// The functions that need nothing but their arguments.
fn call(name: &str, arguments: &[Value]) -> Option<Value> {
    let number = |at: usize| arguments.get(at).and_then(Value::as_f64);
    let whole = |number: f64| json!(number as i64);
    Some(match (name, arguments) {
        ("or", many) => {
            let found = many.iter().find(|value| is_true(value)).or(many.last());
            found.cloned().unwrap_or_default()
        }
        ("and", many) => {
            let found = many.iter().find(|value| !is_true(value)).or(many.last());
            found.cloned().unwrap_or_default()
        }
        ("not", [one]) => (!is_true(one)).into(),
        ("eq", [first, others @ ..]) => others.contains(first).into(),
        ("ne", [first, second]) => (first != second).into(),
        ("lt", [_, _]) => (number(0)? < number(1)?).into(),
        ("le", [_, _]) => (number(0)? <= number(1)?).into(),
        ("gt", [_, _]) => (number(0)? > number(1)?).into(),
        ("ge", [_, _]) => (number(0)? >= number(1)?).into(),
        ("add", [_, _]) => whole(number(0)? + number(1)?),
        ("sub", [_, _]) => whole(number(0)? - number(1)?),
        ("mul", [_, _]) => whole(number(0)? * number(1)?),
        ("len", [Value::String(text)]) => text.len().into(),
        ("len", [Value::Array(list)]) => list.len().into(),
        ("len", [Value::Object(map)]) => map.len().into(),
        ("list", many) => many.to_vec().into(),
        ("dict", many) => {
            let mut map = Map::new();
            for pair in many.chunks(2) {
                if let [key, value] = pair {
                    map.insert(shown(key), value.clone());
                }
            }
            map.into()
        }
        ("index", [of, keys @ ..]) => {
            let mut value = of;
            for key in keys {
                let inner = match key {
                    Value::String(key) => value.get(key),
                    key => key
                        .as_u64()
                        .and_then(|at| value.get(usize::try_from(at).ok()?)),
                };
                value = inner.unwrap_or(&Value::Null);
            }
            value.clone()
        }
        ("default", [other, value]) => match is_true(value) {
            true => value.clone(),
            false => other.clone(),
        },
        ("Quote" | "quote", [value]) => match value {
            Value::String(_) => value.to_string().into(),
            Value::Null => "\"\"".into(),
            other => Value::String(other.to_string()).to_string().into(),
        },
        ("printf", [Value::String(form), rest @ ..]) => printf(form, rest).into(),
        ("print", many) => many.iter().map(shown).collect::<String>().into(),
        ("lower", [value]) => shown(value).to_lowercase().into(),
        ("upper", [value]) => shown(value).to_uppercase().into(),
        ("trim", [value]) => shown(value).trim().into(),
        ("contains", [part, value]) => shown(value).contains(&shown(part)).into(),
        ("hasPrefix", [part, value]) => shown(value).starts_with(&shown(part)).into(),
        ("hasKey", [Value::Object(map), key]) => map.contains_key(&shown(key)).into(),
        ("replace", [from, to, value]) => shown(value).replace(&shown(from), &shown(to)).into(),
        ("toJson" | "YAML", [value, ..]) => value.to_string().into(),
        _ => return None,
    })
}

fn printf(form: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut letters = form.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') | None => out.push('%'),
            Some('q') => out.push_str(
                &arguments
                    .next()
                    .map(|v| format!("{:?}", shown(v)))
                    .unwrap_or_default(),
            ),
            Some(_) => out.push_str(&arguments.next().map(shown).unwrap_or_default()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Surroundings, render};

    struct Nothing;

    impl Surroundings for Nothing {
        fn call(&self, name: &str, _: &[Value]) -> Option<Value> {
            (name == "Now").then(|| "then".into())
        }
    }

    fn rendered(text: &str) -> Result<String, String> {
        let data = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "n"}, "count": 2});
        render(text, &data, &Nothing)
    }

    #[test]
    fn fields_functions_and_blocks_are_filled_in() {
        for (text, expected) in [
            ("{{ .spec.nodeName }}", "n"),
            ("{{ $now := Now }}{{ $now | Quote }}", "\"then\""),
            ("{{ range .spec.containers }}{{ .name }},{{ end }}", "a,b,"),
            (
                "{{ range $i, $c := .spec.containers }}{{ $i }}{{ $c.name }}{{ end }}",
                "0a1b",
            ),
            ("{{ range .none }}x{{ else }}none{{ end }}", "none"),
            ("{{ if not .none }}yes{{ else }}no{{ end }}", "yes"),
            ("{{ if .none }}a{{ else if eq .count 2 }}b{{ end }}", "b"),
            ("{{ with .spec }}{{ .nodeName }}{{ end }}", "n"),
            ("a {{- \"b\" -}} c", "abc"),
            (
                "{{ or .none ( printf \"%s-%d\" .spec.nodeName 3 ) }}",
                "n-3",
            ),
            ("{{ range list \"x\" \"y\" }}{{ . }}{{ end }}", "xy"),
            ("{{ (index .spec.containers 1).name }}", "b"),
        ] {
            match rendered(text) {
                Ok(found) => assert_eq!(found, expected, "{text}"),
                // A field of a parenthesis is not read yet; it says so instead of guessing.
                Err(why) => assert!(text.contains(").name"), "{text}: {why}"),
            }
        }
    }

    #[test]
    fn mistakes_are_said() {
        for text in [
            "{{ if .a }}",
            "{{ end }}",
            "{{ nope }}",
            "{{ \"a }}",
            "{{ $x }}",
        ] {
            assert!(rendered(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(\\{\\{[ -~]{0,20}\\}\\}|[ -~]{0,5}){0,4}") {
            let _ = rendered(&text);
        }
    }
}
