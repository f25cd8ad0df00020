//! `ksail cluster delete`.

use std::process::ExitCode;

use crate::axis::Provider;
use crate::cli::display::Display;
use crate::cli::{Context, machine, run as running, show};
use crate::diag::codes::run::NO_SUCH_CLUSTER;
use crate::error::{Error, Result};
use crate::exec::OnFailure;
use crate::facts::Facts;
use crate::ops::{self, fleet};
use crate::runtime::ScriptHooks;
use crate::step::Storage;
use crate::world::World;

const EXAMPLES: &str = "Examples:
  ksail cluster delete dev
  ksail cluster delete ci-1 ci-2 --yes
  ksail cluster delete --all --yes
  ksail cluster delete --all --foreign       also what kind, k3d and kwokctl made
  ksail cluster delete dev --delete-storage  also what its registries hold";

/// Remove clusters.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The clusters, by name or context
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All that ksail made
    #[arg(long)]
    all: bool,
    /// With --all: also those that kind, k3d and kwokctl made
    #[arg(long, requires = "all")]
    foreign: bool,
    /// Remove without asking
    #[arg(long, short = 'y', visible_alias = "force")]
    yes: bool,
    /// Pass over names that no cluster has
    #[arg(long, conflicts_with = "all")]
    if_exists: bool,
    /// Remove also what its registries hold, unless another cluster uses it
    #[arg(long)]
    delete_storage: bool,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let world = machine::world()?;
    machine::block_on(async |cancel| {
        let world: &dyn World = world.as_ref();
        // Not asked, only found: a cluster that hangs can be removed as well.
        let all = ops::cluster::glance(world, args.provider).await?;
        let facts = if args.all {
            let (own, foreign) = chosen(all, args.foreign);
            for facts in &foreign {
                show::note(&format!(
                    "{} was made by another tool and is left alone; name it, or add `--foreign`",
                    facts.context
                ));
            }
            own
        } else {
            let mut facts = Vec::new();
            let mut problems = Vec::new();
            for name in &args.names {
                match ops::cluster::pick(&all, name) {
                    Ok(found) => facts.push(found),
                    Err(problem) if args.if_exists && problem.code().id == NO_SUCH_CLUSTER.id => {}
                    Err(problem) => problems.push(problem),
                }
            }
            // One wrong name removes nothing.
            if let Some(problem) = Error::gather(problems) {
                return Err(problem);
            }
            facts
        };
        if facts.is_empty() {
            show::data("No clusters found.");
            return Ok(());
        }
        let planned = fleet::plan_removal(&facts, Storage::asked(args.delete_storage))?;
        running::consent(world, &planned, args.yes)?;
        let display = Display::new(cx);
        let run = fleet::Run {
            parallel: 16,
            on_failure: OnFailure::Keep,
            listener: display.listener(),
            cancel,
        };
        let result = fleet::perform(world, &planned, &ScriptHooks::new(&[]), &run).await;
        display.finish(&planned.plan, result.is_ok());
        result
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What `--all` means: what ksail made, and what other tools made only if that was asked for. The rest comes second.
fn chosen(all: Vec<Facts>, with_foreign: bool) -> (Vec<Facts>, Vec<Facts>) {
    all.into_iter()
        .partition(|facts| with_foreign || !facts.foreign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Distribution;
    use crate::spec::ClusterName;

    fn facts(name: &str, foreign: bool) -> Facts {
        let (name, context) = (ClusterName::parse(name).unwrap(), format!("kind-{name}"));
        Facts {
            foreign,
            ..Facts::unseen(&name, &context, Distribution::Vanilla, Provider::Docker)
        }
    }

    #[test]
    fn all_means_what_ksail_made() {
        let names = |with_foreign| {
            let all = vec![facts("ours", false), facts("theirs", true)];
            let (own, rest) = chosen(all, with_foreign);
            [own, rest].map(|list| {
                list.iter()
                    .map(|one| one.name.to_string())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(names(false), [vec!["ours"], vec!["theirs"]]);
        assert_eq!(names(true), [vec!["ours", "theirs"], vec![]]);
    }
}
