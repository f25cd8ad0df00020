//! GnuPG's keybox files (`pubring.kbx`): finding the certificates in them.
//!
//! A keybox is a row of blobs, each beginning with its length; certificates are blobs of type 2.

/// Whether a file is a keybox.
pub(super) fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(8..12) == Some(b"KBXf")
}

/// Gives the certificates' bytes; stops at the first blob that makes no sense.
pub(super) fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let Some(length) = number(rest, 0) {
        if length < 5 || length > rest.len() {
            break;
        }
        let (blob, after) = rest.split_at(length);
        if blob.get(4) == Some(&2)
            && let (Some(offset), Some(size)) = (number(blob, 8), number(blob, 12))
            && let Some(end) = offset.checked_add(size)
            && let Some(block) = blob.get(offset..end)
        {
            found.push(block);
        }
        rest = after;
    }
    found
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{blocks, is_keybox};

    const KEYBOX: &[u8] = include_bytes!("../../../tests/vectors/keys/pubring.kbx");

    #[test]
    fn finds_the_certificates() {
        assert!(is_keybox(KEYBOX));
        assert_eq!(blocks(KEYBOX).len(), 2);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = blocks(&bytes);
        }
    }
}
