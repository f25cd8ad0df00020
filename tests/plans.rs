//! Plans of every supported cell: they can be carried out, and a cluster that is as defined changes nothing.

use std::collections::BTreeMap;

use ksail::axis::{Axis, Component, Distribution, Provider};
use ksail::facts::{ComponentFacts, Facts, NodeFacts, Role, State};
use ksail::plan::{self, Change, Impact, Ruling, Verb};
use ksail::spec::{
    ComponentSpec, DistributionSpec, Draft, Options, Part, ProviderSpec, Spec, Tree, check,
};
use ksail::step::Action;
use ksail::{component, distribution, support};

fn draft(distribution: Distribution, provider: Provider, settings: serde_json::Value) -> Draft {
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
        settings: Tree::from_json(&settings).as_map().unwrap().clone(),
        ..Draft::default()
    }
}

fn with(mut draft: Draft, components: &[Component]) -> Draft {
    draft.components = components
        .iter()
        .map(|kind| {
            (
                String::new(),
                ComponentSpec {
                    part: Part::Known(*kind),
                    options: Options::new(),
                },
            )
        })
        .collect();
    draft
}

/// What there would be if the plan had been carried out.
fn facts_after(spec: &Spec) -> Facts {
    let components = spec
        .components
        .iter()
        .map(|wanted| {
            let install = component::install(wanted, spec.distribution.kind, spec.provider.kind);
            let workloads = component::expected(wanted, spec.distribution.kind, spec.provider.kind);
            (
                install.component,
                ComponentFacts {
                    digest: install.digest,
                    workloads,
                },
            )
        })
        .collect::<BTreeMap<_, _>>();
    let nodes = distribution::nodes(spec)
        .into_iter()
        .map(|node| NodeFacts {
            name: node.name,
            role: node.role,
            ready: true,
            version: node.version,
        })
        .collect();
    let (distribution, provider) = (spec.distribution.kind, spec.provider.kind);
    Facts {
        state: State::Running,
        endpoint: Some("https://127.0.0.1:6443".into()),
        kubernetes: Some(distribution::kubernetes(spec)),
        nodes,
        components,
        recorded: Some(plan::recorded(spec)),
        has_context: true,
        ..Facts::unseen(&spec.name, &spec.context(), distribution, provider)
    }
}

fn plan(spec: &Spec, facts: Option<&Facts>) -> plan::ClusterPlan {
    plan::cluster(spec, facts, &|change| Ok(Ruling::default_for(change))).unwrap()
}

fn cells() -> impl Iterator<Item = (Distribution, Provider)> {
    Distribution::ALL.iter().flat_map(|distribution| {
        support::providers(*distribution).map(|provider| (*distribution, provider))
    })
}

#[test]
fn every_cell_with_every_component_plans_and_then_changes_nothing() {
    let mut planned = 0;
    for (distribution, provider) in cells() {
        for component in [None]
            .into_iter()
            .chain(Component::ALL.iter().copied().map(Some))
        {
            let components: Vec<Component> = component.into_iter().collect();
            let Ok(spec) = check(&with(
                draft(distribution, provider, serde_json::json!({ "workers": 2 })),
                &components,
            )) else {
                continue;
            };
            let cell = format!("{component:?} with {distribution} on {provider}");
            let created = plan(&spec, None);
            assert_eq!(created.verb, Verb::Create, "{cell}");
            assert_eq!(created.steps.last().unwrap().id, "record", "{cell}");
            let again = plan(&spec, Some(&facts_after(&spec)));
            assert_eq!(
                (again.verb, again.changes.len(), again.steps.len()),
                (Verb::Keep, 0, 0),
                "{cell}: {:?}",
                again.changes
            );
            planned += 1;
        }
    }
    assert!(planned > 150, "{planned}");
}

#[test]
fn more_workers_cost_what_the_table_says() {
    for (distribution, provider) in cells() {
        let Ok(two) = check(&draft(
            distribution,
            provider,
            serde_json::json!({ "workers": 2 }),
        )) else {
            continue;
        };
        let Ok(three) = check(&draft(
            distribution,
            provider,
            serde_json::json!({ "workers": 3 }),
        )) else {
            continue;
        };
        let plan = plan(&three, Some(&facts_after(&two)));
        let effect = support::update(ksail::axis::Aspect::Workers, distribution).value;
        let impacts: Vec<Impact> = plan
            .changes
            .iter()
            .map(|ruled| ruled.change.impact)
            .collect();
        let expected: &[Impact] = match effect {
            support::Effect::InPlace => &[Impact::InPlace],
            support::Effect::Recreate => &[Impact::Recreate],
            _ => &[],
        };
        assert_eq!(impacts, expected, "{distribution} on {provider}");
    }
}

#[test]
fn another_network_replaces_the_first() {
    let spec = |component| {
        check(&with(
            draft(Distribution::K3s, Provider::Docker, serde_json::json!({})),
            &[component],
        ))
        .unwrap()
    };
    let plan = plan(
        &spec(Component::Calico),
        Some(&facts_after(&spec(Component::Cilium))),
    );
    let changes: Vec<(&str, &Tree, &Tree)> = plan
        .changes
        .iter()
        .map(|r| (r.change.path.as_str(), &r.change.from, &r.change.to))
        .collect();
    assert_eq!(
        changes,
        [("cni", &Tree::from("cilium"), &Tree::from("calico"))]
    );
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["remove/cilium", "component/calico", "record"]);
}

#[test]
fn a_half_made_cluster_is_finished() {
    let spec = check(&draft(
        Distribution::Kwok,
        Provider::Embedded,
        serde_json::json!({ "workers": 3 }),
    ))
    .unwrap();
    let mut facts = facts_after(&spec);
    facts.recorded = None;
    facts.nodes.truncate(1);
    let plan = plan(&spec, Some(&facts));
    assert_eq!(plan.verb, Verb::Create);
    assert_eq!(plan.changes.len(), 1, "{:?}", plan.changes);
}

#[test]
fn what_was_begun_to_be_made_anew_is_made_anew_without_another_consent() {
    let draft = draft(
        Distribution::Vanilla,
        Provider::Docker,
        serde_json::json!({}),
    );
    let spec = check(&draft).unwrap();
    let mut facts = facts_after(&spec);
    facts.state = State::Broken("its containers are half gone".into());
    facts.recorded = Some(ksail::facts::Recorded {
        replaced: true,
        ..ksail::facts::Recorded::default()
    });
    let plan = plan(&spec, Some(&facts));
    assert_eq!(plan.verb, Verb::Recreate);
    assert!(matches!(plan.steps[0].action, Action::Remove { .. }));
    assert_eq!(plan.wants_consent().count(), 0);
}

#[test]
fn a_load_balancer_that_was_removed_is_put_back_before_the_api_is_asked() {
    let three = serde_json::json!({ "control_planes": 3 });
    for kind in [Distribution::Vanilla, Distribution::K3s] {
        let spec = check(&draft(kind, Provider::Docker, three.clone())).unwrap();
        let mut facts = facts_after(&spec);
        let name = distribution::of(kind).balancer(&spec).unwrap();
        facts.missing = [(name, ksail::facts::Lack::Removed)].into();
        let plan = plan(&spec, Some(&facts));
        assert_eq!(plan.verb, Verb::Update);
        let at = |id: &str| plan.steps.iter().position(|step| step.id == id).unwrap();
        assert!(at("balancer") < at("bootstrap"), "{kind}");
        assert!(
            plan.steps.iter().all(|step| !step.id.starts_with("join/")),
            "{kind}"
        );
        assert_eq!(plan.wants_consent().count(), 0, "{kind}");
    }
}

#[test]
fn what_was_changed_by_hand_is_mended_in_place() {
    let spec = check(&with(
        draft(
            Distribution::Vanilla,
            Provider::Embedded,
            serde_json::json!({ "workers": 2 }),
        ),
        &[Component::CertManager],
    ))
    .unwrap();
    let mut facts = facts_after(&spec);
    facts.nodes.pop();
    facts
        .components
        .get_mut("cert_manager")
        .unwrap()
        .workloads
        .pop();
    facts.has_context = false;
    let plan = plan(&spec, Some(&facts));
    let paths: Vec<&str> = plan
        .changes
        .iter()
        .map(|ruled| ruled.change.path.as_str())
        .collect();
    assert_eq!(paths, ["workers", "components.cert_manager", "kubeconfig"]);
    assert!(
        plan.changes
            .iter()
            .all(|ruled| ruled.change.impact == Impact::InPlace)
    );
    assert_eq!(plan.verb, Verb::Update);
}

#[test]
fn a_deferred_change_is_left_out() {
    let two = check(&draft(
        Distribution::K3s,
        Provider::Docker,
        serde_json::json!({ "workers": 2 }),
    ))
    .unwrap();
    let three = check(&draft(
        Distribution::K3s,
        Provider::Docker,
        serde_json::json!({ "workers": 3 }),
    ))
    .unwrap();
    let defer = |_: &Change| {
        Ok(Ruling::Defer {
            window: "sat".into(),
            why: "busy".into(),
        })
    };
    let plan = plan::cluster(&three, Some(&facts_after(&two)), &defer).unwrap();
    assert_eq!(
        (plan.verb, plan.changes.len(), plan.steps.len()),
        (Verb::Keep, 1, 0)
    );
}

#[test]
fn secrets_stay_out_of_plans_and_records() {
    let settings = serde_json::json!({ "local_registry": "me:canary@ghcr.io/app", "registries": ["you:canary@quay.io"], "mirrors": ["a:canary@docker.io"] });
    let spec = check(&draft(Distribution::K3s, Provider::Docker, settings)).unwrap();
    let plan = plan::Plan {
        clusters: vec![plan(&spec, None)],
    };
    for text in [
        plan::show::text(&plan),
        plan::Saved::text(&plan),
        serde_json::to_string(&plan::recorded(&spec)).unwrap(),
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn the_same_inputs_give_the_same_plan() {
    let spec = check(&draft(
        Distribution::Talos,
        Provider::Docker,
        serde_json::json!({ "workers": 2, "control_planes": 3 }),
    ))
    .unwrap();
    let text = || serde_json::to_string(&plan(&spec, None)).unwrap();
    assert_eq!(text(), text());
    let titles: Vec<String> = plan(&spec, None)
        .steps
        .into_iter()
        .map(|step| step.title)
        .collect();
    assert!(
        titles.contains(&"bootstrap Kubernetes on dev-control-plane-1".to_string()),
        "{titles:?}"
    );
    assert_eq!(
        titles
            .iter()
            .filter(|title| title.starts_with("join"))
            .count(),
        4
    );
    let machines = plan(&spec, None)
        .steps
        .into_iter()
        .filter(|step| matches!(step.action, Action::Machine { .. }))
        .count();
    assert_eq!(machines, 5);
    assert_eq!(
        distribution::nodes(&spec)
            .iter()
            .filter(|node| node.role == Role::Worker)
            .count(),
        2
    );
}
