//! One file of the repository: its documents, as objects.

use super::kustomization::Used;
use super::marks::SUBSTITUTE;
use super::signs::{CIPHERTEXT, DIRECTIVE, key_named};
use super::spelling::{VERSION, is_of_a_tool};
use super::tree::{is_kustomization, meant_name};
use super::{
    Amount, Approval, Desired, Entry, FileOwner, GROUP, LOCAL_KINDS, Member, Shares, Tree, app, canonical::canonical,
    patch, values, yaml,
};
use crate::kinds;
use crate::object::{Diagnostic, Object, ObjectRef, Origin, Position, Positions, Severity, split_api_version};
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
    /// Where a Config stands that is not read.
    pub(super) configs: Vec<Origin>,
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
        self.configs.extend(later.configs);
        self.diagnostics.extend(later.diagnostics);
        self.unread.extend(later.unread);
        self.unowned.extend(later.unowned);
    }
}

/// Where a file begins.
pub(super) const START: Position = Position { line: 1, column: 1 };

/// One file that is being read.
pub(super) struct File<'a> {
    pub(super) tree: &'a Tree,
    pub(super) path: Arc<str>,
    /// The partition of the file, and so of all its objects.
    pub(super) partition: String,
    pub(super) desired: &'a Desired,
    pub(super) shares: &'a Shares,
    pub(super) used: &'a Used,
    /// Whether `${` stands in its text.
    pub(super) has_names: bool,
    /// Whether a value of SOPS stands in its text.
    pub(super) is_encrypted: bool,
    /// Whether a directive of a strategic merge patch stands in its text.
    pub(super) has_directives: bool,
    pub(super) found: &'a mut Found,
}

/// Reads one file into `found`.
pub(super) fn read_file(tree: &Tree, path: &str, desired: &Desired, shares: &Shares, used: &Used, found: &mut Found) {
    let partition = desired.partition_of(path);
    let mut file = File {
        tree,
        path: Arc::from(path),
        partition,
        desired,
        shares,
        used,
        has_names: false,
        is_encrypted: false,
        has_directives: false,
        found,
    };
    if desired.rules().owner_of(path) == FileOwner::Nobody {
        return file.unowned();
    }
    if let (Some(meant), Some(Entry::File(_))) = (meant_name(path), tree.entries.get(path)) {
        let message = format!("`{}` is not read: its name is not that of a manifest.", file.name());
        return file.foreign(
            "file-name",
            START,
            &message,
            &format!("Rename it to `{meant}`, or list it in .spinwayignore."),
        );
    }
    match tree.entries.get(path) {
        Some(Entry::Symlink(_)) => file.hidden(
            "file-symlink",
            "A symbolic link: links are never followed.",
            "Put the file itself here, or list the path in .spinwayignore.",
        ),
        Some(Entry::Submodule) => file.hidden(
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
    pub(super) fn takes(&self, amount: Amount, count: usize) -> bool {
        self.shares.take(self.shares.owner(&self.path), amount, count)
    }

    pub(super) fn origin(&self, position: Position) -> Origin {
        Origin { file: Arc::clone(&self.path), position }
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the file is part of a Helm chart of its own partition.
    fn is_of_a_chart(&self) -> bool {
        self.used.charts_of(&self.path).any(|chart| self.desired.partition_of(&chart) == self.partition)
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
        self.unread_at(id, START, message, help);
    }

    pub(super) fn unread_at(&mut self, id: &'static str, position: Position, message: &str, help: &str) {
        let origin = self.origin(position);
        self.found.diagnostics.push(Diagnostic::error(id, message).at(origin).help(help));
        self.found.unread.extend(self.desired.partitions_at(&self.path));
    }

    /// A link or submodule, which may hide manifests of several partitions.
    fn hidden(&mut self, id: &'static str, message: &str, help: &str) {
        if self.desired.config.is_some() {
            return self.unread(id, message, help);
        }
        self.foreign(id, START, message, help);
    }

    /// What is not Kubernetes at all is an error inside declared sources, and a note where nothing is declared.
    fn foreign(&mut self, id: &'static str, position: Position, message: &str, help: &str) {
        let severity = if self.desired.config.is_some() { Severity::Error } else { Severity::Note };
        let origin = self.origin(position);
        self.found.diagnostics.push(Diagnostic::new(severity, id, message).at(origin).help(help));
        if severity == Severity::Error {
            self.found.unread.insert(self.partition.clone());
        }
    }

    fn read(&mut self, text: &str) {
        if is_kustomization(&self.path) {
            return self.kustomization();
        }
        if self.is_of_a_chart() {
            // It is told once, at its `Chart.yaml`, which makes the partition unread.
            if self.name() == "Chart.yaml" {
                self.foreign(
                    "file-helm",
                    START,
                    "A Helm chart: nothing in its folder is read.",
                    "Render it (`helm template`) and commit the result, or list the folder in .spinwayignore.",
                );
            }
            return;
        }
        let (documents, diagnostics) = yaml::read(&self.path, text);
        let is_broken = diagnostics.iter().any(|d| d.severity == Severity::Error);
        if self.desired.config.is_none() && is_broken && text.contains("{{") {
            return self.foreign(
                "file-template",
                START,
                "A template: it is not YAML before another tool has filled it in, and is not read.",
                "Render it and commit the result, or list the file in .spinwayignore.",
            );
        }
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            self.found.unread.insert(self.partition.clone());
        }
        self.found.diagnostics.extend(diagnostics);
        self.has_names = text.contains("${");
        self.is_encrypted = text.contains(CIPHERTEXT);
        self.has_directives = text.contains(DIRECTIVE);
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

    /// A kustomization: it is not built, so nothing that it uses is applied.
    fn kustomization(&mut self) {
        let message = match self.used.count(&self.path) {
            1 => "A kustomization is not built: it and 1 file that it uses are not applied.".to_owned(),
            count => format!("A kustomization is not built: it and {count} files that it uses are not applied."),
        };
        let folder = self.path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let help = format!(
            "Render it into a source (`kubectl kustomize {folder}`), and list `{folder}` in .spinwayignore. To apply its files as they \
             are, list the kustomization in .spinwayignore."
        );
        self.unread("file-kustomization", &message, &help);
    }

    fn document(&mut self, value: Value, positions: Positions, start: Position) {
        if self.has_directives
            && let Some(pointer) = key_named(&value, DIRECTIVE, "")
        {
            let position = positions.nearest(&pointer).unwrap_or(start);
            return self.unread_at(
                "object-patch",
                position,
                "`$patch` makes this a strategic merge patch of kustomize, which is not an object.",
                "Write a `Patch` of spinway.dev/v1alpha1, or list the file in .spinwayignore.",
            );
        }
        let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
            return self.foreign(
                "file-no-object",
                start,
                "No Kubernetes object: apiVersion and kind are missing.",
                "Move it out of the sources, or list the file in .spinwayignore.",
            );
        };
        let (group, version) = split_api_version(&api_version);
        if group == "kustomize.config.k8s.io" {
            return self.unread_at(
                "file-kustomization",
                start,
                "A kustomization is not built, and is not applied.",
                "Render it (`kubectl kustomize`) and commit the result, or list the file in .spinwayignore.",
            );
        }
        let is_kubeconfig = value.get("clusters").is_some() || value.get("contexts").is_some();
        if is_of_a_tool(group, version, &kind, is_kubeconfig) {
            let message = format!("`{kind}` of `{api_version}` is read by a tool and not by an API server.");
            let help = "Move it out of the sources, or list the file in .spinwayignore.";
            return self.foreign("file-no-object", start, &message, help);
        }
        // Without items it is an empty one, as `kubectl get -o yaml` writes it in Go.
        if let (true, Some(Value::Array(_) | Value::Null)) = (kind.ends_with("List"), value.get("items")) {
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
            self.found.diagnostics.push(diagnostic.at(origin).help("Correct them."));
            self.found.unread.insert(self.partition.clone());
            return;
        }
        let (group, version) = split_api_version(api_version);
        let (group, version) = (group.to_owned(), version.to_owned());
        if group == GROUP && version == VERSION && LOCAL_KINDS.contains(&kind) {
            return self.local(value, &positions, &origin, kind);
        }
        let has_values = crate::object::annotation(&value, SUBSTITUTE) == Some("enabled");
        if has_values && !self.substitute(&mut value, &positions) {
            return;
        }
        if !has_values && self.has_names {
            self.literals(&value, &positions);
        }
        self.marks(&value, &positions);
        let encrypted = self.encrypted(&mut value);
        let Some(reference) = ObjectRef::of(&value).filter(|r| !r.name.is_empty()) else {
            let place = positions.nearest("/metadata/name").map_or(origin.clone(), |p| self.origin(p));
            let message = if value.pointer("/metadata/generateName").is_some() {
                "metadata.generateName makes another object at every apply."
            } else if value.pointer("/metadata/name").is_some_and(|name| !name.is_string()) {
                "metadata.name is no text as YAML 1.1 reads it; put it in quotes."
            } else if kind == "List" {
                "The List has no `items`."
            } else {
                "The object has no metadata.name."
            };
            self.found.diagnostics.push(Diagnostic::error("object-name", message).at(place).help(match kind {
                "List" => "Put its objects under `items`.",
                _ => "Give it a metadata.name.",
            }));
            self.found.unread.insert(self.partition.clone());
            return;
        };
        let object = Object { reference, version, value, origin, positions: Arc::new(positions) };
        let mut findings = findings(&object);
        if let Some(pointer) = encrypted {
            let message = format!("{} is encrypted with SOPS, and is not applied.", object.reference);
            let diagnostic = Diagnostic::error("object-encrypted", message).at(object.origin_of(&pointer));
            findings.push(diagnostic.about(&object.reference).help(
                "Decrypt it in the cluster: a SealedSecret, an ExternalSecret, or an operator for SOPS. spinway does not decrypt.",
            ));
        }
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
    pub(super) fn substitute(&mut self, value: &mut Value, positions: &Positions) -> bool {
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
            let mut diagnostic = values::is_unknown(&name, &self.desired.environment);
            diagnostic.origin = origin;
            diagnostic.object = ObjectRef::of(value);
            self.found.diagnostics.push(diagnostic);
            // Which object is meant may depend on it.
            self.found.unread.insert(self.partition.clone());
        }
        true
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
