//! What checks find, as part of a plan, and which of it a change brings (design law 12).

use super::suppress::Wishes;
use super::{fields, of_environment};
use crate::desired::Desired;
use crate::live::{Live, Source};
use crate::object::{Diagnostic, ObjectRef, Severity};
use std::collections::BTreeMap;

/// Adds what all checks find in an environment to what a plan says already; of what both say the worse counts. Notes are for
/// `check` alone.
pub fn add_findings(desired: &Desired, live: &Live, said: &mut Vec<Diagnostic>) {
    let mut found = of_environment(desired, &mut Wishes::of(desired), None, Some(live));
    // Of the fields of its objects an API server knows more than any table: what it says of them is in the plan.
    let is_answered = |finding: &Diagnostic| live.source == Source::Cluster && finding.id == fields::CHECK.id;
    found.retain(|finding| finding.severity != Severity::Note && !is_answered(finding));
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    for (index, finding) in said.iter().enumerate() {
        places.insert((finding.id, finding.origin.clone(), finding.message.clone()), index);
    }
    let mut more = Vec::new();
    for finding in found {
        match places.get(&(finding.id, finding.origin.clone(), finding.message.clone())) {
            // Errors come first.
            Some(index) => said[*index].severity = said[*index].severity.min(finding.severity),
            None => more.push(finding),
        }
    }
    said.extend(more);
}

/// What a finding is known by, whatever is edited around it: where it is about an object, its file does not matter.
type Known = (Severity, &'static str, Option<ObjectRef>, String, String);

fn known_by(finding: &Diagnostic) -> Known {
    let file = finding.origin.as_ref().filter(|_| finding.object.is_none()).map(|origin| origin.file.to_string());
    let message = finding.message.raw().to_owned();
    (finding.severity, finding.id, finding.object.clone(), file.unwrap_or_default(), message)
}

/// The findings of the revision that a change is based on.
#[derive(Clone, Debug, Default)]
pub struct KnownFindings {
    /// How often each is found.
    counts: BTreeMap<Known, usize>,
}

impl KnownFindings {
    /// Those that are given.
    pub fn of(found: &[Diagnostic]) -> Self {
        let mut counts = BTreeMap::new();
        found.iter().for_each(|finding| *counts.entry(known_by(finding)).or_default() += 1);
        Self { counts }
    }

    /// Which of the findings of a change its base has too, in their order.
    pub fn among(&self, found: &[Diagnostic]) -> Vec<bool> {
        let mut left = self.counts.clone();
        let is_known = |finding: &Diagnostic| match left.get_mut(&known_by(finding)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        };
        found.iter().map(is_known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};
    use crate::object::{Origin, Position};

    fn finding(file: &str, line: usize, object: Option<&ObjectRef>) -> Diagnostic {
        let origin = Origin { file: file.into(), position: Position { line, column: 1 } };
        let finding = Diagnostic::error("SPW004", "spec.x: unknown field").at(origin);
        object.map(|object| finding.clone().about(object)).unwrap_or(finding)
    }

    #[test]
    fn a_finding_is_known_wherever_it_moved_to_and_as_often_as_the_base_has_it() {
        let cart = ObjectRef::new("", "Service", "shop", "cart");
        let base = KnownFindings::of(&[finding("a.yaml", 3, Some(&cart)), finding("a.yaml", 9, None)]);
        let moved = [finding("b.yaml", 7, Some(&cart)), finding("a.yaml", 2, None), finding("a.yaml", 5, None)];
        assert_eq!(base.among(&moved), [true, true, false]);
        let pay = ObjectRef::new("", "Service", "shop", "pay");
        assert_eq!(base.among(&[finding("a.yaml", 3, Some(&pay)), finding("c.yaml", 9, None)]), [false, false]);
        assert_eq!(KnownFindings::default().among(&moved), [false; 3]);
    }

    #[test]
    fn what_a_plan_says_already_is_said_once_and_the_worse_counts() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\nspec: {ports: [{port: 80}], prots: 1}\n";
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
        let desired = read(&tree, None).unwrap();
        let mut said = Vec::new();
        add_findings(&desired, &Live::default(), &mut said);
        assert_eq!(said.iter().map(|f| (f.id, f.severity)).collect::<Vec<_>>(), [("SPW004", Severity::Error)]);
        said[0].severity = Severity::Warning;
        add_findings(&desired, &Live::default(), &mut said);
        assert_eq!((said.len(), said[0].severity), (1, Severity::Error));
        let mut cluster = Live::default();
        cluster.source = Source::Cluster;
        let mut said = Vec::new();
        add_findings(&desired, &cluster, &mut said);
        assert_eq!(said, [], "the API server answers for the fields");
    }
}
