//! `App`, the template that app teams write: read from its layers and expanded to the objects that it stands for.
//!
//! **Invariants:** the same App with the same Config gives the same objects; every field that is made stands at the line
//! that asked for it; an App with an error makes no object at all.

pub(crate) mod network;
mod restart;
mod route;
mod scale;
mod served;
mod spec;
mod spin;

pub use network::OPEN_EGRESS;
pub use spec::App;

pub(super) use restart::{Restart, stamp};

use super::patch::Patch;
use super::shape::{self, Flaw};
use super::{Amount, Config, Environment, GROUP, Member, Shares, config};
use crate::kinds::APP;
use crate::object::{Diagnostic, Entries, Node, ObjectRef, Origin, Severity, Traced, did_you_mean};
use serde_json::{Value, json};
use spec::{RolloutType, Trigger};
use std::sync::Arc;

/// The longest name of an App: a SpinApp has at most 52 characters (its name is part of a label key, SpinKube), of which
/// the versions of an App take nine.
pub(crate) const MAX_NAME: usize = 43;

/// An App as it was written, and the partition that it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The whole document.
    pub(super) text: Traced,
    /// The partition of its file.
    pub(super) partition: String,
    /// Files of patches that changed it.
    pub(super) by: Vec<Arc<str>>,
}

impl Source {
    /// The App's identity: it never reaches a cluster.
    pub(super) fn reference(&self) -> ObjectRef {
        let text = |pointer: &str| {
            self.text.at(pointer).map(Traced::value).and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
        };
        ObjectRef::new(GROUP, "App", &text("/metadata/namespace"), &text("/metadata/name"))
    }
}

/// What an App depends on beside its own text.
pub(super) struct Surroundings<'a> {
    pub(super) config: &'a Config,
    /// The Config as it was written.
    pub(super) config_text: Option<&'a Traced>,
    pub(super) environment: &'a Environment,
    /// What the tenants may take.
    pub(super) shares: &'a Shares,
    /// The GatewayClass of a Gateway of the repository.
    pub(super) class_of: &'a dyn Fn(&ObjectRef) -> Option<String>,
    /// The controller of a GatewayClass of the repository.
    pub(super) controller_of: &'a dyn Fn(&str) -> Option<String>,
    /// The protocol of a listener of a Gateway of the repository.
    pub(super) protocol_of: &'a dyn Fn(&ObjectRef, &str) -> Option<String>,
}

/// What Apps make.
#[derive(Default)]
pub(super) struct Expanded {
    pub(super) members: Vec<Member>,
    pub(super) restarts: Vec<Restart>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Expands one App into `expanded`; with an error nothing is made, and the answer is no.
pub(super) fn expand(source: &Source, around: &Surroundings<'_>, expanded: &mut Expanded) -> bool {
    let mut found = Vec::new();
    let made = Template::read(source, around, &mut found).and_then(|mut template| {
        template.check();
        let objects = template.objects();
        let members = template.patched(objects);
        found.append(&mut template.found);
        Some((members?, template.restarts()))
    });
    let wrong = found.iter().any(|d| d.severity == Severity::Error);
    expanded.diagnostics.append(&mut found);
    let Some((members, restarts)) = made.filter(|_| !wrong) else { return false };
    let by = || source.by.clone();
    expanded.members.extend(members.iter().filter_map(|object| {
        Some(Member { object: super::canonical::object(object)?, partition: source.partition.clone(), by: by() })
    }));
    expanded.restarts.extend(restarts);
    true
}

/// An App of which all layers are read.
struct Template<'a> {
    around: &'a Surroundings<'a>,
    reference: ObjectRef,
    origin: Origin,
    /// Labels and annotations that all its objects get.
    labels: Entries,
    annotations: Entries,
    app: App,
    /// The layers of its spec, merged.
    spec: Traced,
    found: Vec<Diagnostic>,
}

impl<'a> Template<'a> {
    fn read(source: &Source, around: &'a Surroundings<'a>, found: &mut Vec<Diagnostic>) -> Option<Self> {
        let reference = source.reference();
        let origin = source.text.origin.clone();
        let mut say = |id, pointer: &str, message: String, help: &str| {
            let place = source.text.origin_of(pointer).clone();
            found.push(Diagnostic::error(id, message).at(place).about(&reference).help(help));
        };
        if !config::is_dns_label(&reference.name) || reference.name.len() > MAX_NAME {
            say(
                "app-name",
                "/metadata/name",
                format!("The name of an App is a DNS label of at most {MAX_NAME} characters."),
                "SpinKube makes its name part of a label key, and each version adds nine characters to it.",
            );
        }
        if !config::is_dns_label(reference.namespace()) {
            let (message, help) = if reference.namespace().is_empty() {
                let help = "Set `metadata.namespace`, or give its source one in spinway.yaml: `sources: [{path: PATH, namespace: NAME}]`.";
                (format!("App `{}` has no `metadata.namespace`.", reference.name), help)
            } else {
                let help = "Use lower-case letters, digits and `-`.";
                (format!("`{}` is not the name of a namespace.", reference.namespace()), help)
            };
            say("app-name", "/metadata/namespace", message, help);
        }
        let layers = layers(source, around, &mut say);
        let metadata = |field: &str| match source.text.at(&format!("/metadata/{field}")).map(|map| &map.node) {
            Some(Node::Map(entries)) => entries.clone(),
            _ => Entries::new(),
        };
        let (app, flaws) = shape::read::<App>(&layers.value(), "");
        let mut others = other_environments(&source.text, &around.environment.name);
        others.extend(shape::unknown_around(&source.text.value(), "App"));
        let flaws = flaws.into_iter().map(|flaw| (layers.origin_of(&flaw.pointer).clone(), flaw));
        let others = others.into_iter().map(|flaw| (source.text.origin_of(&flaw.pointer).clone(), flaw));
        for (place, flaw) in flaws.chain(others) {
            let field = crate::object::dotted(&flaw.pointer);
            // A field that there is not is named by the message, and may be an override of any environment.
            let is_typed = !field.is_empty() && flaw.help.is_none();
            let message = if is_typed { format!("{field}: {}.", flaw.message) } else { format!("{}.", flaw.message) };
            let help = flaw.help.unwrap_or_else(|| "`spinway schema App` prints all fields of an App.".to_owned());
            found.push(Diagnostic::error("app", message).at(place).about(&reference).help(help));
        }
        Some(Self {
            around,
            origin,
            labels: metadata("labels"),
            annotations: metadata("annotations"),
            app: app?,
            spec: layers,
            found: Vec::new(),
            reference,
        })
    }

    /// The place of a field of the spec.
    fn at(&self, pointer: &str) -> &Origin {
        self.spec.origin_of(pointer)
    }

    /// A value that stands where a field of the spec does.
    fn made(&self, pointer: &str, value: impl Into<Value>) -> Traced {
        Traced::whole(self.at(pointer), value.into())
    }

    /// A part of the spec as it is.
    fn copied(&self, pointer: &str) -> Option<Traced> {
        self.spec.at(pointer).cloned()
    }

    /// Says that a field is wrong.
    fn wrong(&mut self, pointer: &str, message: impl Into<String>, help: &str) {
        let diagnostic = Diagnostic::error("app", message).at(self.at(pointer).clone()).about(&self.reference);
        self.found.push(diagnostic.help(help));
    }

    /// Whether a version stands beside the one before it. An app without routes goes the same way, so that its first route
    /// does not change how it is served inside the cluster.
    fn is_blue_green(&self) -> bool {
        self.app.rollout.kind.map_or(self.app.trigger == Trigger::Http, |kind| kind == RolloutType::BlueGreen)
    }

    /// An object of the App; `pointer` is what asked for it.
    fn object(&self, pointer: &str, api_version: &str, kind: &str, name: &str, spec: Traced) -> Traced {
        // An object is of the App's own file, also where a default in the Config asked for it.
        let place = Some(self.at(pointer)).filter(|place| place.file == self.origin.file).unwrap_or(&self.origin);
        let mut labels = Traced { origin: self.origin.clone(), node: Node::Map(self.labels.clone()) };
        labels.set(APP, Traced::whole(&self.origin, json!(self.reference.name)));
        let mut metadata = Traced::map(
            &self.origin,
            [
                ("name", Traced::whole(place, json!(name))),
                ("namespace", Traced::whole(&self.origin, json!(self.reference.namespace()))),
                ("labels", labels),
            ],
        );
        if !self.annotations.is_empty() {
            metadata
                .set("annotations", Traced { origin: self.origin.clone(), node: Node::Map(self.annotations.clone()) });
        }
        let mut object = Traced::map(
            place,
            [("apiVersion", Traced::whole(place, json!(api_version))), ("kind", Traced::whole(place, json!(kind)))],
        );
        object.set("metadata", metadata);
        object.set("spec", spec);
        object
    }

    /// Adds an annotation to an object.
    fn annotate(&self, object: &mut Traced, key: &str, value: Traced) {
        let Some(metadata) = object.at_mut("/metadata") else { return };
        if metadata.at("/annotations").is_none() {
            metadata.set("annotations", Traced::empty(&value.origin));
        }
        if let Some(annotations) = metadata.at_mut("/annotations") {
            annotations.set(key, value);
        }
    }

    /// What is wrong beyond types and concerns several of the objects.
    fn check(&mut self) {
        if self.app.replicas.is_some() && self.app.autoscale.is_some() {
            self.wrong(
                "/autoscale",
                "An App has either `replicas` or `autoscale`.",
                "Remove one of them: an autoscaler and a fixed number would fight.",
            );
        }
        if self.app.trigger != Trigger::Http {
            for (field, is_there) in [("routes", !self.app.routes.is_empty()), ("canary", self.app.canary.is_some())] {
                if is_there {
                    let message = format!("`{field}` needs the trigger http: nothing else is reached by requests.");
                    self.wrong(&format!("/{field}"), message, "Remove it, or mend `trigger`.");
                }
            }
            self.check_no_probes();
            if self.app.rollout.kind == Some(RolloutType::BlueGreen) {
                self.wrong(
                    "/rollout/type",
                    "blueGreen needs the trigger http: nothing else is switched by routes.",
                    "Remove it.",
                );
            }
        }
        if self.app.canary.is_some() && !self.is_blue_green() {
            self.wrong("/canary", "A canary needs the rollout blueGreen.", "Remove `rollout.type`, or the canary.");
        }
        self.check_versions();
        self.check_values();
        self.check_scale();
        self.check_routes();
        self.check_egress();
    }

    /// Only http answers probes: an App of another trigger asks for none, and those of defaults are not for it.
    fn check_no_probes(&mut self) {
        let checks = &self.app.health_checks;
        for (field, is_there) in [("readiness", checks.readiness.is_some()), ("liveness", checks.liveness.is_some())] {
            let pointer = format!("/healthChecks/{field}");
            if is_there && self.at(&pointer).file == self.origin.file {
                let message = format!("`{field}` asks by HTTP, which only the trigger http answers.");
                self.wrong(&pointer, message, "Remove it.");
            }
        }
    }

    /// Everything that the App stands for.
    fn objects(&self) -> Vec<Traced> {
        let mut objects = self.versions();
        objects.extend(self.stable_service());
        objects.extend(self.routes());
        objects.extend(self.network_policy());
        objects
    }

    /// The objects with the App's own patches.
    fn patched(&mut self, mut objects: Vec<Traced>) -> Option<Vec<Traced>> {
        let mut patches = Vec::new();
        let partition = self.around.config.partition_of(&self.origin.file).to_owned();
        if !self.around.shares.take(Some(&partition), Amount::Patches, self.app.patches.len()) {
            // All of the tenant is left out then; it is told once.
            return None;
        }
        for (index, patch) in std::mem::take(&mut self.app.patches).into_iter().enumerate() {
            match Patch::read(patch, &self.spec, &format!("/patches/{index}"), &partition) {
                Ok(patch) => patches.push(patch),
                Err(diagnostic) => self.found.push(diagnostic.about(&self.reference)),
            }
        }
        for patch in &mut patches {
            for object in &mut objects {
                let reference = ObjectRef::of(&object.value())?;
                if patch.target.matches(&reference)
                    && let Err(diagnostic) = patch.apply(&reference, object, self.around.shares)
                {
                    self.found.push(*diagnostic);
                }
            }
        }
        let there: Vec<ObjectRef> = objects.iter().filter_map(|object| ObjectRef::of(&object.value())).collect();
        let unmatched = patches.iter().filter_map(|patch| patch.unmatched(there.iter()));
        self.found.extend(unmatched.map(|diagnostic| diagnostic.about(&self.reference)));
        Some(objects)
    }
}

/// The mistakes in what an App overrides in environments that are not the one it is read for.
fn other_environments(text: &Traced, environment: &str) -> Vec<Flaw> {
    let Some(Node::Map(entries)) = text.at("/spec/environments").map(|map| &map.node) else { return Vec::new() };
    let others = entries.iter().filter(|(name, _)| *name != environment);
    let flaws = others.flat_map(|(name, part)| {
        shape::unknown::<App>(&part.value(), &format!("/spec/environments/{}", crate::object::escape(name)))
    });
    flaws.collect()
}

/// The spec of an App from all its layers, the later ones on top: the Config's defaults, those of its tenant, those of the
/// environment, the App, and what the App says of the environment.
fn layers(source: &Source, around: &Surroundings<'_>, say: &mut dyn FnMut(&'static str, &str, String, &str)) -> Traced {
    let mut spec = source.text.at("/spec").cloned().unwrap_or_else(|| Traced::empty(&source.text.origin));
    let config = around.config;
    let tenant = config.tenant_of(&source.text.origin.file);
    let index_of = |name: &str| config.tenants.iter().position(|t| t.name == name);
    let tenant =
        tenant.and_then(|tenant| index_of(&tenant.name)).map(|index| format!("/spec/tenants/{index}/defaults"));
    let environment = config.environments.iter().position(|e| e.name == around.environment.name);
    let environment = environment.map(|index| format!("/spec/environments/{index}/defaults"));
    let defaults = [Some("/spec/defaults".to_owned()), tenant, environment];
    let mut merged = Traced::empty(&spec.origin);
    for defaults in defaults.into_iter().flatten().filter_map(|pointer| around.config_text?.at(&pointer)) {
        let mut layer = defaults.clone();
        // Defaults may differ by environment as an App does.
        let environments = layer.take("environments");
        put_over(&mut merged, layer);
        let own = environments
            .and_then(|all| all.at(&format!("/{}", crate::object::escape(&around.environment.name))).cloned());
        if let Some(own) = own {
            put_over(&mut merged, own);
        }
    }
    let own = spec.take("environments");
    put_over(&mut merged, spec);
    for (name, part) in
        own.into_iter().flat_map(|own| if let Node::Map(entries) = own.node { entries } else { Entries::new() })
    {
        let pointer = format!("/spec/environments/{name}");
        if !config.environments.iter().any(|e| e.name == name) {
            let known: Vec<&str> = config.environments.iter().map(|e| e.name.as_str()).collect();
            say(
                "app",
                &pointer,
                format!("There is no environment `{name}`."),
                &did_you_mean(&name, known.iter().copied())
                    .unwrap_or_else(|| format!("There are: {}.", known.join(", "))),
            );
        } else if name == around.environment.name && part.node != Node::Scalar(Value::Null) {
            if part.at("/environments").is_some() {
                say("app", &pointer, "An environment has no environments of its own.".to_owned(), "Remove them.");
            }
            put_over(&mut merged, part);
        }
    }
    merged
}

/// Puts a layer over those before it; one that fixes the number of pods ends the autoscaling of those, and the reverse.
fn put_over(merged: &mut Traced, layer: Traced) {
    let says = |field: &str| layer.at(field).is_some_and(|value| value.node != Node::Scalar(Value::Null));
    match (says("/replicas"), says("/autoscale")) {
        (true, false) => drop(merged.take("autoscale")),
        (false, true) => drop(merged.take("replicas")),
        _ => {}
    }
    merged.merge(layer);
}

#[cfg(test)]
mod tests;
