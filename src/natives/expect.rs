//! Expectations: what a test holds a value against.

use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};

use super::Entry;
use super::equality::{same, show};
use crate::diag::codes::model::WRONG_TYPE;
use crate::diag::codes::run::UNEXPECTED;
use crate::error::Error;
use crate::script::{Fault, RhaiResult, fail, kind};

/// A value that is held against something.
#[derive(Clone, Debug)]
struct Expectation(Dynamic);

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Expectation>("Expectation");
    engine.register_fn("expect", |value: Dynamic| Expectation(value));
    engine.register_fn("to_equal", |it: Expectation, wanted: Dynamic| {
        let holds = same(&it.0, &wanted);
        it.held(holds, &format!("to equal {}", show(&wanted)))
    });
    engine.register_fn("to_not_equal", |it: Expectation, other: Dynamic| {
        let holds = !same(&it.0, &other);
        it.held(holds, &format!("not to equal {}", show(&other)))
    });
    engine.register_fn("to_contain", |it: Expectation, part: Dynamic| {
        let holds = contains(&it.0, &part)?;
        it.held(holds, &format!("to contain {}", show(&part)))
    });
    engine.register_fn("to_match", |it: Expectation, pattern: ImmutableString| {
        let regex = regex::Regex::new(&pattern).map_err(|cause| {
            let error = Error::new(&WRONG_TYPE, format!("{pattern:?} is no regular expression"));
            fail(error.because(cause).field("[0]"))
        })?;
        let text =
            it.0.as_immutable_string_ref()
                .map_err(|_| it.wrong("a text"))?;
        let holds = regex.is_match(&text);
        drop(text);
        it.held(holds, &format!("to match {pattern:?}"))
    });
    for (name, words, order) in [
        ("to_be_above", "to be above", std::cmp::Ordering::Greater),
        ("to_be_below", "to be below", std::cmp::Ordering::Less),
    ] {
        engine.register_fn(name, move |it: Expectation, bound: Dynamic| {
            let number = |value: &Dynamic| {
                #[allow(
                    clippy::cast_precision_loss,
                    reason = "a bound of a test, not an amount"
                )]
                value
                    .as_float()
                    .ok()
                    .or_else(|| value.as_int().ok().map(|n| n as f64))
            };
            let (Some(a), Some(b)) = (number(&it.0), number(&bound)) else {
                return Err(it.wrong("a number"));
            };
            it.held(
                a.partial_cmp(&b) == Some(order),
                &format!("{words} {}", show(&bound)),
            )
        });
    }
    engine.register_fn("to_throw", |cx: NativeCallContext, it: Expectation| {
        throws(&cx, &it, "")
    });
    engine.register_fn(
        "to_throw",
        |cx: NativeCallContext, it: Expectation, part: ImmutableString| throws(&cx, &it, &part),
    );
}

impl Expectation {
    fn held(self, holds: bool, words: &str) -> RhaiResult<Self> {
        if holds {
            return Ok(self);
        }
        let message = format!("expected {words}, got {}", show(&self.0));
        Err(fail(Error::new(&UNEXPECTED, message)))
    }

    fn wrong(&self, wanted: &str) -> Box<rhai::EvalAltResult> {
        let message = format!("this is {}, not {wanted}", kind(&self.0));
        fail(Error::new(&WRONG_TYPE, message))
    }
}

fn contains(whole: &Dynamic, part: &Dynamic) -> RhaiResult<bool> {
    if let Ok(text) = whole.as_immutable_string_ref() {
        return Ok(part
            .as_immutable_string_ref()
            .is_ok_and(|part| text.contains(part.as_str())));
    }
    if let Some(list) = whole.read_lock::<Array>() {
        return Ok(list.iter().any(|entry| same(entry, part)));
    }
    if let Some(map) = whole.read_lock::<Map>() {
        // A key, or a smaller map whose entries are all there.
        if let Ok(key) = part.as_immutable_string_ref() {
            return Ok(map.contains_key(key.as_str()));
        }
        if let Some(part) = part.read_lock::<Map>() {
            return Ok(part
                .iter()
                .all(|(key, value)| map.get(key).is_some_and(|found| same(found, value))));
        }
    }
    Err(Expectation(whole.clone()).wrong("a text, a list or a map"))
}

/// Whether a closure fails, with this in its code or message.
fn throws(cx: &NativeCallContext, it: &Expectation, part: &str) -> RhaiResult<()> {
    let Some(closure) = it.0.read_lock::<FnPtr>() else {
        return Err(it.wrong("a closure `|| …`"));
    };
    let thrown = match closure.call_within_context::<Dynamic>(cx, ()) {
        Ok(value) => {
            let message = format!(
                "expected a problem, and the closure returned {}",
                show(&value)
            );
            return Err(fail(Error::new(&UNEXPECTED, message)));
        }
        Err(problem) => text(&problem),
    };
    if thrown.contains(part) {
        return Ok(());
    }
    let message = format!("expected a problem with {part:?} in it, got: {thrown}");
    Err(fail(Error::new(&UNEXPECTED, message)))
}

fn text(problem: &rhai::EvalAltResult) -> String {
    match problem {
        rhai::EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => text(inner),
        rhai::EvalAltResult::ErrorRuntime(value, _) => match value.read_lock::<Fault>() {
            Some(fault) => fault
                .read(|error| format!("{} {}", error.code().id, error.message()))
                .unwrap_or_default(),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

pub(super) const DOCS: &[Entry] = &[Entry {
    group: "tests",
    name: "expect",
    signatures: &[
        "expect(value).to_equal(other)",
        "expect(value).to_not_equal(other)",
        "expect(value).to_contain(part)",
        "expect(text).to_match(pattern)",
        "expect(number).to_be_above(bound)",
        "expect(number).to_be_below(bound)",
        "expect(|| …).to_throw()",
        "expect(|| …).to_throw(part)",
    ],
    summary: "Holds a value against what it should be; an expectation that does not hold fails the test and shows both.",
    example: "test(\"three workers\", || {\n    let c = cluster(\"dev\", #{ distribution: kwok(), workers: 3 });\n    expect(c.workers).to_equal(3).to_be_above(2);\n    expect(|| c.with(#{ workers: -1 })).to_throw(\"E0\");\n});\ncluster(\"dev\", #{ distribution: kwok() })",
}];
