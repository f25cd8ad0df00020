//! Problems of scripts: ours on their way through the engine, and the engine's own in our words.
//!
//! A native function fails with [`fail`]: the [`Error`] travels inside a [`Fault`], which scripts can catch and read. At
//! the top [`from_run`] takes it out again, finds the place of the very argument and adds the calls that led there. Texts
//! of the engine's never reach a user.

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Dynamic, EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::locate;
use super::session::Session;
use super::value::kind_of;
use crate::diag::codes::language::{
    IMPORT, LIMIT, READ_ONLY, SCRIPT_FAILED, SYNTAX, UNKNOWN_FUNCTION, UNKNOWN_PROPERTY,
    UNKNOWN_VARIABLE, WRONG_ARGUMENTS,
};
use crate::diag::codes::model::UNKNOWN_KEY;
use crate::diag::codes::run::CANCELLED;
use crate::diag::{Frame, Label, Source, suggest};
use crate::error::Error;
use crate::natives;

/// The result of a native function.
pub type RhaiResult<T> = Result<T, Box<EvalAltResult>>;

/// An error on its way through the engine.
#[derive(Clone, Debug)]
pub struct Fault(Arc<Mutex<Option<Error>>>);

impl Fault {
    fn new(error: Error) -> Self {
        Self(Arc::new(Mutex::new(Some(error))))
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reads the error without taking it.
    pub fn read<T>(&self, read: impl FnOnce(&Error) -> T) -> Option<T> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(read)
    }
}

/// Sends an error through the engine; the engine adds the position of the call.
pub fn fail(error: Error) -> Box<EvalAltResult> {
    fail_at(error, Position::NONE)
}

pub(crate) fn fail_at(error: Error, at: Position) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(
        Dynamic::from(Fault::new(error)),
        at,
    ))
}

/// An error of reading a script.
pub(super) fn from_parse(error: &ParseError, session: &Session, source: &Source) -> Error {
    let at = error.1;
    let problem = parse_problem(&error.0);
    match locate::token(source, at) {
        Some(label) => problem.label(label),
        None => {
            // Reading ended at the end of the text.
            let _ = session;
            let end = source.text().len();
            problem.label(Label::new(source, end..end, "the text ends here"))
        }
    }
}

/// An error of running a script.
pub(crate) fn from_run(error: EvalAltResult, session: &Session) -> Error {
    let mut frames = Vec::new();
    let (inner, source_name) = unwrap(error, session, None, &mut frames);
    let at = inner.position();
    let source = session.source(source_name.as_deref());
    let mut problem = match inner {
        EvalAltResult::ErrorRuntime(value, _) => {
            match value.read_lock::<Fault>().and_then(|fault| fault.take()) {
                Some(problem) => problem,
                None => Error::new(
                    &SCRIPT_FAILED,
                    format!("the script threw {}", thrown(&value)),
                ),
            }
        }
        other => engine_problem(other, session),
    };
    if problem.labels().is_empty() {
        let tree = session.tree(&source);
        let label = locate::field(
            &source,
            tree.as_ref(),
            at,
            problem.at_field().unwrap_or_default(),
            spot(&problem),
        );
        if let Some(label) = label {
            problem = problem.label(label);
        }
    }
    // A problem inside a file that the script read: the call that read it belongs to the story.
    let is_elsewhere = problem.labels().first().is_some_and(|label| {
        session.tree(&label.source).is_none() && label.source.name() != source.name()
    });
    if is_elsewhere && let Some(label) = locate::token(&source, at) {
        let word = source.text().get(label.span.clone()).unwrap_or_default();
        let function = format!("`{word}`");
        problem = problem.frame(Frame {
            function,
            at: Some(label),
        });
    }
    // Problems found in the same go point into the same call.
    problem = place_others(problem, session, &source, at);
    for frame in frames {
        problem = problem.frame(frame);
    }
    problem
}

fn place_others(problem: Error, session: &Session, source: &Source, at: Position) -> Error {
    if problem.others().is_empty() {
        return problem;
    }
    let tree = session.tree(source);
    let placed = problem.split().into_iter().map(|each| {
        if each.labels().is_empty() {
            match locate::field(
                source,
                tree.as_ref(),
                at,
                each.at_field().unwrap_or_default(),
                spot(&each),
            ) {
                Some(label) => each.label(label),
                None => each,
            }
        } else {
            each
        }
    });
    // `split` of a problem that has others yields at least that problem.
    Error::gather(placed).unwrap_or_else(|| Error::new(&SCRIPT_FAILED, "the script failed"))
}

/// An unknown key is wrong in its name, everything else in its value.
fn spot(problem: &Error) -> locate::Spot {
    if problem.code().id == UNKNOWN_KEY.id {
        locate::Spot::Key
    } else {
        locate::Spot::Value
    }
}

/// Takes the wrappers off: each is a call on the way.
fn unwrap(
    error: EvalAltResult,
    session: &Session,
    source: Option<String>,
    frames: &mut Vec<Frame>,
) -> (EvalAltResult, Option<String>) {
    match error {
        EvalAltResult::ErrorInFunctionCall(function, inner_source, inner, at) => {
            let caller = session.source(source.as_deref());
            let inner_source = session
                .house_of(&function)
                .or(Some(inner_source).filter(|name| !name.is_empty()))
                .or(source);
            let found = unwrap(*inner, session, inner_source, frames);
            let name = if function.starts_with("anon$") {
                "a closure".to_string()
            } else {
                format!("`{function}`")
            };
            frames.push(Frame {
                function: name,
                at: locate::token(&caller, at),
            });
            found
        }
        EvalAltResult::ErrorInModule(module, inner, at) => {
            let caller = session.source(source.as_deref());
            let inner_source = Some(module.clone())
                .filter(|name| !name.is_empty())
                .or(source);
            let found = unwrap(*inner, session, inner_source, frames);
            frames.push(Frame {
                function: format!("module `{module}`"),
                at: locate::token(&caller, at),
            });
            found
        }
        other => (other, source),
    }
}

fn thrown(value: &Dynamic) -> String {
    match value.as_immutable_string_ref() {
        Ok(text) => format!("{:?}", text.as_str()),
        Err(_) if value.is_unit() => "an error".to_string(),
        Err(_) => super::value::kind(value),
    }
}

/// An error of the engine's in our words.
fn engine_problem(error: EvalAltResult, session: &Session) -> Error {
    use EvalAltResult as E;
    let failed = |text: String| Error::new(&SCRIPT_FAILED, text);
    let limit = |text: String| {
        Error::new(&LIMIT, text).help("look for a loop or a recursion that never ends")
    };
    match error {
        E::ErrorParsing(kind, _) => parse_problem(&kind),
        E::ErrorVariableNotFound(name, _) => unknown_variable(&name),
        E::ErrorVariableExists(name, _) => {
            failed(format!("the variable `{name}` is declared already"))
        }
        E::ErrorForbiddenVariable(name, _) => {
            failed(format!("`{name}` cannot be the name of a variable"))
        }
        E::ErrorPropertyNotFound(name, _) => {
            Error::new(&UNKNOWN_PROPERTY, format!("there is no property `{name}`"))
        }
        E::ErrorDotExpr(text, _) => dot_problem(&text),
        E::ErrorFunctionNotFound(signature, _) => function_problem(&signature),
        E::ErrorModuleNotFound(name, _) => {
            Error::new(&IMPORT, format!("there is no module `{name}`"))
                .help("import it first: import \"std/policy\" as policy;")
        }
        E::ErrorMismatchDataType(wanted, given, _)
        | E::ErrorMismatchOutputType(wanted, given, _) => {
            let (wanted, given) = (kind_of(&wanted), kind_of(&given));
            Error::new(
                &WRONG_ARGUMENTS,
                format!("this is {given}, and {wanted} is wanted"),
            )
        }
        E::ErrorIndexingType(text, _) => {
            let of = text.split([' ', '[']).next().unwrap_or_default();
            Error::new(
                &UNKNOWN_PROPERTY,
                format!("{} cannot be indexed this way", kind_of(of)),
            )
        }
        E::ErrorIndexNotFound(index, _) => failed(format!("there is no entry {index}")),
        E::ErrorArrayBounds(size, index, _) => {
            failed(format!("the index {index} is outside a list of {size}"))
        }
        E::ErrorStringBounds(size, index, _) => failed(format!(
            "the index {index} is outside a text of {size} characters"
        )),
        E::ErrorBitFieldBounds(size, index, _) => failed(format!(
            "the bit {index} is outside a number of {size} bits"
        )),
        E::ErrorFor(_) => failed("this cannot be iterated over".into())
            .help("use a list, a map's keys() or values(), or a range such as 0..3"),
        E::ErrorUnboundThis(_) => failed("`this` means nothing here".into()),
        E::ErrorDataRace(name, _) => failed(format!("`{name}` is changed while it is being read")),
        E::ErrorNonPureMethodCallOnConstant(..) | E::ErrorAssignmentToConstant(..) => {
            Error::new(&READ_ONLY, "a constant cannot be changed")
                .help("declare it with `let`, or make a new value")
        }
        E::ErrorArithmetic(..) => failed(
            "the calculation has no result: a division by zero, or a number too large".into(),
        ),
        E::ErrorTooManyOperations(_) => limit(format!(
            "the script does more than {} steps",
            session.options().limits.operations
        )),
        E::ErrorTooManyVariables(_) => limit("the script has too many variables".into()),
        E::ErrorTooManyModules(_) => limit("the script imports too many modules".into()),
        E::ErrorStackOverflow(_) => limit(format!(
            "calls go deeper than {}",
            session.options().limits.calls
        )),
        E::ErrorDataTooLarge(..) => limit("a text, list or map becomes too large".into()),
        E::ErrorTerminated(..) if session.options().cancel.is_cancelled() => {
            Error::new(&CANCELLED, "the script was cancelled")
        }
        E::ErrorTerminated(..) => limit(format!(
            "the script takes longer than {} s",
            session.options().limits.time.as_secs()
        )),
        E::ErrorRuntime(value, _) => failed(format!("the script threw {}", thrown(&value))),
        _ => failed("the script did something that cannot be done here".into()),
    }
}

/// The engine says of properties: `Unknown property 'x' - a getter is not registered for type 'Y'`, or setter.
fn dot_problem(text: &str) -> Error {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (name, type_name) = (
        quoted.next().unwrap_or_default(),
        quoted.next().unwrap_or_default(),
    );
    let of = kind_of(type_name);
    if text.contains("setter") {
        return read_only(&of, name);
    }
    let known = natives::properties(type_name);
    let help = match suggest::nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None => Some(format!("it has {}", suggest::one_of(known.iter().copied()))),
    };
    Error::new(&UNKNOWN_PROPERTY, format!("{of} has no property `{name}`")).maybe_help(help)
}

fn read_only(of: &str, name: &str) -> Error {
    Error::new(&READ_ONLY, format!("`{name}` of {of} cannot be changed"))
        .help("make a new value instead, such as c.with(#{ workers: 3 })")
}

/// The engine says of functions: `name (type, type)`.
fn function_problem(signature: &str) -> Error {
    let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ""));
    let arguments: Vec<&str> = arguments
        .trim_end_matches(')')
        .split(", ")
        .filter(|argument| !argument.is_empty())
        .collect();
    // Native functions of a module go by their whole name.
    let name = if natives::signatures(name).is_empty() {
        name.rsplit("::").next().unwrap_or(name)
    } else {
        name
    };
    if let Some(property) = name.strip_prefix("set$") {
        return read_only(
            &kind_of(arguments.first().copied().unwrap_or_default()),
            property,
        );
    }
    if let Some(property) = name.strip_prefix("get$") {
        return dot_problem(&format!(
            "'{property}' getter '{}'",
            arguments.first().copied().unwrap_or_default()
        ));
    }
    let given: Vec<String> = arguments.iter().map(|argument| kind_of(argument)).collect();
    let is_operator = name.starts_with(|c: char| !c.is_alphabetic() && c != '_');
    if is_operator {
        let message = format!("`{name}` is not defined for {}", given.join(" and "));
        return Error::new(&WRONG_ARGUMENTS, message);
    }
    let signatures = natives::signatures(name);
    if signatures.is_empty() {
        return unknown_function(name);
    }
    let given = if given.is_empty() {
        "nothing".to_string()
    } else {
        given.join(", ")
    };
    let calls: Vec<String> = signatures
        .iter()
        .map(|signature| format!("`{signature}`"))
        .collect();
    Error::new(&WRONG_ARGUMENTS, format!("`{name}` does not take {given}"))
        .help(format!("it is called as {}", calls.join(" or ")))
}

/// The problem of a function that nobody has.
pub(super) fn unknown_function(name: &str) -> Error {
    if natives::is_effect(name) {
        return natives::too_early(name);
    }
    let near = suggest::nearest(name, natives::names());
    Error::new(&UNKNOWN_FUNCTION, format!("there is no function `{name}`"))
        .maybe_help(near.map(|near| format!("did you mean `{near}`?")))
}

fn unknown_variable(name: &str) -> Error {
    let help = if natives::signatures(name).is_empty() {
        "declare it with `let` before it is used".to_string()
    } else {
        format!("`{name}` is a function: call it as `{name}()`")
    };
    Error::new(&UNKNOWN_VARIABLE, format!("there is no variable `{name}`")).help(help)
}

fn parse_problem(kind: &ParseErrorType) -> Error {
    use ParseErrorType as P;
    let syntax = |text: String| Error::new(&SYNTAX, text);
    match kind {
        P::UnexpectedEOF => {
            syntax("the script ends too early".into()).help("close every bracket and quote")
        }
        P::BadInput(lex) => lex_problem(lex),
        P::UnknownOperator(operator) => syntax(format!("`{operator}` is no operator")),
        P::MissingToken(token, _) => syntax(format!("`{token}` is missing here")),
        P::MissingSymbol(_) => syntax("a word is missing here".into()),
        P::MalformedIndexExpr(_) => syntax("this cannot be indexed".into()),
        P::MalformedCapture(_) => syntax("this cannot be captured".into()),
        P::DuplicatedProperty(name) => {
            syntax(format!("the key `{name}` is given twice")).help("remove one of them")
        }
        P::DuplicatedVariable(name) => syntax(format!("the variable `{name}` is named twice")),
        P::WrongSwitchIntegerCase | P::WrongSwitchDefaultCase | P::WrongSwitchCaseCondition => {
            syntax("this case of the `switch` cannot stand here".into())
        }
        P::PropertyExpected => syntax("the name of a key or property is missing here".into())
            .help("write maps as #{ key: value }"),
        P::VariableExpected => syntax("the name of a variable is missing here".into()),
        P::ForbiddenVariable(name) => syntax(format!("`{name}` cannot be the name of a variable")),
        P::Reserved(word) => {
            syntax(format!("`{word}` cannot be used here")).help("choose another name")
        }
        P::MismatchedType(wanted, given) => syntax(format!(
            "this is {}, and {} is wanted",
            kind_of(given),
            kind_of(wanted)
        )),
        P::ExprExpected(_) => syntax("a value is missing here".into()),
        P::WrongDocComment => {
            syntax("a comment for documentation belongs before a function".into())
        }
        P::WrongFnDefinition => {
            syntax("functions are defined at the top of a script, not inside others".into())
        }
        P::FnDuplicatedDefinition(name, _) => {
            syntax(format!("the function `{name}` is defined twice"))
        }
        P::FnMissingName => syntax("the function has no name".into()),
        P::FnMissingParams(name) => {
            syntax(format!("the function `{name}` has no list of parameters"))
        }
        P::FnDuplicatedParam(function, param) => syntax(format!(
            "the parameter `{param}` of `{function}` is named twice"
        )),
        P::FnMissingBody(name) => syntax(format!("the function `{name}` has no body")),
        P::WrongExport => syntax("`export` belongs at the top of a script".into()),
        P::AssignmentToConstant(name) => Error::new(
            &READ_ONLY,
            format!("the constant `{name}` cannot be changed"),
        )
        .help("declare it with `let`"),
        P::AssignmentToInvalidLHS(_) => syntax("nothing can be assigned to this".into()),
        P::VariableExists(name) => syntax(format!("the variable `{name}` is declared already")),
        P::VariableUndefined(name) => unknown_variable(name),
        P::ModuleUndefined(name) => Error::new(&IMPORT, format!("there is no module `{name}`"))
            .help("import it first: import \"std/policy\" as policy;"),
        P::ExprTooDeep => Error::new(&LIMIT, "the expression is nested too deeply")
            .help("take it apart with `let`"),
        P::TooManyFunctions => Error::new(&LIMIT, "the script has too many functions"),
        P::LiteralTooLarge(..) => {
            Error::new(&LIMIT, "a text, list or map is too large").help("read it from a file")
        }
        P::LoopBreak => syntax("`break` and `continue` belong inside loops".into()),
        _ => syntax("this cannot be read".into()),
    }
}

fn lex_problem(lex: &LexError) -> Error {
    let syntax = |text: String| Error::new(&SYNTAX, text);
    match lex {
        LexError::UnexpectedInput(text) => syntax(format!("`{text}` cannot stand here")),
        LexError::UnterminatedString => {
            syntax("the text is not closed".into()).help("close it with the quote it began with")
        }
        LexError::StringTooLong(_) => {
            Error::new(&LIMIT, "a text is too long").help("read it from a file")
        }
        LexError::MalformedEscapeSequence(text) => {
            syntax(format!("`{text}` is no escape sequence"))
                .help("use \\n, \\t, \\\\, \\\", \\x41 or \\u1F600, or a raw text in backticks")
        }
        LexError::MalformedNumber(text) => syntax(format!("`{text}` is no number")),
        LexError::MalformedChar(text) => syntax(format!("'{text}' is no character"))
            .help("write texts in double quotes or backticks"),
        LexError::MalformedIdentifier(text) => syntax(format!("`{text}` is no name")),
        LexError::ImproperSymbol(text, _) => syntax(format!("`{text}` cannot stand here")),
        _ => syntax("this cannot be read".into()),
    }
}
