//! What can be installed: versions, sources and the objects each component shows.
//!
//! A component is data: one row in `table`. To add one, add its name to [`crate::axis::Component`], its cells to
//! [`crate::support`] and its row here.

mod objects;
mod table;

pub use objects::{DIGEST, LABEL, shown, workload_ids};
pub use table::{Kind, Release, Source, Workload, release};

use sha2::{Digest, Sha256};

use crate::axis::{Axis, Component, Distribution, Provider};
use crate::spec::{ComponentSpec, Options, Part, Tree};
use crate::step::{How, Install};
use crate::support;

/// Says how a component comes into a cluster of this kind.
pub fn install(
    component: &ComponentSpec,
    distribution: Distribution,
    provider: Provider,
) -> Install {
    let is_simulated = support::is_simulated(distribution, provider);
    match &component.part {
        Part::Known(known) => {
            let known = effective(*known, distribution, provider);
            let release = release(known);
            let asked = component.options.get("version").and_then(Tree::as_text);
            let version = asked.unwrap_or(release.version).to_string();
            let digest = digest(&version, &component.options);
            let how = if is_simulated {
                How::Shown { component: known }
            } else {
                real(&release, &version, &component.options)
            };
            Install {
                component: component.part.name().into(),
                version,
                digest,
                how,
            }
        }
        Part::Helm(name) => {
            let text = |key: &str| {
                component
                    .options
                    .get(key)
                    .and_then(Tree::as_text)
                    .unwrap_or_default()
                    .to_string()
            };
            let how = How::Chart {
                repo: text("repo"),
                chart: text("chart"),
                namespace: Some(text("namespace"))
                    .filter(|n| !n.is_empty())
                    .unwrap_or_else(|| "default".into()),
                values: component.options.get("values").cloned().unwrap_or_default(),
            };
            let version = text("version");
            Install {
                component: name.clone(),
                digest: digest(&version, &component.options),
                version,
                how,
            }
        }
        Part::Manifests(name) => {
            let given = component.options.get("objects").and_then(Tree::as_list);
            let how = match (given, component.options.get("path").and_then(Tree::as_text)) {
                (Some(list), None) => How::Objects {
                    objects: list.to_vec(),
                    namespace: Some(
                        component
                            .options
                            .get("namespace")
                            .and_then(Tree::as_text)
                            .unwrap_or("default")
                            .to_string(),
                    ),
                },
                (_, path) => How::Folder {
                    path: path.unwrap_or_default().into(),
                    kustomize: false,
                },
            };
            Install {
                component: name.clone(),
                version: String::new(),
                digest: digest("", &component.options),
                how,
            }
        }
        Part::Kustomize(name) => {
            let path = component
                .options
                .get("path")
                .and_then(Tree::as_text)
                .unwrap_or_default()
                .to_string();
            let how = How::Folder {
                path,
                kustomize: true,
            };
            Install {
                component: name.clone(),
                version: String::new(),
                digest: digest("", &component.options),
                how,
            }
        }
    }
}

/// The workloads that show whether a component is there, as `namespace/kind/name`; none for the user's own.
pub fn expected(
    component: &ComponentSpec,
    distribution: Distribution,
    provider: Provider,
) -> Vec<String> {
    match &component.part {
        Part::Known(known) => workload_ids(&release(effective(*known, distribution, provider))),
        _ => Vec::new(),
    }
}

/// Whether a component comes before others: 0 the network, 1 certificates, 2 the rest, 3 GitOps.
pub fn phase(component: &ComponentSpec) -> u8 {
    use crate::axis::Slot;
    match component.part.slot() {
        Some(Slot::Cni) => 0,
        Some(Slot::CertManager) => 1,
        Some(Slot::GitOps) => 3,
        _ => 2,
    }
}

/// `load_balancer()` is whatever serves that role here.
fn effective(component: Component, distribution: Distribution, provider: Provider) -> Component {
    match component {
        Component::LoadBalancer => {
            support::load_balancer(distribution, provider).unwrap_or(Component::LoadBalancer)
        }
        other => other,
    }
}

fn real(release: &Release, version: &str, options: &Options) -> How {
    match release.source {
        Source::Chart { repo, chart } => How::Chart {
            repo: repo.into(),
            chart: chart.into(),
            namespace: release.namespace.into(),
            values: options.get("values").cloned().unwrap_or_default(),
        },
        Source::Container { image } => How::Container {
            image: format!("{image}:{version}"),
        },
        Source::Provided => How::Objects {
            objects: Vec::new(),
            namespace: None,
        },
    }
}

/// Changes when version or options change; a secret counts only by being there, for a digest of it could be guessed.
fn digest(version: &str, options: &Options) -> String {
    let text = format!("{version}\n{}", Tree::Map(options.clone()).to_json());
    let hash = Sha256::digest(text.as_bytes());
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The component of a name, as facts tell it.
pub fn known(name: &str) -> Option<Component> {
    Component::parse(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flux(options: serde_json::Value) -> ComponentSpec {
        ComponentSpec {
            part: Part::Known(Component::Flux),
            options: Tree::from_json(&options).as_map().unwrap().clone(),
        }
    }

    #[test]
    fn another_option_is_another_digest() {
        let on = |options| install(&flux(options), Distribution::K3s, Provider::Docker).digest;
        assert_eq!(on(serde_json::json!({})), on(serde_json::json!({})));
        assert_ne!(
            on(serde_json::json!({})),
            on(serde_json::json!({ "tag": "v2" }))
        );
    }

    #[test]
    fn simulated_clusters_show_workloads_and_real_ones_get_charts() {
        let simulated = install(
            &flux(serde_json::json!({})),
            Distribution::K3s,
            Provider::Embedded,
        );
        assert!(
            matches!(
                simulated.how,
                How::Shown {
                    component: Component::Flux
                }
            ),
            "{simulated:?}"
        );
        let real = install(
            &flux(serde_json::json!({})),
            Distribution::K3s,
            Provider::Docker,
        );
        assert!(matches!(real.how, How::Chart { .. }), "{real:?}");
    }
}
