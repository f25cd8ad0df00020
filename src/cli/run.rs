//! `ksail run`: plan, admit, perform, show.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::display::Display;
use super::removal::Removal;
use super::scripted::Source;
use super::{Context, Output, machine, show};
use crate::diag::codes::command::CANNOT_WRITE;
use crate::diag::codes::language::NO_SUCH_TASK;
use crate::diag::codes::plan::PLAN_UNREADABLE;
use crate::diag::codes::run::HOOK_FAILED;
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::exec::OnFailure;
use crate::ops::fleet::{self, Goal, Planned, Run};
use crate::plan::{self, Saved};
use crate::runtime::{ScriptHooks, ScriptPolicies, now};
use crate::script::{Effects, Fleet, Script};
use crate::world::{Listener, World};

pub(super) const EXAMPLES: &str = "Examples:
  ksail run cluster.rhai                     bring up what the script defines
  ksail run ci.rhai --only 'ci-k3s-*'        only some of its clusters
  ksail run cluster.rhai --set workers=3     with a parameter
  ksail run cluster.rhai --simulate          with every provider simulated
  ksail run cluster.rhai --destroy --yes     remove what the script defines
  ksail run cluster.rhai smoke               do the script's task `smoke`";

/// Bring up what a script defines.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// A task of the script, in place of its clusters
    task: Option<String>,
    /// Refuse to run unless this saved plan still holds
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How many clusters are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    /// Consent to changes that destroy data or restart nodes
    #[arg(long, short = 'y', visible_alias = "force")]
    yes: bool,
    /// Leave a cluster whose creation fails, for a look
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    removal: Removal,
}

pub(super) fn run(args: Args, cx: &Context) -> Result<ExitCode> {
    let script = args.source.script()?;
    let fleet = args.source.fleet(&script)?;
    for line in script.printed() {
        show::note(&line);
    }
    for line in args.source.sandbox.widened() {
        show::note(&line);
    }
    if let Some(task) = &args.task {
        return run_task(&fleet, task, &args, cx);
    }
    let goal = args.removal.goal();
    let shared = machine::world()?;
    machine::block_on(async |cancel| {
        let world: &dyn World = shared.as_ref();
        let planned = plan(world, &fleet, goal).await?;
        if let Some(path) = &args.plan {
            read_saved(path)?.check(&planned.plan)?;
        }
        consent(world, &planned, args.yes)?;
        let display = Display::new(cx);
        fleet.allow(args.reach(shared.clone(), display.listener(), cancel.clone()));
        for cluster in &planned.plan.clusters {
            for warning in &cluster.warnings {
                display.warn(&cluster.context, &warning.text);
            }
        }
        let run = Run {
            parallel: usize::from(args.parallel),
            on_failure: if args.keep {
                OnFailure::Keep
            } else {
                OnFailure::RollBack
            },
            listener: display.listener(),
            cancel,
        };
        let result =
            fleet::perform(world, &planned, &ScriptHooks::new(&fleet.clusters), &run).await;
        display.finish(&planned.plan, result.is_ok());
        result
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Plans a fleet with its own policies.
pub(super) async fn plan(world: &dyn World, fleet: &Fleet, goal: Goal) -> Result<Planned> {
    fleet::plan(
        world,
        fleet.wanted(),
        goal,
        &ScriptPolicies::new(&fleet.clusters, now()),
    )
    .await
}

/// Holds that the plan may be carried out; asks a person where there is one and consent is wanted.
pub(super) fn consent(world: &dyn World, planned: &Planned, has_consent: bool) -> Result<()> {
    let wants = planned
        .plan
        .clusters
        .iter()
        .any(|cluster| cluster.wants_consent().next().is_some());
    if has_consent || !wants || !show::can_ask() {
        return fleet::admit(world, planned, has_consent);
    }
    fleet::admit(world, planned, true)?;
    show::note(&plan::show::text(&planned.plan));
    if show::ask("This destroys data or restarts nodes.") {
        return Ok(());
    }
    Err(Error::new(
        &crate::diag::codes::run::CANCELLED,
        "nothing was changed",
    ))
}

impl Args {
    /// What the script may reach when it is called back.
    fn reach(
        &self,
        world: Arc<dyn World>,
        listener: Arc<dyn Listener>,
        cancel: CancellationToken,
    ) -> Effects {
        Effects::new(world, listener, cancel)
            .consent(self.yes)
            .simulate(self.source.sandbox.simulate)
    }
}

fn run_task(fleet: &Fleet, name: &str, args: &Args, cx: &Context) -> Result<ExitCode> {
    let Some(task) = fleet.tasks.iter().find(|task| task.name == name) else {
        let names: Vec<&str> = fleet.tasks.iter().map(|task| task.name.as_str()).collect();
        let help = match suggest::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => {
                "the script declares no tasks: task(\"name\", || …)".to_string()
            }
            None => format!("it has {}", suggest::one_of(names.iter().copied())),
        };
        return Err(
            Error::new(&NO_SUCH_TASK, format!("the script has no task `{name}`")).help(help),
        );
    };
    let world = machine::world()?;
    let (value, printed) = machine::block_on(async |cancel| {
        let display = Display::new(cx);
        fleet.allow(args.reach(world, display.listener(), cancel));
        let closure = task.closure.clone();
        // Scripts run on threads of their own: they may take their time.
        match tokio::task::spawn_blocking(move || closure.call_task()).await {
            Ok(result) => result,
            Err(cause) => Err(Error::new(&HOOK_FAILED, "the task was cut off").because(cause)),
        }
    })?;
    for line in printed {
        show::data(&line);
    }
    if cx.output == Output::Json {
        show::json(&value);
    } else if value != crate::spec::Tree::Null {
        show::data(&value.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn read_saved(path: &PathBuf) -> Result<Saved> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::new(
            &PLAN_UNREADABLE,
            format!("{} cannot be read", path.display()),
        )
        .because(cause)
        .help("make a plan with `ksail plan FILE --out plan.json`")
    })?;
    Saved::parse(&text).map_err(|error| error.within(path.display()))
}

/// Writes a file that was asked for.
pub(super) fn write(path: &std::path::Path, text: &str) -> Result<()> {
    crate::state::write_whole(path, text.as_bytes()).map_err(|cause| {
        Error::new(
            &CANNOT_WRITE,
            format!("{} cannot be written", path.display()),
        )
        .because(cause)
    })
}

/// Evaluates a script and shows what it printed on the way.
pub(super) fn evaluate(source: &Source) -> Result<(Script, Fleet)> {
    let script = source.script()?;
    let fleet = source.fleet(&script);
    for line in script.printed() {
        show::note(&line);
    }
    Ok((script, fleet?))
}
