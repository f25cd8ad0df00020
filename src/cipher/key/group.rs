//! Locking a data key for groups of recipients, and opening it again with whichever keys are there.
//!
//! One group locks the whole data key for each recipient; several groups lock a share each. Opening tries the recipients of
//! a group in the order of [`Order`] and reports, if none helps, which were tried and why each failed.

use super::{DataKey, Group, Keyring, Kind, Part, Recipient, SealedKey};
use crate::cipher::shamir::{self, Fill};
use crate::diag::codes::cipher::{BROKEN_RECIPIENT, NO_KEY_OPENS};
use crate::error::{Error, Result};

/// Which kinds of key are tried first; kinds that are not named come after, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order(Vec<Kind>);

impl Default for Order {
    fn default() -> Self {
        Self(vec![Kind::Age, Kind::Pgp])
    }
}

impl Order {
    /// Reads the value of `SOPS_DECRYPTION_ORDER`, such as `pgp,age,kms`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut order = Vec::new();
        for name in text.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            // A kind that sops knows and we do not cannot be tried at all.
            if name == "hckms" {
                continue;
            }
            let Some(kind) = Kind::find(name) else {
                return Err(Error::new(
                    &BROKEN_RECIPIENT,
                    format!("`{name}` in the decryption order is no kind of key"),
                )
                .help("the kinds are age, pgp, kms, gcp_kms, azure_kv and hc_vault"));
            };
            if order.contains(&kind) {
                return Err(Error::new(
                    &BROKEN_RECIPIENT,
                    format!("`{name}` is twice in the decryption order"),
                ));
            }
            order.push(kind);
        }
        Ok(Self(order))
    }

    fn rank(&self, sealed: &SealedKey) -> usize {
        let kind = sealed.recipient.kind();
        self.0
            .iter()
            .position(|at| *at == kind)
            .unwrap_or(self.0.len())
    }
}

/// Locks a data key for groups of recipients; a threshold of 0 means that all groups are needed.
pub async fn lock_groups(
    keyring: &dyn Keyring,
    groups: &[Vec<Recipient>],
    threshold: usize,
    key: &DataKey,
    now: &str,
    fill: &mut (dyn FnMut(&mut [u8]) -> Result<()> + Send),
) -> Result<Vec<Group>> {
    let parts = parts(key, groups.len(), threshold, fill)?;
    let mut locked = Vec::with_capacity(groups.len());
    for (recipients, part) in groups.iter().zip(&parts) {
        let mut group = Group::new();
        for recipient in recipients {
            let context = |error: Error| {
                error.within(format_args!(
                    "cannot lock the data key for {} `{recipient}`",
                    recipient.kind().name()
                ))
            };
            let recipient = &keyring.settle(recipient).await.map_err(context)?;
            let enc = keyring.lock(recipient, part).await.map_err(context)?;
            let created_at = match recipient.kind() {
                Kind::Age => String::new(),
                _ => now.to_owned(),
            };
            group.push(SealedKey {
                recipient: recipient.clone(),
                enc,
                created_at,
            });
        }
        locked.push(group);
    }
    Ok(locked)
}

fn parts(key: &DataKey, groups: usize, threshold: usize, fill: &mut Fill<'_>) -> Result<Vec<Part>> {
    if groups <= 1 {
        return Ok(vec![Part::new(key.expose().as_slice())]);
    }
    let threshold = if threshold == 0 { groups } else { threshold };
    let shares = shamir::split(key.expose(), groups, threshold, fill)?;
    Ok(shares
        .into_iter()
        .map(|share| Part::new(share.as_slice()))
        .collect())
}

/// Opens the data key of a file with the keys that are there.
pub async fn unlock_groups(
    keyring: &dyn Keyring,
    groups: &[Group],
    threshold: usize,
    order: &Order,
) -> Result<DataKey> {
    let need = match threshold {
        _ if groups.len() <= 1 => 1,
        0 => groups.len(),
        some => some,
    };
    let mut parts = Vec::new();
    let mut failures = Vec::new();
    for group in groups {
        if parts.len() == need {
            break;
        }
        let mut keys: Vec<&SealedKey> = group.iter().collect();
        keys.sort_by_key(|sealed| order.rank(sealed));
        for sealed in keys {
            match keyring.unlock(sealed).await {
                Ok(part) => {
                    parts.push(part);
                    break;
                }
                Err(error) => failures.push(error.within(format_args!(
                    "{} `{}`",
                    sealed.recipient.kind().name(),
                    sealed.recipient
                ))),
            }
        }
    }
    if parts.len() < need || need == 0 {
        let message = if groups.len() > 1 {
            format!(
                "{} of {need} needed key groups were opened, of {} there are",
                parts.len(),
                groups.len()
            )
        } else {
            "no key that is there opens the file".to_owned()
        };
        return Err(Error::new(&NO_KEY_OPENS, message)
            .help(
                "give one of the keys that the file is for; `ksail cipher inspect FILE` lists them",
            )
            .also(failures));
    }
    match parts.as_slice() {
        [whole] if groups.len() <= 1 => DataKey::from_slice(whole.expose()),
        shares => DataKey::from_slice(&shamir::combine(shares)?),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use futures::executor::block_on;

    use super::{Order, lock_groups, unlock_groups};
    use crate::cipher::key::{DataKey, Keyring, Kind, Part, Recipient, SealedKey, Waiting};
    use crate::diag::codes::cipher::NO_IDENTITY;
    use crate::error::Error;

    struct Fake(Vec<&'static str>);

    impl Keyring for Fake {
        fn lock<'a>(&'a self, _: &'a Recipient, part: &'a Part) -> Waiting<'a, String> {
            let text = base64::engine::general_purpose::STANDARD.encode(part.expose());
            Box::pin(async move { Ok(text) })
        }

        fn unlock<'a>(&'a self, sealed: &'a SealedKey) -> Waiting<'a, Part> {
            Box::pin(async move {
                if !self.0.contains(&sealed.recipient.to_string().as_str()) {
                    return Err(Error::new(&NO_IDENTITY, "not mine"));
                }
                let bytes = base64::engine::general_purpose::STANDARD.decode(&sealed.enc);
                Ok(Part::new(bytes.unwrap()))
            })
        }
    }

    fn fill(bytes: &mut [u8]) -> crate::Result<()> {
        for (byte, number) in bytes.iter_mut().zip(3..) {
            *byte = number;
        }
        Ok(())
    }

    #[test]
    fn two_of_three_groups_open() {
        let groups: Vec<Vec<Recipient>> = ["a", "b", "c"]
            .iter()
            .map(|name| vec![Recipient::Pgp((*name).to_owned())])
            .collect();
        let key = DataKey::new([9; 32]);
        let all = Fake(vec![]);
        let locked = block_on(lock_groups(&all, &groups, 2, &key, "now", &mut fill)).unwrap();
        let some = Fake(vec!["a", "c"]);
        let open = block_on(unlock_groups(&some, &locked, 2, &Order::default())).unwrap();
        assert_eq!(open.expose(), key.expose());
        let one = Fake(vec!["c"]);
        let error = block_on(unlock_groups(&one, &locked, 2, &Order::default())).unwrap_err();
        assert_eq!(
            error.message(),
            "1 of 2 needed key groups were opened, of 3 there are"
        );
        assert_eq!(error.others().len(), 2);
    }

    #[test]
    fn the_order_is_read_and_checked() {
        assert_eq!(
            Order::parse("pgp, kms").unwrap(),
            Order(vec![Kind::Pgp, Kind::AwsKms])
        );
        assert!(Order::parse("pgp,pgp").is_err());
        assert!(Order::parse("gpg").is_err());
    }
}
