//! Editing an encrypted file: a private copy, the user's editor, and back.
//!
//! The copy lives in memory where the system has such a folder, only its owner may read it, and it is overwritten when
//! it is done with. The text of an edit that failed is kept by `unfinished`; who asks whether to try again is the command's
//! business.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use zeroize::Zeroizing;

use super::keys::{Env, Keys};
use super::{Unlocked, now};
use crate::cipher::document::Opened;
use crate::cipher::format::{self, Format, Layout};
use crate::diag::codes::cipher::{EDIT_FAILED, NO_EDITOR, UNREADABLE_FILE, UNWRITABLE_FILE};
use crate::error::{Error, Result};

/// What a new file starts with, where the format can hold it.
const EXAMPLE: &str = "hello: Welcome! Edit this file as you please!\nexample_key: example_value\n# Example comment\nexample_array:\n    - example_value1\n    - example_value2\nexample_number: 1234.56789\nexample_booleans:\n    - true\n    - false\n";

/// A private copy that is being edited.
pub struct Draft {
    _folder: tempfile::TempDir,
    path: PathBuf,
    before: Zeroizing<Vec<u8>>,
}

impl Drop for Draft {
    fn drop(&mut self) {
        wipe(&self.path);
    }
}

impl Draft {
    /// Lays out a copy under the file's own name: its content, or the text of an edit that was not finished.
    pub fn new(
        file: &Path,
        content: Zeroizing<Vec<u8>>,
        unfinished: Option<&[u8]>,
    ) -> Result<Self> {
        let unwritable = |cause: std::io::Error| {
            Error::new(&UNWRITABLE_FILE, "cannot write the private copy").because(cause)
        };
        let folder = private_folder().map_err(unwritable)?;
        let path = folder
            .path()
            .join(file.file_name().unwrap_or_else(|| "file".as_ref()));
        write_secret(&path, unfinished.unwrap_or(&content)).map_err(unwritable)?;
        Ok(Self {
            _folder: folder,
            path,
            before: content,
        })
    }

    /// Opens the editor and waits for it.
    pub async fn edit(&self, editor: &str) -> Result<()> {
        let status = super::child::wait(opening(editor, &self.path))
            .await
            .map_err(|cause| {
                Error::new(&EDIT_FAILED, format!("the editor `{editor}` cannot be run"))
                    .because(cause)
            })?;
        if !status.success() {
            return Err(Error::new(
                &EDIT_FAILED,
                format!("the editor `{editor}` failed: {status}"),
            ));
        }
        Ok(())
    }

    /// Reads what the editor left; nothing if that is the file's content.
    pub fn changed(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let after = std::fs::read(&self.path)
            .map(Zeroizing::new)
            .map_err(|cause| {
                Error::new(&UNREADABLE_FILE, "cannot read the edited copy").because(cause)
            })?;
        Ok(Some(after).filter(|after| *after != self.before))
    }
}

/// The command that opens a file in the editor, which may bring its own arguments.
fn opening(editor: &str, path: &Path) -> Command {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || " _-./+".contains(sign);
    let mut words = editor.split_whitespace();
    // Words alone need no shell, which would be one process more to start.
    if cfg!(unix)
        && editor.chars().all(is_plain)
        && let Some(program) = words.next()
    {
        let mut command = Command::new(program);
        command.args(words).arg(path);
        return command;
    }
    let quoted = path.display().to_string().replace('\'', "'\\''");
    super::child::shell(&format!("{editor} '{quoted}'"))
}

/// As what a file's content is shown in the editor.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The format of the text.
    pub format: Format,
    /// How it is laid out.
    pub layout: Layout,
    /// Whether the text has the section that says who can read the file.
    pub has_readers: bool,
}

impl View {
    /// The text of an opened file.
    pub fn text(self, unlocked: &Unlocked) -> Result<Zeroizing<Vec<u8>>> {
        let opened = &unlocked.opened;
        let text = if self.has_readers {
            format::write_sealed(self.format, &opened.branches, &opened.metadata, self.layout)
        } else {
            format::write_plain(self.format, &opened.branches, self.layout)
        };
        text.map(Zeroizing::new)
    }

    /// The text that a new file starts with.
    pub fn example(self, begun: &Unlocked) -> Result<Zeroizing<Vec<u8>>> {
        let mut branches = format::read_plain(Format::Yaml, EXAMPLE.as_bytes())?;
        if format::write_plain(self.format, &branches, self.layout).is_err() {
            // The formats without lists all read this line.
            branches = format::read_plain(self.format, b"example_key=example_value\n")?;
        }
        let mut metadata = begun.opened.metadata.clone();
        metadata.last_modified = now();
        let opened = Opened::plain(branches, metadata);
        let key = begun.key.clone();
        self.text(&Unlocked { opened, key })
    }

    /// Seals an edited text with the file's own key; unchanged values keep their ciphertext.
    pub async fn reseal(
        self,
        unlocked: &mut Unlocked,
        text: &[u8],
        keys: &Keys,
    ) -> Result<Vec<u8>> {
        let unreadable = |cause: Error| {
            Error::new(&EDIT_FAILED, "the edited text cannot be read").because(cause)
        };
        if self.has_readers {
            let (branches, mut metadata) =
                format::read_sealed(self.format, text).map_err(unreadable)?;
            let readers = super::recipients(&metadata)?;
            if readers != super::recipients(&unlocked.opened.metadata)? {
                super::lock(&mut metadata, &readers, &unlocked.key, keys).await?;
            }
            unlocked.opened.metadata = metadata;
            unlocked.opened.branches = branches;
        } else {
            let branches = format::read_plain(self.format, text).map_err(unreadable)?;
            format::refuse_metadata(self.format, &branches)?;
            unlocked.opened.branches = branches;
        }
        unlocked.written(self.format, self.layout)
    }
}

/// Chooses the editor: the flag, the variables, then what is there.
pub fn editor(flag: Option<&str>, env: &Env) -> Result<String> {
    if let Some(editor) = flag {
        return Ok(editor.to_owned());
    }
    if let Some(editor) = ["SOPS_EDITOR", "KUBE_EDITOR", "EDITOR", "VISUAL"]
        .into_iter()
        .find_map(|name| env(name))
    {
        return Ok(editor);
    }
    let folders = env("PATH").unwrap_or_default();
    ["vim", "nano", "vi"]
        .into_iter()
        .find(|name| std::env::split_paths(&folders).any(|folder| folder.join(name).is_file()))
        .map(ToOwned::to_owned)
        .ok_or_else(|| {
            Error::new(&NO_EDITOR, "no editor is there")
                .help("set EDITOR, or name one with --editor")
        })
}

/// Makes a folder that only its owner may enter, in memory where that is possible.
pub(super) fn private_folder() -> std::io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("ksail-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    let memory = Path::new("/dev/shm");
    if cfg!(target_os = "linux")
        && memory.is_dir()
        && let Ok(folder) = builder.tempdir_in(memory)
    {
        return Ok(folder);
    }
    builder.tempdir()
}

/// Writes a file that only its owner may read.
pub(super) fn write_secret(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(content)
}

/// Overwrites a file with zeros and removes it.
pub(super) fn wipe(path: &Path) {
    if let Ok(metadata) = std::fs::metadata(path) {
        let length = usize::try_from(metadata.len()).unwrap_or(0);
        // The folder goes away in any case; this is for what the disk may keep.
        let _ = std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(&vec![0; length]));
    }
    let _ = std::fs::remove_file(path);
}
