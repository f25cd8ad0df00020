//! Effects: what belongs in hooks, tasks and tests, never into a definition.

use std::sync::Arc;

use rhai::{Dynamic, Engine};

use crate::diag::codes::language::EFFECT_TOO_EARLY;
use crate::diag::codes::model::NOT_THERE_YET;
use crate::error::Error;
use crate::script::{RhaiResult, Session, fail};

/// The effects that the language has names for.
const EFFECTS: &[&str] = &[
    "up", "down", "fork", "apply", "wait", "logs", "exec", "test", "fixture", "expect",
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
    .help("call it where ksail calls back: in a hook such as `after_create`, or in a task")
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    for name in EFFECTS.iter().copied() {
        let s = session.clone();
        engine.register_fn(name, move || refuse(&s, name));
        let s = session.clone();
        engine.register_fn(name, move |_: Dynamic| refuse(&s, name));
        let s = session.clone();
        engine.register_fn(name, move |_: Dynamic, _: Dynamic| refuse(&s, name));
        let s = session.clone();
        engine.register_fn(name, move |_: Dynamic, _: Dynamic, _: Dynamic| {
            refuse(&s, name)
        });
        let s = session.clone();
        engine.register_fn(
            name,
            move |_: Dynamic, _: Dynamic, _: Dynamic, _: Dynamic| refuse(&s, name),
        );
    }
}

fn refuse(session: &Session, name: &str) -> RhaiResult<Dynamic> {
    Err(fail(if session.is_defining() {
        too_early(name)
    } else {
        Error::new(&NOT_THERE_YET, format!("`{name}` cannot be called from hooks and tasks yet"))
            .help("hooks and tasks can print, read the cluster's properties and stop the run with `throw`")
    }))
}
