//! What `run` and `plan` are told about removing.

use crate::ops::fleet::Goal;
use crate::step::Storage;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Removal {
    /// The removal of what the script defines
    #[arg(long)]
    destroy: bool,
    /// With --destroy: also what registries hold, unless another cluster uses it
    #[arg(long, requires = "destroy")]
    delete_storage: bool,
}

impl Removal {
    /// What is to happen to the script's clusters.
    pub(super) fn goal(self) -> Goal {
        if self.destroy {
            Goal::Remove(Storage::asked(self.delete_storage))
        } else {
            Goal::Ensure
        }
    }
}
