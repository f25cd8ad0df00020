//! Waiting until an object of a cluster that runs is as wanted.

use std::sync::Arc;

use rhai::{Dynamic, Engine, FnPtr, ImmutableString, NativeCallContext};

use super::super::Entry;
use super::{Target, reach, timed, value, with};
use crate::diag::codes::language::UNKNOWN_PROPERTY;
use crate::diag::codes::model::WRONG_TYPE;
use crate::error::Error;
use crate::ops::live::Goal;
use crate::script::{Fault, RhaiResult, Session, ask, fail, kind};
use crate::spec::field;

/// `wait` takes a goal by name or a closure, a time, and a namespace.
pub(super) fn register<T: Target>(engine: &mut Engine, session: &Arc<Session>) {
    let s = session.clone();
    engine.register_fn(
        "wait",
        move |cx: NativeCallContext,
              c: T,
              what: ImmutableString,
              goal: Dynamic,
              time: ImmutableString| { wait(&cx, &s, &c, &what, &goal, &time, None) },
    );
    let s = session.clone();
    engine.register_fn(
        "wait",
        move |cx: NativeCallContext,
              c: T,
              what: ImmutableString,
              goal: Dynamic,
              time: ImmutableString,
              namespace: ImmutableString| {
            wait(&cx, &s, &c, &what, &goal, &time, Some(&namespace))
        },
    );
}

fn wait<T: Target>(
    cx: &NativeCallContext,
    session: &Session,
    c: &T,
    what: &str,
    goal: &Dynamic,
    time: &str,
    namespace: Option<&str>,
) -> RhaiResult<()> {
    let effects = reach(session, "wait").map_err(fail)?;
    let time = field::duration(time).ok_or_else(|| {
        let message = format!("{time:?} is no duration");
        fail(
            Error::new(&WRONG_TYPE, message)
                .help("write it as `30s`, `5m` or `1h30m`")
                .field("[2]"),
        )
    })?;
    if let Ok(name) = goal.as_immutable_string_ref() {
        let goal = Goal::parse(&name);
        return with(session, "wait", c, async |live| {
            live.wait(&live.place(what, namespace).await?, &goal, time)
                .await
        });
    }
    let Some(closure) = goal.read_lock::<FnPtr>() else {
        let message = format!("this is {}, not a condition", kind(goal));
        let help = "name one, such as \"Available\", \"exists\" or \"deleted\", or give a closure `|object| …`";
        return Err(fail(
            Error::new(&WRONG_TYPE, message).help(help).field("[1]"),
        ));
    };
    let place = with(session, "wait", c, async |live| {
        live.place(what, namespace).await
    })?;
    let mut watch = with(
        session,
        "wait",
        c,
        async |live| Ok(live.watch(&place, time)),
    )?;
    // The closure runs between the waits, not within: it may wait itself.
    let words = "as the closure wants it";
    loop {
        match timed(session, || effects.wait(watch.next(words)))? {
            None => return Err(fail(watch.over(words))),
            Some(None) => {}
            Some(Some(object)) => match ask(cx, &closure, value(&object), "wait") {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What an object does not have yet is no problem, only not there yet.
                Err(problem) if is_missing_property(&problem) => {}
                Err(problem) => return Err(problem),
            },
        }
    }
}

fn is_missing_property(problem: &rhai::EvalAltResult) -> bool {
    match problem {
        rhai::EvalAltResult::ErrorPropertyNotFound(..)
        | rhai::EvalAltResult::ErrorIndexNotFound(..)
        | rhai::EvalAltResult::ErrorDotExpr(..) => true,
        rhai::EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => is_missing_property(inner),
        rhai::EvalAltResult::ErrorRuntime(value, _) => value
            .read_lock::<Fault>()
            .and_then(|fault| fault.read(|error| error.code().id == UNKNOWN_PROPERTY.id))
            .unwrap_or(false),
        _ => false,
    }
}

pub(super) const DOCS: &[Entry] = &[Entry {
    group: "effects",
    name: "wait",
    signatures: &[
        "c.wait(\"KIND/NAME\", condition, time)",
        "c.wait(\"KIND/NAME\", |object| …, time)",
        "c.wait(\"KIND/NAME\", condition, time, namespace)",
    ],
    summary: "Waits until an object has a condition or phase, \"exists\", is \"deleted\", or a closure says true; fails when the time is over and says what was last seen.",
    example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c| c.wait(\"namespace/default\", \"Active\", \"30s\") })",
}];
