//! One line for what a reader of a log wants to know.

use crate::cli::show;
use crate::world::{Event, Happening, Listener};

pub(super) struct Lines;

impl Listener for Lines {
    fn hear(&self, event: Event) {
        if let Some(line) = line(&event) {
            show::note(&line);
        }
    }
}

/// The line of an event; the beginning of a step is worth none, for its end says the same.
pub(super) fn line(event: &Event) -> Option<String> {
    let cluster = &event.cluster;
    let step = event.step.as_deref().unwrap_or_default();
    Some(match &event.what {
        Happening::ClusterStarted { verb, steps } => format!("{cluster}: {verb}, {steps} steps"),
        Happening::ClusterDone { took } => format!("{cluster}: done in {took:.1?}"),
        Happening::ClusterFailed { message, code } => {
            format!("{cluster}: failed [{code}]: {message}")
        }
        Happening::StepDone { took } => format!("{cluster}: {step} done in {took:.1?}"),
        Happening::StepFailed { message } => format!("{cluster}: {step} failed: {message}"),
        Happening::Retrying { message, attempt } => {
            format!("{cluster}: {step} failed, try {attempt} follows: {message}")
        }
        Happening::Waiting { on, saw } => format!("{cluster}: waiting for {on}: {saw}"),
        Happening::RollingBack => format!("{cluster}: taking back what was begun"),
        Happening::Warning { text } => format!("{cluster}: warning: {text}"),
        Happening::Printed { text } => format!("{cluster}: {text}"),
        Happening::StepStarted { .. } => return None,
    })
}
