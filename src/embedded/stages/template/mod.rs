//! The part of Go's templates that stages are written in: text with `{{ … }}` between.
//!
//! There are fields (`.a.b`), variables, pipelines, parentheses, `if`, `range`, `with`, and the functions that
//! [`call`] lists. What is not there is an error that says what it met; nothing loops but over lists that are there.

mod functions;
mod parse;

use std::collections::BTreeMap;

use serde_json::Value;

use functions::{call, is_true, shown};
use parse::{Node, Token};

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
    let nodes = parse::read(text)?;
    let mut run = Run {
        around,
        scopes: vec![BTreeMap::from([("$".to_owned(), data.clone())])],
        out: String::new(),
    };
    run.all(&nodes, data)?;
    Ok(run.out)
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
