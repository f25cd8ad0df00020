//! The embedded control plane: a Kubernetes API server inside the process.
//!
//! | part | what it does |
//! |---|---|
//! | [`store`] | objects, revisions, one window of changes, the log on disk |
//! | [`api`] | what requests ask for: paths, discovery, selectors, reads, watches, answers |
//! | [`mod@write`] | the one way in which objects change |
//! | [`access`] | who asks, and whether they may |
//! | [`audit`] | who asked for what, written down on request |
//! | `admission` | what may refuse or change what is written: policies, webhooks, limits, quotas |
//! | `cel` | the expression language of rules and policies |
//! | `controllers` | what makes objects live: deployments, jobs, namespaces, … |
//! | `scheduler` | which node a pod goes to, or why none |
//! | `stages` | nodes and pods that are simulated |
//! | [`table`] | objects as rows |
//! | [`kinds`] | what the built-in kinds look like |
//! | [`serve`] | sockets and TLS |
//! | [`proto`] | protobuf of the built-in kinds |
//! | [`home`] | the folder of a cluster |
//! | [`snapshot`] | its contents saved, put back, and the beginning of another cluster |
//! | [`process`] | the detached process that serves it |
//!
//! [`Server`] ties them together and is also the handle that controllers use in process: reads are plain calls, writes go
//! the same way as those that come over HTTP. Nothing here has a handler per kind; what differs between kinds is data, or
//! a small rule listed in one table. To add a kind, add it to the catalog.

pub mod access;
mod admission;
pub mod api;
pub mod audit;
mod canonical;
mod cel;
mod controllers;
pub mod home;
mod in_process;
pub mod kinds;
pub mod process;
pub mod proto;
mod quantity;
mod reach;
mod scheduler;
pub mod serve;
mod server;
pub mod snapshot;
mod stages;
pub mod store;
pub mod table;
pub mod write;

pub use in_process::InProcess;
pub use server::{Server, Settings};
