//! The SpinApps of an App, one for each version, and the Service that keeps callers inside the cluster.

use super::Template;
use super::spec::{Canary, InvocationLimit, Kept, OnFailure, Probe, Quantity, Store, StoreOption, Trigger, Variable};
use crate::kinds::{APP, ON_FAILURE, SETTLE, SPIN};
use crate::object::{Traced, escape};
use crate::schema::quantity::{is_quantity, nanos};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Where Spin answers for its health, before any route of the application (Spin, trigger-http).
const HEALTH_PATH: &str = "/.well-known/spin/health";
/// How many hexadecimal digits of an image's digest tell versions apart.
const VERSION_DIGITS: usize = 6;

/// A version of an App.
pub(super) struct Version<'a> {
    /// Its SpinApp.
    pub(super) name: String,
    /// The field of the spec that asked for it.
    pub(super) pointer: &'static str,
    image: &'a str,
    pub(super) canary: Option<&'a Canary>,
}

impl Template<'_> {
    /// The name of the SpinApp of an image: that of the App alone where versions replace each other in place.
    fn version_name(&self, image: &str) -> String {
        let name = &self.reference.name;
        if !self.is_blue_green() {
            return name.clone();
        }
        let digest = image.rsplit_once("@sha256:").map(|(_, hex)| hex.to_owned());
        // Without a digest the text of the image tells versions apart.
        let digits = digest
            .filter(|hex| hex.len() >= VERSION_DIGITS && hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .unwrap_or_else(|| crate::object::hex(&Sha256::digest(image)));
        format!("{name}-{}", digits[..VERSION_DIGITS].to_ascii_lowercase())
    }

    /// The version that is served.
    pub(super) fn stable(&self) -> Version<'_> {
        Version { name: self.version_name(&self.app.image), pointer: "/image", image: &self.app.image, canary: None }
    }

    /// The version that is tried.
    pub(super) fn canary(&self) -> Option<Version<'_>> {
        let canary = self.app.canary.as_ref()?;
        let name = self.version_name(&canary.image);
        Some(Version { name, pointer: "/canary/image", image: &canary.image, canary: Some(canary) })
    }

    /// The SpinApps, and what scales them.
    pub(super) fn versions(&self) -> Vec<Traced> {
        let mut objects = Vec::new();
        for version in [Some(self.stable()), self.canary()].into_iter().flatten() {
            objects.push(self.spin_app(&version));
            objects.extend(self.scaler(&version));
        }
        objects
    }

    pub(super) fn check_versions(&mut self) {
        let same = self.canary().filter(|canary| canary.name == self.stable().name);
        if let Some(same) = same.map(|canary| canary.image == self.stable().image) {
            let message = if same {
                "The canary has the image that is served already."
            } else {
                "The digest of the canary begins as that of the image that is served: they would have one name."
            };
            self.wrong("/canary/image", message, "Give it another image, or remove the canary.");
        }
        if self.app.telemetry && self.app.executor.is_none() && self.around.config.executors.telemetry.is_none() {
            self.wrong(
                "/telemetry",
                "The Config names no executor with telemetry.",
                "Add `executors: {telemetry: NAME}` to the Config: OpenTelemetry is set up in the SpinAppExecutor.",
            );
        }
        if self.app.telemetry && self.app.executor.is_some() {
            self.wrong(
                "/telemetry",
                "`telemetry` chooses the executor, and `executor` names another.",
                "Remove one of them: OpenTelemetry is set up in the SpinAppExecutor.",
            );
        }
        let inline = !self.app.key_value_stores.is_empty()
            || !self.app.sqlite_databases.is_empty()
            || self.app.llm_compute.is_some();
        if self.app.runtime_config_secret.is_some() && inline {
            self.wrong(
                "/runtimeConfigSecret",
                "Stores, databases and llmCompute beside `runtimeConfigSecret` are ignored by SpinKube.",
                "Put them into that Secret, or remove it.",
            );
        }
        if self.app.replicas == Some(0) {
            self.wrong("/replicas", "SpinKube runs at least one pod.", "Use `autoscale` with KEDA to go down to none.");
        }
        if self.app.canary.as_ref().is_some_and(|canary| canary.replicas == Some(0)) {
            self.wrong("/canary/replicas", "SpinKube runs at least one pod.", "Remove the canary, or give it a pod.");
        }
    }

    /// Whether registries, Spin and Kubernetes take what is copied into the SpinApp.
    pub(super) fn check_values(&mut self) {
        for (pointer, image) in self.strange_images() {
            let help = "Write it like `registry.example/team/app:1.0.0@sha256:...`.";
            self.wrong(pointer, format!("`{image}` is no image."), help);
        }
        for (pointer, name) in self.strange_variables() {
            let help = "Write the name that the Spin manifest has: small letters, digits and `_`, a letter first.";
            self.wrong(&pointer, format!("Spin has no variables like `{name}`."), help);
        }
        for (pointer, text) in self.strange_quantities() {
            self.wrong(&pointer, format!("`{text}` is no quantity of Kubernetes."), "Write `50m`, `64Mi`, `2`.");
        }
        for (pointer, name) in self.beyond_limits() {
            self.wrong(
                &pointer,
                format!("More {name} is requested than the limit allows."),
                "Request less, or raise the limit.",
            );
        }
        let liveness = self.app.health_checks.liveness.as_ref();
        if liveness.and_then(|probe| probe.success_threshold).is_some_and(|threshold| threshold != 1) {
            let message = "A pod is alive again after one success (Kubernetes).";
            self.wrong("/healthChecks/liveness/successThreshold", message, "Remove it.");
        }
        for (field, path) in self.probed_paths().into_iter().filter(|(_, path)| !path.starts_with('/')) {
            self.wrong(&format!("/healthChecks/{field}/path"), format!("`{path}` is no path."), "Start with `/`.");
        }
    }

    /// Resources of which more is requested than allowed.
    fn beyond_limits(&self) -> Vec<(String, String)> {
        let Some(resources) = &self.app.resources else { return Vec::new() };
        let beyond = resources.requests.iter().filter(|(name, request)| {
            let limit = resources.limits.get(*name).and_then(|limit| nanos(&text_of(limit)));
            nanos(&text_of(request)).zip(limit).is_some_and(|(request, limit)| request > limit)
        });
        beyond.map(|(name, _)| (format!("/resources/requests/{}", escape(name)), name.clone())).collect()
    }

    /// The paths that probes ask for, where they are given.
    fn probed_paths(&self) -> Vec<(&'static str, String)> {
        let checks = &self.app.health_checks;
        let probes = [("readiness", &checks.readiness), ("liveness", &checks.liveness)];
        probes.into_iter().filter_map(|(field, probe)| Some((field, probe.as_ref()?.path.clone()?))).collect()
    }

    fn strange_images(&self) -> Vec<(&'static str, String)> {
        let canary = self.app.canary.as_ref().map(|canary| ("/canary/image", &canary.image));
        let images = [("/image", &self.app.image)].into_iter().chain(canary);
        let strange = images.filter(|(_, image)| !is_image(image));
        strange.map(|(pointer, image)| (pointer, image.clone())).collect()
    }

    fn strange_variables(&self) -> Vec<(String, String)> {
        let canary = self.app.canary.as_ref().map(|canary| ("/canary/variables", &canary.variables));
        let lists = [("/variables", &self.app.variables)].into_iter().chain(canary);
        let names = lists.flat_map(|(at, variables)| variables.keys().map(move |name| (at, name)));
        names
            .filter(|(_, name)| !is_variable(name))
            .map(|(at, name)| (format!("{at}/{}", escape(name)), name.clone()))
            .collect()
    }

    fn strange_quantities(&self) -> Vec<(String, String)> {
        let resources = self.app.resources.as_ref();
        let requests = resources.map(|resources| ("/resources/requests", &resources.requests));
        let limits = resources.map(|resources| ("/resources/limits", &resources.limits));
        let given = requests.into_iter().chain(limits).flat_map(|(at, list)| {
            list.iter().map(move |(name, quantity)| (format!("{at}/{}", escape(name)), quantity))
        });
        let memory = self.app.invocation_limits.get(&InvocationLimit::Memory);
        given
            .chain(memory.map(|limit| ("/invocationLimits/memory".to_owned(), limit)))
            .map(|(pointer, quantity)| (pointer, text_of(quantity)))
            .filter(|(_, text)| !is_quantity(text) || text.starts_with('-'))
            .collect()
    }

    fn spin_app(&self, version: &Version<'_>) -> Traced {
        let app = &self.app;
        let mut spec = Traced::map(
            self.at(version.pointer),
            [("image", self.made(version.pointer, version.image)), ("executor", self.executor())],
        );
        self.pods(version, &mut spec);
        if let Some(checks) = self.checks() {
            spec.set("checks", checks);
        }
        for (field, name) in [("/resources", "resources"), ("/components", "components")] {
            if let Some(part) = self.copied(field) {
                spec.set(name, part);
            }
        }
        if !app.variables.is_empty() || version.canary.is_some_and(|canary| !canary.variables.is_empty()) {
            spec.set("variables", self.variables(version));
        }
        if let Some(runtime) = self.runtime_config() {
            spec.set("runtimeConfig", runtime);
        }
        if let Some(limit) = app.invocation_limits.get(&InvocationLimit::Memory) {
            let at = "/invocationLimits";
            spec.set(
                "invocationLimits",
                Traced::map(self.at(at), [("memory", self.made("/invocationLimits/memory", quantity(limit)))]),
            );
        }
        if !app.image_pull_secrets.is_empty() {
            let item = |(index, name): (usize, &String)| {
                self.made(&format!("/imagePullSecrets/{index}"), json!({"name": name}))
            };
            let items = app.image_pull_secrets.iter().enumerate().map(item).collect();
            spec.set("imagePullSecrets", Traced::list(self.at("/imagePullSecrets"), items));
        }
        if let Some(name) = &app.service_account {
            spec.set("serviceAccountName", self.made("/serviceAccount", name.as_str()));
        }
        spec.set("podLabels", Traced::whole(&self.origin, json!({APP: self.reference.name})));
        let mut object = self.object(version.pointer, &format!("{SPIN}/v1alpha1"), "SpinApp", &version.name, spec);
        self.rollout(version, &mut object);
        object
    }

    /// How long it stays when it is superseded, and what its failure means, as annotations that the plan reads.
    fn rollout(&self, version: &Version<'_>, object: &mut Traced) {
        if self.is_blue_green() {
            // Unless the App says so, the environment and its controllers decide when the plan is made.
            if let Some(seconds) = self.app.rollout.settle.as_ref().and_then(|settle| settle.seconds) {
                self.annotate(object, SETTLE, self.made("/rollout/settle", seconds.to_string()));
            }
        }
        // A canary that fails gets no requests, and takes none from the version that is served.
        if self.app.rollout.on_failure == OnFailure::Rollback && version.canary.is_none() {
            self.annotate(object, ON_FAILURE, self.made("/rollout/onFailure", "rollback"));
        }
    }

    fn executor(&self) -> Traced {
        let executors = &self.around.config.executors;
        let in_config = |pointer: &str, name: &str| match self.around.config_text.and_then(|text| text.at(pointer)) {
            Some(written) => Traced::whole(&written.origin, json!(name)),
            None => Traced::whole(&self.origin, json!(name)),
        };
        match (&self.app.executor, &executors.telemetry) {
            (Some(name), _) => self.made("/executor", name.as_str()),
            (None, Some(name)) if self.app.telemetry => self.made("/telemetry", name.as_str()),
            (None, _) => in_config("/spec/executors/default", &executors.default),
        }
    }

    fn pods(&self, version: &Version<'_>, spec: &mut Traced) {
        let fixed = |pointer: &str, count: u32| ("replicas", self.made(pointer, count));
        let (key, value) = match (version.canary, &self.app.autoscale, self.app.replicas) {
            (Some(Canary { replicas: Some(count), .. }), _, _) => fixed("/canary/replicas", *count),
            (Some(_), Some(autoscale), _) => fixed("/autoscale/min", autoscale.min.max(1)),
            (None, Some(_), _) => ("enableAutoscaling", self.made("/autoscale", true)),
            (_, None, Some(count)) => fixed("/replicas", count),
            (_, None, None) => fixed("", 2),
        };
        spec.set(key, value);
    }

    fn checks(&self) -> Option<Traced> {
        if self.app.trigger != Trigger::Http {
            return None;
        }
        let checks = &self.app.health_checks;
        let mut made = Traced::empty(self.at("/healthChecks"));
        let default = Probe::default();
        let readiness = checks.readiness.as_ref().unwrap_or(&default);
        for (name, probe) in [("readiness", Some(readiness)), ("liveness", checks.liveness.as_ref())] {
            if let Some(probe) = probe {
                made.set(name, self.probe(&format!("/healthChecks/{name}"), probe));
            }
        }
        Some(made)
    }

    fn probe(&self, at: &str, probe: &Probe) -> Traced {
        let path = self.made(&format!("{at}/path"), probe.path.as_deref().unwrap_or(HEALTH_PATH));
        let mut get = Traced::map(self.at(at), [("path", path)]);
        if !probe.headers.is_empty() {
            let header = |(name, value): (&String, &String)| {
                self.made(&format!("{at}/headers/{}", escape(name)), json!({"name": name, "value": value}))
            };
            let headers = probe.headers.iter().map(header).collect();
            get.set("httpHeaders", Traced::list(self.at(&format!("{at}/headers")), headers));
        }
        let mut made = Traced::map(self.at(at), [("httpGet", get)]);
        for (name, value) in [
            ("initialDelaySeconds", probe.initial_delay_seconds),
            ("timeoutSeconds", probe.timeout_seconds),
            ("periodSeconds", probe.period_seconds),
            ("successThreshold", probe.success_threshold),
            ("failureThreshold", probe.failure_threshold),
        ] {
            if let Some(value) = value {
                made.set(name, self.made(&format!("{at}/{name}"), value));
            }
        }
        made
    }

    /// Variables by name; those of a canary take the place of the App's.
    fn variables(&self, version: &Version<'_>) -> Traced {
        let mut all: BTreeMap<&String, (&Variable, &str)> =
            self.app.variables.iter().map(|(name, variable)| (name, (variable, "/variables"))).collect();
        if let Some(canary) = version.canary {
            all.extend(canary.variables.iter().map(|(name, variable)| (name, (variable, "/canary/variables"))));
        }
        let one = |(name, (variable, at)): (&String, (&Variable, &str))| {
            let value = match variable {
                Variable::Kept(kept) => kept_at(kept),
                Variable::Field(field) => json!({"valueFrom": {"fieldRef": {"fieldPath": field.field}}}),
                Variable::Literal(literal) => json!({"value": literal.text()}),
            };
            self.named(&format!("{at}/{}", escape(name)), name, &value)
        };
        Traced::list(self.at("/variables"), all.into_iter().map(one).collect())
    }

    /// A value under a name, as Kubernetes writes environment variables.
    fn named(&self, at: &str, name: &str, value: &Value) -> Traced {
        let mut made = Traced::map(self.at(at), [("name", self.made(at, name))]);
        made.merge(self.made(at, value.clone()));
        made
    }

    fn runtime_config(&self) -> Option<Traced> {
        let app = &self.app;
        let place = |pointer: &str| self.at(pointer).clone();
        if let Some(secret) = &app.runtime_config_secret {
            let at = "/runtimeConfigSecret";
            return Some(Traced::map(&place(at), [("loadFromSecret", self.made(at, secret.as_str()))]));
        }
        let mut runtime = Traced::empty(&self.origin);
        for (at, field, stores) in [
            ("/keyValueStores", "keyValueStores", &app.key_value_stores),
            ("/sqliteDatabases", "sqliteDatabases", &app.sqlite_databases),
        ] {
            if !stores.is_empty() {
                let one = |(name, store): (&String, &Store)| {
                    let at = format!("{at}/{}", escape(name));
                    self.store(&at, Some(name), store)
                };
                runtime.set(field, Traced::list(&place(at), stores.iter().map(one).collect()));
            }
        }
        if let Some(compute) = &app.llm_compute {
            runtime.set("llmCompute", self.store("/llmCompute", None, compute));
        }
        (runtime.value() != json!({})).then_some(runtime)
    }

    fn store(&self, at: &str, name: Option<&str>, store: &Store) -> Traced {
        let mut made = Traced::empty(self.at(at));
        if let Some(name) = name {
            made.set("name", self.made(at, name));
        }
        made.set("type", self.made(&format!("{at}/type"), store.kind.as_str()));
        if !store.options.is_empty() {
            let one = |(name, option): (&String, &StoreOption)| {
                let value = match option {
                    StoreOption::Kept(kept) => kept_at(kept),
                    StoreOption::Literal(literal) => json!({"value": literal.text()}),
                };
                self.named(&format!("{at}/{}", escape(name)), name, &value)
            };
            made.set("options", Traced::list(self.at(at), store.options.iter().map(one).collect()));
        }
        made
    }

    /// The Service under the App's own name, which leads to the version that is served: its pods carry the label by which
    /// SpinKube's own Service for that version finds them.
    pub(super) fn stable_service(&self) -> Option<Traced> {
        if !self.is_blue_green() {
            return None;
        }
        let selector = json!({format!("core.spinkube.dev/app.{}.status", self.stable().name): "ready"});
        let ports = json!([{"port": 80, "protocol": "TCP", "targetPort": "http-app"}]);
        let spec = Traced::map(
            &self.origin,
            [("selector", self.made("/image", selector)), ("ports", Traced::whole(&self.origin, ports))],
        );
        Some(self.object("", "v1", "Service", &self.reference.name, spec))
    }
}

/// Where a value is kept, as Kubernetes writes it.
fn kept_at(kept: &Kept) -> Value {
    let (field, key) = match kept {
        Kept::ConfigMap(key) => ("configMapKeyRef", key),
        Kept::Secret(key) => ("secretKeyRef", key),
    };
    let mut reference = json!({"name": key.name, "key": key.key});
    if key.optional {
        reference["optional"] = json!(true);
    }
    json!({"valueFrom": {field: reference}})
}

/// Whether a name is that of a variable of Spin (its manifest's `variables`).
fn is_variable(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(inner)
}

fn text_of(quantity: &Quantity) -> String {
    match quantity {
        Quantity::Number(number) => number.to_string(),
        Quantity::Text(text) => text.clone(),
    }
}

fn quantity(quantity: &Quantity) -> Value {
    match quantity {
        Quantity::Number(number) => Value::Number(number.clone()),
        Quantity::Text(text) => Value::String(text.clone()),
    }
}

/// Whether a text may name an image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` (the grammar of OCI distribution, not to the letter).
fn is_image(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let path_start = name.find('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[path_start..].rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (&name[path_start..], None),
    };
    let of = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let lower = |part: &str| of(part, b"._-") && !part.bytes().any(|b| b.is_ascii_uppercase());
    path.split('/').all(lower)
        && (path_start == 0 || of(&name[..path_start - 1], b".-:[]"))
        && tag.is_none_or(|tag| of(tag, b"._-"))
        && digest
            .is_none_or(|digest| digest.split_once(':').is_some_and(|(kind, hex)| of(kind, b"+._-") && of(hex, b"=_-")))
}
