//! Which failures are tried again, and how soon: the one place that decides.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::diag::Kind;
use crate::error::Error;

/// How often a step is tried in all.
const TRIES: u32 = 3;

/// Whether a failure may pass by itself.
pub(super) fn again(error: &Error, attempt: u32) -> bool {
    attempt < TRIES && error.kind() == Kind::Unavailable
}

/// Waits before the next try, longer each time; ends at once when cancelled.
pub(super) async fn pause(attempt: u32, cancel: &CancellationToken) {
    let wait = Duration::from_millis(100) * 4u32.saturating_pow(attempt.saturating_sub(2));
    let _ = tokio::time::timeout(wait, cancel.cancelled()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes::model::BAD_VALUE;
    use crate::diag::codes::run::API_FAILED;

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let passing = Error::new(&API_FAILED, "refused");
        assert!(again(&passing, 1) && again(&passing, 2) && !again(&passing, 3));
        assert!(!again(&Error::new(&BAD_VALUE, "wrong"), 1));
    }
}
