//! Make before break (design law 2): each change as steps, and the order of the steps.
//!
//! A change is a sequence of states of one object. Each step leads from one state to the next; what a state provides
//! (itself, a listener, a port, a grant) and what it needs is read from it. A step that begins to need something comes
//! after the step that provides it; a step that ceases to need something comes before the step that takes it away.
//!
//! **Invariant:** in every order that respects the result, no need that was met before and is met after is unmet in
//! between; what has no such order is named as a break.

use crate::graph::grants_reference;
use crate::kinds::{self, GATEWAY, Section, each};
use crate::object::{GroupKind, ObjectRef};
use crate::schema::CRD_GROUP;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef as _, IntoEdgeReferences as _};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a step does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
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
pub type Sequence = (Vec<Step>, Vec<(usize, usize)>, BTreeMap<usize, String>);

/// The steps of all changes in an order that can be followed, the pairs that must keep it, and the breaks by change.
pub fn sequence(changes: &[Stepped<'_>]) -> Sequence {
    let mut sequencer = Sequencer::new(changes);
    sequencer.split();
    sequencer.order()
}

/// The states of one change, the first being the live one.
struct Path<'a> {
    object: &'a ObjectRef,
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
            paths.push(Path { object: change.object, states, kinds: vec![kind], wait: vec![true] });
        }
        for indexes in by_object.values_mut() {
            indexes.dedup();
        }
        Self { paths, by_object, grants, around: Vec::new() }
    }

    fn needs(&self, index: usize, state: usize) -> BTreeSet<Need> {
        let path = &self.paths[index];
        path.states[state].as_ref().map(|value| needs_of(path.object, value)).unwrap_or_default()
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
        for (index, path) in self.paths.iter().enumerate() {
            for step in 0..path.kinds.len() {
                let node = graph.add_node((index, step));
                nodes.insert((index, step), node);
                if step > 0 {
                    graph.add_edge(nodes[&(index, step - 1)], node, true);
                }
            }
        }
        // Hard edges keep a need met; soft ones only let a need that is met anyway settle first.
        for index in 0..self.paths.len() {
            for step in 0..self.paths[index].kinds.len() {
                let node = nodes[&(index, step)];
                let (before, after) = (self.needs(index, step), self.needs(index, step + 1));
                for need in &after {
                    let held_open = |p: &usize| self.around.contains(&(index, *p));
                    for provider in self.providers(need).iter().filter(|p| **p != index && !(step == 0 && held_open(p)))
                    {
                        if kinds::scales_first(self.paths[index].object, self.states_of(*provider)) {
                            // Switching autoscaling on would drop the replicas to 1: the autoscaler comes first.
                            add(&mut graph, node, nodes[&(*provider, 0)], true);
                        } else if let Some((from, hard)) = self.first_meeting(*provider, need) {
                            add(&mut graph, nodes[&(*provider, from)], node, hard && !before.contains(need));
                        }
                    }
                    self.definition_edges(index, &mut graph, &nodes, node);
                }
                for need in before.difference(&after) {
                    let held_open = |p: &usize| self.around.contains(&(index, *p));
                    for provider in self.providers(need).iter().filter(|p| **p != index && !held_open(p)) {
                        if let Some(to) = self.last_meeting(*provider, need) {
                            let target = nodes[&(*provider, to)];
                            // The other way round would be a soft wish only.
                            if let Some(edge) =
                                graph.find_edge(target, node).filter(|edge| graph.edge_weight(*edge) == Some(&false))
                            {
                                graph.remove_edge(edge);
                            }
                            add(&mut graph, node, target, true);
                        }
                    }
                }
            }
        }
        for (user, provider) in &self.around {
            let last = self.paths[*user].kinds.len() - 1;
            add(&mut graph, nodes[&(*user, 0)], nodes[&(*provider, 0)], true);
            add(&mut graph, nodes[&(*provider, 0)], nodes[&(*user, last)], true);
        }
        let breaks = self.break_cycles(&mut graph);
        self.flatten(&graph, breaks)
    }

    /// A custom resource comes after the definition of its kind, and goes before it.
    fn definition_edges(
        &self,
        index: usize,
        graph: &mut StableDiGraph<(usize, usize), bool>,
        nodes: &BTreeMap<(usize, usize), NodeIndex>,
        node: NodeIndex,
    ) {
        let kind = self.paths[index].object.group_kind();
        for (definition, path) in
            self.paths.iter().enumerate().filter(|(_, p)| p.object.is(CRD_GROUP, "CustomResourceDefinition"))
        {
            let defines = |state: usize| path.states[state].as_ref().and_then(defined).is_some_and(|d| d == kind);
            if path.states[self.last(definition)].is_none() && defines(0) {
                add(graph, node, nodes[&(definition, 0)], true);
            } else if defines(self.last(definition)) && definition != index {
                add(graph, nodes[&(definition, 0)], node, true);
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
    fn break_cycles(&self, graph: &mut StableDiGraph<(usize, usize), bool>) -> BTreeMap<usize, String> {
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
                let (a, b) = (self.paths[from.0].object, self.paths[to.0].object);
                breaks.insert(
                    to.0,
                    format!("There is no order in which this and the change of {a} keep every reference of {b} whole."),
                );
            }
            graph.remove_edge(edge);
        }
    }

    fn flatten(self, graph: &StableDiGraph<(usize, usize), bool>, breaks: BTreeMap<usize, String>) -> Sequence {
        let sorted = toposort(graph, None).unwrap_or_else(|_| graph.node_indices().collect());
        let place: BTreeMap<NodeIndex, usize> = sorted.iter().enumerate().map(|(at, node)| (*node, at)).collect();
        let steps = sorted.iter().map(|node| {
            let (index, step) = graph[*node];
            let path = &self.paths[index];
            Step { change: index, kind: path.kinds[step], body: path.states[step + 1].clone(), wait: path.wait[step] }
        });
        let mut order: Vec<(usize, usize)> =
            graph.edge_references().map(|e| (place[&e.source()], place[&e.target()])).collect();
        order.sort_unstable();
        order.dedup();
        (steps.collect(), order, breaks)
    }
}

/// Adds an edge; a hard one stays hard.
fn add(graph: &mut StableDiGraph<(usize, usize), bool>, from: NodeIndex, to: NodeIndex, hard: bool) {
    let known = graph.find_edge(from, to).and_then(|edge| graph.edge_weight(edge).copied()).unwrap_or(false);
    graph.update_edge(from, to, hard || known);
}

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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gateway(listeners: &[(&str, u16)]) -> Value {
        let listeners: Vec<Value> =
            listeners.iter().map(|(name, port)| json!({"name": name, "port": port, "protocol": "HTTP"})).collect();
        json!({"spec": {"gatewayClassName": "c", "listeners": listeners}})
    }

    fn route(parent: (&str, &str), backend: (&str, u16)) -> Value {
        json!({"spec": {"parentRefs": [{"name": parent.0, "sectionName": parent.1}], "rules": [{"backendRefs": [{"name": backend.0, "port": backend.1}]}]}})
    }

    fn service(ports: &[u16]) -> Value {
        let ports: Vec<Value> = ports.iter().map(|p| json!({"port": p})).collect();
        json!({"spec": {"ports": ports}})
    }

    fn reference(kind: &str, name: &str) -> ObjectRef {
        let group = match kind {
            "Service" => "",
            "SpinApp" => kinds::SPIN,
            _ => GATEWAY,
        };
        ObjectRef::new(group, kind, "ns", name)
    }

    type Row = (ObjectRef, Option<Value>, Option<Value>);

    fn shown(rows: &[Row]) -> Vec<String> {
        let changes: Vec<Stepped<'_>> = rows
            .iter()
            .map(|(object, before, after)| Stepped {
                object,
                before: before.as_ref(),
                after: after.as_ref(),
                replace: false,
            })
            .collect();
        let (steps, _, breaks) = sequence(&changes);
        assert!(breaks.is_empty(), "{breaks:?}");
        steps.iter().map(|s| format!("{:?} {}", s.kind, rows[s.change].0.name)).collect()
    }

    #[test]
    fn a_renamed_app_is_made_then_used_then_the_old_one_goes() {
        let app = json!({"spec": {"image": "x"}});
        let rows = [
            (reference("SpinApp", "new"), None, Some(app.clone())),
            (reference("SpinApp", "old"), Some(app), None),
            (
                reference("HTTPRoute", "route"),
                Some(route(("gw", "a"), ("old", 80))),
                Some(route(("gw", "a"), ("new", 80))),
            ),
        ];
        assert_eq!(shown(&rows), ["Set new", "Set route", "Delete old"]);
    }

    #[test]
    fn a_renamed_listener_is_expanded() {
        let rows = [
            (reference("Gateway", "gw"), Some(gateway(&[("a", 80)])), Some(gateway(&[("b", 8080)]))),
            (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "b"), ("s", 80)))),
        ];
        assert_eq!(shown(&rows), ["Expand gw", "Set route", "Contract gw"]);
    }

    #[test]
    fn a_listener_renamed_on_its_port_lets_the_route_hold_both() {
        let rows = [
            (reference("Gateway", "gw"), Some(gateway(&[("a", 80)])), Some(gateway(&[("b", 80)]))),
            (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "b"), ("s", 80)))),
        ];
        assert_eq!(shown(&rows), ["Expand route", "Set gw", "Contract route"]);
    }

    #[test]
    fn a_moved_route_is_attached_to_both_gateways() {
        let rows = [
            (reference("Gateway", "new"), None, Some(gateway(&[("a", 80)]))),
            (reference("Gateway", "old"), Some(gateway(&[("a", 80)])), None),
            (
                reference("HTTPRoute", "route"),
                Some(route(("old", "a"), ("s", 80))),
                Some(route(("new", "a"), ("s", 80))),
            ),
        ];
        assert_eq!(shown(&rows), ["Set new", "Expand route", "Contract route", "Delete old"]);
    }

    #[test]
    fn a_changed_service_port_is_expanded_and_swapped_backends_are_not() {
        let rows = [
            (reference("Service", "s"), Some(service(&[80])), Some(service(&[8080]))),
            (
                reference("HTTPRoute", "route"),
                Some(route(("gw", "a"), ("s", 80))),
                Some(route(("gw", "a"), ("s", 8080))),
            ),
        ];
        assert_eq!(shown(&rows), ["Expand s", "Set route", "Contract s"]);
        let rows = [
            (reference("HTTPRoute", "r1"), Some(route(("gw", "a"), ("s", 80))), Some(route(("gw", "a"), ("t", 80)))),
            (reference("HTTPRoute", "r2"), Some(route(("gw", "a"), ("t", 80))), Some(route(("gw", "a"), ("s", 80)))),
        ];
        assert_eq!(shown(&rows).len(), 2);
    }

    #[test]
    fn an_autoscaler_comes_before_autoscaling_is_switched_on() {
        let scaler = ObjectRef::new("autoscaling", "HorizontalPodAutoscaler", "ns", "scaler");
        let target =
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}}});
        let (off, on) = (json!({"spec": {"replicas": 3}}), json!({"spec": {"enableAutoscaling": true}}));
        let rows =
            [(reference("SpinApp", "app"), Some(off), Some(on.clone())), (scaler.clone(), None, Some(target.clone()))];
        assert_eq!(shown(&rows), ["Set scaler", "Set app"]);
        let rows = [(reference("SpinApp", "app"), None, Some(on)), (scaler, None, Some(target))];
        assert_eq!(shown(&rows), ["Set app", "Set scaler"]);
    }

    #[test]
    fn depends_on_is_an_order_too() {
        let map = |name: &str| ObjectRef::new("", "ConfigMap", "ns", name);
        let after =
            json!({"metadata": {"annotations": {"config.kubernetes.io/depends-on": "/namespaces/ns/ConfigMap/z"}}});
        let rows = [(map("a"), None, Some(after)), (map("z"), None, Some(json!({})))];
        assert_eq!(shown(&rows), ["Set z", "Set a"]);
    }

    #[test]
    fn an_app_goes_after_its_route() {
        let rows = [
            (reference("SpinApp", "app"), Some(json!({"spec": {}})), None),
            (reference("HTTPRoute", "route"), Some(route(("gw", "a"), ("app", 80))), None),
        ];
        assert_eq!(shown(&rows), ["Delete route", "Delete app"]);
    }

    /// A small world: gateways, services and routes, each present or not.
    fn world() -> impl Strategy<Value = Vec<Option<Value>>> {
        let listeners = prop::collection::btree_set(0..3_u16, 1..3);
        let gateways = prop::collection::vec(prop::option::weighted(0.8, listeners), 2);
        let services =
            prop::collection::vec(prop::option::weighted(0.8, prop::collection::btree_set(0..3_u16, 1..3)), 2);
        let routes =
            prop::collection::vec(prop::option::weighted(0.8, (0..2_usize, 0..3_u16, 0..2_usize, 0..3_u16)), 3);
        (gateways, services, routes, prop::bool::ANY).prop_map(|(gateways, services, routes, same_port)| {
            let names = ["a", "b", "c"];
            let port = |l: u16| if same_port { 80 } else { 8000 + l };
            let mut made: Vec<Option<Value>> = Vec::new();
            made.extend(gateways.into_iter().map(|g| {
                g.map(|ls| {
                    let ls: Vec<(&str, u16)> = ls
                        .iter()
                        .take(if same_port { 1 } else { 3 })
                        .map(|l| (names[usize::from(*l)], port(*l)))
                        .collect();
                    gateway(&ls)
                })
            }));
            made.extend(
                services.into_iter().map(|s| s.map(|ports| service(&ports.iter().map(|p| 80 + p).collect::<Vec<_>>()))),
            );
            made.extend(routes.into_iter().map(|r| {
                r.map(|(g, l, s, p)| route((["g0", "g1"][g], names[usize::from(l)]), (["s0", "s1"][s], 80 + p)))
            }));
            made
        })
    }

    fn objects() -> Vec<ObjectRef> {
        let rows = [
            ("Gateway", "g0"),
            ("Gateway", "g1"),
            ("Service", "s0"),
            ("Service", "s1"),
            ("HTTPRoute", "r0"),
            ("HTTPRoute", "r1"),
            ("HTTPRoute", "r2"),
        ];
        rows.iter().map(|(kind, name)| reference(kind, name)).collect()
    }

    fn met(state: &[Option<Value>], need: &Need) -> bool {
        objects().iter().zip(state).any(|(object, value)| value.as_ref().is_some_and(|v| available(object, v, need)))
    }

    /// The parents of a route that resolve.
    fn attached(state: &[Option<Value>], route: usize) -> usize {
        let needs = state[route].as_ref().map(|v| needs_of(&objects()[route], v)).unwrap_or_default();
        needs
            .iter()
            .filter(|n| matches!(n, Need::Object(o, Some(_)) if o.kind == "Gateway"))
            .filter(|n| met(state, n))
            .count()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: crate::campaign(300, 20_000), ..ProptestConfig::default() })]

        /// Law 2: whatever order respects the plan, what resolved before and resolves after never dangles in between.
        #[test]
        fn no_reference_dangles_in_any_order(before in world(), after in world(), picks in prop::collection::vec(0..64_usize, 24)) {
            let objects = objects();
            let changed: Vec<usize> = (0..objects.len()).filter(|i| before[*i] != after[*i]).collect();
            let changes: Vec<Stepped<'_>> = changed.iter().map(|i| Stepped { object: &objects[*i], before: before[*i].as_ref(), after: after[*i].as_ref(), replace: false }).collect();
            let (steps, order, breaks) = sequence(&changes);
            let check = |state: &[Option<Value>]| -> Result<(), TestCaseError> {
                for user in 4..objects.len() {
                    let (Some(old), Some(new)) = (&before[user], &after[user]) else { continue };
                    let (old, new) = (needs_of(&objects[user], old), needs_of(&objects[user], new));
                    let now = state[user].as_ref().map(|v| needs_of(&objects[user], v)).unwrap_or_default();
                    for need in old.intersection(&new).filter(|n| met(&before, n) && met(&after, n)) {
                        prop_assert!(met(state, need) || !breaks.is_empty(), "{need:?} dangles");
                    }
                    // A need that is new must be met as soon as it is there, an old one as long as it is there.
                    for need in now.iter().filter(|n| !matches!(n, Need::Object(_, Some(Section::Listener(_))))) {
                        let promised = (!new.contains(need) || met(&after, need)) && (!old.contains(need) || met(&before, need));
                        prop_assert!(met(state, need) || !promised || !breaks.is_empty(), "{need:?} of {} dangles", objects[user]);
                    }
                    if attached(&before, user) > 0 && attached(&after, user) > 0 {
                        prop_assert!(attached(state, user) > 0 || !breaks.is_empty(), "{} is detached", objects[user]);
                    }
                }
                Ok(())
            };
            let ready = |done: u32| (0..steps.len()).filter(|s| done & (1 << s) == 0 && order.iter().all(|(a, b)| b != s || done & (1 << a) != 0)).collect::<Vec<_>>();
            // The state after some steps depends on which they are alone, so every set that can be reached stands for all
            // orders that lead to it: all of them up to 8 steps, above that those of one random order.
            let mut queue = vec![(0_u32, before.clone())];
            let mut seen = BTreeSet::new();
            let mut pick = 0;
            while let Some((done, reached)) = queue.pop() {
                let state = reached;
                check(&state)?;
                let mut nexts = ready(done);
                prop_assert!(!nexts.is_empty() || done.count_ones() as usize == steps.len());
                if steps.len() > 8 && !nexts.is_empty() {
                    nexts = vec![nexts[picks[pick % picks.len()] % nexts.len()]];
                    pick += 1;
                }
                for step in nexts {
                    let mut next = state.clone();
                    next[changed[steps[step].change]].clone_from(&steps[step].body);
                    if seen.insert(done | 1 << step) {
                        queue.push((done | 1 << step, next));
                    }
                }
                if done.count_ones() as usize == steps.len() {
                    prop_assert_eq!(&state, &after);
                }
            }
        }
    }
}
