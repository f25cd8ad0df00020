//! Timestamps and durations.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Answer;
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;

/// Reads a duration such as `1h2m3.5s`, in nanoseconds.
pub(in crate::embedded::cel) fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() || whole.len() > 18 || part.contains('.') {
            return None;
        }
        let part = part.get(..part.len().min(18)).unwrap_or_default();
        let read = |digits: &str| -> Option<i128> {
            if digits.is_empty() {
                return Some(0);
            }
            digits.parse().ok()
        };
        let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
        total += read(whole)? * nanos + read(part)? * nanos / scale;
        rest = next;
    }
    i64::try_from(total * sign).ok()
}

/// Reads a point in time, or a day.
pub(in crate::embedded::cel) fn moment(text: &str) -> Option<Timestamp> {
    if text.len() == 10 {
        let day: jiff::civil::Date = text.parse().ok()?;
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    }
    text.parse().ok()
}

/// A duration as text, in seconds as the language writes it.
pub(super) fn shown(nanos: i64) -> String {
    let text = (nanos as f64 / 1e9).to_string();
    format!("{text}s")
}

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    Some(match (name, args) {
        ("duration", [Val::Duration(nanos)]) => Ok(Val::Duration(*nanos)),
        ("duration", [Val::Str(text)]) => duration(text)
            .map(Val::Duration)
            .ok_or_else(|| Stop::Failed(format!("time: invalid duration {text:?}"))),
        ("duration", [Val::Int(seconds)]) => super::operators::seconds(*seconds)
            .map(Val::Duration)
            .ok_or_else(|| Stop::Failed("duration overflow".to_owned())),
        ("timestamp", [Val::Timestamp(at)]) => Ok(Val::Timestamp(*at)),
        ("timestamp", [Val::Str(text)]) => moment(text).map(Val::Timestamp).ok_or_else(|| {
            Stop::Failed(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
            ))
        }),
        ("timestamp", [Val::Int(seconds)]) => Timestamp::from_second(*seconds)
            .map(Val::Timestamp)
            .or_else(|_| Stop::failed("timestamp overflow")),
        (_, [Val::Duration(nanos)]) => {
            let seconds = nanos / 1_000_000_000;
            Ok(Val::Int(match name {
                "getHours" => seconds / 3600,
                "getMinutes" => seconds / 60,
                "getSeconds" => seconds,
                "getMilliseconds" => nanos / 1_000_000 % 1000,
                _ => return None,
            }))
        }
        (_, [Val::Timestamp(at)]) => return part(name, *at, &TimeZone::UTC).map(Ok),
        (_, [Val::Timestamp(at), Val::Str(zone)]) if name.starts_with("get") => {
            match read_zone(zone) {
                Some(zone) => return part(name, *at, &zone).map(Ok),
                None => Stop::failed(format!("unknown time zone {zone}")),
            }
        }
        _ => return None,
    })
}

/// A zone by name, or by what it is off by, such as `-08:00`.
fn read_zone(text: &str) -> Option<TimeZone> {
    if let Some((hours, minutes)) = text.split_once(':') {
        let hours: i32 = hours.parse().ok()?;
        let minutes: i32 = minutes.parse().ok()?;
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let seconds = hours
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60 * sign)?)?;
        let offset = jiff::tz::Offset::from_seconds(seconds).ok()?;
        return Some(TimeZone::fixed(offset));
    }
    match text {
        "" | "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

fn part(name: &str, at: Timestamp, zone: &TimeZone) -> Option<Val> {
    let at = at.to_zoned(zone.clone());
    let number = match name {
        "getFullYear" => at.year().into(),
        "getMonth" => i64::from(at.month()) - 1,
        "getDayOfYear" => i64::from(at.day_of_year()) - 1,
        "getDayOfMonth" => i64::from(at.day()) - 1,
        "getDate" => at.day().into(),
        "getDayOfWeek" => at.weekday().to_sunday_zero_offset().into(),
        "getHours" => at.hour().into(),
        "getMinutes" => at.minute().into(),
        "getSeconds" => at.second().into(),
        "getMilliseconds" => at.millisecond().into(),
        _ => return None,
    };
    Some(Val::Int(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::duration;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("1h2m3.5s"), Some(3_723_500_000_000));
        assert_eq!(duration("-1.5h"), Some(-5_400_000_000_000));
        assert_eq!(duration("0"), Some(0));
        for text in ["", "1", "x", "1x", ".s", "1..2s", "s", "99999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-+0-9.hmsnuµ]{0,30}") {
            let _ = duration(&text);
            let _ = super::moment(&text);
            let _ = super::read_zone(&text);
        }
    }
}
