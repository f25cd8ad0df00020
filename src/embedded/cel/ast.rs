//! What a parsed expression is made of. Operators are calls with names such as `_+_`, as the language's own definition has them.

use std::sync::Arc;

use super::value::Val;

/// An expression and where it is in the source, in characters.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) depth: usize,
    pub(super) node: Node,
}

/// The kinds of expressions.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// A literal.
    Const(Val),
    /// A variable, a type, or the first word of a function's name.
    Ident(Arc<str>),
    /// `of.field`, `of.?field`, `has(of.field)`.
    Select {
        of: Box<Expr>,
        field: Arc<str>,
        how: Select,
    },
    /// `name(args)` or `target.name(args)`.
    Call {
        target: Option<Box<Expr>>,
        name: Arc<str>,
        args: Vec<Expr>,
    },
    /// `[a, ?b]`: each with whether it may be missing.
    List(Vec<(Expr, bool)>),
    /// `{a: b, ?c: d}`.
    Map(Vec<(Expr, Expr, bool)>),
    /// `Name{field: value}`; nothing here declares messages, so it is only ever refused.
    Message(Arc<str>),
    /// A macro that looks at every item.
    Fold(Box<Folding>),
    /// `of.sortBy(name, body)`.
    SortBy {
        of: Box<Expr>,
        name: Arc<str>,
        body: Box<Expr>,
    },
    /// `of.optMap(name, body)` and `of.optFlatMap(name, body)`.
    OptMap {
        of: Box<Expr>,
        name: Arc<str>,
        body: Box<Expr>,
        flat: bool,
    },
}

/// How a field is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Select {
    /// Its value; it must be there.
    Value,
    /// Whether it is there.
    Test,
    /// Its value, if it is there.
    Optional,
}

/// What a macro over items does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    TransformList,
    TransformMap,
    TransformMapEntry,
}

/// A macro over items with all its parts.
#[derive(Debug, Clone)]
pub(super) struct Folding {
    pub(super) kind: Fold,
    pub(super) over: Expr,
    /// The item; or index or key, if there are two.
    pub(super) first: Arc<str>,
    pub(super) second: Option<Arc<str>>,
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

impl Expr {
    /// Makes an expression that is deeper than any of its parts.
    pub(super) fn new(at: usize, below: usize, node: Node) -> Self {
        Self {
            at,
            depth: below + 1,
            node,
        }
    }

    /// The dotted name that an expression spells, if it spells one.
    pub(super) fn dotted(&self) -> Option<String> {
        match &self.node {
            Node::Ident(name) => Some(name.to_string()),
            Node::Select {
                of,
                field,
                how: Select::Value,
            } => Some(format!("{}.{field}", of.dotted()?)),
            _ => None,
        }
    }
}
