//! Recipients: whose key locks a data key, with every field that a sops file has for them.
//!
//! Reading and writing goes by field name and text, so that it fits every file format. How to lock is elsewhere.

use std::fmt;

use indexmap::IndexMap;

use super::SealedKey;
use crate::diag::codes::cipher::{BROKEN_RECIPIENT, UNSUPPORTED_RECIPIENT};
use crate::error::{Error, Result};

/// The kinds of key, by their names in sops files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `age`: X25519 and SSH keys.
    Age,
    /// `pgp`: OpenPGP certificates.
    Pgp,
    /// `kms`: AWS KMS.
    AwsKms,
    /// `gcp_kms`: Google Cloud KMS.
    GcpKms,
    /// `azure_kv`: Azure Key Vault.
    AzureKeyVault,
    /// `hc_vault`: the transit engine of HashiCorp Vault and OpenBao.
    Vault,
}

impl Kind {
    /// Every kind, in the order in which sops lists them.
    pub const ALL: [Self; 6] = [
        Self::AwsKms,
        Self::GcpKms,
        Self::AzureKeyVault,
        Self::Vault,
        Self::Pgp,
        Self::Age,
    ];

    /// The name in sops files and in `SOPS_DECRYPTION_ORDER`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Pgp => "pgp",
            Self::AwsKms => "kms",
            Self::GcpKms => "gcp_kms",
            Self::AzureKeyVault => "azure_kv",
            Self::Vault => "hc_vault",
        }
    }

    /// Finds a kind by its name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A key of AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKms {
    /// The key's or alias's ARN.
    pub arn: String,
    /// The role to assume first.
    pub role: Option<String>,
    /// The encryption context, bound to the ciphertext.
    pub context: IndexMap<String, String>,
    /// The profile of the shared configuration to use.
    pub profile: Option<String>,
}

/// A key of Google Cloud KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcpKms {
    /// `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
    pub resource_id: String,
}

/// A key of Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureKeyVault {
    /// The vault, such as `https://example.vault.azure.net`.
    pub vault_url: String,
    /// The key's name.
    pub name: String,
    /// The key's version; the newest where it is empty.
    pub version: String,
}

/// A key of a transit engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// The server, such as `https://vault.example.com:8200`.
    pub address: String,
    /// Where the engine is mounted, such as `transit`.
    pub engine_path: String,
    /// The key's name.
    pub key_name: String,
}

/// Whose key locks a data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// An age or SSH public key.
    Age(String),
    /// The fingerprint of an OpenPGP certificate.
    Pgp(String),
    /// A key of AWS KMS.
    AwsKms(AwsKms),
    /// A key of Google Cloud KMS.
    GcpKms(GcpKms),
    /// A key of Azure Key Vault.
    AzureKeyVault(AzureKeyVault),
    /// A key of a transit engine.
    Vault(Vault),
}

impl Recipient {
    /// The kind of key.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Age(_) => Kind::Age,
            Self::Pgp(_) => Kind::Pgp,
            Self::AwsKms(_) => Kind::AwsKms,
            Self::GcpKms(_) => Kind::GcpKms,
            Self::AzureKeyVault(_) => Kind::AzureKeyVault,
            Self::Vault(_) => Kind::Vault,
        }
    }

    /// Reads one as it is typed in flags, rules and variables: a fingerprint, an ARN (`ARN+ROLE`), a resource or an address.
    pub fn parse(kind: Kind, text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |want: &str| {
            Err(Error::new(
                &BROKEN_RECIPIENT,
                format!("`{text}` is no recipient of kind `{}`", kind.name()),
            )
            .help(format!("it is written {want}")))
        };
        Ok(match kind {
            Kind::Age => {
                super::age::check(text)?;
                Self::Age(text.to_owned())
            }
            Kind::Pgp => {
                let plain: String = text.chars().filter(|c| *c != ' ').collect();
                if plain.len() < 8 || !plain.chars().all(|c| c.is_ascii_hexdigit()) {
                    return wrong("as a fingerprint of 40 hexadecimal digits");
                }
                Self::Pgp(plain)
            }
            Kind::AwsKms => {
                let (arn, role) = match text.split_once("+arn:") {
                    Some((arn, role)) => (arn, Some(format!("arn:{role}"))),
                    None => (text, None),
                };
                if !arn.starts_with("arn:") || arn.split(':').count() < 6 {
                    return wrong("`arn:aws:kms:REGION:ACCOUNT:key/ID`");
                }
                Self::AwsKms(AwsKms {
                    arn: arn.replace(' ', ""),
                    role,
                    context: IndexMap::new(),
                    profile: None,
                })
            }
            Kind::GcpKms => {
                if !text.starts_with("projects/") || text.split('/').count() < 8 {
                    return wrong("`projects/P/locations/L/keyRings/R/cryptoKeys/K`");
                }
                Self::GcpKms(GcpKms {
                    resource_id: text.to_owned(),
                })
            }
            Kind::AzureKeyVault => {
                let Some((vault_url, key)) = text.split_once("/keys/") else {
                    return wrong("`https://VAULT.vault.azure.net/keys/NAME/VERSION`");
                };
                let (name, version) = key.split_once('/').unwrap_or((key, ""));
                if name.is_empty() || !vault_url.starts_with("http") {
                    return wrong("`https://VAULT.vault.azure.net/keys/NAME/VERSION`");
                }
                Self::AzureKeyVault(AzureKeyVault {
                    vault_url: vault_url.to_owned(),
                    name: name.to_owned(),
                    version: version.to_owned(),
                })
            }
            Kind::Vault => match vault(text) {
                Some(vault) => Self::Vault(vault),
                None => return wrong("`https://HOST:8200/v1/ENGINE/keys/NAME`"),
            },
        })
    }

    /// Gives the fields that a sops file has for it, in order, without `enc` and `created_at`.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Age(recipient) => vec![("recipient", recipient.clone())],
            Self::Pgp(fingerprint) => vec![("fp", fingerprint.clone())],
            Self::AwsKms(key) => {
                let mut fields = vec![("arn", key.arn.clone())];
                fields.extend(key.role.clone().map(|role| ("role", role)));
                fields.push(("aws_profile", key.profile.clone().unwrap_or_default()));
                fields
            }
            Self::GcpKms(key) => vec![("resource_id", key.resource_id.clone())],
            Self::AzureKeyVault(key) => vec![
                ("vault_url", key.vault_url.clone()),
                ("name", key.name.clone()),
                ("version", key.version.clone()),
            ],
            Self::Vault(key) => vec![
                ("vault_address", key.address.clone()),
                ("engine_path", key.engine_path.clone()),
                ("key_name", key.key_name.clone()),
            ],
        }
    }

    /// Reads one from the fields of a sops file; `get` gives a field's text, `context` the pairs of an encryption context.
    pub fn read<'a>(
        kind: &str,
        get: impl Fn(&str) -> &'a str,
        context: IndexMap<String, String>,
    ) -> Result<Self> {
        let Some(known) = Kind::find(kind) else {
            return Err(Error::new(
                &UNSUPPORTED_RECIPIENT,
                format!("keys of kind `{kind}` are not supported"),
            ));
        };
        let need = |field: &str| needed(kind, field, get(field));
        let some = |field: &str| Some(get(field).to_owned()).filter(|text| !text.is_empty());
        Ok(match known {
            Kind::Age => Self::Age(need("recipient")?),
            Kind::Pgp => Self::Pgp(need("fp")?),
            Kind::AwsKms => Self::AwsKms(AwsKms {
                arn: need("arn")?,
                role: some("role"),
                context,
                profile: some("aws_profile"),
            }),
            Kind::GcpKms => Self::GcpKms(GcpKms {
                resource_id: need("resource_id")?,
            }),
            Kind::AzureKeyVault => Self::AzureKeyVault(AzureKeyVault {
                vault_url: need("vault_url")?,
                name: need("name")?,
                version: get("version").to_owned(),
            }),
            Kind::Vault => Self::Vault(Vault {
                address: need("vault_address")?,
                engine_path: need("engine_path")?,
                key_name: need("key_name")?,
            }),
        })
    }
}

impl SealedKey {
    /// Reads one as [`Recipient::read`] does, with what was locked for it.
    pub fn read<'a>(
        kind: &str,
        get: impl Fn(&str) -> &'a str,
        context: IndexMap<String, String>,
    ) -> Result<Self> {
        Ok(Self {
            recipient: Recipient::read(kind, &get, context)?,
            enc: needed(kind, "enc", get("enc"))?,
            created_at: get("created_at").to_owned(),
        })
    }
}

fn needed(kind: &str, field: &str, text: &str) -> Result<String> {
    if text.is_empty() {
        return Err(Error::new(
            &BROKEN_RECIPIENT,
            format!("a key of kind `{kind}` has no `{field}`"),
        ));
    }
    Ok(text.to_owned())
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(text) | Self::Pgp(text) => f.write_str(text),
            Self::AwsKms(key) => match &key.role {
                Some(role) => write!(f, "{}+{role}", key.arn),
                None => f.write_str(&key.arn),
            },
            Self::GcpKms(key) => f.write_str(&key.resource_id),
            Self::AzureKeyVault(key) => {
                write!(f, "{}/keys/{}/{}", key.vault_url, key.name, key.version)
            }
            Self::Vault(key) => write!(
                f,
                "{}/v1/{}/keys/{}",
                key.address, key.engine_path, key.key_name
            ),
        }
    }
}

/// Reads `https://host:8200/v1/<engine path>/keys/<name>`; the engine path may have several parts.
fn vault(text: &str) -> Option<Vault> {
    let (scheme, rest) = text.split_once("://")?;
    let (host, path) = rest.split_once('/')?;
    let path = path.trim_end_matches('/').strip_prefix("v1/")?;
    let (engine_path, key_name) = path.rsplit_once("/keys/")?;
    let fine = matches!(scheme, "http" | "https")
        && !host.is_empty()
        && !engine_path.is_empty()
        && !key_name.is_empty()
        && !key_name.contains('/');
    fine.then(|| Vault {
        address: format!("{scheme}://{host}"),
        engine_path: engine_path.to_owned(),
        key_name: key_name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::{Kind, Recipient, SealedKey};

    #[test]
    fn reads_what_it_shows() {
        let samples = [
            (Kind::Pgp, "FBC7B9E2A4F9289AC0C1D4843D16CEE4A27381B4"),
            (
                Kind::AwsKms,
                "arn:aws:kms:eu-west-1:111122223333:key/abc+arn:aws:iam::111122223333:role/x",
            ),
            (
                Kind::GcpKms,
                "projects/p/locations/global/keyRings/r/cryptoKeys/k",
            ),
            (
                Kind::AzureKeyVault,
                "https://example.vault.azure.net/keys/name/0123",
            ),
            (Kind::Vault, "http://127.0.0.1:8200/v1/team/transit/keys/k"),
        ];
        for (kind, text) in samples {
            let recipient = Recipient::parse(kind, text).unwrap();
            assert_eq!(recipient.to_string(), text);
            let fields = recipient.fields();
            let get = |name: &str| match name {
                "enc" => "x",
                _ => fields
                    .iter()
                    .find(|(field, _)| *field == name)
                    .map_or("", |(_, text)| text.as_str()),
            };
            let read = SealedKey::read(kind.name(), get, IndexMap::new()).unwrap();
            assert_eq!(read.recipient, recipient);
        }
    }

    #[test]
    fn names_what_is_missing() {
        let error = SealedKey::read("age", |_| "", IndexMap::new()).unwrap_err();
        assert_eq!(error.message(), "a key of kind `age` has no `recipient`");
        let error = SealedKey::read("hckms", |_| "", IndexMap::new()).unwrap_err();
        assert_eq!(error.code().id, "E0951");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}", prefix in "(arn:|projects/|https://|http://a/v1/|)") {
            for kind in Kind::ALL {
                let _ = Recipient::parse(kind, &format!("{prefix}{text}"));
            }
        }
    }
}
