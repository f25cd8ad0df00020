//! What is simulated: nodes that are ready and pods that run, without a machine or a container behind them.

pub(super) mod kinds;
pub(super) mod node;
pub(super) mod own;
pub(super) mod pod;
mod select;
mod template;
