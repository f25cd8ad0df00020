//! The flags that say how encrypted files are opened: with which keys first, and whether the integrity code must fit.

use std::sync::Arc;

use clap::Args;

use super::super::passphrase;
use crate::cipher::document::Mac;
use crate::error::Result;
use crate::ops::cipher::keys::{Env, Keys, process_env};

/// With which of the keys at hand a file is opened first.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct KeyOrder {
    /// Kinds of keys to try first, with commas: age, pgp, kms, gcp_kms, azure_kv, hc_vault
    #[arg(long, value_name = "KINDS", help_heading = "Keys")]
    decryption_order: Option<String>,
}

impl KeyOrder {
    /// Collects the keys of this user.
    pub(super) fn keys(&self) -> Result<(Env, Keys)> {
        let mut env = process_env();
        if let Some(order) = self.decryption_order.clone() {
            let outer = env;
            env = Arc::new(move |name| match name {
                "SOPS_DECRYPTION_ORDER" => Some(order.clone()),
                _ => outer(name),
            });
        }
        let keys = Keys::collect(&env, passphrase::ask())?;
        Ok((env, keys))
    }
}

/// How encrypted files are opened.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Opening {
    #[command(flatten)]
    order: KeyOrder,
    /// Do not look at the integrity code
    #[arg(long)]
    ignore_mac: bool,
}

impl Opening {
    /// Collects the keys of this user.
    pub(super) fn keys(&self) -> Result<(Env, Keys)> {
        self.order.keys()
    }

    /// Whether the integrity code must fit.
    pub(super) fn mac(&self) -> Mac {
        if self.ignore_mac {
            Mac::Ignore
        } else {
            Mac::Check
        }
    }
}

/// Collects the keys of this user, to be tried in the order that the environment says.
pub(super) fn keys() -> Result<(Env, Keys)> {
    KeyOrder::default().keys()
}
