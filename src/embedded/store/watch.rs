//! Following a bucket: everything after a revision, once, in order.

use std::sync::Arc;

use tokio::sync::watch::Receiver;

use super::{Change, Store, TooOld};

/// A place in a bucket's history that moves forward.
pub struct Watch {
    store: Arc<Store>,
    bucket: Arc<str>,
    seen: u64,
    wake: Receiver<u64>,
    /// Whether it has looked at all; what came before it began wakes nobody.
    looked: bool,
}

impl Watch {
    pub(super) fn new(store: Arc<Store>, bucket: Arc<str>, seen: u64, wake: Receiver<u64>) -> Self {
        Self {
            store,
            bucket,
            seen,
            wake,
            looked: false,
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

    /// Waits until something has happened since the last look.
    pub async fn wait(&mut self) {
        if self.wake.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        // Having been woken counts as having been told, so the next look must not ask again whether there is news.
        self.looked = false;
    }

    /// The changes that are there already.
    pub fn ready(&mut self) -> Result<Vec<Change>, TooOld> {
        if self.looked && !self.wake.has_changed().unwrap_or(true) {
            return Ok(Vec::new());
        }
        self.looked = true;
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
