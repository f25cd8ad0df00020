//! Encrypted files as use cases: encrypt, decrypt, rotate, set, edit and their kin, for the command line and scripts.
//!
//! Formats and integrity are in `cipher`; here are files, time, randomness, and the choice of recipients. Nothing here
//! prints. A new command is a function here or a file beside this one.

pub mod child;
pub mod edit;
pub mod files;
pub mod keys;
#[cfg(target_os = "linux")]
mod pipe;
pub mod reveal;
pub mod survey;
pub mod target;
pub mod unfinished;

use std::path::Path;

use zeroize::Zeroizing;

use crate::cipher::document::{Mac, Opened, Sealed};
use crate::cipher::format::{self, Format, Layout};
use crate::cipher::key::{DataKey, Recipient, SealedKey, lock_groups, unlock_groups};
use crate::cipher::metadata::{Metadata, Stanza};
use crate::cipher::path::Path as TreePath;
use crate::cipher::scope::Selectors;
use crate::cipher::tree::{Branch, Value};
use crate::cipher::walk::Entropy;
use crate::diag::codes::cipher::{NO_RANDOM, NO_RECIPIENTS, NO_SUCH_VALUE, TOO_LARGE};
use crate::diag::{Label, Source};
use crate::error::{Error, Result};
use keys::Keys;
use target::Target;

/// Random bytes of the operating system.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|cause| {
            Error::new(&NO_RANDOM, "the system gives no random bytes").because(cause.to_string())
        })
    }
}

/// In which formats a file is read and written.
#[derive(Clone, Copy, Debug)]
pub struct Formats {
    /// The format of the input.
    pub input: Format,
    /// The format of the output.
    pub output: Format,
    /// How the output is laid out.
    pub layout: Layout,
}

impl Formats {
    /// Chooses by the path, unless types are named.
    pub fn choose(
        path: &str,
        input: Option<Format>,
        output: Option<Format>,
        layout: Layout,
    ) -> Self {
        let input = input.unwrap_or_else(|| Format::of_path(path));
        Self {
            input,
            output: output.unwrap_or(input),
            layout,
        }
    }
}

/// A decrypted file with the key it was opened with.
pub struct Unlocked {
    /// The plain content.
    pub opened: Opened,
    /// The file's data key.
    pub key: DataKey,
}

impl Unlocked {
    /// Seals the content with its key and writes it, unless it would be too large to be read again.
    fn written(&self, format: Format, layout: Layout) -> Result<Vec<u8>> {
        let sealed = self
            .opened
            .seal(self.key.expose(), &now(), &mut SystemEntropy)?;
        written(&sealed, format, layout)
    }
}

/// Says the time as metadata do.
pub fn now() -> String {
    let whole = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(whole)
        .unwrap_or_default()
        .to_string()
}

/// Encrypts the content of a plain file.
pub async fn encrypt(
    bytes: &[u8],
    formats: Formats,
    target: &Target,
    keys: &Keys,
) -> Result<Vec<u8>> {
    let branches = format::read_plain(formats.input, bytes)?;
    format::refuse_metadata(formats.input, &branches)?;
    let mut begun = begin(formats.input, target, keys).await?;
    begun.opened.branches = branches;
    begun.written(formats.output, formats.layout)
}

/// Writes an encrypted file, unless it would be too large to be read again.
fn written(sealed: &Sealed, format: Format, layout: Layout) -> Result<Vec<u8>> {
    let bytes = sealed.write(format, layout)?;
    if bytes.len() as u64 > files::LARGEST {
        return Err(Error::new(
            &TOO_LARGE,
            format!(
                "the encrypted text would be larger than {} MiB",
                files::LARGEST >> 20
            ),
        )
        .help("split the file, or encrypt it with age itself and only its key here"));
    }
    Ok(bytes)
}

/// Begins a file without content: makes its data key and locks it for the recipients.
pub async fn begin(input: Format, target: &Target, keys: &Keys) -> Result<Unlocked> {
    let mut metadata = Metadata {
        threshold: target.threshold,
        selectors: if input == Format::Binary {
            Selectors::default()
        } else {
            target.selectors.clone()
        },
        ..Metadata::default()
    };
    let key = fresh_key()?;
    lock(&mut metadata, &target.groups, &key, keys).await?;
    let opened = Opened::plain(Vec::new(), metadata);
    Ok(Unlocked { opened, key })
}

/// Opens an encrypted file.
pub async fn unlock(bytes: &[u8], input: Format, mac: Mac, keys: &Keys) -> Result<Unlocked> {
    let sealed = Sealed::read(input, bytes)?;
    let key = data_key(&sealed.metadata, keys).await?;
    let opened = sealed.open(key.expose(), mac)?;
    Ok(Unlocked { opened, key })
}

/// Decrypts a file to its plain content, or one value of it.
pub async fn decrypt(
    bytes: &[u8],
    formats: Formats,
    mac: Mac,
    extract: Option<&TreePath>,
    keys: &Keys,
) -> Result<Zeroizing<Vec<u8>>> {
    let unlocked = unlock(bytes, formats.input, mac, keys).await?;
    let branches = &unlocked.opened.branches;
    let plain = match extract {
        Some(path) => {
            let none = Branch::default();
            let mut value = path.get(branches.first().unwrap_or(&none))?;
            let plain = format::write_value(formats.output, &value, formats.layout);
            value.wipe();
            plain?
        }
        None => format::write_plain(formats.output, branches, formats.layout)?,
    };
    Ok(Zeroizing::new(plain))
}

/// Which recipients a rotation adds and removes.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Recipients to add to the first group.
    pub add: Vec<Recipient>,
    /// Recipients to remove from every group.
    pub remove: Vec<Recipient>,
}

/// Gives a file a new data key, and with it new ciphertext throughout.
pub async fn rotate(
    bytes: &[u8],
    formats: Formats,
    exchange: &Exchange,
    mac: Mac,
    keys: &Keys,
) -> Result<Vec<u8>> {
    let mut unlocked = unlock(bytes, formats.input, mac, keys).await?;
    let mut groups = recipients(&unlocked.opened.metadata)?;
    for group in &mut groups {
        group.retain(|recipient| !exchange.remove.contains(recipient));
    }
    if let Some(first) = groups.first_mut() {
        for recipient in &exchange.add {
            if !first.contains(recipient) {
                first.push(recipient.clone());
            }
        }
    }
    unlocked.key = fresh_key()?;
    unlocked.opened.forget();
    let metadata = &mut unlocked.opened.metadata;
    lock(metadata, &groups, &unlocked.key, keys).await?;
    unlocked.written(formats.output, formats.layout)
}

/// What `updatekeys` would change, or changed.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct KeyChanges {
    /// Recipients that the rule names and the file did not.
    pub added: Vec<String>,
    /// Recipients of the file that the rule does not name.
    pub removed: Vec<String>,
}

impl KeyChanges {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Says how the recipients of a file differ from those of its rule.
pub fn key_changes(sealed: &Sealed, target: &Target) -> Result<KeyChanges> {
    let have = names(&recipients(&sealed.metadata)?);
    let want = names(&target.groups);
    Ok(KeyChanges {
        added: want
            .iter()
            .filter(|name| !have.contains(name))
            .cloned()
            .collect(),
        removed: have
            .iter()
            .filter(|name| !want.contains(name))
            .cloned()
            .collect(),
    })
}

/// Locks a file's data key for the recipients of its rule; values and integrity code stay.
pub async fn update_keys(
    bytes: &[u8],
    formats: Formats,
    target: &Target,
    keys: &Keys,
) -> Result<(KeyChanges, Vec<u8>)> {
    let mut sealed = Sealed::read(formats.input, bytes)?;
    let changes = key_changes(&sealed, target)?;
    if changes.is_empty() {
        return Ok((changes, bytes.to_vec()));
    }
    let key = data_key(&sealed.metadata, keys).await?;
    sealed.metadata.threshold = sealed.metadata.threshold.min(target.groups.len());
    lock(&mut sealed.metadata, &target.groups, &key, keys).await?;
    let bytes = written(&sealed, formats.output, formats.layout)?;
    Ok((changes, bytes))
}

/// One change of a value.
#[derive(Clone, Debug)]
pub enum Change {
    /// Puts a value.
    Set(Value),
    /// Takes a value away.
    Unset {
        /// Whether it is no mistake if there is none.
        may_lack: bool,
    },
}

/// Changes one value of an encrypted file; `None` if it is so already.
pub async fn change(
    bytes: &[u8],
    formats: Formats,
    path: &TreePath,
    change: Change,
    mac: Mac,
    keys: &Keys,
) -> Result<Option<Vec<u8>>> {
    let mut unlocked = unlock(bytes, formats.input, mac, keys).await?;
    let mut none = Branch::default();
    let branch = unlocked.opened.branches.first_mut().unwrap_or(&mut none);
    match change {
        Change::Set(value) => {
            if !path.set(branch, value)? {
                return Ok(None);
            }
        }
        Change::Unset { may_lack } => match path.unset(branch) {
            Err(error) if may_lack && error.code().id == NO_SUCH_VALUE.id => return Ok(None),
            done => done?,
        },
    }
    unlocked.written(formats.output, formats.layout).map(Some)
}

/// Gives the recipients of a file, group by group.
pub fn recipients(metadata: &Metadata) -> Result<Vec<Vec<Recipient>>> {
    metadata
        .groups
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|stanza| {
                    Recipient::read(stanza.kind, |field| stanza.text(field), context(stanza))
                })
                .collect()
        })
        .collect()
}

/// Points an error at a file: names it, and gives its labels the name.
pub fn in_file(error: Error, path: &Path) -> Error {
    let name = path.display().to_string();
    let labels: Vec<Label> = error
        .labels()
        .iter()
        .filter(|label| label.source.name().is_empty())
        .map(|label| {
            Label::new(
                &Source::new(name.clone(), label.source.text()),
                label.span.clone(),
                label.text.clone(),
            )
        })
        .collect();
    let mut error = error;
    if let Some(label) = labels.first() {
        let (line, column) = label.source.position(label.span.start);
        error = error.within(format_args!("{name}:{line}:{column}"));
    } else {
        error = error.within(&name);
    }
    labels.into_iter().fold(error, Error::label)
}

fn names(groups: &[Vec<Recipient>]) -> Vec<String> {
    groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| {
            let several = groups.len() > 1;
            group.iter().map(move |recipient| {
                let name = format!("{} {recipient}", recipient.kind().name());
                if several {
                    format!("group {}: {name}", index + 1)
                } else {
                    name
                }
            })
        })
        .collect()
}

fn fresh_key() -> Result<DataKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemEntropy.fill(bytes.as_mut_slice())?;
    Ok(DataKey::new(*bytes))
}

async fn lock(
    metadata: &mut Metadata,
    groups: &[Vec<Recipient>],
    key: &DataKey,
    keys: &Keys,
) -> Result<()> {
    if groups.is_empty() || groups.iter().any(Vec::is_empty) {
        return Err(Error::new(
            &NO_RECIPIENTS,
            "nobody would be able to read the file: there is no recipient",
        )
        .help(
            "add recipients to the rule in .sops.yaml, or name them with --age, --pgp, --kms, …",
        ));
    }
    let locked = lock_groups(
        keys.ring(),
        groups,
        metadata.threshold,
        key,
        &now(),
        &mut |bytes| SystemEntropy.fill(bytes),
    )
    .await?;
    if groups.len() > 1 && metadata.threshold == 0 {
        metadata.threshold = groups.len();
    }
    metadata.groups = locked
        .iter()
        .map(|group| group.iter().map(stanza).collect())
        .collect();
    Ok(())
}

async fn data_key(metadata: &Metadata, keys: &Keys) -> Result<DataKey> {
    let mut groups = Vec::new();
    for group in &metadata.groups {
        // A stanza of a kind that is not supported must not hide the others of its group.
        let read: Vec<Result<SealedKey>> = group.iter().map(sealed_key).collect();
        if read.iter().all(Result::is_err)
            && let Some(Err(error)) = read.into_iter().next()
        {
            return Err(error);
        }
        groups.push(
            group
                .iter()
                .filter_map(|stanza| sealed_key(stanza).ok())
                .collect(),
        );
    }
    unlock_groups(keys.ring(), &groups, metadata.threshold, keys.order()).await
}

fn sealed_key(stanza: &Stanza) -> Result<SealedKey> {
    SealedKey::read(stanza.kind, |field| stanza.text(field), context(stanza))
}

/// The encryption context of a stanza for AWS KMS.
fn context(stanza: &Stanza) -> indexmap::IndexMap<String, String> {
    match stanza.fields.get("context") {
        Some(Value::Map(pairs)) => pairs
            .pairs()
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    value.as_text().unwrap_or_default().to_owned(),
                )
            })
            .collect(),
        _ => indexmap::IndexMap::new(),
    }
}

fn stanza(key: &SealedKey) -> Stanza {
    let kind = key.recipient.kind().name();
    let mut fields = Branch::default();
    for (name, text) in key.recipient.fields() {
        fields.push(name, Value::Text(text));
    }
    if let Recipient::AwsKms(aws) = &key.recipient
        && !aws.context.is_empty()
    {
        let mut context = Branch::default();
        let mut pairs: Vec<_> = aws.context.iter().collect();
        pairs.sort();
        for (name, text) in pairs {
            context.push(name.clone(), Value::text(text.as_str()));
        }
        fields.push("context", Value::Map(context));
    }
    if !key.created_at.is_empty() {
        fields.push("created_at", Value::text(&key.created_at));
    }
    fields.push("enc", Value::text(&key.enc));
    let kind = crate::cipher::metadata::KINDS
        .iter()
        .find(|known| **known == kind)
        .copied()
        .unwrap_or("age");
    Stanza { kind, fields }
}
