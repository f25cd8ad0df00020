//! For whom a file is encrypted, and which of its values: flags, then variables, then the rules file.

use std::path::{Path, PathBuf};

use crate::cipher::format::Layout;
use crate::cipher::key::{Kind, Recipient};
use crate::cipher::rules::{self, Rules};
use crate::cipher::scope::Selectors;
use crate::diag::codes::cipher::{BROKEN_RULES, NO_RECIPIENTS, UNREADABLE_FILE};
use crate::error::{Error, Result};

use super::keys::Env;

/// How many folders up the rules file is looked for.
const UPWARDS: usize = 100;

/// What a file is encrypted with.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Recipients, group by group.
    pub groups: Vec<Vec<Recipient>>,
    /// How many groups are needed; 0 means all.
    pub threshold: usize,
    /// Which values are encrypted.
    pub selectors: Selectors,
    /// The rule it came from, for people.
    pub rule: Option<String>,
}

/// What flags ask for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Recipients as typed, with commas, by kind.
    pub recipients: Vec<(Kind, String)>,
    /// Pairs of an encryption context for AWS KMS.
    pub context: Vec<(String, String)>,
    /// The profile for AWS KMS.
    pub aws_profile: Option<String>,
    /// Selectors; empty ones are taken from the rule.
    pub selectors: Selectors,
    /// How many groups are needed.
    pub threshold: Option<usize>,
    /// The rules file instead of the one that is found.
    pub rules_file: Option<PathBuf>,
}

/// A rules file with its place.
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub rules: Rules,
}

/// Finds and reads the rules file for a path as sops does: the named one, else the nearest above the current folder. Where
/// sops would find none, the nearest above the path is taken.
pub fn find_rules(path: &Path, named: Option<&Path>) -> Result<Option<Found>> {
    match named {
        Some(named) => read(named.to_owned()).map(Some),
        None => match nearest(Path::new("."))? {
            Some(file) => read(file).map(Some),
            None => rules_above(path),
        },
    }
}

/// Finds and reads the nearest rules file above a path, whatever the current folder is.
pub fn rules_above(path: &Path) -> Result<Option<Found>> {
    nearest(path.parent().unwrap_or(Path::new(".")))?
        .map(read)
        .transpose()
}

/// The rules file in a folder or the nearest one above it.
fn nearest(folder: &Path) -> Result<Option<PathBuf>> {
    // The folder of a bare file name is called "", which is no path.
    let folder = Some(folder)
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let absolute = std::path::absolute(folder).map_err(|cause| unreadable(folder, cause))?;
    Ok(absolute
        .ancestors()
        .take(UPWARDS)
        .map(|folder| folder.join(rules::FILE))
        .find(|file| file.is_file()))
}

fn read(file: PathBuf) -> Result<Found> {
    let text = std::fs::read(&file).map_err(|cause| unreadable(&file, cause))?;
    let text = String::from_utf8(text).map_err(|_| {
        Error::new(&BROKEN_RULES, "the rules file is not UTF-8").within(file.display())
    })?;
    let rules = Rules::read(&text).map_err(|error| super::in_file(error, &file))?;
    Ok(Found { path: file, rules })
}

impl Found {
    /// The path as the rules see it: relative to the rules file.
    pub fn relative(&self, path: &Path) -> String {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let own = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = own.parent().unwrap_or(Path::new(""));
        let relative = absolute.strip_prefix(folder).unwrap_or(&absolute);
        relative.to_string_lossy().replace('\\', "/")
    }
}

/// Says how files below the rules file are laid out.
pub fn layout(found: Option<&Found>) -> Layout {
    found.map(|found| found.rules.layout).unwrap_or_default()
}

/// Says for whom a file is encrypted.
pub fn choose(path: &Path, wishes: &Wishes, found: Option<&Found>, env: &Env) -> Result<Target> {
    let mut typed = Vec::new();
    for (kind, variable) in [
        (Kind::Age, "SOPS_AGE_RECIPIENTS"),
        (Kind::Pgp, "SOPS_PGP_FP"),
        (Kind::AwsKms, "SOPS_KMS_ARN"),
        (Kind::GcpKms, "SOPS_GCP_KMS_IDS"),
        (Kind::AzureKeyVault, "SOPS_AZURE_KEYVAULT_URLS"),
        (Kind::Vault, "SOPS_VAULT_URIS"),
    ] {
        let flags: Vec<&String> = wishes
            .recipients
            .iter()
            .filter(|(wished, _)| *wished == kind)
            .map(|(_, text)| text)
            .collect();
        if flags.is_empty() {
            typed.extend(env(variable).map(|text| (kind, text)));
        } else {
            typed.extend(flags.into_iter().map(|text| (kind, text.clone())));
        }
    }
    let group = group(&typed, wishes)?;
    let rule = match found {
        // A rule that does not fit is no mistake as long as recipients are named.
        Some(found) => match found.rules.find(&found.relative(path)) {
            Ok(rule) => rule,
            Err(_) if !group.is_empty() => None,
            Err(error) => return Err(error.within(found.path.display())),
        },
        None => None,
    };
    let mut selectors = wishes.selectors.clone();
    if let Some(rule) = rule {
        let own = selectors.named().iter().any(|(_, text)| !text.is_empty());
        let mac_only_encrypted = selectors.mac_only_encrypted || rule.selectors.mac_only_encrypted;
        if !own {
            selectors = rule.selectors.clone();
        }
        selectors.mac_only_encrypted = mac_only_encrypted;
    }
    let named = rule
        .zip(found)
        .map(|(rule, found)| format!("{} creation_rules[{}]", found.path.display(), rule.index));
    let groups = if group.is_empty() {
        rule.map(|rule| rule.groups.clone()).unwrap_or_default()
    } else {
        vec![group]
    };
    if groups.iter().all(Vec::is_empty) {
        let why = match (&named, found) {
            (Some(rule), _) => format!("{rule} names no recipients"),
            (None, Some(found)) => format!("{} has no creation rules", found.path.display()),
            (None, None) => format!("there is no {} above it and no flag names one", rules::FILE),
        };
        return Err(Error::new(
            &NO_RECIPIENTS,
            format!("there is nobody to encrypt for: {why}"),
        )
        .help("name recipients with --age, --pgp, --kms, …, or write a creation rule"));
    }
    Ok(Target {
        groups,
        threshold: wishes
            .threshold
            .or(rule.map(|rule| rule.threshold))
            .unwrap_or(0),
        selectors: selectors.settle()?,
        rule: named,
    })
}

/// Reads recipients as they are typed.
pub fn group(typed: &[(Kind, String)], wishes: &Wishes) -> Result<Vec<Recipient>> {
    let mut group = Vec::new();
    for (kind, text) in typed {
        for part in rules::split(text) {
            let mut recipient = Recipient::parse(*kind, &part)?;
            if let Recipient::AwsKms(key) = &mut recipient {
                key.context = wishes.context.iter().cloned().collect();
                key.profile.clone_from(&wishes.aws_profile);
            }
            if !group.contains(&recipient) {
                group.push(recipient);
            }
        }
    }
    Ok(group)
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(&UNREADABLE_FILE, format!("cannot read {}", path.display())).because(cause)
}
