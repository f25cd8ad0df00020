//! `ksail cluster info`.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::axis::Provider;
use crate::cli::{Context, Output, machine, show};
use crate::error::Result;
use crate::facts::Facts;
use crate::ops;

const EXAMPLES: &str = "Examples:
  ksail cluster info dev
  ksail cluster info embedded-dev --output json";

/// Show what is known of a cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The cluster, by name or context
    name: String,
    /// Look only at this provider
    #[arg(long, short = 'p', value_parser = super::provider)]
    provider: Option<Provider>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<ExitCode> {
    let world = machine::world()?;
    let facts = machine::block_on(async |_| {
        ops::cluster::find(world.as_ref(), &args.name, args.provider).await
    })?;
    if cx.output == Output::Json {
        show::json(&facts);
    } else {
        show::data(&text(&facts));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(facts: &Facts) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    row("Cluster", facts.name.as_str());
    row("Distribution", &facts.distribution.to_string());
    row("Provider", &facts.provider.to_string());
    row("Status", facts.state.word());
    row(
        "Kubernetes",
        facts.kubernetes.as_deref().unwrap_or("unknown"),
    );
    row("Endpoint", facts.endpoint.as_deref().unwrap_or("none"));
    let context = if facts.has_context {
        ""
    } else {
        " (not in the kubeconfig)"
    };
    row("Context", &format!("{}{context}", facts.context));
    let components: Vec<&str> = facts
        .components
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "brought")
        .collect();
    row(
        "Components",
        &if components.is_empty() {
            "none".to_string()
        } else {
            components.join(", ")
        },
    );
    if let Some(expires) = facts.expires {
        row("Time to live", &super::time_left(expires));
    }
    for node in &facts.nodes {
        let state = if node.ready { "Ready" } else { "NotReady" };
        row("Node", &format!("{} {state} {}", node.name, node.version));
    }
    text
}
