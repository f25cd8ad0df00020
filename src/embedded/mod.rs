//! The embedded control plane: a Kubernetes API server inside the process.

pub mod store;
