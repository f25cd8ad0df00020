//! The flags that say for whom files are encrypted and which of their values; without any, a rule does.

use std::path::PathBuf;

use clap::Args;

use crate::cipher::key::Kind;
use crate::cipher::scope::Selectors;
use crate::diag::codes::cipher::BROKEN_CONTEXT;
use crate::error::{Error, Result};
use crate::ops::cipher::target::Wishes;

/// For whom files are encrypted.
#[derive(Clone, Debug, Default, Args)]
struct Audience {
    /// age or SSH public keys, with commas
    #[arg(short, long, value_name = "KEYS", help_heading = "Recipients")]
    age: Vec<String>,
    /// OpenPGP fingerprints
    #[arg(short, long, value_name = "FINGERPRINTS", help_heading = "Recipients")]
    pgp: Vec<String>,
    /// ARNs of AWS KMS keys
    #[arg(short, long, value_name = "ARNS", help_heading = "Recipients")]
    kms: Vec<String>,
    /// Resource names of Google Cloud keys
    #[arg(long, value_name = "NAMES", help_heading = "Recipients")]
    gcp_kms: Vec<String>,
    /// Addresses of Azure Key Vault keys
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    azure_kv: Vec<String>,
    /// Addresses of Vault transit keys
    #[arg(long, value_name = "URLS", help_heading = "Recipients")]
    hc_vault_transit: Vec<String>,
    /// Profile for AWS KMS
    #[arg(long, value_name = "NAME", help_heading = "Recipients")]
    aws_profile: Option<String>,
    /// Encryption context for AWS KMS: KEY:VALUE,…
    #[arg(
        long,
        value_name = "PAIRS",
        value_delimiter = ',',
        help_heading = "Recipients"
    )]
    encryption_context: Vec<String>,
}

/// For whom files are encrypted, and which of their values.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TargetFlags {
    #[command(flatten)]
    audience: Audience,
    /// How many key groups are needed
    #[arg(long, value_name = "N", help_heading = "Recipients")]
    shamir_secret_sharing_threshold: Option<usize>,
    #[command(flatten)]
    selectors: SelectorFlags,
}

impl TargetFlags {
    /// What the flags ask for, with the rules file that was named.
    pub(super) fn wishes(self, rules_file: Option<PathBuf>) -> Result<Wishes> {
        let audience = self.audience;
        let mut recipients = Vec::new();
        for (kind, texts) in [
            (Kind::Age, audience.age),
            (Kind::Pgp, audience.pgp),
            (Kind::AwsKms, audience.kms),
            (Kind::GcpKms, audience.gcp_kms),
            (Kind::AzureKeyVault, audience.azure_kv),
            (Kind::Vault, audience.hc_vault_transit),
        ] {
            recipients.extend(texts.into_iter().map(|text| (kind, text)));
        }
        Ok(Wishes {
            recipients,
            context: pairs(&audience.encryption_context)?,
            aws_profile: audience.aws_profile,
            selectors: self.selectors.into(),
            threshold: self.shamir_secret_sharing_threshold,
            rules_file,
        })
    }
}

/// Which values are encrypted.
#[derive(Clone, Debug, Default, Args)]
struct SelectorFlags {
    /// Leave keys with this ending plain
    #[arg(long, value_name = "TEXT", help_heading = "Values")]
    unencrypted_suffix: Option<String>,
    /// Encrypt only keys with this ending
    #[arg(long, value_name = "TEXT", help_heading = "Values")]
    encrypted_suffix: Option<String>,
    /// Leave keys that match plain
    #[arg(long, value_name = "REGEX", help_heading = "Values")]
    unencrypted_regex: Option<String>,
    /// Encrypt only keys that match
    #[arg(long, value_name = "REGEX", help_heading = "Values")]
    encrypted_regex: Option<String>,
    /// Leave values below a comment that matches plain
    #[arg(long, value_name = "REGEX", help_heading = "Values")]
    unencrypted_comment_regex: Option<String>,
    /// Encrypt only values below a comment that matches
    #[arg(long, value_name = "REGEX", help_heading = "Values")]
    encrypted_comment_regex: Option<String>,
    /// Make the integrity code over encrypted values only
    #[arg(long, help_heading = "Values")]
    mac_only_encrypted: bool,
}

impl From<SelectorFlags> for Selectors {
    fn from(flags: SelectorFlags) -> Self {
        Self {
            unencrypted_suffix: flags.unencrypted_suffix.unwrap_or_default(),
            encrypted_suffix: flags.encrypted_suffix.unwrap_or_default(),
            unencrypted_regex: flags.unencrypted_regex.unwrap_or_default(),
            encrypted_regex: flags.encrypted_regex.unwrap_or_default(),
            unencrypted_comment_regex: flags.unencrypted_comment_regex.unwrap_or_default(),
            encrypted_comment_regex: flags.encrypted_comment_regex.unwrap_or_default(),
            mac_only_encrypted: flags.mac_only_encrypted,
        }
    }
}

/// Reads the pairs of an encryption context.
pub(super) fn pairs(texts: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| {
        let pair = text.split_once(':').ok_or_else(|| {
            Error::new(
                &BROKEN_CONTEXT,
                format!("`{text}` is no pair of an encryption context"),
            )
            .help("write KEY:VALUE")
        });
        pair.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
    };
    texts.iter().map(pair).collect()
}
