//! Leftovers: found wherever ksail puts things, and removed.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::ops::cluster;
use crate::provider::{Leftover, Thing};
use crate::world::World as _;
use crate::world::real::Machine;

/// What the contexts of clusters on this machine begin with.
const LOCAL: &[&str] = &["embedded-", "kind-", "k3d-", "kwok-"];

/// Everything that belongs to a cluster that is gone; in the order in which it can be removed.
pub async fn find(machine: &Machine) -> Result<Vec<Leftover>> {
    // Without its engine a cluster on Docker looks gone and is not.
    let has_engine = machine.docker().engine().await.is_ok();
    let mut found = if has_engine {
        machine.docker().leftovers().await?
    } else {
        Vec::new()
    };
    let known = cluster::list(machine, None).await?;
    let known: BTreeSet<String> = known.into_iter().map(|facts| facts.context).collect();
    let is_gone = |context: &String| {
        let is_looked_at = has_engine || context.starts_with("embedded-");
        let is_ours = LOCAL.iter().any(|prefix| context.starts_with(prefix));
        is_looked_at && is_ours && !known.contains(context)
    };
    for (thing, contexts) in [
        (Thing::Folder, machine.state().contexts()?),
        (Thing::Context, machine.files().local()?),
    ] {
        for context in contexts.into_iter().filter(is_gone) {
            if machine.memory().lock(&context).await.is_ok() || thing == Thing::Context {
                found.push(Leftover {
                    thing,
                    name: context.clone(),
                    cluster: context,
                });
            }
        }
    }
    Ok(found)
}

/// Removes one of them.
pub async fn remove(machine: &Machine, leftover: &Leftover) -> Result<()> {
    match leftover.thing {
        Thing::Folder => machine.memory().forget(&leftover.name).await,
        Thing::Context => machine.contexts().remove(&leftover.name).await,
        _ => machine.docker().remove_leftover(leftover).await,
    }
}
