//! The steps that bring a cluster into being, the same for every distribution but for what [`Distro`] says.

use super::{Distro, decryption, images_step, kubernetes, nodes, of};
use crate::axis::Provider;
use crate::component;
use crate::facts::Role;
use crate::spec::registry::Mirror;
use crate::spec::{ComponentSpec, Hook, Spec, Tree};
use crate::step::{Action, How, Install, Step};

/// The steps of a creation, without what every run ends with (kubeconfig, record).
pub fn create(spec: &Spec) -> Vec<Step> {
    let mut steps = Vec::new();
    let first = hook(spec, Hook::BeforeCreate, &[], &mut steps);
    let ready = if spec.provider.kind == Provider::Embedded
        || spec.distribution.kind == crate::axis::Distribution::Eks
    {
        as_a_unit(spec, &first, &mut steps)
    } else {
        as_machines(spec, &first, &mut steps)
    };
    components(spec, &ready, &mut steps);
    steps
}

/// Adds the step of a hook, if the script has one; returns what later steps come after.
pub fn hook(spec: &Spec, hook: Hook, after: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    if !spec.hooks.contains(&hook) {
        return after.to_vec();
    }
    let id = format!("hook/{}", hook.name());
    let title = format!("call {}", hook.name());
    steps.push(Step::new(&id, title, "the script asks for it", Action::Hook { hook }).after(after));
    vec![id]
}

/// The steps that install components, phase by phase; returns the last ones.
pub fn install_steps(spec: &Spec, wanted: &[&ComponentSpec], after: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = after.to_vec();
    for phase in 0..=3 {
        let ids: Vec<String> = wanted
            .iter()
            .filter(|component| component::phase(component) == phase)
            .map(|component| {
                let install =
                    component::install(component, spec.distribution.kind, spec.provider.kind);
                let step = install_step(install, spec.is_simulated()).after(&before);
                let id = step.id.clone();
                steps.push(step);
                steps.extend(decryption::key_step(spec, component));
                id
            })
            .collect();
        if !ids.is_empty() {
            before = ids;
        }
    }
    steps
}

fn install_step(install: Install, simulated: bool) -> Step {
    let id = format!("component/{}", install.component);
    let how = if simulated { ", simulated" } else { "" };
    let title =
        format!("install {} {}{how}", install.component, install.version).replace("  ", " ");
    Step::new(
        id,
        title.trim_end().to_string(),
        "the definition asks for it",
        Action::Install(install),
    )
}

/// An API server as one unit, and simulated or managed nodes.
fn as_a_unit(spec: &Spec, after: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    let version = kubernetes(spec);
    let port = spec
        .provider
        .options
        .get("port")
        .and_then(Tree::as_int)
        .and_then(|port| u16::try_from(port).ok());
    let action = Action::ControlPlane {
        kubernetes: version.clone(),
        distribution: spec.distribution.kind,
        port,
        audit: spec.provider.options.get("audit").map(Tree::to_json),
    };
    steps.push(
        Step::new(
            "control-plane",
            format!("start the control plane, Kubernetes {version}"),
            "there is none",
            action,
        )
        .after(after),
    );
    let all = nodes(spec);
    let mut last = vec!["control-plane".to_string()];
    if let Some(step) = stages(spec) {
        // Before the first node, which would begin as the built-in stages have it.
        steps.push(step.after(&last));
        last = vec!["stages".into()];
    }
    if !all.is_empty() {
        steps.push(nodes_step(spec, Vec::new(), "there are none").after(&last));
        let action = Action::Ready { nodes: all.len() };
        steps.push(
            Step::new("ready", "wait for the nodes", "workloads need them", action)
                .after(["nodes"]),
        );
        last = vec!["ready".into()];
    }
    if let Some(step) = show_brought(of(spec.distribution.kind), spec) {
        last = vec![step.id.clone()];
        steps.push(step.after(["control-plane"]));
    }
    if last == ["brought"] && !all.is_empty() {
        last.push("ready".into());
    }
    last
}

/// The user's own stages, as objects of a cluster that simulates its nodes by itself.
fn stages(spec: &Spec) -> Option<Step> {
    if spec.distribution.kind != crate::axis::Distribution::Kwok {
        return None;
    }
    let own = spec.distribution.options.get("config")?.as_list()?;
    let install = Install {
        component: "brought".into(),
        version: String::new(),
        digest: "1".into(),
        how: How::Objects {
            objects: own.to_vec(),
            namespace: None,
        },
    };
    let title = format!("add {} stages", own.len());
    let why = "the definition asks for them";
    Some(Step::new("stages", title, why, Action::Install(install)))
}

/// The step that shows the nodes a cluster is to have.
pub fn nodes_step(spec: &Spec, remove: Vec<String>, why: &str) -> Step {
    let all = nodes(spec);
    let count = |role| all.iter().filter(|node| node.role == role).count();
    let mut parts = Vec::new();
    for (role, word) in [
        (Role::ControlPlane, "control plane"),
        (Role::Worker, "worker"),
    ] {
        match count(role) {
            0 => {}
            1 => parts.push(format!("1 {word}")),
            n => parts.push(format!("{n} {word}s")),
        }
    }
    let title = if parts.is_empty() {
        "remove all nodes".to_string()
    } else {
        format!("show {}", parts.join(" and "))
    };
    Step::new("nodes", title, why, Action::Nodes { nodes: all, remove })
}

/// The step that shows what the distribution itself brings, on simulated clusters.
fn show_brought(distro: &dyn Distro, spec: &Spec) -> Option<Step> {
    if distro.brings().is_empty() || !spec.is_simulated() {
        return None;
    }
    let distribution = spec.distribution.kind;
    let install = Install {
        component: "brought".into(),
        version: String::new(),
        digest: "1".into(),
        how: How::Brought { distribution },
    };
    let title = format!("show what {} brings", crate::axis::Axis::name(distribution));
    Some(Step::new(
        "brought",
        title,
        "the distribution includes it",
        Action::Install(install),
    ))
}

/// Machines that become nodes: the first bootstraps, the others boot meanwhile and join.
fn as_machines(spec: &Spec, after: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    let distro = of(spec.distribution.kind);
    let network = distro.network(spec);
    let action = Action::Network {
        name: network.clone(),
    };
    steps.push(
        Step::new(
            "network",
            format!("make the network {network}"),
            "nodes share it",
            action,
        )
        .after(after),
    );
    let mut wired = registries(spec, &["network".to_string()], steps);
    let mut all = nodes(spec);
    if all.is_empty() || !distro.shows_control_planes() {
        // The control plane is no node, but a machine all the same.
        let mut control = super::node(spec, Role::ControlPlane, 0, 0);
        control.name = format!("{}-control-plane", spec.name);
        all.insert(0, control);
    }
    if let Some(name) = distro.balancer(spec) {
        let title = format!("make the load balancer {name}");
        let why = "control planes are reached through it";
        let step = Step::new("balancer", title, why, Action::Balancer { name });
        steps.push(step.after(["network"]));
        wired.push("balancer".into());
    }
    let image = distro.image(spec);
    let mut joins = Vec::new();
    let mut last_control: Option<String> = None;
    let count = all.len();
    let first = all
        .first()
        .map(|node| node.name.clone())
        .unwrap_or_default();
    for node in all {
        let (name, role) = (node.name.clone(), node.role);
        if spec.distribution.kind == crate::axis::Distribution::Kwok && node.role == Role::Worker {
            continue;
        }
        let machine = format!("machine/{name}");
        let action = Action::Machine {
            node,
            image: image.clone(),
        };
        steps.push(
            Step::new(
                &machine,
                format!("start {name}"),
                "the definition asks for it",
                action,
            )
            .after(["network"]),
        );
        if name == first {
            let mut before = vec![machine];
            before.append(&mut wired);
            let action = Action::Bootstrap { node: name.clone() };
            steps.push(
                Step::new(
                    "bootstrap",
                    format!("bootstrap Kubernetes on {name}"),
                    "it is the first",
                    action,
                )
                .after(before),
            );
        } else {
            let id = format!("join/{name}");
            let action = Action::Join { node: name.clone() };
            let mut before = vec![machine, "bootstrap".to_string()];
            if role == Role::ControlPlane {
                // etcd takes in one member after another.
                before.extend(last_control.replace(id.clone()));
            }
            steps.push(
                Step::new(
                    &id,
                    format!("join {name}"),
                    "the definition asks for it",
                    action,
                )
                .after(before),
            );
            joins.push(id);
        }
    }
    if spec.distribution.kind == crate::axis::Distribution::Kwok {
        steps.push(nodes_step(spec, Vec::new(), "there are none").after(["bootstrap"]));
        if spec.workers > 0 {
            let action = Action::Ready {
                nodes: spec.workers as usize,
            };
            steps.push(
                Step::new("ready", "wait for the nodes", "workloads need them", action)
                    .after(["nodes"]),
            );
            joins.push("ready".into());
        }
        joins.push("nodes".into());
    }
    joins.push("bootstrap".into());
    let images = images_step(spec, "the definition asks for it").map(|step| step.after(&joins));
    if distro.is_ready_alone(spec) {
        let action = Action::Ready { nodes: count };
        steps.push(
            Step::new("ready", "wait for the nodes", "workloads need them", action).after(joins),
        );
        joins = vec!["ready".into()];
    }
    if let Some(images) = images {
        joins.push(images.id.clone());
        steps.push(images);
    }
    joins
}

/// The registries beside a cluster, each with the upstream that it caches.
fn beside(spec: &Spec) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    let mut add = |name: String, upstream: Option<String>| all.push((name, upstream));
    let is_local = spec
        .settings
        .get("local_registry")
        .is_some_and(|value| match value {
            Tree::Bool(answer) => *answer,
            Tree::Text(text) => crate::spec::registry::Registry::parse(text)
                .is_ok_and(|registry| !registry.is_external()),
            _ => false,
        });
    if is_local {
        add(format!("{}-local-registry", spec.name), None);
    }
    let mirrors = spec
        .settings
        .get("mirrors")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    for mirror in mirrors
        .iter()
        .filter_map(|mirror| Mirror::parse(mirror.as_text()?).ok())
    {
        add(
            format!("{}-{}", spec.name, mirror.host.replace(['/', ':'], "-")),
            Some(mirror.upstream),
        );
    }
    if let Some(name) = of(spec.distribution.kind).registry(spec) {
        add(name, None);
    }
    all
}

/// The names of the registries beside a cluster.
pub fn registry_names(spec: &Spec) -> Vec<String> {
    beside(spec).into_iter().map(|(name, _)| name).collect()
}

/// Adds the steps that run the registries beside a cluster; returns them.
pub fn registries(spec: &Spec, after: &[String], steps: &mut Vec<Step>) -> Vec<String> {
    let mut ids = Vec::new();
    for (name, upstream) in beside(spec) {
        let id = format!("registry/{name}");
        let title = format!("run the registry {name}");
        let action = Action::Registry { name, upstream };
        steps.push(Step::new(&id, title, "the definition asks for it", action).after(after));
        ids.push(id);
    }
    ids
}

fn components(spec: &Spec, after: &[String], steps: &mut Vec<Step>) {
    let wanted: Vec<&ComponentSpec> = spec.components.iter().collect();
    steps.extend(install_steps(spec, &wanted, after));
}
