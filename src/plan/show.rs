//! A plan as text.

use std::fmt::Write as _;

use super::{ClusterPlan, Plan, Ruled, Ruling, Verb};
use crate::spec::Tree;

/// Writes a plan for people, without colour.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for cluster in plan
        .clusters
        .iter()
        .filter(|cluster| cluster.verb != Verb::Keep || !cluster.changes.is_empty())
    {
        write_cluster(&mut out, cluster);
        out.push('\n');
    }
    for cluster in plan
        .clusters
        .iter()
        .filter(|cluster| cluster.verb == Verb::Keep)
    {
        for warning in &cluster.warnings {
            let _ = writeln!(out, "{}: warning: {}", cluster.name, warning.text);
        }
    }
    out.push_str(&summary(plan));
    out.push('\n');
    out
}

/// Counts what happens: `2 to create, 1 to update, 7 unchanged`.
pub fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return match plan.clusters.len() {
            1 => "nothing to change: the cluster is as defined".into(),
            n => format!("nothing to change: {n} clusters are as defined"),
        };
    }
    let count = |verb: Verb| {
        plan.clusters
            .iter()
            .filter(|cluster| cluster.verb == verb)
            .count()
    };
    let parts: Vec<String> = [
        (Verb::Create, "to create"),
        (Verb::Update, "to update"),
        (Verb::Recreate, "to recreate"),
        (Verb::Delete, "to delete"),
        (Verb::Keep, "unchanged"),
    ]
    .into_iter()
    .filter_map(|(verb, word)| {
        Some(count(verb))
            .filter(|n| *n > 0)
            .map(|n| format!("{n} {word}"))
    })
    .collect();
    parts.join(", ")
}

fn write_cluster(out: &mut String, cluster: &ClusterPlan) {
    let _ = writeln!(
        out,
        "{} {} ({} on {}, context {})",
        cluster.verb.word(),
        cluster.name,
        cluster.distribution,
        cluster.provider,
        cluster.context
    );
    for warning in &cluster.warnings {
        let _ = writeln!(out, "  warning: {}", warning.text);
    }
    for ruled in &cluster.changes {
        let _ = writeln!(out, "  {}", change(ruled));
    }
    for (index, step) in cluster.steps.iter().enumerate() {
        let _ = writeln!(out, "  {:>3}. {} — {}", index + 1, step.title, step.why);
    }
}

fn change(ruled: &Ruled) -> String {
    let change = &ruled.change;
    let what = match (&change.from, &change.to) {
        (Tree::Null, to) => format!("+ {}: {}", change.path, plain(to)),
        (from, Tree::Null) => format!("- {}: {}", change.path, plain(from)),
        (from, to) => format!("~ {}: {} → {}", change.path, plain(from), plain(to)),
    };
    let ruling = match &ruled.ruling {
        Ruling::Allow => String::new(),
        Ruling::Deny { why } => format!(" — denied: {why}"),
        Ruling::Confirm { why } => format!(" — wants consent: {why}"),
        Ruling::Defer { window, why } => format!(" — deferred to {window}: {why}"),
    };
    format!("{what} [{}] {}{ruling}", change.impact, change.reason)
}

fn plain(tree: &Tree) -> String {
    tree.as_text()
        .map_or_else(|| tree.to_string(), String::from)
}
