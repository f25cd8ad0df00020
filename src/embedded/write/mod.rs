//! The one way in which objects change.
//!
//! Whoever writes — a client over HTTP, a controller in process — comes through [`create`], [`change`] or [`delete`].
//! Each reads the current object, makes the next one, completes it (metadata, defaults), asks admission, checks it, and
//! puts it with the expectation that nobody wrote in between; if somebody did, it starts over.
//!
//! What differs between kinds is in `rules` and `defaults`; what a schema knows is in `unknown`; how a patch is applied is in
//! `patch` and `strategic`; who owns which field is in `managed`. To add a rule for a kind, add it there, not here.

mod admit;
mod allocate;
pub mod bootstrap;
mod check;
mod defaults;
mod definition;
mod delete;
mod fields;
mod managed;
mod meta;
pub mod patch;
mod rules;
mod schema;
mod strategic;
pub(super) mod twice;
mod unknown;
pub(super) mod validations;
pub(super) mod versions;

pub(super) use admit::{CLAIM_GUARD, VOLUME_GUARD};
pub(super) use defaults::others::GENERATION as TEMPLATE_GENERATION;
pub use delete::{Deletion, Propagation, Removed, delete};
pub(crate) use meta::{now, time};

use std::sync::Arc;

use serde_json::Value;

use super::access::User;
use super::admission::{self, Operation, Request, conversion};
use super::api::registry::{Kind, api_version};
use super::api::status::{Cause, Status};
use super::server::Server;
use super::store::{Expect, Miss, Object};
use crate::embedded::reach::Reach as _;

/// How often a write without a fixed revision is tried against a moving object.
const TRIES: usize = 16;

/// What to do about fields that the schema doesn't know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// Refuse them.
    Strict,
    /// Drop them and say so.
    #[default]
    Warn,
    /// Drop them.
    Ignore,
}

/// Which part of an object a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status alone.
    Status,
    /// Another part, whose handler has already confined what it changes.
    Other,
}

/// How to write, and who does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who asks.
    pub user: User,
    /// In whose name fields are owned; nobody keeps account if it is empty.
    pub manager: String,
    /// The part that is written, such as `status`; empty for the object itself.
    pub subresource: String,
    /// Whether everything happens but the writing.
    pub dry_run: bool,
    /// What to do about unknown fields.
    pub validation: Validation,
    /// Whether to take over fields that others own.
    pub force: bool,
    /// What is to be said of keys that the body has twice.
    pub twice: Vec<String>,
}

impl Options {
    /// For writes by the control plane itself, in the name of one of its controllers. Such writes come by the thousand, so
    /// nobody keeps account of which fields they set.
    pub fn controller(name: &str) -> Self {
        Self {
            user: User::system(name),
            manager: String::new(),
            subresource: String::new(),
            dry_run: false,
            validation: Validation::Ignore,
            force: false,
            twice: Vec::new(),
        }
    }
}

/// What a write led to.
pub struct Written {
    /// The object as it is now.
    pub object: Arc<Object>,
    /// What the writer should know.
    pub warnings: Vec<String>,
    /// Whether it was not there before.
    pub created: bool,
}

/// Creates an object.
pub async fn create(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    value: Value,
    options: &Options,
) -> Result<Written, Status> {
    create_as(server, kind, namespace, value, options, How::Update).await
}

/// Server-side apply: creates the object, or makes of it what one manager wants.
pub async fn apply(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    part: Part,
    mut config: Value,
    options: &Options,
) -> Result<Written, Status> {
    if options.manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Status::invalid_options("PatchOptions", &[cause]));
    }
    if config.reach("/metadata/managedFields").is_some() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let typed = |field: &str| {
        config
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if typed("kind").is_empty() || typed("apiVersion").is_empty() {
        let (group, version) = typed("apiVersion")
            .split_once('/')
            .unwrap_or(("", typed("apiVersion")));
        return Err(Status::bad_request(format!(
            "invalid object type: {group}/{version}, Kind={}",
            typed("kind")
        )));
    }
    let mut warnings = unknown::check_applied(kind, &mut config, options)?;
    meta::name_config(kind, namespace, name, &mut config)?;
    let exists = server.get(kind, namespace, name).is_some();
    let mut written = if exists || part != Part::Main {
        let who = managed::Writer::new(kind, options, &options.subresource);
        let next = |current: &Value| managed::apply(kind, current, &config, &who, options.force);
        change_as(
            server,
            kind,
            namespace,
            name,
            part,
            options,
            &next,
            How::Apply,
        )
        .await?
    } else {
        create_as(server, kind, namespace, config, options, How::Apply).await?
    };
    warnings.append(&mut written.warnings);
    written.warnings = warnings;
    Ok(written)
}

/// Notes who wrote an object that is answered and not kept.
pub(super) fn note_author(kind: &Kind, value: &mut Value, options: &Options) {
    let who = managed::Writer::new(kind, options, "");
    managed::note_update(kind, None, value, &who);
}

/// How ownership of fields is noted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// By what the write changes.
    Update,
    /// By what the configuration says.
    Apply,
}

async fn create_as(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    mut value: Value,
    options: &Options,
    how: How,
) -> Result<Written, Status> {
    let mut warnings = unknown::check(kind, &mut value, options)?;
    let config = (how == How::Apply).then(|| value.clone());
    // From here on what a webhook has converted goes the way of the version that is kept.
    let stored = stored_kind(server, kind);
    if stored.is_some() {
        value = to_stored(server, kind, value).await?;
    }
    let kind = stored.as_deref().unwrap_or(kind);
    let generated = meta::complete_new(kind, namespace, &mut value)?;
    rules::before_create(kind, &mut value);
    defaults::apply(kind, &mut value);
    let who = managed::Writer::new(kind, options, &options.subresource);
    for _ in 0..TRIES {
        if generated {
            meta::generate_name(&mut value);
        }
        let (namespace, name) = meta::place(&value);
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let key = kind.key(&namespace, &name);
        meta::check_name(kind, &name)?;
        if kind.namespaced {
            rules::namespace_takes_new(server, kind, &namespace, &name)?;
        }
        // What the cluster adds belongs to nobody, so it comes after.
        if let Some(config) = &config {
            managed::note_first_apply(kind, &mut value, config, &who);
        } else if !options.manager.is_empty() {
            managed::note_update(kind, None, &mut value, &who);
        }
        admit::new(server, kind, &namespace, &options.user, &mut value)?;
        let request = Request {
            server,
            kind,
            namespace: &namespace,
            name: &name,
            part: &options.subresource,
            operation: Operation::Create,
            options,
        };
        if admission::mutate(&request, None, &mut value, &mut warnings).await? {
            defaults::apply(kind, &mut value);
        }
        allocate::service(server, kind, &name, &mut value)?;
        check::object(kind, &name, &value)?;
        admission::validate(&request, None, Some(&value), &mut warnings).await?;
        if server.get(kind, &namespace, &name).is_some() && !generated {
            return Err(Status::already_exists(kind, &name));
        }
        let object = if options.dry_run {
            Object::unsaved(&key, value)
        } else {
            // Only a name that was made up may be tried again.
            let last = match generated {
                true => value.clone(),
                false => std::mem::take(&mut value),
            };
            let put = server
                .store()
                .put(kind.bucket(), &key, Expect::Absent, last);
            match put {
                Ok(object) => object,
                Err(Miss::Exists) if generated => continue,
                Err(miss) => return Err(miss_to_status(kind, &name, miss)),
            }
        };
        if !options.dry_run {
            rules::after_write(server, kind, &object, false);
        }
        return Ok(Written {
            object,
            warnings,
            created: true,
        });
    }
    Err(Status::already_exists(kind, ""))
}

/// The kind in the version that is kept, if a webhook converts to it.
fn stored_kind(server: &Server, kind: &Kind) -> Option<Arc<Kind>> {
    let other = conversion::is_needed(kind) && kind.version != kind.storage_version;
    other
        .then(|| server.kind(&kind.group, &kind.plural))
        .flatten()
}

/// An object in the version that is kept, if a webhook must make it.
async fn to_stored(server: &Server, kind: &Kind, value: Value) -> Result<Value, Status> {
    let stored = api_version(&kind.group, &kind.storage_version);
    // What names another version than the one that it was sent to is refused where that is checked.
    if value.get("apiVersion").and_then(Value::as_str) != Some(&kind.api_version()) {
        return Ok(value);
    }
    let done = conversion::convert(server, kind, &stored, vec![value]).await?;
    Ok(done.into_iter().next().unwrap_or_default())
}

/// Changes an object: `next` makes the new one from the current one.
pub async fn change(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    part: Part,
    options: &Options,
    next: &(dyn Fn(&Value) -> Result<Value, Status> + Send + Sync),
) -> Result<Written, Status> {
    change_as(
        server,
        kind,
        namespace,
        name,
        part,
        options,
        next,
        How::Update,
    )
    .await
}

#[allow(
    clippy::too_many_arguments,
    reason = "the one write path; each says one thing about it"
)]
async fn change_as(
    server: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    part: Part,
    options: &Options,
    next: &(dyn Fn(&Value) -> Result<Value, Status> + Send + Sync),
    how: How,
) -> Result<Written, Status> {
    let key = kind.key(namespace, name);
    let who = managed::Writer::new(kind, options, &options.subresource);
    let stored = stored_kind(server, kind);
    for _ in 0..TRIES {
        let Some(current) = server.store().get(kind.bucket(), &key) else {
            return Err(Status::not_found(kind, name));
        };
        let before = current.value();
        let mut value = if stored.is_some() {
            let shown = vec![(*before).clone()];
            let shown = conversion::convert(server, kind, &kind.api_version(), shown).await?;
            next(&shown.into_iter().next().unwrap_or_default())?
        } else if versions::is_stored(kind) {
            next(&before)?
        } else {
            let mut shown = (*before).clone();
            versions::show(kind, &mut shown);
            next(&shown)?
        };
        let mut warnings = Vec::new();
        // An applied configuration was checked before it was laid over; what is stored was checked when it came.
        if how == How::Update && !options.manager.is_empty() {
            warnings = unknown::check(kind, &mut value, options)?;
        }
        if stored.is_some() {
            value = to_stored(server, kind, value).await?;
        }
        let kind = stored.as_deref().unwrap_or(kind);
        meta::check_same(kind, namespace, name, &before, &mut value)?;
        rules::confine(kind, part, &before, &mut value);
        meta::keep_fixed(kind, part, &before, &mut value);
        let request = Request {
            server,
            kind,
            namespace,
            name,
            part: match part {
                Part::Status => "status",
                // A pod gets its node by a part that only ever is created.
                Part::Other if options.subresource.is_empty() => "binding",
                Part::Main | Part::Other => &options.subresource,
            },
            operation: Operation::Update,
            options,
        };
        if admission::mutate(&request, Some(&before), &mut value, &mut warnings).await? {
            rules::confine(kind, part, &before, &mut value);
            meta::keep_fixed(kind, part, &before, &mut value);
        }
        if part == Part::Main || part == Part::Other && options.subresource == "ephemeralcontainers"
        {
            defaults::apply(kind, &mut value);
            allocate::service(server, kind, name, &mut value)?;
        }
        if how == How::Update {
            if options.manager.is_empty() {
                managed::keep(&before, &mut value);
            } else {
                managed::note_update(kind, Some(&before), &mut value, &who);
            }
        }
        check::change(kind, name, part, &before, &value)?;
        admission::validate(&request, Some(&before), Some(&value), &mut warnings).await?;
        if value == *before {
            return Ok(Written {
                object: current,
                warnings,
                created: false,
            });
        }
        meta::count_generation(kind, &before, &mut value);
        defaults::others::count_templates(kind, &before, &mut value);
        let gone = delete::is_finished(kind, &value);
        let revision = current.revision();
        let store = server.store();
        let put = match gone {
            _ if options.dry_run => Ok(Object::unsaved(&key, value)),
            true => store.delete(kind.bucket(), &key, revision, value),
            false => store.put(kind.bucket(), &key, Expect::Revision(revision), value),
        };
        match put {
            Ok(object) => {
                if !options.dry_run {
                    rules::after_write(server, kind, &object, gone);
                }
                return Ok(Written {
                    object,
                    warnings,
                    created: false,
                });
            }
            // Whoever named the revision that they saw is refused when the object is looked at again.
            Err(Miss::Changed) => {}
            Err(miss) => return Err(miss_to_status(kind, name, miss)),
        }
    }
    Err(Status::modified(kind, name))
}

fn miss_to_status(kind: &Kind, name: &str, miss: Miss) -> Status {
    match miss {
        Miss::Exists => Status::already_exists(kind, name),
        Miss::Absent => Status::not_found(kind, name),
        Miss::Changed => Status::modified(kind, name),
        Miss::Log(error) => Status::new(500, "InternalError", format!("{error:?}")),
    }
}
