//! The heart of the prompt, without a terminal: lines in, values out; variables and functions stay.

use std::sync::Arc;

use rhai::{AST, Dynamic, Engine, ParseErrorType, Scope};

use super::session::Session;
use super::{Effects, Options, engine, fault};
use crate::diag::Source;
use crate::error::Error;
use crate::natives;

/// What became of the lines.
#[derive(Debug)]
pub enum Reply {
    /// More lines are wanted.
    More,
    /// A value, as a script would write it; nothing for `()`.
    Value(Option<String>),
    /// A problem; variables are as before the failing line.
    Problem(Error),
}

/// A conversation.
pub struct Repl {
    engine: Engine,
    session: Arc<Session>,
    scope: Scope<'static>,
    functions: AST,
}

impl Repl {
    /// Begins a conversation.
    pub fn new(options: &Options) -> Self {
        let session = Arc::new(Session::new(options.clone(), Source::new("repl", "")));
        session.be_prompt();
        let engine = engine::build(&session);
        Self {
            engine,
            session,
            scope: Scope::new(),
            functions: AST::empty(),
        }
    }

    /// Takes everything typed since the last answer.
    pub fn feed(&mut self, text: &str) -> Reply {
        if text.trim().is_empty() {
            return Reply::Value(None);
        }
        let source = Source::new("repl", text);
        let mut tree = match self.engine.compile_with_scope(&self.scope, text) {
            Ok(tree) => tree,
            Err(error) if is_incomplete(&error.0) => return Reply::More,
            Err(error) => return Reply::Problem(fault::from_parse(&error, &self.session, &source)),
        };
        tree.set_source("repl");
        self.session.remember(source, tree.clone());
        self.session.begin();
        let whole = self.functions.merge(&tree);
        let kept = self.scope.clone();
        match self
            .engine
            .eval_ast_with_scope::<Dynamic>(&mut self.scope, &whole)
        {
            Ok(value) => {
                self.functions = self.functions.merge(&tree);
                self.functions.clear_statements();
                Reply::Value((!value.is_unit()).then(|| natives::show(&value)))
            }
            Err(error) => {
                self.scope = kept;
                Reply::Problem(fault::from_run(*error, &self.session))
            }
        }
    }

    /// Hands out what may be reached from the prompt.
    pub fn allow(&self, effects: Effects) {
        self.session.allow(Arc::new(effects));
    }

    /// The lines that were printed since this was last asked.
    pub fn printed(&self) -> Vec<String> {
        self.session.take_printed()
    }

    /// The names that complete a word, in order.
    pub fn complete(&self, word: &str) -> Vec<String> {
        let variables = self.scope.iter().map(|(name, ..)| name.to_string());
        let mut names: Vec<String> = natives::names()
            .map(String::from)
            .chain(variables)
            .filter(|name| name.starts_with(word))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn is_incomplete(problem: &ParseErrorType) -> bool {
    match problem {
        ParseErrorType::UnexpectedEOF => true,
        ParseErrorType::MissingToken(token, _) => matches!(token.as_str(), "}" | "]" | ")"),
        ParseErrorType::BadInput(rhai::LexError::UnterminatedString) => true,
        _ => false,
    }
}
