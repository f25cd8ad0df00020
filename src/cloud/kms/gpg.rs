//! Keys that only GnuPG holds: its agent opens them, through the `gpg` command where it is there.
//!
//! Used after the exported keys did not help, never needed otherwise.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::sources::KeySources;
use crate::cipher::key::Part;
use crate::diag::codes::cipher::{NO_PGP_KEY, PGP_FAILED};
use crate::error::{Error, Result};

/// Opens a locked part.
pub(super) async fn unlock(sources: &KeySources, enc: &str) -> Result<Part> {
    let program = sources.variable("SOPS_GPG_EXEC").unwrap_or("gpg");
    let mut command = Command::new(program);
    command
        .args(["--no-default-recipient", "--quiet", "--decrypt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(folder) = sources.variable("GNUPGHOME") {
        command.env("GNUPGHOME", folder);
    }
    let mut child = command.spawn().map_err(|cause| {
        Error::new(
            &NO_PGP_KEY,
            format!("GnuPG cannot be asked: `{program}` does not start"),
        )
        .because(cause)
    })?;
    if let Some(mut input) = child.stdin.take() {
        // gpg that stops early closes the pipe; its own message says why.
        let _ = input.write_all(enc.as_bytes()).await;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|cause| failed("it was stopped").because(cause))?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(Part::new(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().rsplit("gpg: ").next().unwrap_or_default();
    Err(failed(said.trim()))
}

fn failed(why: &str) -> Error {
    Error::new(
        &PGP_FAILED,
        format!("GnuPG does not open the data key: {why}"),
    )
}
