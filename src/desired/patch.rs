//! Patches: a change of Apps, or of objects after they were expanded (design §2).

use super::{Amount, Config, Pattern, Selector, Shares};
use crate::object::{Diagnostic, Node, ObjectRef, Operation, Origin, Traced, did_you_mean};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest object that patches may make, in bytes: no API server takes a larger request (`MaxRequestBodyBytes`).
const MAX_OBJECT_BYTES: usize = 3 << 20;

/// The most operations of one patch: each may move all items of a list.
const MAX_OPERATIONS: usize = 1_000;

/// `spec` of a Patch; an App has such ones for its own objects.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// What is patched; an absent field matches everything. Something must match.
    pub target: Selector,
    /// A merge patch (RFC 7386): maps are merged, null removes, all else is replaced.
    #[serde(default)]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub merge: Option<Value>,
    /// A JSON patch (RFC 6902), instead of merge.
    #[serde(default)]
    pub json: Option<Vec<Operation<Value>>>,
}

/// A patch that can be done.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    /// What it is about.
    pub(super) target: Selector,
    /// Where it stands.
    pub(super) origin: Origin,
    /// How many it matched.
    pub(super) matched: usize,
    /// The partition of its file.
    pub(super) partition: String,
    /// Whether it matched what is not of its tenant.
    foreign: bool,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Merge(Traced),
    Json(Vec<(Operation<Traced>, Origin)>),
}

/// How many bytes an object may still grow by.
struct Room(usize);

impl Room {
    fn of(object: &Traced) -> Self {
        Self(MAX_OBJECT_BYTES.saturating_sub(object.bytes(MAX_OBJECT_BYTES)))
    }

    /// Whether an object may have a value added to it.
    fn takes(&mut self, added: &Traced, object: &Traced) -> bool {
        let bytes = added.bytes(MAX_OBJECT_BYTES);
        if bytes > self.0 {
            // What was replaced or removed has made room, too.
            *self = Self::of(object);
        }
        let takes = bytes <= self.0;
        self.0 = self.0.saturating_sub(bytes);
        takes
    }
}

fn too_large(reference: &ObjectRef) -> String {
    format!(
        "The patch makes {reference} larger than {} MiB, the request limit of the API server.",
        MAX_OBJECT_BYTES >> 20
    )
}

impl Change {
    /// How many bytes it may add to an object, apart from what it copies there.
    fn bytes(&self) -> usize {
        match self {
            Self::Merge(merge) => merge.bytes(MAX_OBJECT_BYTES),
            Self::Json(operations) => {
                let values = operations.iter().map(|(operation, _)| match operation {
                    Operation::Add { value, .. } | Operation::Replace { value, .. } => value.bytes(MAX_OBJECT_BYTES),
                    _ => 0,
                });
                values.sum()
            }
        }
    }
}

impl Patch {
    /// Reads a patch from the text that holds it; `at` leads to its spec there.
    ///
    /// # Errors
    /// It has neither or both of `merge` and `json`, or a path is no JSON pointer.
    pub(super) fn read(spec: Spec, text: &Traced, at: &str, partition: &str) -> Result<Self, Box<Diagnostic>> {
        let place = |below: &str| text.origin_of(&format!("{at}{below}")).clone();
        let origin = place("");
        let wrong = |origin: Origin, message: String| Err(Box::new(Diagnostic::error("patch", message).at(origin)));
        let change = match (spec.merge, spec.json) {
            (Some(_), None) => match text.at(&format!("{at}/merge")) {
                Some(merge) if matches!(merge.node, Node::Map(_)) => Change::Merge(merge.clone()),
                _ => return wrong(place("/merge"), "`merge` is no map.".to_owned()),
            },
            (None, Some(operations)) if operations.len() > MAX_OPERATIONS => {
                return wrong(place("/json"), format!("A patch has at most {MAX_OPERATIONS} operations."));
            }
            (None, Some(operations)) => {
                let mut read = Vec::new();
                for (index, operation) in operations.into_iter().enumerate() {
                    let here = place(&format!("/json/{index}"));
                    let value = || text.at(&format!("{at}/json/{index}/value")).cloned();
                    let whole = |written: Value| value().unwrap_or_else(|| Traced::whole(&here, written));
                    let operation = operation.map(whole);
                    if let Some(pointer) = operation.pointers().into_iter().find(|pointer| !pointer.starts_with('/')) {
                        let message = format!("`{pointer}` is no path: it is a JSON pointer, `/spec/image`.");
                        return wrong(place(&format!("/json/{index}/path")), message);
                    }
                    read.push((operation, here));
                }
                Change::Json(read)
            }
            _ => return wrong(origin, "A patch has one of `merge` and `json`.".to_owned()),
        };
        Ok(Self { target: spec.target, origin, matched: 0, partition: partition.to_owned(), foreign: false, change })
    }

    /// Whether it is about Apps, which are patched before they are expanded.
    pub(super) fn is_of_apps(&self) -> bool {
        self.target.kind.as_deref() == Some("App")
    }

    /// Whether it may change what a file of this tenant holds: the platform's patches change everything, a tenant's its own.
    /// Something else that it matches is remembered.
    pub(super) fn reaches(&mut self, config: &Config, file: &str) -> bool {
        let tenant = |file: &str| config.tenant_of(file).map(|tenant| tenant.name.as_str());
        let own = tenant(&self.origin.file);
        let reaches = own.is_none() || own == tenant(file);
        self.foreign |= !reaches;
        reaches
    }

    /// Changes an object that it matches.
    ///
    /// # Errors
    /// An operation cannot be done, or the object would become another one; where and why.
    pub(super) fn apply(
        &mut self,
        reference: &ObjectRef,
        object: &mut Traced,
        shares: &Shares,
    ) -> Result<(), Box<Diagnostic>> {
        self.matched += 1;
        if !shares.take(Some(&self.partition), Amount::Growth, self.change.bytes()) {
            // All of the tenant is left out then; it is told once.
            return Ok(());
        }
        let wrong = |origin: &Origin, message: String| {
            Err(Box::new(Diagnostic::error("patch", message).at(origin.clone()).about(reference)))
        };
        let mut patched = object.clone();
        let mut room = Room::of(&patched);
        match &self.change {
            Change::Merge(merge) => {
                if !room.takes(merge, &patched) {
                    return wrong(&self.origin, too_large(reference));
                }
                patched.merge(merge.clone());
            }
            Change::Json(operations) => {
                for (operation, origin) in operations {
                    let added = match operation {
                        Operation::Add { value, .. } | Operation::Replace { value, .. } => Some(value),
                        Operation::Copy { from, .. } => patched.at(from),
                        _ => None,
                    };
                    if added.is_some_and(|added| !room.takes(added, &patched)) {
                        return wrong(origin, too_large(reference));
                    }
                    if let Err(why) = patched.operate(operation) {
                        return wrong(origin, format!("{reference} cannot be patched: {why}."));
                    }
                }
            }
        }
        let identity = |object: &Traced| {
            ["/apiVersion", "/kind", "/metadata/namespace", "/metadata/name"]
                .map(|pointer| object.at(pointer).map(Traced::value))
        };
        if identity(&patched) != identity(object) {
            return wrong(
                &self.origin,
                format!(
                    "{reference} would become another object: a patch leaves apiVersion, kind, name and namespace."
                ),
            );
        }
        *object = patched;
        Ok(())
    }

    /// What is to be said when it matched nothing, or what it may not change; `there` are the objects that it could be about.
    pub(super) fn unmatched<'a>(&self, there: impl Iterator<Item = &'a ObjectRef> + Clone) -> Option<Diagnostic> {
        if self.foreign {
            let message = "The patch matches what is not of its tenant, and leaves that as it is.";
            let help =
                "Narrow its target (`namespace`, `name`), or have the platform team write it in a path of its own.";
            return Some(Diagnostic::error("patch-foreign", message).at(self.origin.clone()).help(help));
        }
        (self.matched == 0).then(|| {
            let meant = self.meant(there).map_or_else(String::new, |meant| format!("{meant} "));
            Diagnostic::error("patch-unmatched", "The target of the patch matches no object.")
                .at(self.origin.clone())
                .help(format!("{meant}Correct the target, or remove the patch."))
        })
    }

    /// What its target may have meant.
    fn meant<'a>(&self, there: impl Iterator<Item = &'a ObjectRef> + Clone) -> Option<String> {
        let Selector { group, kind, namespace, name } = &self.target;
        let kinds: BTreeSet<&str> = there.clone().map(|object| object.kind.as_str()).chain(["App"]).collect();
        if let Some(kind) = kind.as_deref().filter(|kind| !kinds.contains(kind)) {
            return did_you_mean(kind, kinds);
        }
        let of_kind = there.filter(|object| kind.as_ref().is_none_or(|kind| *kind == object.kind)).collect::<Vec<_>>();
        let each = |field: fn(&'a ObjectRef) -> &'a str| of_kind.iter().map(move |object| field(object)).collect();
        let fields: [(Option<&str>, BTreeSet<&str>); 3] = [
            (group.as_deref(), each(|object| &object.group)),
            (namespace.as_ref().map(Pattern::as_str), each(|object| object.namespace())),
            (name.as_ref().map(Pattern::as_str), each(|object| &object.name)),
        ];
        let unknown = fields.into_iter().filter_map(|(wanted, known)| Some((wanted?, known)));
        unknown
            .filter(|(wanted, known)| !known.contains(wanted))
            .find_map(|(wanted, known)| did_you_mean(wanted, known))
    }
}
