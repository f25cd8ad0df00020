//! Following a bucket: everything after a revision, once, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch::{Receiver, Sender};

use super::{Change, Store, TooOld};

/// A place in a bucket's history that moves forward.
pub struct Watch {
    store: Arc<Store>,
    bucket: Arc<str>,
    seen: u64,
    /// The revision of the bucket's last change.
    latest: Arc<AtomicU64>,
    wake: Receiver<u64>,
}

impl Watch {
    pub(super) fn new(
        store: Arc<Store>,
        bucket: Arc<str>,
        seen: u64,
        latest: Arc<AtomicU64>,
        wake: Receiver<u64>,
    ) -> Self {
        Self {
            store,
            bucket,
            seen,
            latest,
            wake,
        }
    }

    /// Waits for the next changes; fails if the window has moved past this watch, which must then list again.
    pub async fn next(&mut self) -> Result<Vec<Change>, TooOld> {
        loop {
            let changes = self.ready()?;
            if !changes.is_empty() {
                return Ok(changes);
            }
            self.wait().await;
        }
    }

    /// Waits until something may have happened since the last look.
    pub async fn wait(&mut self) {
        if self.wake.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The changes that are there already.
    pub fn ready(&mut self) -> Result<Vec<Change>, TooOld> {
        if self.latest.load(Ordering::Acquire) <= self.seen {
            return Ok(Vec::new());
        }
        // Marked as seen before looking, so that what comes between is not slept through.
        self.wake.borrow_and_update();
        let (changes, upto) = self.store.changes(&self.bucket, self.seen)?;
        self.seen = self.seen.max(upto);
        Ok(changes)
    }

    /// The revision up to which everything has been seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

/// Wakes those who sleep until a revision; told after the write, by whoever comes first.
pub(super) fn announce(wake: &Sender<u64>, revision: u64) {
    wake.send_if_modified(|last| {
        let is_news = *last < revision;
        *last = revision.max(*last);
        is_news
    });
}
