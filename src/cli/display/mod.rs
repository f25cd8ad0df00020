//! Displays of a run: live on a terminal, plain lines elsewhere, JSON lines for programs. All read the same events.

mod json;
mod live;
mod plain;

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::{Context, Output, show};
use crate::plan::{self, Plan};
use crate::world::{Event, Happening, Listener};

/// A display that was chosen for where output goes.
pub(super) struct Display {
    listener: Arc<dyn Listener>,
    live: Option<Arc<live::Live>>,
    is_json: bool,
}

impl Display {
    /// Chooses the display.
    pub(super) fn new(cx: &Context) -> Self {
        if cx.output == Output::Json {
            return Self {
                listener: Arc::new(json::Lines),
                live: None,
                is_json: true,
            };
        }
        if std::io::stderr().is_terminal() && show::has_colour(cx) {
            let live = Arc::new(live::Live::default());
            return Self {
                listener: live.clone(),
                live: Some(live),
                is_json: false,
            };
        }
        Self {
            listener: Arc::new(plain::Lines),
            live: None,
            is_json: false,
        }
    }

    /// Who hears the events.
    pub(super) fn listener(&self) -> Arc<dyn Listener> {
        self.listener.clone()
    }

    /// Tells a warning about a cluster.
    pub(super) fn warn(&self, cluster: &str, text: &str) {
        let what = Happening::Warning { text: text.into() };
        self.listener.hear(Event {
            cluster: cluster.into(),
            step: None,
            what,
        });
    }

    /// Ends the display with one line on the whole.
    pub(super) fn finish(&self, plan: &Plan, is_good: bool) {
        if let Some(live) = &self.live {
            live.clear();
        }
        if self.is_json || !is_good {
            return;
        }
        if plan.is_empty() {
            show::data(&plan::show::summary(plan));
            return;
        }
        for cluster in plan
            .clusters
            .iter()
            .filter(|cluster| !cluster.is_empty() && cluster.verb != plan::Verb::Delete)
        {
            show::data(&format!(
                "{} is ready: kubectl --context {} get nodes",
                cluster.name, cluster.context
            ));
        }
        let gone = plan
            .clusters
            .iter()
            .filter(|cluster| cluster.verb == plan::Verb::Delete)
            .count();
        match gone {
            0 => {}
            1 => show::data("1 cluster removed"),
            n => show::data(&format!("{n} clusters removed")),
        }
    }
}
