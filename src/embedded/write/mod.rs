//! The one way in which objects change.
//!
//! Whoever writes — a client over HTTP, a controller in process — comes through [`create`], [`change`] or [`delete`].
//! Each reads the current object, makes the next one, completes it (metadata, defaults), asks admission, checks it, and
//! puts it with the expectation that nobody wrote in between; if somebody did, it starts over.
//!
//! What differs between kinds is in `rules` (a table), `defaults` and `check`; how a patch is applied is in `patch`. To add a
//! rule for a kind, add it there, not here.

pub mod bootstrap;
mod defaults;
mod delete;
mod meta;
pub mod patch;
mod rules;

pub use delete::{Deletion, Propagation, Removed, delete};
pub(crate) use meta::{now, time};

use std::sync::Arc;

use serde_json::Value;

use super::access::User;
use super::api::registry::Kind;
use super::api::status::Status;
use super::server::Server;
use super::store::{Expect, Miss, Object};

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
    /// In whose name fields are owned.
    pub manager: String,
    /// Whether everything happens but the writing.
    pub dry_run: bool,
    /// What to do about unknown fields.
    pub validation: Validation,
    /// Whether to take over fields that others own.
    pub force: bool,
}

impl Options {
    /// For writes by the control plane itself, in the name of one of its controllers.
    pub fn controller(name: &str) -> Self {
        Self {
            user: User::system(name),
            manager: name.to_owned(),
            dry_run: false,
            validation: Validation::Ignore,
            force: false,
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
    mut value: Value,
    options: &Options,
) -> Result<Written, Status> {
    let generated = meta::complete_new(kind, namespace, &mut value)?;
    rules::before_create(kind, &mut value);
    defaults::apply(kind, &mut value);
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
        if options.dry_run {
            if server.get(kind, &namespace, &name).is_some() {
                return Err(Status::already_exists(kind, &name));
            }
            return Ok(Written {
                object: Object::unsaved(&key, value),
                warnings: Vec::new(),
                created: true,
            });
        }
        let put = server
            .store()
            .put(kind.bucket(), &key, Expect::Absent, value.clone());
        match put {
            Ok(object) => {
                rules::after_write(server, kind, &object);
                return Ok(Written {
                    object,
                    warnings: Vec::new(),
                    created: true,
                });
            }
            Err(Miss::Exists) if generated => {}
            Err(miss) => return Err(miss_to_status(kind, &name, miss)),
        }
    }
    Err(Status::already_exists(kind, ""))
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
    let key = kind.key(namespace, name);
    for _ in 0..TRIES {
        let Some(current) = server.store().get(kind.bucket(), &key) else {
            return Err(Status::not_found(kind, name));
        };
        let before = current.value();
        let mut value = next(&before)?;
        let pinned = meta::check_same(kind, namespace, name, &before, &mut value)?;
        rules::confine(kind, part, &before, &mut value);
        meta::keep_fixed(kind, part, &before, &mut value);
        if part == Part::Main {
            defaults::apply(kind, &mut value);
        }
        rules::check_change(kind, name, &before, &value)?;
        if value == *before {
            return Ok(unchanged(current));
        }
        meta::count_generation(kind, &before, &mut value);
        if options.dry_run {
            return Ok(unchanged(Object::unsaved(&key, value)));
        }
        let gone = delete::is_finished(kind, &value);
        let revision = current.revision();
        let put = match gone {
            true => server.store().delete(kind.bucket(), &key, revision, value),
            false => {
                let expect = Expect::Revision(revision);
                server.store().put(kind.bucket(), &key, expect, value)
            }
        };
        match put {
            Ok(object) => {
                rules::after_write(server, kind, &object);
                return Ok(unchanged(object));
            }
            Err(Miss::Changed) if !pinned => {}
            Err(miss) => return Err(miss_to_status(kind, name, miss)),
        }
    }
    Err(Status::modified(kind, name))
}

fn unchanged(object: Arc<Object>) -> Written {
    Written {
        object,
        warnings: Vec::new(),
        created: false,
    }
}

fn miss_to_status(kind: &Kind, name: &str, miss: Miss) -> Status {
    match miss {
        Miss::Exists => Status::already_exists(kind, name),
        Miss::Absent => Status::not_found(kind, name),
        Miss::Changed => Status::modified(kind, name),
        Miss::Log(error) => Status::new(500, "InternalError", format!("{error:?}")),
    }
}
