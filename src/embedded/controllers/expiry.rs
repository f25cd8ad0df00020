//! Events that are forgotten an hour after they were last seen.

use std::time::Duration;

use serde_json::Value;

use super::owned::text;
use super::{Context, Controller, Next};
use crate::embedded::api::status::Status;
use crate::embedded::store::{Change, ChangeKind};
use crate::embedded::write::{Deletion, Options};

/// How long an event is kept, in seconds.
const KEPT: i64 = 3600;

/// The controller.
pub(super) struct Events;

impl Controller for Events {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "events")]
    }

    fn keys(&mut self, _: &Context, _: usize, change: &Change) -> Vec<String> {
        // One look at its time will see whether it was seen again since.
        match change.kind {
            ChangeKind::Added => vec![change.object.key().to_owned()],
            _ => Vec::new(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "events")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let left = last_seen(&object.value()) + KEPT - jiff::Timestamp::now().as_second();
        if let Ok(left) = u64::try_from(left)
            && left > 0
        {
            return Ok(Next::After(Duration::from_secs(left)));
        }
        let options = Options::controller("kube-apiserver");
        let (namespace, name) = (object.namespace(), object.name());
        context
            .server
            .delete(&kind, namespace, name, &Deletion::now(), &options)
            .await?;
        Ok(Next::Done)
    }
}

/// When an event was last seen, in seconds since 1970.
fn last_seen(event: &Value) -> i64 {
    let places = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let time = |at: &str| text(event, at).parse::<jiff::Timestamp>().ok();
    let times = places.into_iter().filter_map(time);
    times.map(jiff::Timestamp::as_second).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::last_seen;

    #[test]
    fn the_latest_time_counts() {
        let event = json!({
            "lastTimestamp": "2026-01-01T00:00:10Z", "eventTime": null,
            "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        });
        let early = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(last_seen(&event) - last_seen(&early), 10);
    }
}
