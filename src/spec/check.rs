//! Draft → Spec: every problem with its field, or a cluster that can be.

use std::collections::BTreeMap;

use super::field::{self, duration};
use super::registry::{Mirror, Registry};
use super::{
    ClusterName, ComponentSpec, DistributionSpec, Draft, Options, Part, ProviderSpec, Spec, Tree,
    Version, Warning, keys, options,
};
use crate::axis::{Axis, Component, Distribution, Feature, Provider, Slot};
use crate::diag::codes::model::{
    BAD_VALUE, CONTRADICTION, MISSING_KEY, NOT_ON_DISTRIBUTION, NOT_ON_PROVIDER, SLOT_TAKEN,
};
use crate::diag::suggest::one_of;
use crate::error::Error;
use crate::support::{self, Support};

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
    let components = check_components(draft, kind, provider.kind, &mut warnings, &mut problems);
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
    check_features(
        &settings,
        kind,
        provider.kind,
        &distribution.options,
        &mut warnings,
        &mut problems,
    );
    check_autoscaler(
        &settings,
        kind,
        provider.kind,
        control_planes + workers.unwrap_or(0),
        &provider.options,
        &mut problems,
    );
    check_nested_ranges(&provider, &mut problems);
    check_network(kind, &provider, &mut problems);
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

/// Keeps what is installed; says what is not, and why.
fn check_components(
    draft: &Draft,
    distribution: Distribution,
    provider: Provider,
    warnings: &mut Vec<Warning>,
    problems: &mut Vec<Error>,
) -> Vec<ComponentSpec> {
    let mut kept: Vec<ComponentSpec> = Vec::new();
    let mut taken: BTreeMap<Slot, String> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for (path, component) in &draft.components {
        if let Some(slot) = component.part.slot() {
            if let Some(other) = taken.insert(slot, component.part.name().to_string()) {
                let (word, name) = (slot.title(), component.part.name());
                let message = if other == name {
                    format!("`{name}` is given twice")
                } else {
                    format!("`{other}` and `{name}` both want to be the {word}")
                };
                problems.push(
                    Error::new(&SLOT_TAKEN, message)
                        .help("keep one of them")
                        .field(path),
                );
                continue;
            }
        } else if names.contains(&component.part.name()) {
            let message = format!("two components are called `{}`", component.part.name());
            problems.push(
                Error::new(&SLOT_TAKEN, message)
                    .help("give each its own name")
                    .field(path),
            );
            continue;
        }
        names.push(component.part.name());
        match &component.part {
            Part::Known(known) => {
                let decision = decide(*known, distribution, provider);
                match decision {
                    Decision::Keep => kept.push(component.clone()),
                    Decision::Leave(text) => warnings.push(Warning {
                        field: path.clone(),
                        text,
                    }),
                    Decision::BuiltIn => {}
                    Decision::Refuse(problem) => problems.push(problem.field(path)),
                }
            }
            _ => kept.push(component.clone()),
        }
    }
    kept
}

enum Decision {
    Keep,
    BuiltIn,
    Leave(String),
    Refuse(Error),
}

fn decide(component: Component, distribution: Distribution, provider: Provider) -> Decision {
    let cell = support::component(component, distribution, provider);
    let why = cell
        .note
        .and_then(support::note)
        .unwrap_or("it has no effect here");
    let (name, on) = (component.name(), distribution.name());
    match cell.value {
        Support::Install | Support::InstallOn(_) | Support::Since(_) | Support::Simulated => {
            Decision::Keep
        }
        Support::BuiltIn => Decision::BuiltIn,
        Support::Managed => {
            Decision::Leave(format!("`{name}` has no effect on {on}: {}", lower(why)))
        }
        Support::Skipped => {
            Decision::Leave(format!("`{name}` is left out on {on}: {}", lower(why)))
        }
        Support::Unsupported => {
            let others: Vec<&str> = support::slot(component)
                .into_iter()
                .flat_map(support::fillers)
                .filter(|other| {
                    let there = support::component(*other, distribution, provider).value;
                    matches!(there, Support::Install | Support::Simulated)
                })
                .map(Axis::name)
                .collect();
            let help = if others.is_empty() {
                format!(
                    "leave it out: nothing fills that role on {on} with {}",
                    provider.name()
                )
            } else {
                format!("use {}", one_of(others))
            };
            let message = format!("`{name}` cannot be had on {on} with {}", provider.name());
            Decision::Refuse(Error::new(&NOT_ON_DISTRIBUTION, message).help(help))
        }
    }
}

fn check_features(
    settings: &Options,
    distribution: Distribution,
    provider: Provider,
    options: &Options,
    warnings: &mut Vec<Warning>,
    problems: &mut Vec<Error>,
) {
    for (feature, key) in [
        (Feature::LocalRegistry, "local_registry"),
        (Feature::Mirrors, "mirrors"),
        (Feature::Registries, "registries"),
        (Feature::ImageVerification, "image_verification"),
    ] {
        let Some(value) = settings.get(key).filter(|value| is_wanted(value)) else {
            continue;
        };
        match support::feature(feature, distribution, provider).value {
            Support::Unsupported => problems.push(
                Error::new(
                    &NOT_ON_DISTRIBUTION,
                    format!("`{key}` cannot be had on {}", distribution.name()),
                )
                .help("leave it out")
                .field(key),
            ),
            Support::Since(since) => check_since(since, options, key, problems),
            Support::Skipped => warnings.push(Warning {
                field: key.into(),
                text: format!("`{key}` is left out on {}", distribution.name()),
            }),
            _ => check_places(value, key, provider, problems),
        }
    }
}

fn check_since(since: &str, options: &Options, key: &str, problems: &mut Vec<Error>) {
    let given = options
        .get("version")
        .and_then(|version| Version::parse(version.as_text()?).ok());
    if let (Some(given), Ok(since)) = (given, Version::parse(since))
        && (given.major, given.minor) < (since.major, since.minor)
    {
        problems.push(
            Error::new(
                &CONTRADICTION,
                format!(
                    "`{key}` wants version {since} of the distribution, and {given} is asked for"
                ),
            )
            .help(format!(
                "raise `version` to {since} or newer, or leave `{key}` out"
            ))
            .field(key),
        );
    }
}

/// Registries beside the cluster are Docker's; elsewhere they have to be reachable from there.
fn check_places(value: &Tree, key: &str, provider: Provider, problems: &mut Vec<Error>) {
    if matches!(provider, Provider::Docker | Provider::Embedded) {
        return;
    }
    let is_local = match (key, value) {
        ("local_registry", Tree::Bool(true)) => true,
        ("local_registry", Tree::Text(text)) => {
            Registry::parse(text).is_ok_and(|registry| !registry.is_external())
        }
        ("mirrors", Tree::List(mirrors)) if provider != Provider::Kubernetes => {
            mirrors.iter().any(|mirror| {
                let upstream = mirror
                    .as_text()
                    .and_then(|text| Mirror::parse(text).ok())
                    .map(|mirror| mirror.upstream);
                let local = [
                    "localhost",
                    "127.0.0.1",
                    "0.0.0.0",
                    "host.docker.internal",
                    "[::1]",
                ];
                upstream.is_some_and(|upstream| local.iter().any(|host| upstream.contains(host)))
            })
        }
        _ => false,
    };
    if is_local {
        problems.push(
            Error::new(
                &CONTRADICTION,
                format!(
                    "a registry on this machine cannot be reached from {}",
                    provider.title()
                ),
            )
            .help("use an external registry, such as \"ghcr.io/you/app\"")
            .field(key),
        );
    }
}

fn check_autoscaler(
    settings: &Options,
    distribution: Distribution,
    provider: Provider,
    nodes: u32,
    options: &Options,
    problems: &mut Vec<Error>,
) {
    let node = settings
        .get("autoscaler")
        .and_then(|a| a.as_map()?.get("node")?.as_map());
    let Some(node) = node.filter(|node| node.get("enabled").and_then(Tree::as_bool) == Some(true))
    else {
        return;
    };
    let field = "autoscaler.node";
    if (distribution, provider) != (Distribution::Talos, Provider::Hetzner) {
        problems.push(
            Error::new(
                &NOT_ON_DISTRIBUTION,
                "node autoscaling is for Talos on Hetzner",
            )
            .help("leave it out")
            .field(field),
        );
        return;
    }
    let pools = node
        .get("pools")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    if pools.is_empty() {
        problems.push(
            Error::new(&CONTRADICTION, "node autoscaling is on and has no pools")
                .help("add `pools: [#{ name: \"workers\", location: \"fsn1\", max: 3 }]`")
                .field(field),
        );
    }
    let number = |map: &Options, key: &str, default: i64| {
        map.get(key).and_then(Tree::as_int).unwrap_or(default)
    };
    let mut reach = i64::from(nodes);
    for (index, pool) in pools.iter().filter_map(Tree::as_map).enumerate() {
        let (min, max) = (number(pool, "min", 0), number(pool, "max", 1));
        reach += max;
        if min > max {
            problems.push(
                Error::new(
                    &CONTRADICTION,
                    format!("the pool's `min` ({min}) is above its `max` ({max})"),
                )
                .help("raise `max` or lower `min`")
                .field(format!("{field}.pools[{index}]")),
            );
        }
    }
    let most = number(node, "max_nodes_total", 0);
    if most > 0 {
        reach = reach.min(most.max(i64::from(nodes)));
    }
    // Talos keeps one server free, to build boot images with.
    let limit = number(options, "server_limit", 10) - 1;
    if reach > limit {
        problems.push(
            Error::new(
                &BAD_VALUE,
                format!("the pools can grow to {reach} servers and the account allows {limit}"),
            )
            .help("lower `max`, set `max_nodes_total`, or raise the provider's `server_limit`")
            .field(field),
        );
    }
}

/// The nested cluster's ranges must not meet the ranges that host clusters usually have.
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

/// The parts of a KWOK cluster find each other in a network of their own, which kwokctl looks for by its name.
fn check_network(distribution: Distribution, provider: &ProviderSpec, problems: &mut Vec<Error>) {
    if provider.kind == Provider::Docker
        && distribution == Distribution::Kwok
        && provider.options.contains_key("network")
    {
        let message = "kwok has a network of its own and joins no other";
        problems.push(
            Error::new(&NOT_ON_DISTRIBUTION, message)
                .help("leave `network` out: its nodes are simulated, and the API is published on the host")
                .field("provider"),
        );
    }
}

fn check_nested_ranges(provider: &ProviderSpec, problems: &mut Vec<Error>) {
    if provider.kind != Provider::Kubernetes {
        return;
    }
    for key in ["pod_cidr", "service_cidr"] {
        let Some(given) = provider.options.get(key).and_then(Tree::as_text) else {
            continue;
        };
        for host in ["10.244.0.0/16", "10.96.0.0/12"] {
            if overlap(given, host) {
                problems.push(
                    Error::new(&CONTRADICTION, format!("the nested cluster's range {given} overlaps {host}, which host clusters use"))
                        .help("use ranges such as 10.64.0.0/16 and 10.128.0.0/16")
                        .field("provider"),
                );
            }
        }
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let range = |text: &str| -> Option<(u32, u32)> {
        let (address, bits) = text.split_once('/')?;
        let address = u32::from(address.parse::<std::net::Ipv4Addr>().ok()?);
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Some((address & mask, address | !mask))
    };
    match (range(one), range(other)) {
        (Some((a, b)), Some((c, d))) => a <= d && c <= b,
        _ => false,
    }
}

fn is_wanted(value: &Tree) -> bool {
    match value {
        Tree::Bool(answer) => *answer,
        Tree::List(list) => !list.is_empty(),
        Tree::Null => false,
        _ => true,
    }
}

fn has_gitops(components: &[ComponentSpec]) -> bool {
    components
        .iter()
        .any(|component| component.part.slot() == Some(Slot::GitOps))
}

fn needs_local_registry(provider: Provider) -> bool {
    matches!(provider, Provider::Docker | Provider::Embedded)
}

fn lower(sentence: &str) -> String {
    let text = sentence.trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // "KWOK …" and "It …" differ: only an ordinary first word loses its capital.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().collect::<String>() + &text[first.len_utf8()..]
        }
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn nested_ranges_stay_clear_of_the_host() {
        assert!(
            overlap("10.244.1.0/24", "10.244.0.0/16") && !overlap("10.64.0.0/16", "10.244.0.0/16")
        );
        assert!(overlap("0.0.0.0/0", "10.96.0.0/12"));
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
