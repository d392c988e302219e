//! The dependency graph: which object needs which, read from the objects' own fields (design law 1).
//!
//! Nodes are desired objects, the objects that controllers make for them, and whatever else they refer to.

use crate::desired::Desired;
use crate::kinds::{self, GATEWAY, Section};
use crate::live::{Live, Presence, Source};
use crate::object::{Diagnostic, GroupKind, ObjectRef, Origin, dotted};
use crate::schema::{CRD_GROUP, crd_versions};
use petgraph::algo::tarjan_scc;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef as _;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Why one object needs another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The field that says so, as a path with dots, or what else makes the link.
    pub because: String,
    /// Where the field stands.
    pub origin: Option<Origin>,
    /// The part of the other object that is meant.
    pub section: Option<Section>,
}

/// The graph; an edge runs from what needs to what is needed.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    graph: StableDiGraph<ObjectRef, Link>,
    nodes: BTreeMap<ObjectRef, NodeIndex>,
}

impl Graph {
    /// Builds the graph of the desired objects; live state tells who makes an object that a reference means.
    pub fn build(desired: &Desired, live: &Live) -> Self {
        let mut graph = Self::default();
        let mut makers: BTreeMap<ObjectRef, ObjectRef> = BTreeMap::new();
        let mut definitions: BTreeMap<GroupKind, ObjectRef> = BTreeMap::new();
        for (reference, member) in &desired.objects {
            graph.node(reference);
            for made in kinds::provides(reference, &member.object.value) {
                makers.insert(made, reference.clone());
            }
            if reference.is(CRD_GROUP, "CustomResourceDefinition") {
                definitions.extend(crd_versions(&member.object.value).map(|(kind, _)| (kind, reference.clone())));
            }
        }
        for (made, maker) in &makers {
            if !desired.objects.contains_key(made) {
                graph.link(made, maker, Link { because: format!("made for {maker}"), origin: None, section: None });
            }
        }
        for (reference, member) in &desired.objects {
            let object = &member.object;
            if let Some(definition) = definitions.get(&reference.group_kind()) {
                graph.link(
                    reference,
                    definition,
                    Link { because: "its kind".to_owned(), origin: Some(object.origin_of("/kind")), section: None },
                );
            }
            if let Some(namespace) = &reference.namespace {
                let origin = Some(object.origin_of("/metadata/namespace"));
                graph.link(
                    reference,
                    &ObjectRef::new("", "Namespace", "", namespace),
                    Link { because: "metadata.namespace".to_owned(), origin, section: None },
                );
            }
            for found in kinds::references(reference, &object.value) {
                let link = Link {
                    because: dotted(&found.pointer),
                    origin: Some(object.origin_of(&found.pointer)),
                    section: found.section,
                };
                if Self::is_reversed(reference, &found.to, desired, live, &makers) {
                    let app = &makers[&found.to];
                    graph.link(
                        app,
                        reference,
                        Link { because: "autoscaling is switched on: the autoscaler comes first".to_owned(), ..link },
                    );
                } else if found.to != *reference {
                    graph.link(reference, &found.to, link);
                    graph.link_grants(reference, &found.to, &object.origin_of(&found.pointer), desired);
                }
            }
        }
        graph
    }

    fn node(&mut self, reference: &ObjectRef) -> NodeIndex {
        if let Some(index) = self.nodes.get(reference) {
            return *index;
        }
        let index = self.graph.add_node(reference.clone());
        self.nodes.insert(reference.clone(), index);
        index
    }

    fn link(&mut self, from: &ObjectRef, to: &ObjectRef, link: Link) {
        let (a, b) = (self.node(from), self.node(to));
        self.graph.add_edge(a, b, link);
    }

    /// A reference into another namespace needs the grants there that allow it.
    fn link_grants(&mut self, from: &ObjectRef, to: &ObjectRef, origin: &Origin, desired: &Desired) {
        if from.namespace == to.namespace || to.namespace.is_none() || from.group != GATEWAY || to.group == GATEWAY {
            return;
        }
        let grants =
            desired.objects.iter().filter(|(r, _)| r.is(GATEWAY, "ReferenceGrant") && r.namespace == to.namespace);
        for (grant, member) in grants {
            if grants_reference(&member.object.value, from, to) {
                self.link(
                    from,
                    grant,
                    Link {
                        because: format!("allows the reference to {to}"),
                        origin: Some(origin.clone()),
                        section: None,
                    },
                );
            }
        }
    }

    /// Whether an autoscaler comes before the app that it scales ([`kinds::scales_first`]).
    fn is_reversed(
        from: &ObjectRef,
        to: &ObjectRef,
        desired: &Desired,
        live: &Live,
        makers: &BTreeMap<ObjectRef, ObjectRef>,
    ) -> bool {
        let wanted = |app: &ObjectRef| desired.objects.get(app).map(|m| &m.object.value);
        makers.get(to).is_some_and(|app| kinds::scales_first(from, (app, live.get(app), wanted(app))))
    }

    /// The objects.
    pub fn nodes(&self) -> impl Iterator<Item = &ObjectRef> {
        self.nodes.keys()
    }

    /// What an object needs directly, with why.
    pub fn needs(&self, reference: &ObjectRef) -> Vec<(&ObjectRef, &Link)> {
        let Some(index) = self.nodes.get(reference) else { return Vec::new() };
        let mut found: Vec<_> = self.graph.edges(*index).map(|e| (&self.graph[e.target()], e.weight())).collect();
        found.sort_by(|a, b| (a.0, &a.1.because).cmp(&(b.0, &b.1.because)));
        found
    }

    /// All links, in the order of the objects.
    pub fn links(&self) -> Vec<(&ObjectRef, &ObjectRef, &Link)> {
        self.nodes().flat_map(|from| self.needs(from).into_iter().map(move |(to, link)| (from, to, link))).collect()
    }

    /// The shortest chain of needs from one object to another.
    pub fn why(&self, from: &ObjectRef, to: &ObjectRef) -> Option<Vec<(&ObjectRef, &Link, &ObjectRef)>> {
        let (start, goal) = (*self.nodes.get(from)?, *self.nodes.get(to)?);
        let mut reached = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for edge in self.graph.edges(node) {
                if edge.target() != start && !reached.contains_key(&edge.target()) {
                    reached.insert(edge.target(), edge.id());
                    queue.push_back(edge.target());
                }
            }
        }
        let mut chain = Vec::new();
        let mut node = goal;
        while node != start {
            let edge = *reached.get(&node)?;
            let (source, target) = self.graph.edge_endpoints(edge)?;
            chain.push((&self.graph[source], &self.graph[edge], &self.graph[target]));
            node = source;
        }
        chain.reverse();
        Some(chain)
    }

    /// Cycles, each as an error that prints its path.
    pub fn cycles(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for component in tarjan_scc(&self.graph).into_iter().filter(|c| c.len() > 1) {
            let mut members: Vec<&ObjectRef> = component.iter().map(|n| &self.graph[*n]).collect();
            members.sort();
            let Some(start) = members.first() else { continue };
            let path = self.loop_through(start, &members);
            let origin = path.first().and_then(|(_, link, _)| link.origin.clone());
            let shown: Vec<String> = path.iter().map(|(from, link, _)| format!("{from} ({})", link.because)).collect();
            for member in &members {
                let mut diagnostic =
                    Diagnostic::error("graph-cycle", format!("Needs itself: {} -> {start}.", shown.join(" -> ")))
                        .about(member)
                        .help("Remove one of these references.");
                diagnostic.origin.clone_from(&origin);
                found.push(diagnostic);
            }
        }
        found
    }

    fn loop_through<'a>(
        &'a self,
        start: &'a ObjectRef,
        members: &[&ObjectRef],
    ) -> Vec<(&'a ObjectRef, &'a Link, &'a ObjectRef)> {
        let nexts = self.needs(start).into_iter().filter(|(to, _)| members.contains(to));
        let mut loops = nexts.filter_map(|(to, link)| {
            let mut path = vec![(start, link, to)];
            path.extend(self.why(to, start)?);
            Some(path)
        });
        loops.next().unwrap_or_default()
    }

    /// References that lead nowhere: neither in Git, nor live, nor named as external. Without live state nothing is said.
    pub fn dangling(&self, desired: &Desired, live: &Live) -> Vec<Diagnostic> {
        if matches!(live.source, Source::None | Source::Revision) {
            return Vec::new();
        }
        let config = desired.rules();
        let mut found = Vec::new();
        for (reference, member) in &desired.objects {
            let namespace = reference.namespace.as_ref().map(|name| kinds::Reference {
                to: ObjectRef::new("", "Namespace", "", name),
                section: None,
                pointer: "/metadata/namespace".to_owned(),
                optional: false,
            });
            for link in namespace.into_iter().chain(kinds::references(reference, &member.object.value)) {
                let made = self.nodes.get(&link.to).is_some_and(|n| self.graph.edges(*n).next().is_some());
                let known = desired.objects.contains_key(&link.to)
                    || made
                    || config.externals.iter().any(|e| e.matches(&link.to));
                if known || link.optional || is_implicit(&link.to) || live.presence(&link.to) != Presence::Absent {
                    continue;
                }
                let message = format!(
                    "{reference} refers to {}, which is neither in the repository nor in the cluster.",
                    link.to
                );
                let severe =
                    matches!(link.to.kind.as_str(), "GatewayClass" | "Gateway" | "SpinAppExecutor" | "Namespace");
                let diagnostic = if severe {
                    Diagnostic::error("reference-dangling", message)
                } else {
                    Diagnostic::warning("reference-dangling", message)
                };
                found.push(
                    diagnostic
                        .at(member.object.origin_of(&link.pointer))
                        .about(reference)
                        .help("Add it, mend the name, or list it under `externals` when it lives elsewhere."),
                );
            }
        }
        found.dedup();
        found
    }
}

/// Objects that every cluster or namespace has by itself.
fn is_implicit(reference: &ObjectRef) -> bool {
    let name = reference.name.as_str();
    match reference.kind.as_str() {
        "ServiceAccount" => name == "default",
        "ClusterRole" => name.starts_with("system:") || matches!(name, "cluster-admin" | "admin" | "edit" | "view"),
        "Namespace" => matches!(name, "default" | "kube-system" | "kube-public" | "kube-node-lease"),
        "PriorityClass" => name.starts_with("system-"),
        "ConfigMap" => name == "kube-root-ca.crt",
        _ => false,
    }
}

/// Whether a ReferenceGrant allows a reference (Gateway API, ReferenceGrant).
pub fn grants_reference(grant: &Value, from: &ObjectRef, to: &ObjectRef) -> bool {
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let froms = kinds::each(grant, "spec.from[]");
    let tos = kinds::each(grant, "spec.to[]");
    froms.iter().any(|(_, f)| {
        text(f, "group") == from.group && text(f, "kind") == from.kind && text(f, "namespace") == from.namespace()
    }) && tos.iter().any(|(_, t)| {
        let name = text(t, "name");
        text(t, "group") == to.group && text(t, "kind") == to.kind && (name.is_empty() || name == to.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};

    fn desired(text: &str) -> Desired {
        let tree = Tree { entries: [("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into() };
        read(&tree, None).unwrap_or_default()
    }

    const SHOP: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{name: public, namespace: infra, sectionName: https}]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinApp
metadata: {name: cart, namespace: shop}
spec: {image: x, executor: shim, variables: [{name: k, valueFrom: {secretKeyRef: {name: s, key: k, optional: true}}}]}
---
apiVersion: core.spinkube.dev/v1alpha1
kind: SpinAppExecutor
metadata: {name: shim, namespace: shop}
spec: {createDeployment: true}
";

    #[test]
    fn edges_come_from_fields_with_their_positions() {
        let graph = Graph::build(&desired(SHOP), &Live::default());
        let route = ObjectRef::new(GATEWAY, "HTTPRoute", "shop", "cart");
        let executor = ObjectRef::new(kinds::SPIN, "SpinAppExecutor", "shop", "shim");
        let chain = graph.why(&route, &executor).unwrap_or_default();
        let shown: Vec<String> = chain.iter().map(|(_, link, to)| format!("{} -> {to}", link.because)).collect();
        assert_eq!(
            shown,
            [
                "spec.rules[0].backendRefs[0] -> Service shop/cart",
                "made for SpinApp shop/cart -> SpinApp shop/cart",
                "spec.executor -> SpinAppExecutor shop/shim"
            ]
        );
        let gateway =
            graph.needs(&route).into_iter().find(|(to, _)| to.kind == "Gateway").map(|(_, link)| link.clone());
        let gateway = gateway.unwrap_or(Link { because: String::new(), origin: None, section: None });
        assert_eq!(gateway.section, Some(Section::Listener("https".into())));
        assert_eq!(gateway.origin.map(|o| o.position.line), Some(6));
    }

    #[test]
    fn a_cycle_prints_its_path() {
        let text = "
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: m, annotations: {config.kubernetes.io/depends-on: /namespaces/m/ConfigMap/b}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b, namespace: m, annotations: {config.kubernetes.io/depends-on: /namespaces/m/ConfigMap/a}}
";
        let found = Graph::build(&desired(text), &Live::default()).cycles();
        assert_eq!(found.len(), 2);
        assert!(
            found[0]
                .message
                .raw()
                .contains("ConfigMap m/a (metadata.annotations.config.kubernetes.io/depends-on) -> ConfigMap m/b"),
            "{:?}",
            found[0]
        );
    }
}
