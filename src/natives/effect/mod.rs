//! Effects: what belongs in hooks, tasks, tests and the prompt, never into a definition.

mod live;
mod object;
mod pod;
mod wait;

use std::sync::Arc;
use std::time::Instant;

use rhai::{Dynamic, Engine, Map};
use serde_json::Value;

pub use live::LiveValue;

use super::Entry;
use super::cluster::ClusterValue;
use crate::axis::Provider;
use crate::diag::codes::language::EFFECT_TOO_EARLY;
use crate::diag::codes::model::WRONG_TYPE;
use crate::diag::codes::run::NOT_RUNNING;
use crate::error::{Error, Result};
use crate::ops::fleet::Goal as Bring;
use crate::ops::live::Live;
use crate::script::{Effects, RhaiResult, Session, fail, from_tree, kind};
use crate::spec::{Tree, field};
use crate::step::Storage;

/// The effects that the language has names for.
const EFFECTS: &[&str] = &[
    "up", "down", "live", "apply", "find", "patch", "wait", "logs", "exec",
];

/// Whether a name is that of an effect.
pub(crate) fn is_effect(name: &str) -> bool {
    EFFECTS.contains(&name)
}

/// The problem of an effect at definition time.
pub(crate) fn too_early(name: &str) -> Error {
    Error::new(
        &EFFECT_TOO_EARLY,
        format!("`{name}` has an effect and cannot be called in a definition"),
    )
    .help(
        "call it where ksail calls back: in a hook such as `after_create`, in a task or in a test",
    )
}

/// What effects may reach now.
pub(super) fn reach(session: &Session, name: &str) -> Result<Arc<Effects>> {
    if session.is_defining() {
        return Err(too_early(name));
    }
    session.effects().ok_or_else(|| {
        Error::new(&NOT_RUNNING, format!("`{name}` reaches no cluster from here"))
            .help("run the script with `ksail run` or `ksail test`; programs hand out the reach with `Fleet::allow`")
    })
}

/// Whatever stands for a cluster in scripts.
trait Target: rhai::Variant + Clone {
    fn at(&self, effects: &Effects) -> (Provider, String);
}

impl Target for ClusterValue {
    fn at(&self, effects: &Effects) -> (Provider, String) {
        let spec = effects.meant(self.spec());
        (spec.provider.kind, spec.context())
    }
}

impl Target for LiveValue {
    fn at(&self, _: &Effects) -> (Provider, String) {
        (self.facts().provider, self.facts().context.clone())
    }
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    lifecycle(engine, session);
    live::register(engine, session);
    on_live::<ClusterValue>(engine, session);
    on_live::<LiveValue>(engine, session);
}

fn on_live<T: Target>(engine: &mut Engine, session: &Arc<Session>) {
    object::register::<T>(engine, session);
    pod::register::<T>(engine, session);
    wait::register::<T>(engine, session);
}

fn lifecycle(engine: &mut Engine, session: &Arc<Session>) {
    for (name, goal) in [
        ("up", Bring::Ensure),
        ("down", Bring::Remove(Storage::Keep)),
    ] {
        let s = session.clone();
        engine.register_fn(
            name,
            move |cluster: ClusterValue| -> RhaiResult<ClusterValue> {
                let effects = reach(&s, name).map_err(fail)?;
                let defined = s.define(&cluster).map_err(fail)?;
                timed(&s, || effects.bring(&defined, goal))?;
                Ok(cluster)
            },
        );
    }
}

/// The script's clock stands still while it waits for the outside.
fn timed<T>(session: &Session, work: impl FnOnce() -> Result<T>) -> RhaiResult<T> {
    let began = Instant::now();
    let result = work();
    session.grant(began.elapsed());
    result.map_err(fail)
}

/// Does something with a cluster that runs.
fn with<T: Target, R>(
    session: &Session,
    name: &str,
    cluster: &T,
    work: impl AsyncFnOnce(&Live) -> Result<R>,
) -> RhaiResult<R> {
    let effects = reach(session, name).map_err(fail)?;
    let (provider, context) = cluster.at(&effects);
    timed(session, || {
        let live = effects.live(provider, &context)?;
        effects.wait(work(&live))
    })
}

fn value(object: &Value) -> Dynamic {
    from_tree(&Tree::from_json(object))
}

/// Texts out of a map of options; others are refused.
fn texts<const N: usize>(given: &Map, known: [&'static str; N]) -> Result<[Option<String>; N]> {
    if let Some(key) = given.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(field::unknown_key(key, known.into_iter()).field(key.as_str()));
    }
    let mut found = [const { None }; N];
    for (slot, key) in found.iter_mut().zip(known) {
        let Some(value) = given.get(key) else {
            continue;
        };
        let text = value.as_immutable_string_ref().map_err(|_| {
            Error::new(&WRONG_TYPE, format!("this is {}, not a text", kind(value))).field(key)
        })?;
        *slot = Some(text.to_string());
    }
    Ok(found)
}

/// The documentation of all effects.
pub(super) fn docs() -> impl Iterator<Item = &'static Entry> {
    [LIFECYCLE, live::DOCS, object::DOCS, wait::DOCS, pod::DOCS]
        .into_iter()
        .flatten()
}

const LIFECYCLE: &[Entry] = &[
    Entry {
        group: "effects",
        name: "up",
        signatures: &["up(c)"],
        summary: "Brings a cluster to its definition, as `ksail run` would, and gives it back.",
        example: "let c = cluster(\"dev\", #{ distribution: kwok(), provider: embedded() });\ntask(\"start\", || up(c));\nc",
    },
    Entry {
        group: "effects",
        name: "down",
        signatures: &["down(c)"],
        summary: "Removes a cluster with everything in it.",
        example: "let c = cluster(\"dev\", #{ distribution: kwok(), provider: embedded() });\ntask(\"end\", || down(c));\nc",
    },
];
