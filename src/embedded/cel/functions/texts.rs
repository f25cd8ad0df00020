//! Texts: searching, cutting, joining, patterns, formatting.

use super::{Answer, time};
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;

/// How large a compiled pattern may be.
const PATTERN: usize = 1 << 20;

/// Compiles a pattern.
pub(super) fn pattern(text: &str) -> Result<regex::Regex, Stop> {
    regex::RegexBuilder::new(text)
        .size_limit(PATTERN)
        .build()
        .map_err(|_| Stop::Failed(format!("error parsing regexp: {text}")))
}

fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn text_of(letters: &[char]) -> Val {
    Val::from(letters.iter().collect::<String>())
}

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    Some(match (name, args) {
        ("size", [Val::Str(text)]) => Ok(Val::Int(text.chars().count() as i64)),
        ("size", [Val::Bytes(bytes)]) => Ok(Val::Int(bytes.len() as i64)),
        ("startsWith", [Val::Str(a), Val::Str(b)]) => Ok(Val::Bool(a.starts_with(&**b))),
        ("endsWith", [Val::Str(a), Val::Str(b)]) => Ok(Val::Bool(a.ends_with(&**b))),
        ("contains", [Val::Str(a), Val::Str(b)]) => Ok(Val::Bool(a.contains(&**b))),
        ("matches", [Val::Str(a), Val::Str(b)]) => pattern(b).map(|p| Val::Bool(p.is_match(a))),
        ("find", [Val::Str(a), Val::Str(b)]) => {
            pattern(b).map(|p| Val::from(p.find(a).map_or("", |found| found.as_str())))
        }
        ("findAll", [Val::Str(a), Val::Str(b)]) => find_all(a, b, -1),
        ("findAll", [Val::Str(a), Val::Str(b), Val::Int(most)]) => find_all(a, b, *most),
        ("lowerAscii", [Val::Str(a)]) => Ok(Val::from(a.to_ascii_lowercase())),
        ("upperAscii", [Val::Str(a)]) => Ok(Val::from(a.to_ascii_uppercase())),
        ("trim", [Val::Str(a)]) => Ok(Val::from(a.trim())),
        ("charAt", [Val::Str(a), Val::Int(at)]) => {
            let all = letters(a);
            match usize::try_from(*at).ok().filter(|at| *at <= all.len()) {
                Some(at) => Ok(text_of(
                    all.get(at..(at + 1).min(all.len())).unwrap_or_default(),
                )),
                None => Stop::failed(format!("index out of range: {at}")),
            }
        }
        ("indexOf", [Val::Str(a), Val::Str(b)]) => index(a, b, Some(0), false),
        ("indexOf", [Val::Str(a), Val::Str(b), Val::Int(from)]) => index(a, b, Some(*from), false),
        ("lastIndexOf", [Val::Str(a), Val::Str(b)]) => index(a, b, None, true),
        ("lastIndexOf", [Val::Str(a), Val::Str(b), Val::Int(to)]) => index(a, b, Some(*to), true),
        ("substring", [Val::Str(a), Val::Int(from)]) => substring(a, *from, None),
        ("substring", [Val::Str(a), Val::Int(from), Val::Int(to)]) => {
            substring(a, *from, Some(*to))
        }
        ("replace", [Val::Str(a), Val::Str(b), Val::Str(c)]) => Ok(Val::from(a.replace(&**b, c))),
        ("replace", [Val::Str(a), Val::Str(b), Val::Str(c), Val::Int(most)]) => {
            Ok(Val::from(match usize::try_from(*most) {
                Ok(most) => a.replacen(&**b, c, most),
                Err(_) => a.replace(&**b, c),
            }))
        }
        ("split", [Val::Str(a), Val::Str(b)]) => Ok(split(a, b, -1)),
        ("split", [Val::Str(a), Val::Str(b), Val::Int(most)]) => Ok(split(a, b, *most)),
        ("join", [Val::List(list)]) => join(&list.items, ""),
        ("join", [Val::List(list), Val::Str(between)]) => join(&list.items, between),
        ("strings.quote", [Val::Str(a)]) => Ok(Val::from(format!("{:?}", &**a))),
        ("format", [Val::Str(a), Val::List(list)]) => format(a, &list.items),
        _ => return None,
    })
}

fn find_all(text: &str, by: &str, most: i64) -> Result<Val, Stop> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = pattern(by)?;
    let found = found.find_iter(text).take(most);
    Ok(Val::from(
        found.map(|f| Val::from(f.as_str())).collect::<Vec<_>>(),
    ))
}

fn index(a: &str, b: &str, limit: Option<i64>, last: bool) -> Result<Val, Stop> {
    let (a, b) = (letters(a), letters(b));
    if let Some(limit) = limit
        && (limit < 0 || limit > a.len() as i64)
    {
        return Stop::failed(format!("index out of range: {limit}"));
    }
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let is_at = |at: &usize| a.get(*at..*at + b.len()) == Some(b.as_slice());
    let end = (a.len() + 1).saturating_sub(b.len());
    let found = if last {
        let end = limit.map_or(end, |limit| end.min(limit + 1));
        (0..end).rev().find(is_at)
    } else {
        (limit.unwrap_or(0)..end).find(is_at)
    };
    Ok(Val::Int(found.map_or(-1, |at| at as i64)))
}

fn substring(text: &str, from: i64, to: Option<i64>) -> Result<Val, Stop> {
    let all = letters(text);
    let length = all.len() as i64;
    let to = to.unwrap_or(length);
    for at in [from, to] {
        if at < 0 || at > length {
            return Stop::failed(format!("index out of range: {at}"));
        }
    }
    if from > to {
        return Stop::failed(format!("invalid substring range. start: {from}, end: {to}"));
    }
    let (from, to) = (from as usize, to as usize);
    Ok(text_of(all.get(from..to).unwrap_or_default()))
}

fn split(text: &str, by: &str, most: i64) -> Val {
    let parts: Vec<String> = match (by, usize::try_from(most)) {
        (_, Ok(0)) => Vec::new(),
        ("", Ok(most)) => {
            let all = letters(text);
            let cut = most.saturating_sub(1).min(all.len());
            let (single, rest) = all.split_at(cut);
            let mut parts: Vec<String> = single.iter().map(char::to_string).collect();
            if !rest.is_empty() {
                parts.push(rest.iter().collect());
            }
            parts
        }
        ("", Err(_)) => text.chars().map(|c| c.to_string()).collect(),
        (by, Ok(most)) => text.splitn(most, by).map(str::to_owned).collect(),
        (by, Err(_)) => text.split(by).map(str::to_owned).collect(),
    };
    Val::from(parts.into_iter().map(Val::from).collect::<Vec<_>>())
}

fn join(items: &[Val], between: &str) -> Result<Val, Stop> {
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Val::Str(text) => parts.push(&**text),
            _ => return Stop::failed("no such overload"),
        }
    }
    Ok(Val::from(parts.join(between)))
}

/// A value as `%s` shows it.
fn shown(value: &Val) -> String {
    match value {
        Val::Null => "null".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => value.to_string(),
        Val::Str(value) => value.to_string(),
        Val::Bytes(value) => String::from_utf8_lossy(value).into_owned(),
        Val::Duration(nanos) => time::shown(*nanos),
        Val::Timestamp(at) => at.to_string(),
        Val::Type(name) => name.to_string(),
        Val::List(list) => {
            let items: Vec<String> = list.items.iter().map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        Val::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}: {}", key.shown(), shown(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.type_name().to_owned(),
    }
}

fn format(text: &str, args: &[Val]) -> Result<Val, Stop> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut args = args.iter().enumerate();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut precision = None;
        if letters.next_if_eq(&'.').is_some() {
            let mut digits = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            let read: Option<usize> = digits.parse().ok().filter(|count| *count <= 100);
            precision = Some(read.ok_or_else(|| {
                Stop::Failed("could not parse formatting clause: invalid precision".to_owned())
            })?);
        }
        let Some(verb) = letters.next() else {
            return Stop::failed("could not parse formatting clause: unexpected end of string");
        };
        let Some((at, arg)) = args.next() else {
            return Stop::failed(format!("index {} out of range", args.len()));
        };
        out.push_str(&formatted(verb, precision, arg).map_err(|why| {
            Stop::Failed(format!("error during formatting: argument {at}: {why}"))
        })?);
    }
    Ok(Val::from(out))
}

fn formatted(verb: char, precision: Option<usize>, arg: &Val) -> Result<String, String> {
    let places = precision.unwrap_or(6);
    Ok(match (verb, arg) {
        ('s', arg) => shown(arg),
        ('d', Val::Int(value)) => value.to_string(),
        ('d', Val::Uint(value)) => value.to_string(),
        ('f', Val::Double(value)) => format!("{value:.places$}"),
        ('e', Val::Double(value)) => {
            let text = format!("{value:.places$e}");
            let (number, power) = text.split_once('e').unwrap_or((&text, "0"));
            let power: i32 = power.parse().unwrap_or(0);
            let sign = if power < 0 { '-' } else { '+' };
            format!("{number}e{sign}{:02}", power.abs())
        }
        ('b', Val::Int(value)) if *value < 0 => format!("-{:b}", value.unsigned_abs()),
        ('b', Val::Int(value)) => format!("{value:b}"),
        ('b', Val::Uint(value)) => format!("{value:b}"),
        ('b', Val::Bool(value)) => u8::from(*value).to_string(),
        ('o', Val::Int(value)) if *value < 0 => format!("-{:o}", value.unsigned_abs()),
        ('o', Val::Int(value)) => format!("{value:o}"),
        ('o', Val::Uint(value)) => format!("{value:o}"),
        ('x' | 'X', arg) => {
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let text = match arg {
                Val::Int(value) if *value < 0 => format!("-{:x}", value.unsigned_abs()),
                Val::Int(value) => format!("{value:x}"),
                Val::Uint(value) => format!("{value:x}"),
                Val::Str(value) => hex(value.as_bytes()),
                Val::Bytes(value) => hex(value),
                other => {
                    return Err(format!(
                        "hexadecimal clause can only be used on integers, byte buffers, and strings, was given {}",
                        other.type_name()
                    ));
                }
            };
            if verb == 'X' {
                text.to_uppercase()
            } else {
                text
            }
        }
        ('d' | 'f' | 'e' | 'b' | 'o', other) => {
            return Err(format!(
                "clause '{verb}' cannot be used on {}",
                other.type_name()
            ));
        }
        _ => {
            return Err(format!(
                "could not parse formatting clause: unrecognized formatting clause \"{verb}\""
            ));
        }
    })
}
