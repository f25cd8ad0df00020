//! Whether an expression makes sense: names are declared, fields are there, functions take what they are given.

use std::sync::Arc;

use super::ast::{Expr, Fold, Folding, Node, Select};
use super::functions;
use super::problem::Problem;
use super::signatures::{self, Signature};
use super::types::Type;
use super::value::Val;

/// Finds the type of an expression and everything that is wrong with it.
pub(super) fn check(expr: &Expr, variables: &[(Arc<str>, Type)]) -> (Type, Vec<Problem>) {
    let mut checker = Checker {
        scope: variables.to_vec(),
        problems: Vec::new(),
    };
    let found = checker.look(expr);
    checker.problems.sort_by_key(|problem| problem.at);
    (found, checker.problems)
}

struct Checker {
    scope: Vec<(Arc<str>, Type)>,
    problems: Vec<Problem>,
}

impl Checker {
    fn complain(&mut self, at: usize, message: String) -> Type {
        self.problems.push(Problem::new(at, message));
        Type::Error
    }

    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        let message = format!("undeclared reference to '{name}' (in container '')");
        self.complain(at, message)
    }

    fn variable(&self, name: &str) -> Option<Type> {
        let found = self.scope.iter().rev().find(|(own, _)| &**own == name);
        found.map(|(_, of)| of.clone())
    }

    fn within(&mut self, names: Vec<(Arc<str>, Type)>, body: &Expr) -> Type {
        let length = self.scope.len();
        self.scope.extend(names);
        let found = self.look(body);
        self.scope.truncate(length);
        found
    }

    fn look(&mut self, expr: &Expr) -> Type {
        match &expr.node {
            Node::Const(value) => constant(value),
            Node::Ident(name) => match self.variable(name) {
                Some(found) => found,
                None if Type::named(name).is_some() => Type::Meta,
                None => self.undeclared(expr.at, name),
            },
            Node::Select { of, field, how } => self.select(expr, of, field, *how),
            Node::Call { target, name, args } => self.call(expr.at, target.as_deref(), name, args),
            Node::List(items) => self.list(items),
            Node::Map(items) => self.map(items),
            Node::Message(name) => self.undeclared(expr.at, name),
            Node::Fold(folding) => self.fold(expr.at, folding),
            Node::SortBy { of, name, body } => {
                let list = self.look(of);
                let item = match &list {
                    Type::List(item) => (**item).clone(),
                    _ => Type::Dyn,
                };
                self.within(vec![(Arc::clone(name), item)], body);
                list
            }
            Node::OptMap {
                of,
                name,
                body,
                flat,
            } => {
                let inner = match self.look(of) {
                    Type::Optional(inner) => (*inner).clone(),
                    _ => Type::Dyn,
                };
                let found = self.within(vec![(Arc::clone(name), inner)], body);
                if *flat { found } else { Type::optional(found) }
            }
        }
    }

    fn select(&mut self, expr: &Expr, of: &Expr, field: &str, how: Select) -> Type {
        if how == Select::Value
            && let Some(dotted) = expr.dotted()
            && Type::named(&dotted).is_some()
        {
            return Type::Meta;
        }
        if how == Select::Value
            && matches!(of.node, Node::Ident(_))
            && let Some(found) = expr.dotted().and_then(|dotted| self.variable(&dotted))
        {
            return found;
        }
        let outer = self.look(of);
        let (inner, optional) = match &outer {
            Type::Optional(inner) => ((**inner).clone(), true),
            other => (other.clone(), how == Select::Optional),
        };
        let found = match &inner {
            Type::Dyn => Type::Dyn,
            Type::Error => Type::Error,
            Type::Map(_, value) => (**value).clone(),
            Type::Object(shape) => match shape.field(field) {
                Some(found) => found,
                None => self.complain(expr.at, format!("undefined field '{field}'")),
            },
            Type::Fields(fields) => match fields.iter().find(|(name, _)| &**name == field) {
                Some((_, found)) => found.clone(),
                None => self.complain(expr.at, format!("undefined field '{field}'")),
            },
            other => {
                let message = format!("type '{other}' does not support field selection");
                self.complain(expr.at, message)
            }
        };
        match how {
            Select::Test => Type::Bool,
            _ if optional && found != Type::Error => Type::optional(found),
            _ => found,
        }
    }

    fn list(&mut self, items: &[(Expr, bool)]) -> Type {
        let mut all: Option<Type> = None;
        for (item, optional) in items {
            let found = self.item(item, *optional);
            all = Some(self.together(item.at, all, found));
        }
        Type::list(all.unwrap_or(Type::Dyn))
    }

    fn item(&mut self, item: &Expr, optional: bool) -> Type {
        match (self.look(item), optional) {
            (Type::Optional(inner), true) => (*inner).clone(),
            (found, _) => found,
        }
    }

    /// What is in one literal is of one type.
    fn together(&mut self, at: usize, all: Option<Type>, found: Type) -> Type {
        let Some(all) = all else { return found };
        if all.takes(&found) {
            return if all == Type::Dyn {
                all
            } else {
                all.joined(&found)
            };
        }
        let message = format!("expected type '{all}' but found '{found}'");
        self.complain(at, message);
        all
    }

    fn map(&mut self, items: &[(Expr, Expr, bool)]) -> Type {
        let (mut keys, mut values) = (None, None);
        for (key, value, optional) in items {
            let found = self.look(key);
            keys = Some(self.together(key.at, keys, found));
            let found = self.item(value, *optional);
            values = Some(self.together(value.at, values, found));
        }
        Type::map(keys.unwrap_or(Type::Dyn), values.unwrap_or(Type::Dyn))
    }

    fn fold(&mut self, at: usize, folding: &Folding) -> Type {
        let range = self.look(&folding.over);
        let two = folding.second.is_some();
        let (first, second) = match &range {
            Type::List(item) if two => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Dyn),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            Type::Dyn | Type::Error => (Type::Dyn, Type::Dyn),
            other => {
                let message = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.complain(folding.over.at, message);
                (Type::Error, Type::Error)
            }
        };
        let mut names = vec![(Arc::clone(&folding.first), first.clone())];
        names.extend(folding.second.clone().map(|name| (name, second)));
        if let Some(filter) = &folding.filter {
            let found = self.within(names.clone(), filter);
            self.need_bool(filter.at, &found);
        }
        let body = self.within(names, &folding.body);
        match folding.kind {
            Fold::All | Fold::Exists | Fold::ExistsOne => {
                self.need_bool(folding.body.at, &body);
                Type::Bool
            }
            Fold::Filter => {
                let result = Type::list(first);
                if !Type::Bool.takes(&body) {
                    let message = format!(
                        "found no matching overload for '_?_:_' applied to '({body}, {result}, {result})'"
                    );
                    self.complain(at, message);
                }
                result
            }
            Fold::Map | Fold::TransformList => Type::list(body),
            Fold::TransformMap => match &range {
                Type::List(_) => Type::map(Type::Int, body),
                Type::Map(key, _) => Type::map((**key).clone(), body),
                _ => Type::map(Type::Dyn, body),
            },
            Fold::TransformMapEntry => match body {
                Type::Map(..) => body,
                _ => Type::map(Type::Dyn, Type::Dyn),
            },
        }
    }

    fn need_bool(&mut self, at: usize, found: &Type) {
        if !Type::Bool.takes(found) {
            self.complain(at, format!("expected type 'bool' but found '{found}'"));
        }
    }

    fn call(&mut self, at: usize, target: Option<&Expr>, name: &str, args: &[Expr]) -> Type {
        // `sets.contains(…)` is a name with a dot, unless there is a variable of that name.
        let qualified = target
            .and_then(Expr::dotted)
            .filter(|dotted| {
                self.variable(dotted.split('.').next().unwrap_or_default())
                    .is_none()
            })
            .map(|dotted| format!("{dotted}.{name}"));
        if let Some(ways) = qualified.as_deref().and_then(signatures::of) {
            let found = args.iter().map(|arg| self.look(arg)).collect();
            return self.resolve(at, &qualified.unwrap_or_default(), ways, found, false);
        }
        let mut found: Vec<Type> = target.map(|target| self.look(target)).into_iter().collect();
        for arg in args {
            found.push(match &arg.node {
                // What is formatted may be anything, side by side.
                Node::List(items) if name == "format" => {
                    for (item, _) in items {
                        self.look(item);
                    }
                    Type::list(Type::Dyn)
                }
                _ => self.look(arg),
            });
        }
        let Some(ways) = signatures::of(name).filter(|_| !name.contains('.')) else {
            return self.undeclared(at, name);
        };
        for (position, message) in functions::check_literals(name, target, args) {
            self.complain(position, message);
        }
        self.resolve(at, name, ways, found, target.is_some())
    }

    fn resolve(
        &mut self,
        at: usize,
        name: &str,
        ways: &[Signature],
        found: Vec<Type>,
        receiver: bool,
    ) -> Type {
        let mut result: Option<Type> = None;
        for way in ways {
            if way.receiver != receiver || way.args.len() != found.len() {
                continue;
            }
            let mut bound = Vec::new();
            let mut pairs = way.args.iter().zip(&found);
            if pairs.all(|(wanted, found)| wanted.fits(found, &mut bound)) {
                let next = way.result.filled(&bound);
                result = Some(result.map_or(next.clone(), |known| known.joined(&next)));
            }
        }
        if let Some(result) = result {
            return result;
        }
        let shown: Vec<String> = found.iter().map(Type::to_string).collect();
        let shown = match (receiver, shown.split_first()) {
            (true, Some((first, rest))) => format!("{first}.({})", rest.join(", ")),
            _ => format!("({})", shown.join(", ")),
        };
        self.complain(
            at,
            format!("found no matching overload for '{name}' applied to '{shown}'"),
        )
    }
}

fn constant(value: &Val) -> Type {
    match value {
        Val::Null => Type::Null,
        Val::Bool(_) => Type::Bool,
        Val::Int(_) => Type::Int,
        Val::Uint(_) => Type::Uint,
        Val::Double(_) => Type::Double,
        Val::Str(_) => Type::Str,
        Val::Bytes(_) => Type::Bytes,
        _ => Type::Dyn,
    }
}
