//! A line for each cluster that moves: what is being done, what is waited for, what was last seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::plain;
use crate::world::{Event, Happening, Listener};

#[derive(Default)]
pub(super) struct Live {
    all: MultiProgress,
    clusters: Mutex<BTreeMap<String, Row>>,
}

struct Row {
    bar: ProgressBar,
    running: BTreeMap<String, String>,
}

impl Live {
    pub(super) fn clear(&self) {
        let _ = self.all.clear();
    }

    fn update(&self, event: &Event) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let step = event.step.clone().unwrap_or_default();
        match &event.what {
            Happening::ClusterStarted { verb, steps } => {
                let bar = self.all.add(ProgressBar::new(*steps as u64));
                if let Ok(style) = ProgressStyle::with_template(
                    "{spinner} {prefix:24} [{pos}/{len}] {elapsed} {wide_msg}",
                ) {
                    bar.set_style(style);
                }
                bar.set_prefix(format!("{verb} {}", event.cluster));
                bar.enable_steady_tick(Duration::from_millis(120));
                clusters.insert(
                    event.cluster.clone(),
                    Row {
                        bar,
                        running: BTreeMap::new(),
                    },
                );
            }
            Happening::StepStarted { title } => {
                if let Some(row) = clusters.get_mut(&event.cluster) {
                    row.running.insert(step, title.clone());
                    row.show();
                }
            }
            Happening::Waiting { on, saw } => {
                if let Some(row) = clusters.get_mut(&event.cluster) {
                    row.running.insert(step, format!("waiting for {on}: {saw}"));
                    row.show();
                }
            }
            Happening::StepDone { .. } => {
                if let Some(row) = clusters.get_mut(&event.cluster) {
                    row.running.remove(&step);
                    row.bar.inc(1);
                    row.show();
                }
            }
            Happening::ClusterDone { .. } | Happening::ClusterFailed { .. } => {
                if let Some(row) = clusters.remove(&event.cluster) {
                    row.bar.finish_and_clear();
                    let mark = if matches!(event.what, Happening::ClusterDone { .. }) {
                        "✔"
                    } else {
                        "✗"
                    };
                    let line = plain::line(event).unwrap_or_default();
                    let _ = self.all.println(format!("{mark} {line}"));
                }
            }
            _ => {
                if let Some(line) = plain::line(event) {
                    let _ = self.all.println(line);
                }
            }
        }
    }
}

impl Listener for Live {
    fn hear(&self, event: Event) {
        self.update(&event);
    }
}

impl Row {
    fn show(&self) {
        let texts: Vec<&str> = self.running.values().map(String::as_str).collect();
        self.bar.set_message(texts.join(" · "));
    }
}
