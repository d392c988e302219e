//! A value of which every node knows where it was written: what templates and patches are made of.

use super::{Origin, Positions, unescape};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// Where.
    pub origin: Origin,
    /// What.
    pub node: Node,
}

/// The entries of a map.
pub type Entries = IndexMap<String, Traced>;

/// What a [`Traced`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A scalar.
    Scalar(Value),
    /// A list.
    List(Vec<Traced>),
    /// A map, in the order of its text.
    Map(Entries),
}

impl Traced {
    /// A value with the positions of its text.
    pub fn read(value: Value, positions: &Positions, file: &Arc<str>, fallback: &Origin) -> Self {
        let origin = positions.place(0, file).unwrap_or_else(|| fallback.clone());
        Self::at_node(value, origin, Some(0), positions, file)
    }

    /// A value at a node of the positions; where there is none for it, it stands where its parent does.
    fn at_node(value: Value, origin: Origin, node: Option<usize>, positions: &Positions, file: &Arc<str>) -> Self {
        let mut next = node.map_or(0, |node| node + 1);
        let mut child = |key: &str, value: Value| {
            let below = node.and_then(|node| positions.child_at(node, &mut next, key));
            let place = below.and_then(|below| positions.place(below, file)).unwrap_or_else(|| origin.clone());
            Self::at_node(value, place, below, positions, file)
        };
        let node = match value {
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                Node::List(items.map(|(index, item)| child(&index.to_string(), item)).collect())
            }
            Value::Object(map) => {
                let entry = |(key, value): (String, Value)| {
                    let value = child(&key, value);
                    (key, value)
                };
                Node::Map(map.into_iter().map(entry).collect())
            }
            scalar => Node::Scalar(scalar),
        };
        Self { origin, node }
    }

    /// A value that was written at one place as a whole.
    pub fn whole(origin: &Origin, value: Value) -> Self {
        Self::at_node(value, origin.clone(), None, &Positions::default(), &origin.file)
    }

    /// An empty map.
    pub fn empty(origin: &Origin) -> Self {
        Self { origin: origin.clone(), node: Node::Map(Entries::new()) }
    }

    /// A map of these entries.
    pub fn map<const N: usize>(origin: &Origin, entries: [(&str, Self); N]) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Self { origin: origin.clone(), node: Node::Map(entries) }
    }

    /// A list of these items.
    pub fn list(origin: &Origin, items: Vec<Self>) -> Self {
        Self { origin: origin.clone(), node: Node::List(items) }
    }

    /// The value alone.
    pub fn value(&self) -> Value {
        match &self.node {
            Node::Scalar(scalar) => scalar.clone(),
            Node::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Node::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// The positions of its nodes; those of other files than the root's are named.
    pub fn positions(&self) -> Positions {
        let mut positions = Positions::default();
        self.record(&self.origin.file, "", &mut positions);
        positions.shrink();
        positions
    }

    fn record(&self, own: &Arc<str>, key: &str, positions: &mut Positions) {
        let Origin { file, position } = &self.origin;
        let begun =
            if file == own { positions.begin(key, *position) } else { positions.begin_in(file, key, *position) };
        match &self.node {
            Node::Scalar(_) => {}
            Node::List(items) => {
                items.iter().enumerate().for_each(|(index, item)| item.record(own, &index.to_string(), positions));
            }
            Node::Map(entries) => entries.iter().for_each(|(key, value)| value.record(own, key, positions)),
        }
        positions.end(begun);
    }

    /// The node at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').skip(1).try_fold(self, |node, token| node.child(&unescape(token)))
    }

    /// The node at a JSON pointer, to be changed.
    pub fn at_mut(&mut self, pointer: &str) -> Option<&mut Self> {
        pointer.split('/').skip(1).try_fold(self, |node, token| node.child_mut(&unescape(token)))
    }

    /// The place of the node at a JSON pointer, or of its nearest parent.
    pub fn origin_of(&self, pointer: &str) -> &Origin {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            match node.child(&unescape(token)) {
                Some(child) => node = child,
                None => break,
            }
        }
        &node.origin
    }

    fn child(&self, key: &str) -> Option<&Self> {
        match &self.node {
            Node::Scalar(_) => None,
            Node::List(items) => items.get(index(key)?),
            Node::Map(entries) => entries.get(key),
        }
    }

    fn child_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.node {
            Node::Scalar(_) => None,
            Node::List(items) => items.get_mut(index(key)?),
            Node::Map(entries) => entries.get_mut(key),
        }
    }

    /// Sets an entry of a map.
    pub fn set(&mut self, key: &str, value: Self) {
        if let Node::Map(entries) = &mut self.node {
            entries.insert(key.to_owned(), value);
        }
    }

    /// Takes an entry out of a map.
    pub fn take(&mut self, key: &str) -> Option<Self> {
        let Node::Map(entries) = &mut self.node else { return None };
        entries.shift_remove(key)
    }

    /// Puts a JSON merge patch over it (RFC 7386): maps are merged, null removes, all else is replaced.
    pub fn merge(&mut self, patch: Self) {
        let Node::Map(changes) = patch.node else {
            *self = patch;
            return;
        };
        if !matches!(self.node, Node::Map(_)) {
            *self = Self { origin: patch.origin, node: Node::Map(Entries::new()) };
        }
        for (key, change) in changes {
            if matches!(change.node, Node::Scalar(Value::Null)) {
                self.take(&key);
                continue;
            }
            match self.child_mut(&key) {
                Some(old) => old.merge(change),
                None => {
                    // Nulls below it remove nothing, and are not part of the result.
                    let mut new = Self::empty(&change.origin);
                    new.merge(change);
                    self.set(&key, new);
                }
            }
        }
    }

    /// Does one operation of a JSON patch (RFC 6902). What is added or replaced stands where the operation has it.
    ///
    /// # Errors
    /// The path does not exist, or the test fails; why, without the values.
    pub fn operate(&mut self, operation: &Operation<Self>) -> Result<(), String> {
        match operation {
            Operation::Add { path, value } => self.insert(path, value.clone()),
            Operation::Remove { path } => self.remove(path).map(drop),
            Operation::Replace { path, value } => {
                *self.find(path)? = value.clone();
                Ok(())
            }
            Operation::Move { from, path } => {
                if path.strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')) {
                    return Err(format!("`{from}` cannot be moved into itself"));
                }
                let value = self.remove(from)?;
                self.insert(path, value)
            }
            Operation::Copy { from, path } => {
                let value = self.at(from).cloned().ok_or_else(|| missing(from))?;
                self.insert(path, value)
            }
            Operation::Test { path, value } => {
                let found = self.at(path).ok_or_else(|| missing(path))?;
                if found.value() == value.value() { Ok(()) } else { Err(format!("the test of `{path}` fails")) }
            }
        }
    }

    /// How many bytes it has as JSON, about; counting ends above `most`.
    pub fn bytes(&self, most: usize) -> usize {
        let mut bytes = 0;
        self.weigh(most, &mut bytes);
        bytes
    }

    fn weigh(&self, most: usize, bytes: &mut usize) {
        match &self.node {
            Node::Scalar(Value::String(text)) => *bytes += text.len() + 3,
            Node::Scalar(_) => *bytes += 8,
            Node::List(items) => {
                *bytes += 2;
                for item in items {
                    if *bytes > most {
                        return;
                    }
                    item.weigh(most, bytes);
                }
            }
            Node::Map(entries) => {
                *bytes += 2;
                for (key, value) in entries {
                    if *bytes > most {
                        return;
                    }
                    *bytes += key.len() + 4;
                    value.weigh(most, bytes);
                }
            }
        }
    }

    fn find(&mut self, path: &str) -> Result<&mut Self, String> {
        self.at_mut(path).ok_or_else(|| missing(path))
    }

    fn insert(&mut self, path: &str, value: Self) -> Result<(), String> {
        let Some((parent, token)) = path.rsplit_once('/') else {
            *self = value;
            return Ok(());
        };
        let key = unescape(token);
        let parent = self.find(parent)?;
        match &mut parent.node {
            Node::Map(_) => {
                parent.set(&key, value);
                Ok(())
            }
            Node::List(items) => {
                let at = if key == "-" { Some(items.len()) } else { index(&key) };
                let at = at.filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
                items.insert(at, value);
                Ok(())
            }
            Node::Scalar(_) => Err(missing(path)),
        }
    }

    fn remove(&mut self, path: &str) -> Result<Self, String> {
        let (parent, token) = path.rsplit_once('/').ok_or_else(|| "the whole object cannot be removed".to_owned())?;
        let key = unescape(token);
        let parent = self.find(parent)?;
        match &mut parent.node {
            Node::Map(_) => parent.take(&key),
            Node::List(items) => index(&key).filter(|at| *at < items.len()).map(|at| items.remove(at)),
            Node::Scalar(_) => None,
        }
        .ok_or_else(|| missing(path))
    }
}

/// One operation of a JSON patch (RFC 6902), with values as they are written or with their places.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "op", deny_unknown_fields)]
pub enum Operation<V> {
    /// Adds or replaces an entry, or inserts an item.
    Add {
        /// Where, a JSON pointer.
        path: String,
        /// What.
        value: V,
    },
    /// Removes what is there.
    Remove {
        /// Where.
        path: String,
    },
    /// Replaces what is there.
    Replace {
        /// Where.
        path: String,
        /// With what.
        value: V,
    },
    /// Moves what is there.
    Move {
        /// From where.
        from: String,
        /// To where.
        path: String,
    },
    /// Copies what is there.
    Copy {
        /// From where.
        from: String,
        /// To where.
        path: String,
    },
    /// Ends the patch with an error unless this is there.
    Test {
        /// Where.
        path: String,
        /// What.
        value: V,
    },
}

impl<V> Operation<V> {
    /// The same, with its value made another.
    pub fn map<W>(self, change: impl FnOnce(V) -> W) -> Operation<W> {
        match self {
            Self::Add { path, value } => Operation::Add { path, value: change(value) },
            Self::Remove { path } => Operation::Remove { path },
            Self::Replace { path, value } => Operation::Replace { path, value: change(value) },
            Self::Move { from, path } => Operation::Move { from, path },
            Self::Copy { from, path } => Operation::Copy { from, path },
            Self::Test { path, value } => Operation::Test { path, value: change(value) },
        }
    }

    /// The places that it names.
    pub fn pointers(&self) -> Vec<&str> {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Replace { path, .. } | Self::Test { path, .. } => {
                vec![path]
            }
            Self::Move { from, path } | Self::Copy { from, path } => vec![from, path],
        }
    }
}

fn missing(path: &str) -> String {
    format!("there is no `{path}`")
}

/// A token as the index of an item (RFC 6901 §4): no sign, no leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|b| b.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    token.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Position;
    use serde_json::json;

    fn at(file: &str, line: usize) -> Origin {
        Origin { file: file.into(), position: Position { line, column: 1 } }
    }

    fn traced(file: &str, value: Value) -> Traced {
        Traced::whole(&at(file, 1), value)
    }

    #[test]
    fn a_merge_keeps_where_each_part_was_written() {
        let mut value = traced("app", json!({"a": {"b": 1, "c": 2}, "d": [1], "e": 1}));
        value.merge(traced("env", json!({"a": {"b": 3, "n": null}, "d": [2, 3], "e": null, "f": {"g": null, "h": 1}})));
        assert_eq!(value.value(), json!({"a": {"b": 3, "c": 2}, "d": [2, 3], "f": {"h": 1}}));
        let file = |pointer: &str| value.origin_of(pointer).file.to_string();
        assert_eq!(
            [file("/a"), file("/a/b"), file("/a/c"), file("/d/0"), file("/f/h")],
            ["app", "env", "app", "env", "env"]
        );
        let positions = value.positions();
        assert_eq!(positions.nearest_in(&"app".into(), "/a/b"), Some(at("env", 1)));
        assert_eq!(positions.nearest_in(&"app".into(), "/a/c/x"), Some(at("app", 1)));
    }

    #[test]
    fn operations_do_what_rfc_6902_says() {
        let to = |path: &str| path.to_owned();
        let value = |value: Value| traced("patch", value);
        let mut object = traced("app", json!({"a": [1, 2], "b": {"x/y": 1}}));
        for operation in [
            Operation::Add { path: to("/a/-"), value: value(json!(3)) },
            Operation::Add { path: to("/a/0"), value: value(json!(0)) },
            Operation::Replace { path: to("/b/x~1y"), value: value(json!(2)) },
            Operation::Copy { from: to("/b"), path: to("/c") },
            Operation::Move { from: to("/a/1"), path: to("/d") },
            Operation::Test { path: to("/d"), value: value(json!(1)) },
            Operation::Remove { path: to("/b") },
        ] {
            assert_eq!(object.operate(&operation), Ok(()), "{operation:?}");
        }
        assert_eq!(object.value(), json!({"a": [0, 2, 3], "c": {"x/y": 2}, "d": 1}));
        for wrong in [
            Operation::Add { path: to("/a/9"), value: value(json!(3)) },
            Operation::Add { path: to("/no/x"), value: value(json!(3)) },
            Operation::Remove { path: to("/a/01") },
            Operation::Remove { path: to("") },
            Operation::Replace { path: to("/z"), value: value(json!(2)) },
            Operation::Move { from: to("/c"), path: to("/c/d") },
            Operation::Test { path: to("/d"), value: value(json!(9)) },
        ] {
            assert!(object.operate(&wrong).is_err(), "{wrong:?}");
        }
    }
}
