//! The engine: limits, what is off, modules, natives.

use std::sync::Arc;

use rhai::{Dynamic, Engine, OptimizationLevel, Token};

use super::modules::Resolver;
use super::session::Session;
use crate::natives;

/// Builds the engine of one script.
pub(super) fn build(session: &Arc<Session>) -> Engine {
    let mut engine = Engine::new();
    let limits = session.options().limits;
    // Literals must stay in the tree: messages point at them.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    engine.disable_symbol("eval");
    allow_with(&mut engine);
    engine.set_max_operations(limits.operations);
    engine.set_max_call_levels(limits.calls);
    engine.set_max_expr_depths(64, 48);
    engine.set_max_string_size(limits.text);
    engine.set_max_array_size(limits.entries);
    engine.set_max_map_size(limits.entries);
    engine.set_max_variables(1_000);
    engine.set_max_functions(2_000);
    engine.set_max_modules(200);
    let watched = session.clone();
    engine.on_progress(move |operations| {
        // Looking at the clock costs more than an operation.
        (operations % 1024 == 0 && watched.is_over()).then_some(Dynamic::UNIT)
    });
    let printed = session.clone();
    engine.on_print(move |text| printed.print(text));
    let printed = session.clone();
    engine.on_debug(move |text, _, _| printed.print(text));
    engine.set_module_resolver(Resolver::new(session.clone()));
    natives::register(&mut engine, session);
    engine
}

/// Lets `with` be a name: the engine keeps the word for a use it has none for, and `c.with(#{ … })` reads best.
#[allow(
    deprecated,
    reason = "the hook is marked so for being volatile; nothing else reaches the words"
)]
fn allow_with(engine: &mut Engine) {
    engine.on_parse_token(|token, _, _| match token {
        Token::Reserved(word) if word.as_str() == "with" => Token::Identifier(word),
        other => other,
    });
}
