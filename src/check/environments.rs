//! SPW017.

use super::Check;
use crate::desired::{ClusterRule, Desired};
use crate::object::{Diagnostic, Severity};

pub(super) const CHECK: Check = Check {
    id: "SPW017",
    name: "environments",
    severity: Severity::Error,
    guards: false,
    what: "Two environments of one cluster declare the same object.",
    why: "Each has an inventory of its own: the second one is refused the object, or the two write over each other, and what one \
          no longer wants it deletes for both.",
    example: "# spinway.yaml\nenvironments:\n  - {name: blue, cluster: {uid: 6f1e}}\n  - {name: green, cluster: {uid: 6f1e}}\n\
              # sources: [apps], with\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}",
    remedy: "Move what both have into one of them, or give them namespaces by a value: `namespace: shop-${name}`.",
    // It needs all environments at once: [`across`].
    run: |_| Vec::new(),
};

/// What several environments declare together.
pub fn across(environments: &[Desired]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, second) in environments.iter().enumerate() {
        for first in
            environments[..index].iter().filter(|first| same(&first.environment.cluster, &second.environment.cluster))
        {
            let (one, other) = (&first.environment.name, &second.environment.name);
            for (reference, member) in
                second.objects.iter().filter(|(reference, _)| first.objects.contains_key(*reference))
            {
                let message = format!("{reference} is of {one} and of {other}, which are one cluster.");
                let finding = Diagnostic::new(CHECK.severity, CHECK.id, message).at(member.object.origin.clone());
                found.push(finding.about(reference).help(CHECK.remedy));
            }
        }
    }
    found
}

/// Whether two rules surely mean one cluster.
fn same(a: &ClusterRule, b: &ClusterRule) -> bool {
    let plain = |context: &&String| !context.contains(['*', '?', '[', '{']);
    let uid = a.uid.is_some() && a.uid == b.uid;
    let context =
        a.uid.is_none() && b.uid.is_none() && a.context.as_ref().filter(plain).is_some() && a.context == b.context;
    uid || context
}
