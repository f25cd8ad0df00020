//! What differs between a definition and what is there.
//!
//! Costs come from the update table in [`crate::support`]; what that table calls without meaning is no change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Change, Impact};
use crate::axis::{Aspect, Axis, Provider, Slot};
use crate::component;
use crate::distribution;
use crate::facts::{Facts, Recorded, Role, State};
use crate::spec::field::duration_text;
use crate::spec::{ComponentSpec, Spec, Tree};
use crate::support::{self, Effect};

/// Finds every change; in a fixed order.
pub fn diff(spec: &Spec, facts: Option<&Facts>) -> Vec<Change> {
    let Some(facts) = facts else {
        let to = format!("{} on {}", spec.distribution.kind, spec.provider.kind);
        return vec![change(
            "cluster",
            Tree::Null,
            Tree::Text(to),
            Impact::Create,
            "there is no such cluster",
        )];
    };
    if facts
        .recorded
        .as_ref()
        .is_some_and(|recorded| recorded.replaced)
    {
        // Whatever else differs goes with what is left of it, and was consented to before that was begun.
        let why = "an earlier run began to make it anew and did not come to its end";
        let (from, to) = (true.into(), false.into());
        return vec![change("replaced", from, to, Impact::InPlace, why)];
    }
    let mut changes = Vec::new();
    if facts.distribution != spec.distribution.kind {
        let (from, to) = (facts.distribution.name(), spec.distribution.kind.name());
        changes.extend(costed(
            spec,
            Aspect::Distribution,
            "distribution",
            from.into(),
            to.into(),
        ));
    }
    match &facts.state {
        State::Running => {}
        State::Stopped => {
            changes.push(change(
                "state",
                "stopped".into(),
                "running".into(),
                Impact::InPlace,
                "the cluster is switched off",
            ));
        }
        State::Broken(why) => {
            changes.push(change(
                "state",
                "broken".into(),
                "running".into(),
                Impact::Recreate,
                why,
            ));
        }
    }
    if !facts.missing.is_empty() && !matches!(facts.state, State::Broken(_)) {
        let names = facts.missing.keys().map(|name| Tree::Text(name.clone()));
        changes.push(change(
            "parts",
            Tree::List(names.collect()),
            "running".into(),
            Impact::InPlace,
            "parts of the control plane were removed or switched off by hand",
        ));
    }
    let recorded = facts.recorded.clone().unwrap_or_default();
    if !recorded.finished {
        changes.push(change(
            "finished",
            false.into(),
            true.into(),
            Impact::InPlace,
            "an earlier run did not come to its end",
        ));
    }
    versions(spec, facts, &mut changes);
    if facts.state == State::Running {
        counts(spec, facts, &recorded, &mut changes);
        if recorded.finished {
            components(spec, facts, &mut changes);
        }
    }
    if recorded.finished {
        settings(spec, &recorded, &mut changes);
    }
    if !facts.has_context {
        let context = Tree::Text(spec.context());
        changes.push(change(
            "kubeconfig",
            Tree::Null,
            context,
            Impact::InPlace,
            "the kubeconfig has no such context",
        ));
    }
    changes
}

fn change(path: &str, from: Tree, to: Tree, impact: Impact, reason: &str) -> Change {
    Change {
        path: path.into(),
        from,
        to,
        impact,
        reason: reason.into(),
    }
}

/// A change of an aspect at the cost the table says; none where the table says it has no meaning.
fn costed(spec: &Spec, aspect: Aspect, path: &str, from: Tree, to: Tree) -> Option<Change> {
    let cell = support::update(aspect, spec.distribution.kind);
    let (impact, word) = match cell.value {
        Effect::NotApplicable | Effect::Skipped | Effect::Unsupported => return None,
        Effect::InPlace | Effect::Simulated => (Impact::InPlace, "changes in place"),
        Effect::Reboot => (Impact::Reboot, "changes by restarting nodes"),
        Effect::Recreate => (Impact::Recreate, "cannot change in a running cluster"),
    };
    Some(change(
        path,
        from,
        to,
        impact,
        &format!("on {} this {word}", spec.distribution.kind.name()),
    ))
}

fn versions(spec: &Spec, facts: &Facts, changes: &mut Vec<Change>) {
    let (Some(_), Some(there)) = (&spec.kubernetes, &facts.kubernetes) else {
        return;
    };
    let wanted = distribution::kubernetes(spec);
    if *there != wanted {
        changes.extend(costed(
            spec,
            Aspect::Kubernetes,
            "kubernetes",
            there.as_str().into(),
            wanted.into(),
        ));
    }
}

fn counts(spec: &Spec, facts: &Facts, recorded: &Recorded, changes: &mut Vec<Change>) {
    let wanted = distribution::nodes(spec);
    for (role, aspect, path) in [
        (Role::ControlPlane, Aspect::ControlPlanes, "control_planes"),
        (Role::Worker, Aspect::Workers, "workers"),
    ] {
        let want = wanted.iter().filter(|node| node.role == role).count();
        let there = facts.count(role);
        let was = recorded.settings.get(path).and_then(Value::as_u64);
        let (from, to) = (number(there), number(want));
        if was.is_some_and(|was| was == want as u64) || !recorded.finished {
            if there != want && recorded.finished {
                changes.push(change(
                    path,
                    from,
                    to,
                    Impact::InPlace,
                    "nodes were added or removed by hand",
                ));
            }
        } else if let Some(was) = was {
            changes.extend(costed(
                spec,
                aspect,
                path,
                number(usize::try_from(was).unwrap_or(there)),
                to,
            ));
        } else if there != want {
            changes.extend(costed(spec, aspect, path, from, to));
        }
    }
}

fn number(n: usize) -> Tree {
    Tree::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn components(spec: &Spec, facts: &Facts, changes: &mut Vec<Change>) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for slot in Slot::ALL {
        let there = facts
            .components
            .keys()
            .find(|name| component::known(name).and_then(support::slot) == Some(*slot));
        let wanted = spec.in_slot(*slot);
        let wanted_name = wanted.map(|component| component.part.name());
        if let Some(there) = there {
            told.insert(there);
        }
        if there.map(String::as_str) == wanted_name {
            continue;
        }
        let text = |name: Option<&str>| name.map_or(Tree::Null, Tree::from);
        let from = text(there.map(String::as_str));
        changes.extend(costed(
            spec,
            aspect(*slot),
            slot.name(),
            from,
            text(wanted_name),
        ));
    }
    for wanted in &spec.components {
        let name = wanted.part.name();
        let path = format!("components.{name}");
        match facts.components.get(name) {
            Some(there) => changes.extend(drifted(spec, wanted, there, &path)),
            None if wanted.part.slot().is_none() => {
                changes.extend(costed(
                    spec,
                    Aspect::Components,
                    &path,
                    Tree::Null,
                    name.into(),
                ));
            }
            None => {}
        }
    }
    for name in facts
        .components
        .keys()
        .filter(|name| name.as_str() != "brought" && !told.contains(name.as_str()))
    {
        if !spec
            .components
            .iter()
            .any(|wanted| wanted.part.name() == name)
        {
            let path = format!("components.{name}");
            changes.extend(costed(
                spec,
                Aspect::Components,
                &path,
                name.as_str().into(),
                Tree::Null,
            ));
        }
    }
}

/// A component that is there, and not as it should be.
fn drifted(
    spec: &Spec,
    wanted: &ComponentSpec,
    there: &crate::facts::ComponentFacts,
    path: &str,
) -> Option<Change> {
    let install = component::install(wanted, spec.distribution.kind, spec.provider.kind);
    if install.digest != there.digest {
        let mut change = costed(
            spec,
            Aspect::Components,
            path,
            there.digest.as_str().into(),
            install.digest.into(),
        )?;
        change.reason = "its version or options changed".into();
        return Some(change);
    }
    let expected = component::expected(wanted, spec.distribution.kind, spec.provider.kind);
    let missing: Vec<Tree> = expected
        .iter()
        .filter(|id| !there.workloads.contains(id))
        .map(|id| id.as_str().into())
        .collect();
    (!missing.is_empty()).then(|| {
        change(
            path,
            Tree::Null,
            Tree::List(missing),
            Impact::InPlace,
            "workloads were removed by hand",
        )
    })
}

fn aspect(slot: Slot) -> Aspect {
    match slot {
        Slot::Cni => Aspect::Cni,
        Slot::Csi => Aspect::Csi,
        Slot::LoadBalancer => Aspect::LoadBalancer,
        Slot::Metrics => Aspect::MetricsServer,
        Slot::CertManager => Aspect::CertManager,
        Slot::PolicyEngine => Aspect::PolicyEngine,
        Slot::GitOps => Aspect::GitOps,
    }
}

fn settings(spec: &Spec, recorded: &Recorded, changes: &mut Vec<Change>) {
    let now = super::recorded(spec);
    let aspects = [
        ("local_registry", Aspect::LocalRegistry),
        ("mirrors", Aspect::Mirrors),
        ("registries", Aspect::Registries),
        ("import_images", Aspect::ImportedImages),
        ("image_verification", Aspect::ImageVerification),
        ("cdi", Aspect::Cdi),
        ("oidc", Aspect::Oidc),
        ("autoscaler", Aspect::Autoscaler),
        ("source", Aspect::Source),
        ("sops", Aspect::Source),
    ];
    for (key, aspect) in aspects {
        let (from, to) = (recorded.settings.get(key), now.settings.get(key));
        if from != to {
            changes.extend(costed(spec, aspect, key, json(from), json(to)));
        }
    }
    maps(
        &recorded.distribution_options,
        &now.distribution_options,
        |key| (format!("distribution.{key}"), Aspect::DistributionOptions),
        spec,
        changes,
    );
    let provider_aspect = |key: &str| {
        let aspect = match key {
            _ if spec.provider.kind != Provider::Hetzner => Aspect::ProviderOptions,
            "control_plane_server_type" => Aspect::HetznerServerType,
            "location" => Aspect::HetznerLocation,
            "network" | "network_cidr" => Aspect::HetznerNetwork,
            _ => Aspect::ProviderOptions,
        };
        (format!("provider.{key}"), aspect)
    };
    maps(
        &recorded.provider_options,
        &now.provider_options,
        provider_aspect,
        spec,
        changes,
    );
    if recorded.ttl != now.ttl {
        let text = |ttl: Option<u64>| {
            ttl.map_or(Tree::Null, |ttl| {
                duration_text(std::time::Duration::from_secs(ttl)).into()
            })
        };
        changes.extend(costed(
            spec,
            Aspect::Ttl,
            "ttl",
            text(recorded.ttl),
            text(now.ttl),
        ));
    }
}

fn maps(
    from: &BTreeMap<String, Value>,
    to: &BTreeMap<String, Value>,
    aspect: impl Fn(&str) -> (String, Aspect),
    spec: &Spec,
    changes: &mut Vec<Change>,
) {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys {
        if from.get(key) != to.get(key) {
            let (path, aspect) = aspect(key);
            changes.extend(costed(
                spec,
                aspect,
                &path,
                json(from.get(key)),
                json(to.get(key)),
            ));
        }
    }
}

fn json(value: Option<&Value>) -> Tree {
    value.map_or(Tree::Null, Tree::from_json)
}
