//! The exit codes of sops, where it has one for the problem; other problems end with 1, wrong usage with 2.

use std::error::Error as _;
use std::io::ErrorKind;

use crate::diag::Kind;
use crate::diag::codes::cipher as codes;
use crate::error::Error;

/// What a command does, as far as sops tells commands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Encrypt,
    Decrypt,
    Edit,
    Change,
    Other,
}

/// Gives the exit code for a problem.
pub(super) fn code(error: &Error, deed: Deed) -> u8 {
    let id = error.code().id;
    let is = |code: &crate::diag::Code| code.id == id;
    let by_deed = match deed {
        Deed::Encrypt | Deed::Decrypt if is(&codes::UNREADABLE_FILE) && is_absent(error) => 100,
        Deed::Encrypt if is(&codes::EMPTY_DOCUMENT) => 92,
        Deed::Encrypt if is(&codes::BROKEN_DOCUMENT) || is(&codes::UNSUPPORTED_SHAPE) => 2,
        Deed::Decrypt if is(&codes::UNSUPPORTED_SHAPE) => 4,
        Deed::Edit if is(&codes::EDIT_FAILED) => 201,
        Deed::Change if is(&codes::BROKEN_TREE_PATH) => 7,
        _ => 0,
    };
    if by_deed != 0 {
        return by_deed;
    }
    let table = [
        (&codes::UNREADABLE_FILE, 2),
        (&codes::UNWRITABLE_FILE, 3),
        (&codes::BROKEN_CONTEXT, 6),
        (&codes::BROKEN_NEW_VALUE, 7),
        (&codes::CONFLICTING_SELECTORS, 8),
        (&codes::BROKEN_VALUE, 25),
        (&codes::MAC_MISMATCH, 51),
        (&codes::MAC_MISSING, 51),
        (&codes::BROKEN_TREE_PATH, 91),
        (&codes::NO_KEY_OPENS, 128),
        (&codes::NOT_MODIFIED, 200),
        (&codes::NO_EDITOR, 201),
        (&codes::ALREADY_ENCRYPTED, 203),
    ];
    let known = table.iter().find(|(code, _)| is(code));
    known.map_or_else(
        || {
            if error.kind() == Kind::Usage { 2 } else { 1 }
        },
        |(_, exit)| *exit,
    )
}

/// Whether the file is not there at all.
fn is_absent(error: &Error) -> bool {
    error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .is_some_and(|cause| cause.kind() == ErrorKind::NotFound)
}
