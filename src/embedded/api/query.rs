//! The options of a request, as its query string carries them.

use serde_json::json;

use super::path;
use super::selector::{FieldSelector, LabelSelector};
use super::status::{Cause, Status};
use crate::embedded::write::{Propagation, Validation};

/// A query string, read on demand.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string.
    pub fn parse(text: Option<&str>) -> Self {
        Self(path::query(text.unwrap_or_default()))
    }

    /// An option's text; empty if it is not given.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Every value of an option that can be given more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(key, _): &&(String, String)| key == name;
        self.0.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// A switch: given without a value, it is on.
    pub fn flag(&self, name: &str) -> bool {
        self.maybe_flag(name).unwrap_or(false)
    }

    /// A switch that may be left open.
    pub fn maybe_flag(&self, name: &str) -> Option<bool> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(!matches!(
            value.as_str(),
            "0" | "false" | "False" | "f" | "F"
        ))
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }

    /// The label selector.
    pub fn labels(&self) -> Result<LabelSelector, Status> {
        LabelSelector::parse(self.text("labelSelector"))
    }

    /// The field selector.
    pub fn fields(&self) -> Result<FieldSelector, Status> {
        FieldSelector::parse(self.text("fieldSelector"))
    }

    /// Whether the write is only tried.
    pub fn dry_run(&self, of: &str) -> Result<bool, Status> {
        let mut dry = false;
        for value in self.all("dryRun") {
            if value != "All" {
                let cause = Cause::unsupported("dryRun", &json!([value]), &["All"]);
                return Err(Status::invalid_options(of, &[cause]));
            }
            dry = true;
        }
        Ok(dry)
    }

    /// What to do about unknown fields.
    pub fn validation(&self, of: &str) -> Result<Validation, Status> {
        match self.text("fieldValidation") {
            "" | "Warn" => Ok(Validation::Warn),
            "Strict" => Ok(Validation::Strict),
            "Ignore" => Ok(Validation::Ignore),
            other => {
                let allowed = ["", "Ignore", "Strict", "Warn"];
                let cause = Cause::unsupported("fieldValidation", &other.into(), &allowed);
                Err(Status::invalid_options(of, &[cause]))
            }
        }
    }

    /// What becomes of owned objects.
    pub fn propagation(&self) -> Result<Option<Propagation>, Status> {
        propagation(self.text("propagationPolicy"))
    }
}

/// Reads a propagation policy.
pub fn propagation(text: &str) -> Result<Option<Propagation>, Status> {
    match text {
        "" => Ok(None),
        "Orphan" => Ok(Some(Propagation::Orphan)),
        "Background" => Ok(Some(Propagation::Background)),
        "Foreground" => Ok(Some(Propagation::Foreground)),
        other => {
            let allowed = ["Foreground", "Background", "Orphan", "nil"];
            let cause = Cause::unsupported("propagationPolicy", &other.into(), &allowed);
            Err(Status::invalid_options("DeleteOptions", &[cause]))
        }
    }
}
