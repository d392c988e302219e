//! What the agent may do: read what plans are judged by, write the kinds that the repository holds, where it holds them.

use super::Names;
use crate::desired::Desired;
use crate::graph::Graph;
use crate::kinds::{GATEWAY, SPIN};
use crate::object::{GroupKind, ObjectRef};
use crate::schema::CRD_GROUP;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The group of what is only asked of the authorizer, by the policy that guards inventories: nothing of it is served.
pub(super) const OWN_GROUP: &str = "spinway.dev";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
/// What is needed to apply, to look again, and to prune.
pub(crate) const WRITE: [&str; 3] = ["create", "delete", "patch"];
const READ: [&str; 3] = ["get", "list", "watch"];
/// The Gateway API kinds that routes are judged by, whoever wrote them.
const GATEWAY_KINDS: [&str; 10] = [
    "BackendTLSPolicy",
    "GRPCRoute",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "UDPRoute",
];

/// One rule of a Role: resources of one API group with the same verbs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    group: String,
    resources: BTreeSet<String>,
    verbs: BTreeSet<&'static str>,
    names: Vec<String>,
}

impl Rule {
    fn value(&self) -> Value {
        let mut rule = json!({"apiGroups": [self.group], "resources": self.resources, "verbs": self.verbs});
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        rule
    }
}

/// A rule about one resource.
pub(super) fn rule(group: &str, resource: &str, verbs: &[&'static str], names: &[String]) -> Rule {
    Rule {
        group: group.to_owned(),
        resources: [resource.to_owned()].into(),
        verbs: verbs.iter().copied().collect(),
        names: names.to_vec(),
    }
}

/// Rules as YAML has them: those of one group with the same verbs are one.
pub(super) fn joined(rules: impl IntoIterator<Item = Rule>) -> Vec<Value> {
    let mut made: BTreeMap<(String, BTreeSet<&str>, Vec<String>), Rule> = BTreeMap::new();
    for rule in rules {
        let key = (rule.group.clone(), rule.verbs.clone(), rule.names.clone());
        made.entry(key)
            .or_insert_with(|| Rule { resources: BTreeSet::new(), ..rule.clone() })
            .resources
            .extend(rule.resources);
    }
    made.values().map(Rule::value).collect()
}

/// The agent's Roles and bindings.
pub(super) fn manifests(desired: &Desired, names: &Names) -> Vec<Value> {
    let plurals = plurals(desired);
    let agent = (names.namespace.as_str(), names.agent.as_str());
    let mut made = bound(names, "", &names.agent, agent, &joined(cluster_rules(desired, &plurals))).to_vec();
    let mut by_namespace: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    by_namespace.insert(names.namespace.clone(), own_rules(desired, names));
    // What each tenant's own service account writes, instead of the agent.
    let mut by_account: BTreeMap<(&str, String), Vec<Rule>> = BTreeMap::new();
    for (reference, member) in &desired.objects {
        let Some(namespace) = &reference.namespace else {
            // Where Events about objects without a namespace stand.
            by_namespace.entry("default".to_owned()).or_default().push(rule("", "events", &["create"], &[]));
            continue;
        };
        let plural = &plurals[&reference.group_kind()];
        let rules = by_namespace.entry(namespace.clone()).or_default();
        let account = desired.rules().account_of(&member.partition);
        let write = rule(&reference.group, plural, &WRITE, &[]);
        match account {
            Some(_) => by_account.entry((&member.partition, namespace.clone())).or_default().push(write),
            None => rules.push(write),
        }
        rules.push(rule("", "events", &["create"], &[]));
        if reference.is("", "Secret") {
            rules.push(rule("", plural, &READ, &[]));
        }
    }
    for tenant in &desired.rules().tenants {
        if let Some((namespace, account)) = desired.rules().account_of(&tenant.name) {
            let rules = by_namespace.entry(namespace.to_owned()).or_default();
            rules.push(rule("", "serviceaccounts", &["impersonate"], &[account.to_owned()]));
        }
    }
    for (namespace, rules) in by_namespace {
        made.extend(bound(names, &namespace, &names.agent, agent, &joined(rules)));
    }
    for ((tenant, namespace), rules) in by_account {
        if let Some(account) = desired.rules().account_of(tenant) {
            made.extend(bound(names, &namespace, &format!("{}-{tenant}", names.agent), account, &joined(rules)));
        }
    }
    made
}

/// A Role, or a ClusterRole without a namespace, and its binding to a service account (namespace and name).
fn bound(names: &Names, namespace: &str, name: &str, account: (&str, &str), rules: &[Value]) -> [Value; 2] {
    let kind = if namespace.is_empty() { "ClusterRole" } else { "Role" };
    let subject = json!({"kind": "ServiceAccount", "name": account.1, "namespace": account.0});
    let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    [
        names.object(RBAC, kind, namespace, name, json!({"rules": rules})),
        names.object(
            RBAC,
            &format!("{kind}Binding"),
            namespace,
            name,
            json!({"roleRef": reference, "subjects": [subject]}),
        ),
    ]
}

/// In its own namespace: the inventories, the Lease, and Events about objects without a namespace.
fn own_rules(desired: &Desired, names: &Names) -> Vec<Rule> {
    let parents = names.parents(desired);
    vec![
        rule("", "configmaps", &["list", "watch"], &[]),
        // A name cannot be asked of a create.
        rule("", "configmaps", &["create"], &[]),
        rule("", "configmaps", &["get", "patch"], &parents),
        rule(OWN_GROUP, "inventories", &["update"], &parents),
        rule("coordination.k8s.io", "leases", &["create"], &[]),
        rule("coordination.k8s.io", "leases", &["get", "update"], std::slice::from_ref(&names.agent)),
        rule("", "events", &["create"], &[]),
    ]
}

/// Without a namespace: reading what is listed in all of them, and writing kinds that have none.
fn cluster_rules(desired: &Desired, plurals: &BTreeMap<GroupKind, String>) -> Vec<Rule> {
    let mut rules =
        vec![rule("", "namespaces", &READ, &[]), rule(CRD_GROUP, "customresourcedefinitions", &["get", "list"], &[])];
    let secret = GroupKind::new("", "Secret");
    let used: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
    rules.extend(used.iter().filter(|kind| **kind != secret).map(|kind| rule(&kind.group, &plurals[kind], &READ, &[])));
    let clustered = desired.objects.keys().filter(|reference| reference.namespace.is_none());
    rules.extend(clustered.map(|r| rule(&r.group, &plurals[&r.group_kind()], &WRITE, &[])));
    // What routes may lead to is deleted only when none does, whoever wrote the route.
    let is_led_to = |kind: &GroupKind| {
        matches!(kind.group.as_str(), GATEWAY | SPIN | "apps") || *kind == GroupKind::new("", "Service")
    };
    if used.iter().any(is_led_to) {
        rules.extend(GATEWAY_KINDS.iter().map(|kind| rule(GATEWAY, &plural(kind), &READ, &[])));
        rules.push(rule("", "services", &READ, &[]));
        // Whether a backend has a ready endpoint is looked at before requests move to it.
        rules.push(rule("discovery.k8s.io", "endpointslices", &["list"], &[]));
    }
    if used.iter().any(|kind| kind.group == SPIN) {
        rules.push(rule("apps", "deployments", &READ, &[]));
    }
    if used.iter().any(|kind| kind.group == SPIN || matches!(kind.group.as_str(), "apps" | "batch")) {
        rules.push(rule("", "pods", &["list"], &[]));
    }
    // What is referred to and lives elsewhere: whether it is there. Secrets of others are none of its business.
    let graph = Graph::of(desired);
    let outside = graph.outside().map(ObjectRef::group_kind).filter(|kind| *kind != secret);
    let outside: BTreeSet<GroupKind> = outside.collect();
    rules.extend(outside.iter().map(|kind| rule(&kind.group, &plural(&kind.kind), &["get", "list"], &[])));
    rules
}

/// The resource names of the kinds that the repository uses: as its own definitions say, else by Kubernetes' custom.
fn plurals(desired: &Desired) -> BTreeMap<GroupKind, String> {
    let mut defined = defined(desired);
    let used: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
    let named = used.into_iter().map(|kind| {
        let name = defined.remove(&kind).unwrap_or_else(|| plural(&kind.kind));
        (kind, name)
    });
    named.collect()
}

/// The resource name of a kind, whether or not the repository has objects of it.
pub(crate) fn resource(desired: &Desired, kind: &GroupKind) -> String {
    defined(desired).remove(kind).unwrap_or_else(|| plural(&kind.kind))
}

/// The resource names of the kinds that the repository defines.
fn defined(desired: &Desired) -> BTreeMap<GroupKind, String> {
    let definitions = desired.objects.iter().filter(|(r, _)| r.is(CRD_GROUP, "CustomResourceDefinition"));
    let named = definitions.filter_map(|(_, member)| {
        let text = |pointer: &str| member.object.value.pointer(pointer).and_then(Value::as_str);
        Some((GroupKind::new(text("/spec/group")?, text("/spec/names/kind")?), text("/spec/names/plural")?.to_owned()))
    });
    named.collect()
}

/// The resource name that Kubernetes gives to a kind.
fn plural(kind: &str) -> String {
    let name = kind.to_lowercase();
    if name == "endpoints" {
        name
    } else if let Some(stem) = name.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        format!("{stem}ies")
    } else if name.ends_with(['s', 'x']) || name.ends_with("ch") || name.ends_with("sh") {
        format!("{name}es")
    } else {
        format!("{name}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_named_as_kubernetes_names_them() {
        for (kind, expected) in [
            ("NetworkPolicy", "networkpolicies"),
            ("GatewayClass", "gatewayclasses"),
            ("Ingress", "ingresses"),
            ("Gateway", "gateways"),
            ("Endpoints", "endpoints"),
            ("BackendTLSPolicy", "backendtlspolicies"),
            ("SpinApp", "spinapps"),
        ] {
            assert_eq!(plural(kind), expected);
        }
    }
}
