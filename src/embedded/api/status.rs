//! The API's own way to say no: a `Status` object with an HTTP code, a reason, a message and causes.
//!
//! This is protocol, not a diagnostic: it goes to whoever sent the request, in the words Kubernetes clients know.

use serde_json::{Map, Value, json};

use super::registry::Kind;

/// One thing that is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Such as `FieldValueRequired`.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where, such as `spec.replicas`.
    pub field: String,
}

impl Cause {
    /// A field that must be there.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = match detail {
            "" => "Required value".to_owned(),
            _ => format!("Required value: {detail}"),
        };
        Self {
            reason: "FieldValueRequired",
            message,
            field: field.into(),
        }
    }

    /// A field whose value is wrong.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: {detail}", shown(value)),
            field: field.into(),
        }
    }

    /// A field whose value is not among those allowed.
    pub fn unsupported(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|name| format!("\"{name}\"")).collect();
        Self {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                allowed.join(", ")
            ),
            field: field.into(),
        }
    }

    /// A value that is there twice.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {}", shown(value)),
            field: field.into(),
        }
    }

    /// A field that may not be set or changed here.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {detail}"),
            field: field.into(),
        }
    }

    /// A value of the wrong type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueTypeInvalid",
            message: format!("Invalid value: {}: {detail}", shown(value)),
            field: field.into(),
        }
    }

    /// A value that is too long.
    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        Self {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {most} bytes"),
            field: field.into(),
        }
    }
}

/// Shows a value in a message; containers by their type alone, as printing them whole helps nobody.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// An answer that is not the object asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// Such as `NotFound`; empty for success.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Boxed, because failures travel far and should be small.
    details: Box<Map<String, Value>>,
    warnings: Vec<String>,
    bare: bool,
    hollow: bool,
    refused: bool,
    next: Box<str>,
}

impl Status {
    /// Makes a failure without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Box::default(),
            warnings: Vec::new(),
            bare: false,
            hollow: false,
            refused: false,
            next: Box::default(),
        }
    }

    /// Nothing at all is at this path: said in plain text, as by any web server.
    pub fn page_not_found() -> Self {
        let mut status = Self::new(404, "NotFound", "404 page not found\n");
        status.bare = true;
        status
    }

    /// Whether it goes over the wire as plain text.
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// Options of a request are wrong; `of` is such as `ListOptions`.
    pub fn invalid_options(of: &str, causes: &[Cause]) -> Self {
        let mut kind = Kind::new("meta.k8s.io", "v1", of, "");
        kind.namespaced = false;
        Self::invalid(&kind, "", causes)
    }

    /// The answer can be given in none of the forms that the client reads.
    pub fn not_acceptable(message: &str) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// The same with details that say nothing, where the API sends such.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.hollow = true;
        self
    }

    /// The same, said because the user has not the right, not because of what was asked for.
    #[must_use]
    pub(super) fn for_want_of_rights(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Whether the user has not the right.
    pub(super) fn is_for_want_of_rights(&self) -> bool {
        self.refused
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        if !name.is_empty() {
            self.details.insert("name".to_owned(), name.into());
        }
        if !kind.group.is_empty() {
            self.details
                .insert("group".to_owned(), (&*kind.group).into());
        }
        self.details
            .insert("kind".to_owned(), (&*kind.plural).into());
        self
    }

    /// The object is not there.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    /// The path is not there.
    pub fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// An object of that name is there already.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    /// Somebody else wrote in between.
    pub fn conflict(kind: &Kind, name: &str, detail: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {detail}",
            kind.resource()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// The object was changed since the version the writer saw.
    pub fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Fields of the object are wrong.
    pub fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let each: Vec<String> = causes
            .iter()
            .map(|cause| match cause.field.as_str() {
                "" => cause.message.clone(),
                field => format!("{field}: {}", cause.message),
            })
            .collect();
        let list = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let of = match &*kind.group {
            "" => kind.kind.clone(),
            group => format!("{}.{group}", kind.kind),
        };
        let mut status = Self::new(
            422,
            "Invalid",
            format!("{of} \"{name}\" is invalid: {list}"),
        )
        .about(kind, name)
        .causes(causes);
        // For this reason alone the details carry the kind, not the resource.
        status
            .details
            .insert("kind".to_owned(), (&*kind.kind).into());
        if kind.kind.is_empty() {
            status.details.shift_remove("kind");
        }
        status
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The requested revision is no longer known.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// The user may not do this.
    pub fn forbidden(kind: &Kind, name: &str, message: &str) -> Self {
        let target = match name {
            "" => kind.resource().to_owned(),
            name => format!("{} \"{name}\"", kind.resource()),
        };
        Self::new(
            403,
            "Forbidden",
            format!("{target} is forbidden: {message}"),
        )
        .about(kind, name)
    }

    /// Nobody knows this user.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The resource has no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// Adds what is wrong with which field.
    #[must_use]
    pub fn causes(mut self, causes: &[Cause]) -> Self {
        let list: Vec<Value> = causes
            .iter()
            .map(|cause| {
                let mut one = json!({"reason": cause.reason, "message": cause.message});
                if let Some(one) = one.as_object_mut().filter(|_| !cause.field.is_empty()) {
                    one.insert("field".to_owned(), cause.field.as_str().into());
                }
                one
            })
            .collect();
        self.details.insert("causes".to_owned(), list.into());
        self
    }

    /// A policy doesn't allow it, for a reason of its own; without one it is invalid.
    pub(in crate::embedded) fn denied(
        kind: &Kind,
        name: &str,
        message: &str,
        reason: &str,
    ) -> Self {
        let mut status = Self::forbidden(kind, name, message).causes_plain(&[message]);
        (status.code, status.reason) = match reason {
            "Forbidden" => (403, "Forbidden"),
            "Unauthorized" => (401, "Unauthorized"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        status
    }

    /// A reason that somebody else gave, if it is one that the API knows.
    pub(in crate::embedded) fn reason_of(text: &str) -> &'static str {
        const KNOWN: &[&str] = &[
            "AlreadyExists",
            "BadRequest",
            "Conflict",
            "Expired",
            "Forbidden",
            "Gone",
            "InternalError",
            "Invalid",
            "MethodNotAllowed",
            "NotAcceptable",
            "NotFound",
            "RequestEntityTooLarge",
            "ServerTimeout",
            "ServiceUnavailable",
            "Timeout",
            "TooManyRequests",
            "Unauthorized",
            "UnsupportedMediaType",
        ];
        KNOWN.iter().find(|known| **known == text).unwrap_or(&"")
    }

    /// Adds causes that are about no field.
    pub(in crate::embedded) fn causes_plain(mut self, messages: &[&str]) -> Self {
        let list: Vec<Value> = messages
            .iter()
            .map(|message| json!({"message": message}))
            .collect();
        self.details.insert("causes".to_owned(), list.into());
        self
    }

    /// Adds what the client should show besides.
    #[must_use]
    pub fn warn(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// What the client should show besides.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.details
            .insert("retryAfterSeconds".to_owned(), seconds.into());
        self
    }

    /// Adds how a list can be gone on with all the same.
    #[must_use]
    pub fn go_on(mut self, next: String) -> Self {
        self.next = next.into();
        self
    }

    /// The object that goes over the wire.
    pub fn to_json(&self) -> Value {
        let metadata = match &*self.next {
            "" => json!({}),
            next => json!({"continue": next}),
        };
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": if self.code < 300 { "Success" } else { "Failure" },
        });
        if let Some(root) = status.as_object_mut() {
            if !self.message.is_empty() {
                root.insert("message".to_owned(), self.message.as_str().into());
            }
            if !self.reason.is_empty() {
                root.insert("reason".to_owned(), self.reason.into());
            }
            // These reasons always bring details, even if they say nothing.
            let always = matches!(self.reason, "NotFound" | "MethodNotAllowed" | "Invalid");
            if always || self.hollow || !self.details.is_empty() {
                root.insert("details".to_owned(), (*self.details).clone().into());
            }
            // A success has no code unless somebody sets one; failures always do.
            if self.code >= 300 {
                root.insert("code".to_owned(), self.code.into());
            }
        }
        status
    }

    /// The answer to a deletion that is done.
    pub fn deleted(kind: &Kind, name: &str, uid: &str) -> Self {
        let mut status = Self::new(200, "", "").about(kind, name);
        status.details.insert("uid".to_owned(), uid.into());
        status
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}
