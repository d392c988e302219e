//! YAML as kubectl reads it, with the position of every node.
//!
//! kubectl splits the text at lines that start with `---` (apimachinery `NewYAMLReader`) and reads each part with
//! `sigs.k8s.io/yaml`, a YAML 1.1 reader: `scalar.rs` has its scalars, this file its documents, merge keys (applied in
//! document order) and its limit on aliases. Duplicate keys are errors, as under `fieldValidation=Strict`.

mod node;
mod raw;
mod scalar;

pub use raw::{Raw, Scalar, raw};

use super::parallel::by_parts;
use crate::object::{Diagnostic, Origin, Position, Positions, Severity};
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use node::{Content, Entries, Entry, Node, Weight};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
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
    /// How many values it holds, its aliases expanded.
    pub values: usize,
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
    let documents: Vec<Document> = documents.into_iter().flatten().collect();
    if documents.iter().map(|document| document.values).sum::<usize>() > MAX_NODES {
        let origin = Origin { file: Arc::clone(file), position: Position { line: 1, column: 1 } };
        return (Vec::new(), vec![Diagnostic::error("yaml-nodes", TOO_MANY).at(origin).help("Split the file.")]);
    }
    (documents, diagnostics.into_iter().flatten().collect())
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
    if let Some((line, column)) = hidden_break(part.text) {
        let position = Position { line: part.first_line + line, column };
        diagnostics.push(
            Diagnostic::error("yaml-syntax", "Not valid YAML: a comment has a line separator of Unicode.")
                .at(Origin { file: Arc::clone(file), position })
                .help("Remove it (U+0085, U+2028 or U+2029): kubectl takes what follows as the next line."),
        );
        return None;
    }
    let (index, first) = part.first()?;
    if first.trim_start().starts_with('%') || first.trim_end() == "..." {
        let position = Position { line: part.first_line + index, column: 1 };
        diagnostics.push(
            Diagnostic::error("yaml-syntax", "Not valid YAML: a directive or `...` without a document.")
                .at(Origin { file: Arc::clone(file), position })
                .help("Remove the line; kubectl refuses it too."),
        );
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

/// How the text is read: comments are bounded by the size of the file alone.
fn options() -> Options {
    granit_parser::options! { max_buffered_comment_events: usize::MAX }
}

struct Part<'a> {
    text: &'a str,
    /// Where it begins in the file, in bytes.
    start: usize,
    first_line: usize,
    bad_separator: Option<usize>,
}

impl<'a> Part<'a> {
    /// The first line that is neither blank nor a comment, with how many stand before it; none in an empty document.
    fn first(&self) -> Option<(usize, &'a str)> {
        let is_content = |line: &str| line.trim_start().chars().next().is_some_and(|first| first != '#');
        lines(self.text).enumerate().find(|(_, line)| is_content(line))
    }
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

/// The lines of a text as YAML has them: a carriage return ends one, too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('\r'))
}

/// Where what looks like a comment has a character that ends lines in YAML 1.1 and not in YAML 1.2: its line, from 0, and column.
fn hidden_break(text: &str) -> Option<(usize, usize)> {
    let is_break = |character: char| matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}');
    // Nearly every text has none of them.
    text.contains(is_break).then_some(())?;
    lines(text).enumerate().find_map(|(number, line)| {
        let comment = line.match_indices('#').map(|(at, _)| at);
        let comment = comment.into_iter().find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace))?;
        let at = comment + line[comment..].find(is_break)?;
        Some((number, line[..at].chars().count() + 1))
    })
}

/// For each line of a text, from 0, the line that a comment on it is about: the next one that is no comment, or itself.
fn meant_lines(text: &str) -> Vec<usize> {
    let is_comment: Vec<bool> = lines(text).map(|line| line.trim_start().starts_with('#')).collect();
    let mut meant = vec![0; is_comment.len()];
    let mut next = is_comment.len();
    for (at, is_comment) in is_comment.iter().enumerate().rev() {
        if !is_comment {
            next = at;
        }
        meant[at] = next;
    }
    meant
}

type Failure = Box<Diagnostic>;

/// The most values that one file may hold once its aliases are expanded: more than any object that an API server takes.
const MAX_NODES: usize = 500_000;
const TOO_MANY: &str = "More than 500,000 values in one file.";
/// So many findings of one document are told: whoever mends them sees the next.
const MOST_TOLD: usize = 100;
/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 1024;
/// The most bytes that a document may hold once its aliases are expanded.
const MAX_EXPANDED_BYTES: usize = 64 << 20;

struct Composer<'a> {
    file: Arc<str>,
    first_line: usize,
    text: &'a str,
    /// [`meant_lines`] of the text, once a comment asks for them.
    meant: Option<Vec<usize>>,
    asides: Vec<Aside>,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Rc<Node>>,
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
            meant: None,
            asides: Vec::new(),
            parser: Parser::new_from_str_with_options(text, options()),
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
                    // A syntax error behind the first node is an error too, and so is what follows `...`: kubectl does not read it.
                    while let Some((event, span)) = self.next()? {
                        if !matches!(event, Event::DocumentEnd | Event::StreamEnd) {
                            let message = "Not valid YAML: text behind the end of a document (`...`).";
                            return Err(self.fail("yaml-syntax", self.position(span), message));
                        }
                    }
                    if matches!(&node.target().content, Content::Scalar(read) if read.value.is_null()) {
                        return Ok(None);
                    }
                    let mut positions = Positions::default();
                    let start = node.position;
                    let value = node.make("", start, None, &mut positions);
                    positions.shrink();
                    let flawed = self.is_flawed();
                    let asides = std::mem::take(&mut self.asides);
                    return Ok(Some(Document { value, positions, start, flawed, asides, values: self.decoded }));
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
        let meant = self.meant.get_or_insert_with(|| meant_lines(self.text));
        let line = meant.get(span.start.line() - 1).copied().unwrap_or_default() + self.first_line;
        let origin = self.origin(self.position(span));
        self.asides.push(Aside { line, origin, text: text.trim().to_owned() });
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

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Rc<Node>, Failure> {
        let position = self.position(span);
        if depth > MAX_DEPTH {
            return Err(self.fail("yaml-depth", position, format!("Nested deeper than {MAX_DEPTH} levels.")));
        }
        self.count(1, position)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.check_scalar(&text, style, tag.is_some(), span)?;
                let read = self.scalar(&text, style, tag.as_deref(), position)?;
                (Node::scalar(read, position), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(position, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(position, depth)?, anchor),
            Event::Alias(anchor) => (self.alias(anchor, position, depth)?, 0),
            _ => return Err(self.fail("yaml-syntax", position, "Not valid YAML here.")),
        };
        let node = Rc::new(node);
        if anchor != 0 {
            self.check_anchor(span)?;
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    /// The text of the part from where a node begins, and what stands before that.
    fn around(&self, span: Span) -> (&'a str, &'a str) {
        let start = span.byte_range().map_or(0, |range| range.start);
        (self.text.get(start..).unwrap_or_default(), self.text.get(..start).unwrap_or_default())
    }

    /// Refuses what YAML 1.2 reads and kubectl's reader of YAML 1.1 does not.
    fn check_scalar(&self, text: &str, style: ScalarStyle, is_tagged: bool, span: Span) -> Result<(), Failure> {
        let (written, before) = self.around(span);
        let length = span.byte_range().map_or(0, |range| range.len());
        let refused = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = written.lines().next().unwrap_or_default();
                let header = header.split('#').next().unwrap_or_default();
                let indented =
                    text.trim_start_matches('\n').starts_with('\t') && !header.contains(|c: char| c.is_ascii_digit());
                indented.then_some("a block scalar that starts with a tab needs an indentation indicator, such as `|2`")
            }
            // In YAML 1.1 `{a:, b: 1}` has a key `a:`. A value that is not there stands at its colon.
            ScalarStyle::Plain if length == 0 => {
                let is_tight = |text: &str| text.starts_with([',', ']', '}']);
                let unclear = written.strip_prefix(':').is_some_and(is_tight)
                    || (is_tagged && is_tight(written) && !before.ends_with(char::is_whitespace));
                unclear.then_some("a colon or tag inside brackets needs a space after it")
            }
            // As JSON, which kubectl tells by its first character, a text may have them.
            ScalarStyle::DoubleQuoted if !self.text.trim_start().starts_with('{') => {
                let has = written.get(..length).is_some_and(scalar::has_surrogates);
                has.then_some("a surrogate escape is valid in JSON only; use `\\U` with eight digits")
            }
            _ => None,
        };
        refused
            .map_or(Ok(()), |why| Err(self.fail("yaml-syntax", self.position(span), format!("Not valid YAML: {why}."))))
    }

    /// Refuses an anchor that kubectl's reader does not take.
    fn check_anchor(&self, span: Span) -> Result<(), Failure> {
        let (_, before) = self.around(span);
        let words = before.split_whitespace().rev().map(|word| word.trim_start_matches(['{', '[', ',']));
        let mut properties = words.take_while(|word| word.starts_with(['&', '!']));
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        let is_apart = before.ends_with(char::is_whitespace);
        if properties.find_map(|word| word.strip_prefix('&')).is_none_or(|name| is_name(name) && is_apart) {
            return Ok(());
        }
        let message = "Not valid YAML: an anchor has letters, digits, `_` and `-`, and a space after it.";
        Err(self.fail("yaml-syntax", self.position(span), message))
    }

    fn is_flawed(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// Counts nodes of the document, its aliases expanded.
    fn count(&mut self, nodes: usize, position: Position) -> Result<(), Failure> {
        self.decoded += nodes;
        if self.decoded > MAX_NODES {
            return Err(self.fail("yaml-nodes", position, TOO_MANY));
        }
        Ok(())
    }

    /// What an alias stands for, within go-yaml's limit: above 100 aliased and 1,000 decoded nodes in all, the share of
    /// aliased ones may be 99 % up to 400,000 and falls to 10 % at 4,000,000.
    fn alias(&mut self, anchor: usize, position: Position, depth: usize) -> Result<Node, Failure> {
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            return Err(self.fail("yaml-alias", position, "An alias inside its own anchor."));
        };
        if depth + node.weight.height > MAX_DEPTH {
            return Err(self.fail("yaml-depth", position, format!("Nested deeper than {MAX_DEPTH} levels.")));
        }
        self.expanded += node.weight.bytes;
        if self.expanded > MAX_EXPANDED_BYTES {
            return Err(self.fail(
                "yaml-alias",
                position,
                "Excessive aliasing: the document expands to far more than it says.",
            ));
        }
        self.count(node.weight.size, position)?;
        self.aliased += node.weight.size;
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
        let weight = node.weight;
        Ok(Node { content: Content::Alias(node), position, weight })
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        position: Position,
    ) -> Result<scalar::Read, Failure> {
        let tag = scalar::whole(tag);
        let plain = style == ScalarStyle::Plain;
        if plain && tag.is_none() && self.diagnostics.len() < MOST_TOLD && scalar::is_ambiguous(text) {
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
        scalar::read(text, style, tag.as_deref()).map_err(|message| self.fail("yaml-value", position, message))
    }

    fn sequence(&mut self, position: Position, depth: usize) -> Result<Node, Failure> {
        let (mut items, mut weight) = (Vec::new(), Weight::ONE);
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let item = self.node(event, span, depth + 1)?;
            weight.grow(item.weight);
            items.push(item);
        }
        Ok(Node { content: Content::List(items), position, weight })
    }

    fn mapping(&mut self, position: Position, depth: usize) -> Result<Node, Failure> {
        let (mut entries, mut weight) = (Entries::default(), Weight::ONE);
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let position = self.position(span);
            let is_merge = scalar::is_merge(&event);
            let key = self.key(event, span, depth)?;
            let Some((event, span)) = self.next()? else {
                return Err(self.fail("yaml-syntax", position, "A key without a value."));
            };
            let node = self.node(event, span, depth + 1)?;
            weight.grow(node.weight);
            if is_merge {
                self.merge(&mut entries, &node, position)?;
                continue;
            }
            self.check_duplicate(&entries, &key, position);
            entries.put(Entry { key, position, node });
        }
        Ok(Node { content: Content::Map(entries.all), position, weight })
    }

    fn check_duplicate(&mut self, entries: &Entries, key: &str, position: Position) {
        let is_told = self.diagnostics.len() < MOST_TOLD || !self.is_flawed();
        if let Some(first) = entries.place_of(key).map(|at| &entries.all[at]).filter(|_| is_told) {
            self.diagnostics.push(
                Diagnostic::error("yaml-duplicate-key", format!("The key `{key}` stands twice in one mapping."))
                    .at(self.origin(position))
                    .and(self.origin(first.position), "first here")
                    .help("Keep one of them."),
            );
        }
    }

    /// A key as sigs.k8s.io/yaml makes it a JSON key: what is null and what is no scalar are refused.
    fn key(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<String, Failure> {
        let node = self.node(event, span, depth + 1)?;
        let key = match &node.target().content {
            Content::Scalar(read) => read.key(),
            _ => None,
        };
        match key {
            Some(key) if key.len() > MAX_KEY_BYTES => {
                Err(self.fail("yaml-key", node.position, format!("A key of more than {MAX_KEY_BYTES} bytes.")))
            }
            Some(key) => Ok(key),
            None => Err(self.fail("yaml-key", node.position, "A mapping key must be a text, number or boolean.")),
        }
    }

    /// Merges one mapping, or a list of them (in which the earlier wins), over what the mapping has so far.
    fn merge(&mut self, entries: &mut Entries, value: &Rc<Node>, position: Position) -> Result<(), Failure> {
        let alias = |node: &Rc<Node>| matches!(node.content, Content::Alias(_)).then_some(node.position);
        let sources: Vec<(&Node, Option<Position>)> = match &value.target().content {
            Content::Map(_) => vec![(value.target(), alias(value))],
            Content::List(items) => {
                items.iter().rev().map(|item| (item.target(), alias(value).or_else(|| alias(item)))).collect()
            }
            _ => return Err(self.fail("yaml-merge", position, "`<<` merges a mapping or a list of mappings.")),
        };
        // kubectl's strict reading takes a key that is there already for a duplicate.
        let before: HashSet<String> = entries.all.iter().map(|entry| entry.key.clone()).collect();
        for (source, alias) in sources {
            let Content::Map(merged) = &source.content else {
                return Err(self.fail("yaml-merge", position, "`<<` merges a mapping or a list of mappings."));
            };
            for Entry { key, position: own, node } in merged {
                if before.contains(key) {
                    self.check_duplicate(entries, key, position);
                }
                // What an alias brings stands where the alias does.
                let entry = match alias {
                    Some(at) => {
                        let weight = node.weight;
                        let node = Rc::new(Node { content: Content::Alias(Rc::clone(node)), position: at, weight });
                        Entry { key: key.clone(), position: at, node }
                    }
                    None => Entry { key: key.clone(), position: *own, node: Rc::clone(node) },
                };
                entries.put(entry);
            }
        }
        Ok(())
    }
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
    fn comments_have_no_bound_of_their_own() {
        let many = "  # about\n".repeat(5_000);
        let text = format!("a:\n{many}  b: 1\nc:\n{many}  - 1\n{many}  - {{d: 2}}\n{many}e: 3\n");
        assert_eq!(one(&text), (json!({"a": {"b": 1}, "c": [1, {"d": 2}], "e": 3}), Vec::new()));
        assert_eq!(raw(&text).len(), 1);
    }

    #[test]
    fn documents_are_split_as_text() {
        let (documents, diagnostics) =
            read(&Arc::from("a"), "# one\n---\na: 1\n--- # next\nb: 2\n---\n# nothing\n--- x\n");
        let values: Vec<_> = documents.into_iter().map(|d| d.value).collect();
        assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(diagnostics[0].id, "yaml-separator");
        assert_eq!(diagnostics[0].origin.as_ref().map(|o| o.position.line), Some(8));
    }

    #[test]
    fn a_carriage_return_ends_a_comment() {
        assert_eq!(one("# c\ra: 1\r"), (json!({"a": 1}), Vec::new()));
        assert_eq!(one("# c\r\n# d\r\na: 1\r\n"), (json!({"a": 1}), Vec::new()));
        let (_, found) = one("# c\r%YAML 1.1\r");
        assert_eq!(found[0].origin.as_ref().map(|origin| origin.position.line), Some(2));
    }

    #[test]
    fn a_comment_hides_no_line() {
        for separator in ['\u{85}', '\u{2028}', '\u{2029}'] {
            let (_, found) = one(&format!("b: 1\n# c{separator}a: 1\n"));
            let places: Vec<(usize, usize)> = found
                .iter()
                .filter_map(|found| found.origin.as_ref())
                .map(|origin| (origin.position.line, origin.position.column))
                .collect();
            assert_eq!(places, [(2, 4)], "{separator:?}");
            assert_eq!(one(&format!("a: \"x{separator}y\"\n")).1, Vec::new(), "{separator:?}");
        }
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
    fn only_a_plain_or_tagged_sign_merges() {
        for key in ["<<", "!!merge <<", "! <<"] {
            assert_eq!(one(&format!("x: &a {{foo: 2}}\nz:\n  {key}: *a\n")).0["z"], json!({"foo": 2}), "{key}");
        }
        for key in ["'<<'", "!!str <<", "!x <<"] {
            assert_eq!(one(&format!("x: &a {{foo: 2}}\nz:\n  {key}: *a\n")).0["z"], json!({"<<": {"foo": 2}}), "{key}");
        }
    }

    #[test]
    fn directives_are_refused() {
        for directive in ["%YAML 1.2", "%YAML 1.1", "%TAG ! tag:example.com,2026:"] {
            assert_eq!(ids(&format!("{directive}\n---\na: 1\n")), ["yaml-syntax"], "{directive}");
        }
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
