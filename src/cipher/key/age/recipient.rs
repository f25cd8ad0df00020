//! Public keys: reading them, naming those that are not supported, and locking bytes for them.

use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};
use age::{Encryptor, ssh, tag, tagpq, x25519};

use super::unsupported;
use crate::cipher::key::Part;
use crate::diag::codes::cipher::BROKEN_RECIPIENT;
use crate::error::{Error, Result};

/// Locks bytes for an age or SSH public key; gives armoured text.
pub fn lock(recipient: &str, part: &Part) -> Result<String> {
    let public = public(recipient)?;
    let fail = |cause: String| {
        Error::new(
            &BROKEN_RECIPIENT,
            format!("cannot lock for the age recipient `{recipient}`"),
        )
        .because(cause)
    };
    let encryptor = Encryptor::with_recipients(std::iter::once(&*public as &dyn age::Recipient))
        .map_err(|cause| fail(cause.to_string()))?;
    let mut text = Vec::new();
    let write = |text: &mut Vec<u8>| -> std::io::Result<()> {
        let armor = ArmoredWriter::wrap_output(text, Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(part.expose())?;
        writer.finish()?.finish()?;
        Ok(())
    };
    write(&mut text).map_err(|cause| fail(cause.to_string()))?;
    String::from_utf8(text).map_err(|cause| fail(cause.to_string()))
}

/// Checks that data keys can be locked for a recipient.
pub fn check(recipient: &str) -> Result<()> {
    public(recipient).map(drop)
}

fn public(text: &str) -> Result<Box<dyn age::Recipient + Send>> {
    let text = text.trim();
    let wrong = || {
        Error::new(&BROKEN_RECIPIENT, format!("`{text}` is no age recipient"))
            .help("recipients begin with `age1`, `ssh-ed25519` or `ssh-rsa`")
    };
    if text.starts_with("AGE-SECRET-KEY-") {
        return Err(Error::new(
            &BROKEN_RECIPIENT,
            "a private key stands where a recipient must be",
        )
        .help("give the public key, which begins with `age1`, and replace the private key if others saw it"));
    }
    if text.starts_with("ssh-") {
        return ssh::Recipient::from_str(text)
            .map(|key| Box::new(key) as _)
            .map_err(|cause| match cause {
                ssh::ParseRecipientKeyError::Unsupported(kind) => {
                    unsupported(&format!("SSH keys of the kind `{kind}` do not encrypt"))
                }
                ssh::ParseRecipientKeyError::RsaModulusTooSmall => {
                    unsupported("the RSA key is shorter than 2048 bits")
                }
                ssh::ParseRecipientKeyError::RsaModulusTooLarge => {
                    unsupported("the RSA key is longer than 4096 bits")
                }
                _ => wrong(),
            });
    }
    if text.starts_with("age1pq1") {
        return Err(unsupported(
            "the recipient is a post-quantum key (`age1pq1`)",
        ));
    }
    if let Ok(key) = x25519::Recipient::from_str(text) {
        return Ok(Box::new(key));
    }
    if let Ok(key) = tag::Recipient::from_str(text) {
        return Ok(Box::new(key));
    }
    if let Ok(key) = tagpq::Recipient::from_str(text) {
        return Ok(Box::new(key));
    }
    // bech32 with another word before the separator names a plugin; `age1` itself ends at the first `1`.
    if let Some((head, _)) = text.rsplit_once('1')
        && let Some(plugin) = head.strip_prefix("age1")
        && !plugin.is_empty()
        && plugin
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-')
    {
        return Err(unsupported(&format!(
            "the recipient belongs to the age plugin `{plugin}`"
        )));
    }
    Err(wrong())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::cipher::key::age::generate;

    #[test]
    fn names_what_it_cannot_use() {
        let (private, _) = generate();
        for (text, code) in [
            ("age1yubikey1qwerty", "E0951"),
            ("age1pq1qqqq", "E0951"),
            ("ssh-ed25519 x", "E0950"),
            ("hello", "E0950"),
            (private.expose(), "E0950"),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!(error.code().id, code, "{error:?}");
            assert!(!error.message().contains("SECRET"));
        }
    }
}
