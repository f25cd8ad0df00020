//! What clusters left behind on the engine: containers, networks and volumes with ksail's labels whose cluster has no
//! control plane any more. Only what carries those labels is ever found here, and what another user's ksail made on the
//! same engine only when it is old.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Docker;
use crate::diag::codes::state::CLUSTER_BUSY;
use crate::docker::{Kept, labels};
use crate::error::Result;
use crate::world::Memory as _;

/// What kind of thing was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Thing {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A named volume.
    Volume,
    /// A cluster's folder in ksail's state.
    Folder,
    /// A context of the user's kubeconfig.
    Context,
}

/// Something that belongs to nobody any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leftover {
    /// What it is.
    pub thing: Thing,
    /// Its name.
    pub name: String,
    /// The context of the cluster that it belonged to.
    pub cluster: String,
}

/// How old what another user's run made must be before it counts as left behind, in seconds: whether that run still goes
/// on is not known here.
const DAY: i64 = 24 * 60 * 60;

/// Tells what another user's run may still be at.
struct Judge {
    owner: String,
    now: i64,
}

impl Judge {
    fn may_remove(&self, kept: &Kept) -> bool {
        let is_own = kept
            .labels
            .get(labels::OWNER)
            .is_none_or(|owner| *owner == self.owner);
        is_own
            || kept
                .made
                .is_some_and(|made| self.now.saturating_sub(made) > DAY)
    }
}

impl Docker {
    /// What is left on the engine of clusters that are gone; in the order in which it can be removed. Clusters that a
    /// run works on now are left out.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>> {
        let engine = self.engine().await?;
        let containers = engine.list(&[]).await?;
        let mut alive = BTreeSet::new();
        for maker in &self.makers {
            let control = containers.iter().filter(|one| maker.is_control_plane(one));
            alive.extend(control.filter_map(|one| Some(maker.context(&maker.cluster_of(one)?))));
        }
        let (networks, volumes) = tokio::try_join!(
            engine.networks(labels::CLUSTER),
            engine.volumes(labels::CLUSTER)
        )?;
        let containers = containers.into_iter().map(|one| {
            let (labels, made) = (one.labels, one.made);
            (one.name, Kept { labels, made })
        });
        let all = [
            (Thing::Container, containers.collect::<BTreeMap<_, _>>()),
            (Thing::Network, networks),
            (Thing::Volume, volumes),
        ];
        let judge = Judge {
            owner: self.store.owner()?,
            now: jiff::Timestamp::now().as_second(),
        };
        let mut found = Vec::new();
        for (thing, named) in all {
            for (name, kept) in named {
                let Some(cluster) = kept.labels.get(labels::CLUSTER) else {
                    continue;
                };
                if judge.may_remove(&kept)
                    && !alive.contains(cluster)
                    && !self.is_busy(cluster).await?
                {
                    found.push(Leftover {
                        thing,
                        name,
                        cluster: cluster.clone(),
                    });
                }
            }
        }
        Ok(found)
    }

    /// Removes something that was left on the engine.
    pub async fn remove_leftover(&self, leftover: &Leftover) -> Result<()> {
        let (engine, name) = (self.engine().await?, leftover.name.as_str());
        match leftover.thing {
            Thing::Container => engine.remove(name).await,
            Thing::Network => engine.remove_network(name).await,
            Thing::Volume => engine.remove_volume(name).await,
            Thing::Folder | Thing::Context => Ok(()),
        }
    }

    /// Whether a run works on a cluster now.
    async fn is_busy(&self, context: &str) -> Result<bool> {
        // Asking for the lock makes the folder, which would be one more thing left behind.
        if !self.store.cluster(context).exists() {
            return Ok(false);
        }
        match self.store.lock(context).await {
            Ok(_) => Ok(false),
            Err(problem) if problem.code().id == CLUSTER_BUSY.id => Ok(true),
            Err(problem) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_user_made_is_left_alone_for_a_day() {
        let judge = Judge {
            owner: "me".into(),
            now: 10 * DAY,
        };
        let kept = |owner: Option<&str>, made: Option<i64>| Kept {
            labels: owner
                .into_iter()
                .map(|owner| (labels::OWNER.into(), owner.into()))
                .collect(),
            made,
        };
        assert!(judge.may_remove(&kept(Some("me"), Some(10 * DAY))));
        assert!(judge.may_remove(&kept(None, Some(10 * DAY))));
        assert!(!judge.may_remove(&kept(Some("you"), Some(10 * DAY - 60))));
        assert!(!judge.may_remove(&kept(Some("you"), None)));
        assert!(judge.may_remove(&kept(Some("you"), Some(8 * DAY))));
    }
}
