//! What the steps of a run have found out of a cluster, so that not each of them has to ask the engine for it: every file
//! that is read out of a container costs the engine a process.
//!
//! A run begins with a look at the cluster, which forgets what an earlier run knew.

use std::collections::BTreeSet;

use tokio::sync::Mutex;

use crate::error::Result;
use crate::k8s;
use crate::world::Access;

/// What is known of one cluster.
#[derive(Default)]
pub(super) struct Known {
    way: Mutex<Option<Way>>,
    /// Machines that were made in this run and that nothing was done in yet.
    new: Mutex<BTreeSet<String>>,
}

/// How a cluster's API is reached, and who asks it.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) access: Access,
    pub(super) client: k8s::Client,
}

impl Way {
    async fn to(access: Access) -> Result<Self> {
        let client = k8s::connect(&access).await?;
        Ok(Self { access, client })
    }
}

impl Known {
    /// The way to the API, found now if it is not known; whoever comes meanwhile waits for the one that finds it.
    pub(super) async fn way(&self, find: impl Future<Output = Result<Access>>) -> Result<Way> {
        let mut known = self.way.lock().await;
        if let Some(way) = &*known {
            return Ok(way.clone());
        }
        Ok(known.insert(Way::to(find.await?).await?).clone())
    }

    /// Remembers a way to the API in place of what was known.
    pub(super) async fn set_way(&self, access: Access) -> Result<Way> {
        let way = Way::to(access).await?;
        Ok(self.way.lock().await.insert(way).clone())
    }

    /// Forgets the way to the API: it may lead elsewhere from now on.
    pub(super) async fn lose_way(&self) {
        self.way.lock().await.take();
    }

    /// Remembers that a machine was made in this run.
    pub(super) async fn note_new(&self, machine: &str) {
        self.new.lock().await.insert(machine.to_string());
    }

    /// Whether a machine was made in this run and nobody has asked this before: who asks is about to do something in it.
    pub(super) async fn take_new(&self, machine: &str) -> bool {
        self.new.lock().await.remove(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes::docker::NO_CONTAINER;
    use crate::error::Error;
    use crate::pki::tests::PEM;
    use crate::pki::{Key, Order, Validity};
    use crate::provider::docker::clusters::Clusters;

    fn access(server: &str) -> Access {
        let key = Key::from_pem(PEM).unwrap();
        let order = Order::user("someone", [0; 16], Validity::days(0, 1));
        let certificate = order.self_signed(&key).unwrap().pem;
        Access {
            server: server.into(),
            authority: certificate.clone(),
            certificate,
            key: key.pem(),
        }
    }

    #[tokio::test]
    async fn a_machine_is_new_once() {
        let clusters = Clusters::<Known>::default();
        clusters.of("kind-dev").await.note_new("dev-worker").await;
        let known = clusters.of("kind-dev").await;
        assert!(known.take_new("dev-worker").await);
        assert!(!known.take_new("dev-worker").await);
        known.note_new("dev-worker").await;
        clusters.forget("kind-dev").await;
        assert!(!clusters.of("kind-dev").await.take_new("dev-worker").await);
    }

    #[tokio::test]
    async fn a_way_that_was_not_found_is_looked_for_again() {
        let known = Known::default();
        let missing = || Error::new(&NO_CONTAINER, "not yet").help("wait");
        assert!(known.way(async { Err(missing()) }).await.is_err());
        let found = async |to: &str| {
            let found = access(&format!("https://{to}"));
            known.way(async { Ok(found) }).await.unwrap().access.server
        };
        assert_eq!(found("first").await, "https://first");
        assert_eq!(found("second").await, "https://first");
        known.set_way(access("https://third")).await.unwrap();
        assert_eq!(found("fourth").await, "https://third");
        known.lose_way().await;
        assert_eq!(found("fifth").await, "https://fifth");
    }
}
