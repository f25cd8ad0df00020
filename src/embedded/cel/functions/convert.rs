//! From one type to another.

use super::{Answer, time};
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    let [value] = args else { return None };
    Some(match (name, value) {
        ("dyn", value) => Ok(value.clone()),
        ("type", value) => Ok(Val::Type(value.type_name().into())),
        ("bool", Val::Bool(_)) => Ok(value.clone()),
        ("bool", Val::Str(text)) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Val::Bool(false)),
            _ => failed(value, "bool"),
        },
        ("int", value) => int(value),
        ("uint", value) => uint(value),
        ("double", value) => match value {
            Val::Double(_) => Ok(value.clone()),
            Val::Int(number) => Ok(Val::Double(*number as f64)),
            Val::Uint(number) => Ok(Val::Double(*number as f64)),
            Val::Str(text) => match text.parse() {
                Ok(number) => Ok(Val::Double(number)),
                Err(_) => failed(value, "double"),
            },
            _ => failed(value, "double"),
        },
        ("string", value) => text(value),
        ("bytes", Val::Bytes(_)) => Ok(value.clone()),
        ("bytes", Val::Str(text)) => Ok(Val::Bytes(text.as_bytes().into())),
        _ => return None,
    })
}

fn failed(value: &Val, wanted: &str) -> Result<Val, Stop> {
    Stop::failed(format!(
        "type conversion error from '{}' to '{wanted}'",
        value.type_name()
    ))
}

fn int(value: &Val) -> Result<Val, Stop> {
    let number = match value {
        Val::Int(number) => Some(*number),
        Val::Uint(number) => i64::try_from(*number).ok(),
        Val::Double(number) if number.abs() < 9.2e18 => Some(*number as i64),
        Val::Str(text) => return text.parse().map(Val::Int).or_else(|_| failed(value, "int")),
        Val::Timestamp(at) => Some(at.as_second()),
        Val::Double(_) => None,
        _ => return failed(value, "int"),
    };
    number
        .map(Val::Int)
        .ok_or_else(|| Stop::Failed("integer overflow".to_owned()))
}

fn uint(value: &Val) -> Result<Val, Stop> {
    let number = match value {
        Val::Uint(number) => Some(*number),
        Val::Int(number) => u64::try_from(*number).ok(),
        Val::Double(number) if *number >= 0.0 && *number < 1.8e19 => Some(*number as u64),
        Val::Str(text) => {
            return text
                .parse()
                .map(Val::Uint)
                .or_else(|_| failed(value, "uint"));
        }
        Val::Double(_) => None,
        _ => return failed(value, "uint"),
    };
    number
        .map(Val::Uint)
        .ok_or_else(|| Stop::Failed("unsigned integer overflow".to_owned()))
}

fn text(value: &Val) -> Result<Val, Stop> {
    Ok(Val::from(match value {
        Val::Str(_) => return Ok(value.clone()),
        Val::Bool(value) => value.to_string(),
        Val::Int(value) => value.to_string(),
        Val::Uint(value) => value.to_string(),
        Val::Double(value) => value.to_string(),
        Val::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return Stop::failed("invalid UTF-8 in bytes, cannot convert to string"),
        },
        Val::Timestamp(at) => at.to_string(),
        Val::Duration(nanos) => time::shown(*nanos),
        Val::Ip(ip) => ip.to_string(),
        Val::Cidr(cidr) => cidr.to_string(),
        _ => return failed(value, "string"),
    }))
}
