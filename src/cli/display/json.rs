//! One JSON object a line.

use crate::cli::show;
use crate::world::{Event, Listener};

pub(super) struct Lines;

impl Listener for Lines {
    fn hear(&self, event: Event) {
        show::data(&serde_json::to_string(&event).unwrap_or_default());
    }
}
