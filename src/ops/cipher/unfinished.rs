//! The text of an edit that could not be saved: kept beside the file, encrypted for the same readers, until the next edit.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::keys::Keys;
use super::{Formats, SystemEntropy, Unlocked, files, in_file, now};
use crate::cipher::document::{Mac, Opened};
use crate::cipher::format::{self, Format, Layout};
use crate::cipher::metadata::Metadata;
use crate::diag::codes::cipher::UNWRITABLE_FILE;
use crate::error::{Error, Result};

/// What the names of such files end with.
pub const ENDING: &str = ".unfinished-edit";

/// Where the text of a file's edit is kept.
pub fn place(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ENDING);
    path.into()
}

/// Keeps a text; gives the place.
pub fn keep(file: &Path, unlocked: &Unlocked, text: &[u8]) -> Result<PathBuf> {
    let own = &unlocked.opened.metadata;
    let metadata = Metadata {
        groups: own.groups.clone(),
        threshold: own.threshold,
        ..Metadata::default()
    };
    let opened = Opened::plain(format::read_plain(Format::Binary, text)?, metadata);
    let sealed = opened.seal(unlocked.key.expose(), &now(), &mut SystemEntropy)?;
    let path = place(file);
    files::write_private(&path, &sealed.write(Format::Binary, Layout::default())?)?;
    Ok(path)
}

/// Gives the text that was kept.
pub async fn kept(file: &Path, keys: &Keys) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let path = place(file);
    if !path.is_file() {
        return Ok(None);
    }
    let binary = Some(Format::Binary);
    let formats = Formats::choose("", binary, binary, Layout::default());
    super::decrypt(&files::read(&path)?, formats, Mac::Check, None, keys)
        .await
        .map(Some)
        .map_err(|error| {
            in_file(error, &path).help("remove it to start over from the file as it is")
        })
}

/// Forgets the text: it was saved, or taken back.
pub fn forget(file: &Path) -> Result<()> {
    let path = place(file);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::new(
            &UNWRITABLE_FILE,
            format!("cannot remove {}", path.display()),
        )
        .because(cause)),
        _ => Ok(()),
    }
}
