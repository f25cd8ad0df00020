//! Draft → Spec: every problem with its field, or a cluster that can be.

mod autoscaler;
mod components;
mod features;
mod network;

use super::field::{self, duration};
use super::{
    ClusterName, ComponentSpec, DistributionSpec, Draft, Options, ProviderSpec, Spec, Tree,
    Version, Warning, keys, options,
};
use crate::axis::{Axis, Distribution, Provider, Slot};
use crate::diag::codes::model::{MISSING_KEY, NOT_ON_PROVIDER};
use crate::diag::suggest::one_of;
use crate::error::Error;
use crate::support;

/// Turns what was typed into a cluster that can be, or says everything that is wrong with it.
pub fn check(draft: &Draft) -> Result<Spec, Vec<Error>> {
    let mut problems = Vec::new();
    let name = ClusterName::parse(&draft.name)
        .map_err(|problem| problems.push(problem.field("name")))
        .ok();
    field::check(keys::SETTINGS, &[], &draft.settings, "", &mut problems);
    if draft.distribution.is_none() {
        problems.push(
            Error::new(&MISSING_KEY, "the cluster has no distribution")
                .help("add one, such as `distribution: k3s()`")
                .field(""),
        );
    }
    let (Some(distribution), Some(name), true) =
        (draft.distribution.clone(), name, problems.is_empty())
    else {
        return Err(problems);
    };
    let kind = distribution.kind;
    let provider = draft.provider.clone().unwrap_or_else(|| ProviderSpec {
        kind: support::providers(kind)
            .next()
            .unwrap_or(Provider::Embedded),
        options: Options::new(),
    });
    check_provider(kind, provider.kind, &mut problems);
    let mut warnings = Vec::new();
    let components = components::kept(draft, kind, provider.kind, &mut warnings, &mut problems);
    let mut settings = draft.settings.clone();
    let int =
        |settings: &mut Options, key: &str| settings.remove(key).and_then(|value| value.as_int());
    let file = options::counts(&distribution);
    let control_planes = int(&mut settings, "control_planes")
        .and_then(|n| u32::try_from(n).ok())
        .or(file.map(|(control_planes, _)| control_planes))
        .unwrap_or(1);
    let workers = int(&mut settings, "workers")
        .and_then(|n| u32::try_from(n).ok())
        .or(file.map(|(_, workers)| workers));
    let kubernetes = settings
        .remove("kubernetes")
        .and_then(|v| Version::parse(v.as_text()?).ok());
    let ttl = settings
        .remove("ttl")
        .and_then(|value| duration(value.as_text()?));
    features::check(
        &settings,
        kind,
        provider.kind,
        &distribution.options,
        &mut warnings,
        &mut problems,
    );
    autoscaler::check(
        &settings,
        kind,
        provider.kind,
        control_planes + workers.unwrap_or(0),
        &provider.options,
        &mut problems,
    );
    network::nested_ranges(&provider, &mut problems);
    network::joins(kind, &provider, &mut problems);
    if settings.contains_key("import_images") && !loads_images(kind, provider.kind) {
        settings.remove("import_images");
        warnings.push(Warning {
            field: "import_images".into(),
            text: format!(
                "`import_images` is left out: nodes of {} on {} take none",
                kind.name(),
                provider.kind.name()
            ),
        });
    }
    if let Some(Tree::Map(oidc)) = settings.get_mut("oidc")
        && oidc.remove("extra_scopes").is_some()
    {
        warnings.push(Warning {
            field: "oidc.extra_scopes".into(),
            text: "`oidc.extra_scopes` is left out: the API server takes no scopes, and ksail writes no user that logs \
                in by OIDC into the kubeconfig; give them to the login plugin, such as `kubectl oidc-login \
                get-token --oidc-extra-scope=…`"
                .into(),
        });
    }
    if has_gitops(&components)
        && !settings.contains_key("local_registry")
        && needs_local_registry(provider.kind)
    {
        settings.insert("local_registry".into(), Tree::Bool(true));
    }
    warnings.extend(other_name(&distribution, &name));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Spec {
        name,
        kubernetes,
        control_planes,
        workers: workers.unwrap_or(u32::from(kind == Distribution::Kwok)),
        components,
        settings,
        ttl,
        hooks: draft.hooks.clone(),
        warnings,
        distribution,
        provider,
    })
}

fn check_provider(distribution: Distribution, provider: Provider, problems: &mut Vec<Error>) {
    if !support::runs_on(distribution, provider) {
        let others = one_of(support::providers(distribution).map(Axis::name));
        problems.push(
            Error::new(
                &NOT_ON_PROVIDER,
                format!(
                    "{} does not run on {}",
                    distribution.name(),
                    provider.name()
                ),
            )
            .help(format!("{} runs on {others}", distribution.name()))
            .field("provider"),
        );
    }
}

/// What to say of a distribution's own file that calls the cluster something else.
fn other_name(distribution: &DistributionSpec, name: &ClusterName) -> Option<Warning> {
    let file = distribution.options.get("config")?.as_map()?;
    let theirs = match distribution.kind {
        Distribution::Vanilla => file.get("name")?.as_text()?,
        Distribution::K3s => file.get("metadata")?.as_map()?.get("name")?.as_text()?,
        _ => return None,
    };
    (theirs != name.as_str()).then(|| Warning {
        field: "distribution".into(),
        text: format!("the file calls the cluster `{theirs}`; it is made as `{name}`"),
    })
}

/// Whether nodes take images that are loaded into them.
fn loads_images(distribution: Distribution, provider: Provider) -> bool {
    provider == Provider::Docker
        && matches!(distribution, Distribution::Vanilla | Distribution::K3s)
}

fn has_gitops(components: &[ComponentSpec]) -> bool {
    components
        .iter()
        .any(|component| component.part.slot() == Some(Slot::GitOps))
}

fn needs_local_registry(provider: Provider) -> bool {
    matches!(provider, Provider::Docker | Provider::Embedded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::Component;
    use crate::diag::codes::model::NOT_ON_DISTRIBUTION;
    use crate::spec::Part;
    use crate::support::Support;

    fn draft(
        distribution: Distribution,
        provider: Provider,
        components: &[Component],
        settings: serde_json::Value,
    ) -> Draft {
        Draft {
            name: "dev".into(),
            distribution: Some(DistributionSpec {
                kind: distribution,
                options: Options::new(),
            }),
            provider: Some(ProviderSpec {
                kind: provider,
                options: Options::new(),
            }),
            components: components
                .iter()
                .enumerate()
                .map(|(i, c)| {
                    (
                        format!("components[{i}]"),
                        ComponentSpec {
                            part: Part::Known(*c),
                            options: Options::new(),
                        },
                    )
                })
                .collect(),
            settings: Tree::from_json(&settings).as_map().unwrap().clone(),
            ..Draft::default()
        }
    }

    fn problems(draft: &Draft) -> Vec<(String, String)> {
        let problems = check(draft).unwrap_err();
        problems
            .iter()
            .map(|p| {
                (
                    p.code().id.to_string(),
                    p.at_field().unwrap_or_default().to_string(),
                )
            })
            .collect()
    }

    #[test]
    fn every_supported_cell_is_a_spec_and_every_other_a_problem() {
        for distribution in Distribution::ALL {
            for provider in Provider::ALL {
                let draft = draft(*distribution, *provider, &[], serde_json::json!({}));
                let runs = support::runs_on(*distribution, *provider);
                assert_eq!(check(&draft).is_ok(), runs, "{distribution} on {provider}");
                for component in Component::ALL {
                    let draft = Draft {
                        components: vec![(
                            "components[0]".into(),
                            ComponentSpec {
                                part: Part::Known(*component),
                                options: Options::new(),
                            },
                        )],
                        ..draft.clone()
                    };
                    let support = support::component(*component, *distribution, *provider).value;
                    let can = runs && support != Support::Unsupported;
                    let spec = check(&draft);
                    assert_eq!(
                        spec.is_ok(),
                        can,
                        "{component} with {distribution} on {provider}"
                    );
                    let Ok(spec) = spec else { continue };
                    let is_left = matches!(support, Support::Skipped | Support::Managed);
                    assert_eq!(
                        !spec.warnings.is_empty(),
                        is_left,
                        "{component} with {distribution} on {provider}"
                    );
                    let is_kept = matches!(support, Support::Install | Support::Simulated);
                    assert_eq!(!spec.components.is_empty(), is_kept);
                }
            }
        }
    }

    #[test]
    fn tells_all_problems_at_once() {
        let mut draft = draft(
            Distribution::K3s,
            Provider::Docker,
            &[],
            serde_json::json!({ "workers": -1, "ttl": "x", "x": 1 }),
        );
        draft.name = "Dev".into();
        let codes: Vec<String> = problems(&draft).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["E0207", "E0201", "E0201", "E0203"]);
    }

    #[test]
    fn one_component_to_a_slot() {
        let draft = draft(
            Distribution::K3s,
            Provider::Docker,
            &[Component::Cilium, Component::Calico],
            serde_json::json!({}),
        );
        assert_eq!(
            problems(&draft),
            [("E0206".to_string(), "components[1]".to_string())]
        );
    }

    #[test]
    fn kwok_has_one_node_by_default_and_gitops_a_registry() {
        let spec = check(&draft(
            Distribution::Kwok,
            Provider::Embedded,
            &[Component::Argocd],
            serde_json::json!({}),
        ))
        .unwrap();
        assert_eq!(spec.workers, 1);
        assert_eq!(spec.settings.get("local_registry"), Some(&Tree::Bool(true)));
        assert_eq!(spec.context(), "embedded-dev");
    }

    #[test]
    fn a_local_registry_stays_on_this_machine() {
        let draft = draft(
            Distribution::Talos,
            Provider::Hetzner,
            &[],
            serde_json::json!({ "local_registry": true }),
        );
        assert_eq!(
            problems(&draft),
            [("E0209".to_string(), "local_registry".to_string())]
        );
    }

    #[test]
    fn autoscaling_is_bounded_by_the_account() {
        let with = |max: i64| {
            draft(
                Distribution::Talos,
                Provider::Hetzner,
                &[],
                serde_json::json!({ "workers": 2, "autoscaler": { "node": { "enabled": true, "pools": [{ "name": "a", "location": "fsn1", "max": max }] } } }),
            )
        };
        assert!(check(&with(6)).is_ok());
        assert_eq!(
            problems(&with(7)),
            [("E0201".to_string(), "autoscaler.node".to_string())]
        );
    }

    #[test]
    fn what_docker_cannot_honour_is_said() {
        let images = serde_json::json!({ "import_images": ["a:1"] });
        let kept = |distribution, provider| {
            let spec = check(&draft(distribution, provider, &[], images.clone())).unwrap();
            (
                spec.settings.contains_key("import_images"),
                spec.warnings.len(),
            )
        };
        assert_eq!(kept(Distribution::K3s, Provider::Docker), (true, 0));
        assert_eq!(kept(Distribution::Kwok, Provider::Docker), (false, 1));
        assert_eq!(kept(Distribution::K3s, Provider::Embedded), (false, 1));

        let oidc = serde_json::json!({ "oidc": {
            "issuer_url": "https://id.example.com", "client_id": "k8s", "extra_scopes": ["groups"],
        } });
        let spec = check(&draft(Distribution::K3s, Provider::Docker, &[], oidc)).unwrap();
        let oidc = spec.settings.get("oidc").and_then(Tree::as_map).unwrap();
        assert_eq!((oidc.len(), spec.warnings.len()), (2, 1));
        assert_eq!(spec.warnings.first().unwrap().field, "oidc.extra_scopes");

        let mut other = draft(
            Distribution::Kwok,
            Provider::Docker,
            &[],
            serde_json::json!({}),
        );
        if let Some(provider) = &mut other.provider {
            provider.options.insert("network".into(), "mine".into());
        }
        let problems = check(&other).unwrap_err();
        assert_eq!(problems.first().unwrap().code().id, NOT_ON_DISTRIBUTION.id);

        let mut named = draft(
            Distribution::Vanilla,
            Provider::Docker,
            &[],
            serde_json::json!({}),
        );
        if let Some(distribution) = &mut named.distribution {
            let file = Tree::from_json(&serde_json::json!({ "name": "theirs" }));
            distribution.options.insert("config".into(), file);
        }
        let spec = check(&named).unwrap();
        assert!(spec.warnings.first().unwrap().text.contains("`theirs`"));
    }
}
