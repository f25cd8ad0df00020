//! Secrets: texts that never show.

use rhai::{Engine, ImmutableString};

use super::{Entry, value_type};
use crate::secret::{REDACTED, Secret};

pub(super) fn register(engine: &mut Engine) {
    value_type::<Secret>(engine, "Secret", |_| REDACTED.to_string());
    engine.register_fn("secret", |text: ImmutableString| {
        Secret::new(text.to_string())
    });
}

pub(super) const DOCS: &[Entry] = &[Entry {
    group: "cipher",
    name: "secret",
    signatures: &["secret(text)"],
    summary: "Makes a secret of a text: it flows into options and never shows in output, plans or files.",
    example: "cluster(\"dev\", #{ distribution: k3s(), registries: [#{ host: \"ghcr.io\", username: \"me\", password: secret(env(\"KSAIL_TOKEN\")) }] })",
}];
