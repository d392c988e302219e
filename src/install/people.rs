//! Roles for people, bound to nobody: who may look, who may stop things, who may consent to destruction.

use super::Names;
use super::roles::{OWN_GROUP as GROUP, joined, rule};
use crate::desired::Desired;
use crate::inventory::{APPROVED, ID, STOPS};
use serde_json::{Value, json};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// The viewer's, suspender's and approver's Roles, and the policy that tells them apart: RBAC alone cannot tell the parts of
/// a ConfigMap apart.
pub(super) fn manifests(desired: &Desired, names: &Names) -> Vec<Value> {
    let parents = names.parents(desired);
    let role = |suffix: &str, part: Option<&str>| {
        let verbs: &[&'static str] = if part.is_some() { &["get", "patch"] } else { &["get"] };
        let mut rules = vec![
            rule("", "configmaps", &["list"], &[]),
            rule("", "configmaps", verbs, &parents),
            rule("coordination.k8s.io", "leases", &["get"], std::slice::from_ref(&names.agent)),
        ];
        rules.extend(part.map(|part| rule(GROUP, &format!("inventories/{part}"), &["update"], &parents)));
        let name = format!("{}.{suffix}", names.agent);
        let rules = json!({"rules": joined(rules)});
        names.object("rbac.authorization.k8s.io/v1", "Role", &names.namespace, &name, rules)
    };
    let mut made = vec![role("viewer", None), role("suspender", Some("stops")), role("approver", Some("approvals"))];
    made.extend(policy(names));
    made
}

/// Who may write which part of an inventory (KEP-3488): the agent all of it, a suspender what is stopped, an approver what is
/// approved. The rights are asked of the authorizer, so RBAC gives them.
fn policy(names: &Names) -> [Value; 2] {
    let name = format!("{}.inventory", names.agent);
    let may = |part: &str| {
        let below = if part.is_empty() { String::new() } else { format!(".subresource('{part}')") };
        format!(
            "authorizer.group('{GROUP}').resource('inventories'){below}\
             .namespace(request.namespace).name(request.name).check('update').allowed()"
        )
    };
    let field = |of: &str, path: &str, none: &str| format!("(has({of}.{path}) ? {of}.{path} : {none})");
    let known = format!("['{STOPS}', '{APPROVED}']");
    // Absent and empty are not the same.
    let kept = |one: &str, other: &str| {
        format!(
            "variables.{one}.all(k, k in {known} || k in variables.{other} && variables.{other}[k] == variables.{one}[k])"
        )
    };
    let parts = [
        ("data", "{}"),
        ("binaryData", "{}"),
        ("immutable", "false"),
        ("metadata.labels", "{}"),
        ("metadata.ownerReferences", "[]"),
        ("metadata.finalizers", "[]"),
    ];
    let same =
        parts.map(|(path, none)| format!("{} == {}", field("object", path, none), field("oldObject", path, none)));
    let changed = |name: &str| format!("variables.before[?'{name}'] != variables.after[?'{name}']");
    let validation = |condition: String, what: &str| {
        json!({"expression": condition, "reason": "Forbidden",
            "message": format!("only who may update {what} in the API group {GROUP} may change this of an inventory")})
    };
    let spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": names.namespace}},
            "objectSelector": {"matchExpressions": [{"key": ID, "operator": "Exists"}]},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["configmaps"]}],
        },
        "matchConditions": [{"name": "this-environment", "expression": format!("request.name.startsWith('{}.')", names.agent)}],
        "variables": [
            {"name": "updates", "expression": "request.operation == 'UPDATE'"},
            {"name": "before", "expression": format!("variables.updates ? {} : {{}}", field("oldObject", "metadata.annotations", "{}"))},
            {"name": "after", "expression": format!("variables.updates ? {} : {{}}", field("object", "metadata.annotations", "{}"))},
            {"name": "all", "expression": may("")},
        ],
        "validations": [
            validation(format!("variables.all || variables.updates && {} && {} && {}", same.join(" && "), kept("before", "after"), kept("after", "before")), "`inventories`"),
            validation(format!("variables.all || !({}) || {}", changed(STOPS), may("stops")), "`inventories/stops`"),
            validation(format!("variables.all || !({}) || {}", changed(APPROVED), may("approvals")), "`inventories/approvals`"),
        ],
    });
    let binding = json!({"spec": {"policyName": name, "validationActions": ["Deny"]}});
    [
        names.object(ADMISSION, "ValidatingAdmissionPolicy", "", &name, json!({"spec": spec})),
        names.object(ADMISSION, "ValidatingAdmissionPolicyBinding", "", &name, binding),
    ]
}
