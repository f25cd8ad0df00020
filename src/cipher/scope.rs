//! Which values of a file are encrypted: the six selectors and what the integrity code covers.
//!
//! At most one selector is set. The rules file chooses it; the encrypted file remembers it.

use regex::Regex;

use crate::diag::codes::cipher::BROKEN_SELECTOR;
use crate::diag::codes::cipher::CONFLICTING_SELECTORS;
use crate::error::{Error, Result};

/// The suffix that leaves a value plain when nothing else is asked for.
pub const DEFAULT_UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// The selectors as they are written in rules and metadata; empty means not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Keys that end so stay plain.
    pub unencrypted_suffix: String,
    /// Only keys that end so are encrypted.
    pub encrypted_suffix: String,
    /// Keys that match stay plain.
    pub unencrypted_regex: String,
    /// Only keys that match are encrypted.
    pub encrypted_regex: String,
    /// Values below a comment that matches stay plain.
    pub unencrypted_comment_regex: String,
    /// Only values below a comment that matches are encrypted.
    pub encrypted_comment_regex: String,
    /// Whether the integrity code is made over encrypted values only.
    pub mac_only_encrypted: bool,
}

impl Selectors {
    /// Gives the selectors by the names they have in files.
    pub fn named(&self) -> [(&'static str, &str); 6] {
        [
            ("encrypted_comment_regex", &self.encrypted_comment_regex),
            ("encrypted_regex", &self.encrypted_regex),
            ("encrypted_suffix", &self.encrypted_suffix),
            ("unencrypted_comment_regex", &self.unencrypted_comment_regex),
            ("unencrypted_regex", &self.unencrypted_regex),
            ("unencrypted_suffix", &self.unencrypted_suffix),
        ]
    }

    /// Checks that at most one is set and fills in the default.
    pub fn settle(mut self) -> Result<Self> {
        let set: Vec<&str> = self
            .named()
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, _)| *name)
            .collect();
        match set.as_slice() {
            [] => self.unencrypted_suffix = DEFAULT_UNENCRYPTED_SUFFIX.into(),
            [_] => {}
            several => {
                return Err(Error::new(
                    &CONFLICTING_SELECTORS,
                    format!("{} are set together", several.join(" and ")),
                )
                .help("keep one of them"));
            }
        }
        Ok(self)
    }

    /// Compiles the expressions.
    pub fn scope(&self) -> Result<Scope> {
        let regex = |name: &str, text: &str| {
            if text.is_empty() {
                return Ok(None);
            }
            Regex::new(text).map(Some).map_err(|cause| {
                Error::new(
                    &BROKEN_SELECTOR,
                    format!("{name} is not a regular expression"),
                )
                .because(cause)
            })
        };
        let suffix = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Scope {
            unencrypted_suffix: suffix(&self.unencrypted_suffix),
            encrypted_suffix: suffix(&self.encrypted_suffix),
            unencrypted_regex: regex("unencrypted_regex", &self.unencrypted_regex)?,
            encrypted_regex: regex("encrypted_regex", &self.encrypted_regex)?,
            unencrypted_comment: regex(
                "unencrypted_comment_regex",
                &self.unencrypted_comment_regex,
            )?,
            encrypted_comment: regex("encrypted_comment_regex", &self.encrypted_comment_regex)?,
            mac_only_encrypted: self.mac_only_encrypted,
        })
    }
}

/// The selectors, ready to be asked.
pub struct Scope {
    unencrypted_suffix: Option<String>,
    encrypted_suffix: Option<String>,
    unencrypted_regex: Option<Regex>,
    encrypted_regex: Option<Regex>,
    unencrypted_comment: Option<Regex>,
    encrypted_comment: Option<Regex>,
    /// Whether the integrity code is made over encrypted values only.
    pub mac_only_encrypted: bool,
}

impl Scope {
    /// Whether the value at this path, below these comments, is encrypted.
    pub fn covers(&self, path: &[String], comments: &[Vec<String>], is_comment: bool) -> bool {
        let mut encrypted = true;
        if let Some(suffix) = &self.unencrypted_suffix {
            encrypted &= !path.iter().any(|key| key.ends_with(suffix));
        }
        if let Some(suffix) = &self.encrypted_suffix {
            encrypted = path.iter().any(|key| key.ends_with(suffix));
        }
        if let Some(regex) = &self.unencrypted_regex {
            encrypted &= !path.iter().any(|key| regex.is_match(key));
        }
        if let Some(regex) = &self.encrypted_regex {
            encrypted = path.iter().any(|key| regex.is_match(key));
        }
        if let Some(regex) = &self.unencrypted_comment {
            encrypted &= !comments.iter().flatten().any(|text| regex.is_match(text));
        }
        if let Some(regex) = &self.encrypted_comment {
            let all = comments.iter().flatten().count();
            // The comment that asks for encryption stays readable itself: the last one is the comment at hand.
            let counted = if is_comment {
                all.saturating_sub(1)
            } else {
                all
            };
            encrypted = comments
                .iter()
                .flatten()
                .take(counted)
                .any(|text| regex.is_match(text));
        }
        encrypted
    }

    /// Whether a comment text would leave what follows plain.
    pub fn spares(&self, comment: &str) -> bool {
        self.unencrypted_comment
            .as_ref()
            .is_some_and(|regex| regex.is_match(comment))
    }
}

#[cfg(test)]
mod tests {
    use super::Selectors;

    fn covers(selectors: Selectors, path: &[&str], comments: &[&[&str]], comment: bool) -> bool {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        let comments: Vec<Vec<String>> = comments
            .iter()
            .map(|level| level.iter().map(ToString::to_string).collect())
            .collect();
        selectors
            .settle()
            .unwrap()
            .scope()
            .unwrap()
            .covers(&path, &comments, comment)
    }

    #[test]
    fn any_key_of_the_path_decides() {
        let none = Selectors::default();
        assert!(covers(none.clone(), &["a", "b"], &[], false));
        assert!(!covers(none, &["a_unencrypted", "b"], &[], false));
        let regex = Selectors {
            encrypted_regex: "^(data|stringData)$".into(),
            ..Selectors::default()
        };
        assert!(covers(regex.clone(), &["data", "x"], &[], false));
        assert!(!covers(regex, &["metadata", "x"], &[], false));
    }

    #[test]
    fn a_comment_that_asks_for_encryption_stays_plain() {
        let asks = Selectors {
            encrypted_comment_regex: "ENCRYPT".into(),
            ..Selectors::default()
        };
        assert!(covers(asks.clone(), &["a"], &[&[" ENCRYPT"]], false));
        assert!(!covers(asks.clone(), &[], &[&[" ENCRYPT"]], true));
        assert!(covers(asks, &[], &[&[" ENCRYPT", " next"]], true));
    }

    #[test]
    fn refuses_two_selectors() {
        let two = Selectors {
            encrypted_regex: "a".into(),
            encrypted_suffix: "b".into(),
            ..Selectors::default()
        };
        assert!(two.settle().is_err());
    }
}
