//! What a pod wants of a node, and whether a node gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::node::{Node, Taint};
use crate::embedded::api::selector::LabelSelector;
use crate::embedded::controllers::pods::{Index, Usage, host_ports};
use crate::embedded::reach::Reach as _;

/// What a pod wants of a node.
pub(in crate::embedded) struct Wants {
    selector: LabelSelector,
    /// Terms of which one must hold.
    required: Option<Vec<Term>>,
    preferred: Vec<(i128, Term)>,
    tolerations: Vec<Value>,
    labels: BTreeMap<String, String>,
    near: Vec<Nearness>,
    away: Vec<Nearness>,
    spread: Vec<(String, LabelSelector, i128)>,
    ports: Vec<i64>,
}

struct Term {
    labels: LabelSelector,
    names: Option<Vec<String>>,
}

struct Nearness {
    topology: String,
    selector: LabelSelector,
    namespaces: Vec<String>,
}

/// Where the pods are that a pod wants to be near to or away from: topology and its value.
#[derive(Default)]
pub(super) struct Neighbours {
    near: Vec<Option<BTreeSet<String>>>,
    away: Vec<BTreeSet<String>>,
    /// Places that pods already there don't want this pod in.
    repelled: BTreeSet<(String, String)>,
    spread: Vec<BTreeMap<String, i128>>,
    ports: BTreeSet<String>,
}

fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.reach(at).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl Term {
    fn read(term: &Value) -> Self {
        let expressions = serde_json::json!({"matchExpressions": term.get("matchExpressions")});
        let fields: Vec<&Value> = list(term, "/matchFields").collect();
        Self {
            labels: numbers(term).unwrap_or_else(|| LabelSelector::from_json(&expressions)),
            names: (!fields.is_empty()).then(|| {
                let values = fields.iter().flat_map(|field| list(field, "/values"));
                values
                    .filter_map(|name| Some(name.as_str()?.to_owned()))
                    .collect()
            }),
        }
    }

    fn holds(&self, node: &Node) -> bool {
        let named = self
            .names
            .as_ref()
            .is_none_or(|names| names.contains(&node.name));
        named
            && self
                .labels
                .matches(|name| node.labels.get(name).map(String::as_str))
    }
}

/// Terms with `Gt` and `Lt` go by the text form, which knows numbers.
fn numbers(term: &Value) -> Option<LabelSelector> {
    let compares = |e: &Value| matches!(text(e, "operator"), "Gt" | "Lt");
    if !list(term, "/matchExpressions").any(compares) {
        return None;
    }
    let each: Vec<String> = list(term, "/matchExpressions")
        .map(|e| {
            let values: Vec<&str> = list(e, "/values").filter_map(Value::as_str).collect();
            let (key, joined) = (text(e, "key"), values.join(","));
            match text(e, "operator") {
                "Gt" => format!("{key}>{joined}"),
                "Lt" => format!("{key}<{joined}"),
                "NotIn" => format!("{key} notin ({joined})"),
                "Exists" => key.to_owned(),
                "DoesNotExist" => format!("!{key}"),
                _ => format!("{key} in ({joined})"),
            }
        })
        .collect();
    LabelSelector::parse(&each.join(",")).ok()
}

impl Nearness {
    fn read(term: &Value, namespace: &str) -> Self {
        let namespaces: Vec<String> = list(term, "/namespaces")
            .filter_map(|name| Some(name.as_str()?.to_owned()))
            .collect();
        Self {
            topology: text(term, "topologyKey").to_owned(),
            selector: term
                .get("labelSelector")
                .map(LabelSelector::from_json)
                .unwrap_or_default(),
            namespaces: if namespaces.is_empty() {
                vec![namespace.to_owned()]
            } else {
                namespaces
            },
        }
    }
}

const NODE: &str = "/spec/affinity/nodeAffinity";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

impl Wants {
    /// Reads a pod or a pod template.
    pub(in crate::embedded) fn read(pod: &Value) -> Self {
        let namespace = pod
            .reach("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let selector = pod.reach("/spec/nodeSelector");
        let required = pod.reach(&format!("{NODE}/{REQUIRED}"));
        let preferred = format!("{NODE}/preferredDuringSchedulingIgnoredDuringExecution");
        let labels = pod.reach("/metadata/labels").and_then(Value::as_object);
        let nearness = |at: &str| -> Vec<Nearness> {
            let at = format!("/spec/affinity/{at}/{REQUIRED}");
            list(pod, &at)
                .map(|term| Nearness::read(term, namespace))
                .collect()
        };
        let strict = |c: &&Value| text(c, "whenUnsatisfiable") == "DoNotSchedule";
        Self {
            selector: selector.map(LabelSelector::from_map).unwrap_or_default(),
            required: required.map(|all| list(all, "/nodeSelectorTerms").map(Term::read).collect()),
            preferred: list(pod, &preferred)
                .map(|each| {
                    let weight = each.get("weight").and_then(Value::as_i64).unwrap_or(0);
                    (
                        i128::from(weight),
                        Term::read(each.get("preference").unwrap_or(&Value::Null)),
                    )
                })
                .collect(),
            tolerations: list(pod, "/spec/tolerations").cloned().collect(),
            labels: labels
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
            near: nearness("podAffinity"),
            away: nearness("podAntiAffinity"),
            spread: list(pod, "/spec/topologySpreadConstraints")
                .filter(strict)
                .map(|c| {
                    let skew = c.get("maxSkew").and_then(Value::as_i64).unwrap_or(1);
                    let selector = c.get("labelSelector").map(LabelSelector::from_json);
                    (
                        text(c, "topologyKey").to_owned(),
                        selector.unwrap_or_default(),
                        i128::from(skew),
                    )
                })
                .collect(),
            ports: host_ports(pod),
        }
    }

    /// Whether a node is of the kind that is wanted.
    pub(in crate::embedded) fn accepts(&self, node: &Node) -> bool {
        self.selector
            .matches(|name| node.labels.get(name).map(String::as_str))
            && self
                .required
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.holds(node)))
    }

    /// Whether none of a node's taints keeps the pod away.
    pub(in crate::embedded) fn tolerates(&self, node: &Node) -> bool {
        self.intolerable(node).is_none()
    }

    fn intolerable<'a>(&self, node: &'a Node) -> Option<&'a Taint> {
        let hard = node
            .taints
            .iter()
            .filter(|taint| taint.effect != "PreferNoSchedule");
        hard.into_iter()
            .find(|taint| !self.tolerations.iter().any(|t| is_tolerated(t, taint)))
    }

    /// Finds the pods that matter for nearness and spreading.
    pub(super) fn neighbours(
        &self,
        index: &Index,
        namespace: &str,
        nodes: &BTreeMap<String, Arc<Node>>,
    ) -> Neighbours {
        let mut found = Neighbours::default();
        let place = |node: &str, topology: &str| nodes.get(node)?.labels.get(topology).cloned();
        let places = |want: &Nearness| -> BTreeSet<String> {
            let matching = index.all().filter(|pod| {
                !pod.has_ended()
                    && want
                        .namespaces
                        .iter()
                        .any(|own| own == pod.object.namespace())
                    && want.selector.matches_object(&pod.object)
            });
            matching
                .filter_map(|pod| place(&pod.node, &want.topology))
                .collect()
        };
        for want in &self.near {
            let there = places(want);
            // The first of a group that wants to be together has nobody to be near to.
            let own = want
                .selector
                .matches(|name| self.labels.get(name).map(String::as_str))
                && want.namespaces.iter().any(|own| own == namespace);
            found
                .near
                .push((!(there.is_empty() && own)).then_some(there));
        }
        found.away = self.away.iter().map(places).collect();
        for (topology, selector, _) in &self.spread {
            let mut counts: BTreeMap<String, i128> = BTreeMap::new();
            for node in nodes.values().filter(|node| self.accepts(node)) {
                if let Some(value) = node.labels.get(topology) {
                    counts.entry(value.clone()).or_insert(0);
                }
            }
            let matching = index.all().filter(|pod| {
                pod.is_active()
                    && pod.object.namespace() == namespace
                    && selector.matches_object(&pod.object)
            });
            for pod in matching {
                if let Some(count) = place(&pod.node, topology).and_then(|at| counts.get_mut(&at)) {
                    *count += 1;
                }
            }
            found.spread.push(counts);
        }
        self.find_repelled(index, namespace, &place, &mut found);
        found
    }

    fn find_repelled(
        &self,
        index: &Index,
        namespace: &str,
        place: &impl Fn(&str, &str) -> Option<String>,
        found: &mut Neighbours,
    ) {
        for pod in index
            .pushing()
            .filter(|pod| !pod.has_ended() && !pod.node.is_empty())
        {
            let Some(pushes) = &pod.pushes else { continue };
            for term in &pushes.away {
                let want = Nearness::read(term, pod.object.namespace());
                if want.namespaces.iter().any(|own| own == namespace)
                    && want
                        .selector
                        .matches(|name| self.labels.get(name).map(String::as_str))
                    && let Some(at) = place(&pod.node, &want.topology)
                {
                    found.repelled.insert((want.topology, at));
                }
            }
            if pushes.ports.iter().any(|port| self.ports.contains(port)) {
                found.ports.insert(pod.node.to_string());
            }
        }
    }

    /// How well a node suits, or why it doesn't.
    pub(super) fn check(
        &self,
        node: &Node,
        used: Usage,
        asks: Usage,
        near: &Neighbours,
    ) -> Result<i128, String> {
        if node.unschedulable && !self.tolerates_cordon() {
            return Err("node(s) were unschedulable".to_owned());
        }
        if let Some(taint) = self.intolerable(node) {
            // A cordon is shown as such, though it is a taint too.
            if taint.key == "node.kubernetes.io/unschedulable" {
                return Err("node(s) were unschedulable".to_owned());
            }
            return Err("node(s) had untolerated taint(s)".to_owned());
        }
        if !self.accepts(node) {
            return Err("node(s) didn't match Pod's node affinity/selector".to_owned());
        }
        if near.ports.contains(&node.name) {
            return Err("node(s) didn't have free ports for the requested pod ports".to_owned());
        }
        let mut room = 0;
        for (name, limit, used, asks) in [
            ("Too many pods", node.pods, used.pods, asks.pods),
            ("Insufficient cpu", node.cpu, used.cpu, asks.cpu),
            ("Insufficient memory", node.memory, used.memory, asks.memory),
        ] {
            let Some(limit) = limit else { continue };
            if asks > 0 && used + asks > limit {
                return Err(name.to_owned());
            }
            if limit > 0 {
                room += (limit - used - asks) * 100_000 / limit;
            }
        }
        self.check_places(node, near)?;
        let liked: i128 = self
            .preferred
            .iter()
            .filter(|(_, term)| term.holds(node))
            .map(|(weight, _)| weight * 1_000_000)
            .sum();
        Ok(liked + room - used.pods)
    }

    fn check_places(&self, node: &Node, near: &Neighbours) -> Result<(), String> {
        let label = |topology: &str| node.labels.get(topology);
        for ((topology, _, skew), counts) in self.spread.iter().zip(&near.spread) {
            let Some(here) = label(topology).and_then(|at| counts.get(at)) else {
                return Err(
                    "node(s) didn't match pod topology spread constraints (missing required label)"
                        .to_owned(),
                );
            };
            let least = counts.values().min().copied().unwrap_or(0);
            if here + 1 - least > *skew {
                return Err("node(s) didn't match pod topology spread constraints".to_owned());
            }
        }
        for (want, there) in self.near.iter().zip(&near.near) {
            let Some(there) = there else { continue };
            if !label(&want.topology).is_some_and(|at| there.contains(at)) {
                return Err("node(s) didn't match pod affinity rules".to_owned());
            }
        }
        for (want, there) in self.away.iter().zip(&near.away) {
            if label(&want.topology).is_some_and(|at| there.contains(at)) {
                return Err("node(s) didn't match pod anti-affinity rules".to_owned());
            }
        }
        let repels = |(topology, at): &(String, String)| label(topology) == Some(at);
        if near.repelled.iter().any(repels) {
            return Err("node(s) didn't satisfy existing pods anti-affinity rules".to_owned());
        }
        Ok(())
    }

    fn tolerates_cordon(&self) -> bool {
        let cordon = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            value: String::new(),
            effect: "NoSchedule".to_owned(),
        };
        self.tolerations.iter().any(|t| is_tolerated(t, &cordon))
    }
}

/// Whether a toleration is about a taint.
pub(in crate::embedded) fn is_tolerated(toleration: &Value, taint: &Taint) -> bool {
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    let same_effect = effect.is_empty() || effect == taint.effect;
    let same_key = key.is_empty() || key == taint.key;
    let same_value = match text(toleration, "operator") {
        "Exists" => true,
        _ => !key.is_empty() && text(toleration, "value") == taint.value,
    };
    same_effect && same_key && same_value
}
