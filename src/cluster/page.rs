//! A LIST as it arrives: it is cut into its objects, and none is kept longer than it is looked at. So memory does not grow
//! with a page, and pages may be as large as the API server likes best (ADR 0006).

use super::not_json;
use crate::api::Refused;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json_borrow::Value;

/// The most bytes that one object may have: more than etcd stores.
const MAX_OBJECT_BYTES: usize = 32 << 20;
/// The most bytes that a list may have beside its objects.
const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// Cuts the bytes of a list, which come in any pieces, into its objects.
#[derive(Default)]
pub(super) struct Page {
    /// All of the list but its objects.
    envelope: Vec<u8>,
    /// The beginning of an object whose end has not come.
    begun: Vec<u8>,
    depth: usize,
    inside: Inside,
    escaped: bool,
    /// The text that ended last on the first level: a key, when a colon follows.
    text: Vec<u8>,
    /// Whether the value of `items` is next.
    items_next: bool,
    /// Whether the array of objects is open.
    items: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Structure,
    Text,
}

#[derive(Deserialize)]
struct Envelope {
    metadata: ListMeta,
    /// Without it, it is no list, whatever its code says: absence must be proven.
    #[serde(rename = "items")]
    _items: IgnoredAny,
}

#[derive(Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

impl Page {
    /// Takes the next piece and shows each object that ends in it.
    ///
    /// # Errors
    /// The bytes are no list.
    pub(super) fn take(&mut self, piece: &[u8], each: &mut dyn FnMut(&Value<'_>)) -> Result<(), Refused> {
        // Where the object, or the part of the envelope, begins that is not kept yet.
        let mut start = 0;
        let mut at = 0;
        while at < piece.len() {
            if self.inside == Inside::Text {
                at = self.text(piece, at);
                continue;
            }
            let byte = piece[at];
            let in_items = self.items && self.depth == 2;
            match byte {
                b'"' => {
                    self.inside = Inside::Text;
                    self.text.clear();
                }
                b'{' | b'[' => {
                    if in_items && byte == b'{' {
                        self.keep(&piece[start..at])?;
                        start = at;
                    }
                    if byte == b'[' && self.depth == 1 && self.items_next {
                        self.items = true;
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(|| not_json(200))?;
                    if self.items && self.depth == 2 && byte == b'}' {
                        self.object(&piece[start..=at], each)?;
                        start = at + 1;
                    }
                    if self.items && self.depth == 1 {
                        self.items = false;
                    }
                }
                b',' if in_items => {
                    self.keep(&piece[start..at])?;
                    start = at + 1;
                }
                _ => {}
            }
            if self.depth == 1 && !byte.is_ascii_whitespace() {
                self.items_next = byte == b':' && self.text == b"items";
            }
            at += 1;
        }
        let rest = &piece[start..];
        if self.items && self.depth > 2 {
            self.begun.extend_from_slice(rest);
            return if self.begun.len() > MAX_OBJECT_BYTES { Err(not_json(200)) } else { Ok(()) };
        }
        self.keep(rest)
    }

    /// Goes to the end of a text, or of the piece.
    fn text(&mut self, piece: &[u8], at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            return at + 1;
        }
        let length = memchr::memchr2(b'"', b'\\', &piece[at..]).unwrap_or(piece.len() - at);
        if self.depth == 1 && self.text.len() < 64 {
            self.text.extend_from_slice(&piece[at..at + length.min(64)]);
        }
        match piece.get(at + length) {
            Some(b'"') => self.inside = Inside::Structure,
            Some(_) => self.escaped = true,
            None => return piece.len(),
        }
        at + length + 1
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), Refused> {
        self.envelope.extend_from_slice(part);
        if self.envelope.len() > MAX_ENVELOPE_BYTES { Err(not_json(200)) } else { Ok(()) }
    }

    fn object(&mut self, end: &[u8], each: &mut dyn FnMut(&Value<'_>)) -> Result<(), Refused> {
        if self.begun.is_empty() {
            each(&serde_json::from_slice(end).map_err(|_| not_json(200))?);
            return Ok(());
        }
        self.begun.extend_from_slice(end);
        each(&serde_json::from_slice(&self.begun).map_err(|_| not_json(200))?);
        self.begun.clear();
        Ok(())
    }

    /// The token of the next page, empty at the last.
    ///
    /// # Errors
    /// The list did not end, or is none.
    pub(super) fn end(self) -> Result<String, Refused> {
        let envelope: Envelope = serde_json::from_slice(&self.envelope).map_err(|_| not_json(200))?;
        Ok(envelope.metadata.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str, size: usize) -> Option<(Vec<String>, String)> {
        let mut found = Vec::new();
        let mut page = Page::default();
        for piece in text.as_bytes().chunks(size) {
            page.take(piece, &mut |item| found.push(item.to_string())).ok()?;
        }
        Some((found, page.end().ok()?))
    }

    const LIST: &str = r#"{"kind":"items","apiVersion":"v1", "items" : [ {"a":"}\"]{","b":[{"items":[1]}]} ,{"é":"\\"},{}], "metadata":{"resourceVersion":"1","continue":"t\"1"}}"#;

    #[test]
    fn objects_are_found_however_the_bytes_come() {
        let wanted = (
            vec![r#"{"a":"}\"]{","b":[{"items":[1]}]}"#.to_owned(), r#"{"é":"\\"}"#.to_owned(), "{}".to_owned()],
            "t\"1".to_owned(),
        );
        for size in 1..=LIST.len() {
            assert_eq!(cut(LIST, size).as_ref(), Some(&wanted), "pieces of {size}");
        }
        let empty = r#"{"metadata":{},"items":null}"#;
        assert_eq!(cut(empty, 7), Some((Vec::new(), String::new())));
        assert_eq!(cut(r#"{"items":[],"metadata":{"x":[{"items":[{}]}]}}"#, 5), Some((Vec::new(), String::new())));
    }

    #[test]
    fn what_is_no_whole_list_is_refused() {
        for text in [
            "{\"metadata\":{}}",
            "{\"items\":[]}",
            "<html>",
            "",
            "}",
            "{\"metadata\":{},\"items\":[{\"a\":1}",
            "{\"metadata\":{},\"items\":[{\"a\":}]}",
            "[]",
        ] {
            assert_eq!(cut(text, 4), None, "{text}");
        }
        for end in 1..LIST.len() {
            assert_eq!(cut(LIST.get(..end).unwrap_or_default(), 9), None, "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_objects_survive(texts in prop::collection::vec(any::<String>(), 0..6), size in 1usize..40) {
            let items: Vec<serde_json::Value> = texts.iter().map(|t| serde_json::json!({t.as_str(): [t, {"n": 1.5}]})).collect();
            let list = serde_json::json!({"metadata": {"continue": ""}, "items": items}).to_string();
            let found = cut(&list, size).map(|(found, _)| found).unwrap_or_default();
            prop_assert_eq!(found, items.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
    }
}
