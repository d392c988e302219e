//! YAML as kubectl reads it, with the position of every node.
//!
//! kubectl splits the text at lines that start with `---` (apimachinery `NewYAMLReader`) and reads each part with
//! `sigs.k8s.io/yaml`, a YAML 1.1 reader: `scalar.rs` has its scalars, this file its documents, merge keys (applied in
//! document order) and its limit on aliases. Duplicate keys are errors, as under `fieldValidation=Strict`.

mod raw;
mod scalar;

pub use raw::{Raw, Scalar, raw};

use super::parallel::by_parts;
use crate::object::{Diagnostic, Origin, Position, Positions, Severity};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How deep a document may nest.
const MAX_DEPTH: usize = 128;

/// One YAML document: its value and where its nodes stand.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document as JSON.
    pub value: Value,
    /// The positions of its nodes in the file.
    pub positions: Positions,
    /// Where its first node stands.
    pub start: Position,
    /// Whether it has errors in itself (a key twice).
    pub flawed: bool,
    /// Its comments that are for spinway.
    pub asides: Vec<Aside>,
}

/// A comment `# spinway:ignore ...`: it is about its own line or, on a line alone, about the next one that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where the comment begins.
    pub origin: Origin,
    /// The line that is meant.
    pub line: usize,
    /// What follows `spinway:ignore`.
    pub text: String,
}

/// What a comment for spinway begins with.
const ASIDE: &str = "spinway:ignore";

/// Reads all documents of a text; empty ones are left out. A document with a syntax error is not in the result.
///
/// JSON needs no reader of its own: it is read as YAML flow style, after its `\/` and surrogate escapes are checked.
pub fn read(file: &Arc<str>, text: &str) -> (Vec<Document>, Vec<Diagnostic>) {
    let parts = by_parts(
        &split(text),
        |part| part.text.len(),
        |parts| {
            let (mut documents, mut diagnostics) = (Vec::new(), Vec::new());
            for part in parts {
                documents.extend(read_part(file, part, &mut diagnostics));
            }
            (documents, diagnostics)
        },
    );
    let (documents, diagnostics): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    (documents.into_iter().flatten().collect(), diagnostics.into_iter().flatten().collect())
}

fn read_part(file: &Arc<str>, part: &Part<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Document> {
    if let Some(at) = part.bad_separator {
        let position = Position { line: at, column: 1 };
        diagnostics.push(
            Diagnostic::error("yaml-separator", "Text after the document separator `---`.")
                .at(Origin { file: Arc::clone(file), position })
                .help("Put it on the next line, as kubectl demands."),
        );
        return None;
    }
    let is_empty =
        |line: &str| matches!(line.trim_start().chars().next(), None | Some('#' | '%')) || line.trim() == "...";
    if part.text.lines().all(is_empty) {
        return None;
    }
    let mut composer = Composer::new(file, part.first_line, part.text);
    let document = composer.document().unwrap_or_else(|diagnostic| {
        composer.diagnostics.push(*diagnostic);
        None
    });
    diagnostics.append(&mut composer.diagnostics);
    document
}

struct Part<'a> {
    text: &'a str,
    /// Where it begins in the file, in bytes.
    start: usize,
    first_line: usize,
    bad_separator: Option<usize>,
}

fn split(text: &str) -> Vec<Part<'_>> {
    let whole = text.len();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mark = whole - text.len();
    let mut parts = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let end = offset + line.len();
        if let Some(rest) = line.strip_prefix("---") {
            let rest = rest.trim();
            parts.push(Part { text: &text[start..offset], start: mark + start, first_line, bad_separator: None });
            if !rest.is_empty() && !rest.starts_with('#') {
                parts.push(Part { text: "", start: mark + offset, first_line: number, bad_separator: Some(number) });
            }
            (start, first_line) = (end, number + 1);
        }
        offset = end;
    }
    parts.push(Part { text: &text[start..], start: mark + start, first_line, bad_separator: None });
    parts
}

type Failure = Box<Diagnostic>;

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 1024;
/// The most bytes that a document may hold once its aliases are expanded.
const MAX_EXPANDED_BYTES: usize = 64 << 20;

/// Up to so many keys a mapping is searched from its beginning.
const FEW: usize = 16;

/// A composed node; `size` counts its nodes, for the alias limit; `bytes` and `height` bound what it expands to.
#[derive(Clone)]
struct Node {
    value: Value,
    position: Position,
    children: Vec<(String, Node)>,
    /// The place of each key among the children of a large mapping.
    index: Option<HashMap<String, usize>>,
    size: usize,
    bytes: usize,
    height: usize,
}

impl Node {
    fn leaf(value: Value, position: Position) -> Self {
        let bytes = value.as_str().map_or(8, str::len);
        Self { value, position, children: Vec::new(), index: None, size: 1, bytes, height: 0 }
    }

    fn grow(&mut self, child: &Self) {
        self.size += child.size;
        self.bytes += child.bytes;
        self.height = self.height.max(child.height + 1);
    }

    /// The place of a key among the children of a mapping.
    fn place_of(&self, key: &str) -> Option<usize> {
        if self.children.len() <= FEW {
            self.children.iter().position(|(known, _)| known == key)
        } else {
            self.index.as_ref()?.get(key).copied()
        }
    }

    fn put(&mut self, key: String, node: Self) {
        if let Some(at) = self.place_of(&key) {
            self.children[at].1 = node;
            return;
        }
        if self.children.len() == FEW {
            let known = self.children.iter().enumerate().map(|(at, (known, _))| (known.clone(), at));
            self.index = Some(known.collect());
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.children.len());
        }
        self.children.push((key, node));
    }
}

struct Composer<'a> {
    file: Arc<str>,
    first_line: usize,
    text: &'a str,
    asides: Vec<Aside>,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    decoded: usize,
    aliased: usize,
    expanded: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Composer<'a> {
    fn new(file: &Arc<str>, first_line: usize, text: &'a str) -> Self {
        Self {
            file: Arc::clone(file),
            first_line,
            text,
            asides: Vec::new(),
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            decoded: 0,
            aliased: 0,
            expanded: 0,
            diagnostics: Vec::new(),
        }
    }

    fn document(&mut self) -> Result<Option<Document>, Failure> {
        loop {
            match self.next()? {
                Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
                None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => return Ok(None),
                Some((event, span)) => {
                    let node = self.node(event, span, 0)?;
                    if node.value.is_null() {
                        return Ok(None);
                    }
                    // A syntax error behind the first node is an error too; further documents cannot be (see `split`).
                    while self.next()?.is_some() {}
                    let mut positions = Positions::default();
                    let start = node.position;
                    record(&mut positions, "", &node);
                    positions.shrink();
                    let flawed = self.diagnostics.iter().any(|d| d.severity == Severity::Error);
                    let asides = std::mem::take(&mut self.asides);
                    return Ok(Some(Document { value: node.value, positions, start, flawed, asides }));
                }
            }
        }
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Failure> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(text, _), span))) => self.aside(&text, span),
                Some(Ok(pair)) => return Ok(Some(pair)),
                Some(Err(error)) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Keeps a comment that is for spinway.
    fn aside(&mut self, text: &str, span: Span) {
        let Some(text) = text.trim().strip_prefix(ASIDE) else { return };
        let is_comment = |line: &str| line.trim_start().starts_with('#');
        let at = span.start.line() - 1;
        let alone = self.text.lines().nth(at).is_some_and(is_comment);
        let below = self.text.lines().skip(at).take_while(|line| alone && is_comment(line)).count();
        let origin = self.origin(self.position(span));
        self.asides.push(Aside { line: origin.position.line + below, origin, text: text.trim().to_owned() });
    }

    fn syntax(&self, error: &ScanError) -> Failure {
        let marker = error.marker();
        let position = Position { line: marker.line() + self.first_line - 1, column: marker.col() + 1 };
        let info = error.info();
        let id = if info.contains("recursion limit") { "yaml-depth" } else { "yaml-syntax" };
        Box::new(Diagnostic::error(id, format!("Not valid YAML: {info}.")).at(self.origin(position)))
    }

    fn origin(&self, position: Position) -> Origin {
        Origin { file: Arc::clone(&self.file), position }
    }

    fn fail(&self, id: &'static str, position: Position, message: impl Into<String>) -> Failure {
        Box::new(Diagnostic::error(id, message).at(self.origin(position)))
    }

    fn position(&self, span: Span) -> Position {
        Position { line: span.start.line() + self.first_line - 1, column: span.start.col() + 1 }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Failure> {
        let position = self.position(span);
        if depth > MAX_DEPTH {
            return Err(self.fail("yaml-depth", position, format!("Nested deeper than {MAX_DEPTH} levels.")));
        }
        self.decoded += 1;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), position)?;
                Ok(self.anchored(anchor, Node::leaf(value, position)))
            }
            Event::SequenceStart(_, anchor, _) => {
                let node = self.sequence(position, depth)?;
                Ok(self.anchored(anchor, node))
            }
            Event::MappingStart(_, anchor, _) => {
                let node = self.mapping(position, depth)?;
                Ok(self.anchored(anchor, node))
            }
            Event::Alias(anchor) => self.alias(anchor, position, depth),
            _ => Err(self.fail("yaml-syntax", position, "Not valid YAML here.")),
        }
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    /// Copies an anchored node, within go-yaml's limit: above 100 aliased and 1,000 decoded nodes in all, the share of
    /// aliased ones may be 99 % up to 400,000 and falls to 10 % at 4,000,000.
    fn alias(&mut self, anchor: usize, position: Position, depth: usize) -> Result<Node, Failure> {
        let Some(mut node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.fail("yaml-alias", position, "An alias inside its own anchor."));
        };
        if depth + node.height > MAX_DEPTH {
            return Err(self.fail("yaml-depth", position, format!("Nested deeper than {MAX_DEPTH} levels.")));
        }
        self.expanded += node.bytes;
        if self.expanded > MAX_EXPANDED_BYTES {
            return Err(self.fail(
                "yaml-alias",
                position,
                "Excessive aliasing: the document expands to far more than it says.",
            ));
        }
        self.decoded += node.size;
        self.aliased += node.size;
        let allowed = match self.decoded {
            ..=400_000 => 0.99,
            4_000_000.. => 0.10,
            decoded => 0.99 - 0.89 * (decoded - 400_000) as f64 / 3_600_000.0,
        };
        if self.aliased > 100 && self.decoded > 1000 && self.aliased as f64 / self.decoded as f64 > allowed {
            return Err(self.fail(
                "yaml-alias",
                position,
                "Excessive aliasing: the document expands to far more than it says.",
            ));
        }
        place(&mut node, position);
        Ok(node)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        position: Position,
    ) -> Result<Value, Failure> {
        let tag = scalar::own(tag);
        let plain = style == ScalarStyle::Plain;
        if plain && tag.is_none() && scalar::is_ambiguous(text) {
            // The value may be a secret: it is not repeated.
            let kind = if matches!(scalar::resolve(text), Ok(Value::Bool(_))) { "true or false" } else { "a number" };
            self.diagnostics.push(
                Diagnostic::warning(
                    "SPW022",
                    format!("Read as {kind} here (YAML 1.1), as a text or another number by YAML 1.2."),
                )
                .at(self.origin(position))
                .help("Put it in quotes, or write the value that is meant."),
            );
        }
        scalar::value(text, style, tag).map_err(|message| self.fail("yaml-value", position, message))
    }

    fn sequence(&mut self, position: Position, depth: usize) -> Result<Node, Failure> {
        let mut node = Node::leaf(Value::Null, position);
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let item = self.node(event, span, depth + 1)?;
            node.grow(&item);
            node.children.push((node.children.len().to_string(), item));
        }
        // Thousands of these are held: none has more room than it needs.
        let mut items = Vec::with_capacity(node.children.len());
        items.extend(node.children.iter_mut().map(|(_, item)| std::mem::take(&mut item.value)));
        node.value = Value::Array(items);
        Ok(node)
    }

    fn mapping(&mut self, position: Position, depth: usize) -> Result<Node, Failure> {
        let mut node = Node::leaf(Value::Null, position);
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key_position = self.position(span);
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.key(event, span, depth)?;
            let Some((event, span)) = self.next()? else {
                return Err(self.fail("yaml-syntax", key_position, "A key without a value."));
            };
            let mut value = self.node(event, span, depth + 1)?;
            node.grow(&value);
            if is_merge {
                self.merge(&mut node, value, key_position)?;
                continue;
            }
            self.check_duplicate(&node, &key, key_position);
            // A key is where a reader looks for a field, so that is its position.
            value.position = key_position;
            node.put(key, value);
        }
        let mut map = Map::with_capacity(node.children.len());
        map.extend(node.children.iter_mut().map(|(key, child)| (key.clone(), std::mem::take(&mut child.value))));
        node.value = Value::Object(map);
        Ok(node)
    }

    fn check_duplicate(&mut self, node: &Node, key: &str, position: Position) {
        if let Some((_, first)) = node.place_of(key).map(|at| &node.children[at]) {
            self.diagnostics.push(
                Diagnostic::error("yaml-duplicate-key", format!("The key `{key}` stands twice in one mapping."))
                    .at(self.origin(position))
                    .and(self.origin(first.position), "first here")
                    .help("Keep one of them."),
            );
        }
    }

    /// A key as go-yaml makes it a JSON key: booleans, numbers as their text; null and collections are refused.
    fn key(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<String, Failure> {
        let node = self.node(event, span, depth + 1)?;
        match node.value {
            Value::String(text) if text.len() > MAX_KEY_BYTES => {
                Err(self.fail("yaml-key", node.position, format!("A key of more than {MAX_KEY_BYTES} bytes.")))
            }
            Value::String(text) => Ok(text),
            Value::Bool(_) | Value::Number(_) => Ok(node.value.to_string()),
            _ => Err(self.fail("yaml-key", node.position, "A mapping key must be a text, number or boolean.")),
        }
    }

    /// Merges one mapping, or a list of them (in which the earlier wins), over what the mapping has so far.
    fn merge(&mut self, node: &mut Node, value: Node, position: Position) -> Result<(), Failure> {
        let sources = match &value.value {
            Value::Object(_) => vec![value],
            Value::Array(items) => {
                let values = items.clone().into_iter().rev();
                values.zip(value.children.into_iter().rev()).map(|(v, (_, child))| Node { value: v, ..child }).collect()
            }
            _ => return Err(self.fail("yaml-merge", position, "`<<` merges a mapping or a list of mappings.")),
        };
        // kubectl's strict reading takes a key that is there already for a duplicate.
        let before: HashSet<String> = node.children.iter().map(|(key, _)| key.clone()).collect();
        for source in sources {
            let Value::Object(mut entries) = source.value else {
                return Err(self.fail("yaml-merge", position, "`<<` merges a mapping or a list of mappings."));
            };
            for (key, mut child) in source.children {
                if before.contains(&key) {
                    self.check_duplicate(node, &key, position);
                }
                child.value = entries.get_mut(&key).map(Value::take).unwrap_or_default();
                node.put(key, child);
            }
        }
        Ok(())
    }
}

fn place(node: &mut Node, position: Position) {
    node.position = position;
    for (_, child) in &mut node.children {
        place(child, position);
    }
}

fn record(positions: &mut Positions, key: &str, node: &Node) {
    let begun = positions.begin(key, node.position);
    for (key, child) in &node.children {
        record(positions, key, child);
    }
    positions.end(begun);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> (Value, Vec<Diagnostic>) {
        let (documents, diagnostics) = read(&Arc::from("a.yaml"), text);
        (documents.into_iter().next().map_or(Value::Null, |d| d.value), diagnostics)
    }

    fn ids(text: &str) -> Vec<&'static str> {
        one(text).1.iter().map(|d| d.id).collect()
    }

    #[test]
    fn positions_are_those_of_the_keys() {
        let (documents, _) = read(&Arc::from("a.yaml"), "# c\n---\na:\n  - b: 1 # x\n    c/d: 2\n");
        let positions = &documents[0].positions;
        assert_eq!(positions.nearest("/a/0/b"), Some(Position { line: 4, column: 5 }));
        assert_eq!(positions.nearest("/a/0/c~1d"), Some(Position { line: 5, column: 5 }));
        assert_eq!(positions.nearest("/a/0/zz"), Some(Position { line: 4, column: 5 }));
    }

    #[test]
    fn comments_for_spinway_are_about_their_line_or_the_next() {
        let text = "---\na: 1 # spinway:ignore SPW021: x\n# spinway:ignore SPW022: y\n# why\nb: \"# spinway:ignore no\" # other\n";
        let (documents, _) = read(&Arc::from("a.yaml"), text);
        let asides: Vec<_> =
            documents[0].asides.iter().map(|a| (a.origin.position.line, a.line, a.text.as_str())).collect();
        assert_eq!(asides, [(2, 2, "SPW021: x"), (3, 5, "SPW022: y")]);
    }

    #[test]
    fn documents_are_split_as_text() {
        let (documents, diagnostics) =
            read(&Arc::from("a"), "%YAML 1.1\n---\na: 1\n--- # next\nb: 2\n---\n# nothing\n--- x\n");
        let values: Vec<_> = documents.into_iter().map(|d| d.value).collect();
        assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(diagnostics[0].id, "yaml-separator");
        assert_eq!(diagnostics[0].origin.as_ref().map(|o| o.position.line), Some(8));
    }

    #[test]
    fn merge_keys_apply_in_document_order() {
        assert_eq!(one("x: &a {foo: 2, bar: 3}\nz:\n  foo: 1\n  <<: *a\n").0["z"], json!({"foo": 2, "bar": 3}));
        assert_eq!(one("x: &a {foo: 2}\nz:\n  <<: [{foo: 3}, *a]\n").0["z"], json!({"foo": 3}));
        assert_eq!(one("z: {\"<<\": 1}\n").0["z"], json!({"<<": 1}));
        // As with kubectl, a key that a merge overrides is a duplicate.
        assert_eq!(ids("x: &a {foo: 2}\nz:\n  foo: 1\n  <<: *a\n"), ["yaml-duplicate-key"]);
        assert_eq!(ids("x: &a {foo: 2}\nz:\n  <<: [{foo: 3}, *a]\n"), [""; 0]);
    }

    #[test]
    fn duplicate_keys_show_both_places() {
        let (_, diagnostics) = one("a: 1\nb: 2\na: 3\n");
        assert_eq!(diagnostics[0].id, "yaml-duplicate-key");
        assert_eq!(diagnostics[0].origin.as_ref().map(|o| o.position.line), Some(3));
        assert_eq!(diagnostics[0].related.as_ref().map(|(o, _)| o.position.line), Some(1));
        assert_eq!(ids("on: 1\n\"true\": 2\n"), ["SPW022", "yaml-duplicate-key"]);
    }

    #[test]
    fn bombs_depth_and_non_yaml_are_diagnostics() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..10 {
            let item = format!("*a{}", n - 1);
            bomb += &format!("a{n}: &a{n} [{}]\n", [item.as_str(); 10].join(","));
        }
        assert_eq!(ids(&bomb), ["yaml-alias"]);

        assert_eq!(ids(&format!("a: {}1{}", "[".repeat(200), "]".repeat(200))), ["yaml-depth"]);
        // Each anchor holds the one before it: shallow text, deep meaning.
        let mut deep = String::from("x0: &a0 [x]\n");
        for n in 1..300 {
            deep += &format!("x{n}: &a{n} [*a{}]\n", n - 1);
        }
        assert_eq!(ids(&deep), ["yaml-depth"]);
        let large = format!("x: &a {}\nl: [{}]\n", "k".repeat(1 << 20), ["*a"; 90].join(","));
        assert_eq!(ids(&large), ["yaml-alias"]);
        assert_eq!(ids(&format!("? {}\n: 1\n", "k".repeat(2000))), ["yaml-key"]);
        assert_eq!(ids("a: [1\n"), ["yaml-syntax"]);
        assert_eq!(ids("? [a]\n: 1\n"), ["yaml-key"]);
        assert_eq!(ids("~: 1\n"), ["yaml-key"]);
        assert_eq!(ids("a: &a [*a]\n"), ["yaml-alias"]);
    }

    #[test]
    fn json_is_read_too() {
        assert_eq!(
            one("{\n  \"a\": [1, true, null, \"y\"],\n\t\"b\": {}}\n").0,
            json!({"a": [1, true, null, "y"], "b": {}})
        );
    }
}
