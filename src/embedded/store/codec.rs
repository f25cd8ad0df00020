//! How a write is spelled in the log: length, checksum, then what and where.

use std::sync::Arc;

use bytes::Bytes;

use super::Object;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const FLOOR: u8 = 3;

/// The length and checksum before each record.
pub(super) const HEAD: usize = 8;

/// One write.
pub(super) struct Record {
    pub(super) bucket: Box<str>,
    pub(super) object: Arc<Object>,
    pub(super) deleted: bool,
}

/// One record as it is read back.
pub(super) enum Replayed {
    /// An object of the snapshot.
    Base(Record),
    /// The snapshot ends; it shows this revision.
    Floor(u64),
    /// A write after the snapshot.
    Change(Record),
}

/// What the next bytes of a log are.
pub(super) enum Next<'a> {
    /// Nothing is left.
    End,
    /// A whole record, and how many bytes it takes.
    Whole(&'a [u8], usize),
    /// A record that was cut off while being written.
    Torn,
    /// A record that is all there and wrong.
    Broken,
}

impl Record {
    pub(super) fn put(bucket: &str, object: &Arc<Object>) -> Self {
        Self {
            bucket: bucket.into(),
            object: Arc::clone(object),
            deleted: false,
        }
    }

    pub(super) fn delete(bucket: &str, object: &Arc<Object>) -> Self {
        Self {
            bucket: bucket.into(),
            object: Arc::clone(object),
            deleted: true,
        }
    }

    /// Appends the record to a buffer.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| {
            out.push(if self.deleted { DELETE } else { PUT });
            out.extend(self.object.revision().to_le_bytes());
            text(out, self.bucket.as_bytes());
            text(out, self.object.key().as_bytes());
            out.extend_from_slice(self.object.bytes());
        });
    }
}

/// Appends the mark that ends a snapshot.
pub(super) fn encode_floor(revision: u64, out: &mut Vec<u8>) {
    frame(out, |out| {
        out.push(FLOOR);
        out.extend(revision.to_le_bytes());
    });
}

/// Looks at the next record of a log.
pub(super) fn next(rest: &[u8]) -> Next<'_> {
    if rest.is_empty() {
        return Next::End;
    }
    let Some((head, body)) = rest.split_first_chunk::<HEAD>() else {
        return Next::Torn;
    };
    let [length, sum] = [&head[..4], &head[4..]].map(|part| {
        let part = part.first_chunk::<4>().copied().unwrap_or_default();
        u32::from_le_bytes(part)
    });
    let length = length as usize;
    let Some(payload) = body.get(..length) else {
        return Next::Torn;
    };
    if length > 0 && checksum(payload) == sum {
        return Next::Whole(payload, HEAD + length);
    }
    // A disk that lost power may leave zeros where the end should be.
    let is_last = HEAD + length == rest.len() || rest.iter().all(|byte| *byte == 0);
    if is_last { Next::Torn } else { Next::Broken }
}

/// Reads a whole record; `None` if it says nothing sensible.
pub(super) fn decode(payload: &[u8], in_snapshot: bool) -> Option<Replayed> {
    let (kind, rest) = payload.split_first()?;
    let (revision, rest) = rest.split_first_chunk::<8>()?;
    let revision = u64::from_le_bytes(*revision);
    if *kind == FLOOR {
        return rest.is_empty().then_some(Replayed::Floor(revision));
    }
    let (bucket, rest) = read_text(rest)?;
    let (key, rest) = read_text(rest)?;
    let record = Record {
        bucket: bucket.into(),
        object: Object::read(revision, key, Bytes::copy_from_slice(rest))?,
        deleted: *kind == DELETE,
    };
    match (*kind, in_snapshot) {
        (PUT, true) => Some(Replayed::Base(record)),
        (PUT | DELETE, false) => Some(Replayed::Change(record)),
        _ => None,
    }
}

fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; HEAD]);
    body(out);
    let (head, payload) = out[start..].split_at_mut(HEAD);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..].copy_from_slice(&checksum(payload).to_le_bytes());
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(payload);
    crc.sum()
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(text.get(..length as usize).unwrap_or(text));
}

fn read_text(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Next, decode, next};

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Next::Whole(payload, _) = next(&bytes) {
                decode(payload, false);
            }
            decode(&bytes, true);
        }
    }
}
