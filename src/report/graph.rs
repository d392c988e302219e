//! The dependency graph as text, DOT and Mermaid.

use crate::graph::{Graph, Link};
use crate::object::{ObjectRef, Untrusted};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn shown(object: &ObjectRef) -> String {
    Untrusted::new(object.to_string()).terminal()
}

fn why(link: &Link) -> String {
    let place =
        link.origin.as_ref().map(|o| format!("  {}", Untrusted::new(o.to_string()).terminal())).unwrap_or_default();
    format!("{}{place}", Untrusted::new(&*link.because).terminal())
}

/// Each object with what it needs and why.
pub fn graph_text(graph: &Graph) -> String {
    let mut out = String::new();
    for node in graph.nodes() {
        let needs = graph.needs(node);
        let _ = writeln!(out, "{}", shown(node));
        for (to, link) in needs {
            let _ = writeln!(out, "  needs {}  ({})", shown(to), why(link));
        }
    }
    out
}

/// The chain of needs between two objects.
pub fn why_text(chain: &[(&ObjectRef, &Link, &ObjectRef)]) -> String {
    let mut out = String::new();
    for (from, link, to) in chain {
        let _ = writeln!(out, "{} needs {}\n  because of {}", shown(from), shown(to), why(link));
    }
    out
}

/// For Graphviz.
pub fn dot(graph: &Graph) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = String::from("digraph spinway {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for node in graph.nodes() {
        let _ = writeln!(out, "  \"{}\";", quote(&shown(node)));
    }
    for (from, to, link) in graph.links() {
        let label = quote(&Untrusted::new(&*link.because).terminal());
        let _ = writeln!(out, "  \"{}\" -> \"{}\" [label=\"{label}\"];", quote(&shown(from)), quote(&shown(to)));
    }
    out + "}\n"
}

/// For Mermaid: nodes are numbered, so that no name can be read as syntax, and what no name of Kubernetes holds is encoded.
/// Quotes alone would not do: Mermaid looks for directives (`%%{`), styles (`style x:`), Markdown and icons in them too.
pub fn mermaid(graph: &Graph) -> String {
    let ids: BTreeMap<&ObjectRef, usize> = graph.nodes().enumerate().map(|(index, node)| (node, index)).collect();
    let quote = |text: &str| {
        text.chars().fold(String::new(), |mut out, c| {
            if c.is_ascii_alphanumeric() || " ./-".contains(c) {
                out.push(c);
            } else {
                let _ = write!(out, "#{};", u32::from(c));
            }
            out
        })
    };
    let mut out = String::from("flowchart LR\n");
    for (node, id) in &ids {
        let _ = writeln!(out, "  n{id}[\"{}\"]", quote(&shown(node)));
    }
    for (from, to, _) in graph.links() {
        let _ = writeln!(out, "  n{} --> n{}", ids[from], ids[to]);
    }
    out
}
