//! What programs that embed ksail hold: scripts become fleets, fleets become plans, plans become clusters.
//!
//! ```no_run
//! use ksail::runtime::Runtime;
//! use ksail::script::{Options, Script};
//! # async fn demo() -> ksail::Result<()> {
//! let script = Script::load("cluster.rhai".as_ref(), &Options::default())?;
//! let runtime = Runtime::local(ksail::world::real::Places {
//!     state: "/tmp/ksail".into(),
//!     program: "/usr/local/bin/ksail".into(),
//!     kubeconfig: vec!["/tmp/kubeconfig".into()],
//!     docker: ksail::docker::Settings::default(),
//!     kwok: "/tmp/kwok".into(),
//! });
//! let fleet = script.fleet()?;
//! let planned = runtime.plan(&fleet).await?;
//! runtime.run(&fleet, &planned).await?;
//! # Ok(())
//! # }
//! ```

mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use suite::{Case, Suite};

use futures::future::{BoxFuture, FutureExt as _};
use tokio_util::sync::CancellationToken;

use crate::diag::codes::run::HOOK_FAILED;
use crate::error::{Error, Result};
use crate::exec::OnFailure;
use crate::ops::fleet::{self, Goal, Planned, Policies, Run};
use crate::plan::{Change, Moment, Ruling, is_open};
use crate::script::{Defined, Effects, Fleet};
use crate::spec::{Hook, Spec};
use crate::step::Storage;
use crate::world::real::{Machine, Places};
use crate::world::{Happening, Hooks, Reporter, Silent, World};

/// A world to run fleets in.
pub struct Runtime {
    world: Arc<dyn World>,
}

impl Runtime {
    /// Uses this machine.
    pub fn local(places: Places) -> Self {
        Self::new(Arc::new(Machine::new(places)))
    }

    /// Uses any world.
    pub fn new(world: Arc<dyn World>) -> Self {
        Self { world }
    }

    /// The world.
    pub fn world(&self) -> &dyn World {
        self.world.as_ref()
    }

    /// Plans what differs between a fleet and what is there.
    pub async fn plan(&self, fleet: &Fleet) -> Result<Planned> {
        fleet::plan(
            self.world(),
            fleet.wanted(),
            Goal::Ensure,
            &ScriptPolicies::new(&fleet.clusters, now()),
        )
        .await
    }

    /// Plans the removal of a fleet.
    pub async fn plan_removal(&self, fleet: &Fleet) -> Result<Planned> {
        fleet::plan(
            self.world(),
            fleet.wanted(),
            Goal::Remove(Storage::Keep),
            &ScriptPolicies::new(&fleet.clusters, now()),
        )
        .await
    }

    /// Carries a plan out silently, with consent; [`fleet::perform`] gives every choice.
    pub async fn run(&self, fleet: &Fleet, planned: &Planned) -> Result<()> {
        fleet::admit(self.world(), planned, true)?;
        let reach = Effects::new(
            self.world.clone(),
            Arc::new(Silent),
            CancellationToken::new(),
        );
        fleet.allow(reach);
        let run = Run {
            parallel: 8,
            on_failure: OnFailure::RollBack,
            listener: Arc::new(Silent),
            cancel: CancellationToken::new(),
        };
        fleet::perform(
            self.world(),
            planned,
            &ScriptHooks::new(&fleet.clusters),
            &run,
        )
        .await
    }
}

/// The policies of a script's clusters.
pub struct ScriptPolicies {
    clusters: BTreeMap<String, Defined>,
    now: Moment,
}

impl ScriptPolicies {
    /// Rules as the clusters' policies say, at this moment.
    pub fn new(clusters: &[Defined], now: Moment) -> Self {
        Self {
            clusters: by_name(clusters),
            now,
        }
    }
}

impl Policies for ScriptPolicies {
    fn rule(&self, spec: &Spec, change: &Change) -> Result<Ruling> {
        let policy = self
            .clusters
            .get(spec.name.as_str())
            .and_then(|defined| defined.policy.as_ref());
        let Some(policy) = policy else {
            return Ok(Ruling::default_for(change));
        };
        let ruling = match policy.rule(change)? {
            // Inside the window a deferred change may happen; whether it wants consent is the default's to say.
            Ruling::Defer { window, .. } if is_open(&window, self.now) == Some(true) => {
                Ruling::default_for(change)
            }
            ruling => ruling,
        };
        // `allow` of a policy never takes the question away that protects data.
        Ok(match (ruling, Ruling::default_for(change)) {
            (Ruling::Allow, default @ Ruling::Confirm { .. }) => default,
            (ruling, _) => ruling,
        })
    }
}

/// The hooks of a script's clusters.
pub struct ScriptHooks(BTreeMap<String, Defined>);

impl ScriptHooks {
    /// Calls the clusters' hooks.
    pub fn new(clusters: &[Defined]) -> Self {
        Self(by_name(clusters))
    }
}

impl Hooks for ScriptHooks {
    fn call<'a>(
        &'a self,
        spec: &'a Spec,
        hook: Hook,
        report: &'a Reporter,
    ) -> BoxFuture<'a, Result<()>> {
        async move {
            let Some(defined) = self.0.get(spec.name.as_str()) else {
                return Ok(());
            };
            let Some(closure) = defined.hooks.get(&hook).cloned() else {
                return Ok(());
            };
            let value = defined.value().clone();
            // Scripts run on threads of their own: they may take their time.
            let called = tokio::task::spawn_blocking(move || closure.call_hook(&value)).await;
            let printed = called.map_err(|cause| {
                Error::new(&HOOK_FAILED, "the hook was cut off").because(cause)
            })??;
            for text in printed {
                report.tell(Happening::Printed { text });
            }
            Ok(())
        }
        .boxed()
    }
}

fn by_name(clusters: &[Defined]) -> BTreeMap<String, Defined> {
    clusters
        .iter()
        .map(|defined| (defined.spec.name.to_string(), defined.clone()))
        .collect()
}

/// This moment of the week, in the user's time.
pub fn now() -> Moment {
    let now = jiff::Zoned::now();
    let weekday = u8::try_from(now.weekday().to_monday_zero_offset()).unwrap_or_default();
    let minute =
        u16::try_from(i32::from(now.hour()) * 60 + i32::from(now.minute())).unwrap_or_default();
    Moment { weekday, minute }
}
