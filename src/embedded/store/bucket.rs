//! All objects of one kind, and the window of what happened to them lately.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch::{Receiver, Sender};

use super::{Object, TooOld};

/// How many changes a bucket remembers.
const WINDOW: usize = 8192;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came.
    Added,
    /// It was written.
    Modified,
    /// It went.
    Deleted,
}

/// One change of one object.
#[derive(Clone)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The object after it; for a deletion, how it looked in the end.
    pub object: Arc<Object>,
    /// The object before it.
    pub before: Option<Arc<Object>>,
}

pub(super) struct Bucket {
    /// Shared with forks until one of them writes.
    objects: Arc<BTreeMap<Box<str>, Arc<Object>>>,
    window: VecDeque<Change>,
    /// Changes up to and including this revision are forgotten.
    forgotten: u64,
    /// The revision of the last change: whoever has seen it need not look.
    latest: Arc<AtomicU64>,
    wake: Sender<u64>,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            objects: Arc::default(),
            window: VecDeque::new(),
            forgotten: 0,
            latest: Arc::default(),
            wake: Sender::new(0),
        }
    }
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn list(&self, prefix: &str) -> Vec<Arc<Object>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.objects
            .range::<str, _>(from)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    pub(super) fn list_at(&self, prefix: &str, revision: u64) -> Result<Vec<Arc<Object>>, TooOld> {
        if revision < self.forgotten {
            return Err(TooOld {
                oldest: self.forgotten,
            });
        }
        let mut then: BTreeMap<Box<str>, Arc<Object>> = self
            .list(prefix)
            .into_iter()
            .map(|object| (object.key().into(), object))
            .collect();
        let later = self
            .window
            .iter()
            .rev()
            .take_while(|change| change.object.revision() > revision)
            .filter(|change| change.object.key().starts_with(prefix));
        for change in later {
            match &change.before {
                Some(before) => then.insert(before.key().into(), Arc::clone(before)),
                None => then.remove(change.object.key()),
            };
        }
        Ok(then.into_values().collect())
    }

    pub(super) fn insert(&mut self, object: Arc<Object>) {
        let before =
            Arc::make_mut(&mut self.objects).insert(object.key().into(), Arc::clone(&object));
        let kind = match before {
            Some(_) => ChangeKind::Modified,
            None => ChangeKind::Added,
        };
        self.remember(Change {
            kind,
            object,
            before,
        });
    }

    pub(super) fn remove(&mut self, object: Arc<Object>) {
        let before = Arc::make_mut(&mut self.objects).remove(object.key());
        self.remember(Change {
            kind: ChangeKind::Deleted,
            object,
            before,
        });
    }

    /// Puts back an object from a snapshot: nothing happened, so no watch hears of it.
    pub(super) fn restore(&mut self, object: Arc<Object>) {
        Arc::make_mut(&mut self.objects).insert(object.key().into(), object);
    }

    pub(super) fn floor(&mut self, revision: u64) {
        self.forgotten = self.forgotten.max(revision);
    }

    /// Forgets the changes up to a revision.
    pub(super) fn forget(&mut self, revision: u64) {
        while let Some(oldest) = self.window.front()
            && oldest.object.revision() <= revision
        {
            self.forgotten = oldest.object.revision();
            self.window.pop_front();
        }
        if self.window.capacity() > 64 && self.window.len() < self.window.capacity() / 4 {
            self.window.shrink_to_fit();
        }
    }

    fn remember(&mut self, change: Change) {
        let revision = change.object.revision();
        if self.window.len() >= WINDOW
            && let Some(oldest) = self.window.pop_front()
        {
            self.forgotten = oldest.object.revision();
        }
        self.window.push_back(change);
        self.latest.store(revision, Ordering::Release);
    }

    /// What wakes those who sleep until something happens here.
    pub(super) fn wake(&self) -> &Sender<u64> {
        &self.wake
    }

    pub(super) fn latest(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.latest)
    }

    pub(super) fn oldest(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn subscribe(&self) -> Receiver<u64> {
        self.wake.subscribe()
    }

    pub(super) fn changes(&self, after: u64) -> Result<Vec<Change>, TooOld> {
        if after < self.forgotten {
            return Err(TooOld {
                oldest: self.forgotten,
            });
        }
        // Mostly asked of buckets in which nothing has happened.
        if self
            .window
            .back()
            .is_none_or(|last| last.object.revision() <= after)
        {
            return Ok(Vec::new());
        }
        let first = self
            .window
            .partition_point(|change| change.object.revision() <= after);
        Ok(self.window.range(first..).cloned().collect())
    }

    pub(super) fn fork(&self) -> Self {
        Self {
            objects: Arc::clone(&self.objects),
            window: self.window.clone(),
            forgotten: self.forgotten,
            latest: Arc::new(AtomicU64::new(self.latest.load(Ordering::Acquire))),
            wake: Sender::new(0),
        }
    }
}
