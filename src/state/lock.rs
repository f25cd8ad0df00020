//! Locks that name their holder: a file, locked by the system and holding the number of the process that locked it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Result, Write as _};
use std::path::Path;

/// What trying to take a lock came to.
pub enum Lock {
    /// It is ours until the file is closed, which the end of the process does as well.
    Taken(File),
    /// It is held by this process.
    HeldBy(String),
}

/// Tries to take a lock; never waits.
pub fn take(path: &Path) -> Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => {
            // The number is for people; the lock holds without it.
            let _ = file.set_len(0);
            let _ = write!(file, "{}", std::process::id());
            Ok(Lock::Taken(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Ok(Lock::HeldBy(holder.trim().to_string()))
        }
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let Lock::Taken(first) = take(&path).unwrap() else {
            panic!("nobody held it");
        };
        let Lock::HeldBy(holder) = take(&path).unwrap() else {
            panic!("it is held");
        };
        assert_eq!(holder, std::process::id().to_string());
        drop(first);
        assert!(matches!(take(&path).unwrap(), Lock::Taken(_)));
    }
}
