//! Pods of a cluster that runs: their logs, and commands in them.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use super::super::Entry;
use super::{Target, texts, with};
use crate::script::{RhaiResult, Session, fail};

pub(super) fn register<T: Target>(engine: &mut Engine, session: &Arc<Session>) {
    let s = session.clone();
    engine.register_fn("logs", move |c: T, pod: ImmutableString| {
        logs(&s, &c, &pod, &Map::new())
    });
    let s = session.clone();
    engine.register_fn("logs", move |c: T, pod: ImmutableString, options: Map| {
        logs(&s, &c, &pod, &options)
    });
    let s = session.clone();
    engine.register_fn("exec", move |c: T, pod: ImmutableString, command: Array| {
        exec(&s, &c, &pod, &command, &Map::new())
    });
    let s = session.clone();
    engine.register_fn(
        "exec",
        move |c: T, pod: ImmutableString, command: Array, options: Map| {
            exec(&s, &c, &pod, &command, &options)
        },
    );
}

fn logs<T: Target>(
    session: &Session,
    c: &T,
    pod: &str,
    options: &Map,
) -> RhaiResult<ImmutableString> {
    let [namespace, container] = texts(options, ["namespace", "container"]).map_err(fail)?;
    let reference = pod_reference(pod);
    with(session, "logs", c, async |live| {
        let place = live.place(&reference, namespace.as_deref()).await?;
        live.logs(&place, container.as_deref()).await
    })
    .map(Into::into)
}

fn exec<T: Target>(
    session: &Session,
    c: &T,
    pod: &str,
    command: &Array,
    options: &Map,
) -> RhaiResult<Map> {
    let [namespace, container] = texts(options, ["namespace", "container"]).map_err(fail)?;
    let words: Vec<String> = command.iter().map(ToString::to_string).collect();
    let reference = pod_reference(pod);
    let done = with(session, "exec", c, async |live| {
        let place = live.place(&reference, namespace.as_deref()).await?;
        live.exec(&place, container.as_deref(), &words).await
    })?;
    let mut map = Map::new();
    map.insert("code".into(), done.code.map_or(Dynamic::UNIT, Into::into));
    map.insert("stdout".into(), done.stdout.into());
    map.insert("stderr".into(), done.stderr.into());
    Ok(map)
}

/// Pods may be named alone.
fn pod_reference(pod: &str) -> String {
    if pod.contains('/') {
        pod.to_string()
    } else {
        format!("pod/{pod}")
    }
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "effects",
        name: "logs",
        signatures: &["c.logs(pod)", "c.logs(pod, #{ namespace, container })"],
        summary: "Reads what a pod's container wrote.",
        example: "cluster(\"dev\", #{ distribution: k3s(), after_update: |c| print(c.logs(\"web-0\", #{ namespace: \"shop\" })) })",
    },
    Entry {
        group: "effects",
        name: "exec",
        signatures: &[
            "c.exec(pod, [word, …])",
            "c.exec(pod, [word, …], #{ namespace, container })",
        ],
        summary: "Runs a command in a pod's container; gives a map with `code`, `stdout` and `stderr`.",
        example: "cluster(\"dev\", #{ distribution: k3s(), after_update: |c| print(c.exec(\"web-0\", [\"uname\", \"-r\"]).stdout) })",
    },
];
