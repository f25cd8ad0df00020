//! Kubernetes' quantities.

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;
use crate::embedded::quantity::milli;

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    Some(match (name, args) {
        ("quantity", [Val::Str(text)]) => milli(text).map(Val::Quantity).ok_or_else(|| {
            Stop::Failed("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned())
        }),
        ("isQuantity", [Val::Str(text)]) => Ok(Val::Bool(milli(text).is_some())),
        ("sign", [Val::Quantity(own)]) => Ok(Val::Int(own.signum() as i64)),
        ("isInteger", [Val::Quantity(own)]) => {
            Ok(Val::Bool(own % 1000 == 0 && i64::try_from(own / 1000).is_ok()))
        }
        ("asInteger", [Val::Quantity(own)]) => match i64::try_from(own / 1000) {
            Ok(number) if own % 1000 == 0 => Ok(Val::Int(number)),
            _ => Stop::failed("cannot convert value to integer"),
        },
        ("asApproximateFloat", [Val::Quantity(own)]) => Ok(Val::Double(*own as f64 / 1000.0)),
        ("add", [Val::Quantity(own), other]) => sum(*own, other, 1)?,
        ("sub", [Val::Quantity(own), other]) => sum(*own, other, -1)?,
        ("isLessThan", [Val::Quantity(a), Val::Quantity(b)]) => Ok(Val::Bool(a < b)),
        ("isGreaterThan", [Val::Quantity(a), Val::Quantity(b)]) => Ok(Val::Bool(a > b)),
        ("compareTo", [Val::Quantity(a), Val::Quantity(b)]) => Ok(Val::Int(a.cmp(b) as i64)),
        _ => return None,
    })
}

fn sum(own: i128, other: &Val, sign: i128) -> Answer {
    let other = match other {
        Val::Quantity(other) => *other,
        Val::Int(other) => i128::from(*other) * 1000,
        _ => return None,
    };
    let total = own.checked_add(other * sign);
    Some(
        total
            .map(Val::Quantity)
            .ok_or_else(|| Stop::Failed("quantity overflow".to_owned())),
    )
}
