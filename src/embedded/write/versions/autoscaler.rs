//! Horizontal pod autoscalers: the first version knows one metric by name and keeps the others in annotations.

use serde_json::{Map, Value, json};

use crate::embedded::reach::Reach as _;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

const TARGET: &str = "targetCPUUtilizationPercentage";
const CURRENT_TARGET: &str = "currentCPUUtilizationPercentage";

/// From the first version to the second.
pub(super) fn store(value: &mut Value) {
    let mut metrics =
        taken(value, METRICS).map(|list| each(list, |metric| later(metric, "target")));
    let current = taken(value, CURRENT).map(|list| each(list, |metric| later(metric, "current")));
    let behavior = taken(value, BEHAVIOR);
    let conditions = taken(value, CONDITIONS);
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        if let Some(percent) = spec.shift_remove(TARGET) {
            let first = json!({
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
            });
            match metrics.as_mut().and_then(Value::as_array_mut) {
                Some(list) => list.push(first),
                None => metrics = Some(json!([first])),
            }
        }
        put(spec, "metrics", metrics);
        put(spec, "behavior", behavior);
    }
    if let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) {
        let mut current = current;
        if let Some(percent) = status.shift_remove(CURRENT_TARGET) {
            let first = json!({
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": percent}},
            });
            match current.as_mut().and_then(Value::as_array_mut) {
                Some(list) => list.insert(0, first),
                None => current = Some(json!([first])),
            }
        }
        put(status, "currentMetrics", current);
        put(status, "conditions", conditions);
    }
}

/// From the second version to the first.
pub(super) fn show(value: &mut Value) {
    let mut notes = Vec::new();
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        let (percent, others) = split(spec.shift_remove("metrics"), "target");
        put(spec, TARGET, percent);
        notes.push((METRICS, others));
        notes.push((BEHAVIOR, spec.shift_remove("behavior")));
    }
    if let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) {
        let (percent, others) = split(status.shift_remove("currentMetrics"), "current");
        put(status, CURRENT_TARGET, percent);
        notes.push((CURRENT, others));
        notes.push((CONDITIONS, status.shift_remove("conditions")));
    }
    for (name, note) in notes {
        if let Some(note) = note.filter(|note| !is_empty(note)) {
            let note = note.to_string();
            json_patch::merge(value, &json!({"metadata": {"annotations": {name: note}}}));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn put(map: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value);
    }
}

/// Takes an annotation that holds JSON.
fn taken(value: &mut Value, name: &str) -> Option<Value> {
    let metadata = value.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let read = serde_json::from_str(annotations.get(name)?.as_str()?).ok()?;
    annotations.shift_remove(name);
    if annotations.is_empty() {
        metadata.shift_remove("annotations");
    }
    Some(read)
}

fn each(list: Value, change: impl Fn(Value) -> Value) -> Value {
    match list {
        Value::Array(list) => list.into_iter().map(change).collect(),
        other => other,
    }
}

/// The utilisation of processors, if it is among the metrics, and the rest as the first version writes them.
fn split(metrics: Option<Value>, side: &str) -> (Option<Value>, Option<Value>) {
    let Some(Value::Array(list)) = metrics else {
        return (None, None);
    };
    let (mut percent, mut others) = (None, Vec::new());
    for metric in list {
        let of = metric.reach("/resource/name") == Some(&"cpu".into());
        let own = metric.reach(&format!("/resource/{side}/averageUtilization"));
        match own.filter(|_| of && percent.is_none()) {
            Some(own) => percent = Some(own.clone()),
            None => others.push(earlier(metric, side)),
        }
    }
    let others = (!others.is_empty()).then(|| Value::Array(others));
    (percent, others)
}

/// What amounts are called in the first version, by kind of metric, and in the second.
fn names(kind: &str, side: &str) -> &'static [(&'static str, &'static str)] {
    match (kind, side) {
        ("resource" | "containerResource", "target") => &[
            ("targetAverageUtilization", "averageUtilization"),
            ("targetAverageValue", "averageValue"),
        ],
        ("resource" | "containerResource", _) => &[
            ("currentAverageUtilization", "averageUtilization"),
            ("currentAverageValue", "averageValue"),
        ],
        ("pods", "target") => &[("targetAverageValue", "averageValue")],
        ("pods", _) => &[("currentAverageValue", "averageValue")],
        ("object", "target") => &[("targetValue", "value"), ("averageValue", "averageValue")],
        ("object", _) => &[("currentValue", "value"), ("averageValue", "averageValue")],
        (_, "target") => &[
            ("targetValue", "value"),
            ("targetAverageValue", "averageValue"),
        ],
        _ => &[
            ("currentValue", "value"),
            ("currentAverageValue", "averageValue"),
        ],
    }
}

/// The kind of a metric, which is the name of the field that holds it.
fn kind_of(metric: &Value) -> Option<String> {
    let kind = metric.get("type")?.as_str()?;
    let mut letters = kind.chars();
    let first = letters.next()?.to_ascii_lowercase();
    Some(std::iter::once(first).chain(letters).collect())
}

fn earlier(mut metric: Value, side: &str) -> Value {
    let Some(kind) = kind_of(&metric) else {
        return metric;
    };
    if let Some(own) = metric.get_mut(&kind).and_then(Value::as_object_mut) {
        let amounts = own.shift_remove(side).unwrap_or_default();
        for (old, new) in names(&kind, side) {
            put(own, old, amounts.get(new).cloned());
        }
        if let Some(described) = own.shift_remove("describedObject") {
            own.insert("target".to_owned(), described);
        }
        if let Some(Value::Object(named)) = own.shift_remove("metric") {
            put(own, "metricName", named.get("name").cloned());
            let field = if kind == "external" {
                "metricSelector"
            } else {
                "selector"
            };
            put(own, field, named.get("selector").cloned());
        }
    }
    metric
}

fn later(mut metric: Value, side: &str) -> Value {
    let Some(kind) = kind_of(&metric) else {
        return metric;
    };
    if let Some(own) = metric.get_mut(&kind).and_then(Value::as_object_mut) {
        let described = (kind == "object")
            .then(|| own.shift_remove("target"))
            .flatten();
        put(own, "describedObject", described);
        let mut amounts = Map::new();
        for (old, new) in names(&kind, side) {
            put(&mut amounts, new, own.shift_remove(*old));
        }
        if side == "target" {
            let how = match () {
                () if amounts.contains_key("averageUtilization") => "Utilization",
                () if amounts.contains_key("averageValue") => "AverageValue",
                () => "Value",
            };
            amounts.insert("type".to_owned(), how.into());
        }
        own.insert(side.to_owned(), Value::Object(amounts));
        let mut named = Map::new();
        put(&mut named, "name", own.shift_remove("metricName"));
        let selector = own.shift_remove("metricSelector");
        put(
            &mut named,
            "selector",
            selector.or_else(|| own.shift_remove("selector")),
        );
        if !named.is_empty() {
            own.insert("metric".to_owned(), Value::Object(named));
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{show, store};

    #[test]
    fn the_first_version_names_one_metric_and_keeps_the_others() {
        let second = json!({
            "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi", "type": "AverageValue"}}},
                {"type": "Pods", "pods": {"target": {"averageValue": "5", "type": "AverageValue"}, "metric": {"name": "hits"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ]},
            "status": {"currentReplicas": 1},
        });
        let mut value = second.clone();
        show(&mut value);
        assert_eq!(value["spec"]["targetCPUUtilizationPercentage"], 80);
        assert!(value["spec"].get("metrics").is_none());
        store(&mut value);
        assert_eq!(value, second);
    }

    #[test]
    fn what_never_was_the_second_version_becomes_it() {
        let mut value = json!({"metadata": {}, "spec": {"targetCPUUtilizationPercentage": 50}});
        store(&mut value);
        assert_eq!(
            value.pointer("/spec/metrics/0/resource/target/averageUtilization"),
            Some(&json!(50))
        );
    }
}
