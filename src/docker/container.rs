//! Containers: ensured, started, stopped, removed, wired into networks.

use bollard::errors::Error as Cause;
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StartContainerOptions,
    StopContainerOptions, WaitContainerOptions,
};
use futures::StreamExt as _;

use super::fault::fault;
use super::look::Life;
use super::{Engine, body, labels};
use crate::diag::codes::docker::{CONTAINER_DIFFERS, NAME_TAKEN};
use crate::error::{Error, Result};
use crate::step::Container;

/// What ensuring a container came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// It was made now.
    Made(String),
    /// It was there as defined.
    Kept(String),
    /// It is there, belongs to the cluster, and was made from another definition.
    Differs(String),
}

impl Ensured {
    /// The container's id; a container that differs is refused.
    pub fn same(self, name: &str) -> Result<String> {
        match self {
            Self::Made(id) | Self::Kept(id) => Ok(id),
            Self::Differs(_) => Err(Error::new(
                &CONTAINER_DIFFERS,
                format!("the container {name} was made from another definition"),
            )
            .help("delete the cluster and run again")),
        }
    }
}

impl Engine {
    /// Makes the container unless it is there, and puts its files in as long as it was never started. A container of
    /// the same name that carries other ownership labels is never touched.
    pub async fn ensure_container(&self, container: &Container) -> Result<Ensured> {
        let name = &container.name;
        if let Some(there) = self.known(container).await? {
            return Ok(there);
        }
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            platform: self.inner.platform.clone().unwrap_or_default(),
        };
        let made = self
            .client
            .create_container(
                Some(options),
                body::body(container, self.inner.owner.as_deref()),
            )
            .await;
        let id = match made {
            Ok(made) => made.id,
            // Another run, or an answer that got lost: what is there now decides.
            Err(
                cause @ Cause::DockerResponseServerError {
                    status_code: 409, ..
                },
            ) => {
                return match self.known(container).await? {
                    Some(there) => Ok(there),
                    None => Err(fault(format!("making the container {name}"), cause)),
                };
            }
            Err(cause) => return Err(fault(format!("making the container {name}"), cause)),
        };
        self.complete(&id, container).await?;
        Ok(Ensured::Made(id))
    }

    /// The container if it is there already, completed where an earlier run was cut off.
    async fn known(&self, container: &Container) -> Result<Option<Ensured>> {
        let Some(seen) = self.inspect(&container.name).await? else {
            return Ok(None);
        };
        let owner = |all: &std::collections::BTreeMap<String, String>| {
            (
                all.get(labels::CLUSTER).cloned(),
                all.get(labels::SHARED).cloned(),
            )
        };
        if owner(&seen.labels) != owner(&container.labels) || owner(&seen.labels) == (None, None) {
            let message = format!(
                "a container named {} is there and does not belong to this cluster",
                container.name
            );
            return Err(Error::new(&NAME_TAKEN, message).help(
                "remove or rename it, or give the cluster another name; ksail never touches it",
            ));
        }
        if seen.labels.get(labels::DIGEST) != Some(&body::digest(container)) {
            return Ok(Some(Ensured::Differs(seen.id)));
        }
        if seen.life == Life::Created {
            self.complete(&seen.id, container).await?;
        }
        Ok(Some(Ensured::Kept(seen.id)))
    }

    /// The networks beside the first, and the files.
    async fn complete(&self, id: &str, container: &Container) -> Result<()> {
        for attachment in container.networks.iter().skip(1) {
            self.connect_network(id, attachment).await?;
        }
        self.put_files(id, &container.files).await
    }

    /// Puts a container into one more network; being there already is fine.
    pub async fn connect_network(
        &self,
        container: &str,
        attachment: &crate::step::Attachment,
    ) -> Result<()> {
        let request = NetworkConnectRequest {
            container: container.to_string(),
            endpoint_config: Some(body::endpoint(attachment)),
        };
        match self
            .client
            .connect_network(&attachment.network, request)
            .await
        {
            Err(Cause::DockerResponseServerError { message, .. })
                if message.contains("already exists in network") =>
            {
                Ok(())
            }
            Err(cause) => Err(fault(
                format!(
                    "putting {container} into the network {}",
                    attachment.network
                ),
                cause,
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Starts a container; one that runs is fine.
    pub async fn start(&self, name: &str) -> Result<()> {
        let answer = self
            .client
            .start_container(name, None::<StartContainerOptions>)
            .await;
        answer.map_err(|cause| fault(format!("starting the container {name}"), cause))
    }

    /// Waits until a container has ended and gives what its process ended with.
    pub async fn finish(&self, name: &str) -> Result<i64> {
        let mut answers = self
            .client
            .wait_container(name, None::<WaitContainerOptions>);
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(Cause::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(cause)) => Err(fault(format!("waiting for the end of {name}"), cause)),
            None => Err(self.ended(name).await),
        }
    }

    /// Stops a container, killing it after so many seconds; one that is stopped or gone is fine.
    pub async fn stop(&self, name: &str, seconds: i32) -> Result<()> {
        let options = StopContainerOptions {
            t: Some(seconds),
            ..StopContainerOptions::default()
        };
        gone_is_fine(
            self.client.stop_container(name, Some(options)).await,
            || format!("stopping the container {name}"),
        )
    }

    /// Sends a signal to a container; one that is stopped or gone is fine.
    pub async fn kill(&self, name: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptions {
            signal: signal.to_string(),
        };
        match self.client.kill_container(name, Some(options)).await {
            Err(Cause::DockerResponseServerError {
                status_code: 409, ..
            }) => Ok(()),
            answer => gone_is_fine(answer, || format!("signalling the container {name}")),
        }
    }

    /// Removes a container, running or not, with its anonymous volumes; one that is gone or going is fine.
    pub async fn remove(&self, name: &str) -> Result<()> {
        match self.remove_now(name).await {
            // What somebody froze in it does not even end when it is killed.
            Err(Cause::DockerResponseServerError { message, .. })
                if message.contains("did not receive an exit event") =>
            {
                // Whatever comes of it shows at once.
                let _ = self.thaw(name).await;
                let answer = self.remove_now(name).await;
                gone_is_fine(answer, || format!("removing the container {name}"))
            }
            answer => gone_is_fine(answer, || format!("removing the container {name}")),
        }
    }

    /// Removes a container as it is.
    pub(super) async fn remove_now(&self, name: &str) -> std::result::Result<(), Cause> {
        let options = RemoveContainerOptions {
            v: true,
            force: true,
            link: false,
        };
        match self.client.remove_container(name, Some(options)).await {
            Err(Cause::DockerResponseServerError {
                status_code: 409,
                message,
            }) if message.contains("already in progress") => Ok(()),
            answer => answer,
        }
    }
}

fn gone_is_fine(answer: Result<(), Cause>, what: impl FnOnce() -> String) -> Result<()> {
    match answer {
        Err(Cause::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        Err(cause) => Err(fault(what(), cause)),
        Ok(()) => Ok(()),
    }
}
