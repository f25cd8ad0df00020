//! History: what happened is remembered for five minutes, as long as the real server keeps it, and at hand while it is new.

use std::collections::VecDeque;
use std::time::Duration;

use crate::embedded::server::Server;

/// How often a mark is set.
const STEP: Duration = Duration::from_secs(30);
/// How many marks back history reaches.
const MARKS: usize = 10;
/// With fewer writes than that between two marks it is quiet.
const QUIET: u64 = 2048;

/// Lets the store forget, for as long as the task lives.
pub(super) async fn run(server: Server) {
    let mut marks = VecDeque::with_capacity(MARKS + 1);
    let mut last = 0;
    loop {
        let now = server.store().revision();
        // Where little happens, little needs to be at hand.
        if now - last < QUIET {
            server.store().cool();
        }
        last = now;
        marks.push_back(now);
        if marks.len() > MARKS
            && let Some(revision) = marks.pop_front()
        {
            server.store().forget(revision);
        }
        tokio::time::sleep(STEP).await;
    }
}
