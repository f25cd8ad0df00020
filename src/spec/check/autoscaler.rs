//! Node autoscaling: where there is any, and whether the account allows what the pools can grow to.

use super::super::{Options, Tree};
use crate::axis::{Distribution, Provider};
use crate::diag::codes::model::{BAD_VALUE, CONTRADICTION, NOT_ON_DISTRIBUTION};
use crate::error::Error;

/// Says what is wrong with the pools.
pub(super) fn check(
    settings: &Options,
    distribution: Distribution,
    provider: Provider,
    nodes: u32,
    options: &Options,
    problems: &mut Vec<Error>,
) {
    let node = settings
        .get("autoscaler")
        .and_then(|a| a.as_map()?.get("node")?.as_map());
    let Some(node) = node.filter(|node| node.get("enabled").and_then(Tree::as_bool) == Some(true))
    else {
        return;
    };
    let field = "autoscaler.node";
    if (distribution, provider) != (Distribution::Talos, Provider::Hetzner) {
        problems.push(
            Error::new(
                &NOT_ON_DISTRIBUTION,
                "node autoscaling is for Talos on Hetzner",
            )
            .help("leave it out")
            .field(field),
        );
        return;
    }
    let pools = node
        .get("pools")
        .and_then(Tree::as_list)
        .unwrap_or_default();
    if pools.is_empty() {
        problems.push(
            Error::new(&CONTRADICTION, "node autoscaling is on and has no pools")
                .help("add `pools: [#{ name: \"workers\", location: \"fsn1\", max: 3 }]`")
                .field(field),
        );
    }
    let number = |map: &Options, key: &str, default: i64| {
        map.get(key).and_then(Tree::as_int).unwrap_or(default)
    };
    let mut reach = i64::from(nodes);
    for (index, pool) in pools.iter().filter_map(Tree::as_map).enumerate() {
        let (min, max) = (number(pool, "min", 0), number(pool, "max", 1));
        reach += max;
        if min > max {
            problems.push(
                Error::new(
                    &CONTRADICTION,
                    format!("the pool's `min` ({min}) is above its `max` ({max})"),
                )
                .help("raise `max` or lower `min`")
                .field(format!("{field}.pools[{index}]")),
            );
        }
    }
    let most = number(node, "max_nodes_total", 0);
    if most > 0 {
        reach = reach.min(most.max(i64::from(nodes)));
    }
    // Talos keeps one server free, to build boot images with.
    let limit = number(options, "server_limit", 10) - 1;
    if reach > limit {
        problems.push(
            Error::new(
                &BAD_VALUE,
                format!("the pools can grow to {reach} servers and the account allows {limit}"),
            )
            .help("lower `max`, set `max_nodes_total`, or raise the provider's `server_limit`")
            .field(field),
        );
    }
}
