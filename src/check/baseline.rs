//! A baseline: findings that a repository had when it began to be checked, so that it can mend them one at a time.

use super::CHECKS;
use crate::object::{Diagnostic, hex};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What a finding is known by, wherever its file is edited elsewhere: rule, file and message.
pub fn fingerprint(id: &str, file: &str, message: &str) -> String {
    hex(&Sha256::digest(format!("{id}\n{file}\n{message}"))[..16])
}

/// The line of a finding in a baseline; none for rules that nobody may switch off, and for what has no place.
fn line(finding: &Diagnostic) -> Option<String> {
    let file = &finding.origin.as_ref()?.file;
    let known = CHECKS.iter().find(|check| check.id == finding.id).filter(|check| !check.guards)?;
    Some(format!("{} {} {file}", known.id, fingerprint(finding.id, file, finding.message.raw())))
}

/// The text of a baseline of these findings.
pub fn baseline(found: &[Diagnostic]) -> String {
    let lines: BTreeSet<String> = found.iter().filter_map(line).collect();
    let mut text = String::from("# Findings that are known. Remove a line when its finding is mended.\n");
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    text
}

/// Leaves out what a baseline knows; gives the lines of it that fit nothing any more.
pub fn without_known(found: &mut Vec<Diagnostic>, baseline: &str) -> Vec<String> {
    let known: BTreeSet<&str> =
        baseline.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    found.retain(|finding| match line(finding).filter(|line| known.contains(line.as_str())) {
        Some(line) => {
            used.insert(line);
            false
        }
        None => true,
    });
    known.into_iter().filter(|line| !used.contains(*line)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Origin, Position};

    fn finding(id: &'static str, line: usize, message: &str) -> Diagnostic {
        let origin = Origin { file: "a.yaml".into(), position: Position { line, column: 1 } };
        Diagnostic::warning(id, message).at(origin)
    }

    #[test]
    fn what_is_known_is_left_out_wherever_it_moved_to() {
        let known = baseline(&[finding("SPW021", 1, "a"), finding("SPW021", 2, "b"), finding("SPW101", 3, "c")]);
        assert_eq!(known.lines().count(), 3, "rules for tenants cannot be put aside: {known}");
        let mut found = vec![finding("SPW021", 9, "a"), finding("SPW021", 9, "new"), finding("SPW101", 3, "c")];
        let mended = without_known(&mut found, &known);
        let left: Vec<&str> = found.iter().map(|finding| finding.message.raw()).collect();
        assert_eq!(left, ["new", "c"]);
        assert_eq!(mended, [format!("SPW021 {} a.yaml", fingerprint("SPW021", "a.yaml", "b"))]);
    }
}
