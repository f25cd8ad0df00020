//! When a cluster removes itself: `clusters/CONTEXT/expires.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{State, unreadable, unwritable, write_whole};
use crate::error::Result;

/// What is written down of a cluster's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// The moment, in UTC.
    pub expires_at: jiff::Timestamp,
    /// The time to live as it was asked for, in seconds.
    pub ttl: u64,
    /// The variables that whoever removes the cluster needs, such as `KUBECONFIG`; never one with a secret in it.
    pub environment: BTreeMap<String, String>,
}

impl Expiry {
    /// This long from now.
    pub fn after(ttl: Duration, environment: BTreeMap<String, String>) -> Self {
        let ttl = ttl.as_secs();
        let seconds = i64::try_from(ttl).unwrap_or(i64::MAX);
        let span = jiff::SignedDuration::from_secs(seconds);
        let now = jiff::Timestamp::now();
        Self {
            expires_at: now.checked_add(span).unwrap_or(jiff::Timestamp::MAX),
            ttl,
            environment,
        }
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.expires_at.as_second()).unwrap_or(0)
    }
}

impl State {
    /// When a cluster removes itself.
    pub fn expiry(&self, context: &str) -> Result<Option<Expiry>> {
        let path = self.expiry_path(context);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(unreadable(&path, cause)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|cause| unreadable(&path, cause))
    }

    /// Writes a cluster's end down, or takes it back.
    pub fn set_expiry(&self, context: &str, expiry: Option<&Expiry>) -> Result<()> {
        let path = self.expiry_path(context);
        let done = match expiry {
            Some(expiry) => {
                let text = serde_json::to_string_pretty(expiry).unwrap_or_default();
                write_whole(&path, text.as_bytes())
            }
            None => match std::fs::remove_file(&path) {
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
                other => other,
            },
        };
        done.map_err(|cause| unwritable(&path, cause))
    }

    /// Every cluster that removes itself; a file that cannot be read is left out, for its cluster says so itself.
    pub fn expiries(&self) -> Result<Vec<(String, Expiry)>> {
        let found = self.contexts()?.into_iter().filter_map(|context| {
            let expiry = self.expiry(&context).ok()??;
            Some((context, expiry))
        });
        Ok(found.collect())
    }

    fn expiry_path(&self, context: &str) -> PathBuf {
        self.cluster(context).join("expires.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_down_and_takes_back() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        assert_eq!(state.expiry("a").unwrap(), None);
        let expiry = Expiry::after(Duration::from_mins(1), BTreeMap::new());
        state.set_expiry("a", Some(&expiry)).unwrap();
        assert_eq!(state.expiry("a").unwrap().as_ref(), Some(&expiry));
        assert_eq!(state.expiries().unwrap(), [("a".to_string(), expiry)]);
        state.set_expiry("a", None).unwrap();
        state.set_expiry("a", None).unwrap();
        assert!(state.expiries().unwrap().is_empty());
    }

    #[test]
    fn a_broken_file_is_named_and_no_hindrance_to_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::new(folder.path());
        write_whole(&state.expiry_path("a"), b"{").unwrap();
        let expiry = Expiry::after(Duration::MAX, BTreeMap::new());
        state.set_expiry("b", Some(&expiry)).unwrap();
        assert_eq!(state.expiry("a").unwrap_err().code().id, "E0601");
        assert_eq!(state.expiries().unwrap().len(), 1);
    }
}
