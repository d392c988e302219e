//! What limits where pods connect to.

use crate::desired::Desired;
use crate::kinds::{self, SPIN, each};
use crate::object::ObjectRef;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// The labels of the pods that an object makes, where it makes any: `Null` when it names none.
pub fn pod_labels<'a>(object: &ObjectRef, value: &'a Value) -> Option<Cow<'a, Value>> {
    let at = match (object.group.as_str(), object.kind.as_str()) {
        (SPIN, "SpinApp") => return Some(Cow::Owned(kinds::labels_of_app(&object.name, value))),
        ("", "Pod") => "/metadata/labels",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/metadata/labels",
        ("", "PodTemplate") => "/template/metadata/labels",
        ("", "ReplicationController") | ("apps" | "batch", _) => "/spec/template/metadata/labels",
        _ => return labels_of_template(value).map(Cow::Borrowed),
    };
    Some(Cow::Borrowed(value.pointer(at).unwrap_or(&Value::Null)))
}

/// The labels of the one template from which a kind that is not known makes pods. Where it has several, or runs something beside
/// it, they are unknown, and only a policy for all pods of the namespace selects them.
fn labels_of_template(value: &Value) -> Option<&Value> {
    let mut templates = Vec::new();
    let mut runs = false;
    let parts = value.as_object().into_iter().flatten().filter(|(key, _)| !BESIDE.contains(&key.as_str()));
    parts.for_each(|(_, part)| gather(part, &mut templates, &mut runs));
    match templates.as_slice() {
        [] if !runs => None,
        [one] if !runs => Some(one.pointer("/metadata/labels").unwrap_or(&Value::Null)),
        _ => Some(&Value::Null),
    }
}

/// The parts of an object in which nothing runs.
const BESIDE: [&str; 7] = ["apiVersion", "kind", "metadata", "status", "data", "stringData", "binaryData"];

/// The maps whose `spec` has containers, and whether a container or image stands anywhere else.
fn gather<'a>(value: &'a Value, templates: &mut Vec<&'a Value>, runs: &mut bool) {
    match value {
        Value::Object(_) if value.pointer("/spec/containers").is_some() => templates.push(value),
        Value::Object(map) => {
            *runs |= ["containers", "container", "image"].iter().any(|key| map.contains_key(*key));
            map.values().for_each(|below| gather(below, templates, runs));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, templates, runs)),
        _ => {}
    }
}

/// Whether a policy limits where pods with these labels connect to.
pub fn limits_pods(policy: &Value, labels: &Value) -> bool {
    limits_egress(policy) && selects(policy, labels)
}

/// A NetworkPolicy with its value.
type Policy<'a> = (&'a ObjectRef, &'a Value);

/// NetworkPolicies that limit where pods connect to, by the rarest label that each asks for: a tenant may have thousands.
pub struct Limits<'a> {
    by_label: HashMap<Asked<'a>, Vec<Policy<'a>>>,
    /// Those that ask for a label of whatever value, by their namespace and its key.
    by_key: HashMap<(&'a str, &'a str), Vec<Policy<'a>>>,
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
        let is_limit =
            |(object, value): &Policy<'_>| object.is("networking.k8s.io", "NetworkPolicy") && limits_egress(value);
        let limiting: Vec<Policy<'_>> = objects.iter().copied().filter(is_limit).collect();
        let policies = || limiting.iter().copied();
        let mut count: HashMap<Asked<'_>, usize> = HashMap::new();
        for asked in policies().flat_map(asked) {
            *count.entry(asked).or_default() += 1;
        }
        let mut made = Self { by_label: HashMap::new(), by_key: HashMap::new(), of_all: HashMap::new() };
        for policy in policies() {
            match (asked(policy).min_by_key(|asked| count[asked]), expression(policy)) {
                (Some(rarest), _) => made.by_label.entry(rarest).or_default().push(policy),
                (None, Some((key, values))) if !values.is_empty() => {
                    let values: BTreeSet<&str> = values.into_iter().collect();
                    values.into_iter().for_each(|value| {
                        made.by_label.entry((policy.0.namespace(), key, value)).or_default().push(policy);
                    });
                }
                (None, Some((key, _))) => made.by_key.entry((policy.0.namespace(), key)).or_default().push(policy),
                (None, None) => made.of_all.entry(policy.0.namespace()).or_default().push(policy),
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
        let labels_of = || labels.as_object().into_iter().flatten();
        let labelled =
            labels_of().filter_map(move |(key, value)| self.by_label.get(&(namespace, key.as_str(), value.as_str()?)));
        let keyed = labels_of().filter_map(move |(key, _)| self.by_key.get(&(namespace, key.as_str())));
        let near = labelled.chain(keyed).chain(self.of_all.get(namespace)).flatten();
        near.filter(move |(_, policy)| selects(policy, labels)).map(|(policy, _)| *policy)
    }
}

/// A label that a policy asks for, in its namespace.
type Asked<'a> = (&'a str, &'a str, &'a str);

/// The first expression by which a policy selects pods: its key and, of `In`, its values.
fn expression<'a>((_, value): Policy<'a>) -> Option<(&'a str, Vec<&'a str>)> {
    let first = value.pointer("/spec/podSelector/matchExpressions/0")?;
    let values = first.get("values").and_then(Value::as_array).into_iter().flatten();
    let values = values.filter(|_| first["operator"] == "In").filter_map(Value::as_str).collect();
    Some((first.get("key")?.as_str()?, values))
}

/// The labels that a policy asks of pods.
fn asked<'a>((policy, value): Policy<'a>) -> impl Iterator<Item = Asked<'a>> {
    let labels = value.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .filter_map(move |(key, value)| Some((policy.namespace(), key.as_str(), value.as_str()?)))
}

/// Whether a policy limits where pods connect to, and selects them by nothing but labels that they must have. Without `policyTypes` one that has rules for
/// egress limits it (NetworkPolicySpec).
fn limits_egress(policy: &Value) -> bool {
    let types = each(policy, "spec.policyTypes[]");
    let has_rules = !each(policy, "spec.egress[]").is_empty();
    let limits = if types.is_empty() { has_rules } else { types.iter().any(|(_, kind)| *kind == "Egress") };
    // By labels that they do not have nobody is selected for certain: more may be added to a pod.
    let has = |expression: &Value| expression["operator"] == "In" || expression["operator"] == "Exists";
    // What is no list is not understood, so it selects nothing.
    let understood = match policy.pointer("/spec/podSelector/matchExpressions") {
        None => true,
        Some(Value::Array(all)) => all.iter().all(has),
        Some(_) => false,
    };
    limits && understood
}

const EXPRESSIONS: &str = "spec.podSelector.matchExpressions[]";

/// Whether a policy selects pods with these labels.
fn selects(policy: &Value, labels: &Value) -> bool {
    let wanted = policy.pointer("/spec/podSelector/matchLabels").and_then(Value::as_object);
    let fits = |(_, expression): (String, &Value)| {
        let label = expression["key"].as_str().and_then(|key| labels.get(key));
        let is_one = |label: &Value| expression["values"].as_array().is_some_and(|values| values.contains(label));
        label.is_some_and(|label| expression["operator"] == "Exists" || is_one(label))
    };
    wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
        && each(policy, EXPRESSIONS).into_iter().all(fits)
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
            policy("by-rules", "shop", "podSelector: {}, egress: [{ports: [{port: 53}]}]"),
            policy("neither", "shop", "podSelector: {}, ingress: [{}]"),
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
        assert_eq!(policies(&Live::default()), ["all", "by-rules", "own"]);
        // One that is live and selects other pods limits nothing yet.
        for (label, left) in [("pay", vec!["all", "by-rules", "own"]), ("cart", vec![])] {
            let mut live = Live::default();
            live.insert(json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "own", "namespace": "shop"},
                "spec": {"podSelector": {"matchLabels": {"app": label}}, "policyTypes": ["Egress"]}}));
            assert_eq!(policies(&live), left, "{label}");
        }
    }

    /// The operator gives pods of an app labels of its own, and a selector may say what it wants in another form.
    #[test]
    fn a_policy_selects_by_what_the_pods_have_in_whatever_form() {
        let app = "apiVersion: core.spinkube.dev/v1alpha1\nkind: SpinApp\nmetadata: {name: cart, namespace: shop}\nspec: {podLabels: {app: cart}}\n";
        let reference = ObjectRef::new("core.spinkube.dev", "SpinApp", "shop", "cart");
        for (selector, selects) in [
            ("matchLabels: {core.spinkube.dev/app-name: cart}", true),
            ("matchLabels: {core.spinkube.dev/app.cart.status: ready, app: cart}", true),
            ("matchExpressions: [{key: app, operator: In, values: [pay, cart]}]", true),
            ("matchExpressions: [{key: app, operator: Exists}]", true),
            ("matchLabels: {app: cart}, matchExpressions: [{key: app, operator: In, values: [pay]}]", false),
            ("matchExpressions: [{key: team, operator: Exists}]", false),
            ("matchExpressions: [{key: team, operator: DoesNotExist}]", false),
            ("matchExpressions: [{key: app, operator: NotIn, values: [pay]}]", false),
            ("matchExpressions: [{key: app, operator: in, values: [cart]}]", false),
            ("matchExpressions: {key: app, operator: In, values: [cart]}", false),
            ("matchExpressions: [app]", false),
            ("matchLabels: {core.spinkube.dev/app-name: pay}", false),
        ] {
            let spec = format!("policyTypes: [Egress], podSelector: {{{selector}}}");
            let desired = desired(&format!("{app}{}", policy("p", "shop", &spec)));
            let graph = Graph::build(&desired, &Live::default());
            let found = graph.needs(&reference).into_iter().any(|(need, _)| need.kind == "NetworkPolicy");
            assert_eq!(found, selects, "{selector}");
        }
        // Whoever writes the operator's labels themselves does not have them for certain.
        let own = app.replace("app: cart", "core.spinkube.dev/app-name: pay");
        let spec = "policyTypes: [Egress], podSelector: {matchLabels: {core.spinkube.dev/app-name: cart}}";
        let desired = desired(&format!("{own}{}", policy("p", "shop", spec)));
        let graph = Graph::build(&desired, &Live::default());
        assert!(graph.needs(&reference).iter().all(|(need, _)| need.kind != "NetworkPolicy"));
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
