//! One kubeconfig file: read once as long as it stays the same, changed under locks, written whole.
//!
//! Two locks exclude others: an OS lock on a file of ksail's own, which no crash leaves behind, and the `.lock` file that
//! kubectl and other Go clients make. A `.lock` that a killed ksail left is known by its content and removed.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::diag::codes::state::{BROKEN_KUBECONFIG, KUBECONFIG_LOCKED, KUBECONFIG_UNWRITABLE};
use crate::error::{Error, Result};
use crate::kubeconfig::Kubeconfig;

/// How long another program may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the other program's lock is looked at: there is nothing to be woken by.
const LOOK: Duration = Duration::from_millis(10);
/// What ksail writes into its `.lock` files.
const MARK: &str = "ksail";

/// What tells one state of a file from another: every writer replaces the file or changes its time.
type Identity = (u64, u64, i64, i64, u64);

/// The files that were read last; a look at a hundred clusters reads the kubeconfig once.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Vec<(PathBuf, Identity, Arc<Kubeconfig>)>>);

impl Seen {
    /// Reads a file, if it is there.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Arc<Kubeconfig>>> {
        let Some(identity) = std::fs::metadata(path).ok().as_ref().map(identity) else {
            return Ok(read(path)?.map(Arc::new));
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, config)) = seen
            .iter()
            .find(|(known, then, _)| known == path && *then == identity)
        {
            return Ok(Some(config.clone()));
        }
        let config = read(path)?.map(Arc::new);
        seen.retain(|(known, ..)| known != path);
        if let Some(config) = &config {
            seen.push((path.to_path_buf(), identity, config.clone()));
        }
        Ok(config)
    }
}

fn identity(meta: &Metadata) -> Identity {
    (
        meta.dev(),
        meta.ino(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.size(),
    )
}

fn read(path: &Path) -> Result<Option<Kubeconfig>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Kubeconfig::parse(&text)
            .map(Some)
            .map_err(|error| error.within(path.display())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::new(
            &BROKEN_KUBECONFIG,
            format!("{} cannot be read", path.display()),
        )
        .because(cause)),
    }
}

/// Reads, changes and writes a file under both locks; a change that says `false` writes nothing.
pub(super) fn edit(path: &Path, change: impl FnOnce(&mut Kubeconfig) -> bool) -> Result<()> {
    let fail = |cause: std::io::Error| {
        Error::new(
            &KUBECONFIG_UNWRITABLE,
            format!("{} cannot be written", path.display()),
        )
        .because(cause)
        .help("check the folder's owner, its mode and the free space")
    };
    // A link stays a link: what it points at is written.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = real
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
        .to_path_buf();
    std::fs::create_dir_all(&folder).map_err(fail)?;
    let name = real
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let own = folder.join(format!(".{name}.ksail"));
    let mut held = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&own)
        .map_err(fail)?;
    held.lock().map_err(fail)?;
    held.write_all(MARK.as_bytes()).map_err(fail)?;
    let _shared = Shared::take(&own, &folder.join(format!("{name}.lock")))?;
    let mut config = read(&real)?.map_or_else(|| Kubeconfig::parse(""), Ok)?;
    if !change(&mut config) {
        return Ok(());
    }
    let mode = std::fs::metadata(&real).map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&folder)
        .map_err(fail)?;
    file.write_all(config.text().as_bytes()).map_err(fail)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(mode))
        .map_err(fail)?;
    file.persist(&real).map_err(|failed| fail(failed.error))?;
    Ok(())
}

/// The `.lock` file that Go clients respect; removed when dropped.
struct Shared(PathBuf);

impl Shared {
    /// Makes the file, waiting a while for whoever has made it before.
    fn take(own: &Path, path: &Path) -> Result<Self> {
        let began = Instant::now();
        loop {
            match make(own, path) {
                Ok(()) => return Ok(Self(path.to_path_buf())),
                Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
                    // Ours are only ever made under the OS lock, which is held here: such a file was left by a kill.
                    if std::fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK)) {
                        let _ = std::fs::remove_file(path);
                        continue;
                    }
                    if began.elapsed() > PATIENCE {
                        return Err(Error::new(&KUBECONFIG_LOCKED, format!("{} stays", path.display()))
                            .help("make sure that no other program writes the kubeconfig, then remove the file"));
                    }
                    std::thread::sleep(LOOK);
                }
                Err(cause) => {
                    let message = format!("{} cannot be made", path.display());
                    return Err(Error::new(&KUBECONFIG_UNWRITABLE, message).because(cause));
                }
            }
        }
    }
}

/// Makes a file that is not there yet, with our mark in it from its first moment: a kill must not leave one that nobody
/// knows whose it is. So it is another name of our own file, except on file systems without such names.
fn make(own: &Path, path: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(own, path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::AlreadyExists => {
            File::create_new(path)?.write_all(MARK.as_bytes())
        }
        done => done,
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
