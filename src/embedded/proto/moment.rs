//! Times and spans, as text and as numbers.

/// A moment as text: whole seconds, or with microseconds.
pub(super) fn show(seconds: i64, nanos: i64, micro: bool) -> Option<String> {
    let nanos = i32::try_from(nanos).ok()?;
    let at = jiff::Timestamp::new(seconds, nanos).ok()?;
    let form = if micro {
        "%Y-%m-%dT%H:%M:%S.%6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    Some(at.strftime(form).to_string())
}

/// A moment's seconds and nanoseconds.
pub(super) fn read(text: &str) -> Option<(i64, i64)> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some((at.as_second(), i64::from(at.subsec_nanosecond())))
}

const UNITS: [(&str, i64); 3] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// A span as Go writes it: `1h30m0s`, `1.5s`, `20ms`.
pub(super) fn show_span(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let mut rest = nanos.unsigned_abs();
    if rest < 1_000_000_000 {
        for (unit, size) in [("ms", 1_000_000_u64), ("µs", 1_000), ("ns", 1)] {
            if rest >= size {
                return format!("{sign}{}{unit}", fraction(rest, size));
            }
        }
    }
    let mut out = sign.to_owned();
    let mut started = false;
    for (unit, size) in [("h", 3_600_000_000_000_u64), ("m", 60_000_000_000)] {
        if started || rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
            started = true;
        }
    }
    format!("{out}{}s", fraction(rest, 1_000_000_000))
}

fn fraction(value: u64, size: u64) -> String {
    let (whole, part) = (value / size, value % size);
    if part == 0 {
        return whole.to_string();
    }
    let digits = size.ilog10() as usize;
    let part = format!("{part:0digits$}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

/// A span as Go reads it.
pub(super) fn read_span(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let small = [("ms", 1_000_000), ("µs", 1_000), ("us", 1_000), ("ns", 1)];
        let (_, size) = UNITS.iter().chain(&small).find(|(name, _)| *name == unit)?;
        #[allow(
            clippy::cast_precision_loss,
            reason = "spans are far below 2^53 ns in practice"
        )]
        let size = *size as f64;
        total += number.parse::<f64>().ok()? * size;
        rest = tail;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "saturates, as a span that long may"
    )]
    let nanos = (sign * total).round() as i64;
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::{read_span, show_span};

    #[test]
    fn spans_go_both_ways() {
        for text in ["0s", "1h0m0s", "1m30s", "1.5s", "20ms", "-5s", "2h45m0.25s"] {
            assert_eq!(show_span(read_span(text).unwrap()), text);
        }
        assert_eq!(read_span("1x"), None);
    }
}
