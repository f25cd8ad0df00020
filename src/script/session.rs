//! What one script has beside its code: what it may see, what it declared, what it printed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rhai::AST;
use serde::Serialize;

use super::closure::Pointer;
use super::effects::Effects;
use super::result::Defined;
use super::{Inner, Options, Script};
use crate::diag::Source;
use crate::error::Result;
use crate::natives::{Base, ClusterValue};
use crate::spec::Tree;

/// A parameter that a script declares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it is without a value of the user's.
    pub default: Tree,
    /// What it means.
    pub summary: String,
    /// What values it takes.
    pub limits: ParamLimits,
}

/// What values a parameter takes.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct ParamLimits {
    /// The smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// The values there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Tree>,
}

/// What one script has beside its code.
pub struct Session {
    options: Options,
    main: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    params: Vec<Param>,
    tasks: Vec<(String, Pointer)>,
    tests: Vec<(String, Base, Pointer)>,
    printed: Vec<String>,
    sources: BTreeMap<String, (Source, AST)>,
    /// The sources of modules' closures, by their generated names.
    houses: BTreeMap<String, Source>,
    began: Option<Instant>,
    calls_back: bool,
    is_prompt: bool,
    effects: Option<Arc<Effects>>,
    script: Weak<Inner>,
}

impl Session {
    /// Starts with what the script may see.
    pub fn new(options: Options, main: Source) -> Self {
        Self {
            options,
            main,
            state: Mutex::new(State::default()),
        }
    }

    /// What the script may see and use.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The parameters declared so far.
    pub fn params(&self) -> Vec<Param> {
        self.state().params.clone()
    }

    /// Declares a parameter; gives back an earlier one of this name.
    pub fn declare(&self, param: Param) -> Option<Param> {
        let mut state = self.state();
        if let Some(earlier) = state
            .params
            .iter()
            .find(|earlier| earlier.name == param.name)
        {
            return Some(earlier.clone());
        }
        state.params.push(param);
        None
    }

    /// Keeps a line that the script printed.
    pub fn print(&self, line: &str) {
        let mut state = self.state();
        // A script that prints for ever is stopped by its limits; its lines must not exhaust memory before.
        if state.printed.len() < 10_000 {
            state.printed.push(line.to_string());
        }
    }

    /// Gives the printed lines out, once.
    pub fn take_printed(&self) -> Vec<String> {
        std::mem::take(&mut self.state().printed)
    }

    /// Begins an evaluation: the clock starts, earlier declarations are forgotten.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.began = Some(Instant::now());
        state.calls_back = false;
        state.params.clear();
        state.tasks.clear();
        state.tests.clear();
    }

    /// Starts the clock anew, for a call back into the script.
    pub(super) fn restart(&self) {
        let mut state = self.state();
        state.began = Some(Instant::now());
        state.calls_back = true;
    }

    /// Whether the definition is being evaluated, not a closure called back.
    pub(crate) fn is_defining(&self) -> bool {
        let state = self.state();
        !state.calls_back && !state.is_prompt
    }

    /// Hands out what the script may reach when it is called back.
    pub(super) fn allow(&self, effects: Arc<Effects>) {
        self.state().effects = Some(effects);
    }

    /// Makes effects possible at any time: at a prompt there is no definition to keep pure.
    pub(super) fn be_prompt(&self) {
        self.state().is_prompt = true;
    }

    /// What the script may reach.
    pub(crate) fn effects(&self) -> Option<Arc<Effects>> {
        self.state().effects.clone()
    }

    /// Gives the script more time: it waited for the outside.
    pub(crate) fn grant(&self, time: Duration) {
        let mut state = self.state();
        state.began = state.began.and_then(|began| began.checked_add(time));
    }

    /// Names the script that this belongs to.
    pub(super) fn belong_to(&self, script: Weak<Inner>) {
        self.state().script = script;
    }

    /// A cluster with its policy and hooks, as the script has them.
    pub(crate) fn define(&self, cluster: &ClusterValue) -> Result<Defined> {
        let script = self.state().script.upgrade().map(Script::from_inner);
        super::result::define(cluster.clone(), script.as_ref())
    }

    /// Whether the evaluation has to stop now.
    pub(super) fn is_over(&self) -> bool {
        self.options.cancel.is_cancelled() || self.is_late()
    }

    pub(super) fn is_late(&self) -> bool {
        self.state()
            .began
            .is_some_and(|began| began.elapsed() > self.options.limits.time)
    }

    /// Keeps a source with its tree, for messages that point into it.
    pub(super) fn remember(&self, source: Source, ast: AST) {
        self.state()
            .sources
            .insert(source.name().to_string(), (source, ast));
    }

    /// The source of a name; without one, the script itself.
    pub(crate) fn source(&self, name: Option<&str>) -> Source {
        let state = self.state();
        let named = name.and_then(|name| state.sources.get(name));
        named.map_or_else(|| self.main.clone(), |(source, _)| source.clone())
    }

    /// Keeps where a module's closure is written.
    pub(super) fn house(&self, closure: &str, source: &Source) {
        self.state()
            .houses
            .insert(closure.to_string(), source.clone());
    }

    /// Where a module's closure is written.
    pub(super) fn house_of(&self, closure: &str) -> Option<String> {
        let state = self.state();
        let house = state.houses.get(closure)?;
        Some(house.name().to_string())
    }

    pub(super) fn tree(&self, source: &Source) -> Option<AST> {
        self.state()
            .sources
            .get(source.name())
            .map(|(_, ast)| ast.clone())
    }

    pub(crate) fn add_task(&self, name: String, pointer: Pointer) -> bool {
        let mut state = self.state();
        let is_new = state.tasks.iter().all(|(other, _)| *other != name);
        if is_new {
            state.tasks.push((name, pointer));
        }
        is_new
    }

    pub(crate) fn add_test(&self, name: String, base: Base, body: Pointer) -> bool {
        let mut state = self.state();
        let is_new = state.tests.iter().all(|(other, ..)| *other != name);
        if is_new {
            state.tests.push((name, base, body));
        }
        is_new
    }

    pub(super) fn tests(&self) -> Vec<(String, Base, Pointer)> {
        self.state().tests.clone()
    }

    pub(super) fn tasks(&self) -> Vec<(String, Pointer)> {
        self.state().tasks.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
