//! The rules file `.sops.yaml`: which files are encrypted for whom, which of their values, and how they are laid out.
//!
//! Finding the file is the business of `ops`. Fields that sops does not know are ignored, as it ignores them.

use indexmap::IndexMap;
use regex::Regex;

use super::format::{Layout, yaml};
use super::key::{AwsKms, AzureKeyVault, GcpKms, Kind, Recipient};
use super::scope::Selectors;
use super::tree::{Branch, Value};
use crate::diag::codes::cipher::{BROKEN_RULES, NO_RULE, UNSUPPORTED_RECIPIENT};
use crate::error::{Error, Result};

/// The name that is looked for, in a folder and those above it.
pub const FILE: &str = ".sops.yaml";

/// A rules file.
#[derive(Debug, Default)]
pub struct Rules {
    creation: Option<Vec<Rule>>,
    /// How files are laid out.
    pub layout: Layout,
    /// How many `destination_rules` there are; publishing is not supported.
    pub destinations: usize,
}

/// One creation rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its position in the file, from zero.
    pub index: usize,
    /// The expression that paths are held against; none fits every path.
    pub path_regex: Option<Regex>,
    /// Whose keys lock the data key.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed; 0 means all.
    pub threshold: usize,
    /// Which values are encrypted.
    pub selectors: Selectors,
}

impl Rules {
    /// Reads a rules file.
    pub fn read(text: &str) -> Result<Self> {
        let branches = yaml::read(text)?;
        let Some(root) = branches.first() else {
            return Ok(Self::default());
        };
        let mut rules = Self::default();
        if let Some(value) = root.get("stores").filter(|value| **value != Value::Null) {
            rules.layout = layout(map(value, "stores")?)?;
        }
        if let Some(Value::List(list)) = root.get("destination_rules") {
            rules.destinations = list
                .iter()
                .filter(|item| !matches!(item, Value::Comment(_)))
                .count();
        }
        if let Some(value) = root
            .get("creation_rules")
            .filter(|value| **value != Value::Null)
        {
            let list = value
                .as_list()
                .ok_or_else(|| mistyped("creation_rules", value, "a list"))?;
            let read = items(list)
                .enumerate()
                .map(|(index, item)| {
                    let field = format!("creation_rules[{index}]");
                    rule(index, map(item, &field)?, &field)
                })
                .collect::<Result<Vec<Rule>>>()?;
            rules.creation = Some(read);
        }
        Ok(rules)
    }

    /// Finds the first rule that fits a path, which is relative to the rules file; `None` if there are no rules at all.
    pub fn find(&self, path: &str) -> Result<Option<&Rule>> {
        let Some(rules) = &self.creation else {
            return Ok(None);
        };
        let found = rules.iter().find(|rule| {
            rule.path_regex
                .as_ref()
                .is_none_or(|regex| regex.is_match(path))
        });
        found.map(Some).ok_or_else(|| {
            Error::new(&NO_RULE, format!("no creation rule fits `{path}`"))
                .help("add a rule whose path_regex fits, or a last one without path_regex")
        })
    }
}

fn rule(index: usize, branch: &Branch, field: &str) -> Result<Rule> {
    let expression = plain(branch, "path_regex", field)?;
    let path_regex = if expression.is_empty() {
        None
    } else {
        Some(Regex::new(&expression).map_err(|cause| {
            wrong("`path_regex` is not a regular expression")
                .field(format!("{field}.path_regex"))
                .because(cause)
        })?)
    };
    let groups = match branch.get("key_groups") {
        Some(Value::List(list)) if items(list).next().is_some() => items(list)
            .enumerate()
            .map(|(at, item)| {
                let field = format!("{field}.key_groups[{at}]");
                group(map(item, &field)?, &field, 0)
            })
            .collect::<Result<Vec<_>>>()?,
        Some(Value::Null | Value::List(_)) | None => vec![single(branch, field)?],
        Some(other) => return Err(mistyped(&format!("{field}.key_groups"), other, "a list")),
    };
    let threshold = match branch.get("shamir_threshold") {
        None | Some(Value::Null) => 0,
        Some(Value::Int(number)) => usize::try_from(*number)
            .map_err(|_| wrong("`shamir_threshold` is negative").field(field))?,
        Some(other) => {
            return Err(mistyped(
                &format!("{field}.shamir_threshold"),
                other,
                "a whole number",
            ));
        }
    };
    let mac_only_encrypted = match branch.get("mac_only_encrypted") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(truth)) => *truth,
        Some(other) => {
            return Err(mistyped(
                &format!("{field}.mac_only_encrypted"),
                other,
                "true or false",
            ));
        }
    };
    let selectors = Selectors {
        unencrypted_suffix: plain(branch, "unencrypted_suffix", field)?,
        encrypted_suffix: plain(branch, "encrypted_suffix", field)?,
        unencrypted_regex: plain(branch, "unencrypted_regex", field)?,
        encrypted_regex: plain(branch, "encrypted_regex", field)?,
        unencrypted_comment_regex: plain(branch, "unencrypted_comment_regex", field)?,
        encrypted_comment_regex: plain(branch, "encrypted_comment_regex", field)?,
        mac_only_encrypted,
    }
    .settle()
    .map_err(|error| error.field(field))?;
    Ok(Rule {
        index,
        path_regex,
        groups,
        threshold,
        selectors,
    })
}

/// Reads the recipients that stand in the rule itself.
fn single(branch: &Branch, field: &str) -> Result<Vec<Recipient>> {
    refuse_hckms(branch, field)?;
    let profile = plain(branch, "aws_profile", field)?;
    let mut group = Vec::new();
    for (name, kind) in [
        ("age", Kind::Age),
        ("pgp", Kind::Pgp),
        ("kms", Kind::AwsKms),
        ("gcp_kms", Kind::GcpKms),
        ("azure_keyvault", Kind::AzureKeyVault),
        ("hc_vault_transit_uri", Kind::Vault),
    ] {
        for text in texts(branch, name, field)? {
            let mut recipient = Recipient::parse(kind, &text)
                .map_err(|error| error.field(format!("{field}.{name}")))?;
            if let Recipient::AwsKms(key) = &mut recipient
                && !profile.is_empty()
            {
                key.profile = Some(profile.clone());
            }
            add(&mut group, recipient);
        }
    }
    Ok(group)
}

fn group(branch: &Branch, field: &str, depth: usize) -> Result<Vec<Recipient>> {
    if depth > 16 {
        return Err(wrong("`merge` is nested too deeply").field(field));
    }
    refuse_hckms(branch, field)?;
    let mut group = Vec::new();
    for (at, item) in list(branch, "merge", field)?.into_iter().enumerate() {
        let field = format!("{field}.merge[{at}]");
        for recipient in self::group(map(item, &field)?, &field, depth + 1)? {
            add(&mut group, recipient);
        }
    }
    for (name, kind) in [
        ("age", Kind::Age),
        ("pgp", Kind::Pgp),
        ("hc_vault", Kind::Vault),
    ] {
        for text in texts(branch, name, field)? {
            add(
                &mut group,
                Recipient::parse(kind, &text)
                    .map_err(|error| error.field(format!("{field}.{name}")))?,
            );
        }
    }
    for (at, item) in list(branch, "kms", field)?.into_iter().enumerate() {
        let field = format!("{field}.kms[{at}]");
        let key = map(item, &field)?;
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut context = IndexMap::new();
        if let Some(Value::Map(pairs)) = key.get("context") {
            for (name, _) in pairs.pairs() {
                context.insert(name.to_owned(), plain(pairs, name, &field)?);
            }
        }
        let arn = need(key, "arn", &field)?;
        let Recipient::AwsKms(parsed) =
            Recipient::parse(Kind::AwsKms, &arn).map_err(|error| error.field(&field))?
        else {
            continue;
        };
        add(
            &mut group,
            Recipient::AwsKms(AwsKms {
                role: some(plain(key, "role", &field)?).or(parsed.role),
                arn: parsed.arn,
                context,
                profile: some(plain(key, "aws_profile", &field)?),
            }),
        );
    }
    for (at, item) in list(branch, "gcp_kms", field)?.into_iter().enumerate() {
        let field = format!("{field}.gcp_kms[{at}]");
        add(
            &mut group,
            Recipient::GcpKms(GcpKms {
                resource_id: need(map(item, &field)?, "resource_id", &field)?,
            }),
        );
    }
    for (at, item) in list(branch, "azure_keyvault", field)?
        .into_iter()
        .enumerate()
    {
        let field = format!("{field}.azure_keyvault[{at}]");
        let key = map(item, &field)?;
        add(
            &mut group,
            Recipient::AzureKeyVault(AzureKeyVault {
                vault_url: need(key, "vaultUrl", &field)?,
                name: need(key, "key", &field)?,
                version: plain(key, "version", &field)?,
            }),
        );
    }
    Ok(group)
}

fn add(group: &mut Vec<Recipient>, recipient: Recipient) {
    if !group.contains(&recipient) {
        group.push(recipient);
    }
}

fn refuse_hckms(branch: &Branch, field: &str) -> Result<()> {
    match branch.get("hckms") {
        Some(Value::List(list)) if !list.is_empty() => Err(Error::new(
            &UNSUPPORTED_RECIPIENT,
            "keys of Huawei's key service are not supported",
        )
        .field(format!("{field}.hckms"))),
        _ => Ok(()),
    }
}

fn layout(stores: &Branch) -> Result<Layout> {
    let indent = |name: &str| -> Result<Option<i64>> {
        let Some(store) = stores.get(name).and_then(Value::as_map) else {
            return Ok(None);
        };
        match store.get("indent") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Int(number)) if (-1..=16).contains(number) => Ok(Some(*number)),
            Some(_) => Err(wrong("an indentation is a number from 0 to 16")
                .field(format!("stores.{name}.indent"))),
        }
    };
    let spaces = |number: i64| usize::try_from(number).ok();
    let yaml = indent("yaml")?;
    if yaml == Some(-1) {
        return Err(wrong("YAML cannot be indented with tabs").field("stores.yaml.indent"));
    }
    Ok(Layout {
        yaml: yaml.and_then(spaces).filter(|spaces| *spaces > 0),
        json: indent("json")?.and_then(spaces),
        binary: indent("json_binary")?.and_then(spaces),
    })
}

// --- fields

fn wrong(what: &str) -> Error {
    Error::new(
        &BROKEN_RULES,
        format!("the rules file cannot be used: {what}"),
    )
}

fn mistyped(field: &str, value: &Value, want: &str) -> Error {
    wrong(&format!("`{field}` is {} and must be {want}", value.kind())).field(field)
}

fn items(list: &[Value]) -> impl Iterator<Item = &Value> {
    list.iter()
        .filter(|item| !matches!(item, Value::Comment(_)))
}

fn map<'a>(value: &'a Value, field: &str) -> Result<&'a Branch> {
    value
        .as_map()
        .ok_or_else(|| mistyped(field, value, "a mapping"))
}

fn list<'a>(branch: &'a Branch, name: &str, field: &str) -> Result<Vec<&'a Value>> {
    match branch.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(list)) => Ok(items(list).collect()),
        Some(other) => Err(mistyped(&format!("{field}.{name}"), other, "a list")),
    }
}

fn plain(branch: &Branch, name: &str, field: &str) -> Result<String> {
    match branch.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::Text(text)) => Ok(text.clone()),
        Some(Value::Int(number)) => Ok(number.to_string()),
        Some(other) => Err(mistyped(&format!("{field}.{name}"), other, "a text")),
    }
}

fn need(branch: &Branch, name: &str, field: &str) -> Result<String> {
    let text = plain(branch, name, field)?;
    if text.is_empty() {
        return Err(wrong(&format!("`{name}` is missing")).field(field));
    }
    Ok(text)
}

/// Reads a list of texts, or one text with commas.
fn texts(branch: &Branch, name: &str, field: &str) -> Result<Vec<String>> {
    match branch.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Text(text)) => Ok(split(text)),
        Some(Value::List(list)) => {
            let mut all = Vec::new();
            for item in items(list) {
                match item {
                    Value::Text(text) => all.extend(split(text)),
                    other => {
                        return Err(mistyped(
                            &format!("{field}.{name}"),
                            other,
                            "a list of texts",
                        ));
                    }
                }
            }
            Ok(all)
        }
        Some(other) => Err(mistyped(
            &format!("{field}.{name}"),
            other,
            "a text or a list of texts",
        )),
    }
}

/// Splits recipients at commas.
pub fn split(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::cipher::key::Recipient;

    const FP: &str = "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4";

    #[test]
    fn the_first_fitting_rule_counts() {
        let text = format!(
            "creation_rules:\n  - path_regex: '^prod/.*\\.yaml$'\n    pgp: '{FP}, {FP}'\n    encrypted_regex: ^data$\n  - key_groups:\n      - merge:\n          - pgp: [{FP}]\n        kms:\n          - arn: arn:aws:kms:eu-west-1:1:key/a\n            context: {{a: b}}\nstores:\n  yaml: {{indent: 2}}\n"
        );
        let rules = Rules::read(&text).unwrap();
        assert_eq!(rules.layout.yaml, Some(2));
        let prod = rules.find("prod/x.yaml").unwrap().unwrap();
        assert_eq!((prod.index, prod.groups[0].len()), (0, 1));
        let rest = rules.find("dev/x.yaml").unwrap().unwrap();
        assert!(matches!(&rest.groups[0][1], Recipient::AwsKms(key) if key.context["a"] == "b"));
    }

    #[test]
    fn says_which_field_is_wrong() {
        for (text, field) in [
            ("creation_rules: 1\n", "creation_rules"),
            (
                "creation_rules:\n  - path_regex: '('\n",
                "creation_rules[0].path_regex",
            ),
            ("creation_rules:\n  - age: 5\n", "creation_rules[0].age"),
            (
                "creation_rules:\n  - encrypted_regex: a\n    encrypted_suffix: b\n",
                "creation_rules[0]",
            ),
            ("stores:\n  yaml:\n    indent: -1\n", "stores.yaml.indent"),
        ] {
            assert_eq!(
                Rules::read(text).unwrap_err().at_field(),
                Some(field),
                "{text}"
            );
        }
    }

    #[test]
    fn no_rules_are_not_no_fit() {
        assert!(Rules::read("").unwrap().find("x").unwrap().is_none());
        assert!(
            Rules::read("creation_rules:\n  - path_regex: a\n")
                .unwrap()
                .find("x")
                .is_err()
        );
    }
}
