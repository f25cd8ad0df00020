//! Who serves a folder: whoever holds its lock, which has the number of the process in it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use super::{Home, broken};
use crate::diag::codes::embedded::ALREADY_RUNNING;
use crate::error::{Error, Result};

/// How often a lock is tried for that nobody holds to serve.
const LOOKS: u32 = 1000;

/// The right to serve a folder; given up when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Home {
    /// Takes the right to serve the folder.
    pub fn lock(&self, pid: i32) -> Result<Lock> {
        let path = self.folder.join("lock");
        let fail = |cause: std::io::Error| broken(&path, "cannot be locked").because(cause);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) => {
                    let holder = self.holder();
                    if holder.is_none() && looks < LOOKS {
                        // Whoever only looks who has the lock has it for a moment.
                        looks += 1;
                        std::thread::yield_now();
                        continue;
                    }
                    let holder =
                        holder.map_or_else(String::new, |pid| format!(" as process {pid}"));
                    let message = format!("the cluster {} runs already{holder}", self.config.name);
                    return Err(Error::new(&ALREADY_RUNNING, message));
                }
                Err(fs::TryLockError::Error(cause)) => return Err(fail(cause)),
            }
        }
        file.set_len(0).map_err(fail)?;
        write!(file, "{pid}").map_err(fail)?;
        Ok(Lock { _file: file })
    }

    /// The process that serves the folder now, if one does.
    pub fn holder(&self) -> Option<i32> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.folder.join("lock"))
            .ok()?;
        match file.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text).ok()?;
                text.trim().parse().ok()
            }
            _ => None,
        }
    }

    /// Waits until nobody serves the folder.
    pub(in crate::embedded) fn wait_unlocked(&self) -> std::io::Result<()> {
        match OpenOptions::new().read(true).open(self.folder.join("lock")) {
            Ok(file) => file.lock_shared(),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::identity;
    use crate::embedded::home::Home;

    #[test]
    fn only_one_process_serves_a_home() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::create(&folder.path().join("dev"), &identity()).unwrap();
        assert_eq!(home.holder(), None);
        let lock = home.lock(4711).unwrap();
        let error = home.lock(1).err().unwrap();
        assert!(error.message().ends_with("process 4711"), "{error}");
        assert_eq!(home.holder(), Some(4711));
        drop(lock);
        assert_eq!(home.holder(), None);
    }
}
