//! Logs of containers: their end, and waiting for a line by following them.

use std::time::{Duration, Instant};

use bollard::query_parameters::LogsOptions;
use futures::{Stream, StreamExt as _};

use super::Engine;
use super::fault::{OTHER_PLATFORM, fault};
use super::look::Life;
use crate::diag::codes::docker::{CONTAINER_ENDED, NOT_IN_TIME, WRONG_PLATFORM};
use crate::error::{Error, Result};

/// How many lines of a log go into a message.
const LINES: usize = 12;

/// How much of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// All there is.
    All,
    /// The last lines.
    Lines(usize),
    /// What came since this second since 1970.
    Since(i32),
}

impl Engine {
    /// The log of a container as text, both streams as they came.
    pub async fn logs(&self, container: &str, tail: Tail) -> Result<String> {
        let mut parts = Box::pin(self.stream(container, tail, false));
        let mut text = Vec::new();
        while let Some(part) = parts.next().await {
            text.extend_from_slice(
                &part.map_err(|cause| fault(format!("reading the log of {container}"), cause))?,
            );
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits until a line of the log is accepted and gives it back. Fails when the container ends, or when no new line
    /// comes for so long.
    pub async fn wait_line(
        &self,
        container: &str,
        tail: Tail,
        patience: Duration,
        accept: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<String> {
        let mut parts = Box::pin(self.stream(container, tail, true));
        let mut open = Vec::new();
        let mut last = String::new();
        let mut heard = Instant::now();
        loop {
            let left = patience.saturating_sub(heard.elapsed());
            let Ok(part) = tokio::time::timeout(left, parts.next()).await else {
                let message = format!(
                    "{container} said nothing new for {} s; its last line was {last:?}",
                    patience.as_secs()
                );
                return Err(Error::new(&NOT_IN_TIME, message)
                    .help(format!("`docker logs {container}` shows the whole log")));
            };
            let Some(part) = part else {
                return Err(self.ended(container).await);
            };
            let part =
                part.map_err(|cause| fault(format!("following the log of {container}"), cause))?;
            heard = Instant::now();
            for byte in part {
                if byte == b'\n' {
                    last = String::from_utf8_lossy(&open).trim_end().to_string();
                    open.clear();
                    if accept(&last) {
                        return Ok(last);
                    }
                } else {
                    open.push(byte);
                }
            }
            // What has no end of line yet may be the line: programs with a terminal ask without one.
            let partial = String::from_utf8_lossy(&open);
            if !open.is_empty() && accept(partial.trim_end()) {
                return Ok(partial.trim_end().to_string());
            }
        }
    }

    /// Says that a container ended, with the end of its log.
    pub async fn ended(&self, container: &str) -> Error {
        let state = match self.inspect(container).await {
            Ok(Some(seen)) if seen.life == Life::Running => "was restarted".to_string(),
            Ok(Some(seen)) if !seen.error.is_empty() => format!("ended: {}", seen.error),
            Ok(Some(seen)) => format!("ended with {}", seen.exit_code),
            Ok(None) => "was removed".to_string(),
            Err(problem) => return problem,
        };
        let log = self
            .logs(container, Tail::Lines(LINES))
            .await
            .unwrap_or_default();
        if log.to_lowercase().contains("exec format error") {
            let message = format!("the image of the container {container} is for another platform");
            return Error::new(&WRONG_PLATFORM, message)
                .because(log.trim().to_string())
                .help(OTHER_PLATFORM);
        }
        Error::new(
            &CONTAINER_ENDED,
            format!("the container {container} {state}"),
        )
        .because(log.trim().to_string())
        .help("`ksail doctor` looks for what the host lacks")
    }

    fn stream(
        &self,
        container: &str,
        tail: Tail,
        follow: bool,
    ) -> impl Stream<Item = Result<Vec<u8>, bollard::errors::Error>> {
        let options = LogsOptions {
            follow,
            stdout: true,
            stderr: true,
            since: match tail {
                Tail::Since(second) => second,
                _ => 0,
            },
            tail: match tail {
                Tail::Lines(lines) => lines.to_string(),
                _ => "all".to_string(),
            },
            ..LogsOptions::default()
        };
        let stream = self.client.logs(container, Some(options));
        stream.map(|part| part.map(|output| output.into_bytes().to_vec()))
    }
}
