//! A cluster that runs, as scripts, tests and programs work with it.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::axis::Provider;
use crate::diag::codes::run::{BAD_OBJECT, NO_SUCH_KIND, NO_SUCH_OBJECT, NOT_RUNNING, WAIT_OVER};
use crate::error::{Error, Result};
use crate::k8s::{self, Executed, Objects, Place, Selection};
use crate::world::World;

/// A cluster that runs.
pub struct Live {
    client: k8s::Client,
    /// What it serves; asked anew when a kind is missing, for kinds come with their definitions.
    objects: Mutex<Objects>,
}

impl Live {
    /// Connects to a cluster by its context.
    pub async fn connect(world: &dyn World, provider: Provider, context: &str) -> Result<Self> {
        let not_running = |cause: Error| {
            Error::new(
                &NOT_RUNNING,
                format!("the cluster {context} does not answer"),
            )
            .because(cause.to_string())
            .help("bring it up first: `up(c)` in a task or test, `ksail run` before it")
        };
        let access = world
            .platform(provider)?
            .kubeconfig(context)
            .await
            .map_err(not_running)?;
        let client = k8s::connect(&access).await?;
        let objects = Objects::discover(client.clone())
            .await
            .map_err(not_running)?;
        Ok(Self {
            client,
            objects: Mutex::new(objects),
        })
    }

    /// Finds the object that a reference such as `deployment/web` names.
    pub async fn place(&self, reference: &str, namespace: Option<&str>) -> Result<Place> {
        let (word, name) = reference
            .split_once('/')
            .filter(|(word, name)| !word.is_empty() && !name.is_empty())
            .ok_or_else(|| {
                Error::new(&BAD_OBJECT, format!("{reference:?} names no object"))
                    .help("write KIND/NAME, such as \"deployment/web\"")
            })?;
        let find = |objects: &Objects| objects.kinds().find(word).cloned();
        Ok(Place {
            kind: self.asking_twice(find).await?,
            namespace: namespace.unwrap_or("default").into(),
            name: name.into(),
        })
    }

    /// Reads an object that has to be there.
    pub async fn get(&self, place: &Place) -> Result<Value> {
        self.find(place).await?.ok_or_else(|| {
            Error::new(&NO_SUCH_OBJECT, format!("there is no {place}"))
                .help("wait for it: c.wait(\"pod/web\", \"exists\", \"30s\"); or ask with c.find, which may give `()`")
        })
    }

    /// Reads an object; `None` if it is not there.
    pub async fn find(&self, place: &Place) -> Result<Option<Value>> {
        self.objects().get(place).await
    }

    /// Lists the objects of a kind.
    pub async fn list(&self, word: &str, selection: &Selection) -> Result<Vec<Value>> {
        let find = |objects: &Objects| objects.kinds().find(word).cloned();
        let kind = self.asking_twice(find).await?;
        self.objects().list(&kind, selection).await
    }

    /// Applies objects, namespaces and definitions of kinds first; those without a namespace go into this one.
    pub async fn apply(&self, objects: Vec<Value>, namespace: &str) -> Result<()> {
        k8s::apply_all(&self.client, objects, namespace).await?;
        Ok(())
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, place: &Place, change: &Value) -> Result<Value> {
        self.objects().patch(place, change).await
    }

    /// Removes an object; one that is not there is fine.
    pub async fn delete(&self, place: &Place) -> Result<()> {
        self.objects().delete(place).await
    }

    /// What a pod's container wrote.
    pub async fn logs(&self, place: &Place, container: Option<&str>) -> Result<String> {
        self.objects().logs(place, container).await
    }

    /// Runs a command in a pod's container.
    pub async fn exec(
        &self,
        place: &Place,
        container: Option<&str>,
        command: &[String],
    ) -> Result<Executed> {
        self.objects().exec(place, container, command).await
    }

    /// Waits until an object is as wanted.
    pub async fn wait(&self, place: &Place, goal: &Goal, time: Duration) -> Result<()> {
        let mut watch = self.watch(place, time);
        while let Some(object) = watch.next(&goal.to_string()).await? {
            if goal.holds(object.as_ref()) {
                return Ok(());
            }
        }
        Err(watch.over(&goal.to_string()))
    }

    /// Follows an object for some time.
    pub fn watch(&self, place: &Place, time: Duration) -> Watch {
        Watch {
            stream: self.objects().follow(place),
            place: place.clone(),
            last: None,
            ends: Instant::now() + time,
            time,
        }
    }

    fn objects(&self) -> Objects {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks for a kind, once more with fresh knowledge if it is not found.
    async fn asking_twice<T>(&self, find: impl Fn(&Objects) -> Result<T>) -> Result<T> {
        match find(&self.objects()) {
            Err(problem) if problem.code().id == NO_SUCH_KIND.id => {}
            other => return other,
        }
        let fresh = Objects::discover(self.client.clone()).await?;
        let found = find(&fresh);
        *self.objects.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        found
    }
}

/// What an object is waited for to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It is there.
    Exists,
    /// It is not there.
    Gone,
    /// It has a condition that is True, such as `Available`; of pods and volumes, a phase.
    Condition(String),
}

impl Goal {
    /// Reads `exists`, `deleted`, or the name of a condition or phase.
    pub fn parse(text: &str) -> Self {
        match text {
            "exists" => Self::Exists,
            "deleted" => Self::Gone,
            other => Self::Condition(other.into()),
        }
    }

    /// Whether it has come about.
    pub fn holds(&self, object: Option<&Value>) -> bool {
        match (self, object) {
            (Self::Exists, object) => object.is_some(),
            (Self::Gone, object) => object.is_none(),
            (Self::Condition(_), None) => false,
            (Self::Condition(name), Some(object)) => {
                let is_phase =
                    object.pointer("/status/phase").and_then(Value::as_str) == Some(name);
                // A condition of an earlier generation says nothing of what was written since.
                let seen = object
                    .pointer("/status/observedGeneration")
                    .and_then(Value::as_i64);
                let written = object
                    .pointer("/metadata/generation")
                    .and_then(Value::as_i64);
                let is_stale =
                    matches!((seen, written), (Some(seen), Some(written)) if seen < written);
                let is_true =
                    conditions(object).any(|(kind, status, _)| kind == name && status == "True");
                is_phase || (is_true && !is_stale)
            }
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Exists => "exists",
            Self::Gone => "deleted",
            Self::Condition(name) => name,
        })
    }
}

fn conditions(object: &Value) -> impl Iterator<Item = (&str, &str, &str)> {
    let list = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    list.into_iter().flatten().map(|condition| {
        let text = |key: &str| {
            condition
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        (text("type"), text("status"), text("reason"))
    })
}

/// An object that is followed for some time.
pub struct Watch {
    stream: BoxStream<'static, Result<Option<Value>>>,
    place: Place,
    last: Option<Value>,
    ends: Instant,
    time: Duration,
}

impl Watch {
    /// The object as it is, then whenever it changes; `None` inside while it is not there, outside when the time is over.
    /// Problems of single requests are passed over, as the connection is made anew.
    pub async fn next(&mut self, goal: &str) -> Result<Option<Option<Value>>> {
        loop {
            let left = self.ends.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.stream.next()).await {
                Ok(Some(Ok(object))) => {
                    self.last.clone_from(&object);
                    return Ok(Some(object));
                }
                Ok(Some(Err(problem))) if self.ends <= Instant::now() => {
                    return Err(self.over(goal).because(problem.to_string()));
                }
                Ok(Some(Err(_))) => {}
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    /// The problem of a wait that ran out of time.
    pub fn over(&self, goal: &str) -> Error {
        let time = crate::spec::field::duration_text(self.time);
        let message = format!(
            "{} did not become {goal} in {time}; last seen: {}",
            self.place,
            state(self.last.as_ref())
        );
        Error::new(&WAIT_OVER, message)
            .help("give more time, or look at it with `kubectl describe`")
    }
}

/// An object's state in few words.
fn state(object: Option<&Value>) -> String {
    let Some(object) = object else {
        return "it is not there".into();
    };
    let mut text = String::new();
    if let Some(phase) = object.pointer("/status/phase").and_then(Value::as_str) {
        text.push_str(phase);
    }
    for (kind, status, reason) in conditions(object) {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{kind}={status}");
        if !reason.is_empty() {
            let _ = write!(text, " ({reason})");
        }
    }
    if text.is_empty() {
        "it has no status".into()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn goals_read_conditions_phases_and_presence() {
        let ready = json!({
            "metadata": { "generation": 2 },
            "status": { "observedGeneration": 2, "conditions": [{ "type": "Available", "status": "True" }] },
        });
        assert!(Goal::parse("Available").holds(Some(&ready)));
        assert!(!Goal::parse("Progressing").holds(Some(&ready)));
        let mut stale = ready.clone();
        stale["metadata"]["generation"] = json!(3);
        assert!(!Goal::parse("Available").holds(Some(&stale)));
        assert!(Goal::parse("Running").holds(Some(&json!({ "status": { "phase": "Running" } }))));
        assert!(Goal::parse("exists").holds(Some(&ready)) && !Goal::parse("exists").holds(None));
        assert!(Goal::parse("deleted").holds(None) && !Goal::parse("deleted").holds(Some(&ready)));
    }

    #[test]
    fn a_state_is_told_in_few_words() {
        assert_eq!(state(None), "it is not there");
        assert_eq!(state(Some(&json!({}))), "it has no status");
        let pod = json!({ "status": { "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }] } });
        assert_eq!(
            state(Some(&pod)),
            "Pending, PodScheduled=False (Unschedulable)"
        );
    }
}
