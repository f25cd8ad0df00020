//! Values in the one form in which equal ones are equal byte for byte.

use serde_json::Value;

/// The same with its fields in the order of their names, as clients of the API write what they compare.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields = fields.into_iter();
            fields
                .map(|(name, inner)| (name.clone(), sorted(inner)))
                .collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
