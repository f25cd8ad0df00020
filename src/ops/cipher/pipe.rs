//! A named pipe that gives its content to whoever opens it, so that it is never in a file.
//!
//! Who reads it is the business of `child`.

use std::fs::OpenOptions;
use std::io::{Result, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, mkfifoat};
use zeroize::Zeroizing;

use super::child::User;

/// A pipe that is served until this is dropped.
pub(super) struct Pipe {
    path: PathBuf,
    is_done: Arc<AtomicBool>,
}

impl Pipe {
    /// Makes the pipe, for the user that is named or for this one, and serves it.
    pub(super) fn open(path: &Path, content: &[u8], user: Option<User>) -> Result<Self> {
        make(path, user)?;
        let pipe = Self {
            path: path.to_owned(),
            is_done: Arc::default(),
        };
        let (path, is_done) = (pipe.path.clone(), pipe.is_done.clone());
        let content = Zeroizing::new(content.to_vec());
        std::thread::Builder::new().spawn(move || {
            // The command sees that nothing comes; why is of no use to it.
            let _ = serve(&path, &content, user, &is_done);
        })?;
        Ok(pipe)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.is_done.store(true, Ordering::SeqCst);
        // The server waits for a reader: this one wakes it.
        let _ = rustix::fs::open(
            &self.path,
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
            Mode::empty(),
        );
    }
}

fn make(path: &Path, user: Option<User>) -> Result<()> {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
    user.map_or(Ok(()), |user| user.give(path))
}

/// Gives the content to one reader after the other, each through a pipe of its own: on a shared one, a reader that has not
/// seen the end yet would get the content again.
fn serve(path: &Path, content: &[u8], user: Option<User>, is_done: &AtomicBool) -> Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    while !is_done.load(Ordering::SeqCst) {
        let mut writer = OpenOptions::new().write(true).open(path)?;
        if is_done.load(Ordering::SeqCst) {
            break;
        }
        make(next.as_ref(), user)?;
        std::fs::rename(&next, path)?;
        // A reader may go away before the end.
        let _ = writer.write_all(content);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Pipe;

    #[test]
    fn every_reader_gets_the_content_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let content = vec![b'x'; 200_000];
        let pipe = Pipe::open(&path, &content, None).unwrap();
        for _ in 0..3 {
            assert!(std::fs::read(&path).unwrap() == content);
        }
        drop(pipe);
    }
}
