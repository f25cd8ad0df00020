//! Clusters with a time to live are removed by a process of their own, one for each state folder, that outlives the run.
//!
//! [`Bell`] is what commands hold: it writes a cluster's end down and wakes the process, or starts it. [`serve`] is what
//! the process does: it sleeps until the next end, has `ksail cluster delete` remove what is due, and ends when nothing
//! is left to wait for. The named pipe `reaper` in the state folder has a reader exactly as long as the process listens;
//! the lock `reaper.lock` holds that there is one.

mod bell;
mod serve;

pub use bell::Bell;
pub use serve::serve;

/// What the process writes when it listens.
const READY: &str = "ready\n";
/// The pipe that wakes it, in the state folder.
const PIPE: &str = "reaper";
/// The lock that it holds, in the state folder.
const LOCK: &str = "reaper.lock";
/// Where it says what it did, in the state folder.
const LOG: &str = "reaper.log";
