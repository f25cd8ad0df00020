//! Objects of a cluster that runs: applied, read, listed, changed, removed.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use super::super::{Entry, input};
use super::{Target, reach, texts, value, with};
use crate::k8s::Selection;
use crate::script::{RhaiResult, Session, fail, to_tree};

pub(super) fn register<T: Target>(engine: &mut Engine, session: &Arc<Session>) {
    let s = session.clone();
    engine.register_fn("apply", move |c: T, what: Dynamic| {
        apply(&s, &c, &what, None)
    });
    let s = session.clone();
    engine.register_fn(
        "apply",
        move |c: T, what: Dynamic, namespace: ImmutableString| {
            apply(&s, &c, &what, Some(&namespace))
        },
    );
    let s = session.clone();
    engine.register_fn("get", move |c: T, what: ImmutableString| {
        get(&s, &c, &what, None)
    });
    let s = session.clone();
    engine.register_fn(
        "get",
        move |c: T, what: ImmutableString, namespace: ImmutableString| {
            get(&s, &c, &what, Some(&namespace))
        },
    );
    let s = session.clone();
    engine.register_fn("find", move |c: T, what: ImmutableString| {
        find(&s, &c, &what, None)
    });
    let s = session.clone();
    engine.register_fn(
        "find",
        move |c: T, what: ImmutableString, namespace: ImmutableString| {
            find(&s, &c, &what, Some(&namespace))
        },
    );
    let s = session.clone();
    engine.register_fn("list", move |c: T, kind: ImmutableString| {
        list(&s, &c, &kind, &Map::new())
    });
    let s = session.clone();
    engine.register_fn(
        "list",
        move |c: T, kind: ImmutableString, selection: Map| list(&s, &c, &kind, &selection),
    );
    let s = session.clone();
    engine.register_fn("delete", move |c: T, what: ImmutableString| {
        delete(&s, &c, &what, None)
    });
    let s = session.clone();
    engine.register_fn(
        "delete",
        move |c: T, what: ImmutableString, namespace: ImmutableString| {
            delete(&s, &c, &what, Some(&namespace))
        },
    );
    let s = session.clone();
    engine.register_fn("patch", move |c: T, what: ImmutableString, change: Map| {
        patch(&s, &c, &what, &change, None)
    });
    let s = session.clone();
    engine.register_fn(
        "patch",
        move |c: T, what: ImmutableString, change: Map, namespace: ImmutableString| {
            patch(&s, &c, &what, &change, Some(&namespace))
        },
    );
}

fn apply<T: Target>(
    session: &Session,
    c: &T,
    what: &Dynamic,
    namespace: Option<&str>,
) -> RhaiResult<()> {
    // First whether it may be called at all, then whether its file is there.
    reach(session, "apply").map_err(fail)?;
    let objects = input::objects(session, what).map_err(fail)?;
    let namespace = namespace.unwrap_or("default");
    with(session, "apply", c, async |live| {
        live.apply(objects, namespace).await
    })
}

fn get<T: Target>(
    session: &Session,
    c: &T,
    what: &str,
    namespace: Option<&str>,
) -> RhaiResult<Dynamic> {
    with(session, "get", c, async |live| {
        live.get(&live.place(what, namespace).await?).await
    })
    .map(|object| value(&object))
}

fn find<T: Target>(
    session: &Session,
    c: &T,
    what: &str,
    namespace: Option<&str>,
) -> RhaiResult<Dynamic> {
    with(session, "find", c, async |live| {
        live.find(&live.place(what, namespace).await?).await
    })
    .map(|object| object.as_ref().map_or(Dynamic::UNIT, value))
}

fn list<T: Target>(session: &Session, c: &T, kind: &str, given: &Map) -> RhaiResult<Array> {
    let [namespace, labels, fields] =
        texts(given, ["namespace", "labels", "fields"]).map_err(fail)?;
    let selection = Selection {
        namespace,
        labels,
        fields,
    };
    with(session, "list", c, async |live| {
        live.list(kind, &selection).await
    })
    .map(|all| all.iter().map(value).collect())
}

fn delete<T: Target>(
    session: &Session,
    c: &T,
    what: &str,
    namespace: Option<&str>,
) -> RhaiResult<()> {
    with(session, "delete", c, async |live| {
        live.delete(&live.place(what, namespace).await?).await
    })
}

fn patch<T: Target>(
    session: &Session,
    c: &T,
    what: &str,
    change: &Map,
    namespace: Option<&str>,
) -> RhaiResult<Dynamic> {
    let change = to_tree(&Dynamic::from(change.clone()), "[1]")
        .map_err(fail)?
        .to_json();
    with(session, "patch", c, async |live| {
        live.patch(&live.place(what, namespace).await?, &change)
            .await
    })
    .map(|object| value(&object))
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "effects",
        name: "apply",
        signatures: &[
            "c.apply(path)",
            "c.apply(object)",
            "c.apply([object, …])",
            "c.apply(what, namespace)",
        ],
        summary: "Applies objects by server-side apply: a map, a list of maps, or the YAML and JSON of a file or folder below the script.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c|\n    c.apply(#{ apiVersion: \"v1\", kind: \"Namespace\", metadata: #{ name: \"shop\" } }) })",
    },
    Entry {
        group: "effects",
        name: "get",
        signatures: &["c.get(\"KIND/NAME\")", "c.get(\"KIND/NAME\", namespace)"],
        summary: "Reads an object of a cluster that runs, as a map; one that is not there is a problem.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c| print(c.get(\"namespace/default\").status.phase) })",
    },
    Entry {
        group: "effects",
        name: "find",
        signatures: &["c.find(\"KIND/NAME\")", "c.find(\"KIND/NAME\", namespace)"],
        summary: "Reads an object of a cluster that runs; `()` if it is not there.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c| print(c.find(\"pod/web\", \"shop\") == ()) })",
    },
    Entry {
        group: "effects",
        name: "list",
        signatures: &[
            "c.list(kind)",
            "c.list(kind, #{ namespace, labels, fields })",
        ],
        summary: "Lists the objects of a kind, of all namespaces unless one is named.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c| print(c.list(\"pods\", #{ labels: \"app=web\" }).len()) })",
    },
    Entry {
        group: "effects",
        name: "delete",
        signatures: &[
            "c.delete(\"KIND/NAME\")",
            "c.delete(\"KIND/NAME\", namespace)",
        ],
        summary: "Removes an object; one that is not there is fine.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c| c.delete(\"pod/web\", \"shop\") })",
    },
    Entry {
        group: "effects",
        name: "patch",
        signatures: &[
            "c.patch(\"KIND/NAME\", #{ … })",
            "c.patch(\"KIND/NAME\", #{ … }, namespace)",
        ],
        summary: "Changes an object by a merge patch and gives it back.",
        example: "cluster(\"dev\", #{ distribution: kwok(), after_create: |c|\n    c.patch(\"namespace/default\", #{ metadata: #{ labels: #{ team: \"a\" } } }) })",
    },
];
