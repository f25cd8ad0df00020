//! Numbers as text, the way the sops file format writes them.
//!
//! The format was born in Go, and the integrity code is made over Go's text forms; so the shortest digits are those of
//! Rust's own formatting, laid out by Go's rules.

/// Writes a float without an exponent, with the fewest digits that read back the same.
pub(super) fn plain(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.into()
    } else {
        // Rust's Display never uses an exponent and is the shortest that reads back.
        format!("{value}")
    }
}

/// Writes a float with an exponent when it is below 1e-4 or from `upper` digits before the point on.
pub(super) fn general(value: f64, upper: i32, exponent_mark: char) -> String {
    if !value.is_finite() || value == 0.0 {
        return plain(value);
    }
    let (digits, exponent) = scientific(value);
    if exponent >= -4 && exponent < upper {
        return plain(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{exponent_mark}{sign}{:02}", exponent.abs())
}

/// Writes a float as JSON does: with an exponent only below 1e-6 or from 1e21 on.
pub(super) fn json(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return plain(value);
    }
    let (digits, exponent) = scientific(value);
    // Positive exponents keep two digits, small negative ones lose the leading zero.
    if exponent < 0 {
        format!("{digits}e-{}", exponent.abs())
    } else {
        format!("{digits}e+{exponent:02}")
    }
}

fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => (digits.to_owned(), exponent.parse().unwrap_or_default()),
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{general, json, plain};

    #[test]
    fn writes_floats_as_go_does() {
        assert_eq!(plain(1e21), "1000000000000000000000");
        assert_eq!(plain(0.1), "0.1");
        assert_eq!(plain(1.0), "1");
        assert_eq!(general(1_234_567.5, 6, 'e'), "1.2345675e+06");
        assert_eq!(general(123_456.0, 6, 'e'), "123456");
        assert_eq!(general(0.00001, 6, 'e'), "1e-05");
        assert_eq!(json(1e21), "1e+21");
        assert_eq!(json(1e-7), "1e-7");
        assert_eq!(json(1_234_567.5), "1234567.5");
    }
}
