//! The file that audit events go to, within bounds: a full one is put aside, and the oldest is dropped.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::diag::codes::embedded::LOG_UNWRITABLE;
use crate::error::{Error, Result};

/// How large a file grows.
const LARGEST: u64 = 16 << 20;
/// How many full ones are kept beside it: `audit.log.1` is the newest.
const KEPT: u32 = 3;

/// A file of lines.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    largest: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::with(path, LARGEST)
    }

    fn with(path: &Path, largest: u64) -> Result<Self> {
        let open = open(path).map_err(|cause| {
            let message = format!("cannot write {}", path.display());
            Error::new(&LOG_UNWRITABLE, message).because(cause)
        })?;
        Ok(Self {
            path: path.to_owned(),
            largest,
            open: Mutex::new(open),
        })
    }

    /// Writes a line; one that cannot be written stops nothing, as requests count more than notes of them.
    pub(super) fn write(&self, line: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.length >= self.largest {
            self.turn_over(&mut open);
        }
        let text = format!("{line}\n");
        if open.file.write_all(text.as_bytes()).is_ok() {
            open.length += text.len() as u64;
        }
    }

    fn turn_over(&self, current: &mut Open) {
        let aside = |number: u32| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..KEPT).rev() {
            let _ = std::fs::rename(aside(number), aside(number + 1));
        }
        let _ = std::fs::rename(&self.path, aside(1));
        if let Ok(fresh) = open(&self.path) {
            *current = fresh;
        }
    }
}

fn open(path: &Path) -> std::io::Result<Open> {
    // Requests may hold secrets.
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let length = file.metadata()?.len();
    Ok(Open { file, length })
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn full_files_are_put_aside_and_the_oldest_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let lines = Lines::with(&path, 1).unwrap();
        for number in 0..6 {
            lines.write(&number.to_string());
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("audit.log").unwrap(), "5\n");
        assert_eq!(read("audit.log.1").unwrap(), "4\n");
        assert_eq!(read("audit.log.3").unwrap(), "2\n");
        assert_eq!(read("audit.log.4"), None);
    }
}
