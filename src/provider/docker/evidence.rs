//! What is kept of a creation that fails: logs and inspections of every container, in a folder that outlives the roll
//! back and that the error names.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Job;
use crate::docker::{Engine, Tail};
use crate::error::Error;
use crate::state::{State, write_whole};

/// Keeps what the containers said and names the folder in the error; a folder that cannot be written changes nothing.
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
    let mut wrote = write(&folder, "problem.txt", &format!("{error:?}\n"));
    for member in &members {
        wrote |= container(job.engine, &folder, &member.name).await;
    }
    if wrote {
        error.help(format!("logs and inspections are in {}", folder.display()))
    } else {
        error
    }
}

async fn container(engine: &Engine, folder: &Path, name: &str) -> bool {
    let (log, seen) = tokio::join!(engine.logs(name, Tail::All), engine.inspect_raw(name));
    let mut wrote = false;
    if let Ok(log) = log {
        wrote |= write(folder, &format!("{name}.log"), &log);
    }
    if let Ok(mut seen) = seen {
        // The environment may hold credentials of registries.
        if let Some(env) = seen.pointer_mut("/Config/Env") {
            *env = serde_json::Value::String(crate::secret::REDACTED.into());
        }
        let text = serde_json::to_string_pretty(&seen).unwrap_or_default();
        wrote |= write(folder, &format!("{name}.json"), &text);
    }
    wrote
}

fn write(folder: &Path, name: &str, text: &str) -> bool {
    write_whole(&folder.join(name), text.as_bytes()).is_ok()
}
