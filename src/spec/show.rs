//! A cluster as a script would write it.

use std::fmt::Write as _;

use super::{ComponentSpec, Options, Spec, Tree};
use crate::axis::Axis;

/// Writes a constructor call: `k3s()`, `flux(#{ tag: "dev" })`.
pub fn call(name: &str, options: &Options) -> String {
    if options.is_empty() {
        format!("{name}()")
    } else {
        format!("{name}({})", Tree::Map(options.clone()))
    }
}

/// Writes a component.
pub fn component(component: &ComponentSpec) -> String {
    use super::Part;
    let with_name = |function: &str, name: &str| {
        format!(
            "{function}({name:?}, {})",
            Tree::Map(component.options.clone())
        )
    };
    match &component.part {
        Part::Known(known) => call(known.name(), &component.options),
        Part::Helm(name) => with_name("helm", name),
        Part::Manifests(name) => with_name("manifests", name),
        Part::Kustomize(name) => with_name("kustomize", name),
    }
}

/// Writes a cluster; the shortest text that means the same, secrets redacted.
pub fn cluster(spec: &Spec) -> String {
    let mut keys = vec![
        format!(
            "distribution: {}",
            call(spec.distribution.kind.name(), &spec.distribution.options)
        ),
        format!(
            "provider: {}",
            call(spec.provider.kind.name(), &spec.provider.options)
        ),
    ];
    if let Some(version) = &spec.kubernetes {
        keys.push(format!("kubernetes: \"{version}\""));
    }
    if spec.control_planes != 1 {
        keys.push(format!("control_planes: {}", spec.control_planes));
    }
    if spec.workers != 0 {
        keys.push(format!("workers: {}", spec.workers));
    }
    if !spec.components.is_empty() {
        let components: Vec<String> = spec.components.iter().map(component).collect();
        keys.push(format!("components: [{}]", components.join(", ")));
    }
    keys.extend(
        spec.settings
            .iter()
            .map(|(key, value)| format!("{key}: {value}")),
    );
    if let Some(ttl) = spec.ttl {
        keys.push(format!("ttl: {:?}", super::field::duration_text(ttl)));
    }
    let mut text = String::new();
    let _ = write!(
        text,
        "cluster(\"{}\", #{{ {} }})",
        spec.name,
        keys.join(", ")
    );
    text
}
