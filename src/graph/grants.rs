//! The ReferenceGrants of a repository, by what they allow.

use crate::desired::Desired;
use crate::kinds::{self, GATEWAY};
use crate::object::ObjectRef;
use serde_json::Value;
use std::collections::HashMap;

/// So many grants are linked to one reference: each of them suffices.
const LINKED: usize = 4;

/// From which kind and namespace, to which kind and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way {
    from: (String, String, String),
    to: (String, String, String),
}

impl Way {
    fn between(from: &ObjectRef, to: &ObjectRef) -> Self {
        let part = |object: &ObjectRef| (object.group.clone(), object.kind.clone(), object.namespace().to_owned());
        Self { from: part(from), to: part(to) }
    }
}

/// The ReferenceGrants of a repository.
#[derive(Debug, Default)]
pub struct Grants<'a>(HashMap<Way, HashMap<String, Vec<&'a ObjectRef>>>);

impl<'a> Grants<'a> {
    /// Those of a repository.
    pub fn of(desired: &'a Desired) -> Self {
        let mut made = Self::default();
        for (grant, member) in desired.of_kind(GATEWAY, "ReferenceGrant", None) {
            made.add(grant, &member.object.value);
        }
        made
    }

    fn add(&mut self, grant: &'a ObjectRef, value: &Value) {
        let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tos = kinds::each(value, "spec.to[]");
        for (_, from) in kinds::each(value, "spec.from[]") {
            for (_, to) in &tos {
                let way = Way {
                    from: (text(from, "group"), text(from, "kind"), text(from, "namespace")),
                    to: (text(to, "group"), text(to, "kind"), grant.namespace().to_owned()),
                };
                self.0.entry(way).or_default().entry(text(to, "name")).or_default().push(grant);
            }
        }
    }

    /// A few of the grants that allow a reference (Gateway API, ReferenceGrant): without a name one allows all objects.
    pub fn between(&self, from: &ObjectRef, to: &ObjectRef) -> Vec<&'a ObjectRef> {
        let Some(names) = self.0.get(&Way::between(from, to)) else { return Vec::new() };
        let of = |name: &str| names.get(name).into_iter().flatten().copied();
        of(&to.name).chain(of("")).take(LINKED).collect()
    }
}
