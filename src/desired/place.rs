//! What each object of the files is: its kind is one that is spelt right, and its namespace is where it belongs.
//!
//! A namespaced object without `metadata.namespace` takes that of its source, else that of its tenant when the tenant has exactly
//! one, else it is an error. Without a Config it takes the namespace that kubectl would.

use super::manifest::Found;
use super::spelling::{Defined, Misspelt, misspelt};
use super::{CONFIG_FILE, Desired, Member, ReadError, Source, below, may_define};
use crate::object::{Diagnostic, GroupKind, Object, ObjectRef, Origin, Severity};
use crate::schema::{CRD_GROUP, Scopes, crd_versions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finds misspelt kinds, and gives every object its namespace. `plain` is the namespace without a Config.
///
/// # Errors
/// There is a Config, and not where it is read: none of its rules would hold.
pub(super) fn place(desired: &Desired, plain: &str, found: &mut Found) -> Result<(), ReadError> {
    let rules = desired.rules();
    let definitions: Vec<&Value> =
        found.members.iter().filter(|member| may_define(rules, member)).map(|member| &member.object.value).collect();
    let scopes = Scopes::with_crds(definitions.iter().copied());
    let is_definition =
        |value: &&Value| ObjectRef::of(value).is_some_and(|r| r.is(CRD_GROUP, "CustomResourceDefinition"));
    let kinds = definitions.into_iter().filter(is_definition).filter_map(|crd| Some(crd_versions(crd)?.0)).collect();
    spell(desired, &Defined::new(rules, kinds), found);
    if desired.config.is_none() && !found.configs.is_empty() {
        return Err(stray(&found.configs));
    }
    let mut homes = Homes { desired, plain, taken: Vec::new(), renamed: BTreeMap::new() };
    for app in &mut found.apps {
        homes.settle_app(&mut app.text);
    }
    for member in &mut found.members {
        let Some(diagnostic) = homes.settle(&mut member.object, &scopes) else { continue };
        if diagnostic.severity == Severity::Error {
            found.unread.insert(member.partition.clone());
        }
        found.diagnostics.push(diagnostic);
    }
    let unowned = std::mem::take(&mut found.unowned);
    found.unowned = unowned.into_iter().map(|(object, at)| (homes.of_unowned(object, &at, &scopes), at)).collect();
    let renamed = &homes.renamed;
    for diagnostic in found.diagnostics.iter_mut().filter(|_| !renamed.is_empty()) {
        let (Some(object), Some(origin)) = (&mut diagnostic.object, &diagnostic.origin) else { continue };
        if let Some(new) = renamed.get(&(object.clone(), Arc::clone(&origin.file))) {
            *object = new.clone();
        }
    }
    found.diagnostics.extend(homes.note());
    Ok(())
}

/// Finds the objects whose kind is nearly one that is known.
fn spell(desired: &Desired, defined: &Defined<'_>, found: &mut Found) {
    let mut known: BTreeMap<(GroupKind, String), Option<Misspelt>> = BTreeMap::new();
    for Member { object, partition, .. } in &found.members {
        let kind = object.reference.group_kind();
        let judged = known.entry((kind.clone(), object.version.clone()));
        let Some(misspelt) = judged.or_insert_with(|| misspelt(&kind, &object.version, defined)) else { continue };
        let is_config = misspelt.meant.as_ref().is_some_and(|(_, meant)| meant == "Config");
        if is_config && desired.config.is_none() {
            found.configs.push(object.origin.clone());
        }
        let message = format!("There is no kind `{}` in `{}`.", kind.kind, object.api_version());
        let pointer = match &misspelt.meant {
            Some((_, meant)) if *meant == kind.kind => "/apiVersion",
            _ => "/kind",
        };
        let diagnostic =
            Diagnostic::error("kind-unknown", message).at(object.origin_of(pointer)).about(&object.reference);
        found.diagnostics.push(diagnostic.help(misspelt.help(&kind)));
        // What was meant may stand for any number of objects.
        found.unread.insert(partition.clone());
    }
}

/// There is a Config where none is read.
fn stray(configs: &[Origin]) -> ReadError {
    let finding = |origin: &Origin| {
        let message = "The rules of this Config do not hold: a Config is read only from `spinway.yaml` at the root.";
        let help = match origin.file.rsplit_once('/') {
            Some((folder, CONFIG_FILE)) => format!("Run spinway in the folder `{folder}`."),
            _ => format!("Rename the file to `{CONFIG_FILE}`, and write `kind: Config`."),
        };
        Diagnostic::error("config", message).at(origin.clone()).help(help)
    };
    ReadError::Config(configs.iter().map(finding).collect(), String::new())
}

/// The namespaces of objects that declare none.
struct Homes<'a> {
    desired: &'a Desired,
    plain: &'a str,
    /// Where objects stand that took the namespace of no Config.
    taken: Vec<Origin>,
    /// The objects that are now others, by their file.
    renamed: BTreeMap<(ObjectRef, Arc<str>), ObjectRef>,
}

impl Homes<'_> {
    /// The namespace of an object of a file that declares none; none where nothing says it.
    fn of(&self, file: &str) -> Option<String> {
        let Some(config) = &self.desired.config else { return Some(self.plain.to_owned()) };
        let sources = config.sources.iter().chain(&self.desired.environment.sources);
        let own = sources.filter(|source| source.namespace.is_some() && below(file, &source.path).is_some());
        let longest = own.max_by_key(|source| source.path.trim_end_matches('/').len());
        if let Some(Source { namespace: Some(namespace), .. }) = longest {
            return Some(namespace.clone());
        }
        match config.tenant_of(file)?.namespaces.as_slice() {
            [only] if !only.contains(['*', '?', '[', '{', '!', '\\']) => Some(only.clone()),
            _ => None,
        }
    }

    /// Gives an App its namespace; one that has none is told when it is expanded.
    fn settle_app(&mut self, text: &mut crate::object::Traced) {
        let Some(namespace) = self.of(&text.origin.file).filter(|_| text.at("/metadata/namespace").is_none()) else {
            return;
        };
        let origin = text.origin.clone();
        let Some(metadata) = text.at_mut("/metadata") else { return };
        metadata.set("namespace", crate::object::Traced::whole(&origin, json!(namespace)));
        self.take(origin);
    }

    fn take(&mut self, origin: Origin) {
        if self.desired.config.is_none() {
            self.taken.push(origin);
        }
    }

    /// Holds the namespace of an object against the scope of its kind, and gives it one where it needs one.
    fn settle(&mut self, object: &mut Object, scopes: &Scopes) -> Option<Diagnostic> {
        let namespaced = scopes.namespaced(&object.reference.group_kind())?;
        let written = object.reference.clone();
        let key = (written.clone(), Arc::clone(&object.origin.file));
        match (namespaced, &object.reference.namespace) {
            (true, None) => {
                let Some(namespace) = self.of(&object.origin.file) else { return Some(homeless(object, self.desired)) };
                let metadata = object.value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut())?;
                metadata.insert("namespace".to_owned(), json!(namespace));
                object.reference.namespace = Some(namespace);
                self.take(object.origin.clone());
                self.renamed.insert(key, object.reference.clone());
                None
            }
            (false, Some(_)) => {
                let origin = object.origin_of("/metadata/namespace");
                object.reference.namespace = None;
                if let Some(metadata) = object.value.get_mut("metadata").and_then(|m| m.as_object_mut()) {
                    metadata.shift_remove("namespace");
                }
                self.renamed.insert(key, object.reference.clone());
                let message = format!("{} is cluster-scoped; its namespace means nothing.", object.reference);
                let diagnostic = Diagnostic::warning("object-namespace", message).at(origin).about(&object.reference);
                Some(diagnostic.help("Remove metadata.namespace."))
            }
            _ => None,
        }
    }

    /// What an object is that stands in a file of nobody.
    fn of_unowned(&self, mut object: ObjectRef, at: &Origin, scopes: &Scopes) -> ObjectRef {
        if object.namespace.is_none() && scopes.namespaced(&object.group_kind()) == Some(true) {
            object.namespace = self.of(&at.file);
        }
        object
    }

    /// What is to be said of namespaces that no file and no Config names.
    fn note(&self) -> Option<Diagnostic> {
        let first = self.taken.iter().min()?;
        let (count, namespace) = (self.taken.len(), self.plain);
        let (objects, have) = if count == 1 { ("object", "has") } else { ("objects", "have") };
        let message = format!("{count} {objects} {have} no `metadata.namespace`: namespace `{namespace}` is used.");
        let help = "Set metadata.namespace, or choose the kubeconfig context (offline: the snapshot) whose namespace is meant.";
        Some(Diagnostic::note("namespace-default", message).at(first.clone()).help(help))
    }
}

fn homeless(object: &Object, desired: &Desired) -> Diagnostic {
    let tenant = desired.rules().tenant_of(&object.origin.file);
    let only = tenant.map_or_else(String::new, |tenant| {
        format!(
            " Tenant `{}` has {} entries in `namespaces`; with exactly one name it would be used.",
            tenant.name,
            tenant.namespaces.len()
        )
    });
    let message = format!("{} has no `metadata.namespace`.", object.reference);
    let help = format!(
        "Set `metadata.namespace`, or give its source one in spinway.yaml: `sources: [{{path: PATH, namespace: NAME}}]`.{only}"
    );
    let diagnostic = Diagnostic::error("object-namespace", message).at(object.origin_of("/metadata"));
    diagnostic.about(&object.reference).help(help)
}
