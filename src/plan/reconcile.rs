//! Changes → steps: create, update, recreate, delete.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Change, ClusterPlan, Impact, Ruled, Ruling, Verb, order};
use crate::axis::Provider;
use crate::distribution::{self, hook, images_step, install_steps, nodes_step};
use crate::error::Result;
use crate::facts::{Facts, Lack, Recorded, Role};
use crate::spec::{ComponentSpec, Hook, Options, Spec, Tree};
use crate::step::{Action, Step, Storage};

/// What a finished run writes down of a cluster: whatever cannot be observed, secrets redacted.
pub fn recorded(spec: &Spec) -> Recorded {
    let plain = |options: &Options| -> BTreeMap<String, Value> {
        options
            .iter()
            .map(|(key, value)| (key.clone(), masked(value)))
            .collect()
    };
    let mut settings = plain(&spec.settings);
    settings.insert(
        "control_planes".into(),
        json!(count(spec, Role::ControlPlane)),
    );
    settings.insert("workers".into(), json!(count(spec, Role::Worker)));
    Recorded {
        distribution_options: plain(&spec.distribution.options),
        provider_options: plain(&spec.provider.options),
        settings,
        kubernetes: Some(distribution::kubernetes(spec)),
        ttl: spec.ttl.map(|ttl| ttl.as_secs()),
        finished: true,
        replaced: false,
    }
}

fn count(spec: &Spec, role: Role) -> usize {
    distribution::nodes(spec)
        .iter()
        .filter(|node| node.role == role)
        .count()
}

/// A setting as JSON; the password of `user:pass@host` is masked.
fn masked(value: &Tree) -> Value {
    match value {
        Tree::Text(text) => Value::String(unsigned(text)),
        Tree::List(list) => list.iter().map(masked).collect(),
        Tree::Map(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), masked(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.to_json(),
    }
}

/// A text without the password of `user:pass@host`; what stands before a digest is no password.
fn unsigned(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['@', ':', '/']) => (format!("{scheme}://"), rest),
        _ => (String::new(), text),
    };
    let Some((who, place)) = rest.rsplit_once('@') else {
        return text.to_string();
    };
    let is_address = !scheme.is_empty() && who.contains('/');
    match who.split_once(':') {
        Some((user, _)) if !is_address && !place.starts_with("sha256:") => {
            format!("{scheme}{user}:****@{place}")
        }
        _ => text.to_string(),
    }
}

/// The steps for the changes that may happen. Deferred changes are left out; denied ones stop the run before the first.
pub(super) fn steps(spec: &Spec, facts: Option<&Facts>, changes: &[Ruled]) -> (Verb, Vec<Step>) {
    let wanted: Vec<&Change> = changes
        .iter()
        .filter(|ruled| !matches!(ruled.ruling, Ruling::Defer { .. }))
        .map(|ruled| &ruled.change)
        .collect();
    let Some(facts) = facts else {
        return (
            Verb::Create,
            finish(spec, distribution::create(spec), Hook::AfterCreate),
        );
    };
    if wanted.is_empty() {
        return (Verb::Keep, Vec::new());
    }
    if wanted
        .iter()
        .any(|change| change.impact == Impact::Recreate || change.path == "replaced")
    {
        return (Verb::Recreate, recreate(spec, facts));
    }
    if wanted.iter().any(|change| change.path == "finished") {
        // Every step is an ensure: what the broken run did is found done.
        return (
            Verb::Create,
            finish(spec, distribution::create(spec), Hook::AfterCreate),
        );
    }
    (Verb::Update, update(spec, facts, &wanted))
}

/// What every creation and update ends with.
fn finish(spec: &Spec, mut steps: Vec<Step>, after: Hook) -> Vec<Step> {
    // The kubeconfig entry needs only an API to lead to; the record is the very last, for it says that all is done.
    let api = ["control-plane", "bootstrap", "start"]
        .into_iter()
        .find(|id| steps.iter().any(|step| step.id == *id));
    let context = spec.context();
    let action = Action::Kubeconfig {
        context: context.clone(),
    };
    let title = format!("add {context} to the kubeconfig");
    steps.push(
        Step::new(
            "kubeconfig",
            title,
            "kubectl finds the cluster by it",
            action,
        )
        .after(api),
    );
    if spec.ttl.is_some() {
        steps.push(expire(spec));
    }
    let leaves = leaves(&steps);
    let leaves = hook(spec, after, &leaves, &mut steps);
    let action = Action::Record {
        recorded: recorded(spec),
    };
    steps.push(
        Step::new(
            "record",
            "write down what was done",
            "the next run compares with it",
            action,
        )
        .after(leaves),
    );
    steps
}

fn expire(spec: &Spec) -> Step {
    let title = match spec.ttl {
        Some(ttl) => format!(
            "remove the cluster after {}",
            crate::spec::field::duration_text(ttl)
        ),
        None => "keep the cluster for good".to_string(),
    };
    Step::new(
        "expire",
        title,
        "the definition asks for it",
        Action::Expire { after: spec.ttl },
    )
}

/// The steps that no other step comes after.
fn leaves(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .filter(|step| !steps.iter().any(|other| other.after.contains(&step.id)))
        .map(|step| step.id.clone())
        .collect()
}

fn recreate(spec: &Spec, facts: &Facts) -> Vec<Step> {
    let mut steps = Vec::new();
    let before = hook(spec, Hook::BeforeDelete, &[], &mut steps);
    let title = format!("remove {}", facts.name);
    let action = Action::Remove {
        storage: Storage::Keep,
    };
    steps.push(Step::new("remove", title, "it cannot change in place", action).after(before));
    let mut last = vec!["remove".to_string()];
    last = hook(spec, Hook::AfterDelete, &last, &mut steps);
    let created = finish(spec, distribution::create(spec), Hook::AfterCreate);
    steps.extend(created.into_iter().map(|step| {
        if step.after.is_empty() {
            step.after(&last)
        } else {
            step
        }
    }));
    steps
}

fn update(spec: &Spec, facts: &Facts, wanted: &[&Change]) -> Vec<Step> {
    let has = |path: &str| wanted.iter().any(|change| change.path == path);
    let mut steps = Vec::new();
    let mut before = hook(spec, Hook::BeforeUpdate, &[], &mut steps);
    let lacks = |lack| has("parts") && facts.missing.values().any(|one| *one == lack);
    if lacks(Lack::Removed) {
        before = mend(spec, &before, &mut steps);
    }
    if has("state") || lacks(Lack::Stopped) {
        let (title, why) = if has("state") {
            ("switch the cluster on", "it is switched off")
        } else {
            ("switch all parts on", "some are switched off")
        };
        steps.push(Step::new("start", title, why, Action::Start).after(&before));
        before = vec!["start".into()];
    }
    if has("workers") || has("control_planes") {
        before = scale(spec, facts, &before, &mut steps);
    }
    if has("registries") || has("local_registry") {
        before = rewire(spec, &before, &mut steps);
    }
    if (has("import_images") || has("workers") || has("control_planes"))
        && let Some(step) = images_step(spec, "nodes lack them")
    {
        let id = step.id.clone();
        steps.push(step.after(&before));
        before = vec![id];
    }
    for name in gone(facts, spec, wanted) {
        let id = format!("remove/{name}");
        let action = Action::Uninstall {
            component: name.clone(),
        };
        steps.push(
            Step::new(
                &id,
                format!("remove {name}"),
                "the definition no longer has it",
                action,
            )
            .after(&before),
        );
    }
    steps.extend(taken_key(spec, facts, wanted).map(|step| step.after(&before)));
    let mut after_removal = before.clone();
    after_removal.extend(
        steps
            .iter()
            .filter(|step| step.id.starts_with("remove/"))
            .map(|step| step.id.clone()),
    );
    let install: Vec<&ComponentSpec> = spec
        .components
        .iter()
        .filter(|component| is_touched(component, wanted))
        .collect();
    steps.extend(install_steps(spec, &install, &after_removal));
    if wanted.iter().any(|change| change.path == "ttl") {
        steps.push(expire(spec).after(&before));
    }
    let mut steps = finish(spec, steps, Hook::AfterUpdate);
    // `expire` may have been added twice: by the change and by `finish`.
    let mut seen = Vec::new();
    steps.retain(|step| {
        let is_new = !seen.contains(&step.id);
        seen.push(step.id.clone());
        is_new
    });
    if !has("kubeconfig") && !has("state") {
        steps.retain(|step| step.id != "kubeconfig");
        for step in &mut steps {
            step.after.retain(|id| id != "kubeconfig");
        }
    }
    if !has("ttl") {
        steps.retain(|step| step.id != "expire");
        for step in &mut steps {
            step.after.retain(|id| id != "expire");
        }
    }
    steps
}

/// The key of a GitOps engine goes when the engine does, and when the definition says that it decrypts no more.
fn taken_key(spec: &Spec, facts: &Facts, wanted: &[&Change]) -> Option<Step> {
    let gone = gone(facts, spec, wanted)
        .into_iter()
        .find_map(|name| distribution::take_key_step(&name, "the definition no longer has it"));
    let is_off =
        wanted.iter().any(|change| change.path == "sops") && distribution::is_switched_off(spec);
    let off = spec
        .components
        .iter()
        .filter(|_| is_off)
        .find_map(|component| {
            distribution::take_key_step(component.part.name(), "it decrypts no more")
        });
    gone.or(off)
}

/// Makes parts of the control plane anew: the steps that made the first, for each finds done what is there.
fn mend(spec: &Spec, before: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    let all = distribution::create(spec);
    let bootstrap = all.iter().find(|step| step.id == "bootstrap");
    let wanted = |step: &&Step| match step.action {
        Action::Network { .. } | Action::Balancer { .. } | Action::Bootstrap { .. } => true,
        Action::Machine { .. } => bootstrap.is_some_and(|last| last.after.contains(&step.id)),
        _ => false,
    };
    for mut step in all.iter().filter(wanted).cloned() {
        step.why = "a part of the control plane is gone".into();
        step.after
            .retain(|id| all.iter().filter(wanted).any(|kept| kept.id == *id));
        if step.after.is_empty() {
            step.after = before.to_vec();
        }
        steps.push(step);
    }
    vec!["bootstrap".into()]
}

/// More or fewer nodes: shown where they are simulated, made or removed as machines elsewhere.
fn scale(spec: &Spec, facts: &Facts, before: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    let wanted = distribution::nodes(spec);
    let extra: Vec<String> = facts
        .nodes
        .iter()
        .map(|node| node.name.clone())
        .filter(|name| !wanted.iter().any(|node| node.name == *name))
        .collect();
    if spec.provider.kind == Provider::Embedded || spec.is_simulated() {
        steps.push(nodes_step(spec, extra, "the number of nodes differs").after(before));
        let action = Action::Ready {
            nodes: wanted.len(),
        };
        steps.push(
            Step::new("ready", "wait for the nodes", "workloads need them", action)
                .after(["nodes"]),
        );
        return vec!["ready".into()];
    }
    let image = distribution::of(spec.distribution.kind).image(spec);
    let count = wanted.len();
    let mut last = Vec::new();
    for node in wanted
        .into_iter()
        .filter(|node| !facts.nodes.iter().any(|there| there.name == node.name))
    {
        let (machine, join, name) = (
            format!("machine/{}", node.name),
            format!("join/{}", node.name),
            node.name.clone(),
        );
        let action = Action::Machine {
            node,
            image: image.clone(),
        };
        steps.push(
            Step::new(
                &machine,
                format!("start {name}"),
                "the number of nodes differs",
                action,
            )
            .after(before),
        );
        let action = Action::Join { node: name.clone() };
        steps.push(
            Step::new(
                &join,
                format!("join {name}"),
                "the number of nodes differs",
                action,
            )
            .after([machine]),
        );
        last.push(join);
    }
    for name in extra {
        let id = format!("leave/{name}");
        let action = Action::RemoveMachine { node: name.clone() };
        steps.push(
            Step::new(
                &id,
                format!("drain and remove {name}"),
                "the number of nodes differs",
                action,
            )
            .after(before),
        );
        last.push(id);
    }
    if distribution::of(spec.distribution.kind).is_ready_alone(spec) {
        let action = Action::Ready { nodes: count };
        steps.push(
            Step::new("ready", "wait for the nodes", "workloads need them", action).after(last),
        );
        return vec!["ready".into()];
    }
    if last.is_empty() {
        before.to_vec()
    } else {
        last
    }
}

/// Registries that came or went, and the nodes' knowledge of them; simulated nodes pull nothing.
fn rewire(spec: &Spec, before: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    if spec.provider.kind != Provider::Docker {
        return before.to_vec();
    }
    let mut last = before.to_vec();
    last.extend(distribution::registries(spec, before, steps));
    let nodes = distribution::nodes(spec);
    let action = Action::Registries {
        nodes: nodes.into_iter().map(|node| node.name).collect(),
        keep: distribution::registry_names(spec),
    };
    let why = "the definition's registries changed";
    steps.push(
        Step::new(
            "registries",
            "tell the nodes of their registries",
            why,
            action,
        )
        .after(last),
    );
    vec!["registries".into()]
}

/// Components that are there and no longer wanted, as far as the changes speak of them.
fn gone(facts: &Facts, spec: &Spec, wanted: &[&Change]) -> Vec<String> {
    facts
        .components
        .keys()
        .filter(|name| {
            !spec
                .components
                .iter()
                .any(|component| component.part.name() == name.as_str())
        })
        .filter(|name| {
            wanted
                .iter()
                .any(|change| change.from.as_text() == Some(name.as_str()))
        })
        .cloned()
        .collect()
}

fn is_touched(component: &ComponentSpec, wanted: &[&Change]) -> bool {
    let name = component.part.name();
    wanted.iter().any(|change| {
        change.path == format!("components.{name}")
            || (component
                .part
                .slot()
                .is_some_and(|slot| crate::axis::Axis::name(slot) == change.path)
                && change.to.as_text() == Some(name))
            || (matches!(change.path.as_str(), "source" | "sops")
                && component.part.slot() == Some(crate::axis::Slot::GitOps))
    })
}

/// Plans the removal of a cluster. The definition, where there is one, brings its hooks.
pub fn retire(
    facts: &Facts,
    spec: Option<&Spec>,
    storage: Storage,
    rule: &dyn Fn(&Change) -> Result<Ruling>,
) -> Result<ClusterPlan> {
    let there = format!("{} on {}", facts.distribution, facts.provider);
    let change = Change {
        path: "cluster".into(),
        from: Tree::Text(there),
        to: Tree::Null,
        impact: Impact::Delete,
        reason: "its removal was asked for".into(),
    };
    let mut steps = Vec::new();
    let is_up = facts.state == crate::facts::State::Running;
    let mut before = match spec.filter(|_| is_up) {
        Some(spec) => hook(spec, Hook::BeforeDelete, &[], &mut steps),
        None => Vec::new(),
    };
    let why = "its removal was asked for";
    let action = Action::RemoveKubeconfig {
        context: facts.context.clone(),
    };
    let title = format!("take {} out of the kubeconfig", facts.context);
    steps.push(Step::new("kubeconfig", title, why, action).after(&before));
    let title = match storage {
        Storage::Keep => format!("remove {}", facts.name),
        Storage::Remove => format!("remove {} and the storage of its registries", facts.name),
    };
    steps.push(Step::new("remove", title, why, Action::Remove { storage }).after(&before));
    before = vec!["kubeconfig".into(), "remove".into()];
    steps.push(
        Step::new(
            "forget",
            "forget what was written down",
            why,
            Action::Forget,
        )
        .after(&before),
    );
    if let Some(spec) = spec {
        hook(spec, Hook::AfterDelete, &["forget".into()], &mut steps);
    }
    let ruling = rule(&change)?;
    Ok(ClusterPlan {
        name: facts.name.clone(),
        context: facts.context.clone(),
        distribution: facts.distribution,
        provider: facts.provider,
        verb: Verb::Delete,
        changes: vec![Ruled { change, ruling }],
        steps: order::sorted(steps)?,
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::unsigned;

    #[test]
    fn passwords_are_never_written_down() {
        for (text, written) in [
            ("me:pa/ss@ghcr.io", "me:****@ghcr.io"),
            (
                "me:p@:ss@ghcr.io=https://x/y",
                "me:****@ghcr.io=https://x/y",
            ),
            ("https://me:pass@host/path", "https://me:****@host/path"),
            (
                "oci://localhost:5050/app@sha256:1",
                "oci://localhost:5050/app@sha256:1",
            ),
            ("localhost:5050/app@sha256:1", "localhost:5050/app@sha256:1"),
            ("docker.io", "docker.io"),
        ] {
            assert_eq!(unsigned(text), written);
        }
    }
}
