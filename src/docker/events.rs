//! What happens to containers, as it happens.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::EventsOptions;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use super::Engine;
use super::fault::fault;
use crate::diag::codes::docker::NOT_IN_TIME;
use crate::error::{Error, Result};

/// One thing that happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// What, such as `start` or `die`.
    pub action: String,
    /// The container's name.
    pub container: String,
    /// What its process ended with, on `die`.
    pub exit_code: Option<i64>,
}

impl Engine {
    /// Follows what happens to containers that have this label (`key` or `key=value`).
    pub fn events(&self, label: &str) -> BoxStream<'static, Result<Happened>> {
        let filters = HashMap::from([
            ("type".to_string(), vec!["container".to_string()]),
            ("label".to_string(), vec![label.to_string()]),
        ]);
        let options = EventsOptions {
            filters: Some(filters),
            ..EventsOptions::default()
        };
        let stream = self.client.events(Some(options));
        stream
            .map(|event| {
                let event = event.map_err(|cause| fault("following the engine's events", cause))?;
                let attributes = event
                    .actor
                    .and_then(|actor| actor.attributes)
                    .unwrap_or_default();
                Ok(Happened {
                    action: event.action.unwrap_or_default(),
                    container: attributes.get("name").cloned().unwrap_or_default(),
                    exit_code: attributes
                        .get("exitCode")
                        .and_then(|code| code.parse().ok()),
                })
            })
            .boxed()
    }

    /// What happened to containers that have this label since a second of 1970, a line each.
    pub async fn history(&self, label: &str, since: i64) -> Result<String> {
        let filters = HashMap::from([("label".to_string(), vec![label.to_string()])]);
        let until = jiff::Timestamp::now().as_second();
        let options = EventsOptions {
            since: Some(since.to_string()),
            until: Some(until.to_string()),
            filters: Some(filters),
        };
        let mut stream = self.client.events(Some(options));
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            let event = event.map_err(|cause| fault("reading the engine's events", cause))?;
            let at = jiff::Timestamp::from_second(event.time.unwrap_or_default());
            let who = event
                .actor
                .and_then(|actor| actor.attributes)
                .unwrap_or_default();
            let of = |key: &str| who.get(key).cloned().unwrap_or_default();
            let action = event.action.unwrap_or_default();
            let at = at.unwrap_or_default();
            text += &format!("{at} {action} {} {}\n", of("name"), of("exitCode"));
        }
        Ok(text)
    }

    /// Carries work out that asks a container of this label until it answers. The work is begun again after each event
    /// of theirs and at the latest after `pace`, until it gives an answer or nothing comes of it for so long. Services in
    /// containers do not tell when they listen, so that asking again is all there is.
    pub async fn until<'a, T>(
        &self,
        label: &str,
        what: &str,
        pace: Duration,
        patience: Duration,
        mut ask: impl FnMut() -> BoxFuture<'a, Result<Option<T>>> + Send,
    ) -> Result<T> {
        let mut events = self.events(label);
        let began = std::time::Instant::now();
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            if began.elapsed() > patience {
                return Err(Error::new(
                    &NOT_IN_TIME,
                    format!("{what} did not answer within {} s", patience.as_secs()),
                )
                .help("`ksail doctor` looks for what the host lacks"));
            }
            let _ = tokio::time::timeout(pace, events.next().map(|_| ())).await;
        }
    }
}
