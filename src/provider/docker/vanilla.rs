//! Vanilla on Docker.

use futures::future::{BoxFuture, FutureExt as _, try_join_all};

use super::{Job, Maker};
use crate::axis::Distribution;
use crate::diag::codes::model::NOT_THERE_YET;
use crate::docker::{Engine, Listed};
use crate::error::{Error, Result};
use crate::step::{Network, Node};
use crate::world::Access;

/// The label with the cluster's name.
const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label with a node's role.
const ROLE: &str = "io.x-k8s.kind.role";

/// Makes clusters that kind could have made.
pub(super) struct Vanilla;

impl Vanilla {
    fn cannot(&self) -> Error {
        Error::new(&NOT_THERE_YET, "Vanilla cannot be made on Docker yet").help(
            "run the same definition simulated: add `--simulate`, or use `provider: embedded()`",
        )
    }
}

impl Maker for Vanilla {
    fn distribution(&self) -> Distribution {
        Distribution::Vanilla
    }

    fn cluster_of(&self, container: &Listed) -> Option<String> {
        container.labels.get(CLUSTER).cloned()
    }

    fn is_control_plane(&self, container: &Listed) -> bool {
        container
            .labels
            .get(ROLE)
            .is_some_and(|role| role == "control-plane")
    }

    fn network(&self, _: &Job<'_>, name: &str) -> Network {
        Network {
            name: name.to_string(),
            ..Network::default()
        }
    }

    fn machine<'a>(&'a self, _: &'a Job<'a>, _: &'a Node, _: &'a str) -> BoxFuture<'a, Result<()>> {
        async { Err(self.cannot()) }.boxed()
    }

    fn bootstrap<'a>(&'a self, _: &'a Job<'a>, _: &'a str) -> BoxFuture<'a, Result<()>> {
        async { Err(self.cannot()) }.boxed()
    }

    fn join<'a>(&'a self, _: &'a Job<'a>, _: &'a str) -> BoxFuture<'a, Result<()>> {
        async { Err(self.cannot()) }.boxed()
    }

    fn remove_machine<'a>(&'a self, _: &'a Job<'a>, _: &'a str) -> BoxFuture<'a, Result<()>> {
        async { Err(self.cannot()) }.boxed()
    }

    fn access<'a>(
        &'a self,
        _: &'a Engine,
        _: &'a str,
        _: &'a [Listed],
    ) -> BoxFuture<'a, Result<Access>> {
        async { Err(self.cannot()) }.boxed()
    }

    fn start<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        async move {
            try_join_all(members.iter().map(|one| job.engine.start(&one.id)))
                .await
                .map(|_| ())
        }
        .boxed()
    }

    fn stop<'a>(&'a self, job: &'a Job<'a>, members: &'a [Listed]) -> BoxFuture<'a, Result<()>> {
        async move {
            try_join_all(members.iter().map(|one| job.engine.stop(&one.id, 10)))
                .await
                .map(|_| ())
        }
        .boxed()
    }
}
