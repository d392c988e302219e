//! One file of the repository: its documents, as objects.

use super::{
    Amount, Approval, Desired, Entry, FileOwner, GROUP, Member, Shares, Tree, app, below, canonical::canonical, config,
    patch, values, yaml,
};
use crate::kinds;
use crate::object::{Diagnostic, Object, ObjectRef, Origin, Position, Positions, Severity, Traced, split_api_version};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the files held so far.
#[derive(Default)]
pub(super) struct Found {
    pub(super) members: Vec<Member>,
    pub(super) apps: Vec<app::Source>,
    pub(super) patches: Vec<patch::Patch>,
    pub(super) approvals: Vec<Approval>,
    pub(super) asides: Vec<yaml::Aside>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) unread: BTreeSet<String>,
    /// What stands in files that nobody owns.
    pub(super) unowned: BTreeMap<ObjectRef, Origin>,
    /// The owners that exceed their limits: a tenant's name, or empty for files without an owner. None of their files counts.
    pub(super) exceeded: BTreeSet<String>,
}

impl Found {
    /// Leaves out all that a tenant has, which is not wholly known.
    pub(super) fn leave_out(&mut self, tenant: &str) {
        self.members.retain(|member| member.partition != tenant);
        self.apps.retain(|app| app.partition != tenant);
        self.patches.retain(|patch| patch.partition != tenant);
        self.unread.insert(tenant.to_owned());
    }

    /// Adds what was found in files that come later.
    pub(super) fn join(&mut self, later: Self) {
        self.members.extend(later.members);
        self.apps.extend(later.apps);
        self.patches.extend(later.patches);
        self.approvals.extend(later.approvals);
        self.asides.extend(later.asides);
        self.diagnostics.extend(later.diagnostics);
        self.unread.extend(later.unread);
        self.unowned.extend(later.unowned);
    }
}

struct File<'a> {
    tree: &'a Tree,
    path: Arc<str>,
    /// The partition of the file, and so of all its objects.
    partition: String,
    desired: &'a Desired,
    shares: &'a Shares,
    found: &'a mut Found,
}

/// Reads one file into `found`.
pub(super) fn read_file(tree: &Tree, path: &str, desired: &Desired, shares: &Shares, found: &mut Found) {
    let mut file = File { tree, path: Arc::from(path), partition: desired.partition_of(path), desired, shares, found };
    if desired.rules().owner_of(path) == FileOwner::Nobody {
        return file.unowned();
    }
    match tree.entries.get(path) {
        Some(Entry::Symlink) => file.unread(
            "file-symlink",
            "A symbolic link: links are never followed.",
            "Put the file itself here, or list the path in .spinwayignore.",
        ),
        Some(Entry::Submodule) => file.unread(
            "file-submodule",
            "A submodule: nothing below it is read.",
            "Put the files themselves here, or list the path in .spinwayignore.",
        ),
        Some(Entry::TooLarge(bytes)) => {
            let message = format!("{bytes} bytes: a manifest may have at most {}.", super::MAX_FILE_BYTES);
            file.unread("file-size", &message, "Split it, or list it in .spinwayignore.");
        }
        Some(Entry::Unreadable(reason)) => file.unread(
            "file-unreadable",
            &format!("Cannot be read: {reason}."),
            "Mend it, or list it in .spinwayignore.",
        ),
        Some(Entry::File(_)) => match tree.text(path) {
            Some(text) => file.read(text),
            None => file.unread("file-encoding", "Not UTF-8.", "Save it as UTF-8."),
        },
        // Files of an owner beyond its limits are left out before. Under other rules, such as those of a base, it may have another
        // owner, of whom it is then not known what it wants.
        Some(Entry::Beyond) => file.unread(
            "file-unreadable",
            "Not read: under the rules of the Config beside it, the file belongs to a tenant that exceeds its limits.",
            "Remove files of that tenant.",
        ),
        None => {}
    }
}

impl File<'_> {
    /// Takes something of the owner's share.
    fn takes(&self, amount: Amount, count: usize) -> bool {
        self.shares.take(self.shares.owner(&self.path), amount, count)
    }

    fn origin(&self, position: Position) -> Origin {
        Origin { file: Arc::clone(&self.path), position }
    }

    /// Whether the file is below `templates/` of a chart.
    fn is_chart_template(&self) -> bool {
        let charts = self.path.match_indices("templates/").map(|(at, _)| format!("{}Chart.yaml", &self.path[..at]));
        charts.into_iter().any(|chart| self.tree.entries.contains_key(&chart))
    }

    /// A file without an owner: no rules hold for it, so nothing of it is applied. What it is about is noted, since whoever has that
    /// live may have moved it here by mistake.
    fn unowned(&mut self) {
        let origin = self.origin(Position { line: 1, column: 1 });
        let message = "This file belongs neither to a tenant nor to the platform: nothing in it is applied, and no object it declares is deleted.";
        let help = "Move it into a folder of its tenant, or add its folder to `platform.paths` or to the tenant's `paths` in spinway.yaml.";
        self.found.diagnostics.push(Diagnostic::error("file-unowned", message).at(origin).help(help));
        let documents = self.tree.text(&self.path).map(|text| yaml::read(&self.path, text).0).unwrap_or_default();
        for document in documents {
            let start = self.origin(document.start);
            let items = document.value.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for object in items.iter().chain([&document.value]).filter_map(ObjectRef::of) {
                self.found.unowned.insert(object, start.clone());
            }
        }
    }

    /// A finding because of which the file's partition is not wholly known.
    fn unread(&mut self, id: &'static str, message: &str, help: &str) {
        let origin = self.origin(Position { line: 1, column: 1 });
        self.found.diagnostics.push(Diagnostic::error(id, message).at(origin).help(help));
        self.found.unread.extend(self.desired.partitions_at(&self.path));
    }

    /// What is not Kubernetes at all is an error inside declared sources and a warning otherwise.
    fn foreign(&mut self, id: &'static str, position: Position, message: &str, help: &str) {
        let severity = if self.desired.config.is_some() { Severity::Error } else { Severity::Warning };
        let origin = self.origin(position);
        self.found.diagnostics.push(Diagnostic::new(severity, id, message).at(origin).help(help));
        if severity == Severity::Error {
            self.found.unread.insert(self.partition.clone());
        }
    }

    fn read(&mut self, text: &str) {
        let start = Position { line: 1, column: 1 };
        let name = self.path.rsplit('/').next().unwrap_or_default();
        if matches!(name, "kustomization.yaml" | "kustomization.yml") {
            return self.foreign(
                "file-kustomization",
                start,
                "A kustomization: spinway reads plain manifests.",
                "Render it first (kustomize build) and commit the result, or list it in .spinwayignore.",
            );
        }
        if name == "Chart.yaml" || self.is_chart_template() {
            return self.foreign(
                "file-helm",
                start,
                "Part of a Helm chart: spinway reads plain manifests.",
                "Render it first (helm template) and commit the result, or list it in .spinwayignore.",
            );
        }
        let (documents, diagnostics) = yaml::read(&self.path, text);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            self.found.unread.insert(self.partition.clone());
        }
        self.found.diagnostics.extend(diagnostics);
        let values = documents.iter().map(|document| document.values).sum();
        if !self.takes(Amount::Documents, documents.len()) || !self.takes(Amount::Values, values) {
            return;
        }
        for document in documents {
            let before = self.found.members.len();
            self.found.asides.extend(document.asides);
            self.document(document.value, document.positions, document.start);
            // Of a document that is ambiguous in itself nothing is applied.
            if document.flawed {
                for member in &self.found.members[before..] {
                    let object = &member.object;
                    let diagnostic = Diagnostic::error(
                        "yaml-flawed",
                        format!("{} is not applied: its document has errors.", object.reference),
                    );
                    self.found.diagnostics.push(diagnostic.at(object.origin.clone()).about(&object.reference));
                }
            }
        }
    }

    fn document(&mut self, value: Value, positions: Positions, start: Position) {
        let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return self.foreign(
                "file-no-object",
                start,
                "No Kubernetes object: apiVersion and kind are missing.",
                "Move it out of the sources, or list the file in .spinwayignore.",
            );
        };
        if split_api_version(&api_version).0 == "kustomize.config.k8s.io" {
            return self.foreign(
                "file-kustomization",
                start,
                "A kustomization: spinway reads plain manifests.",
                "Render it first (kustomize build) and commit the result.",
            );
        }
        if let (true, Some(Value::Array(_))) = (kind.ends_with("List"), value.get("items")) {
            return self.list(value, &positions);
        }
        let origin = self.origin(start);
        self.object(value, positions, origin, &api_version, &kind);
    }

    /// `kind: List` (and any typed list): its items, each as an object of its own.
    fn list(&mut self, mut value: Value, positions: &Positions) {
        let items = value.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        let mut positions = positions.each_below("items").into_iter();
        if !self.takes(Amount::Documents, items.len()) {
            return;
        }
        for item in items {
            let below = positions.next().unwrap_or_default();
            let start = below.nearest("").unwrap_or(Position { line: 1, column: 1 });
            self.document(item, below, start);
        }
    }

    fn object(&mut self, mut value: Value, positions: Positions, origin: Origin, api_version: &str, kind: &str) {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"./-".contains(&b));
        if !plain(api_version) || !plain(kind) {
            let diagnostic =
                Diagnostic::error("object-kind", "apiVersion and kind are letters, digits, `.`, `/` and `-`.");
            self.found.diagnostics.push(diagnostic.at(origin).help("Mend them."));
            self.found.unread.insert(self.partition.clone());
            return;
        }
        let (group, version) = split_api_version(api_version);
        let (group, version) = (group.to_owned(), version.to_owned());
        if group == GROUP && matches!(kind, "Config" | "Approval" | "App" | "Patch") {
            return self.local(value, &positions, &origin, kind);
        }
        let has_values = crate::object::annotation(&value, "spinway.dev/substitute") == Some("enabled");
        if has_values && !self.substitute(&mut value, &positions) {
            return;
        }
        let Some(reference) = ObjectRef::of(&value).filter(|r| !r.name.is_empty()) else {
            let place = positions.nearest("/metadata/name").map_or(origin.clone(), |p| self.origin(p));
            let message = if value.pointer("/metadata/generateName").is_some() {
                "metadata.generateName makes another object at every apply."
            } else if value.pointer("/metadata/name").is_some_and(|name| !name.is_string()) {
                "metadata.name is no text as YAML 1.1 reads it; put it in quotes."
            } else {
                "The object has no metadata.name."
            };
            self.found
                .diagnostics
                .push(Diagnostic::error("object-name", message).at(place).help("Give it a metadata.name."));
            self.found.unread.insert(self.partition.clone());
            return;
        };
        let object = Object { reference, version, value, origin, positions: Arc::new(positions) };
        let findings = findings(&object);
        // An object under a wrong name is another object: the one that was meant must not count as removed.
        if findings.iter().any(|finding| finding.id == "object-name") {
            self.found.unread.insert(self.partition.clone());
        }
        self.found.diagnostics.extend(findings);
        let mut object = object;
        canonical(&mut object.value);
        self.found.members.push(Member { object, partition: self.partition.clone(), by: Vec::new() });
    }

    /// Replaces the values of the environment; false when they add more than the owner may have.
    fn substitute(&mut self, value: &mut Value, positions: &Positions) -> bool {
        let values = &self.desired.environment.values;
        if !self.takes(Amount::Growth, values::growth(value, values)) {
            return false;
        }
        let mut unknown = Vec::new();
        values::substitute(value, values, "", &mut |pointer, name| {
            unknown.push((pointer.to_owned(), name.to_owned()));
        });
        for (pointer, name) in unknown {
            let origin = positions.nearest(&pointer).map(|p| self.origin(p));
            let mut diagnostic = values::is_unknown(&name, &self.desired.environment.name);
            diagnostic.origin = origin;
            diagnostic.object = ObjectRef::of(value);
            self.found.diagnostics.push(diagnostic);
            // Which object is meant may depend on it.
            self.found.unread.insert(self.partition.clone());
        }
        true
    }

    fn local(&mut self, mut value: Value, positions: &Positions, origin: &Origin, kind: &str) {
        if matches!(kind, "App" | "Patch") {
            if !self.substitute(&mut value, positions) {
                return;
            }
            let text = Traced::read(value, positions, &self.path, origin);
            return if kind == "App" { self.app(text) } else { self.patch(&text) };
        }
        let config = self.desired.rules();
        let mut say = |message: &str, help: &str| {
            self.found.diagnostics.push(Diagnostic::error("local-kind", message).at(origin.clone()).help(help));
        };
        match kind {
            "Approval" => {
                if config.tenant_of(&self.path).is_some() {
                    return say(
                        "An Approval in a tenant's path: those it binds could edit it.",
                        "Move it to one of `approvals.paths`.",
                    );
                }
                if !config.approvals.paths.iter().any(|path| below(&self.path, path).is_some()) {
                    return say("An Approval outside `approvals.paths` counts for nothing.", "Move it there.");
                }
                match config::spec::<Approval>(&value) {
                    Ok(approval) if approval.environment == self.desired.environment.name => {
                        self.found.approvals.push(approval);
                    }
                    Ok(_) => {}
                    Err((pointer, message)) => {
                        let place = positions.nearest(&pointer).map_or(origin.clone(), |p| self.origin(p));
                        self.found.diagnostics.push(Diagnostic::error("approval", format!("{message}.")).at(place));
                    }
                }
            }
            _ => say("A Config is only read from spinway.yaml at the root.", "Remove it here."),
        }
    }

    fn app(&mut self, text: Traced) {
        self.found.apps.push(app::Source { text, partition: self.partition.clone(), by: Vec::new() });
    }

    fn patch(&mut self, text: &Traced) {
        let value = text.value();
        let read = config::spec::<patch::Spec>(&value).map_err(|(pointer, message)| {
            let help = "`spinway schema Patch` prints all fields of a Patch.";
            Box::new(Diagnostic::error("patch", format!("{message}.")).at(text.origin_of(&pointer).clone()).help(help))
        });
        match read.and_then(|spec| patch::Patch::read(spec, text, "/spec", &self.partition)) {
            Ok(_) if !self.takes(Amount::Patches, 1) => {}
            Ok(patch) => self.found.patches.push(patch),
            Err(diagnostic) => {
                self.found.diagnostics.push(*diagnostic);
                self.found.unread.insert(self.partition.clone());
            }
        }
    }
}

/// So many entries of one map are told: whoever mends them sees the next.
const MOST_TOLD: usize = 100;

/// What makes an object impossible to apply whatever its kind.
pub(super) fn findings(object: &Object) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut say = |severity, pointer: &str, id, message: String, help: &str| {
        let diagnostic = Diagnostic::new(severity, id, message);
        found.push(diagnostic.at(object.origin_of(pointer)).about(&object.reference).help(help));
    };
    if let Some(form) = kinds::wrong_name(&object.reference.group_kind(), &object.reference.name) {
        let message = format!("`{}` is not a valid name for a {}.", object.reference.name, object.reference.kind);
        say(Severity::Error, "/metadata/name", "object-name", message, form);
    }
    let namespace = object.reference.namespace();
    if namespace.len() > 63 || !namespace.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        let message = "metadata.namespace is not the name of a namespace.".to_owned();
        say(Severity::Error, "/metadata/namespace", "object-name", message, "Use lower-case letters, digits and `-`.");
    }
    for field in ["labels", "annotations"] {
        let Some(value) = object.value.pointer(&format!("/metadata/{field}")) else { continue };
        let Some(entries) = value.as_object() else {
            if !value.is_null() {
                let message = format!("metadata.{field}: expected map, got {value}");
                say(Severity::Error, &format!("/metadata/{field}"), "object-metadata", message, "Write `name: value`.");
            }
            continue;
        };
        let wrong = entries.iter().filter(|(_, value)| !value.is_string() && !value.is_null());
        for (key, value) in wrong.take(MOST_TOLD) {
            let pointer = format!("/metadata/{field}/{}", crate::object::escape(key));
            let message = format!("metadata.{field}.{key}: expected string, got {value}");
            say(Severity::Error, &pointer, "object-metadata", message, "Put the value in quotes.");
        }
    }
    for key in ["applyset.kubernetes.io/part-of", "applyset.kubernetes.io/id"] {
        if crate::object::label(&object.value, key).is_some() {
            let message = format!("The label `{key}` is written by the tool that applies.");
            say(Severity::Error, "/metadata/labels", "object-metadata", message, "Remove it.");
        }
    }
    for field in crate::object::SERVER_FIELDS.iter().filter(|f| **f != "creationTimestamp") {
        if object.value.pointer(&format!("/metadata/{field}")).is_some_and(|v| !v.is_null()) {
            let message = format!("metadata.{field} is set by the server and left out.");
            say(Severity::Warning, &format!("/metadata/{field}"), "object-metadata", message, "Remove it.");
        }
    }
    found
}
