//! One action on one cluster of this provider, with what every maker needs for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{join_all, try_join_all};

use super::Maker;
use super::known::{Known, Way};
use crate::diag::codes::docker::{NAME_TAKEN, NO_CONTAINER};
use crate::docker::{Engine, Kept, Listed, labels};
use crate::error::{Error, Result};
use crate::k8s;
use crate::spec::Spec;
use crate::step::{Network, Storage};
use crate::world::{Access, Work};

/// One action on one cluster.
pub(in crate::provider) struct Job<'a> {
    /// The engine.
    pub(super) engine: &'a Engine,
    /// What to do, told to whom.
    pub(super) work: &'a Work<'a>,
    /// How the distribution is made.
    pub(super) maker: &'a dyn Maker,
    /// What this run has found out already.
    pub(super) known: Arc<Known>,
}

impl Job<'_> {
    /// The cluster's name.
    pub(super) fn name(&self) -> &str {
        self.work.name.as_str()
    }

    /// The definition; an action that needs it never comes without.
    pub(super) fn spec(&self) -> Result<&Spec> {
        self.work.spec.ok_or_else(|| {
            Error::new(
                &NO_CONTAINER,
                format!(
                    "{} is worked on by name only, without its definition",
                    self.work.context
                ),
            )
            .help("run the script that defines it")
        })
    }

    /// The labels of what belongs to the cluster.
    pub(super) fn labels(&self) -> std::collections::BTreeMap<String, String> {
        self.maker.labels(self.name())
    }

    /// All containers of the cluster, ours or the peer's.
    pub(super) async fn members(&self) -> Result<Vec<Listed>> {
        let all = self.engine.list(&[]).await?;
        Ok(all
            .into_iter()
            .filter(|one| self.maker.cluster_of(one).as_deref() == Some(self.name()))
            .collect())
    }

    /// All containers of the cluster and those beside it: registries carry its label and none of the peer's.
    pub(super) async fn everything(&self) -> Result<Vec<Listed>> {
        let all = self.engine.list(&[]).await?;
        let is_own = |one: &Listed| {
            self.maker.cluster_of(one).as_deref() == Some(self.name())
                || one.labels.get(labels::CLUSTER).map(String::as_str) == Some(self.work.context)
        };
        Ok(all.into_iter().filter(is_own).collect())
    }

    /// How the cluster's API is reached.
    pub(super) async fn access(&self) -> Result<Access> {
        self.way().await.map(|way| way.access)
    }

    /// A client of the cluster's API.
    pub(super) async fn client(&self) -> Result<k8s::Client> {
        self.way().await.map(|way| way.client)
    }

    async fn way(&self) -> Result<Way> {
        let find = async {
            let members = self.members().await?;
            self.maker.access(self.engine, self.name(), &members).await
        };
        self.known.way(find).await
    }

    /// Makes the network; one of the name that is neither the cluster's nor shared is never used.
    pub(super) async fn own_network(&self, network: &Network) -> Result<()> {
        self.engine.ensure_network(network).await?;
        if !network.labels.contains_key(labels::CLUSTER) {
            return Ok(());
        }
        let there = self
            .engine
            .network_labels(&network.name)
            .await?
            .unwrap_or_default();
        if there.get(labels::CLUSTER) == network.labels.get(labels::CLUSTER) {
            return Ok(());
        }
        let message = format!(
            "a network named {} is there and does not belong to this cluster",
            network.name
        );
        Err(Error::new(&NAME_TAKEN, message)
            .help("remove it, or give the cluster another name; ksail never touches it"))
    }

    /// Removes everything that belongs to the cluster; what is gone already is fine.
    pub(super) async fn remove(&self, storage: Storage) -> Result<()> {
        let label = format!("{}={}", labels::CLUSTER, self.work.context);
        let (all, networks, volumes) = tokio::try_join!(
            self.everything(),
            self.engine.networks(&label),
            self.engine.volumes(&label)
        )?;
        tokio::try_join!(
            try_join_all(all.iter().map(|one| self.engine.remove(&one.id))),
            self.dissolve(&all, &networks)
        )?;
        // Where a container refused to leave while it ended, its network is still there.
        let left = self.engine.networks(&label).await?;
        let networks = left.keys().map(|name| self.engine.remove_network(name));
        let volumes = volumes.keys().map(|name| self.engine.remove_volume(name));
        tokio::try_join!(
            try_join_all(networks),
            try_join_all(volumes),
            self.leave(&all)
        )?;
        if storage == Storage::Remove {
            self.release_storage(&all).await?;
        }
        self.maker.clean(self).await
    }

    /// Removes the volumes of registries that these containers were the last to use.
    async fn release_storage(&self, gone: &[Listed]) -> Result<()> {
        let used: BTreeSet<&String> = gone.iter().flat_map(|one| &one.volumes).collect();
        let shared = self.engine.volumes(labels::SHARED).await?;
        let doomed = shared.keys().filter(|name| used.contains(name));
        try_join_all(doomed.map(|name| self.engine.release_volume(name))).await?;
        Ok(())
    }

    /// Takes containers out of networks and removes these. An engine takes one container after the other out of a
    /// network and mostly waits for the kernel meanwhile: done while their processes end, it takes no time of its own.
    async fn dissolve(
        &self,
        containers: &[Listed],
        networks: &BTreeMap<String, Kept>,
    ) -> Result<()> {
        let both = containers.iter().flat_map(|one| {
            let joined = one.networks.iter();
            let own = joined.filter(|network| networks.contains_key(*network));
            own.map(|network| self.engine.disconnect_network(network, &one.id))
        });
        // A container that ends at this moment may refuse: its removal takes it out as well.
        join_all(both).await;
        try_join_all(networks.keys().map(|name| self.engine.remove_network(name))).await?;
        Ok(())
    }

    /// Removes the networks of the user's naming that these containers were in, if ksail made them and nobody else is in
    /// them, not even switched off.
    async fn leave(&self, gone: &[Listed]) -> Result<()> {
        let joined: BTreeSet<&String> = gone.iter().flat_map(|one| &one.networks).collect();
        let made = self.engine.networks(labels::NAME).await?;
        let shared = made.iter().filter(|(name, kept)| {
            joined.contains(name) && !kept.labels.contains_key(labels::CLUSTER)
        });
        let shared: Vec<&String> = shared.map(|(name, _)| name).collect();
        if shared.is_empty() {
            return Ok(());
        }
        let others = self.engine.list(&[]).await?;
        let is_left = |name: &str| {
            !others
                .iter()
                .any(|one| one.networks.iter().any(|n| n == name))
        };
        let left = shared.into_iter().filter(|name| is_left(name));
        try_join_all(left.map(|name| self.engine.remove_network(name))).await?;
        Ok(())
    }
}
