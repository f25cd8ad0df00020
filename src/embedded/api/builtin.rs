//! The built-in kinds, from `kinds.txt`, which `scripts/generate-discovery` writes.

use super::registry::{Kind, Subresource};

const KINDS: &str = include_str!("kinds.txt");

/// What most kinds can do, written `*` in the data.
const ALL: &str = "create,delete,deletecollection,get,list,patch,update,watch";

/// Makes the kinds, in discovery order.
pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for line in KINDS.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [
                group,
                version,
                kind,
                plural,
                singular,
                scope,
                verbs,
                short,
                categories,
            ] => {
                let mut made = Kind::new(plain(group), version, kind, plural);
                (*singular).clone_into(&mut made.singular);
                made.namespaced = *scope == "namespaced";
                made.verbs = list(verbs);
                made.short_names = list(short);
                made.categories = list(categories);
                stored_as(&mut made);
                kinds.push(made);
            }
            [part, own, kind, verbs] => {
                let (group, version) = match plain(own) {
                    "" => ("", ""),
                    own => own.split_once('/').unwrap_or(("", own)),
                };
                if let Some(of) = kinds.last_mut() {
                    of.subresources.push(Subresource {
                        name: (*part).to_owned(),
                        group: group.to_owned(),
                        version: version.to_owned(),
                        kind: (*kind).to_owned(),
                        verbs: list(verbs),
                    });
                }
            }
            _ => {}
        }
    }
    kinds
}

/// Where several versions are served, objects are kept in the one that says most.
fn stored_as(kind: &mut Kind) {
    if kind.group == "autoscaling" {
        "v2".clone_into(&mut kind.storage_version);
    }
}

fn plain(word: &str) -> &str {
    if word == "-" { "" } else { word }
}

fn list(word: &str) -> Vec<String> {
    let words = if word == "*" { ALL } else { plain(word) };
    let words = words.split(',').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{KINDS, kinds};

    #[test]
    fn every_line_makes_a_kind_or_a_part() {
        let kinds = kinds();
        let parts: usize = kinds.iter().map(|kind| kind.subresources.len()).sum();
        assert_eq!(kinds.len() + parts, KINDS.lines().count());
        let pods = kinds.iter().find(|kind| kind.plural == "pods").unwrap();
        assert!(pods.namespaced && pods.allows("watch"));
        assert!(pods.subresource("eviction").is_some());
    }
}
