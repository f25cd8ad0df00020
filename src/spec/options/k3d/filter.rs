//! Node filters: which nodes an entry of a k3d.yaml is for, such as `server:0`, `agents:*` or `all`.
//!
//! The form is `GROUP[:SUBSET][:SUFFIX]`; a suffix is for ports only.

use crate::diag::codes::model::BAD_VALUE;
use crate::error::{Error, Result};

/// A container of a cluster, as filters see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// A server, counted from 0.
    Server(u32),
    /// An agent, counted from 0.
    Agent(u32),
    /// The load balancer.
    Balancer,
}

/// How a port is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By the load balancer, which passes it on.
    Proxy,
    /// By the node itself.
    Direct,
}

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    group: Group,
    subset: Subset,
    /// How a port is published, where the filter says so.
    pub way: Option<Way>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Servers,
    Agents,
    Balancer,
    All,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subset {
    All,
    Some(Vec<u32>),
    Range(u32, u32),
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |help: &str| {
            Error::new(&BAD_VALUE, format!("{text:?} is no node filter")).help(help.to_string())
        };
        let mut parts = text.split(':');
        let group = match parts.next().unwrap_or_default() {
            "server" | "servers" => Group::Servers,
            "agent" | "agents" => Group::Agents,
            "loadbalancer" => Group::Balancer,
            "all" => Group::All,
            _ => {
                return Err(wrong(
                    "begin with `server`, `agent`, `loadbalancer` or `all`",
                ));
            }
        };
        let is_numbered = matches!(group, Group::Servers | Group::Agents);
        let subset = if is_numbered {
            let subset = parts.next().unwrap_or_default();
            Subset::parse(subset).ok_or_else(|| {
                wrong("say which ones: `server:0`, `agent:0,2`, `agent:0-2` or `server:*`")
            })?
        } else {
            Subset::All
        };
        let way = match parts.next() {
            None => None,
            Some("proxy") => Some(Way::Proxy),
            Some("direct") => Some(Way::Direct),
            Some(_) if !is_numbered => {
                return Err(wrong("only `server` and `agent` are followed by numbers"));
            }
            Some(_) => return Err(wrong("end with `proxy` or `direct`, or with the numbers")),
        };
        if parts.next().is_some() {
            return Err(wrong("use the form GROUP[:NUMBERS][:proxy|:direct]"));
        }
        Ok(Self { group, subset, way })
    }

    /// Whether it picks a container; ports of the load balancer are those of every node.
    pub fn picks(&self, member: Member) -> bool {
        match (self.group, member) {
            (Group::All, _) | (Group::Balancer, Member::Balancer) => true,
            (Group::Servers, Member::Server(index)) | (Group::Agents, Member::Agent(index)) => {
                match &self.subset {
                    Subset::All => true,
                    Subset::Some(list) => list.contains(&index),
                    Subset::Range(low, high) => (*low..=*high).contains(&index),
                }
            }
            _ => false,
        }
    }

    /// Whether it names the load balancer itself.
    pub fn is_balancer(&self) -> bool {
        self.group == Group::Balancer
    }
}

impl Subset {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((low, high)) = text.split_once('-') {
            let (low, high) = (number(low)?, number(high)?);
            return (low <= high).then_some(Self::Range(low, high));
        }
        text.split(',')
            .map(number)
            .collect::<Option<_>>()
            .map(Self::Some)
    }
}

fn number(text: &str) -> Option<u32> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(text: &str, member: Member) -> bool {
        Filter::parse(text).unwrap().picks(member)
    }

    #[test]
    fn picks_by_group_and_number() {
        assert!(picks("server:0", Member::Server(0)));
        assert!(!picks("server:0", Member::Server(1)));
        assert!(picks("agents:0,2", Member::Agent(2)));
        assert!(picks("agent:1-3:direct", Member::Agent(3)));
        assert!(!picks("agent:*", Member::Server(0)));
        assert!(picks("all", Member::Balancer));
        assert!(picks("loadbalancer", Member::Balancer));
        assert!(!picks("loadbalancer", Member::Agent(0)));
    }

    #[test]
    fn reads_how_a_port_is_published() {
        assert_eq!(
            Filter::parse("server:0:direct").unwrap().way,
            Some(Way::Direct)
        );
        assert_eq!(
            Filter::parse("agent:*:proxy").unwrap().way,
            Some(Way::Proxy)
        );
        assert_eq!(Filter::parse("server:*").unwrap().way, None);
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for text in [
            "",
            "node",
            "server",
            "server:",
            "server:x",
            "server:2-1",
            "agent:0:up",
            "all:0",
            "server:0:proxy:x",
            "loadbalancer:*",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
