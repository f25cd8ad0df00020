//! Sets of fields: who owns what, in the form that `managedFields` has.
//!
//! A set is a tree. Each step is spelled as the API spells it: `f:name` a field, `k:{…}` an item by its keys, `v:…` an item
//! by its value; a place that is itself in the set is marked, with `.` where it has inner places too.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::embedded::proto::shape::{Form, Shape};

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) member: bool,
    pub(super) inner: BTreeMap<String, Fields>,
}

impl Fields {
    pub(super) fn from_json(value: &Value) -> Self {
        let mut fields = Self::default();
        let Some(object) = value.as_object() else {
            return fields;
        };
        for (step, inner) in object {
            if step == "." {
                fields.member = true;
                continue;
            }
            let mut inner_fields = Self::from_json(inner);
            if inner.as_object().is_none_or(Map::is_empty) {
                inner_fields.member = true;
            }
            fields.inner.insert(step.clone(), inner_fields);
        }
        fields
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        if self.member && !self.inner.is_empty() {
            object.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, inner) in &self.inner {
            object.insert(step.clone(), inner.to_json());
        }
        Value::Object(object)
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.inner.values().all(Self::is_empty)
    }

    fn at(&mut self, step: impl Into<String>) -> &mut Self {
        self.inner.entry(step.into()).or_default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (step, inner) in &other.inner {
            self.at(step.as_str()).add(inner);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (step, inner) in &other.inner {
            if let Some(own) = self.inner.get_mut(step) {
                own.subtract(inner);
            }
        }
        self.inner.retain(|_, inner| !inner.is_empty());
    }

    pub(super) fn common(&self, other: &Self) -> Self {
        let mut fields = Self {
            member: self.member && other.member,
            inner: BTreeMap::new(),
        };
        for (step, inner) in &self.inner {
            if let Some(theirs) = other.inner.get(step) {
                let both = inner.common(theirs);
                if !both.is_empty() {
                    fields.inner.insert(step.clone(), both);
                }
            }
        }
        fields
    }

    /// Every place in the set, as messages spell it: `.spec.containers[name="a"].image`.
    pub(super) fn places(&self) -> Vec<String> {
        let mut places = Vec::new();
        self.collect(String::new(), &mut places);
        places
    }

    fn collect(&self, at: String, places: &mut Vec<String>) {
        for (step, inner) in &self.inner {
            inner.collect(format!("{at}{}", spoken(step)), places);
        }
        if self.member {
            places.push(at);
        }
    }

    /// Leaves out what no writer owns.
    pub(super) fn strip(&mut self) {
        for step in ["f:apiVersion", "f:kind"] {
            self.inner.remove(step);
        }
        if let Some(metadata) = self.inner.get_mut("f:metadata") {
            metadata.member = false;
            for field in [
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            ] {
                metadata.inner.remove(&format!("f:{field}"));
            }
        }
        self.inner.retain(|_, inner| !inner.is_empty());
    }
}

fn spoken(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Value = serde_json::from_str(keys).unwrap_or_default();
            let each = keys.as_object().into_iter().flatten();
            let each: Vec<String> = each.map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", each.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => format!("[{step}]"),
    }
}

/// How a list's items are told apart.
pub(super) enum Items<'a> {
    /// By some of their fields.
    Keys(Vec<&'a str>),
    /// By their value.
    Set,
    /// Not at all.
    Whole,
}

/// How the items of a list are told apart.
pub(super) fn items_of(shape: Shape<'_>) -> Items<'_> {
    match shape.list_keys() {
        Some(keys) => Items::Keys(keys),
        None if shape.is_set() => Items::Set,
        None => Items::Whole,
    }
}

/// The step that leads to an item.
pub(super) fn item_step(item: &Value, items: &Items<'_>, shape: Shape<'_>) -> String {
    match items {
        Items::Keys(keys) => {
            let mut named: BTreeMap<&str, Value> = BTreeMap::new();
            for key in keys {
                let value = item.get(*key).cloned();
                let value = value.or_else(|| shape.item().key_default(key));
                named.extend(value.map(|value| (*key, value)));
            }
            let named: Map<String, Value> =
                named.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            format!("k:{}", Value::Object(named))
        }
        Items::Set | Items::Whole => format!("v:{item}"),
    }
}

/// Whether a value is owned piece by piece.
pub(super) fn is_granular(value: &Value, shape: Shape<'_>) -> bool {
    match value {
        Value::Object(_) => !shape.is_atomic() && shape.form() != Form::Scalar,
        Value::Array(_) => !matches!(items_of(shape), Items::Whole),
        _ => false,
    }
}

/// Everything that a configuration says.
pub(super) fn said_by(value: &Value, shape: Shape<'_>) -> Fields {
    let mut fields = Fields::default();
    say(value, shape, &mut fields);
    fields
}

fn say(value: &Value, shape: Shape<'_>, fields: &mut Fields) {
    if !is_granular(value, shape) {
        fields.member = true;
        return;
    }
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, inner) in object {
                let shape = shape.field(name).unwrap_or(Shape::Any);
                say(inner, shape, fields.at(format!("f:{name}")));
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let items = items_of(shape);
            for item in list {
                let slot = fields.at(item_step(item, &items, shape));
                if matches!(items, Items::Keys(_)) {
                    say(item, shape.item(), slot);
                }
                slot.member = true;
            }
        }
        _ => fields.member = true,
    }
}

/// What differs between two values.
#[derive(Default)]
pub(super) struct Difference {
    /// What is new or other than before.
    pub(super) changed: Fields,
    /// What is no longer there.
    pub(super) removed: Fields,
}

/// Compares two values; `None` is not there.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) -> Difference {
    let mut difference = Difference::default();
    walk(
        old,
        new,
        shape,
        false,
        &mut difference.changed,
        &mut difference.removed,
    );
    difference
}

/// `fresh` says that something around is new as well, so that nothing in it can have been there as a zero value.
fn walk(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    fresh: bool,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    let old = old.filter(|value| !value.is_null());
    let new = new.filter(|value| !value.is_null());
    if old == new {
        return;
    }
    let granular = |value: Option<&Value>| value.is_none_or(|value| is_granular(value, shape));
    if !granular(old) || !granular(new) {
        match new {
            Some(_) => changed.member = true,
            None => removed.member = true,
        }
        return;
    }
    let fresh = fresh || old.is_none() && !shape.is_always_there();
    if old.is_none() && fresh || old.is_some() && new.is_some_and(is_hollow) {
        changed.member = true;
    }
    if new.is_none() {
        removed.member = true;
    }
    match (old, new) {
        (Some(Value::Array(_)), _) | (_, Some(Value::Array(_))) => {
            walk_items(old, new, shape, fresh, changed, removed);
        }
        _ => {
            let (old, new) = (
                old.and_then(Value::as_object),
                new.and_then(Value::as_object),
            );
            let gone = old.into_iter().flat_map(Map::keys);
            let gone = gone.filter(|name| new.is_none_or(|new| !new.contains_key(*name)));
            for name in new.into_iter().flat_map(Map::keys).chain(gone) {
                let before = old.and_then(|old| old.get(name));
                let after = new.and_then(|new| new.get(name));
                if before == after {
                    continue;
                }
                let step = format!("f:{name}");
                let shape = shape.field(name).unwrap_or(Shape::Any);
                walk(
                    before,
                    after,
                    shape,
                    fresh,
                    changed.at(step.as_str()),
                    removed.at(step),
                );
            }
        }
    }
    changed.inner.retain(|_, inner| !inner.is_empty());
    removed.inner.retain(|_, inner| !inner.is_empty());
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn walk_items(
    old: Option<&Value>,
    new: Option<&Value>,
    shape: Shape<'_>,
    fresh: bool,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    let items = items_of(shape);
    let steps = |value: Option<&Value>| -> BTreeMap<String, Value> {
        let list = value.and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.map(|item| (item_step(item, &items, shape), item.clone()))
            .collect()
    };
    let (old, new) = (steps(old), steps(new));
    let is_keyed = matches!(items, Items::Keys(_));
    for (step, item) in &new {
        match old.get(step) {
            Some(before) if before == item => {}
            Some(before) => walk(
                Some(before),
                Some(item),
                shape.item(),
                fresh,
                changed.at(step.as_str()),
                removed.at(step.as_str()),
            ),
            None => {
                let slot = changed.at(step.as_str());
                if is_keyed {
                    walk(
                        None,
                        Some(item),
                        shape.item(),
                        true,
                        slot,
                        &mut Fields::default(),
                    );
                }
                slot.member = true;
            }
        }
    }
    for (step, item) in &old {
        if !new.contains_key(step) {
            let slot = removed.at(step.as_str());
            if is_keyed {
                walk(
                    Some(item),
                    None,
                    shape.item(),
                    fresh,
                    &mut Fields::default(),
                    slot,
                );
            }
            slot.member = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Fields, compare, said_by};
    use crate::embedded::api::registry::Registry;
    use crate::embedded::proto::shape::Shape;

    fn with_deployments(check: impl Fn(Shape<'_>)) {
        let registry = Registry::default();
        let kind = registry.find("apps", "v1", "deployments").unwrap();
        check(Shape::of(&kind));
    }

    #[test]
    fn a_new_deployment_is_owned_piece_by_piece() {
        let value = json!({
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx", "resources": {}}]}},
            },
        });
        with_deployments(|shape| {
            let nothing = json!({});
            let fields = compare(Some(&nothing), Some(&value), shape).changed;
            let expected = json!({
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:replicas": {}, "f:selector": {},
                    "f:template": {"f:spec": {"f:containers": {
                        "k:{\"name\":\"nginx\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}}}},
                },
            });
            assert_eq!(fields.to_json(), expected);
        });
    }

    #[test]
    fn an_applied_configuration_owns_what_it_says() {
        let value = json!({"spec": {"replicas": 3, "template": {"spec": {"containers": [
            {"name": "a", "ports": [{"containerPort": 80}]}]}}}});
        with_deployments(|shape| {
            let expected = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}});
            assert_eq!(said_by(&value, shape).to_json(), expected);
        });
    }

    proptest! {
        #[test]
        fn sets_go_both_ways(text in "\\{(\"f:[a-c]\":\\{\\},?)?(\"f:d\":\\{\"\\.\":\\{\\},\"f:e\":\\{\\}\\})?\\}") {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                prop_assert_eq!(Fields::from_json(&value).to_json(), value);
            }
        }
    }
}
