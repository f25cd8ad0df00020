//! A home folder for a test: ksail as people use it, in a place of its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A home of its own; whatever clusters were made in it are removed at the end.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program that lives in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.0.path())
            .env("KSAIL_HOME", self.path("state"))
            .env("KUBECONFIG", self.path("kubeconfig"))
            // A home of its own sees no clusters of the machine, and removes none.
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env_remove("CI")
            .stdin(Stdio::null());
        command
    }

    /// Runs ksail in it.
    pub(crate) fn ksail(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_ksail"))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs, wants success and gives standard output.
    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        let output = self.ksail(arguments);
        assert!(output.status.success(), "{arguments:?}\n{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.ksail(&["cluster", "delete", "--all", "--yes"]);
    }
}

/// Everything a process printed.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
