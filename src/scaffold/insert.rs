//! Adding a tenant to the text of `spinway.yaml` and changing nothing else of it.

use crate::desired::yaml::{self, Document};
use crate::object::Severity;
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;

/// What becomes of `spinway.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// Its new text.
    Text(String),
    /// What people have to add to it, and where.
    ByHand {
        /// The text.
        text: String,
        /// Where it belongs.
        place: String,
    },
}

/// Adds an item to `spec.tenants`. `item` is a block of lines that begins with comments or with `- `, `flow` the same value
/// on one line.
pub(super) fn tenant(text: &str, item: &str, flow: &str) -> Insertion {
    let safe = document(text).and_then(|document| {
        let changed = place(text, &document)?.put(text, item, flow)?;
        is_only_added(&document.value, &changed, flow).then_some(changed)
    });
    safe.map_or_else(
        || Insertion::ByHand { text: item.to_owned(), place: "the list `spec.tenants` of spinway.yaml".to_owned() },
        Insertion::Text,
    )
}

/// The only document of a text that has no errors.
fn document(text: &str) -> Option<Document> {
    let (mut documents, diagnostics) = yaml::read(&Arc::from("spinway.yaml"), text);
    let sound = documents.len() == 1 && diagnostics.iter().all(|d| d.severity != Severity::Error);
    documents.pop().filter(|_| sound)
}

/// Whether a text means what it meant before, with one tenant more at the end.
fn is_only_added(before: &Value, changed: &str, flow: &str) -> bool {
    let added = document(&format!("x: {flow}\n")).map(|document| document.value["x"].clone());
    let (Some(added), Some(after)) = (added, document(changed)) else { return false };
    let mut expected = before.clone();
    let Some(spec) = expected.get_mut("spec").and_then(Value::as_object_mut) else { return false };
    let tenants = spec.entry("tenants").or_insert_with(|| json!([]));
    if let Some(tenants) = tenants.as_array_mut() {
        tenants.push(added);
    }
    after.value == expected
}

/// Where an item goes.
enum Place {
    /// Before this line, as an item of a block list that is indented so far.
    Item { line: usize, indent: usize },
    /// Before this line, with the key of a list that is not there yet, indented so far.
    Key { line: usize, indent: usize },
    /// At this byte of the text, before the end of a list on one line.
    Flow { at: usize, is_first: bool },
}

fn place(text: &str, document: &Document) -> Option<Place> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let line_of = |pointer: &str| Some(document.positions.nearest(pointer)?.line - 1);
    if document.value.pointer("/spec/tenants").is_none() {
        let spec = line_of("/spec")?;
        let block = block(&lines, spec, "spec:")?;
        let first = block.clone().find(|line| is_content(lines[*line]))?;
        return Some(Place::Key { line: block.end, indent: indent(lines[first]) });
    }
    let key = line_of("/spec/tenants")?;
    if let Some(block) = block(&lines, key, "tenants:") {
        let first = block.clone().find(|line| is_content(lines[*line]))?;
        return Some(Place::Item { line: block.end, indent: indent(lines[first]) });
    }
    let rest = lines[key].trim_start().strip_prefix("tenants:")?.trim_start();
    let start: usize = lines[..key].iter().map(|line| line.len()).sum();
    let at = start + lines[key].rfind(']').filter(|_| rest.starts_with('['))?;
    let is_first = document.value.pointer("/spec/tenants")?.as_array()?.is_empty();
    Some(Place::Flow { at, is_first })
}

/// The lines below a key that belong to it, up to the last that is more than a comment.
fn block(lines: &[&str], key: usize, name: &str) -> Option<Range<usize>> {
    let rest = lines.get(key)?.trim_start().strip_prefix(name)?;
    if is_content(rest) {
        return None;
    }
    let outer = indent(lines[key]);
    let belongs = |line: &&str| {
        !is_content(line) || indent(line) > outer || (indent(line) == outer && line.trim_start().starts_with("- "))
    };
    let length = lines[key + 1..].iter().take_while(|line| belongs(line)).count();
    let last = (key + 1..key + 1 + length).rev().find(|line| is_content(lines[*line]))?;
    Some(key + 1..last + 1)
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

impl Place {
    /// The text with the item in its place.
    fn put(&self, text: &str, item: &str, flow: &str) -> Option<String> {
        let (at, insertion) = match self {
            Self::Flow { at, is_first } => (*at, if *is_first { flow.to_owned() } else { format!(", {flow}") }),
            Self::Item { line, indent } => (start_of(text, *line), indented(item, *indent)),
            Self::Key { line, indent } => {
                let key = format!("{}tenants:\n", " ".repeat(*indent));
                (start_of(text, *line), key + &indented(item, indent + 2))
            }
        };
        let before = text.get(..at)?;
        let ends = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut insertion = insertion.replace('\n', ends);
        if !matches!(self, Self::Flow { .. }) && !before.ends_with('\n') {
            // The last line of the file has no end.
            insertion = format!("{ends}{}", insertion.trim_end());
        }
        Some(format!("{before}{insertion}{}", text.get(at..)?))
    }
}

/// The byte at which a line begins.
fn start_of(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}

fn indented(item: &str, indent: usize) -> String {
    item.lines().map(|line| format!("{}{line}\n", " ".repeat(indent))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str = "# Team b.\n- name: b\n  paths: [b]\n";
    const FLOW: &str = "{name: b, paths: [b]}";
    const HEAD: &str = "# A shop.\napiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {name: t} # it\n";

    /// The text with the item, and what was inserted.
    fn inserted(spec: &str) -> Option<(String, String)> {
        let before = format!("{HEAD}{spec}");
        let Insertion::Text(after) = tenant(&before, ITEM, FLOW) else { return None };
        let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
        let rest = before.len() - same;
        assert!(after.ends_with(&before[same..]), "not a byte but the insertion changes:\n{after}");
        Some((after.clone(), after[same..after.len() - rest].to_owned()))
    }

    #[test]
    fn a_tenant_is_added_to_what_is_there_however_it_is_written() {
        for (spec, expected) in [
            (
                "spec:\n  tenants:\n    - {name: a}\n  # more\n  sources: [a]\n",
                "    - {name: a}\n    # Team b.\n    - name: b\n",
            ),
            (
                "spec:\n  tenants: # teams\n  - name: a\n    paths:\n    - x\n\n  # old\n  sources: [a]\n",
                "    - x\n  # Team b.\n  - name: b\n    paths: [b]\n\n  # old\n",
            ),
            (
                "spec:\n    tenants:\n      # first\n      - name: a",
                "      - name: a\n      # Team b.\n      - name: b\n        paths: [b]",
            ),
            ("spec:\n  tenants: []  # none yet\n  sources: [a]\n", "  tenants: [{name: b, paths: [b]}]  # none yet\n"),
            ("spec:\n  tenants: [{name: a}]\n", "  tenants: [{name: a}, {name: b, paths: [b]}]\n"),
            (
                "spec:\n  sources: [a]\n  # the end\n",
                "  sources: [a]\n  tenants:\n    # Team b.\n    - name: b\n      paths: [b]\n  # the end\n",
            ),
            ("spec:\n sources:\n - a", " - a\n tenants:\n   # Team b.\n   - name: b\n     paths: [b]"),
        ] {
            let (after, _) = inserted(spec).unwrap_or_else(|| panic!("by hand: {spec}"));
            assert!(after.contains(expected), "{spec}\n---\n{after}");
        }
    }

    #[test]
    fn line_ends_stay_as_they_are() {
        let (after, insertion) =
            inserted("spec:\r\n  tenants:\r\n    - {name: a}\r\n  sources: [a]\r\n").expect("a text");
        assert!([insertion.matches("\r\n").count(), insertion.matches('\n').count()] == [3, 3], "{insertion:?}");
        assert!(after.ends_with("sources: [a]\r\n"));
    }

    #[test]
    fn what_cannot_be_added_safely_is_left_to_people() {
        for spec in [
            "spec: {tenants: [{name: a}], sources: [a]}\n",
            "spec:\n  tenants: [{name: a},\n    {name: c}]\n",
            "spec:\n  sources: &x [a]\n  tenants: *x\n",
            "spec:\n  \"tenants\":\n    - {name: a}\n",
            "spec:\n  tenants:\n    - name: a\n      owners:\n        - |\n          text\n          # not a comment\n  sources: [a]\n",
        ] {
            let result = inserted(spec);
            assert_eq!(result, None, "{spec}");
        }
        let by_hand = tenant("a: [", ITEM, FLOW);
        assert!(matches!(by_hand, Insertion::ByHand { text, .. } if text == ITEM));
    }
}
