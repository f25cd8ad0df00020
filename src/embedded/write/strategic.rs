//! Strategic merge: a patch laid over an object by the lists' own merge keys.

use serde_json::{Map, Value};

use crate::embedded::api::status::Status;
use crate::embedded::proto::shape::Shape;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Lays a patch over a value.
pub(super) fn merge(current: &mut Value, patch: &Value, shape: Shape<'_>) -> Result<(), Status> {
    let Some(patch) = patch.as_object() else {
        current.clone_from(patch);
        return Ok(());
    };
    match patch.get(PATCH).and_then(Value::as_str) {
        Some("replace") => {
            *current = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *current = Value::Null;
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => {
            return Err(Status::bad_request(format!(
                "Unknown patch type found: {other}"
            )));
        }
    }
    if !current.is_object() {
        *current = Value::Object(Map::new());
    }
    let Some(object) = current.as_object_mut() else {
        return Ok(());
    };
    if let Some(keep) = patch.get(RETAIN).and_then(Value::as_array) {
        object.retain(|key, _| keep.iter().any(|kept| kept == key.as_str()));
    }
    for (name, items) in patch {
        let Some(field) = name.strip_prefix(DELETE) else {
            continue;
        };
        if let (Some(list), Some(gone)) = (
            object.get_mut(field).and_then(Value::as_array_mut),
            items.as_array(),
        ) {
            list.retain(|item| !gone.contains(item));
        }
    }
    for (name, value) in patch {
        if name.starts_with('$') {
            continue;
        }
        let inner = shape.field(name).unwrap_or(Shape::Any);
        let order = patch.get(&format!("{ORDER}{name}"));
        match value {
            Value::Null => {
                object.shift_remove(name);
            }
            Value::Object(_) => {
                let slot = object.entry(name).or_insert(Value::Null);
                merge(slot, value, inner)?;
                if slot.is_null() {
                    object.shift_remove(name);
                }
            }
            Value::Array(items) => {
                let slot = object
                    .entry(name)
                    .or_insert_with(|| Value::Array(Vec::new()));
                merge_list(slot, items, inner, order)?;
            }
            other => {
                object.insert(name.clone(), other.clone());
            }
        }
    }
    // An order can be given for a list that the patch doesn't change otherwise.
    for (name, order) in patch {
        if let Some(field) = name.strip_prefix(ORDER)
            && !patch.contains_key(field)
            && let (Some(list), Some(inner)) = (object.get_mut(field), shape.field(field))
        {
            let key = inner.patched_by().flatten();
            reorder(list, order, key);
        }
    }
    Ok(())
}

fn without_directives(patch: &Map<String, Value>) -> Map<String, Value> {
    let plain = patch.iter().filter(|(name, _)| !name.starts_with('$'));
    plain
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn merge_list(
    slot: &mut Value,
    items: &[Value],
    shape: Shape<'_>,
    order: Option<&Value>,
) -> Result<(), Status> {
    let Some(by) = shape.patched_by() else {
        *slot = Value::Array(items.to_vec());
        return Ok(());
    };
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    let Some(list) = slot.as_array_mut() else {
        return Ok(());
    };
    let directive = |item: &Value| item.get(PATCH).and_then(Value::as_str).map(str::to_owned);
    if items
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace"))
    {
        let rest = items.iter().filter(|item| directive(item).is_none());
        *list = rest.cloned().collect();
        return Ok(());
    }
    let Some(key) = by else {
        for item in items {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
        if let Some(order) = order {
            reorder(slot, order, None);
        }
        return Ok(());
    };
    let before: Vec<Value> = list
        .iter()
        .filter_map(|item| item.get(key).cloned())
        .collect();
    for item in items {
        let Some(id) = item.get(key) else {
            return Err(Status::bad_request(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        };
        let at = list.iter().position(|old| old.get(key) == Some(id));
        match (directive(item).as_deref(), at) {
            (Some("delete"), Some(at)) => {
                list.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => {
                if let Some(old) = list.get_mut(at) {
                    merge(old, item, shape.item())?;
                }
            }
            (_, None) => {
                let mut fresh = Value::Object(Map::new());
                merge(&mut fresh, item, shape.item())?;
                list.push(fresh);
            }
        }
    }
    match order {
        Some(order) => reorder(slot, order, Some(key)),
        None => interleave(list, items, key, &before),
    }
    Ok(())
}

/// Without an order, what the patch names comes as the patch has it, and the rest stands before what it stood before.
fn interleave(list: &mut Vec<Value>, items: &[Value], key: &str, before: &[Value]) {
    let id = |item: &Value| item.get(key).cloned().unwrap_or_default();
    let place = |item: &Value| before.iter().position(|old| *old == id(item));
    let named: Vec<Value> = items.iter().map(id).collect();
    let (mut patched, rest): (Vec<Value>, Vec<Value>) = std::mem::take(list)
        .into_iter()
        .partition(|item| named.contains(&id(item)));
    patched.sort_by_key(|item| named.iter().position(|name| *name == id(item)));
    let mut rest = rest.into_iter().peekable();
    for item in patched {
        let at = place(&item);
        while let Some(other) = rest.next_if(|other| at.is_some() && place(other) < at) {
            list.push(other);
        }
        list.push(item);
    }
    list.extend(rest);
}

/// Puts a list into the order that was asked for; what is not named stays behind what it stood behind.
fn reorder(list: &mut Value, order: &Value, key: Option<&str>) {
    let (Some(list), Some(order)) = (list.as_array_mut(), order.as_array()) else {
        return;
    };
    let id = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or_default(),
        None => item.clone(),
    };
    let wanted: Vec<Value> = order.iter().map(id).collect();
    let old = std::mem::take(list);
    for want in &wanted {
        list.extend(old.iter().find(|item| id(item) == *want).cloned());
    }
    let mut last: Option<Value> = None;
    for item in old {
        let own = id(&item);
        if !wanted.contains(&own) {
            let at = last
                .as_ref()
                .and_then(|last| list.iter().position(|item| id(item) == *last));
            list.insert(at.map_or(0, |at| at + 1), item);
        }
        last = Some(own);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::merge;
    use crate::embedded::api::registry::Registry;
    use crate::embedded::proto::shape::Shape;

    fn patched(mut current: Value, patch: Value) -> Value {
        let registry = Registry::default();
        let kind = registry.find("", "v1", "pods").unwrap();
        merge(&mut current, &patch, Shape::of(&kind)).unwrap();
        current
    }

    #[test]
    fn containers_are_merged_by_name() {
        let current = json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}});
        let patch = json!({"spec": {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}});
        let expected = json!({"spec": {"containers": [
            {"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}});
        assert_eq!(patched(current, patch), expected);
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let current = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
            "nodeSelector": {"x": "y"}}, "metadata": {"finalizers": ["one", "two"]}});
        let patch = json!({
            "spec": {
                "containers": [{"name": "a", "$patch": "delete"}],
                "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
                "nodeSelector": {"$patch": "replace", "z": "1"},
            },
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["one"], "finalizers": ["three"]},
        });
        let expected = json!({"spec": {"containers": [{"name": "c"}, {"name": "b"}],
            "nodeSelector": {"z": "1"}}, "metadata": {"finalizers": ["two", "three"]}});
        assert_eq!(patched(current, patch), expected);
    }

    #[test]
    fn lists_without_a_strategy_are_replaced() {
        let current = json!({"spec": {"containers": [{"name": "a", "args": ["1", "2"]}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "args": ["3"]}]}});
        let expected = json!({"spec": {"containers": [{"name": "a", "args": ["3"]}]}});
        assert_eq!(patched(current, patch), expected);
    }
}
