//! What the control plane remembers: objects by kind and key, one revision counter, one window of changes.
//!
//! A [`Store`] knows neither kinds nor HTTP: a bucket is named by whoever uses it (`pods`, `deployments.apps`), a key is
//! `namespace/name`, an object is JSON. Every write takes the next revision, goes to the [`Log`] before it counts, and is
//! seen by every watch through the bucket's window. Listing at an older revision is undoing the window.
//!
//! Kinds, defaulting, validation and who may do what live in `embedded::write` and `embedded::access`.

mod bucket;
mod codec;
mod inner;
mod log;
mod object;
mod watch;

pub use bucket::{Change, ChangeKind};
pub use log::{FILE as LOG_FILE, Log, Recovered};
use object::Draft;
pub use object::{Object, Owner};
pub use watch::Watch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;

use bucket::Bucket;
use codec::Record;
use inner::Inner;

use crate::error::{Error, Result};

/// What happened in a bucket.
pub type Happening = (Arc<str>, Vec<Change>);

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no object at the key.
    Absent,
    /// The object at the key has this revision.
    Revision(u64),
}

/// Why a write did not happen.
#[derive(Debug)]
pub enum Miss {
    /// There is an object at the key already.
    Exists,
    /// There is no object at the key.
    Absent,
    /// The object has another revision by now.
    Changed,
    /// The log cannot be written.
    Log(Error),
}

/// The revision asked for is older than the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The oldest revision that can still be asked for.
    pub oldest: u64,
}

/// What was found by a list, and at which revision.
pub struct Listing {
    /// In the order of their keys.
    pub objects: Vec<Arc<Object>>,
    /// The store's revision at that moment.
    pub revision: u64,
}

/// The store.
pub struct Store {
    inner: Mutex<Inner>,
}

impl Default for Store {
    fn default() -> Self {
        Self::in_memory()
    }
}

impl Store {
    /// Makes an empty store that forgets everything when dropped.
    pub fn in_memory() -> Self {
        Self {
            inner: Mutex::new(Inner {
                revision: 1,
                forgotten: 0,
                buckets: BTreeMap::new(),
                fresh: VecDeque::new(),
                log: None,
                wake: tokio::sync::watch::Sender::new(0),
            }),
        }
    }

    /// Opens the store that a folder's log describes; the note says if a torn record was dropped.
    pub fn open(folder: &std::path::Path) -> Result<(Self, Option<String>)> {
        let store = Self::in_memory();
        let mut inner = store.lock();
        let Recovered { log, note } = Log::open(folder, |record| inner.replay(record))?;
        inner.log = Some(log);
        drop(inner);
        Ok((store, note))
    }

    /// Reads what a log file describes, without touching it: whoever it belongs to may go on writing.
    pub fn read(file: &std::path::Path) -> Result<Self> {
        let store = Self::in_memory();
        let mut inner = store.lock();
        Log::read(file, |record| inner.replay(record))?;
        drop(inner);
        Ok(store)
    }

    /// Goes on above a revision; what happened up to there cannot be asked for any more.
    pub fn move_past(&self, revision: u64) {
        let mut inner = self.lock();
        inner.revision = inner.revision.max(revision) + 1;
        let floor = inner.revision;
        for bucket in inner.buckets.values_mut() {
            bucket.floor(floor);
        }
    }

    /// Forgets what happened up to a revision: from then on it can neither be listed nor watched from before.
    ///
    /// Watches that have seen everything go on.
    pub fn forget(&self, revision: u64) {
        let mut inner = self.lock();
        inner.forgotten = inner.forgotten.max(revision);
        for bucket in inner.buckets.values_mut() {
            bucket.forget(revision);
        }
    }

    /// Lets go of the parsed forms of what was written.
    pub fn cool(&self) {
        let fresh = std::mem::take(&mut self.lock().fresh);
        for object in fresh.iter().filter_map(Weak::upgrade) {
            object.cool();
        }
    }

    /// The current revision.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// Finds one object.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Arc<Object>> {
        self.lock().buckets.get(bucket)?.get(key).cloned()
    }

    /// Lists the objects whose key begins so.
    pub fn list(&self, bucket: &str, prefix: &str) -> Listing {
        let inner = self.lock();
        Listing {
            objects: match inner.buckets.get(bucket) {
                Some(bucket) => bucket.list(prefix),
                None => Vec::new(),
            },
            revision: inner.revision,
        }
    }

    /// Lists as things were at an older revision, if the window still reaches there.
    pub fn list_at(&self, bucket: &str, prefix: &str, revision: u64) -> Result<Listing, TooOld> {
        let inner = self.lock();
        if revision < inner.forgotten {
            let oldest = inner.forgotten;
            return Err(TooOld { oldest });
        }
        let objects = match inner.buckets.get(bucket) {
            Some(bucket) => bucket.list_at(prefix, revision)?,
            None => Vec::new(),
        };
        Ok(Listing { objects, revision })
    }

    /// Counts the objects of every bucket.
    pub fn counts(&self) -> Vec<(Arc<str>, usize)> {
        let inner = self.lock();
        let each = |(name, bucket): (&Arc<str>, &Bucket)| (Arc::clone(name), bucket.len());
        inner.buckets.iter().map(each).collect()
    }

    /// Writes an object if the expectation holds; sets its `metadata.resourceVersion`.
    pub fn put(
        &self,
        bucket: &str,
        key: &str,
        expect: Expect,
        value: Value,
    ) -> Result<Arc<Object>, Miss> {
        // Written out before the lock is taken: that is most of the work, and others may go on meanwhile.
        let draft = Draft::new(value);
        let mut inner = self.lock();
        let current = inner.buckets.get(bucket).and_then(|b| b.get(key)).cloned();
        match (expect, &current) {
            (Expect::Absent, Some(_)) => return Err(Miss::Exists),
            (Expect::Revision(_), None) => return Err(Miss::Absent),
            (Expect::Revision(wanted), Some(found)) if found.revision() != wanted => {
                return Err(Miss::Changed);
            }
            _ => {}
        }
        let object = draft.stamp(inner.revision + 1, key);
        let news = inner.commit(Record::put(bucket, &object))?;
        let stale = inner.freshen(&object);
        drop(inner);
        news.tell();
        // What was replaced is of the past, and taking values apart is nothing to do under the lock.
        for old in current.into_iter().chain(stale) {
            old.cool();
        }
        Ok(object)
    }

    /// Removes an object; `last` is how it looked in the end, which watches are shown with the new revision.
    pub fn delete(
        &self,
        bucket: &str,
        key: &str,
        expect: u64,
        last: Value,
    ) -> Result<Arc<Object>, Miss> {
        let draft = Draft::new(last);
        let mut inner = self.lock();
        let Some(current) = inner.buckets.get(bucket).and_then(|b| b.get(key)) else {
            return Err(Miss::Absent);
        };
        if current.revision() != expect {
            return Err(Miss::Changed);
        }
        let current = Arc::clone(current);
        let object = draft.stamp(inner.revision + 1, key);
        let news = inner.commit(Record::delete(bucket, &object))?;
        drop(inner);
        news.tell();
        for old in [&current, &object] {
            old.cool();
        }
        Ok(object)
    }

    /// Watches a bucket for what comes after a revision.
    pub fn watch(self: &Arc<Self>, bucket: &str, after: u64) -> Result<Watch, TooOld> {
        let mut inner = self.lock();
        let revision = inner.revision;
        if after < inner.forgotten {
            let oldest = inner.forgotten;
            return Err(TooOld { oldest });
        }
        let bucket_name: Arc<str> = inner.name_of(bucket);
        let entry = inner.bucket(&bucket_name);
        if after < entry.oldest() {
            return Err(TooOld {
                oldest: entry.oldest(),
            });
        }
        let (latest, wake) = (entry.latest(), entry.subscribe());
        drop(inner);
        let seen = after.min(revision);
        let store = Arc::clone(self);
        Ok(Watch::new(store, bucket_name, seen, latest, wake))
    }

    /// Tells when anything at all is written.
    pub fn any_change(&self) -> tokio::sync::watch::Receiver<u64> {
        self.lock().wake.subscribe()
    }

    /// What happened anywhere after a revision, by bucket; buckets that have forgotten it are left out.
    pub fn changes_everywhere(&self, after: u64) -> (Vec<Happening>, u64) {
        let inner = self.lock();
        let mut all = Vec::new();
        for (name, bucket) in &inner.buckets {
            if let Ok(changes) = bucket.changes(after.max(bucket.oldest()))
                && !changes.is_empty()
            {
                all.push((Arc::clone(name), changes));
            }
        }
        (all, inner.revision)
    }

    /// What happened in a bucket after a revision, and the revision up to which that is everything.
    pub(super) fn changes(&self, bucket: &str, after: u64) -> Result<(Vec<Change>, u64), TooOld> {
        let inner = self.lock();
        let changes = match inner.buckets.get(bucket) {
            Some(bucket) => bucket.changes(after)?,
            None => Vec::new(),
        };
        Ok((changes, inner.revision))
    }

    /// Makes an independent copy that shares all objects until they change; in memory only.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = self.lock();
        let each = |(name, bucket): (&Arc<str>, &Bucket)| (Arc::clone(name), bucket.fork());
        Self {
            inner: Mutex::new(Inner {
                revision: inner.revision,
                forgotten: inner.forgotten,
                buckets: inner.buckets.iter().map(each).collect(),
                fresh: VecDeque::new(),
                log: None,
                wake: tokio::sync::watch::Sender::new(0),
            }),
        }
    }

    /// Writes everything there is to a file that is not there yet, in the form of a log.
    pub fn save(&self, file: &std::path::Path) -> Result<()> {
        let fork = self.fork();
        let inner = fork.lock();
        Log::write_fresh(file, inner.revision, inner.records())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A writer that died half-way changed nothing: the log comes first and the rest cannot fail.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{ChangeKind, Expect, Miss, Store};

    fn pod(name: &str, colour: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"colour": colour}}})
    }

    #[test]
    fn a_write_with_an_old_revision_is_refused() {
        let store = Store::in_memory();
        let first = store
            .put("pods", "a/x", Expect::Absent, pod("x", "red"))
            .unwrap();
        let expect = Expect::Revision(first.revision());
        store.put("pods", "a/x", expect, pod("x", "blue")).unwrap();
        let again = store.put("pods", "a/x", expect, pod("x", "green"));
        assert!(matches!(again, Err(Miss::Changed)));
        let twice = store.put("pods", "a/x", Expect::Absent, pod("x", "green"));
        assert!(matches!(twice, Err(Miss::Exists)));
    }

    #[test]
    fn lists_as_it_was() {
        let store = Store::in_memory();
        let x = store
            .put("pods", "a/x", Expect::Absent, pod("x", "red"))
            .unwrap();
        let then = store.revision();
        store
            .put("pods", "a/y", Expect::Absent, pod("y", "red"))
            .unwrap();
        store
            .delete("pods", "a/x", x.revision(), pod("x", "red"))
            .unwrap();
        let keys = |listing: super::Listing| -> Vec<String> {
            listing.objects.iter().map(|o| o.key().to_owned()).collect()
        };
        assert_eq!(keys(store.list("pods", "a/")), ["a/y"]);
        assert_eq!(keys(store.list_at("pods", "a/", then).unwrap()), ["a/x"]);
    }

    #[tokio::test]
    async fn a_watch_sees_everything_after_its_revision_once() {
        let store = Arc::new(Store::in_memory());
        let x = store
            .put("pods", "a/x", Expect::Absent, pod("x", "red"))
            .unwrap();
        let mut watch = store.watch("pods", x.revision()).unwrap();
        store
            .put("pods", "b/y", Expect::Absent, pod("y", "red"))
            .unwrap();
        store
            .delete("pods", "a/x", x.revision(), pod("x", "red"))
            .unwrap();
        let seen: Vec<(ChangeKind, String)> = watch
            .next()
            .await
            .unwrap()
            .iter()
            .map(|change| (change.kind, change.object.key().to_owned()))
            .collect();
        assert_eq!(
            seen,
            [
                (ChangeKind::Added, "b/y".to_owned()),
                (ChangeKind::Deleted, "a/x".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn a_watch_that_waited_sees_what_woke_it() {
        let store = Arc::new(Store::in_memory());
        let mut watch = store.watch("pods", store.revision()).unwrap();
        assert!(watch.ready().unwrap().is_empty());
        let (seen, ()) = tokio::join!(watch.next(), async {
            store
                .put("pods", "a/x", Expect::Absent, pod("x", "red"))
                .unwrap();
        });
        assert_eq!(seen.unwrap().len(), 1);
        assert!(watch.ready().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_forgotten_cannot_be_asked_for_but_a_watch_that_saw_it_goes_on() {
        let store = Arc::new(Store::in_memory());
        let put = |key: &str| {
            store
                .put("pods", key, Expect::Absent, pod("x", "red"))
                .unwrap()
        };
        let first = put("a/x").revision();
        let second = put("a/y").revision();
        let mut watch = store.watch("pods", second).unwrap();
        store.forget(second);
        assert!(store.list_at("pods", "", first).is_err());
        assert!(store.watch("pods", first).is_err());
        assert!(store.watch("pods", second).is_ok());
        put("a/z");
        assert_eq!(watch.next().await.unwrap().len(), 1);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let store = Store::in_memory();
        store
            .put("pods", "a/x", Expect::Absent, pod("x", "red"))
            .unwrap();
        let fork = store.fork();
        fork.put("pods", "a/y", Expect::Absent, pod("y", "red"))
            .unwrap();
        assert_eq!(store.list("pods", "").objects.len(), 1);
        assert_eq!(fork.list("pods", "").objects.len(), 2);
    }
}
