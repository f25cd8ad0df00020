//! Networks and named volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::errors::Error as Cause;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    InspectNetworkOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions,
};

use super::Engine;
use super::fault::{absent, fault};
use crate::error::Result;
use crate::step::Network;

/// A network or a volume as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970; nothing if the engine does not say.
    pub made: Option<i64>,
}

fn moment(time: Option<String>) -> Option<jiff::Timestamp> {
    time?.parse().ok()
}

fn second(time: Option<String>) -> Option<i64> {
    moment(time).map(jiff::Timestamp::as_second)
}

impl Engine {
    /// Makes a network unless one of this name is there; gives its id.
    pub async fn ensure_network(&self, network: &Network) -> Result<String> {
        let name = &network.name;
        // Two that look at once would both make it, and the engine lets two have one name.
        let _alone = self.inner.networks.lock().await;
        if let Some(id) = self.network_id(name).await? {
            return Ok(id);
        }
        let pools = [&network.subnet, &network.subnet6].into_iter().flatten();
        let pools: Vec<IpamConfig> = pools
            .map(|subnet| IpamConfig {
                subnet: Some(subnet.clone()),
                ..IpamConfig::default()
            })
            .collect();
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".into()),
            enable_ipv6: Some(network.subnet6.is_some()),
            attachable: Some(true),
            ipam: (!pools.is_empty()).then(|| Ipam {
                config: Some(pools),
                ..Ipam::default()
            }),
            options: (!network.options.is_empty())
                .then(|| network.options.clone().into_iter().collect()),
            labels: Some(self.sign(&network.labels)),
            ..NetworkCreateRequest::default()
        };
        match self.client.create_network(request).await {
            Ok(made) => match self.network_id(name).await? {
                // Another process was faster: its network is everyone's, and this one is nobody's.
                Some(first) if first != made.id => {
                    self.remove_network(&made.id).await?;
                    Ok(first)
                }
                _ => Ok(made.id),
            },
            // Another cluster made it in the meantime.
            Err(
                cause @ Cause::DockerResponseServerError {
                    status_code: 409, ..
                },
            ) => match self.network_id(name).await? {
                Some(id) => Ok(id),
                None => Err(fault(format!("making the network {name}"), cause)),
            },
            Err(cause) => Err(fault(format!("making the network {name}"), cause)),
        }
    }

    /// The id of a network; `None` if it is not there.
    pub async fn network_id(&self, name: &str) -> Result<Option<String>> {
        // Asked by filter: an inspection also takes the beginning of an id for a name.
        let filters = HashMap::from([("name".to_string(), vec![format!("^{name}$")])]);
        let options = ListNetworksOptions {
            filters: Some(filters),
        };
        let answer = self.client.list_networks(Some(options)).await;
        let all =
            answer.map_err(|cause| fault(format!("looking for the network {name}"), cause))?;
        // Of several with one name, the oldest is everyone's choice.
        let named = all
            .into_iter()
            .filter(|network| network.name.as_deref() == Some(name));
        let ages = named.filter_map(|network| Some((moment(network.created), network.id?)));
        Ok(ages.min().map(|(_, id)| id))
    }

    /// The labels of a network; `None` if it is not there.
    pub async fn network_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>> {
        let Some(id) = self.network_id(name).await? else {
            return Ok(None);
        };
        let answer = self
            .client
            .inspect_network(&id, None::<InspectNetworkOptions>)
            .await;
        let found = absent(format!("looking at the network {name}"), answer)?;
        Ok(found.map(|network| network.labels.unwrap_or_default().into_iter().collect()))
    }

    /// The IPv4 subnet and gateway of a network.
    pub async fn network_subnet(&self, name: &str) -> Result<Option<(String, String)>> {
        let Some(id) = self.network_id(name).await? else {
            return Ok(None);
        };
        let answer = self
            .client
            .inspect_network(&id, None::<InspectNetworkOptions>)
            .await;
        let found = absent(format!("looking at the network {name}"), answer)?;
        let pools = found
            .and_then(|network| network.ipam?.config)
            .unwrap_or_default();
        Ok(pools.into_iter().find_map(|pool| {
            let subnet = pool.subnet.filter(|subnet| !subnet.contains(':'))?;
            Some((subnet, pool.gateway.unwrap_or_default()))
        }))
    }

    /// The length of packets that the engine was told to use, if it was.
    pub async fn usual_mtu(&self) -> Result<Option<u32>> {
        let answer = self
            .client
            .inspect_network("bridge", None::<InspectNetworkOptions>)
            .await;
        let found = absent("looking at the engine's own network", answer)?;
        let options = found
            .and_then(|network| network.options)
            .unwrap_or_default();
        let mtu = options.get("com.docker.network.driver.mtu");
        Ok(mtu.and_then(|mtu| mtu.parse().ok()))
    }

    /// The names of the networks that have a label (`key` or `key=value`), with what is known of them.
    pub async fn networks(&self, label: &str) -> Result<BTreeMap<String, Kept>> {
        let filters = HashMap::from([("label".to_string(), vec![label.to_string()])]);
        let answer = self
            .client
            .list_networks(Some(ListNetworksOptions {
                filters: Some(filters),
            }))
            .await;
        let all = answer.map_err(|cause| fault("listing networks", cause))?;
        let pairs = all.into_iter().map(|network| {
            let kept = Kept {
                labels: network.labels.unwrap_or_default().into_iter().collect(),
                made: second(network.created),
            };
            (network.name.unwrap_or_default(), kept)
        });
        Ok(pairs.collect())
    }

    /// Removes a network; one that is gone, or that others still use, is fine.
    pub async fn remove_network(&self, name: &str) -> Result<()> {
        match self.client.remove_network(name).await {
            Err(Cause::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(()),
            Err(Cause::DockerResponseServerError { message, .. })
                if message.contains("has active endpoints") =>
            {
                Ok(())
            }
            Err(cause) => Err(fault(format!("removing the network {name}"), cause)),
            Ok(()) => Ok(()),
        }
    }

    /// Takes a container out of a network; not being in it is fine.
    pub async fn disconnect_network(&self, network: &str, container: &str) -> Result<()> {
        let request = bollard::models::NetworkDisconnectRequest {
            container: container.to_string(),
            force: Some(true),
        };
        match self.client.disconnect_network(network, request).await {
            Err(Cause::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(()),
            Err(Cause::DockerResponseServerError { message, .. })
                if message.contains("is not connected") =>
            {
                Ok(())
            }
            Err(cause) => Err(fault(
                format!("taking {container} out of the network {network}"),
                cause,
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Makes a named volume unless it is there.
    pub async fn ensure_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_string()),
            labels: Some(self.sign(labels)),
            ..VolumeCreateRequest::default()
        };
        let answer = self.client.create_volume(request).await;
        answer
            .map(|_| ())
            .map_err(|cause| fault(format!("making the volume {name}"), cause))
    }

    /// The names of the volumes that have a label (`key` or `key=value`), with all their labels.
    pub async fn volumes(&self, label: &str) -> Result<BTreeMap<String, Kept>> {
        let filters = HashMap::from([("label".to_string(), vec![label.to_string()])]);
        let answer = self
            .client
            .list_volumes(Some(ListVolumesOptions {
                filters: Some(filters),
            }))
            .await;
        let all = answer
            .map_err(|cause| fault("listing volumes", cause))?
            .volumes
            .unwrap_or_default();
        Ok(all
            .into_iter()
            .map(|volume| {
                let kept = Kept {
                    labels: volume.labels.into_iter().collect(),
                    made: second(volume.created_at),
                };
                (volume.name, kept)
            })
            .collect())
    }

    /// Removes a named volume that no container has; one that some container has stays.
    pub async fn release_volume(&self, name: &str) -> Result<()> {
        self.drop_volume(name, &[404, 409]).await
    }

    /// Removes a named volume; one that is gone is fine.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        self.drop_volume(name, &[404]).await
    }

    /// Removes a named volume; these answers are as good as done.
    async fn drop_volume(&self, name: &str, fine: &[u16]) -> Result<()> {
        let options = None::<RemoveVolumeOptions>;
        match self.client.remove_volume(name, options).await {
            Err(Cause::DockerResponseServerError { status_code, .. })
                if fine.contains(&status_code) =>
            {
                Ok(())
            }
            answer => answer.map_err(|cause| fault(format!("removing the volume {name}"), cause)),
        }
    }
}
