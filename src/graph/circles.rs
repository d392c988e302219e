//! Objects that need each other in a circle.

use super::{Graph, LinkKind};
use crate::desired::{Desired, PLATFORM};
use crate::object::{Diagnostic, ObjectRef};
use petgraph::algo::{is_cyclic_directed, tarjan_scc};
use petgraph::stable_graph::{EdgeIndex, NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef as _;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

/// How many objects of a circle are named.
const NAMED: usize = 8;
/// From how many links a short way round is looked for: a large circle is not searched from everywhere.
const SEARCHED: usize = 32;

/// Objects that need each other in a circle.
#[derive(Clone, Debug)]
pub struct Circle {
    /// Those that cannot be applied. A wish for an order (`depends-on`) that makes the circle is at fault before a field that
    /// needs its object, and a tenant's before the platform's: nobody stops others by an annotation.
    pub at_fault: BTreeSet<ObjectRef>,
    /// What is said of it, once.
    pub finding: Diagnostic,
    /// How many objects the shortest way round has.
    length: usize,
}

impl Graph {
    /// The circles, the shortest first.
    pub fn circles(&self, desired: &Desired) -> Vec<Circle> {
        let components = tarjan_scc(&self.graph).into_iter().filter(|component| component.len() > 1);
        let mut found: Vec<Circle> = components.filter_map(|component| self.circle(&component, desired)).collect();
        found.sort_by(|a, b| (a.length, &a.at_fault).cmp(&(b.length, &b.at_fault)));
        found
    }

    fn circle(&self, component: &[NodeIndex], desired: &Desired) -> Option<Circle> {
        let members: HashSet<NodeIndex> = component.iter().copied().collect();
        let inside = |node: NodeIndex| self.graph.edges(node).filter(|edge| members.contains(&edge.target()));
        let mut links: Vec<EdgeIndex> = component.iter().flat_map(|node| inside(*node)).map(|edge| edge.id()).collect();
        links.sort_by_key(|link| self.ends(*link));
        let at_fault = self.at_fault(&links, desired);
        let ways = at_fault.iter().take(SEARCHED).filter_map(|link| self.way_round(*link, &members));
        let way = ways.min_by_key(Vec::len)?;
        let first = self.graph.edge_endpoints(*way.first()?).map(|(from, _)| &self.graph[from])?;
        let step = |link: &EdgeIndex| {
            let (from, _) = self.graph.edge_endpoints(*link)?;
            Some(format!("{} ({})", self.graph[from], self.graph[*link].because))
        };
        let mut shown: Vec<String> = way.iter().take(NAMED).filter_map(step).collect();
        if way.len() > NAMED {
            shown.push(format!("{} more", way.len() - NAMED));
        }
        let mut finding =
            Diagnostic::error("graph-cycle", format!("Dependency cycle: {} -> {first}.", shown.join(" -> ")))
                .about(first)
                .help("Remove one of these references.");
        finding.origin.clone_from(&way.first().and_then(|link| self.graph[*link].origin.clone()));
        let at_fault = at_fault.iter().filter_map(|link| self.graph.edge_endpoints(*link));
        let at_fault = at_fault.map(|(from, _)| self.graph[from].clone()).collect();
        Some(Circle { at_fault, finding, length: way.len() })
    }

    fn ends(&self, link: EdgeIndex) -> Option<(&ObjectRef, &ObjectRef)> {
        self.graph.edge_endpoints(link).map(|(from, to)| (&self.graph[from], &self.graph[to]))
    }

    /// The links without which there is no circle: the wishes of tenants if they suffice, else all wishes, else every link.
    fn at_fault(&self, links: &[EdgeIndex], desired: &Desired) -> Vec<EdgeIndex> {
        let is_wish = |link: &EdgeIndex| self.graph[*link].kind == LinkKind::Order;
        let is_of_tenant = |link: &EdgeIndex| {
            let member = self.ends(*link).and_then(|(from, _)| desired.objects.get(from));
            member.is_some_and(|member| member.partition != PLATFORM)
        };
        let wishes: Vec<EdgeIndex> = links.iter().copied().filter(is_wish).collect();
        let of_tenants: Vec<EdgeIndex> = wishes.iter().copied().filter(is_of_tenant).collect();
        let suffices = |left_out: &Vec<EdgeIndex>| {
            let left_out: HashSet<EdgeIndex> = left_out.iter().copied().collect();
            !left_out.is_empty() && !self.is_circular(links.iter().filter(|link| !left_out.contains(link)))
        };
        [of_tenants, wishes].into_iter().find(suffices).unwrap_or_else(|| links.to_vec())
    }

    fn is_circular<'a>(&self, links: impl Iterator<Item = &'a EdgeIndex>) -> bool {
        let mut rest: StableDiGraph<(), ()> = StableDiGraph::new();
        let mut nodes = BTreeMap::new();
        for (from, to) in links.filter_map(|link| self.graph.edge_endpoints(*link)) {
            let [from, to] = [from, to].map(|node| *nodes.entry(node).or_insert_with(|| rest.add_node(())));
            rest.add_edge(from, to, ());
        }
        is_cyclic_directed(&rest)
    }

    /// The shortest circle that goes through a link.
    fn way_round(&self, link: EdgeIndex, members: &HashSet<NodeIndex>) -> Option<Vec<EdgeIndex>> {
        let (goal, start) = self.graph.edge_endpoints(link)?;
        let mut reached: BTreeMap<NodeIndex, EdgeIndex> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front().filter(|_| !reached.contains_key(&goal)) {
            for edge in self.graph.edges(node).filter(|edge| members.contains(&edge.target())) {
                if edge.target() != start && !reached.contains_key(&edge.target()) {
                    reached.insert(edge.target(), edge.id());
                    queue.push_back(edge.target());
                }
            }
        }
        let mut way = Vec::new();
        let mut node = goal;
        while node != start {
            let edge = *reached.get(&node)?;
            way.push(edge);
            node = self.graph.edge_endpoints(edge)?.0;
        }
        way.push(link);
        way.reverse();
        Some(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, Tree, read};

    fn desired(files: &[(&str, &str)]) -> Desired {
        let entries = files.iter().map(|(path, text)| ((*path).to_owned(), Entry::File(text.as_bytes().to_vec())));
        read(&Tree::of(entries.collect()), None).unwrap_or_default()
    }

    fn depending(name: &str, on: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: m, annotations: \
             {{config.kubernetes.io/depends-on: /namespaces/m/ConfigMap/{on}}}}}\n"
        )
    }

    #[test]
    fn a_circle_is_told_once_and_shortened() {
        let ring = |from: usize, to: usize| -> String {
            let next = |n| if n + 1 == to { from } else { n + 1 };
            (from..to).map(|n| depending(&format!("c{n}"), &format!("c{}", next(n)))).collect()
        };
        let desired = desired(&[("a.yaml", &(ring(0, 40) + &ring(40, 42)))]);
        let circles = Graph::of(&desired).circles(&desired);
        let told: Vec<_> = circles.iter().map(|circle| circle.finding.message.raw()).collect();
        let because = "(metadata.annotations.config.kubernetes.io/depends-on)";
        assert_eq!(
            told[0],
            format!("Dependency cycle: ConfigMap m/c40 {because} -> ConfigMap m/c41 {because} -> ConfigMap m/c40.")
        );
        assert!(told[1].ends_with("-> 32 more -> ConfigMap m/c0."), "{}", told[1]);
        assert_eq!(circles.iter().map(|circle| circle.at_fault.len()).collect::<Vec<_>>(), [2, 40]);
    }

    #[test]
    fn the_wish_of_a_tenant_is_at_fault_before_what_others_need() {
        let config = "
apiVersion: spinway.dev/v1alpha1
kind: Config
metadata: {name: shop}
spec:
  sources: [a, b]
  environments: [{name: production}]
  platform: {paths: [a]}
  tenants: [{name: cart, paths: [b]}]
";
        let files =
            [("spinway.yaml", config), ("a/x.yaml", &depending("one", "two")), ("b/y.yaml", &depending("two", "one"))];
        let desired = desired(&files);
        let circles = Graph::of(&desired).circles(&desired);
        let at_fault: Vec<String> = circles.iter().flat_map(|c| &c.at_fault).map(ToString::to_string).collect();
        assert_eq!(at_fault, ["ConfigMap m/two"], "{:?}", desired.diagnostics);
        assert_eq!(circles[0].finding.origin.as_ref().map(|origin| &*origin.file), Some("b/y.yaml"));
    }
}
