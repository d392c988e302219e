//! Roles for people, bound to nobody: who may look, who may stop things, who may consent to destruction.

use super::Names;
use super::roles::{joined, rule};
use crate::desired::Desired;
use serde_json::{Value, json};

/// The viewer's, suspender's and approver's Roles. The last two write annotations of the inventories; the parts of an
/// inventory cannot be told apart by RBAC, so they are for people who are trusted with it.
pub(super) fn manifests(desired: &Desired, names: &Names) -> Vec<Value> {
    let parents = names.parents(desired);
    let role = |suffix: &str, verbs: &[&'static str]| {
        let rules = joined([
            rule("", "configmaps", &["list"], &[]),
            rule("", "configmaps", verbs, &parents),
            rule("coordination.k8s.io", "leases", &["get"], std::slice::from_ref(&names.agent)),
        ]);
        let name = format!("{}.{suffix}", names.agent);
        names.object("rbac.authorization.k8s.io/v1", "Role", &names.namespace, &name, json!({"rules": rules}))
    };
    vec![role("viewer", &["get"]), role("suspender", &["get", "patch"]), role("approver", &["get", "patch"])]
}
