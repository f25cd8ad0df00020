//! Semantic versions.

use std::sync::Arc;

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;

/// A version.
pub(in crate::embedded) type Semver = semver::Version;

/// Reads a version; what people leave out is filled in where that is wished.
fn read(text: &str, lenient: bool) -> Option<Semver> {
    if !lenient {
        return Semver::parse(text).ok();
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut parts: Vec<&str> = numbers
        .split('.')
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0",
            part => part,
        })
        .collect();
    while parts.len() < 3 {
        parts.push("0");
    }
    Semver::parse(&format!("{}{rest}", parts.join("."))).ok()
}

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    let made = |text: &str, lenient: bool| match read(text, lenient) {
        Some(version) => Ok(Val::Semver(Arc::new(version))),
        None => Stop::failed(format!("semver {text:?} parse error during conversion")),
    };
    Some(match (name, args) {
        ("semver", [Val::Str(text)]) => made(text, false),
        ("semver", [Val::Str(text), Val::Bool(lenient)]) => made(text, *lenient),
        ("isSemver", [Val::Str(text)]) => Ok(Val::Bool(read(text, false).is_some())),
        ("isSemver", [Val::Str(text), Val::Bool(lenient)]) => {
            Ok(Val::Bool(read(text, *lenient).is_some()))
        }
        ("major", [Val::Semver(own)]) => Ok(Val::Int(own.major as i64)),
        ("minor", [Val::Semver(own)]) => Ok(Val::Int(own.minor as i64)),
        ("patch", [Val::Semver(own)]) => Ok(Val::Int(own.patch as i64)),
        ("isLessThan", [Val::Semver(a), Val::Semver(b)]) => {
            Ok(Val::Bool(a.cmp_precedence(b).is_lt()))
        }
        ("isGreaterThan", [Val::Semver(a), Val::Semver(b)]) => {
            Ok(Val::Bool(a.cmp_precedence(b).is_gt()))
        }
        ("compareTo", [Val::Semver(a), Val::Semver(b)]) => Ok(Val::Int(a.cmp_precedence(b) as i64)),
        _ => return None,
    })
}
