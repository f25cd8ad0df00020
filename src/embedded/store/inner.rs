//! What a store holds under its lock, and how a record changes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::sync::watch::Sender;

use super::bucket::Bucket;
use super::codec::{self, Record};
use super::{Log, Miss, Object, watch};
use crate::error::Result;

/// How many freshly written objects are kept parsed at most.
const FRESH: usize = 8192;

/// Whom to wake after a write; not done under the lock, which those who wake want first of all.
#[must_use]
pub(super) struct News {
    here: Sender<u64>,
    anywhere: Sender<u64>,
    revision: u64,
}

impl News {
    pub(super) fn tell(&self) {
        watch::announce(&self.here, self.revision);
        watch::announce(&self.anywhere, self.revision);
    }
}

/// Everything that is under the store's lock.
pub(super) struct Inner {
    pub(super) revision: u64,
    /// What was before this revision can no longer be asked for.
    pub(super) forgotten: u64,
    pub(super) buckets: BTreeMap<Arc<str>, Bucket>,
    /// Those that are kept parsed, the oldest first; some may be gone.
    pub(super) fresh: VecDeque<Weak<Object>>,
    pub(super) log: Option<Log>,
    pub(super) wake: Sender<u64>,
}

impl Inner {
    pub(super) fn name_of(&self, bucket: &str) -> Arc<str> {
        match self.buckets.get_key_value(bucket) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(bucket),
        }
    }

    pub(super) fn bucket(&mut self, name: &Arc<str>) -> &mut Bucket {
        self.buckets.entry(Arc::clone(name)).or_default()
    }

    pub(super) fn commit(&mut self, record: Record) -> Result<News, Miss> {
        if let Some(log) = &mut self.log {
            log.append(&record).map_err(Miss::Log)?;
        }
        let here = self.apply(record).wake().clone();
        let news = News {
            here,
            anywhere: self.wake.clone(),
            revision: self.revision,
        };
        if let Err(error) = self.compact() {
            news.tell();
            return Err(Miss::Log(error));
        }
        Ok(news)
    }

    fn apply(&mut self, record: Record) -> &mut Bucket {
        self.revision = self.revision.max(record.object.revision());
        let name = self.name_of(&record.bucket);
        let bucket = self.bucket(&name);
        if record.deleted {
            bucket.remove(record.object);
        } else {
            bucket.insert(record.object);
        }
        bucket
    }

    pub(super) fn replay(&mut self, record: codec::Replayed) {
        match record {
            codec::Replayed::Base(record) => {
                self.revision = self.revision.max(record.object.revision());
                let name = self.name_of(&record.bucket);
                self.bucket(&name).restore(record.object);
            }
            codec::Replayed::Floor(revision) => {
                self.revision = self.revision.max(revision);
                for bucket in self.buckets.values_mut() {
                    bucket.floor(revision);
                }
            }
            codec::Replayed::Change(record) => {
                self.apply(record);
            }
        }
    }

    /// Keeps an object parsed in place of one that has long been.
    pub(super) fn freshen(&mut self, object: &Arc<Object>) -> Option<Arc<Object>> {
        self.fresh.push_back(Arc::downgrade(object));
        if self.fresh.len() > FRESH {
            return self.fresh.pop_front()?.upgrade();
        }
        None
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let each = |(name, bucket): (&Arc<str>, &Bucket)| {
            let name = Arc::clone(name);
            let objects = bucket.list("");
            objects
                .into_iter()
                .map(move |object| Record::put(&name, &object))
        };
        self.buckets.iter().flat_map(each)
    }

    /// Replaces a log that has grown far beyond what is alive in it by a snapshot.
    fn compact(&mut self) -> Result<()> {
        if !self.log.as_ref().is_some_and(Log::is_overgrown) {
            return Ok(());
        }
        let Some(mut log) = self.log.take() else {
            return Ok(());
        };
        let done = log.compact(self.revision, self.records());
        self.log = Some(log);
        done
    }
}
