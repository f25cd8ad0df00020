//! Splitting a data key into shares, so that only enough of them together give it back.
//!
//! Shamir's scheme over GF(256) with the field of AES, one polynomial per byte; a share is the values followed by the
//! place they were taken at. That is the layout of sops files with several key groups. Randomness comes in as bytes.

use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use crate::diag::codes::cipher::BROKEN_SHARES;
use crate::error::{Error, Result};

/// Gives random bytes: fills the whole slice.
pub type Fill<'a> = dyn FnMut(&mut [u8]) -> Result<()> + 'a;

/// Splits a secret into `parts` shares of which any `threshold` give it back.
pub fn split(
    secret: &[u8],
    parts: usize,
    threshold: usize,
    fill: &mut Fill<'_>,
) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    if !(2..=255).contains(&threshold) || parts < threshold || parts > 255 {
        return Err(wrong(format!(
            "cannot make {parts} shares of which {threshold} are needed"
        ))
        .help(
            "the threshold is at least 2 and at most the number of key groups, of which there are at most 255",
        ));
    }
    if secret.is_empty() {
        return Err(wrong("there is nothing to split"));
    }
    let places = places(parts, fill)?;
    let mut shares: Vec<Zeroizing<Vec<u8>>> = places
        .iter()
        .map(|_| Zeroizing::new(Vec::with_capacity(secret.len() + 1)))
        .collect();
    let mut coefficients = Zeroizing::new(vec![0; threshold - 1]);
    for byte in secret {
        fill(&mut coefficients)?;
        for (share, place) in shares.iter_mut().zip(&places) {
            let slope = coefficients
                .iter()
                .fold(0, |sum, coefficient| multiply(sum, *place) ^ coefficient);
            share.push(multiply(slope, *place) ^ byte);
        }
    }
    for (share, place) in shares.iter_mut().zip(&places) {
        share.push(*place);
    }
    Ok(shares)
}

/// Puts a secret together again; with too few or wrong shares the result is another text, never an error.
pub fn combine(shares: &[impl AsRef<[u8]>]) -> Result<Zeroizing<Vec<u8>>> {
    let mut points = Vec::new();
    for share in shares {
        match share.as_ref().split_last() {
            Some((place, values)) if !values.is_empty() => points.push((*place, values)),
            _ => return Err(wrong("a share is too short")),
        }
    }
    let Some((_, first)) = points.first() else {
        return Err(wrong("there are no shares"));
    };
    if points.len() < 2 {
        return Err(wrong("one share is not enough"));
    }
    if points.iter().any(|(_, values)| values.len() != first.len()) {
        return Err(wrong("the shares differ in length"));
    }
    let mut weights = Vec::with_capacity(points.len());
    for (index, (place, _)) in points.iter().enumerate() {
        let mut weight = 1;
        for (other, (at, _)) in points.iter().enumerate() {
            if other == index {
                continue;
            }
            if at == place {
                return Err(wrong("a share is given twice"));
            }
            weight = multiply(weight, multiply(*at, inverse(at ^ place)));
        }
        weights.push(weight);
    }
    let mut secret = Zeroizing::new(vec![0; first.len()]);
    for (weight, (_, values)) in weights.iter().zip(&points) {
        for (sum, value) in secret.iter_mut().zip(*values) {
            *sum ^= multiply(*value, *weight);
        }
    }
    Ok(secret)
}

/// Draws different places, none of them zero.
fn places(count: usize, fill: &mut Fill<'_>) -> Result<Vec<u8>> {
    let mut free: Vec<u8> = (1..=255).collect();
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let mut draw = [0];
        fill(&mut draw)?;
        // Reducing the draw favours some places a little, which gives nothing away: places are public.
        chosen.push(free.swap_remove(usize::from(draw[0]) % free.len()));
    }
    Ok(chosen)
}

/// Multiplies in the field, in the same time for all values.
fn multiply(mut one: u8, other: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= u8::conditional_select(&0, &one, Choice::from((other >> bit) & 1));
        one = (one << 1) ^ u8::conditional_select(&0, &0x1b, Choice::from(one >> 7));
    }
    product
}

/// Raises to the power 254, which is one over the value.
fn inverse(value: u8) -> u8 {
    let mut square = value;
    let mut result = 1;
    for _ in 0..7 {
        square = multiply(square, square);
        result = multiply(result, square);
    }
    result
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(&BROKEN_SHARES, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{combine, inverse, multiply, split};

    fn counter(seed: u8) -> impl FnMut(&mut [u8]) -> crate::Result<()> {
        let mut state = u32::from(seed) + 1;
        move |bytes| {
            for byte in bytes {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
            Ok(())
        }
    }

    #[test]
    fn multiplies_as_aes_does() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for value in 1..=255 {
            assert_eq!(multiply(value, inverse(value)), 1);
        }
    }

    #[test]
    fn refuses_shares_that_cannot_be() {
        let none: [&[u8]; 0] = [];
        assert!(combine(&none).is_err());
        assert!(combine(&[b"ab"]).is_err());
        assert!(combine(&[b"", b""]).is_err());
        assert!(combine(&[b"ab", b"cb"]).is_err());
        assert!(combine(&[&b"ab"[..], b"cde"]).is_err());
        assert!(split(b"x", 1, 1, &mut counter(0)).is_err());
        assert!(split(b"x", 2, 3, &mut counter(0)).is_err());
        assert!(split(b"x", 256, 3, &mut counter(0)).is_err());
        assert!(split(b"", 3, 2, &mut counter(0)).is_err());
    }

    proptest! {
        #[test]
        fn any_enough_shares_give_the_secret(
            secret in prop::collection::vec(any::<u8>(), 1..64), threshold in 2usize..6, more in 0usize..4, skip in 0usize..4, seed: u8,
        ) {
            let shares = split(&secret, threshold + more, threshold, &mut counter(seed)).unwrap();
            let from = skip.min(more);
            let back = combine(&shares[from..from + threshold]).unwrap();
            prop_assert_eq!(&*back, &secret);
            prop_assert_eq!(&*combine(&shares).unwrap(), &secret);
        }

        #[test]
        fn never_panics(shares in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6)) {
            let _ = combine(&shares);
        }
    }
}
