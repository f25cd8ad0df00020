//! Users' own stages: `Stage` objects that say how nodes and pods go on.
//!
//! As soon as a stage names a kind, stages alone drive the objects of that kind; what is built in for it stands back, as
//! KWOK's own defaults do. Of the stages that take an object one is drawn by weight, waited for, and carried out if it
//! still takes the object then. What is not known (`weightFrom`, patches of other kinds) is left out of the draw.

use std::collections::HashMap;
use std::time::Duration;

use rand::Rng as _;
use serde_json::{Value, json};

use super::kinds::GROUP;
use super::node::address_of;
use super::select;
use super::template::{self, Surroundings};
use crate::embedded::api::status::Status;
use crate::embedded::controllers::{Context, Controller, Event, Next};
use crate::embedded::reach::Reach as _;
use crate::embedded::server::Server;
use crate::embedded::store::{Change, ChangeKind, Object};
use crate::embedded::write::{self, Deletion, Options, Part};

const NAME: &str = "kwok-controller";
const PLURALS: &[(&str, &str)] = &[("Node", "nodes"), ("Pod", "pods")];

/// Whether users' stages drive the objects of a kind.
pub(in crate::embedded) fn drive(server: &Server, kind: &str) -> bool {
    !stages_of(server, kind).is_empty()
}

/// Whether there are stages at all.
fn any(server: &Server) -> bool {
    let stages = server.kind(GROUP, "stages");
    stages.is_some_and(|stages| !server.list(&stages, "").objects.is_empty())
}

fn stages_of(server: &Server, kind: &str) -> Vec<Value> {
    let Some(stages) = server.kind(GROUP, "stages") else {
        return Vec::new();
    };
    let all = server.list(&stages, "").objects;
    let all = all.into_iter().map(|stage| (*stage.value()).clone());
    all.filter(|stage| stage.reach("/spec/resourceRef/kind") == Some(&kind.into()))
        .collect()
}

/// Carries out users' stages.
#[derive(Default)]
pub(in crate::embedded) struct Stages {
    /// The stage that is waited for, by object, and from which revision on.
    waiting: HashMap<String, (String, u64)>,
    /// When it is carried out.
    due: HashMap<String, tokio::time::Instant>,
    given: u32,
}

impl Controller for Stages {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "nodes"), ("", "pods"), (GROUP, "stages")]
    }

    fn keys(&mut self, context: &Context, source: usize, change: &Change) -> Vec<String> {
        let tagged = |at: usize, object: &Object| format!("{at} {}", object.key());
        if source < PLURALS.len() && change.kind != ChangeKind::Deleted && !any(&context.server) {
            // Should a stage come, it asks for all objects.
            return Vec::new();
        }
        if source < PLURALS.len() {
            return match change.kind {
                ChangeKind::Deleted => {
                    self.waiting.remove(&tagged(source, &change.object));
                    Vec::new()
                }
                _ => vec![tagged(source, &change.object)],
            };
        }
        // A new stage may take what none took before.
        let mut keys = Vec::new();
        for (at, (_, plural)) in PLURALS.iter().enumerate() {
            if let Ok(kind) = context.kind("", plural) {
                let all = context.server.list(&kind, "").objects;
                keys.extend(all.iter().map(|object| tagged(at, object)));
            }
        }
        keys
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let (source, place) = key.split_once(' ').unwrap_or_default();
        let at: usize = source.parse().unwrap_or_default();
        let Some((name, plural)) = PLURALS.get(at) else {
            return Ok(Next::Done);
        };
        let kind = context.kind("", plural)?;
        let Some(object) = context.find(&kind, place) else {
            self.waiting.remove(key);
            return Ok(Next::Done);
        };
        let value = object.value();
        let taking: Vec<Value> = stages_of(&context.server, name)
            .into_iter()
            .filter(|stage| select::takes(stage.reach("/spec/selector"), &value))
            .collect();
        let id = |stage: &Value| text(stage, "/metadata/name").to_owned();
        if let Some((waited, from)) = self.waiting.get(key).cloned() {
            if let Some(stage) = taking.iter().find(|stage| id(stage) == waited) {
                if object.revision() >= from && self.is_due(key) {
                    self.waiting.remove(key);
                    self.due.remove(key);
                    self.carry_out(context, &kind, &object, stage).await?;
                    return Ok(Next::Done);
                }
                return Ok(Next::After(self.left(key)));
            }
            self.waiting.remove(key);
            self.due.remove(key);
        }
        let Some(stage) = draw(&taking) else {
            return Ok(Next::Done);
        };
        let delay = delay_of(stage, &value);
        if delay.is_zero() {
            self.carry_out(context, &kind, &object, stage).await?;
            return Ok(Next::Done);
        }
        self.waiting
            .insert(key.to_owned(), (id(stage), object.revision()));
        self.due
            .insert(key.to_owned(), tokio::time::Instant::now() + delay);
        Ok(Next::After(delay))
    }
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    let text = value.reach(at).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// Draws one of some stages by weight; those without weight only if there is no other.
fn draw(stages: &[Value]) -> Option<&Value> {
    let weight = |stage: &Value| {
        let weight = stage.reach("/spec/weight").and_then(Value::as_u64);
        weight.unwrap_or(0)
    };
    let all: u64 = stages.iter().map(weight).fold(0, u64::saturating_add);
    if all == 0 {
        return stages.first();
    }
    let mut drawn = rand::thread_rng().gen_range(0..all);
    stages
        .iter()
        .find(|stage| match drawn.checked_sub(weight(stage)) {
            Some(left) => {
                drawn = left;
                false
            }
            None => true,
        })
}

/// How long a stage waits, which its object may say itself; jitter is the most it may wait.
fn delay_of(stage: &Value, object: &Value) -> Duration {
    let own = |name: &str| {
        let at = format!("/spec/delay/{name}");
        let from = text(stage, &format!("{at}From/expressionFrom"));
        let found = select::look_up(from, object).unwrap_or_default();
        let said = found.first().and_then(|value| match value {
            Value::String(text) => milliseconds(text),
            other => other.as_u64(),
        });
        match from.is_empty() {
            true => None,
            false => said,
        }
    };
    let plain = |name: &str| {
        let number = stage.reach(&format!("/spec/delay/{name}Milliseconds"));
        number.and_then(Value::as_u64)
    };
    let least = own("duration").or_else(|| plain("duration")).unwrap_or(0);
    let most = own("jitterDuration").or_else(|| plain("jitterDuration"));
    Duration::from_millis(match most {
        Some(most) if most > least => rand::thread_rng().gen_range(least..=most),
        _ => least,
    })
}

/// Reads `1.5s`, `200ms`, or a time to wait until.
fn milliseconds(text: &str) -> Option<u64> {
    for (unit, size) in [
        ("ms", 1.0),
        ("s", 1000.0),
        ("m", 60_000.0),
        ("h", 3_600_000.0),
    ] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some((number.parse::<f64>().ok()? * size) as u64);
        }
    }
    let until: jiff::Timestamp = text.parse().ok()?;
    let left = until.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    Some(u64::try_from(left).unwrap_or(0))
}

/// What templates may ask of the cluster.
struct Cluster {
    version: String,
    node: String,
    address: String,
    now: String,
}

impl Surroundings for Cluster {
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Value> {
        let first = || {
            arguments
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        Some(match name {
            "Now" | "StartTime" => self.now.as_str().into(),
            "Version" => self.version.as_str().into(),
            "NodeName" => self.node.as_str().into(),
            "NodeIP" => address_of(&self.node).into(),
            "NodeIPWith" => address_of(first()).into(),
            "NodePort" => 10250.into(),
            "PodIP" => self.address.as_str().into(),
            "PodIPWith" => match arguments.get(1) {
                Some(Value::Bool(true)) => address_of(first()).into(),
                _ => self.address.as_str().into(),
            },
            _ => return None,
        })
    }
}

impl Stages {
    fn is_due(&self, key: &str) -> bool {
        self.left(key).is_zero()
    }

    fn left(&self, key: &str) -> Duration {
        let now = tokio::time::Instant::now();
        let due = self.due.get(key);
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }

    /// Does to an object what a stage says.
    async fn carry_out(
        &mut self,
        context: &Context,
        kind: &crate::embedded::api::registry::Kind,
        object: &Object,
        stage: &Value,
    ) -> Result<(), Status> {
        let server = &context.server;
        let options = Options::controller(NAME);
        let (namespace, name) = (object.namespace(), object.name());
        if let Some(event) = stage.reach("/spec/next/event") {
            let (reason, message) = (text(event, "/reason"), text(event, "/message").to_owned());
            let event = match text(event, "/type") {
                "Warning" => Event::warning(NAME, reason, message),
                _ => Event::normal(NAME, reason, message),
            };
            event.tell(context, kind, object).await;
        }
        if let Some(finalizers) = stage.reach("/spec/next/finalizers") {
            let finalizers = finalizers.clone();
            let edit = move |value: &mut Value| change_finalizers(value, &finalizers);
            server
                .modify(kind, namespace, name, Part::Main, &options, &edit)
                .await?;
        }
        if stage.reach("/spec/next/delete") == Some(&Value::Bool(true)) {
            let deletion = Deletion::now();
            return server
                .delete(kind, namespace, name, &deletion, &options)
                .await;
        }
        let mut patches: Vec<(String, String, String)> = Vec::new();
        let template = text(stage, "/spec/next/statusTemplate");
        if !template.is_empty() {
            patches.push((
                "status".to_owned(),
                "status".to_owned(),
                template.to_owned(),
            ));
        }
        let more = stage.reach("/spec/next/patches").and_then(Value::as_array);
        for patch in more.into_iter().flatten() {
            patches.push((
                text(patch, "/subresource").to_owned(),
                text(patch, "/root").to_owned(),
                text(patch, "/template").to_owned(),
            ));
        }
        for (part, root, template) in patches {
            let around = self.cluster(server, &object.value());
            let filled = template::render(&template, &object.value(), &around);
            let read = filled.and_then(|filled| {
                serde_yaml::from_str::<Value>(&filled).map_err(|cause| cause.to_string())
            });
            let patch = match read {
                Ok(Value::Null) => continue,
                Ok(patch) => patch,
                Err(why) => {
                    let message = format!("stage {}: {why}", text(stage, "/metadata/name"));
                    let event = Event::warning(NAME, "FailedStage", message);
                    event.tell(context, kind, object).await;
                    continue;
                }
            };
            let patch = match root.as_str() {
                "" => patch,
                root => json!({ root: patch }),
            };
            let edit = move |value: &mut Value| lay_over(value, &patch);
            let part = match part.as_str() {
                "status" => Part::Status,
                _ => Part::Main,
            };
            server
                .modify(kind, namespace, name, part, &options, &edit)
                .await?;
        }
        Ok(())
    }

    fn cluster(&mut self, server: &Server, object: &Value) -> Cluster {
        let had = text(object, "/status/podIP");
        let address = match had.is_empty() {
            true => {
                self.given = self.given.wrapping_add(1);
                let [_, a, b, c] = self.given.to_be_bytes();
                format!("10.{}.{b}.{c}", 244_u8.wrapping_add(a))
            }
            false => had.to_owned(),
        };
        let node = match text(object, "/kind") {
            "Node" => text(object, "/metadata/name"),
            _ => text(object, "/spec/nodeName"),
        };
        Cluster {
            version: server.settings().version.clone(),
            node: node.to_owned(),
            address,
            now: write::now(),
        }
    }
}

/// Lays a patch over an object: maps field by field, conditions by their type, other lists as a whole.
fn lay_over(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(object), Value::Object(patch)) => {
            for (name, wanted) in patch {
                match (name.as_str(), object.get_mut(name)) {
                    (_, _) if wanted.is_null() => {
                        object.shift_remove(name);
                    }
                    ("conditions", Some(Value::Array(list))) => {
                        for condition in wanted.as_array().into_iter().flatten() {
                            list.retain(|old| old.get("type") != condition.get("type"));
                            list.push(condition.clone());
                        }
                    }
                    (_, Some(slot)) => lay_over(slot, wanted),
                    (_, None) => {
                        object.insert(name.clone(), wanted.clone());
                    }
                }
            }
        }
        (value, patch) => value.clone_from(patch),
    }
}

fn change_finalizers(value: &mut Value, change: &Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let named = |field: &str| {
        let list = change.get(field).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.filter_map(|item| item.get("value").cloned())
            .collect::<Vec<Value>>()
    };
    let had = metadata.get("finalizers").and_then(Value::as_array);
    let mut list = had.cloned().unwrap_or_default();
    if change.get("empty") == Some(&Value::Bool(true)) {
        list.clear();
    }
    let gone = named("remove");
    list.retain(|one| !gone.contains(one));
    for one in named("add") {
        if !list.contains(&one) {
            list.push(one);
        }
    }
    if list.is_empty() {
        metadata.shift_remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), list.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{change_finalizers, delay_of, draw, lay_over};

    #[test]
    fn stages_without_weight_wait_for_no_other() {
        let light = json!({"metadata": {"name": "light"}});
        let heavy = json!({"metadata": {"name": "heavy"}, "spec": {"weight": 1}});
        let both = [light.clone(), heavy.clone()];
        assert_eq!(draw(&both), Some(&heavy));
        assert_eq!(draw(std::slice::from_ref(&light)), Some(&light));
        assert_eq!(draw(&[]), None);
    }

    #[test]
    fn an_object_can_say_how_long_its_stage_waits() {
        let stage = json!({"spec": {"delay": {
            "durationMilliseconds": 5,
            "durationFrom": {"expressionFrom": ".metadata.annotations[\"delay\"]"},
        }}});
        let own = json!({"metadata": {"annotations": {"delay": "1.5s"}}});
        assert_eq!(delay_of(&stage, &own).as_millis(), 1500);
        assert_eq!(delay_of(&stage, &Value::Null).as_millis(), 5);
    }

    #[test]
    fn conditions_are_replaced_by_their_type() {
        let mut value = json!({"status": {"phase": "a", "conditions": [{"type": "X", "status": "True"}, {"type": "Y"}]}});
        let patch = json!({"status": {"conditions": [{"type": "X", "status": "False"}]}});
        lay_over(&mut value, &patch);
        let expected = json!([{"type": "Y"}, {"type": "X", "status": "False"}]);
        assert_eq!(value["status"]["conditions"], expected);
        assert_eq!(value["status"]["phase"], "a");
    }

    #[test]
    fn finalizers_come_and_go() {
        let mut value = json!({"metadata": {"finalizers": ["a", "b"]}});
        let change = json!({"add": [{"value": "c"}], "remove": [{"value": "a"}]});
        change_finalizers(&mut value, &change);
        assert_eq!(value["metadata"]["finalizers"], json!(["b", "c"]));
        change_finalizers(&mut value, &json!({"empty": true}));
        assert_eq!(value["metadata"].get("finalizers"), None);
    }
}
