//! What ksail runs as processes of its own: the server of an embedded cluster, and the one that removes clusters in time.
//!
//! They are no commands for people, and are told apart before the command line is built: a hundred servers would each keep
//! the memory of a command line that none of them has a use for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::machine;
use crate::embedded::process;
use crate::error::Result;
use crate::world::real::reaper;

/// What a process was started for.
#[derive(Debug, PartialEq)]
pub(super) enum Background {
    /// Serves an embedded cluster's folder until it is asked to end.
    Serve(PathBuf),
    /// Removes the clusters of a state folder whose time has come.
    Reap(PathBuf),
}

impl Background {
    /// Reads the words that ksail starts its processes with; anything else is a command line.
    pub(super) fn asked(arguments: &[OsString]) -> Option<Self> {
        let words: Vec<&str> = arguments
            .iter()
            .skip(1)
            .map(|word| word.to_str().unwrap_or_default())
            .collect();
        let last = || arguments.last().map(PathBuf::from);
        match words.as_slice() {
            ["embedded", "serve", "--home", _] => last().map(Self::Serve),
            ["reaper", "--state", _] => last().map(Self::Reap),
            _ => None,
        }
    }

    /// Does it, to the end.
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Serve(home) => process::serve(&home)?,
            Self::Reap(state) => {
                let program = machine::places()?.program;
                machine::block_on(async |_| reaper::serve(&state, &program).await)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Option<Background> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Background::asked(&words)
    }

    #[test]
    fn only_what_ksail_itself_says_is_meant() {
        let home = PathBuf::from("/a");
        assert_eq!(
            asked("ksail embedded serve --home /a"),
            Some(Background::Serve(home.clone()))
        );
        assert_eq!(
            asked("ksail reaper --state /a"),
            Some(Background::Reap(home))
        );
        assert_eq!(asked("ksail embedded serve"), None);
        assert_eq!(asked("ksail run /a"), None);
    }
}
