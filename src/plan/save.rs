//! Plans as files: what was planned, with a fingerprint that tells whether it still holds.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Plan;
use crate::diag::codes::plan::{DRIFTED, PLAN_UNREADABLE, PLAN_VERSION};
use crate::error::{Error, Result};

/// The version of the file's form.
const VERSION: u64 = 1;

/// Says of a plan what must be the same for it to still hold: clusters, changes and steps.
pub fn fingerprint(plan: &Plan) -> String {
    let text = serde_json::to_string(plan).unwrap_or_default();
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A plan as it was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    fingerprint: String,
}

impl Saved {
    /// Writes a plan; secrets are redacted.
    pub fn text(plan: &Plan) -> String {
        let file = json!({ "ksail_plan": VERSION, "fingerprint": fingerprint(plan), "plan": plan });
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Reads a saved plan.
    pub fn parse(text: &str) -> Result<Self> {
        let help = "make a new one with `ksail plan FILE --out plan.json`";
        let file: Value = serde_json::from_str(text).map_err(|error| {
            Error::new(&PLAN_UNREADABLE, "the file is no plan")
                .because(error)
                .help(help)
        })?;
        match file.get("ksail_plan").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => {
                let message = format!(
                    "the plan file has version {other}, and this ksail writes version {VERSION}"
                );
                return Err(Error::new(&PLAN_VERSION, message).help(help));
            }
            None => return Err(Error::new(&PLAN_UNREADABLE, "the file is no plan").help(help)),
        }
        match file.get("fingerprint").and_then(Value::as_str) {
            Some(fingerprint) => Ok(Self {
                fingerprint: fingerprint.to_string(),
            }),
            None => {
                Err(Error::new(&PLAN_UNREADABLE, "the plan file has no fingerprint").help(help))
            }
        }
    }

    /// Holds a fresh plan against the saved one.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        if fingerprint(plan) == self.fingerprint {
            return Ok(());
        }
        Err(Error::new(
            &DRIFTED,
            "what is there, or the definition, has changed since the plan was made",
        )
        .help("make a new plan with `ksail plan FILE --out plan.json`, read it and run that"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let plan = Plan::default();
        let saved = Saved::parse(&Saved::text(&plan)).unwrap();
        assert!(saved.check(&plan).is_ok());
        for (text, code) in [
            ("", "E0406"),
            ("{}", "E0406"),
            ("{\"ksail_plan\": 99}", "E0405"),
            ("{\"ksail_plan\": 1}", "E0406"),
            ("[1", "E0406"),
        ] {
            assert_eq!(Saved::parse(text).unwrap_err().code().id, code, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = Saved::parse(&text);
        }
    }
}
