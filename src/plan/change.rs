//! One difference between what is there and what was asked for, what it costs, and how it was ruled.

use std::fmt;

use serde::Serialize;

use crate::spec::Tree;

/// What a change costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nobody notices.
    InPlace,
    /// Nodes restart one after another.
    Reboot,
    /// The cluster is made where none was.
    Create,
    /// The cluster is removed and made anew; everything in it is lost.
    Recreate,
    /// The cluster is removed; everything in it is lost.
    Delete,
}

impl Impact {
    /// Every impact, by rising cost.
    pub const ALL: &'static [Self] = &[
        Self::InPlace,
        Self::Reboot,
        Self::Create,
        Self::Recreate,
        Self::Delete,
    ];

    /// The name that plans and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::InPlace => "in-place",
            Self::Reboot => "reboot",
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
        }
    }

    /// Finds an impact by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|impact| impact.name() == name)
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One difference between what is there and what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The field, such as `workers` or `components.cilium`.
    pub path: String,
    /// What is there.
    pub from: Tree,
    /// What was asked for.
    pub to: Tree,
    /// What it costs.
    pub impact: Impact,
    /// Why it costs that, or why it is needed at all.
    pub reason: String,
}

/// What a policy says of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "ruling")]
pub enum Ruling {
    /// It may happen.
    Allow,
    /// It must not happen.
    Deny {
        /// Why.
        why: String,
    },
    /// It may happen if a person agrees.
    Confirm {
        /// What the person should know.
        why: String,
    },
    /// It may happen later.
    Defer {
        /// When, such as `22:00-06:00` or `sat,sun`.
        window: String,
        /// Why.
        why: String,
    },
}

impl Ruling {
    /// What holds without a policy: what destroys data or restarts nodes wants consent.
    pub fn default_for(change: &Change) -> Self {
        match change.impact {
            Impact::InPlace | Impact::Create => Self::Allow,
            Impact::Reboot => Self::Confirm {
                why: "nodes restart one after another".into(),
            },
            Impact::Recreate => Self::Confirm {
                why: "the cluster is removed and made anew; everything in it is lost".into(),
            },
            Impact::Delete => Self::Confirm {
                why: "the cluster is removed; everything in it is lost".into(),
            },
        }
    }
}
