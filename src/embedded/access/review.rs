//! Questions about access: who am I, may I, may they.

use serde_json::{Map, Value, json};

use super::rbac::{self, Attempt};
use super::{User, token};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::api::{Answer, Call, object_of, options_of};
use crate::embedded::reach::Reach as _;
use crate::embedded::write;

/// Answers a review; `None` if the kind is none.
pub(in crate::embedded) fn answer(
    call: &Call<'_>,
    kind: &Kind,
    namespace: &str,
) -> Option<Result<Answer, Status>> {
    let of = match kind.plural.as_str() {
        "selfsubjectreviews" => who_am_i,
        "tokenreviews" => whose_token,
        "selfsubjectaccessreviews" => may_i,
        "subjectaccessreviews" | "localsubjectaccessreviews" => may_they,
        "selfsubjectrulesreviews" => what_may_i,
        _ => return None,
    };
    Some(object_of(call, &kind.kind).and_then(|mut body| {
        check(kind, &body, namespace)?;
        let status = of(call, &body, namespace);
        let Some(root) = body.as_object_mut() else {
            return Err(Status::bad_request(
                "the body of the request is not an object",
            ));
        };
        root.insert("apiVersion".to_owned(), kind.api_version().into());
        root.insert("kind".to_owned(), kind.kind.as_str().into());
        let metadata = root.entry("metadata").or_insert_with(|| json!({}));
        match kind.plural.as_str() {
            "selfsubjectreviews" => {
                json_patch::merge(metadata, &json!({"creationTimestamp": write::now()}));
            }
            // The answer does not repeat what was asked here.
            "selfsubjectrulesreviews" => {
                root.insert("spec".to_owned(), json!({}));
            }
            _ => write::note_author(kind, &mut body, &options_of(call)?),
        }
        if let Some(root) = body.as_object_mut() {
            root.insert("status".to_owned(), status);
        }
        Ok(Answer::json(201, &body))
    }))
}

/// Refuses questions that make no sense.
fn check(kind: &Kind, body: &Value, namespace: &str) -> Result<(), Status> {
    let has = |at: &str| body.reach(at).is_some_and(|value| !value.is_null());
    match kind.plural.as_str() {
        "tokenreviews" if text(body, "/spec/token").is_empty() => {
            return Err(Status::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        "selfsubjectrulesreviews" if text(body, "/spec/namespace").is_empty() => {
            return Err(Status::bad_request("no namespace on request"));
        }
        plural if !plural.ends_with("subjectaccessreviews") => return Ok(()),
        _ => {}
    }
    let mut causes = Vec::new();
    let other = body.reach("/spec/nonResourceAttributes");
    match (has("/spec/resourceAttributes"), other) {
        (true, Some(other)) => {
            let value = json!({"Path": other.get("path"), "Verb": other.get("verb")});
            let detail = "cannot be specified in combination with resourceAttributes";
            causes.push(Cause::invalid("spec.nonResourceAttributes", &value, detail));
        }
        (false, None) => {
            let detail =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            causes.push(Cause::invalid(
                "spec.resourceAttributes",
                &Value::Null,
                detail,
            ));
        }
        _ => {}
    }
    if kind.plural != "selfsubjectaccessreviews"
        && text(body, "/spec/user").is_empty()
        && !has("/spec/groups/0")
    {
        let detail = "at least one of user or group must be specified";
        causes.push(Cause::invalid("spec.user", &"".into(), detail));
    }
    let of = text(body, "/spec/resourceAttributes/namespace");
    if causes.is_empty() && kind.namespaced && of != namespace {
        let detail = "must match metadata.namespace";
        causes.push(Cause::invalid(
            "spec.resourceAttributes.namespace",
            &of.into(),
            detail,
        ));
    }
    if causes.is_empty() {
        return Ok(());
    }
    let mut nameless = kind.clone();
    nameless.kind.clear();
    Err(Status::invalid(&nameless, "", &causes))
}

fn text(value: &Value, at: &str) -> String {
    let text = value.reach(at).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn shown(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), user.name.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.as_str().into());
    }
    info.insert("groups".to_owned(), json!(user.groups));
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    Value::Object(info)
}

fn who_am_i(call: &Call<'_>, _: &Value, _: &str) -> Value {
    json!({"userInfo": shown(&call.user)})
}

fn whose_token(call: &Call<'_>, body: &Value, _: &str) -> Value {
    match token::user_of(call.server, &text(body, "/spec/token")) {
        Some(user) => {
            json!({"authenticated": true, "user": shown(&user), "audiences": [token::ISSUER]})
        }
        None => json!({"error": "invalid bearer token", "user": {}}),
    }
}

fn attempt_of(body: &Value) -> Attempt {
    let part = |name: &str| text(body, &format!("/spec/resourceAttributes/{name}"));
    if body.reach("/spec/nonResourceAttributes").is_some() {
        return Attempt {
            verb: text(body, "/spec/nonResourceAttributes/verb"),
            path: text(body, "/spec/nonResourceAttributes/path"),
            ..Attempt::default()
        };
    }
    Attempt {
        verb: part("verb"),
        group: part("group"),
        resource: part("resource"),
        subresource: part("subresource"),
        namespace: part("namespace"),
        name: part("name"),
        path: String::new(),
    }
}

fn ruling(call: &Call<'_>, user: &User, attempt: &Attempt) -> Value {
    if rbac::may(call.server, user, attempt) {
        json!({"allowed": true})
    } else {
        json!({"allowed": false})
    }
}

fn may_i(call: &Call<'_>, body: &Value, _: &str) -> Value {
    ruling(call, &call.user, &attempt_of(body))
}

fn may_they(call: &Call<'_>, body: &Value, _: &str) -> Value {
    let groups = body.reach("/spec/groups").and_then(Value::as_array);
    let user = User {
        name: text(body, "/spec/user"),
        uid: text(body, "/spec/uid"),
        groups: groups
            .into_iter()
            .flatten()
            .filter_map(|group| Some(group.as_str()?.to_owned()))
            .collect(),
        ..User::default()
    };
    ruling(call, &user, &attempt_of(body))
}

fn what_may_i(call: &Call<'_>, body: &Value, _: &str) -> Value {
    let mut rules = rbac::rules(call.server, &call.user, &text(body, "/spec/namespace"));
    if call.user.is_in("system:masters") {
        rules.push(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        rules.push(json!({"verbs": ["*"], "nonResourceURLs": ["*"]}));
    }
    for rule in &mut rules {
        let paths = rule
            .get_mut("nonResourceURLs")
            .and_then(Value::as_array_mut);
        if let Some(paths) = paths {
            paths.sort_by_key(Value::to_string);
        }
    }
    let (paths, resources): (Vec<Value>, Vec<Value>) = rules
        .into_iter()
        .partition(|rule| rule.get("nonResourceURLs").is_some());
    json!({"incomplete": false, "resourceRules": resources, "nonResourceRules": paths})
}
