//! A fresh embedded control plane for a test: in the test's own process and with a limit of time, or its folder alone.

use std::time::Duration;

use ksail::embedded::InProcess;
use ksail::embedded::home::{Home, Identity};

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

/// A cluster's folder that nobody serves yet.
pub(crate) fn made(name: &str) -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity {
        name: name.to_owned(),
        kubernetes: "1.35.4".to_owned(),
        port: None,
    };
    let home = Home::create(&folder.path().join(name), &identity).unwrap();
    (folder, home)
}
