//! The functions of templates that need nothing but their arguments.

use serde_json::{Map, Value, json};

/// Whether a value counts as true: anything that is not empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The text of a value.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        other => other.to_string(),
    }
}

/// The functions that need nothing but their arguments.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Value> {
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
