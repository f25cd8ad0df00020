//! Clusters that are there, whatever made them: found by name, read, worked with.

use std::sync::Arc;

use rhai::{Engine, ImmutableString};

use super::super::{Entry, value_type};
use super::reach;
use crate::axis::Axis as _;
use crate::facts::Facts;
use crate::ops;
use crate::script::{RhaiResult, Session, fail};

/// A cluster that is there, as scripts hold it: what was seen of it when it was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveValue(Arc<Facts>);

impl LiveValue {
    /// What was seen.
    pub fn facts(&self) -> &Facts {
        &self.0
    }

    fn text(&self) -> String {
        let facts = self.facts();
        format!(
            "live({:?})  // {} on {}, {}",
            facts.context,
            facts.distribution.name(),
            facts.provider.name(),
            facts.state.word()
        )
    }
}

pub(super) fn register(engine: &mut Engine, session: &Arc<Session>) {
    value_type::<LiveValue>(engine, "LiveCluster", LiveValue::text);
    let s = session.clone();
    engine.register_fn(
        "live",
        move |name: ImmutableString| -> RhaiResult<LiveValue> {
            let effects = reach(&s, "live").map_err(fail)?;
            let found = effects.wait(ops::cluster::find(effects.world(), &name, None));
            found.map(|facts| LiveValue(Arc::new(facts))).map_err(fail)
        },
    );
    let s = session.clone();
    engine.register_fn("live", move || -> RhaiResult<rhai::Array> {
        let effects = reach(&s, "live").map_err(fail)?;
        let all = effects.wait(ops::cluster::list(effects.world(), None));
        let all = all.map_err(fail)?;
        Ok(all
            .into_iter()
            .map(|facts| rhai::Dynamic::from(LiveValue(Arc::new(facts))))
            .collect())
    });
}

pub(super) const DOCS: &[Entry] = &[Entry {
    group: "effects",
    name: "live",
    signatures: &["live(name)", "live()"],
    summary: "Finds a cluster that is there by its name or context, whatever made it; without a name, all of them.",
    example: "task(\"nodes\", || live(\"dev\").list(\"nodes\").len());\ncluster(\"dev\", #{ distribution: kwok() })",
}];
