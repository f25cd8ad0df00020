//! A fresh embedded control plane for a test, in its own process and with a limit of time.

use std::time::Duration;

use ksail::embedded::InProcess;

/// Runs a test on a fresh control plane, which lives as long as the test.
pub(crate) fn on_a_cluster<F: Future<Output = ()>>(
    minutes: u64,
    test: impl FnOnce(InProcess) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let cluster = InProcess::new().await.unwrap();
        let limit = Duration::from_mins(minutes);
        tokio::time::timeout(limit, test(cluster.clone()))
            .await
            .unwrap();
    });
}
