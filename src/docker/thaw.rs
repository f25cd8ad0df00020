//! What is frozen inside a container. With cgroups of the first version nothing ends it, not even a kill, and the engine
//! lets go on only what it froze itself; so a container of the same image writes to the host's cgroups.

use std::collections::BTreeMap;

use super::container::Ensured;
use super::{Engine, labels};
use crate::error::Result;
use crate::step::{Container, Mount, Source};

/// Where the host has its cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Lets everything below a container's cgroup go on; its id is part of that one's name, whoever names cgroups.
const THAW: &str = "for state in $(find /sys/fs/cgroup/freezer -path \"*$0*/freezer.state\"); do echo THAWED >$state; done; true";

impl Engine {
    /// Has everything in a container go on that somebody froze.
    pub(super) async fn thaw(&self, name: &str) -> Result<()> {
        let Some(seen) = self.inspect(name).await? else {
            return Ok(());
        };
        let helper = helper(&seen.name, &seen.id, &seen.image, &seen.labels);
        let id = match self.ensure_container(&helper).await? {
            Ensured::Made(id) | Ensured::Kept(id) | Ensured::Differs(id) => id,
        };
        let ended = async {
            self.start(&id).await?;
            self.finish(&id).await.map(|_| ())
        };
        let ended = ended.await;
        self.remove_now(&id)
            .await
            .map_err(|cause| super::fault::fault(format!("removing the container {id}"), cause))?;
        ended
    }
}

/// The container that writes to the host's cgroups; it belongs to the same cluster, if to any.
fn helper(name: &str, id: &str, image: &str, labels_of: &BTreeMap<String, String>) -> Container {
    let mut own = labels_of.clone();
    own.retain(|key, _| {
        [labels::CLUSTER, labels::NAME, labels::DISTRIBUTION].contains(&key.as_str())
    });
    if !own.contains_key(labels::CLUSTER) {
        own = labels::shared("thaw");
    }
    Container {
        name: format!("{name}-thaw"),
        image: image.into(),
        entrypoint: Some(vec!["sh".into(), "-c".into()]),
        command: Some(vec![THAW.into(), id.into()]),
        labels: own,
        privileged: true,
        cgroup_namespace: Some("host".into()),
        mounts: vec![Mount {
            source: Source::Host(CGROUPS.into()),
            target: CGROUPS.into(),
            read_only: false,
            propagation: None,
        }],
        ..Container::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_a_container_belongs_to_its_cluster() {
        let of_nobody = helper("dev-worker", "1a", "node", &BTreeMap::new());
        assert!(of_nobody.labels.contains_key(labels::SHARED));
        let own = labels::owned("kind-dev", "dev", "vanilla");
        let mut all = own.clone();
        all.insert("role".into(), "worker".into());
        let made = helper("dev-worker", "1a", "node", &all);
        assert_eq!(
            (made.name.as_str(), &made.labels),
            ("dev-worker-thaw", &own)
        );
        assert_eq!(
            made.command.unwrap_or_default().last().map(String::as_str),
            Some("1a")
        );
    }
}
