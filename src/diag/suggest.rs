//! "Did you mean …?"

/// Finds the name nearest to what was typed, if one is near enough to be worth naming.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1) + 1;
    names
        .into_iter()
        .map(|name| (distance(&typed.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Lists names for a sentence: "`a`, `b` or `c`".
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

/// The edit distance with neighbouring letters swapped counted once (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i];
        for j in 1..=b.len() {
            let swap_cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (row[j] + 1)
                .min(next[j - 1] + 1)
                .min(row[j - 1] + swap_cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{nearest, one_of};

    #[test]
    fn names_the_nearest() {
        let names = ["vanilla", "k3s", "talos", "kwok", "workers"];
        for (typed, expected) in [
            ("kwkk", Some("kwok")),
            ("K3S", Some("k3s")),
            ("wrokers", Some("workers")),
            ("zebra", None),
        ] {
            assert_eq!(nearest(typed, names), expected, "{typed}");
        }
    }

    #[test]
    fn lists_in_words() {
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(["a"]), "`a`");
    }
}
