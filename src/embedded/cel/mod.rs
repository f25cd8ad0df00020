//! The Common Expression Language, with the types and functions that Kubernetes gives it.
//!
//! [`compile`] parses an expression and checks it against what is declared; [`Program::run`] evaluates it within a budget,
//! so that no expression on no input takes for ever. Texts of problems are those that Kubernetes users know.
//!
//! | part | what it does |
//! |---|---|
//! | `lex`, `parse`, `macros` | from text to an expression |
//! | `types`, `schema` | what is known of values, from structural schemas or one by one |
//! | `signatures`, `check` | whether an expression makes sense |
//! | `value`, `eval`, `functions` | what it comes to |
//!
//! Who evaluates what is not here: rules of custom resources are in `write::validations`, policies in `admission`.

mod ast;
mod check;
mod eval;
mod functions;
mod lex;
mod macros;
mod parse;
mod problem;
pub(super) mod schema;
mod signatures;
mod types;
mod value;

pub(super) use eval::Stop;
pub(super) use functions::authorize::Authorize;
pub(super) use types::Type;
pub(super) use value::{Key, Map, Val};

use std::sync::Arc;

/// What one evaluation may cost.
pub(super) const CALL_BUDGET: u64 = 1_000_000;

/// An expression that makes sense.
#[derive(Debug)]
pub(super) struct Program {
    expr: ast::Expr,
    result: Type,
}

/// Parses and checks an expression; the failure is drawn as Kubernetes draws it.
pub(super) fn compile(source: &str, variables: &[(Arc<str>, Type)]) -> Result<Program, String> {
    let expr = parse::parse(source).map_err(|found| problem::draw(source, &[found]))?;
    let (result, problems) = check::check(&expr, variables);
    if problems.is_empty() {
        return Ok(Program { expr, result });
    }
    Err(problem::draw(source, &problems))
}

impl Program {
    /// The type of what it comes to.
    pub(super) fn result(&self) -> &Type {
        &self.result
    }

    /// Whether it mentions a variable.
    pub(super) fn mentions(&self, name: &str) -> bool {
        mentions(&self.expr, name)
    }

    /// Evaluates it; what it costs is taken from the budget.
    pub(super) fn run(&self, scope: Vec<(Arc<str>, Val)>, budget: &mut u64) -> Result<Val, Stop> {
        let limit = (*budget).min(CALL_BUDGET);
        let mut machine = eval::Machine::new(scope, limit);
        let result = machine.run(&self.expr);
        *budget -= limit - machine.left();
        result
    }
}

fn mentions(expr: &ast::Expr, name: &str) -> bool {
    use ast::Node;
    let any = |all: &[ast::Expr]| all.iter().any(|each| mentions(each, name));
    match &expr.node {
        Node::Const(_) | Node::Message(_) => false,
        Node::Ident(own) => &**own == name,
        Node::Select { of, .. } => mentions(of, name),
        Node::Call { target, args, .. } => {
            target.as_ref().is_some_and(|target| mentions(target, name)) || any(args)
        }
        Node::List(items) => items.iter().any(|(item, _)| mentions(item, name)),
        Node::Map(items) => items
            .iter()
            .any(|(key, value, _)| mentions(key, name) || mentions(value, name)),
        Node::Fold(folding) => {
            mentions(&folding.over, name)
                || folding.filter.as_ref().is_some_and(|f| mentions(f, name))
                || mentions(&folding.body, name)
        }
        Node::SortBy { of, body, .. } | Node::OptMap { of, body, .. } => {
            mentions(of, name) || mentions(body, name)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::{CALL_BUDGET, Stop, Type, Val, compile, schema};

    fn run(source: &str) -> Result<Val, String> {
        let own = json!({
            "type": "object",
            "properties": {
                "n": {"type": "integer"}, "s": {"type": "string"}, "x": {"type": "number"},
                "l": {"type": "array", "items": {"type": "string"}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "m": {"type": "object", "additionalProperties": {"type": "string"}},
                "namespace": {"type": "string"},
                "t": {"type": "string", "format": "date-time"},
                "d": {"type": "string", "format": "duration"},
                "ios": {"x-kubernetes-int-or-string": true},
            },
        });
        let value = json!({
            "n": 3, "s": "text", "x": 2, "l": ["b", "a"], "set": ["x", "y"], "m": {"k": "v"},
            "namespace": "home", "t": "2024-02-29T12:30:00Z", "d": "1h30m", "ios": "80%",
        });
        let scope = vec![(Arc::from("self"), schema::value_of(&value, &own, false))];
        let own = Arc::new(own);
        let declared = vec![(Arc::from("self"), schema::type_at(&own, "", false).unwrap())];
        let program = compile(source, &declared)?;
        let mut budget = CALL_BUDGET;
        program.run(scope, &mut budget).map_err(|stop| match stop {
            Stop::Failed(why) => why,
            Stop::Spent => "spent".to_owned(),
        })
    }

    #[test]
    fn these_are_true() {
        for source in [
            "self.n == 3 && self.s == 'text' && self.x == 2.0",
            "self.__namespace__ == 'home'",
            "self.l.all(i, i in ['a', 'b']) && !self.l.exists(i, i == 'c')",
            "self.l.map(i, i + '!') == ['b!', 'a!']",
            "self.l.filter(i, i != 'a').size() == 1 && self.l.exists_one(i, i == 'a')",
            "self.set == ['y', 'x'] && (self.set + ['x', 'z']).size() == 3",
            "self.m.all(k, self.m[k] == 'v') && 'k' in self.m && self.m.k == 'v'",
            "self.m.exists(k, v, k + v == 'kv')",
            "self.l.transformList(i, v, v + string(i)) == ['b0', 'a1']",
            "self.m.transformMap(k, v, v + v) == {'k': 'vv'}",
            "has(self.s) && !has(self.m.other)",
            "self.?s.orValue('') == 'text' && self.m[?'no'].orValue('none') == 'none'",
            "self.?s.optMap(v, v.size()).value() == 4",
            "self.t.getFullYear() == 2024 && self.t.getMonth() == 1 && self.t.getDate() == 29",
            "self.t.getHours('+02:00') == 14 && self.t < timestamp('2025-01-01T00:00:00Z')",
            "self.d == duration('5400s') && self.d.getMinutes() == 90",
            "self.t + self.d == timestamp('2024-02-29T14:00:00Z')",
            "type(self.ios) == string && self.ios == '80%'",
            "1 < 2.5 && 3u > 2 && -7 % 3 == -1 && 7 / 2 == 3",
            "(true || 1 / 0 > 0) && (1 / 0 > 0 || true) && !(false && 1 / 0 > 0)",
            "'%s-%d-%.2f-%x'.format(['a', 1, 1.5, 255]) == 'a-1-1.50-ff'",
            "'a,b,c'.split(',') == ['a', 'b', 'c'] && ['a', 'b'].join('-') == 'a-b'",
            "'hello'.substring(1, 3) == 'el' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3",
            "'aBc'.lowerAscii() == 'abc' && ' x '.trim() == 'x' && 'aaa'.replace('a', 'b', 2) == 'bba'",
            "'abc123'.matches('^[a-z]+[0-9]+$') && 'abc123'.find('[0-9]+') == '123'",
            "[3, 1, 2].sort() == [1, 2, 3] && [1, 2, 3].sum() == 6 && [1, 5, 2].max() == 5",
            "['bb', 'a'].sortBy(i, i.size()) == ['a', 'bb'] && [1, 1, 2].distinct() == [1, 2]",
            "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('500m').add(quantity('0.5')) == quantity('1')",
            "url('https://example.com:80/a?b=c').getPort() == '80' && isURL('/a') && !isURL('a b')",
            "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('10.0.0.256')",
            "cidr('192.168.0.0/16').containsCIDR('192.168.1.0/24') && string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8'",
            "!format.dns1123Label().validate('ok').hasValue() && format.dns1123Label().validate('No').hasValue()",
            "format.named('uuid').value().validate('x').value().size() == 1",
            "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('v1.2', true).patch() == 0",
            "sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])",
            "optional.none().or(optional.of(1)).value() == 1 && !optional.ofNonZeroValue('').hasValue()",
            "int('42') == 42 && double('1.5') == 1.5 && string(1.5) == '1.5' && bytes('a') == b'a'",
            "[?self.?s, 'x'] == ['text', 'x'] && {?'a': optional.none()} == {}",
            "{'a': 1}.a == 1 && dyn(1) == dyn(1.0) && type(1) == int",
        ] {
            match run(source) {
                Ok(Val::Bool(true)) => {}
                other => panic!("{source}: {other:?}"),
            }
        }
    }

    #[test]
    fn failures_say_why() {
        for (source, why) in [
            ("self.m.other == 'x'", "no such key: other"),
            ("self.l[2] == 'x'", "index out of bounds: 2"),
            ("1 / (self.n - 3) == 1", "division by zero"),
            ("9223372036854775807 + 1 == 0", "integer overflow"),
            ("dyn(1) + 'a' == 'a'", "no such overload"),
            (
                "int(self.s) == 1",
                "type conversion error from 'string' to 'int'",
            ),
        ] {
            assert_eq!(run(source).unwrap_err(), why, "{source}");
        }
    }

    #[test]
    fn nothing_takes_for_ever() {
        for source in [
            "lists.range(100000).all(a, lists.range(100000).all(b, a < b + 1000000))",
            "lists.range(1000000000).size() > 0",
            "[1,1,1,1,1,1,1,1,1,1].map(a, lists.range(100000).map(b, 'aaaaaaaaaaaaaaaaaaaaaaa')).size() > 0",
            "lists.range(100000).distinct().size() > 0",
        ] {
            assert_eq!(run(source).unwrap_err(), "spent", "{source}");
        }
    }

    #[test]
    fn types_are_held_to() {
        assert!(matches!(compile("1 + 1", &[]).unwrap().result(), Type::Int));
        let problem = run("self.s > 1").unwrap_err();
        assert_eq!(
            problem,
            "ERROR: <input>:1:8: found no matching overload for '_>_' applied to '(string, int)'\n | self.s > 1\n | .......^"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_put_together_is_evaluated_without_panic(words in proptest::collection::vec(
            prop::sample::select(vec!["self", ".l", ".s", ".n", ".m", "(", ")", "[", "]", "?", ":", ",", "1", "-1", "9223372036854775807", "0", "'x'", "&&", "==", "+", "*", "/", "%", ".map(i, ", ".all(i, ", "i", ".substring(", ".indexOf('', ", ".split('', ", ".charAt(", ".slice(", ".flatten(", "'%.3f'.format(", "duration('1h')", "timestamp(", "int(", "quantity('1')", ".add("]), 0..20)) {
            let _ = run(&words.concat());
        }
    }
}
