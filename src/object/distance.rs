//! How near two names are.

/// How many single edits make one text of another (Levenshtein).
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let kept = before + usize::from(left != *right);
            before = row[j + 1];
            row[j + 1] = kept.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The name among `known` that was probably meant by `name`: one that differs in case alone or has two letters swapped, else the
/// one that the fewest edits lead to. A name may have one edit for every three letters, at least one and at most two.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let rank = |known: &'a str| {
        let lower = known.to_lowercase();
        let longest = wanted.len().max(lower.len());
        let slips = (longest / 3).clamp(1, 2);
        if wanted == lower {
            return Some((0, known));
        }
        // Most names are of another length, which is quickly seen.
        if wanted.len().abs_diff(lower.len()) > slips || longest < 3 {
            return None;
        }
        let edits = distance(&wanted, &lower);
        (edits <= slips || is_swapped(&wanted, &lower)).then_some((edits, known))
    };
    known.into_iter().filter_map(rank).min().map(|(_, known)| known)
}

/// Whether two texts differ by two neighbouring letters that changed places.
fn is_swapped(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let differing: Vec<usize> = (0..a.len().min(b.len())).filter(|at| a[*at] != b[*at]).collect();
    let [first, second] = differing[..] else { return false };
    a.len() == b.len() && second == first + 1 && a[first] == b[second] && a[second] == b[first]
}

/// The sentence that names what was probably meant; none where nothing is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|meant| format!("Did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_distance_counts_edits() {
        for (a, b, expected) in [
            ("public", "pubilc", 2),
            ("cart", "cart", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("cart", "carts", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_is_a_slip_away() {
        let known = ["App", "Config", "Approval", "replicas", "host", "hosts"];
        for (name, meant) in [
            ("app", Some("App")),
            ("Apps", Some("App")),
            ("pap", Some("App")),
            ("replcias", Some("replicas")),
            ("replica", Some("replicas")),
            ("hsot", Some("host")),
            ("hostz", Some("host")),
            ("Aproval", Some("Approval")),
            ("Confguration", None),
            ("Map", None),
            ("Job", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
