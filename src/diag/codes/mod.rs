//! Every diagnostic code, one file per area.
//!
//! | range | area |
//! |---|---|
//! | E01 | the language: syntax, names, types, imports, limits |
//! | E02 | the model: values, combinations, names |
//! | E03 | parameters, environment, files |
//! | E04 | plans and policies |
//! | E05 | runs: steps, waits, cancelling |
//! | E06 | state on disk, kubeconfig |
//! | E07 | the embedded control plane |
//! | E08 | Docker |
//! | E09 | ciphers |
//! | E10 | the command line |

pub mod cipher;
pub mod command;
pub mod docker;
pub mod embedded;
pub mod input;
pub mod language;
pub mod model;
pub mod plan;
pub mod run;
pub mod state;

/// What class of problem a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong; exit code 2.
    Usage,
    /// Something that was typed or read is wrong.
    Invalid,
    /// A combination that cannot be, or is not there yet.
    Unsupported,
    /// A thing that is not there.
    Missing,
    /// Something else is in the way.
    Conflict,
    /// A policy, a limit or a missing consent forbids it.
    Denied,
    /// Something outside does not answer.
    Unavailable,
    /// It did not happen in time.
    Timeout,
    /// The user stopped it; exit code 130.
    Cancelled,
    /// A mistake of ksail's own.
    Internal,
}

/// One stable diagnostic code.
#[derive(Debug)]
pub struct Code {
    /// Such as `E0102`.
    pub id: &'static str,
    /// Its class.
    pub kind: Kind,
    /// One line.
    pub title: &'static str,
    /// What `ksail explain` prints: what it means, why, and how to mend it.
    pub explanation: &'static str,
}

/// Declares codes and the list of them.
macro_rules! codes {
    ($($name:ident = $id:literal $kind:ident $title:literal $explanation:literal)*) => {
        $(
            #[doc = $title]
            pub static $name: $crate::diag::Code = $crate::diag::Code {
                id: $id,
                kind: $crate::diag::Kind::$kind,
                title: $title,
                explanation: $explanation,
            };
        )*
        /// All codes of this area.
        pub static ALL: &[&$crate::diag::Code] = &[$(&$name),*];
    };
}
use codes;

/// Every code there is, in order.
pub fn all() -> impl Iterator<Item = &'static Code> {
    let areas = [
        language::ALL,
        model::ALL,
        input::ALL,
        plan::ALL,
        run::ALL,
        state::ALL,
        embedded::ALL,
        docker::ALL,
        cipher::ALL,
        command::ALL,
    ];
    areas.into_iter().flatten().copied()
}

/// Finds a code by its id, in any case.
pub fn find(id: &str) -> Option<&'static Code> {
    all().find(|code| code.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn ids_are_unique_ordered_and_explained() {
        let mut last = "";
        for code in all() {
            assert!(code.id > last, "{} must come after {last}", code.id);
            assert!(
                code.id.len() == 5 && code.id.starts_with('E'),
                "{}",
                code.id
            );
            assert!(
                code.explanation.len() > 40,
                "{} wants an explanation",
                code.id
            );
            last = code.id;
        }
    }
}
