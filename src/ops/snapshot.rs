//! What clusters hold: saved, put back, and the beginning of others.

use std::path::Path;

use crate::diag::codes::embedded::HOME_EXISTS;
use crate::error::{Error, Result};
use crate::facts::{Facts, State};
use crate::ops::cluster::act;
use crate::spec::ClusterName;
use crate::spec::name::context;
use crate::step::Action;
use crate::world::{Reporter, World};

/// Saves what a cluster holds to a file that is not there yet; a cluster that runs goes on running.
pub async fn save(world: &dyn World, facts: &Facts, file: &Path) -> Result<()> {
    let platform = world.platform(facts.provider)?;
    platform.snapshots()?.save(&facts.context, file).await
}

/// Puts back what a file holds; a cluster that runs is stopped for it and started again.
pub async fn restore(
    world: &dyn World,
    facts: &Facts,
    file: &Path,
    report: &Reporter,
) -> Result<()> {
    let platform = world.platform(facts.provider)?;
    let snapshots = platform.snapshots()?;
    let runs = facts.state == State::Running;
    if runs {
        act(world, facts, &Action::Stop, report).await?;
    }
    let guard = world.memory().lock(&facts.context).await?;
    let done = snapshots.restore(&facts.context, file).await;
    drop(guard);
    // What ran runs again, also if nothing could be put back.
    if runs {
        act(world, facts, &Action::Start, report).await?;
    }
    done
}

/// Makes another cluster that holds what this one holds now; the name of its context.
pub async fn fork(world: &dyn World, facts: &Facts, name: &ClusterName) -> Result<String> {
    let platform = world.platform(facts.provider)?;
    let snapshots = platform.snapshots()?;
    let other = context(name, facts.distribution, facts.provider);
    if platform.observe(&other, name, None).await?.is_some() {
        let message = format!("there is a cluster `{name}` already");
        return Err(Error::new(&HOME_EXISTS, message).help(format!(
            "choose another name, or `ksail cluster delete {name}`"
        )));
    }
    let memory = world.memory();
    let _guard = memory.lock(&other).await?;
    snapshots.fork(&facts.context, &other, name).await?;
    if let Some(recorded) = memory.read(&facts.context).await? {
        memory.write(&other, &recorded).await?;
    }
    let access = platform.kubeconfig(&other).await?;
    world.contexts().merge(&other, &access).await?;
    Ok(other)
}
