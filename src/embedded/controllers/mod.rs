//! What makes objects live: one small loop per kind of work, woken by what is written.
//!
//! A [`Controller`] says which kinds wake it, which keys a change is about, and what to do about a key. The loop in
//! `runtime` keeps the keys that wait, calls it, tries again after failures and later where it asks for that. Nothing polls:
//! an idle cluster costs nothing but heartbeats. All writes go through the one write path.
//!
//! To add a controller: a file with a type that implements [`Controller`], and a line in [`spawn`].

mod adoption;
mod aggregation;
mod api_services;
mod autoscaler;
mod budgets;
mod certificates;
pub(super) mod cron_job;
mod daemon_set;
mod deployment;
mod endpoints;
mod event;
mod eviction;
mod expiry;
mod garbage;
mod history;
mod job;
mod load_balancers;
mod namespace;
mod node_health;
mod owned;
pub(super) mod pods;
mod quotas;
mod replica_set;
mod revisions;
pub(super) mod runtime;
mod service_account;
mod stateful_set;
mod template;
mod volumes;

pub(super) use event::Event;
pub(super) use pods::{Pod, Pods};
pub(super) use runtime::{Context, Controller, Next};

use std::sync::Arc;

use tokio::task::JoinSet;

use super::scheduler::Scheduler;
use super::server::Server;
use super::stages;

/// The running controllers; they end when this is dropped.
pub(super) struct Running {
    _tasks: JoinSet<()>,
}

/// Starts everything that makes a cluster live.
pub(super) fn spawn(server: &Server) -> Running {
    let mut tasks = JoinSet::new();
    let context = Context {
        server: server.clone(),
        pods: Arc::new(Pods::new(server)),
    };
    tasks.spawn(runtime::run(context.clone(), stages::node::Nodes));
    tasks.spawn(stages::node::heartbeats(server.clone()));
    tasks.spawn(runtime::run(
        context.clone(),
        stages::pod::Kubelet::default(),
    ));
    tasks.spawn(runtime::run(
        context.clone(),
        stages::own::Stages::default(),
    ));
    tasks.spawn(runtime::run(context.clone(), Scheduler::default()));
    tasks.spawn(runtime::run(context.clone(), deployment::Deployments));
    tasks.spawn(runtime::run(
        context.clone(),
        replica_set::ReplicaSets::of_apps(),
    ));
    tasks.spawn(runtime::run(
        context.clone(),
        replica_set::ReplicaSets::of_core(),
    ));
    tasks.spawn(runtime::run(context.clone(), stateful_set::StatefulSets));
    tasks.spawn(runtime::run(context.clone(), daemon_set::DaemonSets));
    tasks.spawn(runtime::run(context.clone(), job::Jobs));
    tasks.spawn(runtime::run(context.clone(), cron_job::CronJobs));
    tasks.spawn(namespace::run(server.clone()));
    tasks.spawn(runtime::run(
        context.clone(),
        eviction::Evictions::default(),
    ));
    tasks.spawn(runtime::run(
        context.clone(),
        node_health::NodeHealth::default(),
    ));
    tasks.spawn(runtime::run(
        context.clone(),
        service_account::ServiceAccounts,
    ));
    tasks.spawn(runtime::run(context.clone(), volumes::Volumes::default()));
    tasks.spawn(runtime::run(context.clone(), load_balancers::LoadBalancers));
    tasks.spawn(runtime::run(context.clone(), budgets::Budgets));
    tasks.spawn(runtime::run(context.clone(), autoscaler::Autoscalers));
    tasks.spawn(runtime::run(context.clone(), expiry::Events));
    tasks.spawn(runtime::run(context.clone(), quotas::Quotas));
    tasks.spawn(runtime::run(context.clone(), certificates::Certificates));
    tasks.spawn(runtime::run(context.clone(), aggregation::Aggregation));
    tasks.spawn(runtime::run(
        context.clone(),
        endpoints::Endpoints::default(),
    ));
    tasks.spawn(runtime::run(context, api_services::Availability));
    tasks.spawn(api_services::register(server.clone()));
    tasks.spawn(garbage::run(server.clone()));
    tasks.spawn(history::run(server.clone()));
    Running { _tasks: tasks }
}
