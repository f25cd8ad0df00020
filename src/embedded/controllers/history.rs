//! History: what happened is remembered for five minutes, as long as the real server keeps it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::embedded::server::Server;

/// How often a mark is set.
const STEP: Duration = Duration::from_secs(30);
/// How many marks back history reaches.
const MARKS: usize = 10;

/// Lets the store forget, for as long as the task lives.
pub(super) async fn run(server: Server) {
    let mut marks = VecDeque::with_capacity(MARKS + 1);
    loop {
        marks.push_back(server.store().revision());
        if marks.len() > MARKS
            && let Some(revision) = marks.pop_front()
        {
            server.store().forget(revision);
        }
        tokio::time::sleep(STEP).await;
    }
}
