//! Looking at encrypted files without any key, and finding plain ones that a rule wants encrypted.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::target::{Found, Wishes, choose, find_rules};
use super::{KeyChanges, files, in_file, key_changes, keys::Env};
use crate::cipher::document::Sealed;
use crate::cipher::format::Format;
use crate::cipher::seal::is_sealed;
use crate::cipher::tree::{Branch, Value};
use crate::diag::codes::cipher::PLAINTEXT_FOUND;
use crate::error::{Error, Result};

/// What can be said of an encrypted file without a key.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub path: String,
    /// Its format.
    pub format: &'static str,
    /// Who can open it, group by group.
    pub groups: Vec<Vec<Reader>>,
    /// How many groups are needed.
    pub threshold: usize,
    /// When values were last changed.
    pub last_modified: String,
    /// The version of the format that wrote it.
    pub version: String,
    /// Which values are encrypted: the selector and its text.
    pub selectors: Vec<(String, String)>,
    /// Whether the integrity code covers every value or the encrypted ones only.
    pub integrity: &'static str,
    /// How many values are encrypted.
    pub encrypted: usize,
    /// How many are plain.
    pub plain: usize,
    /// The paths of all values.
    pub values: Vec<String>,
    /// The rule that fits the file now.
    pub rule: Option<String>,
    /// How the recipients differ from those of the rule.
    pub key_changes: Option<KeyChanges>,
    /// What the rules file asks for and ksail does not do.
    pub unsupported: Vec<String>,
}

/// One recipient.
#[derive(Debug, Serialize)]
pub struct Reader {
    /// The kind of key.
    pub kind: &'static str,
    /// The recipient.
    pub recipient: String,
    /// When the data key was locked for it.
    pub created_at: String,
}

/// Looks at an encrypted file.
pub fn inspect(
    path: &Path,
    input: Option<Format>,
    rules_file: Option<&Path>,
    env: &Env,
) -> Result<Inspection> {
    let bytes = files::read(path)?;
    let format = input.unwrap_or_else(|| Format::of_path(&path.to_string_lossy()));
    let sealed = Sealed::read(format, &bytes).map_err(|error| in_file(error, path))?;
    let metadata = &sealed.metadata;
    let mut count = Count::default();
    for branch in &sealed.branches {
        count.branch(branch, "");
    }
    // The rule is told if there is one; that there is none is no mistake here.
    let found = find_rules(path, rules_file)?;
    let target = choose(path, &Wishes::default(), found.as_ref(), env)
        .ok()
        .filter(|target| target.rule.is_some());
    let integrity = match (
        metadata.mac.is_empty(),
        metadata.selectors.mac_only_encrypted,
    ) {
        (true, _) => "none",
        (false, true) => "encrypted values",
        (false, false) => "all values",
    };
    Ok(Inspection {
        path: path.display().to_string(),
        format: format.name(),
        groups: metadata
            .groups
            .iter()
            .map(|group| {
                group
                    .iter()
                    .map(|stanza| Reader {
                        kind: stanza.kind,
                        recipient: stanza.recipient(),
                        created_at: stanza.text("created_at").to_owned(),
                    })
                    .collect()
            })
            .collect(),
        threshold: if metadata.groups.len() > 1 && metadata.threshold == 0 {
            metadata.groups.len()
        } else {
            metadata.threshold
        },
        last_modified: metadata.last_modified.clone(),
        version: metadata.version.clone(),
        selectors: metadata
            .selectors
            .named()
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        integrity,
        encrypted: count.encrypted,
        plain: count.plain,
        values: count.values,
        key_changes: target
            .as_ref()
            .and_then(|target| key_changes(&sealed, target).ok()),
        rule: target.and_then(|target| target.rule),
        unsupported: found.as_ref().map(unsupported).unwrap_or_default(),
    })
}

fn unsupported(found: &Found) -> Vec<String> {
    let file = found.path.display();
    match found.rules.destinations {
        0 => Vec::new(),
        _ => vec![format!(
            "destination_rules of {file}: files are not published"
        )],
    }
}

#[derive(Default)]
struct Count {
    encrypted: usize,
    plain: usize,
    values: Vec<String>,
}

impl Count {
    fn branch(&mut self, branch: &Branch, path: &str) {
        for (key, value) in branch.pairs() {
            self.value(value, format!("{path}[\"{key}\"]"));
        }
    }

    fn value(&mut self, value: &Value, path: String) {
        match value {
            Value::Map(branch) => self.branch(branch, &path),
            Value::List(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.value(value, format!("{path}[{index}]"));
                }
            }
            Value::Comment(_) => {}
            Value::Text(text) if is_sealed(text) => {
                self.encrypted += 1;
                self.values.push(path);
            }
            _ => {
                self.plain += 1;
                self.values.push(path);
            }
        }
    }
}

/// Finds plain files that a creation rule with a `path_regex` wants encrypted.
pub fn find_plain(paths: &[PathBuf], rules_file: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut plain = Vec::new();
    for path in files::gather(paths, files::Wanted::All)? {
        let found = find_rules(&path, rules_file)?;
        if found.as_ref().is_some_and(|found| is_covered(found, &path))
            && !files::looks_encrypted(&path)
        {
            plain.push(path);
        }
    }
    Ok(plain)
}

/// A rule without an expression would cover the whole folder, so it says nothing about what must be encrypted.
fn is_covered(found: &Found, path: &Path) -> bool {
    found
        .rules
        .find(&found.relative(path))
        .is_ok_and(|rule| rule.is_some_and(|rule| rule.path_regex.is_some()))
}

/// Says that plain files were found.
pub fn plain_found(plain: &[PathBuf]) -> Option<Error> {
    Error::gather(plain.iter().map(|path| {
        Error::new(
            &PLAINTEXT_FOUND,
            format!("{} is not encrypted", path.display()),
        )
        .help(format!(
            "run `ksail cipher encrypt --in-place {}`",
            path.display()
        ))
    }))
}
