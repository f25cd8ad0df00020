//! How single cells are computed.

use serde_json::Value;

use crate::embedded::reach::Reach as _;
pub(super) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value.reach(at).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn count(value: &Value, at: &str) -> i64 {
    value.reach(at).and_then(Value::as_i64).unwrap_or(0)
}

pub(super) fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.reach(at).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn or(value: &Value, at: &str, other: &str) -> Value {
    match value.reach(at) {
        None | Some(Value::Null) => other.into(),
        Some(Value::String(text)) if text.is_empty() => other.into(),
        Some(Value::String(text)) => text.as_str().into(),
        Some(value) => value.to_string().into(),
    }
}

pub(super) fn plain(value: &Value, at: &str) -> Value {
    or(value, at, "")
}

pub(super) fn or_none(value: &Value, at: &str) -> Value {
    or(value, at, "<none>")
}

pub(super) fn or_unknown(value: &Value, at: &str) -> Value {
    or(value, at, "<unknown>")
}

pub(super) fn or_unset(value: &Value, at: &str) -> Value {
    or(value, at, "<unset>")
}

pub(super) fn or_na(value: &Value, at: &str) -> Value {
    or(value, at, "N/A")
}

pub(super) fn number(value: &Value, at: &str) -> Value {
    count(value, at).into()
}

pub(super) fn name(value: &Value) -> Value {
    plain(value, "/metadata/name")
}

pub(super) fn age(value: &Value) -> Value {
    since(value, "/metadata/creationTimestamp")
}

pub(super) fn since(value: &Value, at: &str) -> Value {
    since_text(text(value, at)).into()
}

pub(super) fn since_or_none(value: &Value, at: &str) -> Value {
    match text(value, at) {
        "" => "<none>".into(),
        at => since_text(at).into(),
    }
}

/// How long ago a time is, as short as people say it.
pub(super) fn since_text(at: &str) -> String {
    let Ok(at) = at.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_owned();
    };
    span(jiff::Timestamp::now().as_second() - at.as_second())
}

pub(super) fn span(seconds: i64) -> String {
    let with = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        s if s < -1 => "<invalid>".to_owned(),
        s if s < 0 => "0s".to_owned(),
        s if s < 120 => format!("{s}s"),
        _ if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => with(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => with(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2920 => with(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

pub(super) fn labels_at(value: &Value, at: &str) -> Value {
    let labels = value.reach(at).and_then(Value::as_object);
    let mut all: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    all.sort();
    if all.is_empty() {
        "<none>".into()
    } else {
        all.join(",").into()
    }
}

pub(super) fn selector_at(value: &Value, at: &str) -> Value {
    let labels = labels_at(value, &format!("{at}/matchLabels"));
    let mut terms: Vec<String> = match labels.as_str() {
        Some("<none>") | None => Vec::new(),
        Some(labels) => vec![labels.to_owned()],
    };
    for e in list(value, &format!("{at}/matchExpressions")) {
        let values: Vec<&str> = list(e, "/values").filter_map(Value::as_str).collect();
        let (key, values) = (text(e, "/key"), values.join(","));
        terms.push(match text(e, "/operator") {
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            "NotIn" => format!("{key} notin ({values})"),
            _ => format!("{key} in ({values})"),
        });
    }
    if terms.is_empty() {
        "<none>".into()
    } else {
        terms.join(",").into()
    }
}

pub(super) fn selector(value: &Value) -> Value {
    let is_rich = value.reach("/spec/selector/matchLabels").is_some()
        || value.reach("/spec/selector/matchExpressions").is_some();
    match is_rich {
        true => selector_at(value, "/spec/selector"),
        false => labels_at(value, "/spec/selector"),
    }
}

pub(super) fn count_at(value: &Value, at: &str) -> Value {
    list(value, at).count().into()
}

pub(super) fn access_modes(value: &Value, at: &str) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        _ => "",
    };
    let modes: Vec<&str> = list(value, at)
        .map(short)
        .filter(|mode| !mode.is_empty())
        .collect();
    modes.join(",").into()
}

pub(super) fn containers(value: &Value) -> Value {
    joined(value, "/name")
}

pub(super) fn images(value: &Value) -> Value {
    joined(value, "/image")
}

fn joined(value: &Value, field: &str) -> Value {
    let each: Vec<&str> = list(value, "/spec/template/spec/containers")
        .map(|c| text(c, field))
        .collect();
    each.join(",").into()
}

pub(super) fn title_bool(value: &Value, at: &str) -> Value {
    match value.reach(at) {
        Some(Value::Bool(true)) => "True".into(),
        _ => "False".into(),
    }
}

pub(super) fn lower_bool(value: &Value, at: &str) -> Value {
    match value.reach(at) {
        Some(Value::Bool(true)) => "true".into(),
        _ => "false".into(),
    }
}

/// A part of each item of a list.
pub(super) fn joined_at(value: &Value, at: &str, part: &str, none: &str) -> Value {
    let each: Vec<&str> = list(value, at).map(|item| text(item, part)).collect();
    match each.is_empty() {
        true => none.into(),
        false => each.join(",").into(),
    }
}

/// A number as text, as the real server shows some.
pub(super) fn plain_number(value: &Value, at: &str) -> Value {
    number(value, at).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_short() {
        for (seconds, expected) in [
            (5, "5s"),
            (119, "119s"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 65, "3h1m"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
            (800 * 86400, "2y70d"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }
}
