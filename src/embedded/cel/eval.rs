//! Working out what an expression comes to. Every step costs, and nothing goes on when the budget is spent.

use std::sync::Arc;

use super::ast::{Expr, Fold, Folding, Node, Select};
use super::functions;
use super::value::{Key, Map, Val};

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::embedded) enum Stop {
    /// The expression failed.
    Failed(String),
    /// It took too long.
    Spent,
}

impl Stop {
    pub(super) fn failed<T>(message: impl Into<String>) -> Result<T, Self> {
        Err(Self::Failed(message.into()))
    }
}

/// What is known while an expression is evaluated.
pub(super) struct Machine {
    scope: Vec<(Arc<str>, Val)>,
    budget: u64,
}

impl Machine {
    pub(super) fn new(scope: Vec<(Arc<str>, Val)>, budget: u64) -> Self {
        Self { scope, budget }
    }

    /// How much is left.
    pub(super) fn left(&self) -> u64 {
        self.budget
    }

    /// Pays for something.
    pub(super) fn spend(&mut self, cost: u64) -> Result<(), Stop> {
        match self.budget.checked_sub(cost) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => {
                self.budget = 0;
                Err(Stop::Spent)
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Val> {
        let found = self.scope.iter().rev().find(|(own, _)| &**own == name);
        found.map(|(_, value)| value.clone())
    }

    /// Evaluates an expression.
    pub(super) fn run(&mut self, expr: &Expr) -> Result<Val, Stop> {
        match &expr.node {
            Node::Const(value) => Ok(value.clone()),
            Node::Ident(name) => {
                self.spend(1)?;
                match self.variable(name) {
                    Some(Val::Failed(why)) => Stop::failed(&*why),
                    Some(value) => Ok(value),
                    None => match super::types::Type::named(name) {
                        Some(_) => Ok(Val::Type(Arc::clone(name))),
                        None => Stop::failed(format!("no such attribute(s): {name}")),
                    },
                }
            }
            Node::Select { of, field, how } => self.select(expr, of, field, *how),
            Node::Call { target, name, args } => self.call(target.as_deref(), name, args),
            Node::List(items) => {
                self.spend(10)?;
                let mut list = Vec::with_capacity(items.len());
                for (item, optional) in items {
                    list.extend(self.item(item, *optional)?);
                }
                Ok(list.into())
            }
            Node::Map(items) => {
                self.spend(30)?;
                let mut map = Map::new();
                for (key, value, optional) in items {
                    let key = self.run(key)?;
                    if let Some(value) = self.item(value, *optional)? {
                        insert(&mut map, &key, value)?;
                    }
                }
                Ok(map.into())
            }
            Node::Message(name) => Stop::failed(format!("unknown type: {name}")),
            Node::Fold(folding) => self.fold(folding),
            Node::SortBy { of, name, body } => {
                let Val::List(list) = self.run(of)? else {
                    return Stop::failed("no such overload");
                };
                let mut pairs = Vec::with_capacity(list.items.len());
                for item in &list.items {
                    self.spend(1)?;
                    let by = self.within(name, item.clone(), None, body)?;
                    pairs.push((by, item.clone()));
                }
                functions::lists::sort(&mut pairs)?;
                let sorted: Vec<Val> = pairs.into_iter().map(|(_, item)| item).collect();
                Ok(sorted.into())
            }
            Node::OptMap {
                of,
                name,
                body,
                flat,
            } => match self.run(of)? {
                Val::Optional(None) => Ok(Val::Optional(None)),
                Val::Optional(Some(inner)) => {
                    let value = self.within(name, (*inner).clone(), None, body)?;
                    Ok(if *flat {
                        value
                    } else {
                        Val::optional(Some(value))
                    })
                }
                _ => Stop::failed("no such overload"),
            },
        }
    }

    fn item(&mut self, item: &Expr, optional: bool) -> Result<Option<Val>, Stop> {
        let value = self.run(item)?;
        Ok(match (value, optional) {
            (Val::Optional(inner), true) => inner.map(|inner| (*inner).clone()),
            (value, _) => Some(value),
        })
    }

    fn within(
        &mut self,
        name: &Arc<str>,
        value: Val,
        second: Option<(&Arc<str>, Val)>,
        body: &Expr,
    ) -> Result<Val, Stop> {
        let length = self.scope.len();
        self.scope.push((Arc::clone(name), value));
        self.scope
            .extend(second.map(|(name, value)| (Arc::clone(name), value)));
        let result = self.run(body);
        self.scope.truncate(length);
        result
    }

    fn select(&mut self, expr: &Expr, of: &Expr, field: &str, how: Select) -> Result<Val, Stop> {
        self.spend(1)?;
        if how == Select::Value
            && let Some(dotted) = expr.dotted()
            && super::types::Type::named(&dotted).is_some()
        {
            return Ok(Val::Type(dotted.into()));
        }
        if how == Select::Value
            && matches!(of.node, Node::Ident(_))
            && let Some(found) = expr.dotted().and_then(|dotted| self.variable(&dotted))
        {
            return Ok(found);
        }
        let mut value = self.run(of)?;
        let mut optional = how == Select::Optional;
        if let Val::Optional(inner) = value {
            let Some(inner) = inner else {
                return Ok(match how {
                    Select::Test => Val::Bool(false),
                    _ => Val::Optional(None),
                });
            };
            value = (*inner).clone();
            optional = true;
        }
        let Val::Map(map) = &value else {
            return Stop::failed(match &value {
                Val::Null if how == Select::Test => "no such overload".to_owned(),
                _ => "no such key: ".to_owned() + field,
            });
        };
        let found = map.get(&Key::Str(field.into()));
        match (how, found) {
            (Select::Test, found) => Ok(Val::Bool(found.is_some())),
            (_, Some(Val::Failed(why))) => Stop::failed(&**why),
            (_, Some(found)) if optional => Ok(Val::optional(Some(found.clone()))),
            (_, Some(found)) => Ok(found.clone()),
            (_, None) if optional => Ok(Val::Optional(None)),
            (_, None) => Stop::failed(format!("no such key: {field}")),
        }
    }

    fn call(&mut self, target: Option<&Expr>, name: &str, args: &[Expr]) -> Result<Val, Stop> {
        match (name, args) {
            ("_&&_", [a, b]) => return self.logical(a, b, false),
            ("_||_", [a, b]) => return self.logical(a, b, true),
            ("_?_:_", [condition, yes, no]) => {
                return match self.run(condition)? {
                    Val::Bool(true) => self.run(yes),
                    Val::Bool(false) => self.run(no),
                    _ => Stop::failed("no such overload"),
                };
            }
            ("or" | "orValue", [other]) => {
                if let Some(target) = target {
                    return match self.run(target)? {
                        Val::Optional(None) => self.run(other),
                        Val::Optional(Some(inner)) if name == "orValue" => Ok((*inner).clone()),
                        some @ Val::Optional(_) => Ok(some),
                        _ => Stop::failed("no such overload"),
                    };
                }
            }
            _ => {}
        }
        self.spend(1)?;
        let mut values = Vec::with_capacity(args.len() + 1);
        let qualified = target
            .and_then(Expr::dotted)
            .filter(|dotted| {
                self.variable(dotted.split('.').next().unwrap_or_default())
                    .is_none()
            })
            .map(|dotted| format!("{dotted}.{name}"))
            .filter(|name| super::signatures::of(name).is_some());
        if let (Some(target), None) = (target, &qualified) {
            values.push(self.run(target)?);
        }
        for arg in args {
            values.push(self.run(arg)?);
        }
        functions::call(self, qualified.as_deref().unwrap_or(name), &values)
    }

    /// A failure on one side doesn't matter if the other decides.
    fn logical(&mut self, a: &Expr, b: &Expr, decides: bool) -> Result<Val, Stop> {
        let first = match self.run(a) {
            Err(Stop::Spent) => return Err(Stop::Spent),
            other => other,
        };
        if matches!(first, Ok(Val::Bool(value)) if value == decides) {
            return Ok(Val::Bool(decides));
        }
        let second = self.run(b)?;
        match (first, second) {
            (_, Val::Bool(value)) if value == decides => Ok(Val::Bool(decides)),
            (Ok(Val::Bool(_)), Val::Bool(value)) => Ok(Val::Bool(value)),
            (Err(stop), _) => Err(stop),
            _ => Stop::failed("no such overload"),
        }
    }

    fn fold(&mut self, folding: &Folding) -> Result<Val, Stop> {
        let over = self.run(&folding.over)?;
        let two = folding.second.is_some();
        let mut pairs: Vec<(Val, Val)> = Vec::new();
        match &over {
            Val::List(list) if two => {
                let indexed = list.items.iter().enumerate();
                pairs.extend(indexed.map(|(at, item)| (Val::Int(at as i64), item.clone())));
            }
            Val::List(list) => pairs.extend(list.items.iter().map(|i| (i.clone(), Val::Null))),
            Val::Map(map) => {
                pairs.extend(map.iter().map(|(key, value)| (key.value(), value.clone())));
            }
            _ => return Stop::failed("no such overload"),
        }
        let (mut list, mut map, mut count) = (Vec::new(), Map::new(), 0_usize);
        let mut failure = None;
        for (first, second) in pairs {
            self.spend(1)?;
            let pair = folding.second.as_ref().map(|name| (name, second));
            if let Some(filter) = &folding.filter {
                match self.within(&folding.first, first.clone(), pair.clone(), filter)? {
                    Val::Bool(true) => {}
                    Val::Bool(false) => continue,
                    _ => return Stop::failed("no such overload"),
                }
            }
            let value = self.within(&folding.first, first.clone(), pair, &folding.body);
            match (folding.kind, value) {
                (_, Err(Stop::Spent)) => return Err(Stop::Spent),
                (Fold::All | Fold::Exists, Err(stop)) => failure = failure.or(Some(stop)),
                (_, Err(stop)) => return Err(stop),
                (Fold::All, Ok(Val::Bool(false))) => return Ok(Val::Bool(false)),
                (Fold::Exists, Ok(Val::Bool(true))) => return Ok(Val::Bool(true)),
                (Fold::ExistsOne, Ok(Val::Bool(yes))) => count += usize::from(yes),
                (Fold::Filter, Ok(Val::Bool(yes))) => list.extend(yes.then_some(first)),
                (Fold::All | Fold::Exists, Ok(Val::Bool(_))) => {}
                (Fold::Map | Fold::TransformList, Ok(value)) => list.push(value),
                (Fold::TransformMap, Ok(value)) => insert(&mut map, &first, value)?,
                (Fold::TransformMapEntry, Ok(Val::Map(entries))) => {
                    for (key, value) in entries.iter() {
                        insert(&mut map, &key.value(), value.clone())?;
                    }
                }
                _ => return Stop::failed("no such overload"),
            }
        }
        match (folding.kind, failure) {
            (_, Some(stop)) => Err(stop),
            (Fold::All, None) => Ok(Val::Bool(true)),
            (Fold::Exists, None) => Ok(Val::Bool(false)),
            (Fold::ExistsOne, None) => Ok(Val::Bool(count == 1)),
            (Fold::TransformMap | Fold::TransformMapEntry, None) => Ok(map.into()),
            _ => Ok(list.into()),
        }
    }
}

fn insert(map: &mut Map, key: &Val, value: Val) -> Result<(), Stop> {
    let Some(key) = Key::of(key) else {
        return Stop::failed(format!("unsupported key type: {}", key.type_name()));
    };
    if map.contains_key(&key) {
        return Stop::failed(format!("insert failed: key {} already exists", key.shown()));
    }
    map.insert(key, value);
    Ok(())
}
