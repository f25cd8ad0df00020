//! Containers, networks and files as data: what an engine is asked to make.
//!
//! The distributions say what their nodes are made of with these values, so that it can be read and tested without an
//! engine; `crate::docker` turns them into requests.

use std::collections::BTreeMap;

/// A container to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name, which the engine holds to be unique.
    pub name: String,
    /// Its image, with tag or digest.
    pub image: String,
    /// Its host name; the engine's own choice if `None`.
    pub hostname: Option<String>,
    /// What it runs in place of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments; the image's own if `None`.
    pub command: Option<Vec<String>>,
    /// Its environment; `None` takes a variable of the image away.
    pub env: BTreeMap<String, Option<crate::secret::Secret>>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The networks it is in; the first is the one it starts with.
    pub networks: Vec<Attachment>,
    /// The ports it publishes on the host.
    pub ports: Vec<Port>,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    /// In-memory file systems: path to options, such as `/tmp` to ``.
    pub tmpfs: BTreeMap<String, String>,
    /// Whether it may do everything.
    pub privileged: bool,
    /// Security options, such as `seccomp=unconfined`.
    pub security: Vec<String>,
    /// `private` or `host`; the engine's own choice if `None`.
    pub cgroup_namespace: Option<String>,
    /// `host`, or its own.
    pub pid_mode: Option<String>,
    /// Devices of the host, by path.
    pub devices: Vec<String>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Lines for its hosts file, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// When the engine starts it again.
    pub restart: Restart,
    /// Whether it has a terminal, which also decides the form of its logs.
    pub tty: bool,
    /// Whether the engine's init is its first process; the engine's own choice if `None`.
    pub init: Option<bool>,
    /// The most memory it gets, in bytes.
    pub memory: Option<i64>,
    /// The user it runs as; the image's own if `None`.
    pub user: Option<String>,
    /// The signal that asks it to stop; the image's own if `None`.
    pub stop_signal: Option<String>,
    /// Files that are put into it before it starts.
    pub files: Vec<File>,
    /// `host` keeps it out of the engine's user namespace.
    pub user_namespace: Option<String>,
    /// Limits of its processes.
    pub limits: Vec<Limit>,
}

/// A limit of processes, as `ulimit` knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name, such as `nofile`.
    pub name: String,
    /// What holds at first.
    pub soft: i64,
    /// How far a process may raise it.
    pub hard: i64,
}

/// A container's place in a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// Its other names there.
    pub aliases: Vec<String>,
    /// Its fixed IPv4 address there.
    pub address: Option<String>,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The container's port.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// The host's address, such as `127.0.0.1`.
    pub host_address: String,
    /// The host's port; `None` has a free one chosen, free of races.
    pub host: Option<u16>,
}

/// Something mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it comes from.
    pub source: Source,
    /// Its path in the container.
    pub target: String,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// `rprivate`, `rslave` or `rshared`.
    pub propagation: Option<&'static str>,
}

/// Where a mount comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path of the engine's host.
    Host(String),
    /// A named volume.
    Volume(String),
    /// A volume of its own without a name, removed with the container.
    Anonymous,
}

/// When the engine starts a container again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// After it failed, so many times; 0 is without end.
    OnFailure(i64),
    /// Always, but for one that was stopped by hand.
    UnlessStopped,
    /// Always.
    Always,
}

/// A file to put into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path in the container.
    pub path: String,
    /// Its permissions, such as `0o600`.
    pub mode: u32,
    /// What is in it.
    pub content: crate::secret::Secret,
}

/// A network to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
    /// Its subnet; the engine's own choice if `None`.
    pub subnet: Option<String>,
    /// Its IPv6 subnet, which switches IPv6 on.
    pub subnet6: Option<String>,
}
