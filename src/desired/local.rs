//! The local kinds in a file: App, Patch and Approval; a Config is read elsewhere.

use super::manifest::File;
use super::shape::{self, Flaw};
use super::{Amount, Approval, Config, app, below, patch};
use crate::object::{Diagnostic, Origin, Positions, Traced, did_you_mean, seconds};
use serde_json::Value;

impl File<'_> {
    /// Reads an object of a local kind.
    pub(super) fn local(&mut self, mut value: Value, positions: &Positions, origin: &Origin, kind: &str) {
        // What stands around an App is looked at once its patches are in it.
        for flaw in shape::unknown_around(&value, kind).iter().filter(|_| kind != "App") {
            self.flaw(flaw, positions, origin, kind);
        }
        self.marks(&value, positions);
        if matches!(kind, "App" | "Patch") {
            if self.encrypted(&mut value).is_some() {
                let message = format!("This {kind} is encrypted with SOPS, so it cannot be read.");
                return self.unread_at(
                    "object-encrypted",
                    origin.position,
                    &message,
                    "Commit it as it is; encrypt Secrets alone.",
                );
            }
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
                    let paths = &config.approvals.paths;
                    let help = match paths.as_slice() {
                        [] => "spinway.yaml names no folder for them: add `approvals: {paths: [approvals]}` and move it there."
                            .to_owned(),
                        paths => format!("Move it below {}.", paths.join(" or ")),
                    };
                    return say("An Approval outside `approvals.paths` counts for nothing.", &help);
                }
                self.approval(&value, positions, origin);
            }
            _ => {
                say("A Config is only read from spinway.yaml at the root.", "Remove it here.");
                self.found.configs.push(origin.clone());
            }
        }
    }

    fn approval(&mut self, value: &Value, positions: &Positions, origin: &Origin) {
        let (approval, mut flaws) = shape::read::<Approval>(value.get("spec").unwrap_or(&Value::Null), "/spec");
        flaws.extend(approval.iter().flat_map(|approval| approval.flaws(self.desired.rules())));
        flaws.iter().for_each(|flaw| self.flaw(flaw, positions, origin, "Approval"));
        let is_meant = |approval: &Approval| approval.environment == self.desired.environment.name;
        self.found.approvals.extend(approval.filter(|approval| flaws.is_empty() && is_meant(approval)));
    }

    /// A mistake in the text of a local kind.
    fn flaw(&mut self, flaw: &Flaw, positions: &Positions, origin: &Origin, kind: &str) {
        let message = format!("{}.", flaw.message);
        let diagnostic = match kind {
            "App" => Diagnostic::error("app", message),
            "Patch" => Diagnostic::error("patch", message),
            "Approval" => Diagnostic::error("approval", message),
            _ => Diagnostic::error("config", message),
        };
        let place = positions.nearest(&flaw.pointer).map_or_else(|| origin.clone(), |position| self.origin(position));
        let help = flaw.help.clone().unwrap_or_else(|| format!("`spinway schema {kind}` prints all fields."));
        self.found.diagnostics.push(diagnostic.at(place).help(help));
        // What it stands for is not known, so none of it counts as removed.
        self.found.unread.insert(self.partition.clone());
    }

    fn app(&mut self, text: Traced) {
        self.found.apps.push(app::Source { text, partition: self.partition.clone(), by: Vec::new() });
    }

    fn patch(&mut self, text: &Traced) {
        let value = text.value();
        let (spec, flaws) = shape::read::<patch::Spec>(value.get("spec").unwrap_or(&Value::Null), "/spec");
        let positions = text.positions();
        flaws.iter().for_each(|flaw| self.flaw(flaw, &positions, &text.origin, "Patch"));
        let Some(spec) = spec.filter(|_| flaws.is_empty()) else { return };
        match patch::Patch::read(spec, text, "/spec", &self.partition) {
            Ok(_) if !self.takes(Amount::Patches, 1) => {}
            Ok(patch) => self.found.patches.push(patch),
            Err(diagnostic) => {
                self.found.diagnostics.push(*diagnostic);
                self.found.unread.insert(self.partition.clone());
            }
        }
    }
}

impl Approval {
    /// What is wrong with it beyond its types: it would approve nothing.
    pub(super) fn flaws(&self, rules: &Config) -> Vec<Flaw> {
        let mut found = Vec::new();
        let mut add = |field: &str, message: String, help: String| {
            found.push(Flaw { pointer: format!("/spec/{field}"), message, help: Some(help) });
        };
        let known: Vec<&str> = rules.environments.iter().map(|environment| environment.name.as_str()).collect();
        if !known.contains(&self.environment.as_str()) {
            let meant = did_you_mean(&self.environment, known.iter().copied());
            let help = meant.unwrap_or_else(|| format!("The Config has: {}.", known.join(", ")));
            add("environment", format!("There is no environment `{}`", self.environment), help);
        }
        let digits = self.digest.strip_prefix("sha256:");
        if digits.is_none_or(|digits| digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit())) {
            let help = "Copy the destruction digest that the plan prints: `sha256:` and hexadecimal digits.".to_owned();
            add("digest", format!("`{}` is not a digest", self.digest), help);
        }
        if seconds(&self.expires).is_none() {
            let help = "Write a time of RFC 3339: `2026-11-29T12:00:00Z`.".to_owned();
            add("expires", format!("`{}` is not a time", self.expires), help);
        }
        found
    }
}
