//! What is there: clusters from containers, their state from the engine and their own API.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};

use super::engines::Place;
use super::{Docker, Maker};
use crate::axis::Provider;
use crate::diag::codes::docker::{ENGINE_DENIED, NO_CONTAINER, NO_ENGINE};
use crate::docker::{Engine, Life, Listed, labels};
use crate::error::{Error, Result};
use crate::facts::{Facts, Lack, State};
use crate::k8s;
use crate::spec::{ClusterName, Spec};
use crate::world::{Access, Memory as _};

/// How many clusters are looked at at once.
const LOOKS: usize = 8;
/// How long a cluster's API may take for all that is asked of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a cluster that did not answer is left alone before it is asked once more. What has no turn on a busy machine
/// is not broken, and a broken cluster is made anew.
const PAUSE: Duration = Duration::from_secs(3);
/// How long after its start a control plane may still be silent: the engine may have been restarted a moment ago.
const SETTLED: jiff::SignedDuration = jiff::SignedDuration::from_secs(90);

/// How closely clusters are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Their APIs are asked.
    Asked,
    /// Their containers are seen, and that is all.
    Glanced,
}

impl Docker {
    /// Looks at one cluster, on the engine where it was made or is to be made.
    pub(super) async fn look(
        &self,
        context: &str,
        name: &ClusterName,
        spec: Option<&Spec>,
    ) -> Result<Option<Facts>> {
        let Some(maker) = self
            .makers
            .iter()
            .find(|maker| maker.context(name.as_str()) == context)
        else {
            return Ok(None);
        };
        self.known.forget(context).await;
        let engine = self.engines.of(context, spec).await?;
        let members = of(maker.as_ref(), &engine.list(&[]).await?, name.as_str());
        if members.is_empty() && !maker.others()?.iter().any(|other| other == name.as_str()) {
            return Ok(None);
        }
        self.facts(&engine, maker.as_ref(), name, &members, Depth::Asked)
            .await
            .map(Some)
    }

    /// Looks at all clusters; without an engine there are none but those that are known to be on one.
    pub(super) async fn look_at_all(&self, depth: Depth) -> Result<Vec<Facts>> {
        let places = self.engines.all().await?;
        let elsewhere: BTreeSet<&String> = places.values().flatten().collect();
        let mut found = Vec::new();
        for (place, contexts) in &places {
            let is_there = |context: &String| {
                if place.is_usual() {
                    !elsewhere.contains(context)
                } else {
                    contexts.contains(context)
                }
            };
            match self.engines.at(place).await {
                Ok(engine) => found.extend(self.look_at(&engine, &is_there, depth).await?),
                // Whoever may not use the engine has no clusters there either, and may have others elsewhere.
                Err(problem)
                    if place.is_usual()
                        && [NO_ENGINE.id, ENGINE_DENIED.id].contains(&problem.code().id) => {}
                Err(problem) if place.is_usual() => return Err(problem),
                Err(problem) => {
                    for context in contexts {
                        found.extend(self.unreachable(context, place, &problem).await?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Looks at the clusters of one engine whose context is wanted.
    async fn look_at(
        &self,
        engine: &Engine,
        is_wanted: &(dyn Fn(&String) -> bool + Sync),
        depth: Depth,
    ) -> Result<Vec<Facts>> {
        let containers = engine.list(&[]).await?;
        let mut looks = Vec::new();
        for maker in &self.makers {
            let mut names: BTreeSet<String> = maker.others()?.into_iter().collect();
            names.extend(containers.iter().filter_map(|one| maker.cluster_of(one)));
            for name in names {
                // A peer may allow names that ksail does not; such a cluster cannot be named here.
                let Ok(checked) = ClusterName::parse(&name) else {
                    continue;
                };
                if !is_wanted(&maker.context(&name)) {
                    continue;
                }
                let members = of(maker.as_ref(), &containers, &name);
                looks.push(async move {
                    self.facts(engine, maker.as_ref(), &checked, &members, depth)
                        .await
                });
            }
        }
        futures::stream::iter(looks)
            .buffered(LOOKS)
            .try_collect()
            .await
    }

    /// What is known of a cluster whose engine does not answer.
    async fn unreachable(
        &self,
        context: &str,
        place: &Place,
        problem: &Error,
    ) -> Result<Option<Facts>> {
        for maker in &self.makers {
            // The name is what the context ends with, whatever it begins with.
            let ends = context
                .match_indices('-')
                .map(|(at, _)| context.get(at + 1..));
            let name = ends
                .flatten()
                .find(|name| maker.context(name) == context)
                .and_then(|name| ClusterName::parse(name).ok());
            if let Some(name) = name {
                let mut facts = self.blank(maker.as_ref(), &name).await?;
                facts.state =
                    State::Broken(format!("its engine, {place}, cannot be used: {problem}"));
                return Ok(Some(facts));
            }
        }
        Ok(None)
    }

    /// The way to the API of one cluster, by its context.
    pub(super) async fn access(&self, context: &str) -> Result<Access> {
        let engine = &self.engines.of(context, None).await?;
        let containers = engine.list(&[]).await?;
        for maker in &self.makers {
            let names: BTreeSet<String> = containers
                .iter()
                .filter_map(|one| maker.cluster_of(one))
                .collect();
            if let Some(name) = names.iter().find(|name| maker.context(name) == context) {
                return maker
                    .access(engine, name, &of(maker.as_ref(), &containers, name))
                    .await;
            }
        }
        Err(
            Error::new(&NO_CONTAINER, format!("no container of {context} is there"))
                .help("run the definition again: what is missing is made anew"),
        )
    }

    /// What is known of a cluster before anything of it was looked at.
    async fn blank(&self, maker: &dyn Maker, name: &ClusterName) -> Result<Facts> {
        let context = maker.context(name.as_str());
        Ok(Facts {
            recorded: self.store.read(&context).await?,
            ..Facts::unseen(name, &context, maker.distribution(), Provider::Docker)
        })
    }

    async fn facts(
        &self,
        engine: &Engine,
        maker: &dyn Maker,
        name: &ClusterName,
        members: &[Listed],
        depth: Depth,
    ) -> Result<Facts> {
        let mut facts = self.blank(maker, name).await?;
        let context = facts.context.clone();
        // Whatever ksail makes carries its label, from the first container on.
        let is_begun = if members.is_empty() {
            // Only its files are there: a run of ours may have been cut off before the first container.
            self.store.has_journal(&context)
        } else {
            members
                .iter()
                .any(|one| one.labels.get(labels::CLUSTER) == Some(&context))
        };
        facts.foreign = facts.recorded.is_none() && !is_begun;
        let control: Vec<&Listed> = members
            .iter()
            .filter(|one| maker.is_control_plane(one))
            .collect();
        // The record is the last thing a run writes: what is ksail's and has none was cut off.
        let is_finished = facts
            .recorded
            .as_ref()
            .map_or(facts.foreign, |recorded| recorded.finished);
        if control.is_empty() {
            if is_finished {
                facts.state = State::Broken("it has no container of its control plane".into());
            }
            return Ok(facts);
        }
        let is_on = control.iter().any(|one| one.life == Life::Running);
        if depth == Depth::Glanced {
            if is_on {
                facts.state = State::Running;
            }
            return Ok(facts);
        }
        let access = maker.access(engine, name.as_str(), members).await;
        if let Ok(access) = &access {
            facts.endpoint = Some(access.server.clone());
            facts.has_context = self
                .contexts
                .leads_to(&context, &access.server)
                .await
                .unwrap_or(false);
        }
        if is_finished {
            if let Some(why) = maker.loss(name.as_str(), members) {
                facts.state = State::Broken(why);
                return Ok(facts);
            }
            facts.missing = maker.missing(name.as_str(), members);
            // In a cluster that is switched off as a whole it is no news that its parts are.
            facts
                .missing
                .retain(|_, lack| is_on || *lack == Lack::Removed);
        }
        if !is_on {
            return Ok(facts);
        }
        // As good as switched off: a start brings it on.
        if is_finished && maker.is_displaced(engine, members).await {
            return Ok(facts);
        }
        let is_whole = is_finished && members.iter().all(|one| one.life == Life::Running);
        let answer = match access {
            Ok(access) => match ask(&access, &mut facts).await {
                Err(_) if is_whole && facts.missing.is_empty() => {
                    ask_again(engine, &control, &access, &mut facts).await
                }
                answer => answer,
            },
            Err(problem) => Err(problem),
        };
        match answer {
            Ok(()) => {
                facts.state = State::Running;
                maker.correct(members, &mut facts);
            }
            // What a run left half made, or a part that was switched off, is brought on by the same steps.
            Err(_) if !is_whole || !facts.missing.is_empty() => {}
            Err(problem) => {
                facts.state = State::Broken(format!("its API does not answer: {problem}"))
            }
        }
        Ok(facts)
    }
}

/// The containers of one cluster.
fn of(maker: &dyn Maker, containers: &[Listed], name: &str) -> Vec<Listed> {
    let own = containers
        .iter()
        .filter(|one| maker.cluster_of(one).as_deref() == Some(name));
    own.cloned().collect()
}

/// Asks a cluster that did not answer once more, and as often as its control plane was started a moment ago.
async fn ask_again(
    engine: &Engine,
    control: &[&Listed],
    access: &Access,
    facts: &mut Facts,
) -> Result<()> {
    loop {
        tokio::time::sleep(PAUSE).await;
        let answer = ask(access, facts).await;
        if answer.is_ok() || is_settled(engine, control).await? {
            return answer;
        }
    }
}

/// Whether every part of a control plane was started long ago.
async fn is_settled(engine: &Engine, control: &[&Listed]) -> Result<bool> {
    let now = jiff::Timestamp::now();
    for one in control {
        let Some(seen) = engine.inspect(&one.id).await? else {
            return Ok(true);
        };
        let started: jiff::Timestamp = seen
            .started_at
            .parse()
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        // The engine's clock may be ahead of this one.
        if now.duration_since(started).abs() < SETTLED {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn ask(access: &Access, facts: &mut Facts) -> Result<()> {
    let client = k8s::connect(access).await?;
    let all = async {
        tokio::try_join!(
            k8s::version(&client),
            k8s::nodes(&client),
            k8s::components(&client)
        )
    };
    let Ok(answer) = tokio::time::timeout(PATIENCE, all).await else {
        let message = format!(
            "{} said nothing for {} s",
            access.server,
            PATIENCE.as_secs()
        );
        return Err(Error::new(&crate::diag::codes::run::API_FAILED, message));
    };
    let (version, nodes, components) = answer?;
    facts.kubernetes = Some(version);
    facts.nodes = nodes;
    facts.components = components;
    Ok(())
}
