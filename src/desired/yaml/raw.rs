//! The same documents with the bytes of their scalars: what a text is edited by in place.

use super::{MAX_DEPTH, Part, options, scalar, split};
use crate::object::Position;
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// A node as its text has it: an alias is the node of its anchor, a merge key is not applied yet.
#[derive(Debug)]
pub enum Raw {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<Rc<Self>>),
    /// A map.
    Map(Vec<Entry>),
}

/// One scalar.
#[derive(Debug)]
pub struct Scalar {
    /// Its value, where that is a text.
    pub text: Option<String>,
    /// The bytes of the file that stand for the value, without quotes; none where it goes over lines of its own (`|`, `>`).
    pub bytes: Option<Range<usize>>,
}

/// One entry of a map.
#[derive(Debug)]
pub struct Entry {
    /// The key; none for a merge key.
    key: Option<String>,
    /// Where the key stands.
    position: Position,
    value: Rc<Raw>,
}

impl Raw {
    /// The entry of a map under a key, with where the key stands. As when it is read, the later of a key and a merge counts.
    pub fn get(&self, key: &str) -> Option<(Position, &Rc<Self>)> {
        let Self::Map(entries) = self else { return None };
        entries.iter().rev().find_map(|entry| match &entry.key {
            Some(known) => (known == key).then_some((entry.position, &entry.value)),
            None => match entry.value.as_ref() {
                Self::List(sources) => sources.iter().find_map(|source| source.get(key)),
                source => source.get(key),
            },
        })
    }

    /// The keys of a map, those that are merged into it included.
    pub fn keys(&self) -> Vec<&str> {
        let Self::Map(entries) = self else { return Vec::new() };
        let mut keys = Vec::new();
        for entry in entries {
            match (&entry.key, entry.value.as_ref()) {
                (Some(key), _) => keys.push(key.as_str()),
                (None, Self::List(sources)) => keys.extend(sources.iter().flat_map(|source| source.keys())),
                (None, source) => keys.extend(source.keys()),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The value of a scalar, where that is a text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(scalar) => scalar.text.as_deref(),
            _ => None,
        }
    }
}

/// The documents of a text that [`super::read`] finds no error in, in the same order.
pub fn raw(text: &str) -> Vec<Rc<Raw>> {
    split(text).iter().filter_map(document).collect()
}

fn document(part: &Part<'_>) -> Option<Rc<Raw>> {
    part.first()?;
    let mut walk =
        Walk { part, parser: Parser::new_from_str_with_options(part.text, options()), anchors: HashMap::new() };
    loop {
        match walk.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return None,
            (event, span) => {
                let is_null = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if scalar::resolve(text) == Ok(Value::Null));
                return if is_null { None } else { walk.node(event, span, 0) };
            }
        }
    }
}

struct Walk<'a> {
    part: &'a Part<'a>,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Rc<Raw>>,
}

impl<'a> Walk<'a> {
    /// The next event that is no comment; none at the end and at an error.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            match self.parser.next()?.ok()? {
                (Event::Comment(..), _) => {}
                pair => return Some(pair),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Option<Rc<Raw>> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (Raw::Scalar(self.scalar(&text, style, tag.as_deref(), span)), anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.anchors.get(&anchor).cloned(),
            _ => return None,
        };
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Some(node)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Scalar {
        let read = scalar::read(text, style, scalar::whole(tag).as_deref()).ok();
        let text = read.and_then(|read| read.value.as_str().map(str::to_owned));
        Scalar { text, bytes: self.bytes(style, span) }
    }

    fn bytes(&self, style: ScalarStyle, span: Span) -> Option<Range<usize>> {
        let range = span.byte_range()?;
        let written = self.part.text.get(range.clone())?;
        let (before, inner) = match style {
            ScalarStyle::Plain => (0, written.trim_end()),
            ScalarStyle::SingleQuoted => (1, written.strip_prefix('\'')?.strip_suffix('\'')?),
            ScalarStyle::DoubleQuoted => (1, written.strip_prefix('"')?.strip_suffix('"')?),
            _ => return None,
        };
        let start = self.part.start + range.start + before;
        Some(start..start + inner.len())
    }

    fn list(&mut self, depth: usize) -> Option<Raw> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(Raw::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Raw> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Some(Raw::Map(entries)),
                pair => pair,
            };
            let position =
                Position { line: span.start.line() + self.part.first_line - 1, column: span.start.col() + 1 };
            let key = key(&event);
            self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            entries.push(Entry { key, position, value: self.node(event, span, depth + 1)? });
        }
    }
}

/// A key as the documents have it; none for a merge key.
fn key(event: &Event<'_>) -> Option<String> {
    match event {
        key if scalar::is_merge(key) => None,
        Event::Scalar(text, style, _, tag) => {
            let read = scalar::read(text, *style, scalar::whole(tag.as_deref()).as_deref()).ok();
            Some(read.and_then(|read| read.key()).unwrap_or_default())
        }
        _ => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands for the value under a key, as it is written.
    fn written<'a>(text: &'a str, key: &str) -> Option<&'a str> {
        let documents = raw(text);
        let (_, node) = documents.iter().find_map(|document| document.get(key))?;
        match node.as_ref() {
            Raw::Scalar(scalar) => Some(&text[scalar.bytes.clone()?]),
            _ => None,
        }
    }

    #[test]
    fn scalars_have_the_bytes_of_their_value() {
        for text in [
            "# ü\r\nk: a:1\r\nz: 1\r\n",
            "\u{feff}# ü\nk: a:1 # here\n",
            "x: ö\n---\ny: 1\n--- # next\n\"k\": 'a:1'\n",
            "{z: [ü], k: a:1, y: 1}",
            "{\"k\": \"a:1\"}",
            "{k: \"a:1\"}",
            "k: &i a:1\n",
            "k: &i !!str 'a:1'\n",
            "k: !!str a:1   \n",
            "x: &i a:1\nk: *i\n",
            "x: &x {k: a:1}\n<<: *x\n",
            "x: &x {k: a:1}\n<<: [{y: 1}, *x]\n",
        ] {
            assert_eq!(written(text, "k"), Some("a:1"), "{text:?}");
        }
        assert_eq!(written("k: |\n  a:1\n", "k"), None);
        assert_eq!(written("k: \"a:\\x31\"\n", "k"), Some("a:\\x31"));
        assert_eq!(written("k: a\n  b\n", "k"), Some("a\n  b"));
    }

    #[test]
    fn the_documents_are_those_that_are_read() {
        let text = "---\n# nothing\n---\n~\n---\na: 1\n---\n---\nb: {c: [1, {d: 2}]}\n...\n";
        let (read, found) = super::super::read(&"a".into(), text);
        assert!(found.is_empty());
        assert_eq!(raw(text).len(), read.len());
        assert!(raw("\u{85}").is_empty(), "a blank line to kubectl");
        assert_eq!(raw(text)[1].get("b").map(|(at, _)| (at.line, at.column)), Some((9, 1)));
    }
}
