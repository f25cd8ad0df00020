//! Which components a cluster gets: one to a slot, and only what can be had there.

use std::collections::BTreeMap;

use super::super::{ComponentSpec, Draft, Part, Warning};
use crate::axis::{Axis, Component, Distribution, Provider, Slot};
use crate::diag::codes::model::{NOT_ON_DISTRIBUTION, SLOT_TAKEN};
use crate::diag::suggest::one_of;
use crate::error::Error;
use crate::support::{self, Support};

/// Keeps what is installed; says what is not, and why.
pub(super) fn kept(
    draft: &Draft,
    distribution: Distribution,
    provider: Provider,
    warnings: &mut Vec<Warning>,
    problems: &mut Vec<Error>,
) -> Vec<ComponentSpec> {
    let mut kept: Vec<ComponentSpec> = Vec::new();
    let mut taken: BTreeMap<Slot, String> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for (path, component) in &draft.components {
        if let Some(slot) = component.part.slot() {
            if let Some(other) = taken.insert(slot, component.part.name().to_string()) {
                let (word, name) = (slot.title(), component.part.name());
                let message = if other == name {
                    format!("`{name}` is given twice")
                } else {
                    format!("`{other}` and `{name}` both want to be the {word}")
                };
                problems.push(
                    Error::new(&SLOT_TAKEN, message)
                        .help("keep one of them")
                        .field(path),
                );
                continue;
            }
        } else if names.contains(&component.part.name()) {
            let message = format!("two components are called `{}`", component.part.name());
            problems.push(
                Error::new(&SLOT_TAKEN, message)
                    .help("give each its own name")
                    .field(path),
            );
            continue;
        }
        names.push(component.part.name());
        match &component.part {
            Part::Known(known) => {
                let decision = decide(*known, distribution, provider);
                match decision {
                    Decision::Keep => kept.push(component.clone()),
                    Decision::Leave(text) => warnings.push(Warning {
                        field: path.clone(),
                        text,
                    }),
                    Decision::BuiltIn => {}
                    Decision::Refuse(problem) => problems.push(problem.field(path)),
                }
            }
            _ => kept.push(component.clone()),
        }
    }
    kept
}

enum Decision {
    Keep,
    BuiltIn,
    Leave(String),
    Refuse(Error),
}

fn decide(component: Component, distribution: Distribution, provider: Provider) -> Decision {
    let cell = support::component(component, distribution, provider);
    let why = cell
        .note
        .and_then(support::note)
        .unwrap_or("it has no effect here");
    let (name, on) = (component.name(), distribution.name());
    match cell.value {
        Support::Install | Support::InstallOn(_) | Support::Since(_) | Support::Simulated => {
            Decision::Keep
        }
        Support::BuiltIn => Decision::BuiltIn,
        Support::Managed => {
            Decision::Leave(format!("`{name}` has no effect on {on}: {}", lower(why)))
        }
        Support::Skipped => {
            Decision::Leave(format!("`{name}` is left out on {on}: {}", lower(why)))
        }
        Support::Unsupported => {
            let others: Vec<&str> = support::slot(component)
                .into_iter()
                .flat_map(support::fillers)
                .filter(|other| {
                    let there = support::component(*other, distribution, provider).value;
                    matches!(there, Support::Install | Support::Simulated)
                })
                .map(Axis::name)
                .collect();
            let help = if others.is_empty() {
                format!(
                    "leave it out: nothing fills that role on {on} with {}",
                    provider.name()
                )
            } else {
                format!("use {}", one_of(others))
            };
            let message = format!("`{name}` cannot be had on {on} with {}", provider.name());
            Decision::Refuse(Error::new(&NOT_ON_DISTRIBUTION, message).help(help))
        }
    }
}

fn lower(sentence: &str) -> String {
    let text = sentence.trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        // "KWOK …" and "It …" differ: only an ordinary first word loses its capital.
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().collect::<String>() + &text[first.len_utf8()..]
        }
        _ => text.to_string(),
    }
}
