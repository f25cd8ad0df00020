//! Quantities such as `100m`, `1.5Gi` or `1e3`, as numbers that can be compared and added.

/// Thousandths of the unit; `None` if the text is no quantity.
pub(super) fn milli(text: &str) -> Option<i128> {
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.len() > 18 || whole.len() > 18 {
        return None;
    }
    let parse = |digits: &str| -> Option<i128> {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse().ok()
        }
    };
    let (whole, fraction) = (parse(whole)?, parse(part)?);
    let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
    let value = whole * scale + fraction;
    // In thousandths: numerator over denominator.
    let (times, over): (i128, i128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1000),
        "m" => (1, 1),
        "" => (1000, 1),
        "k" => (1_000_000, 1),
        "M" => (10_i128.pow(9), 1),
        "G" => (10_i128.pow(12), 1),
        "T" => (10_i128.pow(15), 1),
        "P" => (10_i128.pow(18), 1),
        "E" => (10_i128.pow(21), 1),
        "Ki" => (1000 << 10, 1),
        "Mi" => (1000 << 20, 1),
        "Gi" => (1000 << 30, 1),
        "Ti" => (1000 << 40, 1),
        "Pi" => (1000 << 50, 1),
        "Ei" => (1000 << 60, 1),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let power: i32 = digits.parse().ok()?;
            match u32::try_from(power) {
                Ok(power) if power <= 18 => (1000 * 10_i128.pow(power), 1),
                Ok(_) => return None,
                Err(_) if power >= -18 => (1000, 10_i128.pow(power.unsigned_abs())),
                Err(_) => return None,
            }
        }
    };
    let over = over.checked_mul(scale)?;
    let exact = value.checked_mul(times)?;
    // Rounded up, as the API does with what is too fine.
    Some(sign * (exact + over - 1).div_euclid(over))
}

/// A quantity in a value, which may also be a bare number.
pub(super) fn of(value: &serde_json::Value) -> Option<i128> {
    match value {
        serde_json::Value::String(text) => milli(text),
        serde_json::Value::Number(number) => milli(&number.to_string()),
        _ => None,
    }
}

/// An amount as the API would write it.
pub(super) fn written(name: &str, milli: i128) -> String {
    if milli % 1000 != 0 {
        return format!("{milli}m");
    }
    let whole = milli / 1000;
    let bytes = name.ends_with("memory") || name.ends_with("storage");
    if bytes && whole != 0 {
        for (shift, unit) in [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if whole % (1 << shift) == 0 {
                return format!("{}{unit}", whole >> shift);
            }
        }
    }
    whole.to_string()
}

/// A quantity the way the API writes it: `1000m` is `1`, `0.5Gi` is `512Mi`; `None` if the text is none.
pub(super) fn canonical(text: &str) -> Option<String> {
    milli(text)?;
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, suffix) = text.split_at(digits.unwrap_or(text.len()));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = part.trim_end_matches('0');
    let mantissa: i128 = format!("{whole}{part}").parse().ok()?;
    let places = u32::try_from(part.len()).ok()?;
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        let scaled = mantissa.checked_mul(1 << (10 * (power + 1)))?;
        let over = 10_i128.checked_pow(places)?;
        if scaled % over == 0 {
            return Some(binary(scaled / over));
        }
        return Some(text.to_owned());
    }
    let exponent: i32 = match DECIMAL.iter().position(|known| *known == suffix) {
        Some(at) => i32::try_from(at).ok()? * 3 - 9,
        None => suffix.strip_prefix(['e', 'E'])?.parse().ok()?,
    };
    let is_power = suffix.starts_with(['e', 'E']) && suffix.len() > 1;
    // In billionths, below which there is nothing.
    let shift = exponent.checked_add(9)? - i32::try_from(places).ok()?;
    let value = match u32::try_from(shift) {
        Ok(up) => mantissa.checked_mul(10_i128.checked_pow(up)?)?,
        Err(_) => {
            let over = 10_i128.checked_pow(shift.unsigned_abs())?;
            (mantissa + over - 1).div_euclid(over)
        }
    };
    if value == 0 {
        return Some("0".to_owned());
    }
    let last = i128::try_from(DECIMAL.len()).ok()? - 1;
    let at = (0..=last).rev().find(|at| {
        let unit = u32::try_from(at * 3)
            .ok()
            .and_then(|p| 10_i128.checked_pow(p));
        unit.is_some_and(|unit| value % unit == 0)
    })?;
    let unit = 10_i128.checked_pow(u32::try_from(at * 3).ok()?)?;
    let name = DECIMAL.get(usize::try_from(at).ok()?).copied()?;
    Some(match at * 3 - 9 {
        0 => (value / unit).to_string(),
        power if is_power => format!("{}e{power}", value / unit),
        _ => format!("{}{name}", value / unit),
    })
}

const BINARY: &[&str] = &["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: &[&str] = &["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// A whole number with the largest binary unit that divides it.
fn binary(mut value: i128) -> String {
    let mut unit = "";
    for name in BINARY {
        if value == 0 || value % 1024 != 0 {
            break;
        }
        value /= 1024;
        unit = name;
    }
    format!("{value}{unit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{canonical, milli, written};

    #[test]
    fn amounts_are_written_in_the_largest_unit_that_is_exact() {
        assert_eq!(written("requests.cpu", 1500), "1500m");
        assert_eq!(written("cpu", 2000), "2");
        assert_eq!(written("requests.memory", 3 * (1 << 30) * 1000), "3Gi");
        assert_eq!(written("pods", 1024 * 1000), "1024");
        assert_eq!(written("memory", 0), "0");
    }

    #[test]
    fn writes_quantities_as_the_api_does() {
        for (text, expected) in [
            ("1000m", "1"),
            ("0.25", "250m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("0.5Gi", "512Mi"),
            ("1024Mi", "1Gi"),
            ("512Mi", "512Mi"),
            ("1e3", "1e3"),
            ("10e3", "10e3"),
            ("0", "0"),
            ("-1", "-1"),
            ("100M", "100M"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(canonical("lots"), None);
    }

    #[test]
    fn reads_quantities() {
        for (text, expected) in [
            ("1", 1000),
            ("100m", 100),
            ("1.5", 1500),
            ("1Ki", 1_024_000),
            ("0.5Gi", 536_870_912_000),
            ("1e3", 1_000_000),
            ("-2", -2000),
            ("1k", 1_000_000),
            ("1n", 1),
        ] {
            assert_eq!(milli(text), Some(expected), "{text}");
        }
        for text in ["", "x", "1x", "1..2", "e3", "."] {
            assert_eq!(milli(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,30}") {
            let _ = (milli(&text), canonical(&text));
        }
    }
}
