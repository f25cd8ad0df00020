//! Changes of one file that wait at the same time are written together.
//!
//! Each write parses and replaces the whole file. A hundred clusters that are removed side by side would do so a hundred
//! times, one after another; so whoever gets the turn carries out all that waits.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::file::edit;
use crate::diag::codes::state::KUBECONFIG_UNWRITABLE;
use crate::error::{Error, Result};
use crate::kubeconfig::Kubeconfig;

/// A change of a file; says whether there is anything to write. It may be asked twice.
type Change = Box<dyn Fn(&mut Kubeconfig) -> bool + Send>;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Together {
    waiting: Mutex<Vec<Wish>>,
    turn: Mutex<()>,
}

struct Wish {
    path: PathBuf,
    change: Change,
    answer: Sender<Result<()>>,
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Together")
    }
}

impl Together {
    /// Changes a file, with whatever else waits for it; returns when the change is on disk.
    pub(super) fn edit(&self, path: &Path, change: Change) -> Result<()> {
        let (answer, told): (_, Receiver<Result<()>>) = channel();
        let wish = Wish {
            path: path.to_path_buf(),
            change,
            answer,
        };
        lock(&self.waiting).push(wish);
        let _turn = lock(&self.turn);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        for group in by_path(waiting) {
            write(group);
        }
        // Whoever took the wish has answered before giving up the turn.
        told.try_recv().unwrap_or_else(|_| {
            let message = format!("the work on {} was cut off", path.display());
            Err(Error::new(&KUBECONFIG_UNWRITABLE, message))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn by_path(wishes: Vec<Wish>) -> Vec<Vec<Wish>> {
    let mut groups: Vec<Vec<Wish>> = Vec::new();
    for wish in wishes {
        let same = groups
            .iter_mut()
            .find(|group| group.first().is_some_and(|first| first.path == wish.path));
        match same {
            Some(group) => group.push(wish),
            None => groups.push(vec![wish]),
        }
    }
    groups
}

/// Writes a group at once; if that fails, each on its own, so that everyone gets their own answer.
fn write(group: Vec<Wish>) {
    if let [first, _, ..] = group.as_slice() {
        let whole = edit(&first.path, |config| {
            let mut changed = false;
            for wish in &group {
                changed |= (wish.change)(config);
            }
            changed
        });
        if whole.is_ok() {
            for wish in group {
                let _ = wish.answer.send(Ok(()));
            }
            return;
        }
    }
    for wish in group {
        let _ = wish
            .answer
            .send(edit(&wish.path, |config| (wish.change)(config)));
    }
}
