//! Carrying out plans: steps side by side where they can, one retry policy, roll back of what this run began.

mod retry;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::diag::codes::run::CANCELLED;
use crate::error::{Error, Result};
use crate::facts::Recorded;
use crate::plan::{ClusterPlan, Verb};
use crate::spec::Spec;
use crate::step::{Action, Step, Storage};
use crate::world::{Happening, Hooks, Listener, Note, Platform, Reporter, Work, World};

/// How a plan is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// A cluster that this run began to make is taken back.
    #[default]
    RollBack,
    /// It is left for a look.
    Keep,
}

/// What execution needs beside the plan.
pub struct Context<'a> {
    /// Everything outside.
    pub world: &'a dyn World,
    /// Calls the script back.
    pub hooks: &'a dyn Hooks,
    /// Shows what happens.
    pub listener: Arc<dyn Listener>,
    /// Whether to stop.
    pub cancel: CancellationToken,
    /// What happens to a half-made cluster.
    pub on_failure: OnFailure,
}

/// Carries out the plan of one cluster. `is_new` says that nothing was there when it was planned.
pub async fn run(
    cx: &Context<'_>,
    plan: &ClusterPlan,
    spec: Option<&Spec>,
    is_new: bool,
) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    let report = Reporter::new(cx.listener.clone(), plan.context.clone());
    let began = Instant::now();
    takes_context(cx, plan).await?;
    let _guard = cx.world.memory().lock(&plan.context).await?;
    report.tell(Happening::ClusterStarted {
        verb: plan.verb.word().into(),
        steps: plan.steps.len(),
    });
    match steps(cx, plan, spec, &report).await {
        Ok(()) => {
            report.tell(Happening::ClusterDone {
                took: began.elapsed(),
            });
            Ok(())
        }
        Err(error) => {
            let (message, code) = (error.to_string(), error.code().id.to_string());
            report.tell(Happening::ClusterFailed { message, code });
            if is_new && plan.verb == Verb::Create && cx.on_failure == OnFailure::RollBack {
                report.tell(Happening::RollingBack);
                if let Err(problem) = roll_back(cx, plan, &report).await {
                    return Err(error.also([problem]));
                }
            }
            Err(error)
        }
    }
}

/// Holds that the kubeconfig can be read before anything is made that is to be written there.
async fn takes_context(cx: &Context<'_>, plan: &ClusterPlan) -> Result<()> {
    let is_entry = |step: &&Step| matches!(step.action, Action::Kubeconfig { .. });
    let Some(step) = plan.steps.iter().find(is_entry) else {
        return Ok(());
    };
    let contexts = cx.world.contexts();
    let seen = contexts.leads_to(&plan.context, "").await;
    seen.map(|_| ())
        .map_err(|error| error.within(format!("{}: {}", plan.name, step.title)))
}

/// Says whether every step of a plan can be carried out at all; asked before anything is touched.
pub fn can(world: &dyn World, plan: &ClusterPlan) -> Result<()> {
    if plan.is_empty() {
        return Ok(());
    }
    let every_step = || {
        let platform = world.platform(plan.provider)?;
        platform.makes(plan.distribution)?;
        let actions = plan.steps.iter().map(|step| &step.action);
        let problems = actions.filter_map(|action| platform.can(action).err());
        Error::gather(problems).map_or(Ok(()), Err)
    };
    every_step().map_err(|problem: Error| problem.within(format!("cluster {}", plan.name)))
}

async fn steps(
    cx: &Context<'_>,
    plan: &ClusterPlan,
    spec: Option<&Spec>,
    report: &Reporter,
) -> Result<()> {
    let platform = cx.world.platform(plan.provider)?;
    let mut waiting: Vec<&Step> = plan.steps.iter().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut running = FuturesUnordered::new();
    let mut problem: Option<Error> = None;
    loop {
        if problem.is_none() && !cx.cancel.is_cancelled() {
            let is_ready = |step: &&Step| step.after.iter().all(|id| done.contains(id.as_str()));
            let (ready, rest): (Vec<&Step>, Vec<&Step>) = waiting.into_iter().partition(is_ready);
            waiting = rest;
            running.extend(
                ready
                    .into_iter()
                    .map(|step| one(cx, plan, spec, platform.as_ref(), step, report)),
            );
        }
        match running.next().await {
            Some((step, Ok(()))) => {
                let step: &Step = step;
                done.insert(step.id.as_str());
            }
            Some((_, Err(error))) => {
                problem = Some(match problem.take() {
                    None => error,
                    Some(first) => first.also([error]),
                });
            }
            None => break,
        }
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    if waiting.is_empty() {
        return Ok(());
    }
    let left: Vec<&str> = waiting.iter().map(|step| step.title.as_str()).collect();
    Err(
        Error::new(&CANCELLED, format!("cancelled before: {}", left.join(", ")))
            .help("run again to continue"),
    )
}

/// One step, with retries, told and noted.
async fn one<'a>(
    cx: &'a Context<'_>,
    plan: &'a ClusterPlan,
    spec: Option<&'a Spec>,
    platform: &'a dyn Platform,
    step: &'a Step,
    report: &'a Reporter,
) -> (&'a Step, Result<()>) {
    let report = report.step(&step.id);
    let began = Instant::now();
    note(cx, plan, step, "begun", None);
    report.tell(Happening::StepStarted {
        title: step.title.clone(),
    });
    let mut attempt = 1;
    let result = loop {
        let result = perform(cx, plan, spec, platform, &step.action, &report).await;
        match result {
            Err(error) if retry::again(&error, attempt) && !cx.cancel.is_cancelled() => {
                attempt += 1;
                report.tell(Happening::Retrying {
                    message: error.to_string(),
                    attempt,
                });
                retry::pause(attempt, &cx.cancel).await;
            }
            result => break result,
        }
    };
    match &result {
        Ok(()) => {
            note(cx, plan, step, "done", None);
            report.tell(Happening::StepDone {
                took: began.elapsed(),
            });
        }
        Err(error) => {
            note(cx, plan, step, "failed", Some(error.message()));
            report.tell(Happening::StepFailed {
                message: error.to_string(),
            });
        }
    }
    (
        step,
        result.map_err(|error| error.within(format!("{}: {}", plan.name, step.title))),
    )
}

async fn perform(
    cx: &Context<'_>,
    plan: &ClusterPlan,
    spec: Option<&Spec>,
    platform: &dyn Platform,
    action: &Action,
    report: &Reporter,
) -> Result<()> {
    let context = plan.context.as_str();
    match action {
        Action::Hook { hook } => match spec {
            Some(spec) => cx.hooks.call(spec, *hook, report).await,
            None => Ok(()),
        },
        Action::Kubeconfig { context } => {
            let access = platform.kubeconfig(context).await?;
            cx.world.contexts().merge(context, &access).await
        }
        Action::RemoveKubeconfig { context } => cx.world.contexts().remove(context).await,
        Action::Record { recorded } => cx.world.memory().write(context, recorded).await,
        Action::Expire { after } => cx.world.deadlines().set(context, *after).await,
        Action::Forget => cx.world.memory().forget(context).await,
        action => {
            let work = Work {
                name: &plan.name,
                context,
                spec,
                action,
                report,
                cancel: &cx.cancel,
            };
            if plan.verb == Verb::Recreate && matches!(action, Action::Remove { .. }) {
                return replace(cx, platform, &work).await;
            }
            platform.perform(&work).await
        }
    }
}

/// Removes what is about to be made anew. It is written down that this was begun, so that a run that goes on after this one
/// was cut off neither takes what is left for a cluster nor asks for consent again.
async fn replace(cx: &Context<'_>, platform: &dyn Platform, work: &Work<'_>) -> Result<()> {
    let memory = cx.world.memory();
    let begun = Recorded {
        replaced: true,
        ..Recorded::default()
    };
    memory.write(work.context, &begun).await?;
    platform.perform(work).await?;
    memory.write(work.context, &Recorded::default()).await
}

/// Takes back what a creation began; each part is tried even if another fails.
async fn roll_back(cx: &Context<'_>, plan: &ClusterPlan, report: &Reporter) -> Result<()> {
    let platform = cx.world.platform(plan.provider)?;
    let work = Work {
        name: &plan.name,
        context: &plan.context,
        spec: None,
        action: &Action::Remove {
            storage: Storage::Keep,
        },
        report,
        // The way back is gone to its end even when the way forth was cancelled.
        cancel: &CancellationToken::new(),
    };
    let removed = platform.perform(&work).await;
    let unmerged = cx.world.contexts().remove(&plan.context).await;
    removed.and(unmerged)?;
    cx.world.memory().forget(&plan.context).await
}

fn note(cx: &Context<'_>, plan: &ClusterPlan, step: &Step, state: &str, problem: Option<&str>) {
    // The journal goes with the cluster's folder; a note after that would bring the folder back.
    if matches!(step.action, Action::Forget) || (plan.verb == Verb::Delete && state != "begun") {
        return;
    }
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let at = u64::try_from(at).unwrap_or(u64::MAX);
    cx.world.memory().note(
        &plan.context,
        &Note {
            at,
            step: &step.id,
            state,
            problem,
        },
    );
}
