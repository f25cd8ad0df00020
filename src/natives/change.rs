//! Policies: changes and rulings.

use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString};

use super::{Entry, value_type};
use crate::diag::codes::plan::BAD_RULING;
use crate::diag::suggest;
use crate::error::Error;
use crate::plan::{Change, Impact, Moment, Ruling, is_open};
use crate::script::{RhaiResult, fail, to_tree};

/// A change, as policies see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeValue(Arc<Change>);

impl ChangeValue {
    /// Shows a change to a policy.
    pub fn new(change: Change) -> Self {
        Self(Arc::new(change))
    }

    /// The change.
    pub fn change(&self) -> &Change {
        &self.0
    }

    pub(super) fn text(&self) -> String {
        format!(
            "change({:?}, {}, {}, {:?})",
            self.0.path,
            self.0.from,
            self.0.to,
            self.0.impact.name()
        )
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct RulingValue(Ruling);

impl RulingValue {
    /// The ruling.
    pub fn ruling(&self) -> &Ruling {
        &self.0
    }

    pub(super) fn text(&self) -> String {
        match &self.0 {
            Ruling::Allow => "allow()".into(),
            Ruling::Deny { why } => format!("deny({why:?})"),
            Ruling::Confirm { why } => format!("confirm({why:?})"),
            Ruling::Defer { window, why } => format!("defer({window:?}, {why:?})"),
        }
    }
}

pub(super) fn register(engine: &mut Engine) {
    value_type::<ChangeValue>(engine, "Change", ChangeValue::text);
    value_type::<RulingValue>(engine, "Ruling", RulingValue::text);
    engine.register_fn("allow", || RulingValue(Ruling::Allow));
    engine.register_fn("deny", |why: ImmutableString| {
        RulingValue(Ruling::Deny { why: why.into() })
    });
    engine.register_fn("confirm", |why: ImmutableString| {
        RulingValue(Ruling::Confirm { why: why.into() })
    });
    engine.register_fn("defer", |window: ImmutableString| {
        defer(&window, "outside the window")
    });
    engine.register_fn("defer", |window: ImmutableString, why: ImmutableString| {
        defer(&window, &why)
    });
    engine.register_fn("change", change);
}

fn defer(window: &str, why: &str) -> RhaiResult<RulingValue> {
    if is_open(
        window,
        Moment {
            weekday: 0,
            minute: 0,
        },
    )
    .is_none()
    {
        return Err(fail(
            Error::new(&BAD_RULING, format!("{window:?} is no window of time"))
                .help("write it as \"22:00-06:00\", \"sat,sun\" or \"mon-fri 22:00-06:00\""),
        ));
    }
    Ok(RulingValue(Ruling::Defer {
        window: window.into(),
        why: why.into(),
    }))
}

fn change(
    path: ImmutableString,
    from: Dynamic,
    to: Dynamic,
    impact: ImmutableString,
) -> RhaiResult<ChangeValue> {
    let Some(impact) = Impact::parse(&impact) else {
        let names = Impact::ALL.iter().map(|impact| impact.name());
        return Err(fail(
            Error::new(
                &BAD_RULING,
                format!("there is no impact {:?}", impact.as_str()),
            )
            .help(format!("use {}", suggest::one_of(names))),
        ));
    };
    let (from, to) = (
        to_tree(&from, "[1]").map_err(fail)?,
        to_tree(&to, "[2]").map_err(fail)?,
    );
    Ok(ChangeValue::new(Change {
        path: path.into(),
        from,
        to,
        impact,
        reason: "made up".into(),
    }))
}

pub(super) const DOCS: &[Entry] = &[
    Entry {
        group: "policy",
        name: "allow",
        signatures: &["allow()"],
        summary: "Rules that a change may happen.",
        example: "cluster(\"dev\", #{ distribution: kwok(), policy: |change| allow() })",
    },
    Entry {
        group: "policy",
        name: "deny",
        signatures: &["deny(why)"],
        summary: "Rules that a change must not happen; the run stops before it touches the cluster.",
        example: "cluster(\"dev\", #{ distribution: kwok(), policy: |change| if change.impact == \"recreate\" { deny(\"keep it\") } else { allow() } })",
    },
    Entry {
        group: "policy",
        name: "confirm",
        signatures: &["confirm(why)"],
        summary: "Rules that a change may happen if a person agrees, or `--yes` was given.",
        example: "cluster(\"dev\", #{ distribution: kwok(), policy: |change| confirm(\"drains nodes\") })",
    },
    Entry {
        group: "policy",
        name: "defer",
        signatures: &["defer(window)", "defer(window, why)"],
        summary: "Rules that a change waits for a window of time: \"22:00-06:00\", \"sat,sun\", \"mon-fri 22:00-06:00\".",
        example: "cluster(\"dev\", #{ distribution: kwok(), policy: |change| defer(\"22:00-06:00\", \"not by day\") })",
    },
    Entry {
        group: "policy",
        name: "change",
        signatures: &["change(path, from, to, impact)"],
        summary: "Makes up a change, to try a policy with.",
        example: "let policy = |change| if change.to < change.from { deny(\"never fewer\") } else { allow() };\nif policy.call(change(\"workers\", 3, 1, \"in-place\")) != deny(\"never fewer\") { throw \"the policy is wrong\" }\ncluster(\"dev\", #{ distribution: kwok(), policy: policy })",
    },
];
