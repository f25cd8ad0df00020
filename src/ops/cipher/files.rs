//! Files to work on: reading, finding them in folders, and replacing them whole.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cipher::format::{self, Format};
use crate::diag::codes::cipher::{TOO_LARGE, UNREADABLE_FILE, UNWRITABLE_FILE};
use crate::error::{Error, Result};

/// Folders that hold no files of the user's.
const SKIPPED: [&str; 4] = [".git", "node_modules", ".terraform", "target"];

/// The largest file that is worked on: its tree, its text and its ciphertext are in memory at the same time.
pub const LARGEST: u64 = 256 << 20;

/// How the names of files begin and end that are put in the place of others.
const NEW: (&str, &str) = (".ksail-", ".new");

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |cause: std::io::Error| {
        Error::new(&UNREADABLE_FILE, format!("cannot read {}", path.display())).because(cause)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(too_large(path));
    }
    read_all(file, path, length)
}

/// Reads what a stream gives; `name` is what people call it.
pub fn read_all(stream: impl std::io::Read, name: &Path, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    stream
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| {
            Error::new(&UNREADABLE_FILE, format!("cannot read {}", name.display())).because(cause)
        })?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(name));
    }
    Ok(bytes)
}

fn too_large(name: &Path) -> Error {
    Error::new(
        &TOO_LARGE,
        format!("{} is larger than {} MiB", name.display(), LARGEST >> 20),
    )
    .help("split it, or encrypt it with age itself and only its key here")
}

/// The largest file that a script may open.
const SMALL: u64 = 16 << 20;

/// Reads a file of bounded size, as scripts may.
pub fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(SMALL + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Puts new content in the place of a file: whoever reads it sees the old or the new, and mode and owner stay.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    // A link stays a link: what it points at is replaced.
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    put(&real, content).map_err(|cause| {
        Error::new(&UNWRITABLE_FILE, format!("cannot write {}", path.display())).because(cause)
    })
}

fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(NEW.0)
        .suffix(NEW.1)
        .tempfile_in(folder)?;
    file.write_all(content)?;
    if let Ok(old) = std::fs::metadata(path) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let owner = (
                rustix::fs::Uid::from_raw(old.uid()),
                rustix::fs::Gid::from_raw(old.gid()),
            );
            // Only root may give files away; for others the file is theirs already.
            let _ = rustix::fs::fchown(file.as_file(), Some(owner.0), Some(owner.1));
        }
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|failed| failed.error)
}

/// Writes a new file that only its owner may read.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let unwritable = |cause: std::io::Error| {
        Error::new(&UNWRITABLE_FILE, format!("cannot write {}", path.display())).because(cause)
    };
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    put(path, content).map_err(unwritable)
}

/// Which files of a folder are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those that hold metadata.
    Encrypted,
    /// All.
    All,
}

/// Gives the files that paths name; folders are searched, in order of their names.
pub fn gather(paths: &[PathBuf], wanted: Wanted) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            search(path, wanted, &mut files, 0)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Whether ksail or sops made the file for themselves: rules, unfinished edits, and new content that a killed run left.
fn is_own(name: &str) -> bool {
    name == crate::cipher::rules::FILE
        || name.ends_with(super::unfinished::ENDING)
        || (name.starts_with(NEW.0) && name.ends_with(NEW.1))
}

fn search(folder: &Path, wanted: Wanted, files: &mut Vec<PathBuf>, depth: usize) -> Result<()> {
    let unreadable = |cause: std::io::Error| {
        Error::new(
            &UNREADABLE_FILE,
            format!("cannot read the folder {}", folder.display()),
        )
        .because(cause)
    };
    if depth > 64 {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(unreadable)?;
        let name = entry.file_name();
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                search(&path, wanted, files, depth + 1)?;
            }
        } else if kind.is_file()
            && !is_own(&name.to_string_lossy())
            && (wanted == Wanted::All || looks_encrypted(&path))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file holds metadata; files that cannot be read in their format do not.
pub fn looks_encrypted(path: &Path) -> bool {
    let Ok(bytes) = read(path) else {
        return false;
    };
    is_encrypted(&path.to_string_lossy(), &bytes)
}

/// Whether the content of a file holds metadata.
pub fn is_encrypted(path: &str, bytes: &[u8]) -> bool {
    // Reading the whole tree is worth it only where the word stands at all.
    if !bytes.windows(4).any(|word| word == b"sops") {
        return false;
    }
    let format = match Format::of_path(path) {
        Format::Binary => Format::Json,
        format => format,
    };
    format::read_plain(format, bytes).is_ok_and(|branches| format::has_metadata(format, &branches))
}

#[cfg(test)]
mod tests {
    use super::{Wanted, gather, is_encrypted, replace};

    #[cfg(unix)]
    #[test]
    fn replacing_keeps_the_mode_and_follows_links() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let link = folder.path().join("b.yaml");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(link.is_symlink());
        assert_eq!(
            gather(&[folder.path().to_owned()], Wanted::All)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn knows_encrypted_files_by_their_metadata() {
        assert!(is_encrypted("a.yaml", b"a: b\nsops:\n    mac: x\n"));
        assert!(is_encrypted("a.env", b"A=b\nsops_mac=x\n"));
        assert!(!is_encrypted("a.yaml", b"a: sops\n"));
    }
}
