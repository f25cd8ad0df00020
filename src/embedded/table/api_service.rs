//! How API services show: who answers for them, and whether they do.

use serde_json::Value;

use super::cells::{list, text};
use crate::embedded::reach::Reach as _;

/// Who answers: this server, or a service of the cluster.
pub(super) fn host(value: &Value) -> Value {
    if value.reach("/spec/service").is_none_or(Value::is_null) {
        return "Local".into();
    }
    let part = |name: &str| text(value, &format!("/spec/service/{name}"));
    format!("{}/{}", part("namespace"), part("name")).into()
}

/// Whether it is available, with the reason if not.
pub(super) fn available(value: &Value) -> Value {
    let Some(condition) =
        list(value, "/status/conditions").find(|condition| text(condition, "/type") == "Available")
    else {
        return "Unknown".into();
    };
    match text(condition, "/status") {
        "True" => "True".into(),
        status => format!("{status} ({})", text(condition, "/reason")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_of_ours_and_one_that_is_gone() {
        let ours = json!({ "spec": { "group": "apps" }, "status": { "conditions": [
            { "type": "Available", "status": "True", "reason": "Local" },
        ] } });
        assert_eq!(
            (host(&ours), available(&ours)),
            ("Local".into(), "True".into())
        );
        let gone = json!({
            "spec": { "service": { "namespace": "kube-system", "name": "metrics" } },
            "status": { "conditions": [
                { "type": "Available", "status": "False", "reason": "ServiceNotFound" },
            ] },
        });
        assert_eq!(host(&gone), "kube-system/metrics");
        assert_eq!(available(&gone), "False (ServiceNotFound)");
        assert_eq!(available(&json!({})), "Unknown");
    }
}
