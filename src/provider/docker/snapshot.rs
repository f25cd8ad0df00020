//! What clusters on Docker hold: saved, put back, and the beginning of others, where a distribution can do that.
//!
//! Finding the cluster, files and rolling back are here; how it is done is the [`Maker`](super::Maker)'s.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tokio_util::sync::CancellationToken;

use super::{Docker, Job, Maker};
use crate::axis::Axis as _;
use crate::diag::codes::docker::{BAD_SNAPSHOT, NO_CONTAINER, NO_SNAPSHOT};
use crate::error::{Error, Result};
use crate::spec::ClusterName;
use crate::step::{Action, Storage};
use crate::world::{Memory as _, Reporter, Silent, Snapshots, Work};

impl Docker {
    /// The cluster of a context, with whoever makes it.
    async fn whose(&self, context: &str) -> Result<(&dyn Maker, ClusterName)> {
        let engine = self.engines.of(context, None).await?;
        let containers = engine.list(&[]).await?;
        for maker in &self.makers {
            let mut names = containers.iter().filter_map(|one| maker.cluster_of(one));
            if let Some(name) = names.find(|name| maker.context(name) == context) {
                return Ok((maker.as_ref(), ClusterName::parse(&name)?));
            }
        }
        Err(
            Error::new(&NO_CONTAINER, format!("no container of {context} is there"))
                .help("run the definition again: what is missing is made anew"),
        )
    }

    /// Does something with a cluster that is known by its context.
    async fn with<T>(
        &self,
        context: &str,
        name: &ClusterName,
        maker: &dyn Maker,
        act: impl AsyncFnOnce(&Job<'_>) -> Result<T>,
    ) -> Result<T> {
        let report = Reporter::new(Arc::new(Silent), context.to_string());
        let work = Work {
            name,
            context,
            spec: None,
            action: &Action::Start,
            report: &report,
            cancel: &CancellationToken::new(),
        };
        let engine = self.engines.of(context, None).await?;
        act(&Job {
            engine: &engine,
            work: &work,
            maker,
            known: Arc::default(),
        })
        .await
    }
}

impl Snapshots for Docker {
    fn save<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>> {
        async move {
            let (maker, name) = self.whose(context).await?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            // Opened first: a file that is there already is found out before the cluster is asked for anything.
            let open = options.open(file).map_err(|cause| broken(file, cause))?;
            let saved = self
                .with(context, &name, maker, async |job| {
                    maker.save(job, open).await
                })
                .await;
            if saved.is_err() {
                // Half a snapshot helps nobody, and would be in the way of the next one.
                let _ = std::fs::remove_file(file);
            }
            saved
        }
        .boxed()
    }

    fn restore<'a>(&'a self, context: &'a str, file: &'a Path) -> BoxFuture<'a, Result<()>> {
        async move {
            let (maker, name) = self.whose(context).await?;
            // Known before the cluster is touched.
            std::fs::File::open(file).map_err(|cause| broken(file, cause))?;
            self.with(context, &name, maker, async |job| {
                maker.restore(job, file).await
            })
            .await
        }
        .boxed()
    }

    fn fork<'a>(
        &'a self,
        context: &'a str,
        other: &'a str,
        name: &'a ClusterName,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let (maker, from) = self.whose(context).await?;
            self.engines.follow(context, other)?;
            let forked = self
                .with(context, &from, maker, async |job| {
                    self.with(other, name, maker, async |new| {
                        match maker.fork(job, new).await {
                            Ok(()) => Ok(()),
                            // What was begun was nobody's before, so that all of it goes.
                            Err(problem) => match new.remove(Storage::Keep).await {
                                Ok(()) => Err(problem),
                                Err(also) => Err(problem.also([also])),
                            },
                        }
                    })
                    .await
                })
                .await;
            if forked.is_err() {
                let _ = self.store.forget(other).await;
            }
            forked
        }
        .boxed()
    }
}

/// Says that a cluster is more than what its API holds.
pub(super) fn whole(job: &Job<'_>) -> Error {
    let kind = job.maker.distribution();
    let message = format!(
        "{} is {} on Docker, whose nodes hold more than a snapshot would save",
        job.name(),
        kind.name()
    );
    Error::new(&NO_SNAPSHOT, message)
        .help("run its definition under another name, or use KWOK or `provider: embedded()`")
}

fn broken(file: &Path, cause: std::io::Error) -> Error {
    let message = format!("the snapshot {} cannot be used", file.display());
    Error::new(&BAD_SNAPSHOT, message)
        .because(cause)
        .help("name another file")
}
