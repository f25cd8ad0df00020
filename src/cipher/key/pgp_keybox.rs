//! GnuPG's keyrings: finding the certificates in keyboxes (`pubring.kbx`), and leaving out what is GnuPG's own.
//!
//! A keybox is a row of blobs, each beginning with its length; certificates are blobs of type 2. In keyboxes and older
//! keyrings GnuPG puts trust packets between the others, which no other program understands.

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

/// Gives binary OpenPGP packets without the trust packets among them; what makes no sense is left as it is.
pub(super) fn without_trust(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut kept = Vec::with_capacity(bytes.len());
    while let Some((tag, length)) = packet(rest) {
        let Some((whole, after)) = rest.split_at_checked(length) else {
            break;
        };
        if tag != TRUST {
            kept.extend_from_slice(whole);
        }
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}

const TRUST: u8 = 12;

/// Gives a packet's tag and whole length; none for lengths that are not said beforehand.
fn packet(bytes: &[u8]) -> Option<(u8, usize)> {
    let head = *bytes.first()?;
    let short = |at: usize| bytes.get(at).map(|byte| usize::from(*byte));
    let (tag, header, body) = if head & 0xc0 == 0xc0 {
        let (header, body) = match short(1)? {
            first @ 0..=191 => (2, first),
            first @ 192..=223 => (3, ((first - 192) << 8) + short(2)? + 192),
            255 => (6, number(bytes, 2)?),
            _ => return None,
        };
        (head & 0x3f, header, body)
    } else if head & 0x80 == 0x80 {
        let (header, body) = match head & 3 {
            0 => (2, short(1)?),
            1 => (3, (short(1)? << 8) + short(2)?),
            2 => (5, number(bytes, 1)?),
            _ => return None,
        };
        ((head >> 2) & 0xf, header, body)
    } else {
        return None;
    };
    Some((tag, body.checked_add(header)?))
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{blocks, is_keybox, packet, without_trust};

    const KEYBOX: &[u8] = include_bytes!("../../../tests/vectors/keys/pubring.kbx");

    #[test]
    fn finds_the_certificates() {
        assert!(is_keybox(KEYBOX));
        assert_eq!(blocks(KEYBOX).len(), 2);
    }

    #[test]
    fn leaves_out_trust_packets_only() {
        for block in blocks(KEYBOX) {
            let kept = without_trust(block);
            assert!(kept.len() < block.len());
            assert_eq!(without_trust(&kept), kept);
        }
        assert_eq!(packet(&[0x99, 1, 2]), Some((6, 261)));
        assert_eq!(packet(&[0xc6, 0xc5, 0xfb]), Some((6, 3 + 1723)));
        assert_eq!(packet(&[0xc6, 0xe0]), None);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = blocks(&bytes);
            let _ = without_trust(&bytes);
        }
    }
}
