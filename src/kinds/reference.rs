//! References between objects, as data: which field, to what.

use super::{GATEWAY, SPIN};
use crate::object::{ObjectRef, split_api_version, unescape};
use serde_json::Value;

/// One reference that a field makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The object that is meant.
    pub to: ObjectRef,
    /// The part of it that is meant.
    pub section: Option<Section>,
    /// The JSON pointer of the field.
    pub pointer: String,
    /// Whether nothing is wrong when it is missing (`optional: true`, names with a meaning of their own).
    pub optional: bool,
    /// The keys of the ConfigMap or Secret that are read.
    pub keys: Vec<Key>,
    /// Whether it is a wish for an order alone (`depends-on`): no field of the object needs it.
    pub is_wish: bool,
}

/// A key of a ConfigMap or Secret that a field reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// The JSON pointer of the field that names it.
    pub pointer: String,
}

/// A part of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// A listener of a Gateway or ListenerSet.
    Listener(String),
    /// A port of a Service.
    Port(i64),
}

/// How the value of a field names an object.
pub(super) enum To {
    /// The value is the name of an object of this kind in the same namespace.
    Name(&'static str, &'static str),
    /// As [`To::Name`], of an object that has a certain key.
    Holding(&'static str, &'static str, &'static str),
    /// The value is the name of a cluster-scoped object of this kind.
    ClusterName(&'static str, &'static str),
    /// The value has `name` and may have `group`, `kind` and `namespace`; these are their defaults.
    Object(&'static str, &'static str),
    /// As [`To::Object`], a Gateway unless it says otherwise. Another route is not needed: it delegates to this one, and needs it
    /// as its backend.
    Parent,
    /// As [`To::Object`], but always in the same namespace.
    Local(&'static str, &'static str),
    /// The value has `apiVersion`, `kind` and `name`; these are the defaults of the first two.
    Typed(&'static str, &'static str),
    /// The value has `apiGroup`, `kind` and `name`; what the kind decides is the scope.
    Role,
    /// The key of the value is the label by which a SpinApp's pods are found: `core.spinkube.dev/app.NAME.status`
    /// (SpinKube, Service of a SpinApp).
    PodsOfSpinApp,
    /// The value is a subject of a role binding: only service accounts are objects, also by their names as users.
    Subject,
}

/// A reference of a kind: where, and to what.
pub(super) struct Rule {
    /// The path, with `[]` for every item and `{}` for every value of a map.
    pub(super) at: &'static str,
    pub(super) to: To,
}

impl Rule {
    /// Adds what the rule finds in an object.
    pub(super) fn apply(&self, from: &ObjectRef, value: &Value, found: &mut Vec<Reference>) {
        for (pointer, field) in each(value, self.at) {
            let text = |name: &str| field.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
            let named = field.as_str().filter(|name| !name.is_empty());
            let here = from.namespace();
            let object = |(group, kind): (&str, &str), local: bool| {
                let name = text("name")?;
                let namespace = text("namespace").filter(|_| !local).unwrap_or(here);
                // An explicit empty group is the core group.
                let group = field.get("group").and_then(Value::as_str).unwrap_or(group);
                let kind = text("kind").unwrap_or(kind);
                // ClusterIssuer, ClusterSecretStore, ClusterTriggerAuthentication and the like are of the whole cluster.
                Some(ObjectRef::new(group, kind, if kind.starts_with("Cluster") { "" } else { namespace }, name))
            };
            let to = match self.to {
                To::Name(group, kind) | To::Holding(group, kind, _) => {
                    named.map(|name| ObjectRef::new(group, kind, here, name))
                }
                To::ClusterName(group, kind) => named.map(|name| ObjectRef::new(group, kind, "", name)),
                To::Object(group, kind) => object((group, kind), false),
                To::Local(group, kind) => object((group, kind), true),
                To::Parent => object((GATEWAY, "Gateway"), false)
                    .filter(|parent| parent.group != GATEWAY || !parent.kind.ends_with("Route")),
                To::Typed(api_version, kind) => text("name").map(|name| {
                    let (group, _) = split_api_version(text("apiVersion").unwrap_or(api_version));
                    ObjectRef::new(group, text("kind").unwrap_or(kind), here, name)
                }),
                To::Role => text("name").map(|name| {
                    let kind = text("kind").unwrap_or("Role");
                    ObjectRef::new(
                        "rbac.authorization.k8s.io",
                        kind,
                        if kind == "ClusterRole" { "" } else { here },
                        name,
                    )
                }),
                To::PodsOfSpinApp => pointer
                    .rsplit_once('/')
                    .map(|(_, key)| unescape(key))
                    .and_then(|key| {
                        let name = key.strip_prefix("core.spinkube.dev/app.")?.strip_suffix(".status")?;
                        Some(ObjectRef::new(SPIN, "SpinApp", here, name))
                    })
                    .filter(|to| to.name != from.name),
                To::Subject => text("name").and_then(|name| {
                    let (namespace, name) = match text("kind")? {
                        "ServiceAccount" => (text("namespace").unwrap_or(here), name),
                        "User" => name.strip_prefix("system:serviceaccount:")?.split_once(':')?,
                        _ => return None,
                    };
                    Some(ObjectRef::new("", "ServiceAccount", namespace, name))
                }),
            };
            let Some(to) = to else { continue };
            let port = field.get("port").and_then(Value::as_i64).filter(|_| to.is("", "Service"));
            let listener = text("sectionName").filter(|_| to.kind == "Gateway" || to.kind == "ListenerSet");
            let section = listener.map(|name| Section::Listener(name.to_owned())).or_else(|| port.map(Section::Port));
            let parent = pointer.rsplit_once('/').and_then(|(parent, _)| value.pointer(parent));
            let optional = field.get("optional").or_else(|| parent?.get("optional")) == Some(&Value::Bool(true));
            let keys = self.keys(&to, field, &pointer, parent);
            found.push(Reference { to, section, pointer, optional, keys, is_wish: false });
        }
    }

    /// The keys that are read of what a field names: one beside the name, or those of the items of a volume.
    fn keys(&self, to: &ObjectRef, field: &Value, pointer: &str, parent: Option<&Value>) -> Vec<Key> {
        if !to.is("", "ConfigMap") && !to.is("", "Secret") {
            return Vec::new();
        }
        // The name of a Secret stands beside its items in a volume.
        let (holder, at) = match (field, pointer.rsplit_once('/')) {
            (Value::Object(_), _) => (Some(field), pointer),
            (_, Some((above, "secretName"))) => (parent, above),
            _ => (None, pointer),
        };
        let Some(holder) = holder else {
            let To::Holding(_, _, key) = self.to else { return Vec::new() };
            return vec![Key { name: key.to_owned(), pointer: pointer.to_owned() }];
        };
        let named = each(holder, "key").into_iter().chain(each(holder, "items[].key"));
        let keys = named.filter_map(|(below, key)| Some((format!("{at}{below}"), key.as_str()?)));
        keys.map(|(pointer, name)| Key { name: name.to_owned(), pointer }).collect()
    }
}

/// The annotation by which any object names others that come first: `GROUP/KIND/NAME` or
/// `GROUP/namespaces/NAMESPACE/KIND/NAME`, by comma (cli-utils).
pub(super) fn depends_on(value: &Value, found: &mut Vec<Reference>) {
    let text = crate::object::annotation(value, "config.kubernetes.io/depends-on").unwrap_or_default();
    for entry in text.split(',') {
        let parts: Vec<&str> = entry.trim().split('/').collect();
        let to = match parts.as_slice() {
            [group, kind, name] => ObjectRef::new(group, kind, "", name),
            [group, "namespaces", namespace, kind, name] => ObjectRef::new(group, kind, namespace, name),
            _ => continue,
        };
        let pointer = "/metadata/annotations/config.kubernetes.io~1depends-on".to_owned();
        found.push(Reference { to, section: None, pointer, optional: false, keys: Vec::new(), is_wish: true });
    }
}

/// Every value at a path with its JSON pointer; `[]` stands for every item, `{}` for every value of a map.
pub fn each<'a>(value: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), value)];
    for step in path.split('.') {
        let name = step.trim_end_matches("[]").trim_end_matches("{}");
        let mut next = Vec::new();
        for (pointer, node) in found {
            let Some(child) = (if name.is_empty() { Some(node) } else { node.get(name) }) else { continue };
            let pointer = if name.is_empty() { pointer } else { format!("{pointer}/{name}") };
            match child {
                Value::Array(items) if step.ends_with("[]") => {
                    next.extend(items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)));
                }
                Value::Object(map) if step.ends_with("{}") => {
                    next.extend(
                        map.iter().map(|(key, item)| (format!("{pointer}/{}", crate::object::escape(key)), item)),
                    );
                }
                _ if step.ends_with("[]") || step.ends_with("{}") => {}
                child => next.push((pointer, child)),
            }
        }
        found = next;
    }
    found
}
