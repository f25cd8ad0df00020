//! What is kept of a creation that fails, in a folder that outlives the roll back and that the error names: the problem,
//! every container's log and inspection, the nodes' own journals, the engine's events, and what the API says of nodes,
//! pods and events where it still answers.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;

use super::Job;
use crate::docker::{Engine, Listed, Tail, labels};
use crate::error::Error;
use crate::k8s;
use crate::state::{State, write_whole};

/// How long the API of a cluster that failed is listened to.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far back the engine's events are of interest, in seconds.
const WINDOW: u64 = 3_600;
/// What is asked of the API, and the file it goes into.
const OBJECTS: &[(&str, &str)] = &[
    ("/api/v1/nodes", "nodes.json"),
    ("/api/v1/pods", "pods.json"),
    ("/api/v1/events", "events.json"),
];

/// Keeps what there is and names the folder in the error; a folder that cannot be written changes nothing.
pub(super) async fn keep(job: &Job<'_>, store: &State, error: Error) -> Error {
    let Ok(members) = job.everything().await else {
        return error;
    };
    if members.is_empty() {
        return error;
    }
    let second = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let folder = store.run(&format!("{}-{second}", job.work.context));
    if !write(&folder, "problem.txt", &format!("{error:?}\n")) {
        return error;
    }
    let containers = members.iter().map(|one| container(job, &folder, one));
    tokio::join!(
        join_all(containers),
        events(job, &folder, second.saturating_sub(WINDOW)),
        objects(job, &folder),
    );
    error.help(format!("logs and inspections are in {}", folder.display()))
}

/// The log, the inspection and the journals of one container.
async fn container(job: &Job<'_>, folder: &Path, member: &Listed) {
    let (engine, name) = (job.engine, member.name.as_str());
    let (log, seen, journals) = tokio::join!(
        engine.logs(name, Tail::All),
        engine.inspect_raw(name),
        job.maker.journals(engine, member)
    );
    if let Ok(log) = log {
        write(folder, &format!("{name}.log"), &log);
    }
    if let Ok(mut seen) = seen {
        // The environment may hold credentials of registries.
        if let Some(env) = seen.pointer_mut("/Config/Env") {
            *env = serde_json::Value::String(crate::secret::REDACTED.into());
        }
        let text = serde_json::to_string_pretty(&seen).unwrap_or_default();
        write(folder, &format!("{name}.json"), &text);
    }
    for (what, text) in journals {
        write(folder, &format!("{name}.{what}.log"), &text);
    }
}

async fn events(job: &Job<'_>, folder: &Path, since: u64) {
    let label = format!("{}={}", labels::CLUSTER, job.work.context);
    let since = i64::try_from(since).unwrap_or_default();
    if let Ok(text) = job.engine.history(&label, since).await {
        write(folder, "engine-events.txt", &text);
    }
}

async fn objects(job: &Job<'_>, folder: &Path) {
    let ask = async {
        let Ok(client) = job.client().await else {
            return;
        };
        for (path, file) in OBJECTS {
            if let Ok(text) = k8s::raw(&client, path).await {
                write(folder, file, &text);
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE, ask).await;
}

/// What systemd wrote of a unit; nothing of a container that does not run.
pub(super) async fn journal(engine: &Engine, container: &str, unit: &str) -> Option<String> {
    let argv = ["journalctl", "--no-pager", "-u", unit];
    let output = engine.exec(container, &argv, None).await.ok()?;
    Some(output.text())
}

fn write(folder: &Path, name: &str, text: &str) -> bool {
    write_whole(&folder.join(name), text.as_bytes()).is_ok()
}
