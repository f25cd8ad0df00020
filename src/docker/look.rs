//! What is there: containers by name and by label.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, PortMap,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

use super::Engine;
use super::fault::{absent, fault};
use crate::diag::codes::docker::{CONTAINER_ENDED, NO_CONTAINER};
use crate::error::{Error, Result};

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Made and never started.
    Created,
    /// Its process runs.
    Running,
    /// It ended and the engine brings it back.
    Returning,
    /// It ended and stays so.
    Ended,
}

/// A port of a container and where the host has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound {
    /// The container's port.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The host's address.
    pub host_address: String,
    /// The host's port.
    pub host: u16,
}

/// A container as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is in its life.
    pub life: Life,
    /// The ports it publishes; empty unless it runs.
    pub ports: Vec<Bound>,
    /// When it was made, in seconds since 1970.
    pub made: Option<i64>,
    /// The networks that it is in, running or not.
    pub networks: Vec<String>,
    /// The volumes that are mounted into it, by name.
    pub volumes: Vec<String>,
}

/// A container as an inspection shows it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its image, as it was asked for.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment, as `NAME=value`.
    pub env: Vec<String>,
    /// Its arguments.
    pub command: Vec<String>,
    /// Where it is in its life.
    pub life: Life,
    /// What its process ended with.
    pub exit_code: i64,
    /// How often the engine brought it back.
    pub restarts: i64,
    /// When it was started last, as the engine writes it.
    pub started_at: String,
    /// Why the engine could not start it.
    pub error: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The ports that are asked for and where the host has them; those of a stopped container if they are fixed.
    pub ports: Vec<Bound>,
    /// Its IPv4 addresses by network; empty unless it runs.
    pub addresses: BTreeMap<String, String>,
    /// Its IPv6 addresses by network; empty unless it runs.
    pub addresses6: BTreeMap<String, String>,
    /// Its other names by network.
    pub aliases: BTreeMap<String, Vec<String>>,
}

impl Engine {
    /// Looks at one container, by name or id; `None` if it is not there.
    pub async fn inspect(&self, name: &str) -> Result<Option<Seen>> {
        let answer = self
            .client
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        Ok(absent(format!("looking at the container {name}"), answer)?.map(seen))
    }

    /// Looks at one container that must be there.
    pub async fn expect(&self, name: &str) -> Result<Seen> {
        self.inspect(name).await?.ok_or_else(|| {
            Error::new(&NO_CONTAINER, format!("the container {name} is not there"))
                .help("run again: what is missing is made anew")
        })
    }

    /// The whole inspection as the engine gives it, for evidence.
    pub async fn inspect_raw(&self, name: &str) -> Result<serde_json::Value> {
        let answer = self
            .client
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        let answer =
            answer.map_err(|cause| fault(format!("looking at the container {name}"), cause))?;
        Ok(serde_json::to_value(answer).unwrap_or_default())
    }

    /// Lists all containers, running or not, that have every one of these labels (`key` or `key=value`), by name.
    pub async fn list(&self, labels: &[&str]) -> Result<Vec<Listed>> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_string()).collect();
        let options = ListContainersOptions {
            all: true,
            filters: (!labels.is_empty()).then(|| HashMap::from([("label".to_string(), labels)])),
            ..ListContainersOptions::default()
        };
        let answer = self.client.list_containers(Some(options)).await;
        let answer = answer.map_err(|cause| fault("listing containers", cause))?;
        let mut all: Vec<Listed> = answer.into_iter().map(listed).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The host's port of a container's TCP port.
    pub async fn published_port(&self, name: &str, port: u16) -> Result<u16> {
        let seen = self.expect(name).await?;
        let bound = seen
            .ports
            .iter()
            .find(|bound| bound.container == port && bound.protocol == "tcp");
        bound.map(|bound| bound.host).ok_or_else(|| {
            Error::new(
                &CONTAINER_ENDED,
                format!("the container {name} does not publish its port {port}"),
            )
            .help(format!("`docker logs {name}` says why it does not run"))
        })
    }
}

fn listed(summary: ContainerSummary) -> Listed {
    let name = summary
        .names
        .unwrap_or_default()
        .into_iter()
        .next()
        .unwrap_or_default();
    let state = summary
        .state
        .map(|state| state.to_string())
        .unwrap_or_default();
    let mut ports: Vec<Bound> = summary
        .ports
        .unwrap_or_default()
        .into_iter()
        .filter_map(|port| {
            Some(Bound {
                container: port.private_port,
                protocol: port.typ.map(|typ| typ.to_string()).unwrap_or_default(),
                host_address: port.ip.unwrap_or_default(),
                host: port.public_port?,
            })
        })
        .collect();
    ports.sort();
    let networks = summary.network_settings.and_then(|all| all.networks);
    let networks = networks
        .unwrap_or_default()
        .into_keys()
        .collect::<BTreeSet<_>>();
    let networks = networks.into_iter().collect();
    let mounts = summary.mounts.unwrap_or_default().into_iter();
    Listed {
        id: summary.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_string(),
        image: summary.image.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        life: life(&state),
        ports,
        made: summary.created,
        networks,
        volumes: mounts.filter_map(|mount| mount.name).collect(),
    }
}

fn life(state: &str) -> Life {
    match state {
        "created" => Life::Created,
        "running" | "paused" => Life::Running,
        "restarting" => Life::Returning,
        _ => Life::Ended,
    }
}

fn seen(answer: ContainerInspectResponse) -> Seen {
    let config = answer.config.unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    let settings = answer.network_settings.unwrap_or_default();
    let networks = settings.networks.unwrap_or_default();
    let asked = answer.host_config.and_then(|host| host.port_bindings);
    let mut ports = bound(&settings.ports.unwrap_or_default());
    if ports.is_empty() {
        ports = bound(&asked.unwrap_or_default());
    }
    let status = state
        .status
        .unwrap_or(ContainerStateStatusEnum::EMPTY)
        .to_string();
    let mut addresses = BTreeMap::new();
    let mut addresses6 = BTreeMap::new();
    let mut aliases = BTreeMap::new();
    for (network, endpoint) in networks.into_iter().collect::<BTreeMap<_, _>>() {
        if let Some(address) = endpoint.ip_address.filter(|address| !address.is_empty()) {
            addresses.insert(network.clone(), address);
        }
        let address6 = endpoint.global_ipv6_address.filter(|a| !a.is_empty());
        if let Some(address) = address6 {
            addresses6.insert(network.clone(), address);
        }
        aliases.insert(network, endpoint.aliases.unwrap_or_default());
    }
    Seen {
        id: answer.id.unwrap_or_default(),
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_string(),
        image: config.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        env: config.env.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        life: life(&status),
        exit_code: state.exit_code.unwrap_or_default(),
        restarts: answer.restart_count.unwrap_or_default(),
        started_at: state.started_at.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        tty: config.tty.unwrap_or_default(),
        ports,
        addresses,
        addresses6,
        aliases,
    }
}

fn bound(map: &PortMap) -> Vec<Bound> {
    let mut all = Vec::new();
    for (key, bindings) in map.iter().collect::<BTreeMap<_, _>>() {
        let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        let Ok(container) = port.parse::<u16>() else {
            continue;
        };
        for binding in bindings.iter().flatten() {
            let host = binding
                .host_port
                .as_deref()
                .and_then(|port| port.parse::<u16>().ok());
            if let Some(host) = host.filter(|port| *port != 0) {
                all.push(Bound {
                    container,
                    protocol: protocol.to_string(),
                    host_address: binding.host_ip.clone().unwrap_or_default(),
                    host,
                });
            }
        }
    }
    all
}
