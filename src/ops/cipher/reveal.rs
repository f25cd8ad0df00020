//! Decrypted files as values for scripts: what was encrypted becomes a secret, what was plain stays plain.

use super::keys::Keys;
use super::{data_key, recipients};
use crate::cipher::document::{Mac, Sealed};
use crate::cipher::format::Format;
use crate::cipher::seal::is_sealed;
use crate::cipher::tree::{Branch, Value};
use crate::error::Result;
use crate::secret::Secret;
use crate::spec::{Options, Tree};

/// Opens a file; gives its documents.
pub async fn reveal(bytes: &[u8], format: Format, keys: &Keys) -> Result<Vec<Tree>> {
    let sealed = Sealed::read(format, bytes)?;
    let key = data_key(&sealed.metadata, keys).await?;
    let stored = sealed.branches.clone();
    let opened = sealed.open(key.expose(), Mac::Check)?;
    Ok(stored
        .iter()
        .zip(&opened.branches)
        .map(|(stored, plain)| Tree::Map(map(stored, plain)))
        .collect())
}

/// One recipient of a file, as scripts see it.
pub fn readers(bytes: &[u8], format: Format) -> Result<Vec<Tree>> {
    let sealed = Sealed::read(format, bytes)?;
    let mut readers = Vec::new();
    for (group, members) in recipients(&sealed.metadata)?.iter().enumerate() {
        readers.extend(members.iter().map(|recipient| {
            let number = i64::try_from(group + 1).unwrap_or(i64::MAX);
            Tree::Map(Options::from([
                ("group".into(), Tree::Int(number)),
                ("kind".into(), Tree::Text(recipient.kind().name().into())),
                ("recipient".into(), Tree::Text(recipient.to_string())),
            ]))
        }));
    }
    Ok(readers)
}

fn map(stored: &Branch, plain: &Branch) -> Options {
    stored
        .pairs()
        .zip(plain.pairs())
        .map(|((_, stored), (key, plain))| (key.to_owned(), tree(stored, plain)))
        .collect()
}

fn tree(stored: &Value, plain: &Value) -> Tree {
    let is_secret = stored.as_text().is_some_and(is_sealed);
    let text = |text: String| {
        if is_secret {
            Tree::Secret(Secret::new(text))
        } else {
            Tree::Text(text)
        }
    };
    match (stored, plain) {
        (Value::Map(stored), Value::Map(plain)) => Tree::Map(map(stored, plain)),
        (Value::List(stored), Value::List(plain)) => Tree::List(
            stored
                .iter()
                .zip(plain)
                .filter(|(_, plain)| !matches!(plain, Value::Comment(_)))
                .map(|(stored, plain)| tree(stored, plain))
                .collect(),
        ),
        (_, Value::Bool(answer)) if !is_secret => Tree::Bool(*answer),
        (_, Value::Int(number)) if !is_secret => Tree::Int(*number),
        (_, Value::Float(number)) if !is_secret => Tree::Float(*number),
        (_, Value::Bool(answer)) => text(answer.to_string()),
        (_, Value::Int(number)) => text(number.to_string()),
        (_, Value::Float(number)) => text(number.to_string()),
        (_, Value::Text(inner) | Value::Time(inner)) => text(inner.clone()),
        (_, Value::Bytes(bytes)) => text(String::from_utf8_lossy(bytes).into_owned()),
        // Nothing, and shapes that decrypting cannot have changed.
        _ => Tree::Null,
    }
}
