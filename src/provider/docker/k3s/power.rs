//! Switching a cluster off and on.

use futures::future::try_join_all;

use super::access;
use crate::distribution::k3s::label::ROLE;
use crate::distribution::k3s::{Definition, no_registries};
use crate::docker::Listed;
use crate::error::Result;
use crate::k8s;
use crate::provider::docker::Job;

/// How long containers get to end by themselves.
const GRACE: i32 = 10;

/// Starts registries, then servers, then the rest, and waits until the API answers and every node is Ready again.
///
/// Servers are started one after another in the order of their names, before anything else, for addresses are given out
/// in order and etcd remembers them; only the wait comes after all of them, because etcd wants a majority.
pub(super) async fn start(job: &Job<'_>, members: &[Listed]) -> Result<()> {
    let engine = job.engine;
    for one in with_role(members, "server") {
        engine.start(&one.name).await?;
    }
    let rest = members.iter().filter(|one| role(one) != "server");
    let (balancers, rest): (Vec<&Listed>, Vec<&Listed>) =
        rest.partition(|one| role(one) == "loadbalancer");
    try_join_all(rest.iter().map(|one| engine.start(&one.name))).await?;
    // It looks up everything it passes on to, so that it comes last.
    try_join_all(balancers.iter().map(|one| engine.start(&one.name))).await?;
    let Some(first) = with_role(members, "server").next() else {
        return Ok(());
    };
    let client = access::wait(job, &first.name).await?;
    if super::becomes_ready(job) {
        for one in members
            .iter()
            .filter(|one| matches!(role(one), "server" | "agent"))
        {
            let started = engine.expect(&one.name).await?.started_at;
            let since = started.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            k8s::wait_return(&client, &one.name, since, job.work.report).await?;
        }
    }
    Ok(())
}

/// Stops everything else, then the servers.
pub(super) async fn stop(job: &Job<'_>, members: &[Listed]) -> Result<()> {
    let engine = job.engine;
    let rest = members.iter().filter(|one| role(one) != "server");
    try_join_all(rest.map(|one| engine.stop(&one.name, GRACE))).await?;
    let servers = with_role(members, "server");
    try_join_all(servers.map(|one| engine.stop(&one.name, GRACE)))
        .await
        .map(|_| ())
}

/// Tells nodes that run of the registries there are now. K3s reads its file when it starts, so that nodes restart, one
/// after another.
pub(super) async fn rewire(job: &Job<'_>, nodes: &[String]) -> Result<()> {
    let engine = job.engine;
    let file = Definition::of(job.spec()?).registries_file();
    // What is no longer asked for is no longer known, and a file without anything is as good as none.
    let file = file.unwrap_or_else(no_registries);
    for node in nodes {
        let there = engine.get_file(node, &file.path).await?;
        let is_same = match &there {
            Some(there) => there == file.content.expose().as_bytes(),
            None => file.content.is_empty(),
        };
        if is_same {
            continue;
        }
        engine.put_files(node, std::slice::from_ref(&file)).await?;
        engine.stop(node, GRACE).await?;
        engine.start(node).await?;
        let client = access::wait(job, node).await?;
        if super::becomes_ready(job) {
            k8s::wait_node(&client, node, true, job.work.report).await?;
        }
    }
    Ok(())
}

fn with_role<'a>(members: &'a [Listed], wanted: &'a str) -> impl Iterator<Item = &'a Listed> {
    members.iter().filter(move |one| role(one) == wanted)
}

fn role(one: &Listed) -> &str {
    one.labels.get(ROLE).map(String::as_str).unwrap_or_default()
}
