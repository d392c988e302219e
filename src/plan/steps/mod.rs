//! Make before break (design law 2): each change as steps, and the order of the steps.
//!
//! A change is a sequence of states of one object. Each step leads from one state to the next; what a state provides
//! (itself, a listener, a port, a grant) and what it needs is read from it. A step that begins to need something comes
//! after the step that provides it; a step that ceases to need something comes before the step that takes it away. A route
//! that gives up requests comes after the route that takes them over.
//!
//! **Invariant:** in every order that respects the result, no need that was met before and is met after is unmet in
//! between; what has no such order is named as a break.

mod succession;

pub(super) use succession::new_redirects;

use super::Break;
use crate::graph::{LIMITS, Limits, grants_reference, limits_pods, pod_labels};
use crate::kinds::{self, GATEWAY, Section, each};
use crate::object::{GroupKind, ObjectRef};
use crate::routing::Probe;
use crate::schema::CRD_GROUP;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef as _, IntoEdgeReferences as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// It provides or uses both the old and the new.
    Expand,
    /// It becomes as it is wanted, at once.
    Set,
    /// It loses the old.
    Contract,
    /// It is deleted.
    Delete,
    /// It is deleted and made again.
    Replace,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The index of the change it belongs to.
    pub change: usize,
    /// What it does.
    pub kind: StepKind,
    /// The text to apply; none for a delete.
    pub body: Option<Value>,
    /// Whether those that come after wait until the object is healthy.
    pub wait: bool,
    /// For how many seconds after the last step before it this one is not begun: the Gateway learns of what took over, and
    /// requests to what goes end meanwhile.
    pub settle: f64,
    /// What is asked meanwhile; the rest is over when all of it is answered as it is wanted.
    pub probes: Vec<Probe>,
    /// What must hold right before it is sent.
    pub gates: Vec<Gate>,
}

impl Step {
    /// Whether it takes something away, or moves requests to something else: then it waits for health whatever was asked for.
    pub fn is_careful(&self) -> bool {
        matches!(self.kind, StepKind::Contract | StepKind::Delete)
            || self.settle > 0.0
            || self.gates.iter().any(|gate| gate.always)
    }
}

/// What must hold of live objects right before a step is sent, whoever changed them and whenever (law 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gate {
    /// The object that is looked at.
    pub object: ObjectRef,
    /// What must hold of it.
    pub proof: Proof,
    /// Whether it must hold also when health is not waited for.
    pub always: bool,
}

/// What must hold of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// It is healthy.
    Healthy,
    /// What makes it is healthy, and as a backend it has a ready endpoint.
    Serves,
    /// As a backend it has a ready endpoint: it served a part of the requests before, and gets more.
    StillServes,
    /// No live object refers to it, or to what is made for it.
    Unused,
    /// It is the object that was judged, and still belongs to the inventory.
    Ours,
}

/// A change as the sequencer sees it: the live state, and the wanted one.
#[derive(Clone, Debug)]
pub struct Stepped<'a> {
    /// The object.
    pub object: &'a ObjectRef,
    /// The live state; none when it is absent.
    pub before: Option<&'a Value>,
    /// The wanted state; none when it is deleted.
    pub after: Option<&'a Value>,
    /// Whether it is deleted and made again.
    pub replace: bool,
    /// What it needs whatever the object says: what the identity that does it needs, and what is filled in.
    pub also: &'a [&'a ObjectRef],
    /// What comes to be through it, though the object refers to what is made of that.
    pub through: &'a BTreeSet<ObjectRef>,
}

/// Something that a state needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// An object, or a part of it.
    Object(ObjectRef, Option<Section>),
    /// A grant that allows a reference into another namespace.
    Grant(ObjectRef, ObjectRef),
}

/// What the state of an object needs.
pub fn needs_of(object: &ObjectRef, value: &Value) -> BTreeSet<Need> {
    let mut needs = BTreeSet::new();
    if let Some(namespace) = &object.namespace {
        needs.insert(Need::Object(ObjectRef::new("", "Namespace", "", namespace), None));
    }
    for reference in kinds::references(object, value) {
        let crosses =
            object.group == GATEWAY && reference.to.namespace.is_some() && reference.to.namespace != object.namespace;
        if crosses && reference.to.group != GATEWAY {
            needs.insert(Need::Grant(object.clone(), reference.to.clone()));
        }
        needs.insert(Need::Object(reference.to, reference.section));
    }
    needs
}

/// Whether the state of an object meets a need.
pub fn available(object: &ObjectRef, value: &Value, need: &Need) -> bool {
    match need {
        Need::Grant(from, to) => {
            object.is(GATEWAY, "ReferenceGrant")
                && object.namespace == to.namespace
                && grants_reference(value, from, to)
        }
        Need::Object(wanted, section) if wanted == object => {
            section.as_ref().is_none_or(|section| has_section(value, section))
        }
        Need::Object(wanted, _) => kinds::provides(object, value).contains(wanted),
    }
}

fn has_section(value: &Value, section: &Section) -> bool {
    match section {
        Section::Listener(name) => each(value, "spec.listeners[].name").iter().any(|(_, n)| *n == name),
        Section::Port(port) => {
            let ports = each(value, "spec.ports[].port");
            ports.is_empty() || ports.iter().any(|(_, p)| p.as_i64() == Some(*port))
        }
    }
}

/// The steps of all changes in an order that can be followed, the pairs that must keep it, and the breaks by change.
pub type Sequence = (Vec<Step>, Vec<(usize, usize)>, BTreeMap<usize, Break>);

/// The steps of all changes in an order that can be followed, the pairs that must keep it, and the breaks by change.
pub fn sequence(changes: &[Stepped<'_>]) -> Sequence {
    let mut sequencer = Sequencer::new(changes);
    sequencer.split();
    sequencer.order()
}

/// The states of one change, the first being the live one.
struct Path<'a> {
    object: &'a ObjectRef,
    also: &'a [&'a ObjectRef],
    through: &'a BTreeSet<ObjectRef>,
    states: Vec<Option<Value>>,
    kinds: Vec<StepKind>,
    wait: Vec<bool>,
}

struct Sequencer<'a> {
    paths: Vec<Path<'a>>,
    /// Changes by what they are and by what is made for them.
    by_object: BTreeMap<ObjectRef, Vec<usize>>,
    grants: Vec<usize>,
    /// Users that must be expanded before a provider is set, and contracted after: (user, provider).
    around: Vec<(usize, usize)>,
}

impl<'a> Sequencer<'a> {
    fn new(changes: &[Stepped<'a>]) -> Self {
        let mut by_object: BTreeMap<ObjectRef, Vec<usize>> = BTreeMap::new();
        let mut grants = Vec::new();
        let mut paths = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            by_object.entry(change.object.clone()).or_default().push(index);
            for state in [change.before, change.after].into_iter().flatten() {
                for made in kinds::provides(change.object, state) {
                    by_object.entry(made).or_default().push(index);
                }
            }
            if change.object.is(GATEWAY, "ReferenceGrant") {
                grants.push(index);
            }
            let kind = match (change.after, change.replace) {
                (None, _) => StepKind::Delete,
                (_, true) => StepKind::Replace,
                _ => StepKind::Set,
            };
            let states = vec![change.before.cloned(), change.after.cloned()];
            let Stepped { object, also, through, .. } = *change;
            paths.push(Path { object, also, through, states, kinds: vec![kind], wait: vec![true] });
        }
        for indexes in by_object.values_mut() {
            indexes.dedup();
        }
        Self { paths, by_object, grants, around: Vec::new() }
    }

    fn needs(&self, index: usize, state: usize) -> BTreeSet<Need> {
        let path = &self.paths[index];
        let Some(value) = &path.states[state] else { return BTreeSet::new() };
        let also = path.also.iter().map(|object| Need::Object((*object).clone(), None));
        needs_of(path.object, value).into_iter().chain(also).collect()
    }

    fn meets(&self, index: usize, state: usize, need: &Need) -> bool {
        let path = &self.paths[index];
        path.states[state].as_ref().is_some_and(|value| available(path.object, value, need))
    }

    fn states_of(&self, index: usize) -> (&ObjectRef, Option<&Value>, Option<&Value>) {
        let path = &self.paths[index];
        (path.object, path.states[0].as_ref(), path.states[self.last(index)].as_ref())
    }

    fn last(&self, index: usize) -> usize {
        self.paths[index].states.len() - 1
    }

    /// The changes that may meet a need.
    fn providers(&self, need: &Need) -> &[usize] {
        match need {
            Need::Object(object, _) => self.by_object.get(object).map_or(&[], Vec::as_slice),
            Need::Grant(..) => &self.grants,
        }
    }

    /// Gives an intermediate state to the changes that need one.
    fn split(&mut self) {
        let users: Vec<usize> = (0..self.paths.len()).collect();
        let mut gained: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut lost: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for user in &users {
            let (before, after) = (self.needs(*user, 0), self.needs(*user, 1));
            for need in after.difference(&before) {
                for provider in self.providers(need).iter().filter(|p| **p != *user) {
                    if !self.meets(*provider, 0, need) && self.meets(*provider, 1, need) {
                        gained.entry(*provider).or_default().push(*user);
                    }
                }
            }
            for need in before.difference(&after) {
                for provider in self.providers(need).iter().filter(|p| **p != *user) {
                    if self.meets(*provider, 0, need) && !self.meets(*provider, 1, need) {
                        lost.entry(*provider).or_default().push(*user);
                    }
                }
            }
        }
        for (provider, winners) in &gained {
            let Some(losers) = lost.get(provider) else { continue };
            match self.union(*provider) {
                Some(union) => self.insert(*provider, union, true),
                None => {
                    // The provider cannot have both: its users hold on to both instead.
                    for user in winners.iter().filter(|user| losers.contains(user)) {
                        self.around.push((*user, *provider));
                    }
                }
            }
        }
        self.split_claims();
        for user in users {
            let held_open = self.around.iter().any(|(u, _)| *u == user);
            if let Some(union) = self.union_of_parents(user, held_open) {
                self.insert(user, union, !held_open);
            }
        }
    }

    fn insert(&mut self, index: usize, union: Value, wait: bool) {
        let path = &mut self.paths[index];
        if path.kinds == [StepKind::Set] {
            path.states.insert(1, Some(union));
            path.kinds = vec![StepKind::Expand, StepKind::Contract];
            path.wait = vec![wait, true];
        }
    }

    /// A state of a provider that provides both the old and the new; none where the API allows no such state.
    fn union(&self, index: usize) -> Option<Value> {
        let path = &self.paths[index];
        let [Some(before), Some(after)] = path.states.as_slice() else { return None };
        let mut union = after.clone();
        match path.object.kind.as_str() {
            "Gateway" | "ListenerSet" => {
                let kept = |l: &Value| json!([l.get("port"), l.get("protocol"), l.get("hostname")]);
                extend(&mut union, before, "/spec/listeners", &|l| l.get("name").cloned().unwrap_or_default());
                let listeners = union.pointer("/spec/listeners")?.as_array()?;
                // Port, protocol and hostname must be unique (Gateway API, spec.listeners).
                let unique: BTreeSet<String> = listeners.iter().map(|l| kept(l).to_string()).collect();
                (unique.len() == listeners.len()).then_some(union)
            }
            "Service" => {
                let key = |p: &Value| json!([p.get("port"), p.get("protocol").unwrap_or(&json!("TCP"))]);
                extend(&mut union, before, "/spec/ports", &key);
                name_ports(&mut union);
                Some(union)
            }
            "ReferenceGrant" => {
                for list in ["/spec/from", "/spec/to"] {
                    extend(&mut union, before, list, &Value::clone);
                }
                Some(union)
            }
            _ => None,
        }
    }

    /// A route that moves to other parents is attached to both for a while; `always` also for another listener of one.
    fn union_of_parents(&self, index: usize, always: bool) -> Option<Value> {
        let path = &self.paths[index];
        let [Some(before), Some(after)] = path.states.as_slice() else { return None };
        let is_route = path.object.group == GATEWAY && path.object.kind.ends_with("Route");
        let namespace = path.object.namespace().to_owned();
        let key = move |parent: &Value| {
            let text =
                |field: &str, default: &str| parent.get(field).and_then(Value::as_str).unwrap_or(default).to_owned();
            (text("kind", "Gateway"), text("namespace", &namespace), text("name", ""))
        };
        let set =
            |value: &Value| each(value, "spec.parentRefs[]").into_iter().map(|(_, p)| key(p)).collect::<BTreeSet<_>>();
        let (old, new) = (set(before), set(after));
        let moves = old.difference(&new).next().is_some() && new.difference(&old).next().is_some();
        if !is_route || !(moves || always) {
            return None;
        }
        let mut union = after.clone();
        let full = |parent: &Value| {
            let (kind, namespace, name) = key(parent);
            json!([kind, namespace, name, parent.get("sectionName"), parent.get("port")])
        };
        extend(&mut union, before, "/spec/parentRefs", &full);
        Some(union)
    }

    /// Orders the steps.
    fn order(self) -> Sequence {
        let mut graph: StableDiGraph<(usize, usize), bool> = StableDiGraph::new();
        let mut nodes: BTreeMap<(usize, usize), NodeIndex> = BTreeMap::new();
        let mut edges = Edges::default();
        for (index, path) in self.paths.iter().enumerate() {
            for step in 0..path.kinds.len() {
                let node = graph.add_node((index, step));
                nodes.insert((index, step), node);
                if step > 0 {
                    edges.add(nodes[&(index, step - 1)], node, true);
                }
            }
        }
        let definitions: Vec<usize> = (0..self.paths.len())
            .filter(|index| self.paths[*index].object.is(CRD_GROUP, "CustomResourceDefinition"))
            .collect();
        // Hard edges keep a need met; soft ones only let a need that is met anyway settle first.
        for index in 0..self.paths.len() {
            for step in 0..self.paths[index].kinds.len() {
                let node = nodes[&(index, step)];
                let (before, after) = (self.needs(index, step), self.needs(index, step + 1));
                self.definition_edges(index, &definitions, &mut edges, &nodes, node);
                for need in &after {
                    let held_open = |p: &usize| self.around.contains(&(index, *p));
                    let comes_later = |p: &usize| self.paths[index].through.contains(self.paths[*p].object);
                    let apart = |p: &usize| *p == index || step == 0 && held_open(p) || comes_later(p);
                    for provider in self.providers(need).iter().filter(|p| !apart(p)) {
                        if kinds::scales_first(self.paths[index].object, self.states_of(*provider)) {
                            // Switching autoscaling on would drop the replicas to 1: the autoscaler comes first.
                            edges.add(node, nodes[&(*provider, 0)], true);
                        } else if let Some((from, hard)) = self.first_meeting(*provider, need) {
                            edges.add(nodes[&(*provider, from)], node, hard && !before.contains(need));
                        }
                    }
                }
                for need in before.difference(&after) {
                    let held_open = |p: &usize| self.around.contains(&(index, *p));
                    for provider in self.providers(need).iter().filter(|p| **p != index && !held_open(p)) {
                        if let Some(to) = self.last_meeting(*provider, need) {
                            let target = nodes[&(*provider, to)];
                            // The other way round would be a soft wish only.
                            edges.remove_soft(target, node);
                            edges.add(node, target, true);
                        }
                    }
                }
            }
        }
        for (user, provider) in &self.around {
            let last = self.paths[*user].kinds.len() - 1;
            edges.add(nodes[&(*user, 0)], nodes[&(*provider, 0)], true);
            edges.add(nodes[&(*provider, 0)], nodes[&(*user, last)], true);
        }
        self.succession(&mut edges, &nodes);
        self.workload_edges(&mut edges, &nodes);
        self.limit_edges(&mut edges, &nodes);
        edges.into_graph(&mut graph);
        let breaks = self.break_cycles(&mut graph);
        self.flatten(&graph, breaks)
    }

    /// Pods do not start before the policies that come to limit where they connect to, and end before one that goes.
    fn limit_edges(&self, edges: &mut Edges, nodes: &BTreeMap<(usize, usize), NodeIndex>) {
        let before = |index: usize| self.paths[index].states[0].as_ref();
        let wanted = |index: usize| self.paths[index].states[self.last(index)].as_ref();
        let all = || 0..self.paths.len();
        let object = |index: usize| self.paths[index].object;
        let made: Vec<(&ObjectRef, &Value)> = all().filter_map(|index| Some((object(index), wanted(index)?))).collect();
        let gone: Vec<(&ObjectRef, &Value)> = all()
            .filter(|index| wanted(*index).is_none())
            .filter_map(|index| Some((object(index), before(index)?)))
            .collect();
        let (made, gone) = (Limits::among(&made), Limits::among(&gone));
        let places: HashMap<&ObjectRef, usize> = all().map(|index| (object(index), index)).collect();
        for index in all() {
            let last = self.paths[index].kinds.len() - 1;
            if let Some(labels) = wanted(index).and_then(|value| pod_labels(object(index), value)) {
                let on = made.on(object(index), &labels).take(LIMITS);
                let policies: Vec<usize> = on.filter_map(|policy| places.get(policy).copied()).collect();
                // One that limits them already does so until it is changed, and after.
                if policies.iter().any(|policy| before(*policy).is_some_and(|value| limits_pods(value, &labels))) {
                    continue;
                }
                for policy in policies {
                    edges.add(nodes[&(policy, 0)], nodes[&(index, 0)], true);
                }
            } else if let Some(labels) = before(index).and_then(|value| pod_labels(object(index), value)) {
                for policy in gone.on(object(index), &labels).take(LIMITS).filter_map(|policy| places.get(policy)) {
                    edges.add(nodes[&(index, last)], nodes[&(*policy, 0)], true);
                }
            }
        }
    }

    /// A workload that goes, goes after the Services that cease to lead to it.
    fn workload_edges(&self, edges: &mut Edges, nodes: &BTreeMap<(usize, usize), NodeIndex>) {
        let is_gone = |index: &usize| {
            let path = &self.paths[*index];
            path.object.group == "apps"
                && WORKLOADS.contains(&path.object.kind.as_str())
                && path.states[self.last(*index)].is_none()
        };
        let gone: Vec<usize> = (0..self.paths.len()).filter(is_gone).collect();
        let mut services: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, path) in self.paths.iter().enumerate().filter(|(_, path)| path.object.is("", "Service")) {
            services.entry(path.object.namespace()).or_default().push(index);
        }
        for workload in gone {
            let (object, Some(value), _) = self.states_of(workload) else { continue };
            for service in services.get(object.namespace()).into_iter().flatten() {
                let (_, before, after) = self.states_of(*service);
                if before.is_some_and(|s| kinds::leads_to(s, value))
                    && !after.is_some_and(|s| kinds::leads_to(s, value))
                {
                    let last = self.paths[*service].kinds.len() - 1;
                    edges.add(nodes[&(*service, last)], nodes[&(workload, 0)], true);
                }
            }
        }
    }

    /// A custom resource comes after the definition of its kind, and goes before it.
    fn definition_edges(
        &self,
        index: usize,
        definitions: &[usize],
        edges: &mut Edges,
        nodes: &BTreeMap<(usize, usize), NodeIndex>,
        node: NodeIndex,
    ) {
        let kind = self.paths[index].object.group_kind();
        for (definition, path) in definitions.iter().map(|index| (*index, &self.paths[*index])) {
            let defines = |state: usize| path.states[state].as_ref().and_then(defined).is_some_and(|d| d == kind);
            if path.states[self.last(definition)].is_none() && defines(0) {
                edges.add(node, nodes[&(definition, 0)], true);
            } else if defines(self.last(definition)) && definition != index {
                edges.add(nodes[&(definition, 0)], node, true);
            }
        }
    }

    /// The step after which a need is met for good, and whether it was unmet before.
    fn first_meeting(&self, provider: usize, need: &Need) -> Option<(usize, bool)> {
        let last = self.last(provider);
        if !self.meets(provider, last, need) {
            return None;
        }
        let met: Vec<bool> = (0..=last).map(|state| self.meets(provider, state, need)).collect();
        let first = (1..=last).find(|state| met[*state..].iter().all(|m| *m))?;
        Some((first - 1, !met[0] || met.iter().any(|m| !m)))
    }

    /// The step that takes away what meets a need.
    fn last_meeting(&self, provider: usize, need: &Need) -> Option<usize> {
        let met: Vec<bool> = (0..=self.last(provider)).map(|state| self.meets(provider, state, need)).collect();
        (0..met.len() - 1).rfind(|state| met[*state] && !met[state + 1])
    }

    /// Removes soft edges from cycles, then hard ones, which are breaks.
    fn break_cycles(&self, graph: &mut StableDiGraph<(usize, usize), bool>) -> BTreeMap<usize, Break> {
        let mut breaks = BTreeMap::new();
        loop {
            let Some(cycle) = tarjan_scc(&*graph).into_iter().find(|c| c.len() > 1) else { return breaks };
            let inside: BTreeSet<NodeIndex> = cycle.into_iter().collect();
            let edges: Vec<_> = graph
                .edge_references()
                .filter(|e| inside.contains(&e.source()) && inside.contains(&e.target()))
                .map(|e| (*e.weight(), e.id(), graph[e.source()], graph[e.target()]))
                .collect();
            // The steps of one change keep their order whatever happens.
            let Some((hard, edge, from, to)) = edges.into_iter().filter(|(_, _, a, b)| a.0 != b.0).min() else {
                return breaks;
            };
            if hard {
                let (with, of) = (self.paths[from.0].object.clone(), self.paths[to.0].object.clone());
                breaks.insert(to.0, Break::Circular { with, of });
            }
            graph.remove_edge(edge);
        }
    }

    fn flatten(self, graph: &StableDiGraph<(usize, usize), bool>, breaks: BTreeMap<usize, Break>) -> Sequence {
        let sorted = toposort(graph, None).unwrap_or_else(|_| graph.node_indices().collect());
        let place: BTreeMap<NodeIndex, usize> = sorted.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let steps = sorted.iter().map(|node| {
            let (index, step) = graph[*node];
            let path = &self.paths[index];
            let (kind, body) = (path.kinds[step], path.states[step + 1].clone());
            Step {
                change: index,
                kind,
                body,
                wait: path.wait[step],
                settle: 0.0,
                probes: Vec::new(),
                gates: Vec::new(),
            }
        });
        let mut order: Vec<(usize, usize)> =
            graph.edge_references().map(|e| (place[&e.source()], place[&e.target()])).collect();
        order.sort_unstable();
        order.dedup();
        (steps.collect(), order, breaks)
    }
}

/// The edges before they are a graph: thousands may leave one node, and each is looked for often.
#[derive(Default)]
struct Edges {
    places: HashMap<(NodeIndex, NodeIndex), usize>,
    /// In the order in which they were added; whether each is hard.
    list: Vec<Option<(NodeIndex, NodeIndex, bool)>>,
}

impl Edges {
    /// Adds an edge; a hard one stays hard.
    fn add(&mut self, from: NodeIndex, to: NodeIndex, hard: bool) {
        let place = *self.places.entry((from, to)).or_insert(self.list.len());
        match self.list.get_mut(place) {
            Some(known) => {
                let was = known.is_some_and(|(_, _, hard)| hard);
                *known = Some((from, to, hard || was));
            }
            None => self.list.push(Some((from, to, hard))),
        }
    }

    fn remove_soft(&mut self, from: NodeIndex, to: NodeIndex) {
        let place = self.places.get(&(from, to)).and_then(|place| self.list.get_mut(*place));
        if let Some(edge) = place.filter(|edge| matches!(edge, Some((_, _, false)))) {
            *edge = None;
        }
    }

    fn into_graph(self, graph: &mut StableDiGraph<(usize, usize), bool>) {
        for (from, to, hard) in self.list.into_iter().flatten() {
            graph.add_edge(from, to, hard);
        }
    }
}

/// The kinds of workloads that Services select pods of.
pub(super) const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

fn defined(value: &Value) -> Option<GroupKind> {
    crate::schema::crd_versions(value).map(|(kind, _)| kind)
}

/// Adds to a list the items of the same list in another object whose keys it does not have.
fn extend(into: &mut Value, from: &Value, pointer: &str, key: &dyn Fn(&Value) -> Value) {
    let extra = from.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(items) = into.pointer_mut(pointer).and_then(Value::as_array_mut) else { return };
    for item in extra {
        if !items.iter().any(|have| key(have) == key(&item)) {
            items.push(item);
        }
    }
}

/// Several ports need names that differ (Service, spec.ports).
fn name_ports(service: &mut Value) {
    let Some(ports) = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut) else { return };
    let mut seen = BTreeSet::new();
    let many = ports.len() > 1;
    for port in ports {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
        let name = port.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if many
            && (name.is_empty() || !seen.insert(name))
            && let Some(port) = port.as_object_mut()
        {
            port.insert("name".to_owned(), json!(format!("port-{number}")));
        }
    }
}

#[cfg(test)]
mod tests;
