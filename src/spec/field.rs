//! Options as tables: a [`Field`] says what an option is called, what shape it has and what it means.
//!
//! One table serves checking, suggestions and documentation. To add an option, add a row to a table.

use std::time::Duration;

use super::tree::{Options, Tree};
use super::{Version, registry};
use crate::diag::codes::model::{BAD_VALUE, MISSING_KEY, UNKNOWN_KEY, WRONG_TYPE};
use crate::diag::suggest;
use crate::error::Error;

/// One option.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What it means, in one sentence.
    pub summary: &'static str,
    /// What holds without it, as text for the documentation.
    pub default: &'static str,
}

/// Writes a row of a table: name, shape, default, summary.
pub(super) const fn field(
    name: &'static str,
    shape: Shape,
    default: &'static str,
    summary: &'static str,
) -> Field {
    Field {
        name,
        shape,
        summary,
        default,
    }
}

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number within limits.
    Int(i64, i64),
    /// A number between 0 and 1.
    Ratio,
    /// Any text that is not empty.
    Text,
    /// A text or a secret.
    Secret,
    /// One of these names.
    Choice(&'static [&'static str]),
    /// A duration such as `"90s"` or `"1h30m"`.
    Duration,
    /// A version such as `"1.35"`.
    Version,
    /// An address range such as `"10.0.0.0/16"`.
    Cidr,
    /// A size such as `"20Gi"`.
    Quantity,
    /// An `https://` address.
    Https,
    /// A path below the folder of the script, without `..`.
    InnerPath,
    /// A registry: `[user:pass@]host[:port][/path[:tag]]`.
    Registry,
    /// A mirror: `[user:pass@]host[=upstream]`.
    Mirror,
    /// A list.
    List(&'static Shape),
    /// A map with these keys; names of required keys follow.
    Map(&'static [Field], &'static [&'static str]),
    /// A map from any key to this.
    Dict(&'static Shape),
    /// Any value.
    Any,
    /// The first shape that fits.
    Either(&'static [Shape]),
}

impl Shape {
    /// What it takes, in a sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "`true` or `false`".into(),
            Self::Int(low, i64::MAX) => format!("a whole number of at least {low}"),
            Self::Int(low, high) => format!("a whole number from {low} to {high}"),
            Self::Ratio => "a number from 0.0 to 1.0".into(),
            Self::Text => "a text".into(),
            Self::Secret => "a text or a secret".into(),
            Self::Choice(names) => format!("one of {}", suggest::one_of(names.iter().copied())),
            Self::Duration => "a duration such as \"90s\" or \"1h30m\"".into(),
            Self::Version => "a version such as \"1.35\" or \"1.35.4\"".into(),
            Self::Cidr => "an address range such as \"10.0.0.0/16\"".into(),
            Self::Quantity => "a size such as \"20Gi\"".into(),
            Self::Https => "an address that begins with https://".into(),
            Self::InnerPath => "a path below the script's folder".into(),
            Self::Registry => "a registry as \"[user:pass@]host[:port][/path[:tag]]\"".into(),
            Self::Mirror => "a mirror as \"[user:pass@]host[=upstream]\"".into(),
            Self::List(entry) => format!("a list of {}", entry.describe().trim_start_matches("a ")),
            Self::Map(..) | Self::Dict(_) => "a map".into(),
            Self::Any => "any value".into(),
            Self::Either(shapes) => shapes
                .iter()
                .map(Self::describe)
                .collect::<Vec<_>>()
                .join(", or "),
        }
    }
}

/// Checks options against a table; problems carry the field's path below `path`.
pub fn check(
    fields: &'static [Field],
    required: &[&str],
    given: &Options,
    path: &str,
    problems: &mut Vec<Error>,
) {
    for (key, value) in given {
        let inner = join(path, key);
        match fields.iter().find(|field| field.name == key) {
            Some(field) => check_value(&field.shape, value, &inner, problems),
            None => {
                problems.push(unknown_key(key, fields.iter().map(|field| field.name)).field(inner));
            }
        }
    }
    for key in required.iter().filter(|key| !given.contains_key(**key)) {
        let takes = fields
            .iter()
            .find(|field| field.name == *key)
            .map(|field| field.shape.describe());
        problems.push(
            Error::new(&MISSING_KEY, format!("the option `{key}` is missing"))
                .maybe_help(takes.map(|takes| format!("add `{key}`: {takes}")))
                .field(path),
        );
    }
}

/// The problem of a key that nobody takes.
pub fn unknown_key(key: &str, known: impl Iterator<Item = &'static str> + Clone) -> Error {
    let help = match suggest::nearest(key, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match suggest::one_of(known).as_str() {
            "" => "it takes no options".to_string(),
            names => format!("known are {names}"),
        },
    };
    Error::new(&UNKNOWN_KEY, format!("there is no option `{key}`")).help(help)
}

/// Checks one value.
pub fn check_value(shape: &Shape, value: &Tree, path: &str, problems: &mut Vec<Error>) {
    match (shape, value) {
        (Shape::Any, _)
        | (Shape::Bool, Tree::Bool(_))
        | (Shape::Secret, Tree::Secret(_) | Tree::Text(_)) => {}
        (Shape::Int(low, high), Tree::Int(number)) if (low..=high).contains(&number) => {}
        (Shape::Ratio, Tree::Float(number)) if (0.0..=1.0).contains(number) => {}
        (Shape::Ratio, Tree::Int(0 | 1)) => {}
        (Shape::List(entry), Tree::List(list)) => {
            for (index, value) in list.iter().enumerate() {
                check_value(entry, value, &format!("{path}[{index}]"), problems);
            }
        }
        (Shape::Map(fields, required), Tree::Map(map)) => {
            check(fields, required, map, path, problems);
        }
        (Shape::Dict(entry), Tree::Map(map)) => {
            for (key, value) in map {
                check_value(entry, value, &join(path, key), problems);
            }
        }
        (Shape::Either(shapes), _) => check_either(shapes, value, path, problems),
        (Shape::Int(..) | Shape::Ratio, Tree::Int(_) | Tree::Float(_)) => {
            problems.push(bad(value, shape).field(path));
        }
        (_, Tree::Text(text)) if takes_text(shape) => {
            if let Err(problem) = check_text(shape, text) {
                problems.push(problem.field(path));
            }
        }
        _ => problems.push(
            Error::new(
                &WRONG_TYPE,
                format!("this is {}, not {}", value.kind(), shape.describe()),
            )
            .field(path),
        ),
    }
}

/// Reads a duration: numbers with the units `d h m s ms`, largest first, such as `1h30m`.
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut from = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..]
            .bytes()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..digits + letters];
        let index = from + UNITS[from..].iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(UNITS[index].1)?)?;
        from = index + 1;
        rest = &rest[digits + letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Writes a duration the way [`duration`] reads it.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() {
        "0s".to_string()
    } else {
        text
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_string()
    } else {
        format!("{path}.{key}")
    }
}

fn bad(value: &Tree, shape: &Shape) -> Error {
    Error::new(&BAD_VALUE, format!("{value} is not allowed here"))
        .help(format!("use {}", shape.describe()))
}

fn takes_text(shape: &Shape) -> bool {
    !matches!(
        shape,
        Shape::Bool
            | Shape::Int(..)
            | Shape::Ratio
            | Shape::List(_)
            | Shape::Map(..)
            | Shape::Dict(_)
    )
}

/// Tries each shape; where none fits, the problems of the one nearest in kind are told.
fn check_either(shapes: &'static [Shape], value: &Tree, path: &str, problems: &mut Vec<Error>) {
    let mut told: Option<Vec<Error>> = None;
    for shape in shapes {
        let mut found = Vec::new();
        check_value(shape, value, path, &mut found);
        if found.is_empty() {
            return;
        }
        let is_only_kind = found
            .iter()
            .all(|problem| problem.code().id == WRONG_TYPE.id && problem.at_field() == Some(path));
        if told.is_none() && !is_only_kind {
            told = Some(found);
        }
    }
    problems.extend(told.unwrap_or_else(|| {
        let takes = shapes
            .iter()
            .map(Shape::describe)
            .collect::<Vec<_>>()
            .join(", or ");
        vec![
            Error::new(
                &WRONG_TYPE,
                format!("this is {}, not {takes}", value.kind()),
            )
            .field(path),
        ]
    }));
}

fn check_text(shape: &Shape, text: &str) -> Result<(), Error> {
    let value = Tree::Text(text.to_string());
    let good = match shape {
        Shape::Text | Shape::Secret => !text.trim().is_empty(),
        Shape::Choice(names) => {
            if names.contains(&text) {
                return Ok(());
            }
            let near = suggest::nearest(text, names.iter().copied());
            let help = near.map_or_else(
                || format!("use {}", shape.describe()),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Error::new(&BAD_VALUE, format!("{text:?} is not allowed here")).help(help));
        }
        Shape::Duration => duration(text).is_some_and(|duration| !duration.is_zero()),
        Shape::Version => return Version::parse(text).map(|_| ()),
        Shape::Cidr => is_cidr(text),
        Shape::Quantity => is_quantity(text),
        Shape::Https => text
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(' ')),
        Shape::InnerPath => is_inner_path(text),
        Shape::Registry => return registry::Registry::parse(text).map(|_| ()),
        Shape::Mirror => return registry::Mirror::parse(text).map(|_| ()),
        _ => true,
    };
    if good {
        Ok(())
    } else {
        Err(bad(&value, shape))
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let Ok(bits) = bits.parse::<u8>() else {
        return false;
    };
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => bits <= 32,
        Ok(std::net::IpAddr::V6(_)) => bits <= 128,
        Err(_) => false,
    }
}

/// A Kubernetes quantity: a number with an optional binary or decimal unit.
fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[number.len()..];
    let units = [
        "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "m",
    ];
    let is_number =
        number.chars().all(|c| c.is_ascii_digit() || c == '.') && number.parse::<f64>().is_ok();
    is_number && units.contains(&unit)
}

fn is_inner_path(text: &str) -> bool {
    let is_absolute =
        text.starts_with('/') || text.starts_with('\\') || text.get(1..2) == Some(":");
    !text.is_empty() && !is_absolute && text.split(['/', '\\']).all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &[Field] = &[
        Field {
            name: "name",
            shape: Shape::Text,
            summary: "",
            default: "",
        },
        Field {
            name: "min",
            shape: Shape::Int(0, 10),
            summary: "",
            default: "0",
        },
    ];
    const FIELDS: &[Field] = &[
        Field {
            name: "location",
            shape: Shape::Choice(&["fsn1", "nbg1"]),
            summary: "",
            default: "",
        },
        Field {
            name: "pools",
            shape: Shape::List(&Shape::Map(POOL, &["name"])),
            summary: "",
            default: "",
        },
        Field {
            name: "registry",
            shape: Shape::Either(&[Shape::Bool, Shape::Registry]),
            summary: "",
            default: "",
        },
    ];

    fn problems(json: serde_json::Value) -> Vec<String> {
        let tree = Tree::from_json(&json);
        let mut problems = Vec::new();
        check(FIELDS, &[], tree.as_map().unwrap(), "", &mut problems);
        problems
            .iter()
            .map(|p| {
                format!(
                    "{} {}: {} ({})",
                    p.code().id,
                    p.at_field().unwrap(),
                    p.message(),
                    p.helps().join("; ")
                )
            })
            .collect()
    }

    #[test]
    fn finds_every_problem_with_its_path() {
        assert_eq!(
            problems(
                serde_json::json!({ "locatoin": 1, "pools": [{ "name": "a", "min": 11 }, { "min": "x" }] })
            ),
            [
                "E0203 locatoin: there is no option `locatoin` (did you mean `location`?)",
                "E0201 pools[0].min: 11 is not allowed here (use a whole number from 0 to 10)",
                "E0202 pools[1].min: this is a text, not a whole number from 0 to 10 ()",
                "E0204 pools[1]: the option `name` is missing (add `name`: a text)",
            ]
        );
    }

    #[test]
    fn takes_either_shape() {
        assert!(problems(serde_json::json!({ "registry": true })).is_empty());
        assert!(problems(serde_json::json!({ "registry": "localhost:5050" })).is_empty());
        assert_eq!(problems(serde_json::json!({ "registry": 7 })).len(), 1);
    }

    #[test]
    fn reads_durations() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("2d", Some(172_800)),
            ("30m1h", None),
            ("", None),
            ("5", None),
            ("-1s", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_secs()), seconds, "{text}");
        }
        assert_eq!(duration("99999999999999999999h"), None);
        assert_eq!(duration_text(Duration::from_mins(90)), "1h30m");
    }

    #[test]
    fn knows_ranges_sizes_and_paths() {
        assert!(
            is_cidr("10.0.0.0/16")
                && is_cidr("fd00::/8")
                && !is_cidr("10.0.0.0/33")
                && !is_cidr("x/1")
        );
        assert!(
            is_quantity("20Gi")
                && is_quantity("1.5G")
                && !is_quantity("Gi")
                && !is_quantity("1 Gi")
                && !is_quantity("")
        );
        assert!(
            is_inner_path("a/b")
                && !is_inner_path("../a")
                && !is_inner_path("/a")
                && !is_inner_path("a/../b")
        );
    }

    proptest::proptest! {
        #[test]
        fn durations_round_trip(seconds in 1u64..10_000_000) {
            let duration_before = Duration::from_secs(seconds);
            proptest::prop_assert_eq!(duration(&duration_text(duration_before)), Some(duration_before));
        }

        #[test]
        fn text_checks_never_panic(text in "\\PC{0,40}") {
            for shape in [Shape::Duration, Shape::Cidr, Shape::Quantity, Shape::Https, Shape::InnerPath, Shape::Registry, Shape::Mirror, Shape::Version] {
                let _ = check_text(&shape, &text);
            }
        }
    }
}
