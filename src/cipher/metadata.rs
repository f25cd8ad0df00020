//! The `sops` section of an encrypted file: who can open it, what is encrypted, and the integrity code.
//!
//! Fields that are unknown here are kept as they are. Key stanzas stay trees; `key` gives them meaning.

use super::scope::Selectors;
use super::tree::{Branch, Entry, Value};
use crate::diag::codes::cipher::BROKEN_METADATA;
use crate::error::{Error, Result};

/// The reserved top-level key.
pub const KEY: &str = "sops";

/// The version of the file format that is written.
pub const VERSION: &str = "3.13.3";

/// The lists of stanzas that a key group may have, in the order in which sops reads them.
pub const KINDS: [&str; 7] = [
    "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age",
];

/// The data key, locked for one recipient.
#[derive(Clone, Debug, PartialEq)]
pub struct Stanza {
    /// One of [`KINDS`].
    pub kind: &'static str,
    /// The fields as written.
    pub fields: Branch,
}

impl Stanza {
    /// Gives a field's text; numbers and times count as text.
    pub fn text(&self, field: &str) -> &str {
        match self.fields.get(field) {
            Some(Value::Text(text) | Value::Time(text)) => text,
            _ => "",
        }
    }

    /// Gives the field that names the recipient.
    pub fn recipient(&self) -> String {
        match self.kind {
            "kms" => self.text("arn").to_owned(),
            "gcp_kms" => self.text("resource_id").to_owned(),
            "hckms" => self.text("key_id").to_owned(),
            "azure_kv" => format!(
                "{}/keys/{}/{}",
                self.text("vault_url"),
                self.text("name"),
                self.text("version")
            ),
            "hc_vault" => format!(
                "{}/v1/{}/keys/{}",
                self.text("vault_address"),
                self.text("engine_path"),
                self.text("key_name")
            ),
            "pgp" => self.text("fp").to_owned(),
            _ => self.text("recipient").to_owned(),
        }
    }

    /// Sets a text field.
    pub fn set(&mut self, field: &str, text: impl Into<String>) {
        let new = Value::Text(text.into());
        for entry in &mut self.fields.0 {
            if let Entry::Pair(key, value) = entry
                && key == field
            {
                *value = new;
                return;
            }
        }
        self.fields.push(field, new);
    }
}

/// Stanzas that hold the same part of the data key.
pub type Group = Vec<Stanza>;

/// Everything in the section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The key groups; most files have one.
    pub groups: Vec<Group>,
    /// How many groups are needed; 0 means all.
    pub threshold: usize,
    /// When values were last changed, in RFC 3339 form.
    pub last_modified: String,
    /// The sealed integrity code.
    pub mac: String,
    /// What is encrypted.
    pub selectors: Selectors,
    /// The version of the format that wrote it.
    pub version: String,
    /// Fields that have no meaning here.
    pub unknown: Branch,
}

impl Metadata {
    /// Reads the section.
    pub fn read(section: &Branch) -> Result<Self> {
        let mut metadata = Self::default();
        let mut groups: Vec<Group> = Vec::new();
        let mut single: Vec<(&'static str, Group)> = Vec::new();
        for (key, value) in section.pairs() {
            if let Some(kind) = KINDS.iter().find(|kind| **kind == key) {
                single.push((kind, stanzas(kind, value, key)?));
                continue;
            }
            let selectors = &mut metadata.selectors;
            match key {
                "shamir_threshold" => metadata.threshold = number(key, value)?,
                "lastmodified" => metadata.last_modified = moment(&text(key, value)?)?,
                "mac" => metadata.mac = text(key, value)?,
                "version" => metadata.version = text(key, value)?,
                "mac_only_encrypted" => selectors.mac_only_encrypted = truth(key, value)?,
                "unencrypted_suffix" => selectors.unencrypted_suffix = text(key, value)?,
                "encrypted_suffix" => selectors.encrypted_suffix = text(key, value)?,
                "unencrypted_regex" => selectors.unencrypted_regex = text(key, value)?,
                "encrypted_regex" => selectors.encrypted_regex = text(key, value)?,
                "unencrypted_comment_regex" => {
                    selectors.unencrypted_comment_regex = text(key, value)?;
                }
                "encrypted_comment_regex" => selectors.encrypted_comment_regex = text(key, value)?,
                "key_groups" => groups = key_groups(value)?,
                _ => metadata.unknown.push(key, value.clone()),
            }
        }
        let ordered: Group = KINDS
            .iter()
            .flat_map(|kind| single.iter().filter(move |(name, _)| name == kind))
            .flat_map(|(_, group)| group.iter().cloned())
            .collect();
        metadata.groups = if ordered.is_empty() {
            groups
        } else {
            vec![ordered]
        };
        if metadata.groups.is_empty() {
            return Err(wrong("there is no key in it")
                .help("no one can open this file; restore the section from version control"));
        }
        if metadata.last_modified.is_empty() {
            return Err(wrong("`lastmodified` is missing").field("sops.lastmodified"));
        }
        metadata.selectors = metadata.selectors.settle()?;
        Ok(metadata)
    }

    /// Writes the section, fields in order of their names.
    pub fn write(&self) -> Branch {
        let mut branch = Branch::default();
        if let [group] = self.groups.as_slice() {
            for (kind, list) in lists(group) {
                if !list.is_empty() {
                    branch.push(kind, Value::List(list));
                }
            }
        } else {
            let groups = self.groups.iter().map(|group| {
                let mut inner = Branch::default();
                for (kind, list) in lists(group) {
                    // These two are written even when they are empty.
                    if !list.is_empty() || kind == "hc_vault" || kind == "age" {
                        inner.push(kind, Value::List(list));
                    }
                }
                Value::Map(sorted(inner))
            });
            branch.push("key_groups", Value::List(groups.collect()));
        }
        if self.threshold > 0 {
            branch.push(
                "shamir_threshold",
                Value::Int(i64::try_from(self.threshold).unwrap_or(i64::MAX)),
            );
        }
        branch.push("lastmodified", Value::text(&self.last_modified));
        branch.push("mac", Value::text(&self.mac));
        for (name, text) in self.selectors.named() {
            if !text.is_empty() {
                branch.push(name, Value::text(text));
            }
        }
        if self.selectors.mac_only_encrypted {
            branch.push("mac_only_encrypted", Value::Bool(true));
        }
        branch.push("version", Value::text(&self.version));
        branch.0.extend(self.unknown.0.iter().cloned());
        sorted(branch)
    }
}

fn lists(group: &Group) -> Vec<(&'static str, Vec<Value>)> {
    KINDS
        .iter()
        .map(|kind| {
            let list = group
                .iter()
                .filter(|stanza| stanza.kind == *kind)
                .map(|stanza| Value::Map(sorted(stanza.fields.clone())))
                .collect();
            (*kind, list)
        })
        .collect()
}

fn sorted(mut branch: Branch) -> Branch {
    branch.0.sort_by(|one, other| match (one, other) {
        (Entry::Pair(one, _), Entry::Pair(other, _)) => one.cmp(other),
        _ => std::cmp::Ordering::Equal,
    });
    branch
}

fn key_groups(value: &Value) -> Result<Vec<Group>> {
    let list = value
        .as_list()
        .ok_or_else(|| mistyped("key_groups", value, "a list"))?;
    let mut groups = Vec::new();
    for item in list
        .iter()
        .filter(|item| !matches!(item, Value::Comment(_)))
    {
        let branch = item
            .as_map()
            .ok_or_else(|| mistyped("key_groups", item, "a mapping"))?;
        let mut group = Group::new();
        for kind in KINDS {
            if let Some(value) = branch.get(kind) {
                group.extend(stanzas(kind, value, &format!("key_groups.{kind}"))?);
            }
        }
        groups.push(group);
    }
    Ok(groups)
}

fn stanzas(kind: &'static str, value: &Value, path: &str) -> Result<Group> {
    let list = match value {
        Value::Null => return Ok(Group::new()),
        Value::List(list) => list,
        // An empty list that went through a flat format.
        Value::Map(branch) if branch.0.is_empty() => return Ok(Group::new()),
        other => return Err(mistyped(path, other, "a list")),
    };
    list.iter()
        .filter(|item| !matches!(item, Value::Comment(_)))
        .map(|item| {
            let branch = item
                .as_map()
                .ok_or_else(|| mistyped(path, item, "a mapping"))?;
            let fields = branch
                .pairs()
                .map(|(key, value)| Entry::Pair(key.to_owned(), value.clone()))
                .collect();
            Ok(Stanza {
                kind,
                fields: Branch(fields),
            })
        })
        .collect()
}

fn wrong(what: &str) -> Error {
    Error::new(
        &BROKEN_METADATA,
        format!("the sops section cannot be used: {what}"),
    )
}

fn mistyped(key: &str, value: &Value, want: &str) -> Error {
    wrong(&format!("`{key}` is {} and must be {want}", value.kind())).field(format!("sops.{key}"))
}

fn text(key: &str, value: &Value) -> Result<String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Text(text) | Value::Time(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        other => Err(mistyped(key, other, "a text")),
    }
}

fn number(key: &str, value: &Value) -> Result<usize> {
    let number = match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Text(text) => text.parse().ok(),
        Value::Null => Some(0),
        _ => None,
    };
    number.ok_or_else(|| mistyped(key, value, "a whole number"))
}

fn truth(key: &str, value: &Value) -> Result<bool> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::Null => Ok(false),
        Value::Text(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(mistyped(key, value, "true or false")),
        },
        other => Err(mistyped(key, other, "true or false")),
    }
}

/// Checks a moment and writes it without fractions, as the integrity code is bound to it.
fn moment(text: &str) -> Result<String> {
    let error = || {
        wrong(&format!(
            "`lastmodified` is `{text}`, which is not a time in RFC 3339 form"
        ))
        .field("sops.lastmodified")
    };
    if !text.contains(['T', 't']) || text.parse::<jiff::Timestamp>().is_err() {
        return Err(error());
    }
    let mut whole = text.to_owned();
    if let Some(dot) = whole.find('.') {
        let end = whole[dot + 1..]
            .find(|c: char| !c.is_ascii_digit())
            .map_or(whole.len(), |end| dot + 1 + end);
        whole.replace_range(dot..end, "");
    }
    if let Some(utc) = whole.strip_suffix("+00:00") {
        whole = format!("{utc}Z");
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::{Metadata, moment};
    use crate::cipher::tree::{Branch, Value};

    fn section() -> Branch {
        let mut stanza = Branch::default();
        stanza.push("recipient", Value::text("age1x"));
        stanza.push("enc", Value::text("x"));
        let mut branch = Branch::default();
        branch.push("age", Value::List(vec![Value::Map(stanza)]));
        branch.push("lastmodified", Value::text("2024-01-02T03:04:05Z"));
        branch.push("mac", Value::text("m"));
        branch.push("version", Value::text("3.9.0"));
        branch.push("zukunft", Value::Int(1));
        branch
    }

    #[test]
    fn keeps_unknown_fields_and_sorts() {
        let metadata = Metadata::read(&section()).unwrap();
        let names: Vec<String> = metadata
            .write()
            .pairs()
            .map(|(key, _)| key.to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "age",
                "lastmodified",
                "mac",
                "unencrypted_suffix",
                "version",
                "zukunft"
            ]
        );
    }

    #[test]
    fn refuses_wrong_types_with_their_path() {
        let mut branch = section();
        branch.push("pgp", Value::Int(3));
        let error = Metadata::read(&branch).unwrap_err();
        assert_eq!(error.at_field(), Some("sops.pgp"));
    }

    #[test]
    fn settles_moments() {
        assert_eq!(
            moment("2024-01-02T03:04:05.678Z").unwrap(),
            "2024-01-02T03:04:05Z"
        );
        assert_eq!(
            moment("2024-01-02T03:04:05+00:00").unwrap(),
            "2024-01-02T03:04:05Z"
        );
        assert_eq!(
            moment("2024-01-02T03:04:05+02:00").unwrap(),
            "2024-01-02T03:04:05+02:00"
        );
        assert!(moment("yesterday").is_err());
    }
}
