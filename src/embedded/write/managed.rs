//! `metadata.managedFields`: which writer has last said what, and server-side apply, which goes by it.

use serde_json::{Map, Value, json};

use super::fields::{self, Fields, Items, compare, item_step, items_of, said_by};
use super::{Options, meta};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::proto::shape::Shape;
use crate::embedded::reach::Reach as _;

/// One writer's entry.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn read(value: &Value) -> Self {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Self {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: value
                .get("fieldsV1")
                .map(Fields::from_json)
                .unwrap_or_default(),
        }
    }

    fn to_json(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, text: &str| {
            if !text.is_empty() {
                entry.insert(name.to_owned(), text.into());
            }
        };
        put("manager", &self.manager);
        put("operation", &self.operation);
        put("apiVersion", &self.api_version);
        put("time", &self.time);
        put("fieldsType", "FieldsV1");
        entry.insert("fieldsV1".to_owned(), self.fields.to_json());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.subresource.as_str().into());
        }
        Value::Object(entry)
    }

    fn is_of(&self, who: &Writer<'_>, operation: &str) -> bool {
        self.manager == who.manager
            && self.operation == operation
            && self.subresource == who.subresource
    }
}

/// Who writes, to which part, in which version.
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) subresource: &'a str,
    pub(super) api_version: String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(kind: &Kind, options: &'a Options, subresource: &'a str) -> Self {
        Self {
            manager: &options.manager,
            subresource,
            api_version: kind.api_version(),
        }
    }
}

fn entries_of(value: &Value) -> Vec<Entry> {
    let list = value
        .reach("/metadata/managedFields")
        .and_then(Value::as_array);
    list.into_iter().flatten().map(Entry::read).collect()
}

fn set_entries(value: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    // Appliers first, then by time, as the API shows them.
    entries.sort_by(|a, b| {
        let order = |entry: &Entry| {
            (
                entry.operation != "Apply",
                entry.time.clone(),
                entry.manager.clone(),
            )
        };
        order(a).cmp(&order(b))
    });
    let Some(metadata) = meta::of(value) else {
        return;
    };
    if entries.is_empty() {
        metadata.shift_remove("managedFields");
    } else {
        let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
        metadata.insert("managedFields".to_owned(), entries.into());
    }
}

/// Notes what a plain write has changed.
pub(super) fn note_update(
    kind: &Kind,
    before: Option<&Value>,
    value: &mut Value,
    who: &Writer<'_>,
) {
    // Whoever sends an empty list wants to start over.
    let reset = value
        .reach("/metadata/managedFields")
        .and_then(Value::as_array)
        .is_some_and(|list| list.is_empty() || list.iter().all(|e| e == &json!({})));
    let mut entries = match before {
        Some(_) if reset => Vec::new(),
        Some(before) => entries_of(before),
        None => Vec::new(),
    };
    if reset && before.is_some() {
        set_entries(value, entries);
        return;
    }
    let shape = Shape::of(kind);
    let empty = Value::Object(Map::new());
    let mut difference = compare(Some(before.unwrap_or(&empty)), Some(value), shape);
    difference.changed.strip();
    difference.removed.strip();
    // The status that an object begins with is nobody's either.
    if before.is_none() && kind.subresource("status").is_some() {
        difference.changed.inner.remove("f:status");
    }
    if before.is_none() && kind.bucket() == "namespaces" {
        difference.changed.inner.remove("f:spec");
    }
    if difference.changed.is_empty() && difference.removed.is_empty() {
        set_entries(value, entries);
        return;
    }
    let mut own = None;
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.fields.subtract(&difference.removed);
        if entry.is_of(who, "Update") && entry.api_version == who.api_version {
            own = Some(at);
        } else {
            entry.fields.subtract(&difference.changed);
        }
    }
    match own.and_then(|at| entries.get_mut(at)) {
        Some(entry) => {
            entry.fields.add(&difference.changed);
            entry.time = meta::now();
        }
        None => entries.push(Entry {
            manager: who.manager.to_owned(),
            operation: "Update".to_owned(),
            api_version: who.api_version.clone(),
            subresource: who.subresource.to_owned(),
            time: meta::now(),
            fields: difference.changed,
        }),
    }
    set_entries(value, entries);
}

/// Leaves the account as it was.
pub(super) fn keep(before: &Value, value: &mut Value) {
    let Some(metadata) = meta::of(value) else {
        return;
    };
    match before.reach("/metadata/managedFields") {
        Some(entries) => metadata.insert("managedFields".to_owned(), entries.clone()),
        None => metadata.shift_remove("managedFields"),
    };
}

/// Notes what a configuration says that made the object.
pub(super) fn note_first_apply(kind: &Kind, value: &mut Value, config: &Value, who: &Writer<'_>) {
    let mut fields = said_by(config, Shape::of(kind));
    fields.strip();
    let entry = Entry {
        manager: who.manager.to_owned(),
        operation: "Apply".to_owned(),
        api_version: who.api_version.clone(),
        subresource: who.subresource.to_owned(),
        time: meta::now(),
        fields,
    };
    set_entries(value, vec![entry]);
}

/// Server-side apply: makes of an object what one manager wants, or says who else wants otherwise.
pub(super) fn apply(
    kind: &Kind,
    before: &Value,
    config: &Value,
    who: &Writer<'_>,
    force: bool,
) -> Result<Value, Status> {
    let shape = Shape::of(kind);
    let mut said = said_by(config, shape);
    said.strip();
    let mut entries = entries_of(before);
    if entries.is_empty() && before.reach("/metadata/uid").is_some() {
        entries.push(Entry::before_first_apply(before, shape, who));
    }
    let own = entries.iter().position(|entry| entry.is_of(who, "Apply"));
    let own = own.map(|at| entries.remove(at));
    let mut value = before.clone();
    lay_over(&mut value, config, shape);
    let mut kept = said.clone();
    for entry in &entries {
        kept.add(&entry.fields);
    }
    if let Some(own) = &own {
        let mut gone = own.fields.clone();
        gone.subtract(&kept);
        prune(&mut value, &gone, &kept, shape);
    }
    let mut difference = compare(Some(before), Some(&value), shape);
    difference.changed.strip();
    difference.removed.strip();
    refuse_conflicts(&mut entries, &difference.changed, &said, force)?;
    for entry in &mut entries {
        entry.fields.subtract(&difference.removed);
    }
    let time = match &own {
        Some(own) if own.fields == said && difference.changed.is_empty() => own.time.clone(),
        _ => meta::now(),
    };
    entries.push(Entry {
        manager: who.manager.to_owned(),
        operation: "Apply".to_owned(),
        api_version: who.api_version.clone(),
        subresource: who.subresource.to_owned(),
        time,
        fields: said,
    });
    set_entries(&mut value, entries);
    Ok(value)
}

impl Entry {
    /// Objects from before anybody kept account belong to nobody in particular.
    fn before_first_apply(value: &Value, shape: Shape<'_>, who: &Writer<'_>) -> Self {
        let empty = Value::Object(Map::new());
        let mut fields = compare(Some(&empty), Some(value), shape).changed;
        fields.strip();
        Self {
            manager: "before-first-apply".to_owned(),
            operation: "Update".to_owned(),
            api_version: who.api_version.clone(),
            subresource: String::new(),
            time: meta::now(),
            fields,
        }
    }
}

fn refuse_conflicts(
    entries: &mut [Entry],
    changed: &Fields,
    said: &Fields,
    force: bool,
) -> Result<(), Status> {
    let wanted = changed.common(said);
    let mut causes = Vec::new();
    let mut by_manager: Vec<(String, Vec<String>)> = Vec::new();
    for entry in entries.iter_mut() {
        let conflict = entry.fields.common(&wanted);
        if conflict.is_empty() {
            continue;
        }
        if force {
            entry.fields.subtract(&conflict);
            continue;
        }
        let mut whom = format!("conflict with \"{}\"", entry.manager);
        if !entry.subresource.is_empty() {
            whom.push_str(&format!(" with subresource \"{}\"", entry.subresource));
        }
        if entry.operation == "Update" {
            whom.push_str(&format!(" using {}", entry.api_version));
        }
        let places = conflict.places();
        for place in &places {
            causes.push(Cause {
                reason: "FieldManagerConflict",
                message: whom.clone(),
                field: place.clone(),
            });
        }
        by_manager.push((whom, places));
    }
    if causes.is_empty() {
        return Ok(());
    }
    let detail: Vec<String> = by_manager
        .iter()
        .map(|(whom, places)| match places.as_slice() {
            [one] => format!("{whom}: {one}"),
            many => {
                let whom = whom.replacen("conflict ", "conflicts ", 1);
                format!("{whom}:\n- {}", many.join("\n- "))
            }
        })
        .collect();
    let count = match causes.len() {
        1 => "1 conflict".to_owned(),
        many => format!("{many} conflicts"),
    };
    let message = format!("Apply failed with {count}: {}", detail.join("\n"));
    Err(Status::new(409, "Conflict", message).causes(&causes))
}

/// Lays a configuration over an object, piece by piece where pieces are owned.
fn lay_over(value: &mut Value, config: &Value, shape: Shape<'_>) {
    if !fields::is_granular(config, shape) || !fields::is_granular(value, shape) {
        value.clone_from(config);
        return;
    }
    match (value, config) {
        (Value::Object(object), Value::Object(config)) => {
            for (name, wanted) in config {
                if wanted.is_null() {
                    object.shift_remove(name);
                    continue;
                }
                let shape = shape.field(name).unwrap_or(Shape::Any);
                match object.get_mut(name) {
                    Some(slot) => lay_over(slot, wanted, shape),
                    None => {
                        object.insert(name.clone(), wanted.clone());
                    }
                }
            }
        }
        (Value::Array(list), Value::Array(config)) => {
            let items = items_of(shape);
            for wanted in config {
                let step = item_step(wanted, &items, shape);
                let found = list
                    .iter_mut()
                    .find(|item| item_step(item, &items, shape) == step);
                match found {
                    Some(slot) if matches!(items, Items::Keys(_)) => {
                        lay_over(slot, wanted, shape.item());
                    }
                    Some(_) => {}
                    None => list.push(wanted.clone()),
                }
            }
        }
        (value, config) => value.clone_from(config),
    }
}

/// Takes out what a manager no longer says and nobody else does.
fn prune(value: &mut Value, gone: &Fields, kept: &Fields, shape: Shape<'_>) {
    match value {
        Value::Object(object) => {
            for (step, inner) in &gone.inner {
                let Some(name) = step.strip_prefix("f:") else {
                    continue;
                };
                let kept_inner = kept.inner.get(step);
                if inner.member && kept_inner.is_none_or(Fields::is_empty) {
                    object.shift_remove(name);
                    continue;
                }
                let shape = shape.field(name).unwrap_or(Shape::Any);
                if let Some(slot) = object.get_mut(name) {
                    prune(slot, inner, kept_inner.unwrap_or(&Fields::default()), shape);
                    let hollow = slot.as_object().is_some_and(Map::is_empty)
                        || slot.as_array().is_some_and(Vec::is_empty);
                    if hollow && kept_inner.is_none_or(Fields::is_empty) {
                        object.shift_remove(name);
                    }
                }
            }
        }
        Value::Array(list) => {
            let items = items_of(shape);
            list.retain_mut(|item| {
                let step = item_step(item, &items, shape);
                let Some(inner) = gone.inner.get(&step) else {
                    return true;
                };
                let kept_inner = kept.inner.get(&step);
                if inner.member && kept_inner.is_none_or(Fields::is_empty) {
                    return false;
                }
                prune(
                    item,
                    inner,
                    kept_inner.unwrap_or(&Fields::default()),
                    shape.item(),
                );
                true
            });
        }
        _ => {}
    }
}
