//! Where something was written.

use super::unescape;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A place in a text. Both numbers start at 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// A place in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Origin {
    /// The path from the root of the tree, with `/`.
    pub file: Arc<str>,
    /// The place in that file.
    #[serde(flatten)]
    pub position: Position,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.position.line, self.position.column)
    }
}

/// The position of each node of one document, by JSON pointer.
///
/// A document has as many nodes as it has keys and items, so they stand in one list, parents before children, each with
/// the size of what is below it; a path is found by stepping over siblings. Nodes of an expanded or patched object may
/// stand in several files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    nodes: Vec<Node>,
    /// Files beside the object's own.
    files: Box<[Arc<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// A hash of the key or index under which its parent has it: two siblings with the same only cost a wrong column.
    key: u32,
    /// How many nodes it and what is below it are.
    size: u32,
    line: u32,
    /// The column in the lower bits, enough for any column of a file of 8 MiB; above them 0 for the object's own file, or
    /// one more than the index of another.
    place: u32,
}

/// How many bits of [`Node::place`] the column has.
const COLUMN_BITS: u32 = 24;
const COLUMN_MASK: u32 = (1 << COLUMN_BITS) - 1;

impl Node {
    fn position(self) -> Position {
        Position { line: self.line as usize, column: (self.place & COLUMN_MASK) as usize }
    }

    fn file(self) -> Option<usize> {
        ((self.place >> COLUMN_BITS) as usize).checked_sub(1)
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Positions {
    /// Begins a node under its parent's key or index; what is pushed until [`Positions::end`] is below it.
    pub fn begin(&mut self, key: &str, position: Position) -> usize {
        let place = narrow(position.column).min(COLUMN_MASK);
        self.nodes.push(Node { key: hash(key), size: 1, line: narrow(position.line), place });
        self.nodes.len() - 1
    }

    /// As [`Positions::begin`], for a node that stands in another file than the object does. Beyond 254 other files the last
    /// one is named.
    pub fn begin_in(&mut self, file: &Arc<str>, key: &str, position: Position) -> usize {
        let known = self.files.iter().position(|known| known == file);
        let index = known.unwrap_or_else(|| {
            let mut files = std::mem::take(&mut self.files).into_vec();
            files.push(Arc::clone(file));
            self.files = files.into();
            self.files.len() - 1
        });
        let begun = self.begin(key, position);
        self.nodes[begun].place |= (narrow(index) + 1).min(0xff) << COLUMN_BITS;
        begun
    }

    /// Ends the node that [`Positions::begin`] gave.
    pub fn end(&mut self, node: usize) {
        let size = self.nodes.len() - node;
        if let Some(node) = self.nodes.get_mut(node) {
            node.size = narrow(size);
        }
    }

    /// Gives back memory that only growing needed.
    pub fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
    }

    /// The files beside the object's own in which nodes of it stand.
    pub fn other_files(&self) -> &[Arc<str>] {
        &self.files
    }

    /// The position of a node, or of the nearest parent that is known.
    pub fn nearest(&self, pointer: &str) -> Option<Position> {
        self.nearest_node(pointer).map(Node::position)
    }

    /// As [`Positions::nearest`], with the file of an object that itself stands in `own`.
    pub fn nearest_in(&self, own: &Arc<str>, pointer: &str) -> Option<Origin> {
        Some(self.origin(self.nearest_node(pointer)?, own))
    }

    fn origin(&self, node: Node, own: &Arc<str>) -> Origin {
        let file = node.file().and_then(|index| self.files.get(index)).unwrap_or(own);
        Origin { file: Arc::clone(file), position: node.position() }
    }

    /// The place of a node of an object that itself stands in `own`.
    pub(super) fn place(&self, node: usize, own: &Arc<str>) -> Option<Origin> {
        self.nodes.get(node).map(|node| self.origin(*node, own))
    }

    /// The child under a key; whoever asks for all in their order finds each at once, at the `next` one.
    pub(super) fn child_at(&self, parent: usize, next: &mut usize, key: &str) -> Option<usize> {
        let end = self.nodes.get(parent).map_or(0, |node| parent + node.size as usize);
        let is_next = *next < end && self.nodes[*next].key == hash(key);
        let child = if is_next { *next } else { self.child(parent, key)? };
        *next = child + self.nodes[child].size as usize;
        Some(child)
    }

    fn nearest_node(&self, pointer: &str) -> Option<Node> {
        let mut at = 0;
        for step in pointer.split('/').skip(1) {
            match self.child(at, &unescape(step)) {
                Some(child) => at = child,
                None => break,
            }
        }
        self.nodes.get(at).copied()
    }

    fn child(&self, parent: usize, key: &str) -> Option<usize> {
        let wanted = hash(key);
        self.children(parent).find(|child| self.nodes[*child].key == wanted)
    }

    fn children(&self, parent: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.nodes.get(parent).map_or(0, |node| parent + node.size as usize);
        let first = (parent + 1 < end).then_some(parent + 1);
        std::iter::successors(first, move |child| {
            let next = child + self.nodes[*child].size as usize;
            (next < end).then_some(next)
        })
    }

    /// The positions of each child of the node at a key of the root, with pointers counted from the child.
    pub fn each_below(&self, key: &str) -> Vec<Self> {
        let Some(parent) = self.child(0, key) else { return Vec::new() };
        let part = |child: usize| Self {
            nodes: self.nodes[child..child + self.nodes[child].size as usize].to_vec(),
            files: self.files.clone(),
        };
        self.children(parent).map(part).collect()
    }
}

/// FNV-1a.
fn hash(key: &str) -> u32 {
    key.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_its_node_or_the_nearest_parent() {
        let at = |line| Position { line, column: 1 };
        let mut positions = Positions::default();
        let root = positions.begin("", at(1));
        let items = positions.begin("items", at(2));
        for line in 3..5 {
            let item = positions.begin(&(line - 3).to_string(), at(line));
            let name = positions.begin("a/b", at(line + 10));
            positions.end(name);
            positions.end(item);
        }
        positions.end(items);
        let last = positions.begin("kind", at(9));
        positions.end(last);
        positions.end(root);
        assert_eq!(positions.nearest("/items/1/a~1b"), Some(at(14)));
        assert_eq!(positions.nearest("/items/1/c/d"), Some(at(4)));
        assert_eq!(positions.nearest("/kind"), Some(at(9)));
        assert_eq!(positions.nearest(""), Some(at(1)));
        let below = positions.each_below("items");
        assert_eq!(below.iter().map(|p| p.nearest("/a~1b")).collect::<Vec<_>>(), [Some(at(13)), Some(at(14))]);
        assert_eq!(Positions::default().nearest("/a"), None);
    }

    #[test]
    fn nodes_may_stand_in_other_files() {
        let (own, other): (Arc<str>, Arc<str>) = ("own.yaml".into(), "other.yaml".into());
        let mut positions = Positions::default();
        let root = positions.begin("", Position { line: 1, column: 1 });
        let spec = positions.begin_in(&other, "spec", Position { line: 7, column: 70_000 });
        positions.end(spec);
        positions.end(root);
        let shown = |pointer| positions.nearest_in(&own, pointer).map(|origin| origin.to_string());
        assert_eq!(shown("/spec/image").as_deref(), Some("other.yaml:7:70000"));
        assert_eq!(shown("/metadata").as_deref(), Some("own.yaml:1:1"));
        assert_eq!(positions.other_files(), [other]);
    }
}
