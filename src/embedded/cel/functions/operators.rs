//! Arithmetic, comparison, indices.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::{Key, Val};

const NANOS: i64 = 1_000_000_000;

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    Some(match (name, args) {
        ("_==_", [a, b]) => Ok(Val::Bool(a.same(b))),
        ("_!=_", [a, b]) => Ok(Val::Bool(!a.same(b))),
        ("_<_", [a, b]) => compare(a, b, Ordering::is_lt),
        ("_<=_", [a, b]) => compare(a, b, Ordering::is_le),
        ("_>_", [a, b]) => compare(a, b, Ordering::is_gt),
        ("_>=_", [a, b]) => compare(a, b, Ordering::is_ge),
        ("!_", [Val::Bool(value)]) => Ok(Val::Bool(!value)),
        ("-_", [Val::Int(value)]) => whole(value.checked_neg()),
        ("-_", [Val::Double(value)]) => Ok(Val::Double(-value)),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [a, b]) => arithmetic(name, a, b),
        ("@in", [item, Val::List(list)]) => {
            Ok(Val::Bool(list.items.iter().any(|own| own.same(item))))
        }
        ("@in", [key, Val::Map(map)]) => Ok(Val::Bool(
            Key::of(key).is_some_and(|key| map.contains_key(&key)),
        )),
        ("_[_]", [of, index]) => at(of, index),
        ("_[?_]", [of, index]) => match of {
            Val::Optional(None) => Ok(Val::Optional(None)),
            Val::Optional(Some(inner)) => Ok(Val::optional(at(inner, index).ok())),
            other => Ok(Val::optional(at(other, index).ok())),
        },
        _ => return None,
    })
}

fn compare(a: &Val, b: &Val, good: fn(Ordering) -> bool) -> Result<Val, Stop> {
    if let (Val::Double(a), Val::Double(b)) = (a, b)
        && (a.is_nan() || b.is_nan())
    {
        return Ok(Val::Bool(false));
    }
    match a.order(b) {
        Some(order) => Ok(Val::Bool(good(order))),
        None => Stop::failed("no such overload"),
    }
}

fn overflow() -> Stop {
    Stop::Failed("integer overflow".to_owned())
}

fn whole(value: Option<i64>) -> Result<Val, Stop> {
    value.map(Val::Int).ok_or_else(overflow)
}

fn arithmetic(name: &str, a: &Val, b: &Val) -> Result<Val, Stop> {
    let divides = matches!(name, "_/_" | "_%_");
    if divides && matches!(b, Val::Int(0) | Val::Uint(0)) {
        return Stop::failed(match name {
            "_/_" => "division by zero",
            _ => "modulus by zero",
        });
    }
    match (a, b) {
        (Val::Int(a), Val::Int(b)) => whole(match name {
            "_+_" => a.checked_add(*b),
            "_-_" => a.checked_sub(*b),
            "_*_" => a.checked_mul(*b),
            "_/_" => a.checked_div(*b),
            _ => a.checked_rem(*b),
        }),
        (Val::Uint(a), Val::Uint(b)) => {
            let result = match name {
                "_+_" => a.checked_add(*b),
                "_-_" => a.checked_sub(*b),
                "_*_" => a.checked_mul(*b),
                "_/_" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            let failed = || Stop::Failed("unsigned integer overflow".to_owned());
            result.map(Val::Uint).ok_or_else(failed)
        }
        (Val::Double(a), Val::Double(b)) if name != "_%_" => Ok(Val::Double(match name {
            "_+_" => a + b,
            "_-_" => a - b,
            "_*_" => a * b,
            _ => a / b,
        })),
        _ if name == "_+_" => plus(a, b),
        _ if name == "_-_" => minus(a, b),
        _ => Stop::failed("no such overload"),
    }
}

fn plus(a: &Val, b: &Val) -> Result<Val, Stop> {
    match (a, b) {
        (Val::Str(a), Val::Str(b)) => Ok(Val::from(format!("{a}{b}"))),
        (Val::Bytes(a), Val::Bytes(b)) => Ok(Val::Bytes([&**a, &**b].concat().into())),
        (Val::List(a), Val::List(b)) => Ok(Val::List(Arc::new(a.plus(b)))),
        (Val::Timestamp(at), Val::Duration(by)) | (Val::Duration(by), Val::Timestamp(at)) => at
            .checked_add(jiff::SignedDuration::from_nanos(*by))
            .map(Val::Timestamp)
            .or_else(|_| Stop::failed("timestamp overflow")),
        (Val::Duration(a), Val::Duration(b)) => a
            .checked_add(*b)
            .map(Val::Duration)
            .ok_or_else(|| Stop::Failed("duration overflow".to_owned())),
        _ => Stop::failed("no such overload"),
    }
}

fn minus(a: &Val, b: &Val) -> Result<Val, Stop> {
    match (a, b) {
        (Val::Timestamp(a), Val::Timestamp(b)) => {
            let nanos = a.duration_since(*b).as_nanos();
            i64::try_from(nanos)
                .map(Val::Duration)
                .or_else(|_| Stop::failed("duration overflow"))
        }
        (Val::Timestamp(at), Val::Duration(by)) => at
            .checked_sub(jiff::SignedDuration::from_nanos(*by))
            .map(Val::Timestamp)
            .or_else(|_| Stop::failed("timestamp overflow")),
        (Val::Duration(a), Val::Duration(b)) => a
            .checked_sub(*b)
            .map(Val::Duration)
            .ok_or_else(|| Stop::Failed("duration overflow".to_owned())),
        _ => Stop::failed("no such overload"),
    }
}

fn at(of: &Val, index: &Val) -> Result<Val, Stop> {
    let found = match of {
        Val::List(list) => {
            let Some(Key::Int(number)) = Key::of(index) else {
                return Stop::failed(format!("unsupported index type '{}'", index.type_name()));
            };
            let item = usize::try_from(number)
                .ok()
                .and_then(|at| list.items.get(at));
            match item {
                Some(item) => item.clone(),
                None => return Stop::failed(format!("index out of bounds: {number}")),
            }
        }
        Val::Map(map) => {
            let Some(key) = Key::of(index) else {
                return Stop::failed(format!("unsupported key type '{}'", index.type_name()));
            };
            match map.get(&key) {
                Some(value) => value.clone(),
                None => return Stop::failed(format!("no such key: {}", key.shown())),
            }
        }
        Val::Optional(None) => return Ok(Val::Optional(None)),
        Val::Optional(Some(inner)) => return Ok(Val::optional(at(inner, index).ok())),
        _ => return Stop::failed("no such overload"),
    };
    match found {
        Val::Failed(why) => Stop::failed(&*why),
        found => Ok(found),
    }
}

/// Nanoseconds of a number of seconds.
pub(super) fn seconds(count: i64) -> Option<i64> {
    count.checked_mul(NANOS)
}
