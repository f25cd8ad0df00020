//! Formats by name: `format.dns1123Label().validate(…)`.

use super::{Answer, time};
use crate::embedded::cel::eval::Stop;
use crate::embedded::cel::value::Val;

const NAMES: &[&str] = &[
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

pub(super) fn call(name: &str, args: &[Val]) -> Answer {
    if let Some(own) = name.strip_prefix("format.")
        && args.is_empty()
    {
        return named(own).map(|name| Ok(Val::Format(name)));
    }
    Some(match (name, args) {
        ("format.named", [Val::Str(name)]) => Ok(Val::optional(named(name).map(Val::Format))),
        ("validate", [Val::Format(name), Val::Str(text)]) => {
            let problems = problems(name, text);
            let list: Vec<Val> = problems.into_iter().map(Val::from).collect();
            Ok(Val::optional((!list.is_empty()).then(|| list.into())))
        }
        ("validate", _) => Stop::failed("no such overload"),
        _ => return None,
    })
}

fn named(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|own| **own == name).copied()
}

fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_word(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.iter().copied().all(good) && edge(bytes.first()) && edge(bytes.last())
}

fn problems(format: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    // Whatever comes after a prefix could make it good.
    let text = match format.strip_suffix("Prefix") {
        Some(_) => text.strip_suffix('-').unwrap_or(text),
        None => text,
    };
    let mut limit = |most: usize, good: bool, detail: &str| {
        if text.len() > most {
            out.push(format!("must be no more than {most} bytes"));
        }
        if !good {
            out.push(detail.to_owned());
        }
    };
    match format.trim_end_matches("Prefix") {
        "dns1123Label" => limit(63, is_label(text), LABEL),
        "dns1123Subdomain" => limit(253, text.split('.').all(is_label), SUBDOMAIN),
        "dns1035Label" => {
            let good = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
            limit(63, good, LABEL_1035);
        }
        "labelValue" => limit(63, text.is_empty() || is_word(text), VALUE),
        "qualifiedName" => {
            let (prefix, name) = match text.split_once('/') {
                Some((prefix, name)) => (Some(prefix), name),
                None => (None, text),
            };
            if prefix.is_some_and(|prefix| !prefix.split('.').all(is_label)) {
                out.push(format!("prefix part {SUBDOMAIN}"));
            }
            if name.is_empty() {
                out.push("name part must be non-empty".to_owned());
            }
            if name.len() > 63 {
                out.push("name part must be no more than 63 bytes".to_owned());
            }
            if !is_word(name) {
                out.push(QUALIFIED.to_owned());
            }
        }
        "uri" => {
            let answer = super::network::call("isURL", &[Val::from(text)]);
            if !matches!(answer, Some(Ok(Val::Bool(true)))) {
                out.push(format!("parse {text:?}: invalid URI for request"));
            }
        }
        "uuid" => {
            if uuid::Uuid::parse_str(text).is_err() {
                out.push("does not match the UUID format".to_owned());
            }
        }
        "byte" => {
            use base64::Engine as _;
            let engine = base64::engine::general_purpose::STANDARD;
            if engine.decode(text).is_err() {
                out.push("invalid base64".to_owned());
            }
        }
        "date" => {
            if text.parse::<jiff::civil::Date>().is_err() {
                out.push("invalid date".to_owned());
            }
        }
        _ => {
            if text.len() == 10 || time::moment(text).is_none() {
                out.push("invalid datetime".to_owned());
            }
        }
    }
    out
}
