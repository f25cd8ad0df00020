//! Credentials that were given in this run, so that many files ask for them once.

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::error::Result;

/// The shortest life that any service gives its credentials is longer.
const LIFE: Duration = Duration::from_secs(600);

/// Values by the name of what they were asked for.
pub(super) struct Cache<T>(Mutex<HashMap<String, (Instant, T)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Cache<T> {
    /// Gives a value that is known, or asks for it; others that want it meanwhile wait for the one answer.
    pub(super) async fn get(
        &self,
        name: String,
        ask: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut known = self.0.lock().await;
        if let Some((since, value)) = known.get(&name)
            && since.elapsed() < LIFE
        {
            return Ok(value.clone());
        }
        let value = ask.await?;
        known.insert(name, (Instant::now(), value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Cache;
    use crate::diag::codes::cipher::AWS_DENIED;
    use crate::error::{Error, Result};

    #[tokio::test]
    async fn asks_once_and_forgets_failures() {
        let cache = Cache::<u8>::default();
        let times = Cell::new(0);
        let ask = |answer: Result<u8>| {
            times.set(times.get() + 1);
            std::future::ready(answer)
        };
        let failed = Err(Error::new(&AWS_DENIED, "no"));
        assert!(cache.get("a".into(), ask(failed)).await.is_err());
        assert_eq!(cache.get("a".into(), ask(Ok(1))).await.unwrap(), 1);
        assert_eq!(cache.get("a".into(), ask(Ok(2))).await.unwrap(), 1);
        assert_eq!(cache.get("b".into(), ask(Ok(3))).await.unwrap(), 3);
    }
}
