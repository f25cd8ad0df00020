//! What is found out or decided once for a cluster. Its containers' labels remember it, so that a later run goes on
//! with the same token and port.

use std::net::TcpListener;

use tokio::sync::{Mutex, OnceCell};

use super::Job;
use crate::diag::codes::docker::{NAME_TAKEN, PORT_TAKEN};
use crate::distribution::k3s::label::{API_PORT, TOKEN};
use crate::distribution::k3s::{Definition, Given, Shared};
use crate::docker::{self, Life, labels};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The label of a network that was made with its range.
pub(super) const FIXED: &str = "ksail.dev/fixed";
/// How many letters a token has.
const LETTERS: usize = 20;

/// What the steps of a run share of one cluster.
#[derive(Default)]
pub(super) struct Cluster {
    given: Mutex<OnceCell<(Given, bool)>>,
    /// Held while the load balancer's file is written.
    pub(super) balancer: Mutex<()>,
}

impl Cluster {
    /// What is decided, decided now if it was not.
    pub(super) async fn given(&self, job: &Job<'_>) -> Result<Given> {
        self.found(job).await.map(|(given, _)| given)
    }

    /// Whether a server was running already when this run came.
    pub(super) async fn was_running(&self, job: &Job<'_>) -> Result<bool> {
        self.found(job).await.map(|(_, was_running)| was_running)
    }

    async fn found(&self, job: &Job<'_>) -> Result<(Given, bool)> {
        let given = self.given.lock().await;
        given.get_or_try_init(|| find(job)).await.cloned()
    }

    /// Takes another port, for the one there was is used by something else.
    pub(super) async fn move_port(&self) -> Result<()> {
        let mut given = self.given.lock().await;
        if let Some((given, _)) = given.get_mut() {
            given.api_port = free_port()?;
        }
        Ok(())
    }
}

async fn find(job: &Job<'_>) -> Result<(Given, bool)> {
    let definition = Definition::of(job.spec()?);
    let (members, network, info) =
        tokio::try_join!(job.members(), network(job, definition), job.engine.info())?;
    let known = |key: &str| members.iter().find_map(|one| one.labels.get(key)).cloned();
    let token = match definition.token().or_else(|| known(TOKEN).map(Secret::new)) {
        Some(token) => token,
        None => new_token()?,
    };
    let (address, asked, host) = definition.api();
    let port = asked.or_else(|| known(API_PORT)?.parse().ok());
    let api_host = match host {
        Some(host) => host.to_string(),
        None if address == "0.0.0.0" => docker::remote(&info.address).unwrap_or(address),
        None => address,
    };
    let was_running = members
        .iter()
        .any(|one| one.life == Life::Running && one.labels.contains_key(API_PORT));
    let given = Given {
        token,
        api_port: port.map_or_else(free_port, Ok)?,
        api_host,
        network,
        has_cgroup2: info.cgroups == "2",
    };
    Ok((given, was_running))
}

async fn network(job: &Job<'_>, definition: Definition<'_>) -> Result<Shared> {
    let name = definition.network();
    let gone = || {
        Error::new(
            &NAME_TAKEN,
            format!("the network {name} went away in the middle"),
        )
        .help("run again: what is missing is made anew")
    };
    let (id, labels, subnet) = tokio::try_join!(
        job.engine.network_id(&name),
        job.engine.network_labels(&name),
        job.engine.network_subnet(&name)
    )?;
    let (range, gateway) = subnet.unwrap_or_default();
    let labels = labels.unwrap_or_default();
    let is_own = labels
        .get(labels::NAME)
        .is_some_and(|owner| owner == job.name());
    Ok(Shared {
        is_fixed: labels.contains_key(FIXED),
        id: id.ok_or_else(gone)?,
        gateway: if gateway.is_empty() {
            first_address(&range)
        } else {
            gateway
        },
        range,
        is_external: !is_own,
    })
}

/// The host's address in a network that names none: engines take the first.
fn first_address(range: &str) -> String {
    let base = range
        .split('/')
        .next()
        .and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
    base.and_then(|base| u32::from(base).checked_add(1))
        .map(|first| std::net::Ipv4Addr::from(first).to_string())
        .unwrap_or_default()
}

fn new_token() -> Result<Secret> {
    const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl";
    let mut bytes = [0_u8; LETTERS];
    getrandom::fill(&mut bytes).map_err(|cause| {
        Error::new(
            &crate::diag::codes::docker::ENGINE_FAILED,
            "this machine gives no random numbers for a token",
        )
        .because(cause.to_string())
    })?;
    let letters = bytes
        .iter()
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 64)))
        .map(|letter| char::from(*letter));
    Ok(Secret::new(letters.collect::<String>()))
}

/// A port that is free now. Whoever takes it before the container starts is noticed then, and another one is tried.
fn free_port() -> Result<u16> {
    let found = TcpListener::bind("0.0.0.0:0").and_then(|socket| socket.local_addr());
    found.map(|address| address.port()).map_err(|cause| {
        Error::new(&PORT_TAKEN, "no free port was found for the API")
            .because(cause)
            .help("name one: `config: #{ kubeAPI: #{ hostPort: 6550 } }`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_twenty_letters_and_never_the_same() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(one.expose().len(), LETTERS);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_alphabetic()));
        assert_ne!(one, two);
    }

    #[test]
    fn the_host_has_the_first_address() {
        assert_eq!(first_address("172.18.0.0/16"), "172.18.0.1");
        assert_eq!(first_address(""), "");
    }
}
