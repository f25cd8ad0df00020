//! Events, which two groups show under different names of the same fields.

use serde_json::Value;

use super::rename;

/// The group beside the core one.
pub(super) const GROUP: &str = "events.k8s.io";

/// What the fields are called in the core group, and in the other.
const FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

pub(super) fn store(value: &mut Value) {
    for (core, other) in FIELDS {
        rename(value, other, core);
    }
}

pub(super) fn show(value: &mut Value) {
    for (core, other) in FIELDS {
        rename(value, core, other);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn there_and_back_is_the_same() {
        let event = json!({"metadata": {"name": "a"}, "involvedObject": {"kind": "Pod"}, "message": "m", "count": 2});
        let mut other = event.clone();
        super::show(&mut other);
        assert_eq!(other["regarding"]["kind"], "Pod");
        assert_eq!(other["note"], "m");
        super::store(&mut other);
        assert_eq!(other, event);
    }
}
