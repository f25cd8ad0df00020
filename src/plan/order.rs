//! The order of steps: each after those it names, otherwise as planned.

use std::collections::BTreeSet;

use crate::diag::codes::plan::STEP_CYCLE;
use crate::error::{Error, Result};
use crate::step::Step;

/// Sorts steps so that each comes after those it names; among those that can go, the one planned first.
pub fn sorted(mut steps: Vec<Step>) -> Result<Vec<Step>> {
    let known: BTreeSet<String> = steps.iter().map(|step| step.id.clone()).collect();
    if known.len() != steps.len() {
        return Err(Error::new(
            &STEP_CYCLE,
            "two steps of the plan have one name",
        ));
    }
    for step in &steps {
        if let Some(missing) = step.after.iter().find(|id| !known.contains(*id)) {
            return Err(Error::new(
                &STEP_CYCLE,
                format!(
                    "the step `{}` comes after `{missing}`, which is not there",
                    step.id
                ),
            ));
        }
    }
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut sorted = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let Some(next) = steps
            .iter()
            .position(|step| step.after.iter().all(|id| done.contains(id)))
        else {
            let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
            return Err(Error::new(
                &STEP_CYCLE,
                format!("the steps {} wait for each other", ids.join(", ")),
            ));
        };
        let step = steps.remove(next);
        done.insert(step.id.clone());
        sorted.push(step);
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Action;

    fn step(id: &str, after: &[&str]) -> Step {
        Step::new(id, id, "", Action::Start).after(after.iter().copied())
    }

    fn ids(steps: Vec<Step>) -> Vec<String> {
        steps.into_iter().map(|step| step.id).collect()
    }

    #[test]
    fn keeps_the_planned_order_where_it_can() {
        let steps = vec![step("c", &["a"]), step("a", &[]), step("b", &[])];
        assert_eq!(ids(sorted(steps).unwrap()), ["a", "c", "b"]);
    }

    #[test]
    fn refuses_cycles_and_strangers() {
        for steps in [
            vec![step("a", &["b"]), step("b", &["a"])],
            vec![step("a", &["x"])],
            vec![step("a", &[]), step("a", &[])],
        ] {
            assert_eq!(sorted(steps).unwrap_err().code().id, "E0407");
        }
    }
}
