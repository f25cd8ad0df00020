//! What a plain YAML scalar means: nothing, a truth value, a number, a time, or a text.
//!
//! The rules are those of the Go library that sops reads with, which mixes YAML 1.1 and 1.2.

use crate::cipher::tree::Value;
use crate::diag::codes::cipher::UNSUPPORTED_SHAPE;
use crate::error::{Error, Result};

/// Gives the value of a plain scalar.
pub(super) fn plain(text: &str) -> Result<Value> {
    let Some(first) = text.bytes().next() else {
        return Ok(Value::Null);
    };
    match first {
        b'~' | b'n' | b'N' if matches!(text, "~" | "null" | "Null" | "NULL") => {
            return Ok(Value::Null);
        }
        b't' | b'T' if matches!(text, "true" | "True" | "TRUE") => return Ok(Value::Bool(true)),
        b'f' | b'F' if matches!(text, "false" | "False" | "FALSE") => {
            return Ok(Value::Bool(false));
        }
        b'+' | b'-' | b'.' | b'0'..=b'9' => {}
        _ => return Ok(Value::text(text)),
    }
    match text {
        ".nan" | ".NaN" | ".NAN" => return Ok(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Ok(Value::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Ok(Value::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    if first != b'.' {
        if let Some(time) = time(text) {
            return Ok(Value::Time(time));
        }
        let digits = text.replace('_', "");
        match integer(&digits) {
            Some(Ok(whole)) => return Ok(Value::Int(whole)),
            Some(Err(())) => {
                return Err(
                    Error::new(&UNSUPPORTED_SHAPE, "an integer does not fit 64 bits")
                        .help("quote it to keep it as a text"),
                );
            }
            None => {}
        }
        if let Some(float) = float(&digits) {
            return Ok(Value::Float(float));
        }
    } else if let Some(float) = float(&text.replace('_', "")) {
        return Ok(Value::Float(float));
    }
    Ok(Value::text(text))
}

/// Gives the value of a scalar with an explicit tag.
pub(super) fn tagged(tag: &str, text: &str) -> Result<Value> {
    let unlike = || {
        Error::new(
            &UNSUPPORTED_SHAPE,
            format!("a value is not of the type `{tag}` that it is tagged with"),
        )
        .help("remove the tag or mend the value")
    };
    let value = plain(text)?;
    match tag {
        "!!binary" => {
            use base64::Engine as _;
            let packed: String = text.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(packed)
                .map_err(|_| unlike())?;
            String::from_utf8(bytes).map(Value::Text).map_err(|_| {
                Error::new(
                    &UNSUPPORTED_SHAPE,
                    "a binary value is not UTF-8, which this version cannot keep",
                )
                .help(
                    "keep the base64 text as it is, without the tag, or encrypt the file as binary",
                )
            })
        }
        "!!int" => matches!(value, Value::Int(_))
            .then_some(value)
            .ok_or_else(unlike),
        "!!float" => match value {
            Value::Float(_) => Ok(value),
            #[allow(clippy::cast_precision_loss, reason = "that is what the tag asks for")]
            Value::Int(whole) => Ok(Value::Float(whole as f64)),
            _ => Err(unlike()),
        },
        "!!bool" => matches!(value, Value::Bool(_))
            .then_some(value)
            .ok_or_else(unlike),
        "!!null" => matches!(value, Value::Null)
            .then_some(value)
            .ok_or_else(unlike),
        "!!timestamp" => matches!(value, Value::Time(_))
            .then_some(value)
            .ok_or_else(unlike),
        // A text stays one, and a tag of the user's own does not change how the scalar is read.
        _ => Ok(Value::text(text)),
    }
}

/// Whether a text would be read back as something else than a text.
pub(super) fn needs_quotes(text: &str) -> bool {
    text == "<<"
        || is_old_bool(text)
        || is_base60(text)
        || !matches!(plain(text), Ok(Value::Text(_)))
}

fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// Digits in groups of sixty, which YAML 1.1 reads as one number.
fn is_base60(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((head, rest)) = body.split_once(':') else {
        return false;
    };
    let (groups, fraction) = rest
        .split_once('.')
        .map_or((rest, ""), |(groups, fraction)| (groups, fraction));
    head.starts_with(|c: char| c.is_ascii_digit())
        && head.chars().all(|c| c.is_ascii_digit() || c == '_')
        && groups.split(':').all(|group| match group.as_bytes() {
            [one] => one.is_ascii_digit(),
            [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
            _ => false,
        })
        && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}

fn integer(text: &str) -> Option<Result<i64, ()>> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match body.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &body[2..]),
        [b'0', b'b' | b'B', ..] => (2, &body[2..]),
        [b'0', b'o' | b'O', ..] => (8, &body[2..]),
        [b'0', _, ..] => (8, &body[1..]),
        _ => (10, body),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    if let Ok(whole) = i64::from_str_radix(&signed, radix) {
        return Some(Ok(whole));
    }
    // Between 63 and 64 bits the format has no type; beyond, a decimal is read as a float.
    (!negative && u64::from_str_radix(digits, radix).is_ok()).then_some(Err(()))
}

fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = body
        .split_once(['e', 'E'])
        .map_or((body, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa
        .split_once('.')
        .map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction_digits = fraction.is_some_and(|fraction| !fraction.is_empty());
    if !digits(whole) || !fraction.is_none_or(digits) || (whole.is_empty() && !fraction_digits) {
        return None;
    }
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !digits(exponent) {
            return None;
        }
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// Reads a time and writes it as RFC 3339.
fn time(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let year = &text[..4];
    let (month, rest) = short_number(&text[5..])?;
    let (day, rest) = short_number(rest.strip_prefix('-')?)?;
    let date = format!("{year}-{month:02}-{day:02}");
    date.parse::<jiff::civil::Date>().ok()?;
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let spaced = rest.starts_with(' ');
    let (hour, rest) = short_number(rest.strip_prefix(['T', 't', ' '])?)?;
    let (minute, rest) = short_number(rest.strip_prefix(':')?)?;
    let (second, rest) = short_number(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            if end == 0 || end > 9 {
                return None;
            }
            (rest[..end].trim_end_matches('0'), &rest[end..])
        }
        None => ("", rest),
    };
    let zone = match (spaced, zone) {
        (true, "") | (false, "Z" | "+00:00") => "Z".to_owned(),
        (false, zone) => {
            let (sign, offset) = zone.split_at_checked(1)?;
            let (hours, minutes) = offset.split_once(':')?;
            let two =
                |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            if !matches!(sign, "+" | "-") || !two(hours) || !two(minutes) {
                return None;
            }
            zone.to_owned()
        }
        _ => return None,
    };
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}{dot}{fraction}{zone}"
    ))
}

fn short_number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 || end > 2 {
        return None;
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::{needs_quotes, plain};
    use crate::cipher::tree::Value;

    #[test]
    fn reads_scalars_as_sops_does() {
        for (text, value) in [
            ("0644", Value::Int(420)),
            ("0x1F", Value::Int(31)),
            ("1_000", Value::Int(1000)),
            ("08", Value::Float(8.0)),
            ("1e3", Value::Float(1000.0)),
            ("1.", Value::Float(1.0)),
            ("-.5", Value::Float(-0.5)),
            ("yes", Value::text("yes")),
            ("1.2.3", Value::text("1.2.3")),
            ("-", Value::text("-")),
            ("~", Value::Null),
            ("2001-12-14", Value::Time("2001-12-14T00:00:00Z".into())),
            (
                "2001-12-14t21:59:43.10-05:00",
                Value::Time("2001-12-14T21:59:43.1-05:00".into()),
            ),
            ("2001-13-14", Value::text("2001-13-14")),
        ] {
            assert_eq!(plain(text).unwrap(), value, "{text}");
        }
        assert!(plain("18446744073709551615").is_err());
    }

    #[test]
    fn quotes_what_would_change() {
        for text in ["", "1", "yes", "null", "12:30", "<<", "2001-12-14", ".5"] {
            assert!(needs_quotes(text), "{text}");
        }
        for text in ["a", "1.2.3", "12:99", "yess"] {
            assert!(!needs_quotes(text), "{text}");
        }
    }
}
