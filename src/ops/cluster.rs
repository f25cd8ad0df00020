//! Clusters by name: found, listed, switched on and off.

use crate::axis::{Axis, Provider};
use crate::diag::codes::run::{AMBIGUOUS_CLUSTER, NO_SUCH_CLUSTER};
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::step::Action;
use crate::world::{Reporter, Work, World};

/// Looks at every cluster of one provider, or of all.
pub async fn list(world: &dyn World, only: Option<Provider>) -> Result<Vec<Facts>> {
    let mut all = Vec::new();
    for provider in Provider::ALL
        .iter()
        .filter(|provider| only.is_none_or(|only| only == **provider))
    {
        all.extend(world.platform(*provider)?.list().await?);
    }
    let deadlines = world.deadlines();
    for facts in &mut all {
        facts.expires = deadlines.read(&facts.context)?;
    }
    all.sort_by(|a, b| a.context.cmp(&b.context));
    Ok(all)
}

/// Finds a cluster by its name or context.
pub async fn find(world: &dyn World, name: &str, only: Option<Provider>) -> Result<Facts> {
    let all = list(world, only).await?;
    let mut found: Vec<&Facts> = all.iter().filter(|facts| facts.context == name).collect();
    if found.is_empty() {
        found = all
            .iter()
            .filter(|facts| facts.name.as_str() == name)
            .collect();
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let near = suggest::nearest(name, all.iter().map(|facts| facts.name.as_str()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`ksail cluster list` shows those there are".to_string(),
            };
            Err(Error::new(&NO_SUCH_CLUSTER, format!("there is no cluster `{name}`")).help(help))
        }
        several => {
            let contexts = suggest::one_of(several.iter().map(|facts| facts.context.as_str()));
            Err(Error::new(
                &AMBIGUOUS_CLUSTER,
                format!("several clusters are called `{name}`"),
            )
            .help(format!("name one by its context: {contexts}")))
        }
    }
}

/// Does one thing to a cluster, such as switching it on.
pub async fn act(
    world: &dyn World,
    facts: &Facts,
    action: &Action,
    report: &Reporter,
) -> Result<()> {
    let platform = world.platform(facts.provider)?;
    platform.can(action)?;
    let _guard = world.memory().lock(&facts.context).await?;
    let cancel = tokio_util::sync::CancellationToken::new();
    let work = Work {
        name: &facts.name,
        context: &facts.context,
        spec: None,
        action,
        report,
        cancel: &cancel,
    };
    platform.perform(&work).await
}
