//! What the steps of a run share of each cluster that they work on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

/// What is shared of each cluster, by context.
#[derive(Default)]
pub(super) struct Clusters<T>(Mutex<BTreeMap<String, Arc<T>>>);

impl<T: Default> Clusters<T> {
    /// What is shared of a cluster.
    pub(super) async fn of(&self, context: &str) -> Arc<T> {
        let mut all = self.0.lock().await;
        all.entry(context.to_string()).or_default().clone()
    }

    /// Forgets a cluster.
    pub(super) async fn forget(&self, context: &str) {
        self.0.lock().await.remove(context);
    }
}
