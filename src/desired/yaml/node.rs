//! The nodes of a document while it is composed.

use super::scalar;
use crate::object::{Position, Positions};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::rc::Rc;

/// Up to so many keys a mapping is searched from its beginning.
const FEW: usize = 16;

/// A composed node. What an alias stands for is shared, so that an anchor costs nothing until the document is made.
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) position: Position,
    pub(super) weight: Weight,
}

pub(super) enum Content {
    Scalar(scalar::Read),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
    /// What the alias stands for; all of it stands where the alias does.
    Alias(Rc<Node>),
}

/// An entry of a mapping. Its place is that of its key: there a reader looks for a field.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) position: Position,
    pub(super) node: Rc<Node>,
}

/// What a node expands to.
#[derive(Clone, Copy)]
pub(super) struct Weight {
    /// How many nodes, for the alias limit.
    pub(super) size: usize,
    pub(super) bytes: usize,
    pub(super) height: usize,
}

impl Weight {
    /// Of a node by itself.
    pub(super) const ONE: Self = Self { size: 1, bytes: 8, height: 0 };

    pub(super) fn grow(&mut self, child: Self) {
        self.size += child.size;
        self.bytes += child.bytes;
        self.height = self.height.max(child.height + 1);
    }
}

impl Node {
    pub(super) fn scalar(read: scalar::Read, position: Position) -> Self {
        let bytes = read.value.as_str().map_or(8, str::len);
        Self { content: Content::Scalar(read), position, weight: Weight { bytes, ..Weight::ONE } }
    }

    /// The node that an alias stands for, or the node itself.
    pub(super) fn target(&self) -> &Self {
        match &self.content {
            Content::Alias(node) => node.target(),
            _ => self,
        }
    }

    /// The value, and the places of its nodes; within an alias every place is `alias`.
    pub(super) fn make(&self, key: &str, at: Position, alias: Option<Position>, positions: &mut Positions) -> Value {
        if let Content::Alias(node) = &self.content {
            return node.make(key, at, alias.or(Some(at)), positions);
        }
        let begun = positions.begin(key, alias.unwrap_or(at));
        let value = match &self.content {
            Content::Scalar(read) => read.value.clone(),
            Content::List(items) => {
                let items = items.iter().enumerate();
                Value::Array(
                    items.map(|(n, item)| item.make(&n.to_string(), item.position, alias, positions)).collect(),
                )
            }
            Content::Map(entries) => {
                // Thousands of these are held: none has more room than it needs.
                let mut map = Map::with_capacity(entries.len());
                for Entry { key, position, node } in entries {
                    map.insert(key.clone(), node.make(key, *position, alias, positions));
                }
                Value::Object(map)
            }
            Content::Alias(_) => Value::Null,
        };
        positions.end(begun);
        value
    }
}

/// The entries of a mapping while it is read.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) all: Vec<Entry>,
    /// The place of each key of a large mapping.
    index: Option<HashMap<String, usize>>,
}

impl Entries {
    pub(super) fn place_of(&self, key: &str) -> Option<usize> {
        if self.all.len() <= FEW {
            self.all.iter().position(|entry| entry.key == key)
        } else {
            self.index.as_ref()?.get(key).copied()
        }
    }

    pub(super) fn put(&mut self, entry: Entry) {
        if let Some(at) = self.place_of(&entry.key) {
            self.all[at] = entry;
            return;
        }
        if self.all.len() == FEW {
            let known = self.all.iter().enumerate().map(|(at, known)| (known.key.clone(), at));
            self.index = Some(known.collect());
        }
        if let Some(index) = &mut self.index {
            index.insert(entry.key.clone(), self.all.len());
        }
        self.all.push(entry);
    }
}
