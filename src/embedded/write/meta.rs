//! `metadata`: what the server fills in, what nobody may change, what a name may be.

use serde_json::{Map, Value, json};

use super::Part;
use super::rules;
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::{Cause, Status};
use crate::embedded::reach::Reach as _;

/// Letters of generated names: no vowels and nothing that looks like another letter.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The time now, as the API writes it.
pub(crate) fn now() -> String {
    time(jiff::Timestamp::now())
}

/// A time, as the API writes it: in whole seconds.
pub(crate) fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Namespace and name.
pub(super) fn place(value: &Value) -> (&str, &str) {
    let text = |at: &str| value.reach(at).and_then(Value::as_str).unwrap_or_default();
    (text("/metadata/namespace"), text("/metadata/name"))
}

/// The object's metadata, made if it is missing.
pub(super) fn of(value: &mut Value) -> Option<&mut Map<String, Value>> {
    let root = value.as_object_mut()?;
    let metadata = root.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut()
}

/// Whether the text says that it is this kind.
fn check_type(kind: &Kind, value: &mut Value) -> Result<(), Status> {
    let Some(root) = value.as_object_mut() else {
        return Err(Status::bad_request(
            "the body of the request is not an object",
        ));
    };
    let api_version = kind.api_version();
    for (field, wanted) in [("apiVersion", api_version.as_str()), ("kind", &kind.kind)] {
        match root.get(field).and_then(Value::as_str) {
            None | Some("") => {
                root.insert(field.to_owned(), wanted.into());
            }
            Some(found) if found == wanted => {}
            Some(_) => {
                let text = |name: &str| root.get(name).and_then(Value::as_str).unwrap_or_default();
                let (found, kind_found) = (text("apiVersion"), text("kind"));
                // Kinds that the server knows are taken for something it should convert.
                let message = if found == api_version && kind.custom.is_none() {
                    let internal = match kind.group.as_str() {
                        "" => "core",
                        group => group.split('.').next().unwrap_or(group),
                    };
                    format!(
                        "{kind_found} in version \"{}\" cannot be handled as a {}: converting ({}.{kind_found}) to ({internal}.{}): unknown conversion",
                        kind.version, kind.kind, kind.version, kind.kind
                    )
                } else {
                    format!(
                        "the API version in the data ({found}) does not match the expected API version ({api_version})"
                    )
                };
                return Err(Status::bad_request(message));
            }
        }
    }
    Ok(())
}

/// Fills in a new object's metadata; says whether its name is to be generated.
pub(super) fn complete_new(
    kind: &Kind,
    namespace: &str,
    value: &mut Value,
) -> Result<bool, Status> {
    check_type(kind, value)?;
    super::versions::store(kind, value);
    let Some(metadata) = of(value) else {
        return Err(Status::bad_request("metadata is not an object"));
    };
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let own = text("namespace").to_owned();
    if kind.namespaced {
        if !own.is_empty() && !namespace.is_empty() && own != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let namespace = if namespace.is_empty() {
            &own
        } else {
            namespace
        };
        if namespace.is_empty() {
            return Err(Status::bad_request(
                "an empty namespace may not be set during creation",
            ));
        }
        let namespace = namespace.to_owned();
        metadata.insert("namespace".to_owned(), namespace.into());
    } else {
        metadata.shift_remove("namespace");
    }
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if !matches!(text("resourceVersion"), "" | "0") {
        // The real server takes this for a mistake of its own.
        return Err(Status::new(
            500,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let generated = text("name").is_empty();
    if generated && text("generateName").is_empty() {
        let cause = Cause::required("metadata.name", "name or generateName is required");
        return Err(Status::invalid(kind, "", &[cause]));
    }
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generation",
        "resourceVersion",
    ] {
        metadata.shift_remove(field);
    }
    metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), now().into());
    if rules::counts_generations(kind) {
        metadata.insert("generation".to_owned(), 1.into());
    }
    Ok(generated)
}

/// Completes a configuration that is to be applied: it must be about the object on the URL.
pub(super) fn name_config(
    kind: &Kind,
    namespace: &str,
    name: &str,
    config: &mut Value,
) -> Result<(), Status> {
    check_type(kind, config)?;
    let Some(metadata) = of(config) else {
        return Err(Status::bad_request("metadata is not an object"));
    };
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let own = text("name");
    if !own.is_empty() && own != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    let own = text("namespace");
    if kind.namespaced && !own.is_empty() && own != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata.insert("name".to_owned(), name.into());
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    Ok(())
}

/// Gives the object a fresh name after its `generateName`.
pub(super) fn generate_name(value: &mut Value) {
    let Some(metadata) = of(value) else { return };
    let base = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut name: String = base.chars().take(58).collect();
    name.push_str(&suffix());
    metadata.insert("name".to_owned(), name.into());
}

/// Five random letters.
pub(super) fn suffix() -> String {
    let random = uuid::Uuid::new_v4();
    let letters = random.as_bytes().iter().take(5);
    letters
        .map(|byte| {
            let at = usize::from(*byte) % LETTERS.len();
            char::from(LETTERS.get(at).copied().unwrap_or(b'x'))
        })
        .collect()
}

/// Checks that an update is about the object it was sent to; says whether it is pinned to one revision.
pub(super) fn check_same(
    kind: &Kind,
    namespace: &str,
    name: &str,
    before: &Value,
    value: &mut Value,
) -> Result<(), Status> {
    let stored = before.get("apiVersion").cloned().unwrap_or_default();
    if value.get("apiVersion") == Some(&stored) {
        // A patch of a stored object, whatever version it was sent to.
    } else {
        check_type(kind, value)?;
        super::versions::store(kind, value);
    }
    if let Some(root) = value.as_object_mut() {
        root.insert("apiVersion".to_owned(), stored);
    }
    let Some(metadata) = of(value) else {
        return Err(Status::bad_request("metadata is not an object"));
    };
    let text = |name: &str| {
        metadata
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (own_name, own_namespace) = (text("name"), text("namespace"));
    if !own_name.is_empty() && own_name != name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own_name}) does not match the name on the URL ({name})"
        )));
    }
    if kind.namespaced && !own_namespace.is_empty() && own_namespace != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let was = |name: &str| {
        let metadata = before.get("metadata")?;
        metadata.get(name).and_then(Value::as_str)
    };
    let uid = text("uid");
    if !uid.is_empty() && was("uid").is_some_and(|was| was != uid) {
        let was = was("uid").unwrap_or_default();
        let detail =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {was}");
        return Err(Status::conflict(kind, name, &detail));
    }
    match text("resourceVersion") {
        "" | "0" => Ok(()),
        revision if was("resourceVersion") == Some(revision) => Ok(()),
        _ => Err(Status::modified(kind, name)),
    }
}

/// Puts back what an update cannot change.
pub(super) fn keep_fixed(kind: &Kind, part: Part, before: &Value, value: &mut Value) {
    let old = before.get("metadata").and_then(Value::as_object);
    let (Some(old), Some(new)) = (old, of(value)) else {
        return;
    };
    if part == Part::Status {
        if kind.custom.is_some() {
            let managed = new.shift_remove("managedFields");
            new.clone_from(old);
            if let Some(managed) = managed {
                new.insert("managedFields".to_owned(), managed);
            }
        } else if let Some(owners) = old.get("ownerReferences") {
            new.insert("ownerReferences".to_owned(), owners.clone());
        }
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generateName",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
    ] {
        match old.get(field) {
            Some(value) => new.insert(field.to_owned(), value.clone()),
            None => new.shift_remove(field),
        };
    }
    new.shift_remove("selfLink");
}

/// Counts what was asked for: anything but metadata and status.
pub(super) fn count_generation(kind: &Kind, before: &Value, value: &mut Value) {
    if !rules::counts_generations(kind) {
        return;
    }
    let asks = |name: &str| !matches!(name, "metadata" | "status");
    let (Some(old), Some(new)) = (before.as_object(), value.as_object()) else {
        return;
    };
    let same = |(name, value): (&String, &Value)| old.get(name) == Some(value);
    let count = |root: &Map<String, Value>| root.keys().filter(|name| asks(name)).count();
    let mut each = new.iter().filter(|(name, _)| asks(name));
    if count(old) == count(new) && each.all(same) {
        return;
    }
    if let Some(metadata) = of(value) {
        let generation = metadata.get("generation").and_then(Value::as_u64);
        metadata.insert(
            "generation".to_owned(),
            (generation.unwrap_or(0) + 1).into(),
        );
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Checks a name by the rule of its kind.
pub(super) fn check_name(kind: &Kind, name: &str) -> Result<(), Status> {
    let fail = |detail: String| {
        let cause = Cause::invalid("metadata.name", &name.into(), &detail);
        Err(Status::invalid(kind, name, &[cause]))
    };
    let (rule, most) = match (kind.group.as_str(), kind.plural.as_str()) {
        ("rbac.authorization.k8s.io", _) => {
            return match name {
                "." | ".." => fail(format!("may not be '{name}'")),
                name if name.contains('/') => fail("may not contain '/'".to_owned()),
                name if name.contains('%') => fail("may not contain '%'".to_owned()),
                _ => Ok(()),
            };
        }
        ("", "namespaces") if name.contains('.') => {
            return fail("must not contain dots".to_owned());
        }
        ("", "namespaces") => (LABEL, 63),
        ("", "services") => (LABEL_1035, 63),
        ("", "events") | ("events.k8s.io" | "apiregistration.k8s.io", _) => return Ok(()),
        _ => (SUBDOMAIN, 253),
    };
    if name.len() > most {
        return fail(format!("must be no more than {most} characters"));
    }
    let label = |part: &str| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let bytes = part.as_bytes();
        bytes.iter().copied().all(good)
            && !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let good = match rule {
        SUBDOMAIN => name.split('.').all(label),
        LABEL_1035 => label(name) && name.starts_with(|c: char| c.is_ascii_lowercase()),
        _ => label(name),
    };
    if good { Ok(()) } else { fail(rule.to_owned()) }
}
