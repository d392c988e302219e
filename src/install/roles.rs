//! What the agent may do: read what plans are judged by, write the kinds that the repository holds, where it holds them.

use super::Names;
use crate::desired::{Desired, Member, Pattern, Tenant};
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

/// The agent's Roles and bindings, and those of the tenants' service accounts.
pub(super) fn manifests(desired: &Desired, names: &Names) -> Vec<Value> {
    let plurals = plurals(desired);
    let agent = (names.namespace.as_str(), names.agent.as_str());
    let mut by_namespace: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    by_namespace.insert(names.namespace.clone(), own_rules(desired, names));
    for reference in desired.objects.keys() {
        // Events about objects without a namespace are in `default`.
        let namespace = reference.namespace.as_deref().unwrap_or("default");
        let rules = by_namespace.entry(namespace.to_owned()).or_default();
        rules.push(rule("", "events", &["create"], &[]));
        if reference.namespace.is_some() && reference.is("", "Secret") {
            rules.push(rule("", &plurals[&reference.group_kind()], &READ, &[]));
        }
    }
    for tenant in &desired.rules().tenants {
        if let Some((namespace, account)) = desired.rules().account_of(&tenant.name) {
            let rules = by_namespace.entry(namespace.to_owned()).or_default();
            rules.push(rule("", "serviceaccounts", &["impersonate"], &[account.to_owned()]));
        }
    }
    // Without a namespace: what is read in all of them, and what has none.
    by_namespace.insert(String::new(), cluster_rules(desired, &plurals));
    // What each tenant's own service account writes, instead of the agent.
    let mut by_account: BTreeMap<(&str, String), Vec<Rule>> = BTreeMap::new();
    for ((writer, namespace), rules) in written(desired, &plurals) {
        match writer {
            Some(tenant) => by_account.entry((tenant, namespace)).or_default().extend(rules),
            None => by_namespace.entry(namespace).or_default().extend(rules),
        }
    }
    let mut made = Vec::new();
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

/// Who writes in a namespace, or without one what has none: a tenant by its service account, or the agent itself.
type Writer<'a> = (Option<&'a str>, String);

/// What is written by whom and where. A rule is about all objects of a kind, except where that would reach objects that
/// somebody else has to write: there it names its objects. A server-side apply that creates an object is asked by name, too.
fn written<'a>(desired: &'a Desired, plurals: &BTreeMap<GroupKind, String>) -> BTreeMap<Writer<'a>, Vec<Rule>> {
    let rules = desired.rules();
    let accounts: Vec<&Tenant> =
        rules.tenants.iter().filter(|tenant| rules.account_of(&tenant.name).is_some()).collect();
    let writer_of = |member: &Member| accounts.iter().map(|t| t.name.as_str()).find(|name| *name == member.partition);
    let mut named: BTreeMap<(Writer<'_>, GroupKind), BTreeSet<&str>> = BTreeMap::new();
    for (reference, member) in &desired.objects {
        let namespace = reference.namespace.clone().unwrap_or_default();
        let writer = (writer_of(member), namespace);
        named.entry((writer, reference.group_kind())).or_default().insert(&reference.name);
    }
    // The kinds without a namespace that tenants with an account have, and the namespaces of such tenants.
    let of_accounts = || named.keys().filter(|((writer, _), _)| writer.is_some());
    let namespaces: BTreeSet<String> = of_accounts().map(|((_, namespace), _)| namespace.clone()).collect();
    let kinds: BTreeSet<GroupKind> =
        of_accounts().filter(|((_, namespace), _)| namespace.is_empty()).map(|(_, kind)| kind.clone()).collect();
    let listed_kinds: Vec<Pattern> =
        accounts.iter().flat_map(|tenant| &tenant.cluster_kinds).map(|text| Pattern::from(text.clone())).collect();
    let has_namespace = |namespace: &str| {
        namespaces.contains(namespace) || accounts.iter().any(|tenant| tenant.has_namespace(namespace))
    };
    let has_kind = |kind: &GroupKind| {
        let full = format!("{}.{}", kind.kind, kind.group);
        kinds.contains(kind)
            || listed_kinds.iter().any(|pattern| pattern.is_match(&kind.kind) || pattern.is_match(&full))
    };
    let mut made: BTreeMap<Writer<'_>, Vec<Rule>> = BTreeMap::new();
    for ((writer, kind), names) in &named {
        let is_named = match (&writer.0, writer.1.as_str()) {
            // Objects without a namespace have no other bounds.
            (Some(_), namespace) => namespace.is_empty(),
            (None, "") => has_kind(kind),
            (None, namespace) => has_namespace(namespace),
        };
        let names: Vec<String> = names.iter().filter(|_| is_named).map(|name| (*name).to_owned()).collect();
        made.entry(writer.clone()).or_default().push(rule(&kind.group, &plurals[kind], &WRITE, &names));
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
        // They are created by server-side apply, of which a name can be asked.
        rule("", "configmaps", &["create", "get", "patch"], &parents),
        rule(OWN_GROUP, "inventories", &["update"], &parents),
        // A Lease is created by POST, of which no name can be asked.
        rule("coordination.k8s.io", "leases", &["create"], &[]),
        rule("coordination.k8s.io", "leases", &["get", "update"], std::slice::from_ref(&names.agent)),
        rule("", "events", &["create"], &[]),
    ]
}

/// Without a namespace: reading what is listed in all of them.
fn cluster_rules(desired: &Desired, plurals: &BTreeMap<GroupKind, String>) -> Vec<Rule> {
    let mut rules =
        vec![rule("", "namespaces", &READ, &[]), rule(CRD_GROUP, "customresourcedefinitions", &["get", "list"], &[])];
    let secret = GroupKind::new("", "Secret");
    let used: BTreeSet<GroupKind> = desired.objects.keys().map(ObjectRef::group_kind).collect();
    rules.extend(used.iter().filter(|kind| **kind != secret).map(|kind| rule(&kind.group, &plurals[kind], &READ, &[])));
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
    use crate::desired::{Entry, Tree, read};

    /// The rights of each subject: `SUBJECT in NAMESPACE: VERBS RESOURCES [NAMES]`, of what creates.
    fn rights(tenants: &str, files: &[(&str, &str)]) -> Vec<String> {
        let config = format!(
            "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: shop}}\nspec:\n  sources: [platform, apps]\n  environments: [{{name: test}}]\n  tenants: [{tenants}]\n"
        );
        let files = files.iter().copied().chain([("spinway.yaml", config.as_str())]);
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        let Ok(desired) = read(&Tree::of(entries.collect()), Some("test")) else {
            unreachable!("the Config can be used")
        };
        let desired = crate::check::accepted(desired);
        let made = manifests(&desired, &Names::of(&desired));
        let text = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let words = |value: &Value| {
            let all: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            all.join(",")
        };
        let mut found = Vec::new();
        for pair in made.chunks(2) {
            let subject = text(&pair[1], "/subjects/0/name");
            for rule in pair[0]["rules"].as_array().into_iter().flatten() {
                let verbs = words(&rule["verbs"]);
                if verbs.contains("create,delete") {
                    let (namespace, resources) = (text(&pair[0], "/metadata/namespace"), words(&rule["resources"]));
                    found.push(format!("{subject} in `{namespace}`: {resources} [{}]", words(&rule["resourceNames"])));
                }
            }
        }
        found
    }

    fn map(name: &str, namespace: &str) -> String {
        format!("---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: {namespace}}}}}\n")
    }

    fn class(name: &str) -> String {
        format!(
            "---\n{{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {{name: {name}}}, value: 1}}\n"
        )
    }

    const MAY: &str = "kinds: [ConfigMap, PriorityClass], clusterKinds: [PriorityClass]";

    #[test]
    fn where_an_account_writes_the_agent_writes_single_objects() {
        let platform = [map("p", "one"), map("q", "one-more"), map("r", "infra"), class("low")].concat();
        let own = [map("a", "one"), map("b", "one"), class("high")].concat();
        let files = [("platform/a.yaml", platform.as_str()), ("apps/one/a.yaml", own.as_str())];
        let one = "name: one, paths: [apps/one], namespaces: [one, \"one-*\"]";
        assert_eq!(
            rights(&format!("{{{one}, {MAY}, serviceAccount: one/deployer}}"), &files),
            [
                "spinway.shop.test in ``: priorityclasses [low]",
                "spinway.shop.test in `infra`: configmaps []",
                "spinway.shop.test in `one`: configmaps [p]",
                "spinway.shop.test in `one-more`: configmaps [q]",
                "deployer in ``: priorityclasses [high]",
                "deployer in `one`: configmaps []",
            ]
        );
        assert_eq!(
            rights(&format!("{{{one}, {MAY}}}"), &files),
            [
                "spinway.shop.test in ``: priorityclasses []",
                "spinway.shop.test in `infra`: configmaps []",
                "spinway.shop.test in `one`: configmaps []",
                "spinway.shop.test in `one-more`: configmaps []",
            ],
            "without an account the agent writes what is the tenant's"
        );
    }

    #[test]
    fn a_tenant_without_an_account_gets_single_objects_where_another_has_one() {
        let (one, two) =
            ([map("a", "shared"), map("b", "one")].concat(), [map("c", "shared"), map("d", "two")].concat());
        let files = [("apps/one/a.yaml", one.as_str()), ("apps/two/a.yaml", two.as_str()), ("platform/a.yaml", "")];
        let tenants = "{name: one, paths: [apps/one], namespaces: [one, shared], serviceAccount: infra/one}, {name: two, paths: [apps/two], namespaces: [two, shared]}";
        assert_eq!(
            rights(tenants, &files),
            [
                "spinway.shop.test in `shared`: configmaps [c]",
                "spinway.shop.test in `two`: configmaps []",
                "one in `one`: configmaps []",
                "one in `shared`: configmaps []",
            ]
        );
    }

    #[test]
    fn what_the_rules_refuse_needs_no_right() {
        let binding = |kind: &str, namespace: &str| {
            format!(
                "---\n{{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind}, metadata: {{name: x{namespace}}}, roleRef: {{kind: ClusterRole, name: admin}}}}\n"
            )
        };
        let own = [
            map("a", "one"),
            map("b", "infra"),
            binding("RoleBinding", ", namespace: one"),
            binding("RoleBinding", ", namespace: infra"),
            binding("ClusterRoleBinding", ""),
            "---\n{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: infra}}\n".to_owned(),
            "---\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: p, namespace: infra}}\n"
                .to_owned(),
        ]
        .concat();
        let files = [("platform/a.yaml", ""), ("apps/one/a.yaml", own.as_str())];
        assert_eq!(
            rights("{name: one, paths: [apps/one], namespaces: [one]}", &files),
            ["spinway.shop.test in `one`: configmaps []"]
        );
        assert_eq!(
            rights("{name: one, paths: [apps/one], namespaces: [one], serviceAccount: one/deployer}", &files),
            ["deployer in `one`: configmaps []"]
        );
    }

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
