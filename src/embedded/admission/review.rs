//! What a request looks like to hooks and expressions.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Request;
use crate::embedded::cel::Type;

/// The parts of a request that hooks and expressions both see; objects are not among them.
pub(super) fn request_of(request: &Request<'_>) -> Value {
    let kind = request.kind;
    let user = &request.options.user;
    let of_kind = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let resource = json!({"group": kind.group, "version": kind.version, "resource": kind.plural});
    let mut info = json!({"username": user.name, "groups": user.groups});
    if let Some(info) = info.as_object_mut() {
        if !user.uid.is_empty() {
            info.insert("uid".to_owned(), user.uid.as_str().into());
        }
        if !user.extra.is_empty() {
            info.insert("extra".to_owned(), json!(user.extra));
        }
    }
    let mut out = Map::new();
    out.insert("kind".to_owned(), of_kind.clone());
    out.insert("resource".to_owned(), resource.clone());
    out.insert("requestKind".to_owned(), of_kind);
    out.insert("requestResource".to_owned(), resource);
    if !request.part.is_empty() {
        let part = Value::from(request.part);
        out.insert("subResource".to_owned(), part.clone());
        out.insert("requestSubResource".to_owned(), part);
    }
    out.insert("name".to_owned(), request.name.into());
    if kind.namespaced {
        out.insert("namespace".to_owned(), request.namespace.into());
    } else if kind.bucket() == "namespaces" {
        out.insert("namespace".to_owned(), request.name.into());
    }
    out.insert("operation".to_owned(), request.operation.name().into());
    out.insert("userInfo".to_owned(), info);
    out.insert("dryRun".to_owned(), request.options.dry_run.into());
    let options = match request.operation {
        super::Operation::Create => "CreateOptions",
        super::Operation::Update => "UpdateOptions",
        super::Operation::Delete => "DeleteOptions",
    };
    out.insert(
        "options".to_owned(),
        json!({"kind": options, "apiVersion": "meta.k8s.io/v1"}),
    );
    Value::Object(out)
}

fn fields(list: &[(&str, Type)]) -> Type {
    let each = list.iter().map(|(name, of)| (Arc::from(*name), of.clone()));
    Type::Fields(Arc::new(each.collect()))
}

/// The type of `request` in expressions.
pub(super) fn request_type() -> Type {
    let kind = fields(&[
        ("group", Type::Str),
        ("version", Type::Str),
        ("kind", Type::Str),
    ]);
    let resource = fields(&[
        ("group", Type::Str),
        ("version", Type::Str),
        ("resource", Type::Str),
    ]);
    let texts = Type::List(Arc::new(Type::Str));
    let user = fields(&[
        ("username", Type::Str),
        ("uid", Type::Str),
        ("groups", texts.clone()),
        ("extra", Type::Map(Arc::new(Type::Str), Arc::new(texts))),
    ]);
    fields(&[
        ("kind", kind.clone()),
        ("resource", resource.clone()),
        ("subResource", Type::Str),
        ("requestKind", kind),
        ("requestResource", resource),
        ("requestSubResource", Type::Str),
        ("name", Type::Str),
        ("namespace", Type::Str),
        ("operation", Type::Str),
        ("userInfo", user),
        ("dryRun", Type::Bool),
        ("options", Type::Dyn),
    ])
}
