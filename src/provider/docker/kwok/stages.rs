//! What simulated nodes and pods go through, as documents of kwok.yaml.
//!
//! As soon as a stage of the user's names a kind, those alone drive the objects of that kind; KWOK's own go on driving
//! the others, so that whoever writes stages for pods keeps nodes that become Ready.

use crate::spec::{Spec, Tree};

/// KWOK's own.
pub(super) const STAGES: &str = include_str!("stages.yaml");

/// The stages of a cluster.
pub(super) fn of(spec: &Spec) -> String {
    let own = spec.distribution.options.get("config");
    with(own.and_then(Tree::as_list).unwrap_or_default())
}

fn with(own: &[Tree]) -> String {
    let own: Vec<serde_json::Value> = own.iter().map(Tree::to_json).collect();
    let is_driven = |kind: &str| {
        own.iter()
            .any(|stage| stage["spec"]["resourceRef"]["kind"] == *kind)
    };
    let kept = STAGES
        .split_inclusive("\n---\n")
        .map(|part| part.trim_start_matches("---\n").trim_end_matches("---\n"))
        .filter(|part| {
            let kind = ["Node", "Pod"]
                .into_iter()
                .find(|kind| part.contains(&format!("kind: {kind} }}")));
            !kind.is_some_and(is_driven)
        });
    let own = own
        .iter()
        .map(|stage| serde_yaml::to_string(stage).unwrap_or_default());
    kept.map(String::from)
        .chain(own)
        .map(|stage| format!("---\n{stage}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_stages_of_the_users_kwoks_own_are_there() {
        assert_eq!(with(&[]), STAGES);
    }

    #[test]
    fn a_users_stage_takes_the_place_of_those_of_its_kind_alone() {
        let stage = serde_json::json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": { "name": "mine" },
            "spec": { "resourceRef": { "apiGroup": "v1", "kind": "Pod" }, "next": { "delete": true } },
        });
        let text = with(&[Tree::from_json(&stage)]);
        let names: Vec<serde_json::Value> = text
            .split("---\n")
            .filter(|part| !part.is_empty())
            .map(|part| serde_yaml::from_str::<serde_json::Value>(part).unwrap())
            .map(|stage| stage["metadata"]["name"].clone())
            .collect();
        assert_eq!(
            names,
            ["node-initialize", "node-heartbeat-with-lease", "mine"]
        );
    }
}
