//! The log on disk: a snapshot, then every write since, each with a checksum.
//!
//! A write is in the file (`write(2)`) before it is acknowledged, so it outlives the process, however that ends. It is not
//! forced to the disk (`fsync`): a machine that loses power may lose the last writes, of which the log then ends early, at
//! a whole record. When the log has grown far beyond what is alive, a new file is written beside it, forced to the disk and
//! renamed over it; there is one file at any time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::codec::{self, Next, Record, Replayed};
use crate::diag::codes::embedded::{BROKEN_LOG, LOG_UNWRITABLE};
use crate::error::{Error, Result};

/// What the log is called in its folder.
pub const FILE: &str = "writes.log";
const FRESH: &str = "writes.log.new";
const MAGIC: &[u8; 16] = b"ksail embedded 1";
/// Below this size a log is never worth compacting.
const SMALL: u64 = 32 << 20;

/// The open log.
pub struct Log {
    file: File,
    path: PathBuf,
    length: u64,
    /// How long it was after the last snapshot.
    base: u64,
    buffer: Vec<u8>,
}

/// A log that was read back.
pub struct Recovered {
    /// The log, ready for more.
    pub log: Log,
    /// What was dropped, if anything.
    pub note: Option<String>,
}

impl Log {
    /// Opens a folder's log, making it if there is none, and shows every record.
    pub(super) fn open(folder: &Path, mut show: impl FnMut(Replayed)) -> Result<Recovered> {
        let path = folder.join(FILE);
        let fail = |cause: std::io::Error| unwritable(&path, cause);
        std::fs::create_dir_all(folder).map_err(fail)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            file.set_len(0).map_err(fail)?;
            file.rewind().map_err(fail)?;
            let mut head = MAGIC.to_vec();
            codec::encode_floor(1, &mut head);
            file.write_all(&head).map_err(fail)?;
            bytes = head;
        }
        let (whole, note) = replay(&path, &bytes, &mut show)?;
        if note.is_some() {
            file.set_len(whole.end).map_err(fail)?;
        }
        file.seek(SeekFrom::Start(whole.end)).map_err(fail)?;
        let log = Self {
            file,
            path,
            length: whole.end,
            base: whole.base,
            buffer: Vec::new(),
        };
        Ok(Recovered { log, note })
    }

    /// Writes one record; it is in the file when this returns.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        self.buffer.clear();
        record.encode(&mut self.buffer);
        if let Err(cause) = self.file.write_all(&self.buffer) {
            // What was half written is taken back, so that the next write finds a whole log.
            let taken_back = self
                .file
                .set_len(self.length)
                .and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            let error = unwritable(&self.path, cause);
            return Err(match taken_back {
                Ok(_) => error,
                Err(also) => error.also([unwritable(&self.path, also)]),
            });
        }
        self.length += self.buffer.len() as u64;
        Ok(())
    }

    /// Whether most of the log is history.
    pub(super) fn is_overgrown(&self) -> bool {
        self.length > SMALL && self.length > self.base.saturating_mul(4)
    }

    /// Replaces the log by a snapshot.
    pub(super) fn compact(
        &mut self,
        revision: u64,
        records: impl Iterator<Item = Record>,
    ) -> Result<()> {
        let fresh = self.path.with_file_name(FRESH);
        let fail = |cause: std::io::Error| unwritable(&fresh, cause);
        let (file, length) = write_snapshot(&fresh, revision, records).map_err(fail)?;
        std::fs::rename(&fresh, &self.path).map_err(fail)?;
        self.file = file;
        self.length = length;
        self.base = length;
        Ok(())
    }

    /// Shows every record of a log, which stays as it is.
    pub(super) fn read(path: &Path, mut show: impl FnMut(Replayed)) -> Result<()> {
        let bytes =
            std::fs::read(path).map_err(|cause| broken(path, "cannot be read").because(cause))?;
        replay(path, &bytes, &mut show)?;
        Ok(())
    }

    /// Writes a snapshot to a file that is not there yet.
    pub(super) fn write_fresh(
        path: &Path,
        revision: u64,
        records: impl Iterator<Item = Record>,
    ) -> Result<()> {
        let fail = |cause: std::io::Error| unwritable(path, cause);
        if path.exists() {
            let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
            return Err(fail(taken));
        }
        // Written beside it and moved, so that a file that is there is whole.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        write_snapshot(&fresh, revision, records).map_err(fail)?;
        std::fs::rename(&fresh, path).map_err(fail)
    }
}

fn write_snapshot(
    path: &Path,
    revision: u64,
    records: impl Iterator<Item = Record>,
) -> std::io::Result<(File, u64)> {
    // Objects may be secrets.
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
    let mut length = MAGIC.len() as u64;
    out.write_all(MAGIC)?;
    let mut buffer = Vec::new();
    for record in records {
        buffer.clear();
        record.encode(&mut buffer);
        length += buffer.len() as u64;
        out.write_all(&buffer)?;
    }
    buffer.clear();
    codec::encode_floor(revision, &mut buffer);
    length += buffer.len() as u64;
    out.write_all(&buffer)?;
    let file = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    file.sync_data()?;
    Ok((file, length))
}

struct Whole {
    end: u64,
    base: u64,
}

fn replay(
    path: &Path,
    bytes: &[u8],
    show: &mut impl FnMut(Replayed),
) -> Result<(Whole, Option<String>)> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Err(broken(
            path,
            "does not begin as a write log of this version",
        ));
    };
    let mut at = MAGIC.len();
    let mut base = None;
    let mut records = 0_u64;
    let mut note = None;
    loop {
        match codec::next(rest) {
            Next::End => break,
            Next::Torn => {
                note = Some(format!(
                    "dropped {} bytes of a write that was cut off at the end of {}",
                    rest.len(),
                    path.display()
                ));
                break;
            }
            Next::Broken => {
                return Err(broken(path, &format!("is damaged at byte {at}")));
            }
            Next::Whole(payload, length) => {
                let Some(record) = codec::decode(payload, base.is_none()) else {
                    return Err(broken(path, &format!("makes no sense at byte {at}")));
                };
                at += length;
                records += 1;
                if matches!(record, Replayed::Floor(_)) {
                    base = Some(at as u64);
                }
                show(record);
                rest = rest.get(length..).unwrap_or_default();
            }
        }
    }
    // The snapshot part is written to a side file and renamed, so it is never cut off by a crash.
    let Some(base) = base else {
        return Err(broken(
            path,
            &format!("ends inside its snapshot, after {records} records"),
        ));
    };
    let end = at as u64;
    Ok((Whole { end, base }, note))
}

fn broken(path: &Path, what: &str) -> Error {
    Error::new(&BROKEN_LOG, format!("{} {what}", path.display()))
        .help("restore the folder from a snapshot, or delete the cluster and create it again")
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::new(&LOG_UNWRITABLE, format!("cannot write {}", path.display())).because(cause)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::FILE;
    use crate::embedded::store::{Expect, Store};

    fn filled(folder: &Path) {
        let (store, note) = Store::open(folder).unwrap();
        assert_eq!(note, None);
        for name in ["a", "b", "c"] {
            let value = json!({"metadata": {"name": name}});
            store
                .put("pods", &format!("x/{name}"), Expect::Absent, value)
                .unwrap();
        }
        let b = store.get("pods", "x/b").unwrap();
        store
            .delete("pods", "x/b", b.revision(), json!({}))
            .unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let (store, _) = Store::open(folder).unwrap();
        let listing = store.list("pods", "");
        listing
            .objects
            .iter()
            .map(|o| o.name().to_owned())
            .collect()
    }

    #[test]
    fn a_reopened_store_has_everything() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        assert_eq!(names(folder.path()), ["a", "c"]);
        let (store, _) = Store::open(folder.path()).unwrap();
        assert_eq!(store.revision(), 5);
    }

    #[test]
    fn a_torn_end_is_dropped_with_a_note() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let path = folder.path().join(FILE);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let (store, note) = Store::open(folder.path()).unwrap();
        assert!(note.unwrap().contains("cut off"));
        assert_eq!(store.list("pods", "").objects.len(), 3);
        drop(store);
        assert_eq!(Store::open(folder.path()).unwrap().1, None);
    }

    #[test]
    fn a_broken_middle_is_named_and_left() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path());
        let path = folder.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        let error = Store::open(folder.path()).err().unwrap();
        assert_eq!(error.code().id, "E0705");
        assert!(error.message().contains(FILE));
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_snapshot_opens_elsewhere() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        filled(one.path());
        let (store, _) = Store::open(one.path()).unwrap();
        store.save(&two.path().join(FILE)).unwrap();
        assert_eq!(names(two.path()), ["a", "c"]);
    }
}
