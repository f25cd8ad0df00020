//! The keyring of a run: every private key and every service that was found, behind one trait.

use std::sync::OnceLock;

use jiff::Timestamp;
use rand::rngs::OsRng;
use reqwest::Client;
use tokio::process::Command;

use super::sources::KeySources;
use super::{aws, azure, gcp, gpg, http, vault};
use crate::cipher::key::age::{self, Ask, Identities};
#[cfg(unix)]
use crate::cipher::key::pgp_agent::questions;
use crate::cipher::key::{Keyring, Order, Part, Recipient, SealedKey, Waiting, pgp};
use crate::diag::codes::cipher::{BROKEN_IDENTITY, NO_IDENTITY, NO_PGP_KEY};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Makes a keyring of what was found. Key files are read when the first file needs them.
pub fn keyring(sources: KeySources) -> Keys {
    Keys {
        sources,
        age: OnceLock::new(),
        pgp: OnceLock::new(),
        http: OnceLock::new(),
        vault: OnceLock::new(),
    }
}

/// Private keys and services.
pub struct Keys {
    sources: KeySources,
    age: OnceLock<(Identities, Vec<Error>)>,
    pgp: OnceLock<(pgp::Keys, Vec<Error>)>,
    http: OnceLock<Client>,
    vault: OnceLock<Client>,
}

impl Keys {
    /// In which order kinds of key are tried.
    pub fn order(&self) -> &Order {
        &self.sources.order
    }

    fn http(&self) -> Result<&Client> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = http::client()?;
        Ok(self.http.get_or_init(|| client))
    }

    /// Vault has authorities and certificates of its own.
    fn vault(&self) -> Result<&Client> {
        if let Some(client) = self.vault.get() {
            return Ok(client);
        }
        let client = match vault::client(&self.sources)? {
            Some(client) => client,
            None => self.http()?.clone(),
        };
        Ok(self.vault.get_or_init(|| client))
    }

    fn age(&self) -> &(Identities, Vec<Error>) {
        self.age.get_or_init(|| {
            let mut identities = Identities::default();
            let mut problems = Vec::new();
            for found in &self.sources.age {
                problems.extend(add(&mut identities, &found.place, &found.bytes).err());
            }
            (identities, problems)
        })
    }

    fn pgp(&self) -> &(pgp::Keys, Vec<Error>) {
        self.pgp.get_or_init(|| {
            let mut keys = pgp::Keys::default();
            let mut problems = Vec::new();
            for found in &self.sources.pgp {
                problems.extend(keys.read(&found.place, &found.bytes).err());
            }
            (keys, problems)
        })
    }

    async fn unlock_age(&self, recipient: &str, enc: &str) -> Result<Part> {
        let (identities, problems) = self.age();
        let error = match identities.unlock(recipient, enc, &self.sources.ask) {
            Ok(part) => return Ok(part),
            Err(error) => error,
        };
        let mut all: Vec<Error> = Vec::new();
        for name in ["SOPS_AGE_SSH_PRIVATE_KEY_CMD", "SOPS_AGE_KEY_CMD"] {
            let Some(command) = self.sources.variable(name) else {
                continue;
            };
            if !self.sources.may_run {
                all.push(Error::new(
                    &NO_IDENTITY,
                    format!("the command in {name} may not be run for a script"),
                ));
                continue;
            }
            match run(name, command, recipient).await {
                Ok(text) => {
                    let mut printed = Identities::default();
                    let read = printed.read(name, text.expose());
                    match read.and_then(|()| printed.unlock(recipient, enc, &self.sources.ask)) {
                        Ok(part) => return Ok(part),
                        Err(error) => all.push(error),
                    }
                }
                Err(error) => all.push(error),
            }
        }
        all.extend(problems.iter().map(|problem| {
            let mut copy = Error::new(problem.code(), problem.message());
            for help in problem.helps() {
                copy = copy.help(help);
            }
            copy
        }));
        all.extend(
            self.sources
                .looked
                .iter()
                .map(|place| Error::new(&NO_IDENTITY, format!("no age identity: {place}"))),
        );
        Err(error.also(all))
    }

    async fn unlock_pgp(&self, enc: &str) -> Result<Part> {
        let (keys, problems) = self.pgp();
        let own = self
            .sources
            .variable("KSAIL_PGP_PASSPHRASE")
            .map(Secret::new);
        let ask = self.sources.ask.clone();
        let ask: Ask = std::sync::Arc::new(move |what| own.clone().or_else(|| ask(what)));
        let error = match keys.unlock(enc, &ask) {
            Ok(part) => return Ok(part),
            Err(error) => error,
        };
        if error.code().id != NO_PGP_KEY.id {
            return Err(error);
        }
        #[cfg(unix)]
        if let Some(part) = super::agent::unlock(&self.sources, &questions(keys, enc)?, enc) {
            return Ok(part);
        }
        if !self.sources.may_run {
            return Err(error);
        }
        match gpg::unlock(&self.sources, enc).await {
            Ok(part) => Ok(part),
            Err(more) => {
                let read = problems
                    .iter()
                    .map(|problem| Error::new(problem.code(), problem.message()));
                Err(error.also(std::iter::once(more).chain(read)))
            }
        }
    }
}

impl Keyring for Keys {
    fn lock<'a>(&'a self, recipient: &'a Recipient, part: &'a Part) -> Waiting<'a, String> {
        Box::pin(async move {
            let sources = &self.sources;
            match recipient {
                Recipient::Age(public) => age::lock(public, part),
                Recipient::Pgp(fingerprint) => {
                    let now = Timestamp::now().as_second();
                    self.pgp().0.lock(fingerprint, part, now, OsRng)
                }
                Recipient::AwsKms(key) => aws::lock(self.http()?, sources, key, part).await,
                Recipient::GcpKms(key) => gcp::lock(self.http()?, sources, key, part).await,
                Recipient::AzureKeyVault(key) => {
                    azure::lock(self.http()?, sources, key, part).await
                }
                Recipient::Vault(key) => vault::lock(self.vault()?, sources, key, part).await,
            }
        })
    }

    fn unlock<'a>(&'a self, sealed: &'a SealedKey) -> Waiting<'a, Part> {
        Box::pin(async move {
            let sources = &self.sources;
            let enc = sealed.enc.as_str();
            match &sealed.recipient {
                Recipient::Age(public) => self.unlock_age(public, enc).await,
                Recipient::Pgp(_) => self.unlock_pgp(enc).await,
                Recipient::AwsKms(key) => aws::unlock(self.http()?, sources, key, enc).await,
                Recipient::GcpKms(key) => gcp::unlock(self.http()?, sources, key, enc).await,
                Recipient::AzureKeyVault(key) => {
                    azure::unlock(self.http()?, sources, key, enc).await
                }
                Recipient::Vault(key) => vault::unlock(self.vault()?, sources, key, enc).await,
            }
        })
    }

    fn settle<'a>(&'a self, recipient: &'a Recipient) -> Waiting<'a, Recipient> {
        Box::pin(async move {
            match recipient {
                Recipient::AzureKeyVault(key) => azure::settle(self.http()?, &self.sources, key)
                    .await
                    .map(Recipient::AzureKeyVault),
                other => Ok(other.clone()),
            }
        })
    }
}

/// Adds identities; an age file in binary form is no text.
fn add(identities: &mut Identities, place: &str, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(b"age-encryption.org/") {
        identities.add_locked(place, bytes);
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        Error::new(
            &BROKEN_IDENTITY,
            format!("the age identities of {place} cannot be read: they are no text"),
        )
        .because(cause)
    })?;
    identities.read(place, text)
}

/// Runs a command that prints a key; the recipient is in its environment.
async fn run(name: &str, command: &str, recipient: &str) -> Result<Secret> {
    let wrong = |what: &str| Error::new(&NO_IDENTITY, format!("the command in {name} {what}"));
    let words = words(command).ok_or_else(|| wrong("has a quote that is not closed"))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(wrong("is empty"));
    };
    let output = Command::new(program)
        .args(arguments)
        .env("SOPS_AGE_RECIPIENT", recipient)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|cause| wrong("does not start").because(cause))?;
    if !output.status.success() {
        return Err(wrong(&format!("failed ({})", output.status)));
    }
    String::from_utf8(output.stdout)
        .map(Secret::new)
        .map_err(|_| wrong("printed no text"))
}

/// Splits a command line into words as a shell does, without any expansion.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn splits_commands_as_a_shell() {
        assert_eq!(
            words(r#"a 'b c' "d\" e" f\ g ''"#).unwrap(),
            ["a", "b c", "d\" e", "f g", ""]
        );
        assert!(words("a 'b").is_none());
        assert!(words("a\\").is_none());
    }
}
