//! What a script may reach when ksail calls it back: the world, and clusters that run.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::result::Defined;
use crate::axis::Provider;
use crate::diag::codes::run::CANCELLED;
use crate::error::{Error, Result};
use crate::exec::OnFailure;
use crate::ops::fleet::{self, Goal, Run};
use crate::ops::live::Live;
use crate::runtime::{ScriptHooks, ScriptPolicies, now};
use crate::spec::{ClusterName, Spec};
use crate::step::Storage;
use crate::world::{Listener, World};

/// The reach of a script that was called back.
pub struct Effects {
    world: Arc<dyn World>,
    handle: Handle,
    cancel: CancellationToken,
    listener: Arc<dyn Listener>,
    has_consent: bool,
    is_simulated: bool,
    suffix: Option<String>,
    lives: Mutex<BTreeMap<String, Arc<Live>>>,
    /// What was brought up and not taken down again.
    brought: Mutex<Vec<Defined>>,
}

impl std::fmt::Debug for Effects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Effects")
    }
}

impl Effects {
    /// Reaches this world, on the runtime that is asked from; what happens is told to the listener.
    pub fn new(
        world: Arc<dyn World>,
        listener: Arc<dyn Listener>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            world,
            handle: Handle::current(),
            cancel,
            listener,
            has_consent: false,
            is_simulated: false,
            suffix: None,
            lives: Mutex::default(),
            brought: Mutex::default(),
        }
    }

    /// Consents to changes that destroy data or restart nodes.
    #[must_use]
    pub fn consent(mut self, has_consent: bool) -> Self {
        self.has_consent = has_consent;
        self
    }

    /// Puts every cluster on the embedded provider.
    #[must_use]
    pub fn simulate(mut self, is_simulated: bool) -> Self {
        self.is_simulated = is_simulated;
        self
    }

    /// Adds this to the names of clusters that share a place with others, such as one engine.
    #[must_use]
    pub fn suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = Some(suffix.into());
        self
    }

    /// The world.
    pub fn world(&self) -> &dyn World {
        self.world.as_ref()
    }

    /// The definition of a cluster as it is meant here.
    pub fn meant(&self, spec: &Spec) -> Spec {
        let mut spec = if self.is_simulated {
            spec.clone().simulated()
        } else {
            spec.clone()
        };
        if let Some(suffix) = self
            .suffix
            .as_ref()
            .filter(|_| spec.provider.kind != Provider::Embedded)
            && let Ok(name) = ClusterName::parse(&format!("{}-{suffix}", spec.name))
        {
            spec.name = name;
        }
        spec
    }

    /// Waits for something, from the script's own thread; a cancelled run waits no longer.
    pub fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.handle.block_on(async {
            tokio::select! {
                result = work => result,
                () = self.cancel.cancelled() => Err(Error::new(&CANCELLED, "the run was cancelled")),
            }
        })
    }

    /// A cluster that runs.
    pub fn live(&self, provider: Provider, context: &str) -> Result<Arc<Live>> {
        if let Some(live) = self.lives().get(context) {
            return Ok(live.clone());
        }
        let live = self.wait(Live::connect(self.world(), provider, context))?;
        let live = Arc::new(live);
        self.lives().insert(context.to_string(), live.clone());
        Ok(live)
    }

    /// Brings a cluster to its definition, or removes it.
    pub fn bring(&self, defined: &Defined, goal: Goal) -> Result<()> {
        let mut meant = defined.clone();
        meant.spec = self.meant(&defined.spec);
        self.note(&meant, goal);
        self.perform(meant, goal, &self.cancel)
    }

    /// Removes whatever was brought up here and is still there, even where the run was cancelled.
    pub fn clean(&self) -> Result<()> {
        let left = std::mem::take(&mut *lock(&self.brought));
        let cancel = CancellationToken::new();
        let problems = left.into_iter().filter_map(|meant| {
            self.perform(meant, Goal::Remove(Storage::Keep), &cancel)
                .err()
        });
        Error::gather(problems.collect::<Vec<_>>()).map_or(Ok(()), Err)
    }

    /// Noted before anything is begun: what fails half-way is to be removed as well.
    fn note(&self, meant: &Defined, goal: Goal) {
        let mut brought = lock(&self.brought);
        brought.retain(|other| other.spec.context() != meant.spec.context());
        if goal == Goal::Ensure {
            brought.push(meant.clone());
        }
    }

    fn perform(&self, defined: Defined, goal: Goal, cancel: &CancellationToken) -> Result<()> {
        // A cluster that is made anew has other keys and another address.
        self.lives().remove(&defined.spec.context());
        let clusters = [defined];
        // The call is what problems point at here, not the definition.
        let unplaced = |defined: &Defined| fleet::Wanted {
            place: None,
            ..defined.wanted()
        };
        let wanted = clusters.iter().map(unplaced).collect();
        // No race with the cancelling here: execution itself finishes the steps that have begun.
        self.handle.block_on(async {
            let policies = ScriptPolicies::new(&clusters, now());
            let planned = fleet::plan(self.world(), wanted, goal, &policies).await?;
            fleet::admit(
                self.world(),
                &planned,
                self.has_consent || goal != Goal::Ensure,
            )?;
            let run = Run {
                parallel: 1,
                on_failure: OnFailure::RollBack,
                listener: self.listener.clone(),
                cancel: cancel.clone(),
            };
            fleet::perform(self.world(), &planned, &ScriptHooks::new(&clusters), &run).await
        })
    }

    fn lives(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Live>>> {
        lock(&self.lives)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
