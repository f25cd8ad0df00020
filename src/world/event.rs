//! What execution reports: one stream that every display reads.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// The cluster it happened to.
    pub cluster: String,
    /// The step it belongs to, if it does.
    pub step: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    /// Work on a cluster begins.
    ClusterStarted {
        /// What is done to it: create, update, recreate, delete.
        verb: String,
        /// How many steps.
        steps: usize,
    },
    /// A cluster is as defined.
    ClusterDone {
        /// How long it took.
        #[serde(serialize_with = "millis", rename = "millis")]
        took: Duration,
    },
    /// Work on a cluster failed.
    ClusterFailed {
        /// The problem in one line.
        message: String,
        /// Its code.
        code: String,
    },
    /// A step begins.
    StepStarted {
        /// What it does.
        title: String,
    },
    /// A step waits for something.
    Waiting {
        /// For what.
        on: String,
        /// What was last seen of it.
        saw: String,
    },
    /// A step is done.
    StepDone {
        /// How long it took.
        #[serde(serialize_with = "millis", rename = "millis")]
        took: Duration,
    },
    /// A step failed and is tried again.
    Retrying {
        /// The problem in one line.
        message: String,
        /// Which try comes.
        attempt: u32,
    },
    /// A step failed.
    StepFailed {
        /// The problem in one line.
        message: String,
    },
    /// A step of a failed creation is taken back.
    RollingBack,
    /// Something that the user should know.
    Warning {
        /// One sentence.
        text: String,
    },
    /// A line that the script printed.
    Printed {
        /// The line.
        text: String,
    },
}

/// Whoever shows events.
pub trait Listener: Send + Sync {
    /// Takes one event; must not block.
    fn hear(&self, event: Event);
}

/// Tells events of one cluster and step.
#[derive(Clone)]
pub struct Reporter {
    listener: Arc<dyn Listener>,
    cluster: String,
    step: Option<String>,
}

impl Reporter {
    /// Reports about a cluster.
    pub fn new(listener: Arc<dyn Listener>, cluster: impl Into<String>) -> Self {
        Self {
            listener,
            cluster: cluster.into(),
            step: None,
        }
    }

    /// Reports about one of its steps.
    #[must_use]
    pub fn step(&self, id: impl Into<String>) -> Self {
        Self {
            listener: self.listener.clone(),
            cluster: self.cluster.clone(),
            step: Some(id.into()),
        }
    }

    /// Tells what happened.
    pub fn tell(&self, what: Happening) {
        self.listener.hear(Event {
            cluster: self.cluster.clone(),
            step: self.step.clone(),
            what,
        });
    }
}

/// A listener that hears nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Listener for Silent {
    fn hear(&self, _: Event) {}
}

fn millis<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}
