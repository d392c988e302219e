//! The dependency graph: which object needs which, read from the objects' own fields (design law 1).
//!
//! Nodes are desired objects, the objects that controllers make for them, and whatever else they refer to.

use crate::desired::{Desired, Member, PLATFORM};
use crate::kinds::{self, GATEWAY, Section};
use crate::live::{Live, Presence, Source};
use crate::object::{Diagnostic, GroupKind, ObjectRef, Origin, Severity, dotted};
use crate::schema::{CRD_GROUP, crd_versions};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use petgraph::stable_graph::{EdgeIndex, NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

mod circles;
mod grants;
mod limits;

pub use circles::Circle;
pub use grants::Grants;
pub use limits::{Limits, limits_pods, pod_labels};

/// Why one object needs another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The field that says so, as a path with dots, or what else makes the link.
    pub because: Arc<str>,
    /// Where the field stands.
    pub origin: Option<Origin>,
    /// The part of the other object that is meant.
    pub section: Option<Section>,
    /// Whether nothing is wrong when the other object is missing.
    pub optional: bool,
    /// What makes the link.
    pub kind: LinkKind,
}

/// What makes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A field that cannot work without the other object.
    Field,
    /// An annotation that only asks for an order (`depends-on`).
    Order,
    /// A controller creates the object for the other one.
    Maker,
}

impl Link {
    fn new(because: impl Into<Arc<str>>, origin: Option<Origin>) -> Self {
        Self { because: because.into(), origin, section: None, optional: true, kind: LinkKind::Field }
    }
}

/// So many policies are waited for by one object: a tenant may have thousands that select all pods, and one of them limits them.
pub const LIMITS: usize = 8;

/// Texts that thousands of links share.
#[derive(Default)]
struct Words(HashSet<Arc<str>>);

impl Words {
    fn shared(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.0.get(text.as_str()) {
            return Arc::clone(known);
        }
        let made: Arc<str> = text.into();
        self.0.insert(Arc::clone(&made));
        made
    }
}

/// The graph; an edge runs from what needs to what is needed.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    graph: StableDiGraph<ObjectRef, Link>,
    /// The nodes by a hash of their objects, which only the graph holds.
    nodes: HashTable<NodeIndex>,
    hasher: RandomState,
    /// How many nodes are desired objects: they are the first, in the order of their names.
    desired: usize,
    /// Who makes what.
    makers: HashMap<NodeIndex, NodeIndex>,
}

impl Graph {
    /// Builds the graph of the desired objects beside live state.
    pub fn build(desired: &Desired, live: &Live) -> Self {
        let mut graph = Self::of(desired);
        graph.add_live(desired, live);
        graph
    }

    /// The graph as the repository alone has it.
    pub fn of(desired: &Desired) -> Self {
        let count = desired.objects.len();
        // Room for what is usual (an app's route, service, executor), so that it does not grow by copying.
        let room = StableDiGraph::with_capacity(2 * count, 5 * count);
        let mut graph = Self { graph: room, desired: count, ..Self::default() };
        let mut definitions: BTreeMap<GroupKind, ObjectRef> = BTreeMap::new();
        for (reference, member) in &desired.objects {
            graph.node(reference);
            if reference.is(CRD_GROUP, "CustomResourceDefinition") && desired.counts(member) {
                definitions.extend(crd_versions(&member.object.value).map(|(kind, _)| (kind, reference.clone())));
            }
        }
        graph.link_makers(desired);
        let mut words = Words::default();
        let enablers = desired.enablers();
        let grants = Grants::of(desired);
        for (index, (reference, member)) in desired.objects.iter().enumerate() {
            let from = NodeIndex::new(index);
            graph.link_object(from, reference, member, desired, &definitions, &grants, &mut words);
            graph.link_executor(from, reference, member, desired);
            for enabler in enablers.get(member.partition.as_str()).into_iter().flatten() {
                let to = graph.node(enabler);
                let because = format!("what tenant {} is done as", member.partition);
                graph.graph.add_edge(from, to, Link::new(words.shared(because), None));
            }
        }
        graph
    }

    /// What a controller makes needs what it is made for.
    fn link_makers(&mut self, desired: &Desired) {
        for (index, (reference, member)) in desired.objects.iter().enumerate() {
            for made in kinds::provides(reference, &member.object.value) {
                let (made, maker) = (self.node(&made), NodeIndex::new(index));
                self.makers.insert(made, maker);
                if !self.is_desired(made) {
                    let link = Link::new(format!("made for {reference}"), None);
                    self.graph.add_edge(made, maker, Link { kind: LinkKind::Maker, ..link });
                }
            }
        }
    }

    fn link_object(
        &mut self,
        from: NodeIndex,
        reference: &ObjectRef,
        member: &Member,
        desired: &Desired,
        definitions: &BTreeMap<GroupKind, ObjectRef>,
        grants: &Grants<'_>,
        words: &mut Words,
    ) {
        let object = &member.object;
        if let Some(definition) = definitions.get(&reference.group_kind()) {
            let to = self.node(definition);
            self.graph.add_edge(from, to, Link::new("its kind", Some(object.origin_of("/kind"))));
        }
        if let Some(namespace) = &reference.namespace {
            let to = self.node(&ObjectRef::new("", "Namespace", "", namespace));
            let origin = Some(object.origin_of("/metadata/namespace"));
            self.graph.add_edge(
                from,
                to,
                Link { optional: false, ..Link::new(words.shared("metadata.namespace".to_owned()), origin) },
            );
        }
        // What comes to be through an object does not come before it.
        let through = issued_through(reference, desired, &Live::default());
        for found in kinds::references(reference, &object.value) {
            if found.to == *reference || self.is_made_for(&found.to, &through) {
                continue;
            }
            let to = self.node(&found.to);
            let origin = object.origin_of(&found.pointer);
            let crosses = reference.namespace != found.to.namespace && found.to.namespace.is_some();
            let asks = crosses && reference.group == GATEWAY && found.to.group != GATEWAY;
            for grant in asks.then(|| grants.between(reference, &found.to)).into_iter().flatten() {
                let grant = self.node(grant);
                let because = format!("allows the reference to {}", found.to);
                self.graph.add_edge(from, grant, Link::new(because, Some(origin.clone())));
            }
            let link = Link {
                because: words.shared(dotted(&found.pointer)),
                origin: Some(origin),
                section: found.section,
                optional: found.optional,
                kind: if found.is_wish { LinkKind::Order } else { LinkKind::Field },
            };
            self.graph.add_edge(from, to, link);
        }
    }

    /// A SpinApp that names no executor comes after the one that is filled in.
    fn link_executor(&mut self, from: NodeIndex, reference: &ObjectRef, member: &Member, desired: &Desired) {
        if let Some(executor) = executor_filled_in(reference, &member.object.value, desired) {
            let to = self.node(&executor);
            let origin = Some(member.object.origin_of("/spec"));
            self.graph.add_edge(from, to, Link::new("spec.executor, which the Spin operator fills in", origin));
        }
    }

    /// Whether a Secret is made for one of some certificates.
    fn is_made_for(&self, secret: &ObjectRef, certificates: &BTreeSet<ObjectRef>) -> bool {
        let maker = self.find(secret).and_then(|node| self.makers.get(&node));
        !certificates.is_empty() && maker.is_some_and(|maker| certificates.contains(&self.graph[*maker]))
    }

    /// A Gateway does not wait for a certificate that an issuer, which only the cluster has, proves through it.
    fn leave_issued(&mut self, desired: &Desired, live: &Live) {
        for kind in ["Gateway", "ListenerSet"] {
            for (gateway, _) in desired.of_kind(GATEWAY, kind, None) {
                let through = issued_through(gateway, desired, live);
                let from = self.node(gateway);
                let edges: Vec<EdgeIndex> = self.graph.edges(from).map(|edge| edge.id()).collect();
                for edge in edges {
                    let Some((_, to)) = self.graph.edge_endpoints(edge) else { continue };
                    if self.is_made_for(&self.graph[to], &through) {
                        self.graph.remove_edge(edge);
                    }
                }
            }
        }
    }

    /// What live state says of the order.
    pub fn add_live(&mut self, desired: &Desired, live: &Live) {
        self.leave_issued(desired, live);
        self.turn_autoscalers(desired, live);
        self.limit_first(desired, live);
    }

    /// Pods do not start before what limits where they connect to is there, unless something live limits them that stays. What
    /// another tenant writes is not waited for.
    fn limit_first(&mut self, desired: &Desired, live: &Live) {
        let mut of_partition: HashMap<&str, Vec<(&ObjectRef, &Value)>> = HashMap::new();
        for (policy, member) in desired.of_kind("networking.k8s.io", "NetworkPolicy", None) {
            of_partition.entry(member.partition.as_str()).or_default().push((policy, &member.object.value));
        }
        let limits: HashMap<&str, Limits<'_>> =
            of_partition.into_iter().map(|(partition, policies)| (partition, Limits::among(&policies))).collect();
        let because: Arc<str> = "it restricts where the pods connect to".into();
        for (index, (reference, member)) in desired.objects.iter().enumerate() {
            let Some(labels) = pod_labels(reference, &member.object.value) else { continue };
            let of_platform = limits.get(PLATFORM).filter(|_| member.partition != PLATFORM);
            let near = limits.get(member.partition.as_str()).into_iter().chain(of_platform);
            let policies: Vec<&ObjectRef> =
                near.flat_map(|limits| limits.on(reference, &labels)).take(LIMITS).collect();
            if policies.iter().any(|policy| live.get(policy).is_some_and(|value| limits_pods(value, &labels))) {
                continue;
            }
            for policy in policies {
                let to = self.node(policy);
                self.graph.add_edge(NodeIndex::new(index), to, Link::new(Arc::clone(&because), None));
            }
        }
    }

    /// An autoscaler comes before the app that it scales where autoscaling is being switched on ([`kinds::scales_first`]).
    fn turn_autoscalers(&mut self, desired: &Desired, live: &Live) {
        let wanted = |app: &ObjectRef| desired.objects.get(app).map(|m| &m.object.value);
        for (group, kind) in kinds::SCALERS {
            for (scaler, _) in desired.of_kind(group, kind, None) {
                let from = self.node(scaler);
                let edges: Vec<EdgeIndex> = self.graph.edges(from).map(|edge| edge.id()).collect();
                for edge in edges {
                    let Some((_, to)) = self.graph.edge_endpoints(edge) else { continue };
                    let Some(maker) = self.makers.get(&to).copied() else { continue };
                    let app = self.graph[maker].clone();
                    if !kinds::scales_first(scaler, (&app, live.get(&app), wanted(&app))) {
                        continue;
                    }
                    if let Some(link) = self.graph.remove_edge(edge) {
                        let because = "autoscaling is switched on: the autoscaler comes first".into();
                        self.graph.add_edge(maker, from, Link { because, ..link });
                    }
                }
            }
        }
    }

    fn is_desired(&self, node: NodeIndex) -> bool {
        node.index() < self.desired
    }

    fn node(&mut self, reference: &ObjectRef) -> NodeIndex {
        let Self { graph, nodes, hasher, .. } = self;
        let found = nodes.entry(
            hasher.hash_one(reference),
            |node| graph[*node] == *reference,
            |node| hasher.hash_one(&graph[*node]),
        );
        match found {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(place) => {
                let node = graph.add_node(reference.clone());
                place.insert(node);
                node
            }
        }
    }

    fn find(&self, reference: &ObjectRef) -> Option<NodeIndex> {
        self.nodes.find(self.hasher.hash_one(reference), |node| self.graph[*node] == *reference).copied()
    }

    /// What desired objects refer to that is neither desired nor made for one.
    pub fn outside(&self) -> impl Iterator<Item = &ObjectRef> {
        let nodes = self.graph.node_indices().filter(|node| !self.is_desired(*node) && !self.is_made(*node));
        nodes.map(|node| &self.graph[node])
    }

    /// Whether a controller makes an object that is not desired itself.
    fn is_made(&self, node: NodeIndex) -> bool {
        self.graph.edges(node).next().is_some()
    }

    /// The objects.
    pub fn nodes(&self) -> impl Iterator<Item = &ObjectRef> {
        let mut nodes: Vec<&ObjectRef> = self.graph.node_weights().collect();
        nodes.sort();
        nodes.into_iter()
    }

    /// What an object needs directly, with why.
    pub fn needs(&self, reference: &ObjectRef) -> Vec<(&ObjectRef, &Link)> {
        let Some(index) = self.find(reference) else { return Vec::new() };
        let mut found: Vec<_> = self.graph.edges(index).map(|e| (&self.graph[e.target()], e.weight())).collect();
        found.sort_by(|a, b| (a.0, &a.1.because).cmp(&(b.0, &b.1.because)));
        found
    }

    /// All links, in the order of the objects.
    pub fn links(&self) -> Vec<(&ObjectRef, &ObjectRef, &Link)> {
        self.nodes().flat_map(|from| self.needs(from).into_iter().map(move |(to, link)| (from, to, link))).collect()
    }

    /// The shortest chain of needs from one object to another.
    pub fn why(&self, from: &ObjectRef, to: &ObjectRef) -> Option<Vec<(&ObjectRef, &Link, &ObjectRef)>> {
        let (start, goal) = (self.find(from)?, self.find(to)?);
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

    /// The references of desired objects to what the repository neither has nor causes to be made.
    pub fn outside_links(&self) -> Vec<(&ObjectRef, &ObjectRef, &Link)> {
        let mut found = Vec::new();
        for index in (0..self.desired).map(NodeIndex::new) {
            for edge in self.graph.edges(index) {
                let (node, link) = (edge.target(), edge.weight());
                if !link.optional && !self.is_desired(node) && !self.is_made(node) && !is_implicit(&self.graph[node]) {
                    found.push((&self.graph[index], &self.graph[node], link));
                }
            }
        }
        found.sort_by(|a, b| (a.0, a.1, &a.2.origin).cmp(&(b.0, b.1, &b.2.origin)));
        found.dedup_by(|a, b| (a.0, a.1, &a.2.origin) == (b.0, b.1, &b.2.origin));
        found
    }

    /// References that lead nowhere: neither in Git, nor live, nor named as external. Without live state nothing is said.
    pub fn dangling(&self, desired: &Desired, live: &Live) -> Vec<Diagnostic> {
        if matches!(live.source, Source::None | Source::Revision) {
            return Vec::new();
        }
        let config = desired.rules();
        let mut missing: HashMap<NodeIndex, bool> = HashMap::new();
        let mut is_missing = |node: NodeIndex| {
            *missing.entry(node).or_insert_with(|| {
                let to = &self.graph[node];
                let known = is_implicit(to) || config.externals.iter().any(|e| e.matches(to));
                !known && live.presence(to) == Presence::Absent
            })
        };
        let mut found = Vec::new();
        for (index, (reference, _)) in desired.objects.iter().enumerate() {
            for edge in self.graph.edges(NodeIndex::new(index)) {
                let (node, link) = (edge.target(), edge.weight());
                if link.optional || self.is_desired(node) || self.is_made(node) || !is_missing(node) {
                    continue;
                }
                let to = &self.graph[node];
                let message =
                    format!("{reference} refers to {to}, which is neither in the repository nor in the cluster.");
                let severe = matches!(to.kind.as_str(), "GatewayClass" | "Gateway" | "SpinAppExecutor" | "Namespace");
                let severity = if severe { Severity::Error } else { Severity::Warning };
                let mut diagnostic = Diagnostic::new(severity, "reference-dangling", message)
                    .about(reference)
                    .help("Add it, mend the name, or list it under `externals` when it lives elsewhere.");
                diagnostic.origin.clone_from(&link.origin);
                found.push(diagnostic);
            }
        }
        // Edges come latest first.
        found.sort_by(|a, b| (&a.object, &a.origin).cmp(&(&b.object, &b.origin)));
        found.dedup();
        found
    }
}

/// The certificates of a repository that can only be issued once a Gateway serves.
pub fn issued_through(gateway: &ObjectRef, desired: &Desired, live: &Live) -> BTreeSet<ObjectRef> {
    if !gateway.is(GATEWAY, "Gateway") && !gateway.is(GATEWAY, "ListenerSet") {
        return BTreeSet::new();
    }
    let issuer = |asked: &ObjectRef| {
        let wanted = desired.objects.get(asked).map(|member| &member.object.value);
        wanted.or_else(|| live.get(asked))
    };
    let certificates = desired.of_kind("cert-manager.io", "Certificate", None);
    let certificates = certificates.map(|(certificate, member)| (certificate, &member.object.value));
    let through = certificates.filter(|certificate| kinds::is_issued_through(gateway, *certificate, issuer));
    through.map(|(certificate, _)| certificate.clone()).collect()
}

/// The executor that the Spin operator fills in where a SpinApp names none, if the repository has it: the first by name, of the
/// app's namespace.
pub fn executor_filled_in(app: &ObjectRef, value: &Value, desired: &Desired) -> Option<ObjectRef> {
    let named = value.pointer("/spec/executor").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    if named || !app.is(kinds::SPIN, "SpinApp") {
        return None;
    }
    let executors = desired.of_kind(kinds::SPIN, "SpinAppExecutor", Some(app.namespace()));
    executors.map(|(executor, _)| executor.clone()).next()
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
        let tree = Tree::of([("a.yaml".to_owned(), Entry::File(text.as_bytes().to_vec()))].into());
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
        let gateway = gateway.unwrap_or(Link::new("", None));
        assert_eq!(gateway.section, Some(Section::Listener("https".into())));
        assert_eq!(gateway.origin.map(|o| o.position.line), Some(6));
    }
}
