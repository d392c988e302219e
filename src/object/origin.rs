//! Where something was written.

use serde::Serialize;
use std::collections::HashMap;
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
#[derive(Clone, Debug, Default)]
pub struct Positions {
    nodes: HashMap<String, Position>,
}

impl Positions {
    /// Records the position of a node.
    pub fn insert(&mut self, pointer: String, position: Position) {
        self.nodes.insert(pointer, position);
    }

    /// The position of a node, or of the nearest parent that is known.
    pub fn nearest(&self, pointer: &str) -> Option<Position> {
        let mut pointer = pointer;
        loop {
            if let Some(position) = self.nodes.get(pointer) {
                return Some(*position);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// The positions of the nodes below one node, with pointers counted from it.
    pub fn below(&self, prefix: &str) -> Self {
        let nodes = self.nodes.iter().filter_map(|(pointer, position)| {
            let rest = pointer.strip_prefix(prefix)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| (rest.to_owned(), *position))
        });
        Self { nodes: nodes.collect() }
    }
}
