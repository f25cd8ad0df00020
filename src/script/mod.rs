//! The language host: scripts in, fleets out.
//!
//! A [`Script`] is compiled once and evaluated to a [`Fleet`]. Definition time is pure: what a script may see is handed in
//! with [`Options`], and nothing here looks further but for files below the script's folder. Functions that scripts call
//! are in [`crate::natives`]; this module knows the engine, its errors and its positions.

mod check;
mod closure;
mod docs;
mod effects;
mod engine;
mod fault;
mod locate;
mod modules;
mod repl;
mod result;
mod session;
mod suite;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::{AST, Engine, Scope};
use tokio_util::sync::CancellationToken;

pub use closure::Closure;
pub use docs::{Doc, reference};
pub use effects::Effects;
pub use fault::{Fault, RhaiResult, fail};
pub use repl::{Repl, Reply};
pub use result::{Defined, Fleet, Task};
pub use session::{Param, ParamLimits, Session};
pub use suite::Test;
pub use value::{from_tree, to_tree};

pub(crate) use closure::ask;
pub(crate) use modules::{below, read_small};
pub(crate) use value::kind;

use crate::diag::Source;
use crate::diag::codes::input::{FILE_UNREADABLE, UNKNOWN_PARAM};
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::ops::cipher::keys::Lent;

/// What a script may see and use.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that files and modules are read from.
    pub root: PathBuf,
    /// Values of parameters, as typed.
    pub sets: Vec<(String, String)>,
    /// Environment variables that the script may see, with their values; `None` is one that is allowed and not set.
    pub env: BTreeMap<String, Option<String>>,
    /// How much a script may do.
    pub limits: Limits,
    /// Whether to stop.
    pub cancel: CancellationToken,
    /// The keys that encrypted files may be opened with; `None` lends none.
    pub keys: Option<Lent>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            sets: Vec::new(),
            env: BTreeMap::new(),
            limits: Limits::default(),
            cancel: CancellationToken::new(),
            keys: None,
        }
    }
}

/// How much a script may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations of one evaluation.
    pub operations: u64,
    /// Depth of calls.
    pub calls: usize,
    /// Bytes of one text.
    pub text: usize,
    /// Entries of one list or map.
    pub entries: usize,
    /// How long one evaluation may take.
    pub time: std::time::Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 50_000_000,
            calls: 64,
            text: 8 << 20,
            entries: 200_000,
            time: std::time::Duration::from_secs(20),
        }
    }
}

/// A compiled script.
#[derive(Clone)]
pub struct Script(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) ast: AST,
    pub(crate) session: Arc<Session>,
}

impl Script {
    /// Reads and compiles a file; its folder is the root unless the options name another.
    pub fn load(path: &Path, options: &Options) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            Error::new(
                &FILE_UNREADABLE,
                format!("{} cannot be read", path.display()),
            )
            .because(cause)
            .help("name a script, such as `ksail run cluster.rhai`")
        })?;
        Self::from_source(&Source::new(path.display().to_string(), text), options)
    }

    /// Compiles a text; problems that can be seen without running it are all told.
    pub fn from_source(source: &Source, options: &Options) -> Result<Self> {
        let session = Arc::new(Session::new(options.clone(), source.clone()));
        let engine = engine::build(&session);
        let mut ast = engine
            .compile(source.text())
            .map_err(|error| fault::from_parse(&error, &session, source))?;
        ast.set_source(source.name());
        check::names(&engine, &ast, source)?;
        session.remember(source.clone(), ast.clone());
        let ast = modules::link(
            &engine,
            &session,
            &ast,
            &mut std::collections::BTreeSet::new(),
        );
        let inner = Arc::new(Inner {
            engine,
            ast,
            session,
        });
        inner.session.belong_to(Arc::downgrade(&inner));
        Ok(Self(inner))
    }

    fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    /// Hands out what the script's hooks, tasks and tests may reach.
    pub fn allow(&self, effects: Effects) -> Arc<Effects> {
        let effects = Arc::new(effects);
        self.0.session.allow(effects.clone());
        effects
    }

    /// Evaluates the script to its clusters; all problems that can be found are told.
    pub fn fleet(&self) -> Result<Fleet> {
        let value = self.evaluate()?;
        let unknown = self.unknown_sets();
        let fleet = result::fleet(value, self)?;
        match Error::gather(unknown) {
            Some(problem) => Err(problem),
            None => Ok(fleet),
        }
    }

    /// Evaluates the script to its tests; what it yields beside them does not matter.
    pub fn tests(&self) -> Result<Vec<Test>> {
        let _ = self.evaluate()?;
        match Error::gather(self.unknown_sets()) {
            Some(problem) => Err(problem),
            None => Ok(suite::tests(self)),
        }
    }

    fn evaluate(&self) -> Result<rhai::Dynamic> {
        let inner = &self.0;
        inner.session.begin();
        let mut scope = Scope::new();
        inner
            .engine
            .eval_ast_with_scope::<rhai::Dynamic>(&mut scope, &inner.ast)
            .map_err(|error| fault::from_run(*error, &inner.session))
    }

    /// The parameters that the script declares, in the order of their declaration; known once it was evaluated, so a script
    /// that fails tells those it came to.
    pub fn params(&self) -> Vec<Param> {
        if self.0.session.params().is_empty() {
            // The result does not matter here, only what was declared on the way.
            let _ = self.fleet();
        }
        self.0.session.params()
    }

    /// The lines that the script printed so far.
    pub fn printed(&self) -> Vec<String> {
        self.0.session.take_printed()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    fn unknown_sets(&self) -> Vec<Error> {
        let params = self.0.session.params();
        let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
        let sets = &self.0.session.options().sets;
        sets.iter()
            .filter(|(name, _)| !names.contains(&name.as_str()))
            .map(|(name, _)| {
                let help = match suggest::nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if names.is_empty() => "the script declares no parameters".to_string(),
                    None => format!("it has {}", suggest::one_of(names.iter().copied())),
                };
                Error::new(
                    &UNKNOWN_PARAM,
                    format!("the script has no parameter `{name}`"),
                )
                .help(help)
            })
            .collect()
    }
}
