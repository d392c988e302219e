//! Sets of fields in the form of `managedFields` (`fieldsV1`).

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// A field of a map, by its name; `f:` in `fieldsV1`.
    Field(String),
    /// An item of a list, by its position; `i:`.
    Index(usize),
    /// An item of a list whose items are told apart by fields, by the JSON of these; `k:`.
    Key(String),
    /// An item of a set, by its JSON; `v:`.
    Value(String),
}

impl Element {
    /// Reads an element as `fieldsV1` spells it; none for what it does not define.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_at_checked(2)?;
        match prefix {
            "f:" => Some(Self::Field(rest.to_owned())),
            "k:" => Some(Self::Key(rest.to_owned())),
            "v:" => Some(Self::Value(rest.to_owned())),
            "i:" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// As `fieldsV1` spells it.
    pub fn spelt(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
        }
    }

    /// The name, if it is a field.
    pub fn name(&self) -> Option<&str> {
        if let Self::Field(name) = self { Some(name) } else { None }
    }

    /// Whether it is that field.
    pub fn is(&self, name: &str) -> bool {
        self.name() == Some(name)
    }

    /// The fields with their values by which an item is told apart; empty for other elements.
    pub fn keys(&self) -> Map<String, Value> {
        if let Self::Key(keys) = self { serde_json::from_str(keys).unwrap_or_default() } else { Map::new() }
    }
}

/// A path into an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(pub Vec<Element>);

impl FieldPath {
    /// A path of plain field names.
    pub fn of(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Element::Field((*name).to_owned())).collect())
    }

    /// A path as `fieldsV1` spells its elements.
    #[cfg(test)]
    pub fn spelt(elements: &[&str]) -> Self {
        Self(elements.iter().filter_map(|element| Element::parse(element)).collect())
    }

    /// The path one step down.
    #[must_use]
    pub fn join(&self, element: Element) -> Self {
        let mut elements = self.0.clone();
        elements.push(element);
        Self(elements)
    }

    /// The path of a field one step down.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.join(Element::Field(name.to_owned()))
    }

    /// The path of a list's item one step down.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.join(Element::Index(index))
    }

    /// Whether it ends with that field.
    pub fn ends_with(&self, name: &str) -> bool {
        self.0.last().is_some_and(|last| last.is(name))
    }

    /// Whether it is the other path or lies below it.
    pub fn is_below(&self, parent: &Self) -> bool {
        self.0.starts_with(&parent.0)
    }

    /// Whether it fits a pattern of plain names with dots, in which `[]` stands for any item; a path below fits too.
    pub fn fits(&self, pattern: &str) -> bool {
        let mut elements = self.0.iter();
        for name in pattern.split('.') {
            let (name, items) = name.strip_suffix("[]").map_or((name, false), |n| (n, true));
            if !elements.next().is_some_and(|element| element.is(name)) {
                return false;
            }
            if items && elements.next().is_some_and(|element| element.name().is_some()) {
                return false;
            }
        }
        true
    }
}

/// `spec.listeners[name=http].port`, with names that hold a dot in brackets.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, element) in self.0.iter().enumerate() {
            match element {
                Element::Field(name) if name.contains(['.', '/', '[']) => write!(f, "[{name}]")?,
                Element::Field(name) => write!(f, "{}{name}", if index == 0 { "" } else { "." })?,
                Element::Key(_) => {
                    let keys = element.keys();
                    let texts: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
                    write!(f, "[{}]", texts.join(","))?;
                }
                Element::Value(value) => {
                    let value = serde_json::from_str(value).unwrap_or(Value::Null);
                    write!(f, "[={}]", plain(&value))?;
                }
                Element::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    member: bool,
    pub(super) children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// Reads `fieldsV1`.
    pub fn parse(fields: &Value) -> Self {
        let mut set = Self::default();
        let Some(map) = fields.as_object() else { return set };
        set.member = map.is_empty() || map.contains_key(".");
        for (element, below) in map {
            let below = Self::parse(below);
            // What is not a set of fields names no path.
            if let (Some(element), true) = (Element::parse(element), below.member || !below.children.is_empty()) {
                set.children.insert(element, below);
            }
        }
        set
    }

    /// Writes `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, below) in &self.children {
            map.insert(element.spelt(), below.to_json());
        }
        Value::Object(map)
    }

    /// Whether it has no path.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Adds a path.
    pub fn insert(&mut self, path: &FieldPath) {
        let mut node = self;
        for element in &path.0 {
            node = node.children.entry(element.clone()).or_default();
        }
        node.member = true;
    }

    /// What it has at and below a path.
    pub fn node(&self, path: &FieldPath) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, element| node.children.get(element))
    }

    /// Whether it has a path, or one below it.
    pub fn reaches(&self, path: &FieldPath) -> bool {
        self.node(path).is_some_and(|node| node.member || !node.children.is_empty())
    }

    /// Whether it has a path.
    pub fn contains(&self, path: &FieldPath) -> bool {
        self.node(path).is_some_and(|node| node.member)
    }

    /// All its paths.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut found = Vec::new();
        self.collect(&FieldPath::default(), &mut found);
        found
    }

    fn collect(&self, path: &FieldPath, found: &mut Vec<FieldPath>) {
        for (element, below) in &self.children {
            let path = path.join(element.clone());
            if below.member {
                found.push(path.clone());
            }
            below.collect(&path, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_v1_survives_a_round_trip() {
        let text = json!({"f:spec": {"f:listeners": {"k:{\"name\":\"http\"}": {".": {}, "f:name": {}, "f:port": {}}}, "f:x": {}}});
        let set = FieldSet::parse(&text);
        assert_eq!(set.to_json(), text);
        let paths: Vec<String> = set.paths().iter().map(ToString::to_string).collect();
        assert_eq!(
            paths,
            ["spec.listeners[name=http]", "spec.listeners[name=http].name", "spec.listeners[name=http].port", "spec.x"]
        );
    }

    #[test]
    fn what_is_not_a_set_names_no_path() {
        let set = FieldSet::parse(&json!({"f:spec": {"f:x": 1}, "f:y": {}, "f:z": {".": {}, "f:a": null}}));
        assert_eq!(set.to_json(), json!({"f:y": {}, "f:z": {}}));
        assert_eq!(FieldSet::parse(&set.to_json()).paths(), set.paths());
    }

    #[test]
    fn patterns_stand_for_items_and_what_is_below() {
        let path = FieldPath::spelt(&["f:spec", "f:ports", "k:{\"port\":80}", "f:name"]);
        assert!(path.fits("spec.ports[].name") && path.fits("spec.ports") && path.fits("spec"));
        assert!(!path.fits("spec.ports.name") && !path.fits("spec.port"));
    }

    #[test]
    fn a_set_reaches_what_it_has_a_part_of() {
        let set = FieldSet::parse(&json!({"f:spec": {"f:names": {"f:kind": {}}, "f:whole": {}}}));
        for (path, contains, reaches) in [
            (&["spec", "names"][..], false, true),
            (&["spec", "names", "kind"], true, true),
            (&["spec", "whole"], true, true),
            (&["spec", "other"], false, false),
        ] {
            let path = FieldPath::of(path);
            assert_eq!((set.contains(&path), set.reaches(&path)), (contains, reaches), "{path}");
        }
    }
}
