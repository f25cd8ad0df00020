//! Fleets: plan what differs, carry it out, remove it.

use std::sync::Arc;

use futures::{StreamExt as _, TryFutureExt as _};
use tokio_util::sync::CancellationToken;

use crate::diag::Label;
use crate::diag::codes::plan::{DENIED, WANTS_CONSENT};
use crate::error::{Error, Result};
use crate::exec::{self, OnFailure};
use crate::facts::Facts;
use crate::plan::{self, Change, ClusterPlan, Plan, Ruling};
use crate::spec::Spec;
use crate::step::Storage;
use crate::world::{Hooks, Listener, World};

/// How many clusters are looked at at once.
const LOOKS: usize = 16;

/// Rules on the changes of one cluster; called from the thread that plans.
pub trait Policies: Send + Sync {
    /// Rules on one change.
    fn rule(&self, spec: &Spec, change: &Change) -> Result<Ruling>;
}

/// The policies of clusters that have none.
#[derive(Debug, Default)]
pub struct Defaults;

impl Policies for Defaults {
    fn rule(&self, _: &Spec, change: &Change) -> Result<Ruling> {
        Ok(Ruling::default_for(change))
    }
}

/// A cluster as a script defines it.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The definition, checked.
    pub spec: Spec,
    /// Where the script says so; every problem with the cluster points there.
    pub place: Option<Label>,
}

/// Has a problem point at the definition, where there is one.
fn blame(wanted: Option<&Wanted>, problem: Error) -> Error {
    match wanted.and_then(|wanted| wanted.place.as_ref()) {
        Some(place) if problem.labels().is_empty() => problem.label(Label {
            text: "this cluster".into(),
            ..place.clone()
        }),
        _ => problem,
    }
}

/// What is to happen to the clusters of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// They are brought to their definition.
    Ensure,
    /// They are removed.
    Remove(Storage),
}

/// How a plan is carried out.
pub struct Run {
    /// How many clusters are worked on at once.
    pub parallel: usize,
    /// What happens to a half-made cluster.
    pub on_failure: OnFailure,
    /// Shows what happens.
    pub listener: Arc<dyn Listener>,
    /// Whether to stop.
    pub cancel: CancellationToken,
}

/// A fleet with its plan: what [`perform`] carries out.
pub struct Planned {
    /// What happens to each cluster.
    pub plan: Plan,
    /// The definitions, in the plan's order; `None` for a cluster that is known by name only.
    wanted: Vec<Option<Wanted>>,
    /// Whether each was not there when it was planned.
    new: Vec<bool>,
}

/// Looks at every cluster of a definition and plans what differs; all problems are told.
pub async fn plan(
    world: &dyn World,
    clusters: Vec<Wanted>,
    goal: Goal,
    policies: &dyn Policies,
) -> Result<Planned> {
    let looks = clusters.iter().map(|wanted| observe(world, &wanted.spec));
    let facts: Vec<Result<Option<Facts>>> =
        futures::stream::iter(looks).buffered(LOOKS).collect().await;
    let mut planned = Planned {
        plan: Plan::default(),
        wanted: Vec::new(),
        new: Vec::new(),
    };
    let mut problems = Vec::new();
    for (wanted, facts) in clusters.into_iter().zip(facts) {
        let spec = &wanted.spec;
        let rule = |change: &Change| policies.rule(spec, change);
        let outcome = facts.and_then(|facts| {
            let plan = match (goal, &facts) {
                (Goal::Ensure, facts) => Some(plan::cluster(spec, facts.as_ref(), &rule)?),
                (Goal::Remove(storage), Some(facts)) => {
                    Some(plan::retire(facts, Some(spec), storage, &rule)?)
                }
                (Goal::Remove(_), None) => None,
            };
            Ok((plan, facts.is_none()))
        });
        match outcome {
            Ok((Some(plan), is_new)) => {
                planned.plan.clusters.push(plan);
                planned.wanted.push(Some(wanted));
                planned.new.push(is_new);
            }
            Ok((None, _)) => {}
            Err(problem) => {
                let problem = problem.within(format!("cluster {}", spec.name));
                problems.push(blame(Some(&wanted), problem));
            }
        }
    }
    match Error::gather(problems) {
        Some(problem) => Err(problem),
        None => Ok(planned),
    }
}

/// Plans the removal of clusters that are known by what is there.
pub fn plan_removal(facts: &[Facts], storage: Storage) -> Result<Planned> {
    let mut planned = Planned {
        plan: Plan::default(),
        wanted: Vec::new(),
        new: Vec::new(),
    };
    for facts in facts {
        let rule = |change: &Change| Ok(Ruling::default_for(change));
        planned
            .plan
            .clusters
            .push(plan::retire(facts, None, storage, &rule)?);
        planned.wanted.push(None);
        planned.new.push(false);
    }
    Ok(planned)
}

/// Holds that a plan may be carried out: nothing is denied, every step can be done, and consent is given where it is wanted.
pub fn admit(world: &dyn World, planned: &Planned, has_consent: bool) -> Result<()> {
    let clusters = planned.plan.clusters.iter().zip(&planned.wanted);
    let problems = clusters.flat_map(|(cluster, wanted)| {
        obstacles(world, cluster, has_consent)
            .into_iter()
            .map(|problem| blame(wanted.as_ref(), problem))
    });
    Error::gather(problems).map_or(Ok(()), Err)
}

/// What stands in the way of one cluster's plan.
fn obstacles(world: &dyn World, cluster: &ClusterPlan, has_consent: bool) -> Vec<Error> {
    let mut problems: Vec<Error> = cluster
        .denied()
        .map(|ruled| denied(cluster, &ruled.change, &ruled.ruling))
        .collect();
    problems.extend(exec::can(world, cluster).err());
    if !has_consent {
        problems.extend(
            cluster
                .wants_consent()
                .map(|ruled| wants_consent(cluster, &ruled.change, &ruled.ruling)),
        );
    }
    problems
}

/// Carries a plan out, clusters side by side; one that fails does not stop the others.
pub async fn perform(
    world: &dyn World,
    planned: &Planned,
    hooks: &dyn Hooks,
    run: &Run,
) -> Result<()> {
    let context = exec::Context {
        world,
        hooks,
        listener: run.listener.clone(),
        cancel: run.cancel.clone(),
        on_failure: run.on_failure,
    };
    let clusters = planned.plan.clusters.iter();
    let work = clusters
        .zip(&planned.wanted)
        .zip(&planned.new)
        .map(|((plan, wanted), is_new)| {
            let spec = wanted.as_ref().map(|wanted| &wanted.spec);
            exec::run(&context, plan, spec, *is_new)
                .map_err(|problem| blame(wanted.as_ref(), problem))
        });
    let results: Vec<Result<()>> = futures::stream::iter(work)
        .buffer_unordered(run.parallel.max(1))
        .collect()
        .await;
    match Error::gather(results.into_iter().filter_map(Result::err)) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

async fn observe(world: &dyn World, spec: &Spec) -> Result<Option<Facts>> {
    let context = spec.context();
    let mut facts = world
        .platform(spec.provider.kind)?
        .observe(&context, &spec.name, Some(spec))
        .await?;
    if let Some(facts) = &mut facts {
        facts.expires = world.deadlines().read(&context)?;
    }
    Ok(facts)
}

fn denied(cluster: &ClusterPlan, change: &Change, ruling: &Ruling) -> Error {
    let why = match ruling {
        Ruling::Deny { why } => why.as_str(),
        _ => "",
    };
    let message = format!(
        "cluster {}: the policy denies the change of `{}`: {why}",
        cluster.name, change.path
    );
    Error::new(&DENIED, message)
        .help("change the definition back, or its policy; `ksail plan` shows every change")
}

fn wants_consent(cluster: &ClusterPlan, change: &Change, ruling: &Ruling) -> Error {
    let why = match ruling {
        Ruling::Confirm { why } => why.as_str(),
        _ => "",
    };
    let message = format!(
        "cluster {}: the change of `{}` wants consent: {why}",
        cluster.name, change.path
    );
    Error::new(&WANTS_CONSENT, message).help("read `ksail plan`, then add `--yes`")
}
