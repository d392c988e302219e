//! What limits where pods connect to.

use crate::desired::Desired;
use crate::kinds::{SPIN, each};
use crate::object::ObjectRef;
use serde_json::Value;
use std::collections::HashMap;

/// The labels of the pods that an object makes, where it makes any: `Null` when it names none.
pub fn pod_labels<'a>(object: &ObjectRef, value: &'a Value) -> Option<&'a Value> {
    let at = match (object.group.as_str(), object.kind.as_str()) {
        (SPIN, "SpinApp") => "/spec/podLabels",
        ("", "Pod") => "/metadata/labels",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/metadata/labels",
        ("", "ReplicationController" | "PodTemplate") | ("apps" | "batch", _) => "/spec/template/metadata/labels",
        // Other controllers mostly keep a pod template at the same place (Argo Rollouts, OpenKruise). Where they do not, the labels
        // are unknown, and only a policy for all pods of the namespace selects them.
        _ if has_containers(value.get("spec")) => "/spec/template/metadata/labels",
        _ => return None,
    };
    Some(value.pointer(at).unwrap_or(&Value::Null))
}

/// Whether a list of containers stands anywhere below.
fn has_containers(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(map)) => {
            map.contains_key("containers") || map.values().any(|below| has_containers(Some(below)))
        }
        Some(Value::Array(items)) => items.iter().any(|item| has_containers(Some(item))),
        _ => false,
    }
}

/// A NetworkPolicy with its value.
type Policy<'a> = (&'a ObjectRef, &'a Value);

/// NetworkPolicies that limit where pods connect to, by the rarest label that each asks for: a tenant may have thousands.
pub struct Limits<'a> {
    by_label: HashMap<Asked<'a>, Vec<Policy<'a>>>,
    /// Those of all pods of a namespace.
    of_all: HashMap<&'a str, Vec<Policy<'a>>>,
}

impl<'a> Limits<'a> {
    /// Those of a repository.
    pub fn of(desired: &'a Desired) -> Self {
        let policies = desired.of_kind("networking.k8s.io", "NetworkPolicy", None);
        Self::among(&policies.map(|(reference, member)| (reference, &member.object.value)).collect::<Vec<_>>())
    }

    /// Those among objects with their values.
    pub fn among(objects: &[(&'a ObjectRef, &'a Value)]) -> Self {
        let policies = || objects.iter().copied().filter(|(object, _)| object.is("networking.k8s.io", "NetworkPolicy"));
        let mut count: HashMap<Asked<'_>, usize> = HashMap::new();
        for asked in policies().flat_map(asked) {
            *count.entry(asked).or_default() += 1;
        }
        let mut made = Self { by_label: HashMap::new(), of_all: HashMap::new() };
        for policy in policies() {
            match asked(policy).min_by_key(|asked| count[asked]) {
                Some(rarest) => made.by_label.entry(rarest).or_default().push(policy),
                None => made.of_all.entry(policy.0.namespace()).or_default().push(policy),
            }
        }
        made
    }

    /// Those on the pods of an object, which have these labels.
    pub fn on<'b>(&'b self, object: &'b ObjectRef, labels: &'b Value) -> impl Iterator<Item = &'a ObjectRef> + 'b
    where
        'a: 'b,
    {
        let namespace = object.namespace();
        let labelled = labels.as_object().into_iter().flatten();
        let labelled = labelled.filter_map(move |(key, value)| self.by_label.get(&(namespace, key, value.as_str()?)));
        let near = labelled.chain(self.of_all.get(namespace)).flatten();
        near.filter(move |(_, policy)| selects(policy, labels)).map(|(policy, _)| *policy)
    }
}

/// A label that a policy asks for, in its namespace.
type Asked<'a> = (&'a str, &'a str, &'a str);

/// The labels that a policy asks of pods.
fn asked<'a>((policy, value): Policy<'a>) -> impl Iterator<Item = Asked<'a>> {
    let labels = value.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .filter_map(move |(key, value)| Some((policy.namespace(), key.as_str(), value.as_str()?)))
}

/// Whether a policy limits where pods with these labels connect to.
fn selects(policy: &Value, labels: &Value) -> bool {
    let limits = each(policy, "spec.policyTypes[]").iter().any(|(_, kind)| *kind == "Egress");
    let wanted = policy.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    let has = |(key, value): (&String, &Value)| labels.get(key) == Some(value);
    let plain = policy.pointer("/spec/podSelector/matchExpressions").is_none();
    limits && plain && wanted.is_none_or(|wanted| wanted.iter().all(has))
}

#[cfg(test)]
mod tests {
    use crate::desired::{Desired, Entry, Tree, read};
    use crate::graph::Graph;
    use crate::live::Live;
    use crate::object::ObjectRef;
    use serde_json::json;

    fn desired(text: &str) -> Desired {
        let config = "apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t}\nspec: {sources: [a], environments: [{name: test}]}\n";
        let files = [("spinway.yaml", config), ("a/a.yaml", text)];
        let entries = files.map(|(path, text)| (path.to_owned(), Entry::File(text.as_bytes().to_vec())));
        read(&Tree::of(entries.into()), Some("test")).unwrap_or_default()
    }

    const APP: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: shop}\nspec: {template: {metadata: {labels: {app: cart}}, spec: {containers: []}}}\n";

    fn policy(name: &str, namespace: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n"
        )
    }

    #[test]
    fn pods_come_after_the_policies_that_limit_them_until_those_are_live() {
        let text = [
            APP.to_owned(),
            policy("own", "shop", "policyTypes: [Egress], podSelector: {matchLabels: {app: cart}}"),
            policy("all", "shop", "policyTypes: [Ingress, Egress], podSelector: {}"),
            policy("ingress", "shop", "policyTypes: [Ingress], podSelector: {}"),
            policy("other", "shop", "policyTypes: [Egress], podSelector: {matchLabels: {app: pay}}"),
            policy("elsewhere", "pay", "policyTypes: [Egress], podSelector: {}"),
        ];
        let desired = desired(&text.concat());
        let app = ObjectRef::new("apps", "Deployment", "shop", "app");
        let policies = |live: &Live| {
            let graph = Graph::build(&desired, live);
            let needs = graph.needs(&app).into_iter().filter(|(need, _)| need.kind == "NetworkPolicy");
            needs.map(|(need, _)| need.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(policies(&Live::default()), ["all", "own"]);
        let mut live = Live::default();
        live.insert(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "own", "namespace": "shop"}}));
        assert_eq!(policies(&live), ["all"]);
    }

    #[test]
    fn one_object_is_linked_to_a_few_of_thousands_of_policies() {
        let many: String =
            (0..50).map(|n| policy(&format!("p{n}"), "shop", "policyTypes: [Egress], podSelector: {}")).collect();
        let desired = desired(&format!("{APP}{many}"));
        let graph = Graph::build(&desired, &Live::default());
        let app = ObjectRef::new("apps", "Deployment", "shop", "app");
        let linked = graph.needs(&app).into_iter().filter(|(need, _)| need.kind == "NetworkPolicy").count();
        assert_eq!(linked, 8);
    }
}
