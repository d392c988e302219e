//! From what the files hold to the objects that are applied: patches of Apps, expansion, patches of objects, restarts.

use super::app::{self, Expanded, Source, Surroundings};
use super::canonical::object;
use super::manifest::{self, Found};
use super::patch::Patch;
use super::{Config, Desired, Shares};
use crate::kinds::{GATEWAY, each};
use crate::object::{Object, ObjectRef, Severity, Traced};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Expands the Apps and applies the patches of everything that was found.
pub(super) fn expand(desired: &Desired, shares: &Shares, found: &mut Found) {
    let apps = std::mem::take(&mut found.apps);
    let mut patches = std::mem::take(&mut found.patches);
    if apps.is_empty() && patches.is_empty() {
        return;
    }
    let names: Vec<ObjectRef> = apps.iter().map(Source::reference).collect();
    let apps = patch_apps(desired.rules(), shares, apps, &mut patches, found);
    let mut expanded = Expanded::default();
    {
        let classes = gateway_classes(found);
        let class_of = |gateway: &ObjectRef| classes.get(gateway).cloned();
        let controllers = controllers(found);
        let controller_of = |class: &str| controllers.get(class).cloned();
        let protocols = protocols(found);
        let protocol_of = |gateway: &ObjectRef, listener: &str| {
            protocols.get(gateway).and_then(|listeners| listeners.get(listener)).cloned()
        };
        let around = Surroundings {
            config: desired.rules(),
            config_text: desired.config_text.as_deref(),
            environment: &desired.environment,
            shares,
            class_of: &class_of,
            controller_of: &controller_of,
            protocol_of: &protocol_of,
        };
        for app in &apps {
            if !app::expand(app, &around, &mut expanded) {
                // What it stands for is not known, so none of it counts as removed.
                found.unread.insert(app.partition.clone());
            }
        }
    }
    for member in &expanded.members {
        expanded.diagnostics.extend(manifest::findings(&member.object));
    }
    found.diagnostics.append(&mut expanded.diagnostics);
    found.members.append(&mut expanded.members);
    patch_objects(desired.rules(), shares, &mut patches, found);
    app::stamp(&expanded.restarts, &mut found.members);
    let there: Vec<ObjectRef> =
        found.members.iter().map(|member| member.object.reference.clone()).chain(names).collect();
    for patch in &patches {
        if let Some(diagnostic) = patch.unmatched(there.iter()) {
            // What it was meant for is not as it should be, and cannot be named.
            found.unread.insert(desired.partition_of(&patch.origin.file));
            found.diagnostics.push(diagnostic);
        }
    }
}

/// Patches whose target is an App; those that cannot be patched are left out.
fn patch_apps(
    config: &Config,
    shares: &Shares,
    apps: Vec<Source>,
    patches: &mut [Patch],
    found: &mut Found,
) -> Vec<Source> {
    let mut patched = Vec::with_capacity(apps.len());
    'apps: for mut app in apps {
        let reference = app.reference();
        for patch in patches.iter_mut().filter(|patch| patch.is_of_apps() && patch.target.matches(&reference)) {
            if !patch.reaches(config, &app.text.origin.file) {
                continue;
            }
            let before = app.text.clone();
            if let Err(diagnostic) = patch.apply(&reference, &mut app.text, shares) {
                found.diagnostics.push(*diagnostic);
                found.unread.insert(app.partition.clone());
                continue 'apps;
            }
            replace_scaling(&before, &mut app.text);
            app.by.push(Arc::clone(&patch.origin.file));
        }
        patched.push(app);
    }
    patched
}

/// A patch that fixes the number of pods ends the autoscaling of the App, and the reverse, as layers do.
fn replace_scaling(before: &Traced, app: &mut Traced) {
    let is_changed = |pointer: &str| app.at(pointer).is_some_and(|now| before.at(pointer) != Some(now));
    let replaced = match (is_changed("/spec/replicas"), is_changed("/spec/autoscale")) {
        (true, false) => "autoscale",
        (false, true) => "replicas",
        _ => return,
    };
    if let Some(spec) = app.at_mut("/spec") {
        spec.take(replaced);
    }
}

fn patch_objects(config: &Config, shares: &Shares, patches: &mut [Patch], found: &mut Found) {
    for member in &mut found.members {
        let reference = member.object.reference.clone();
        let mut matching = patches.iter_mut().filter(|p| !p.is_of_apps() && p.target.matches(&reference)).peekable();
        if matching.peek().is_none() {
            continue;
        }
        let Object { value, positions, origin, .. } = &member.object;
        let mut text = Traced::read(value.clone(), positions, &origin.file, origin);
        for patch in matching {
            if !patch.reaches(config, &origin.file) {
                continue;
            }
            match patch.apply(&reference, &mut text, shares) {
                Ok(()) => member.by.push(Arc::clone(&patch.origin.file)),
                Err(diagnostic) => found.diagnostics.push(*diagnostic),
            }
        }
        if let Some(patched) = object(&text) {
            // The object itself still stands where it was written.
            member.object = Object { origin: member.object.origin.clone(), ..patched };
            let new = manifest::findings(&member.object);
            if new.iter().any(|d| d.severity == Severity::Error) {
                found.unread.insert(member.partition.clone());
            }
            found.diagnostics.extend(new);
        }
    }
}

fn gateway_classes(found: &Found) -> BTreeMap<ObjectRef, String> {
    let gateways = found.members.iter().map(|member| &member.object).filter(|o| o.reference.is(GATEWAY, "Gateway"));
    let class = |object: &Object| Some(object.value.pointer("/spec/gatewayClassName")?.as_str()?.to_owned());
    gateways.filter_map(|object| Some((object.reference.clone(), class(object)?))).collect()
}

/// The controllers of the GatewayClasses that were found.
fn controllers(found: &Found) -> BTreeMap<String, String> {
    let classes = found.members.iter().map(|member| &member.object).filter(|o| o.reference.is(GATEWAY, "GatewayClass"));
    let controller = |object: &Object| Some(object.value.pointer("/spec/controllerName")?.as_str()?.to_owned());
    classes.filter_map(|object| Some((object.reference.name.clone(), controller(object)?))).collect()
}

/// The protocols of the listeners of the Gateways that were found, by name.
fn protocols(found: &Found) -> BTreeMap<ObjectRef, BTreeMap<String, String>> {
    let gateways = found.members.iter().map(|member| &member.object).filter(|o| o.reference.is(GATEWAY, "Gateway"));
    let protocol = |listener: &serde_json::Value| {
        let text = |field: &str| listener.get(field)?.as_str().map(str::to_owned);
        Some((text("name")?, text("protocol")?))
    };
    gateways
        .map(|object| {
            let listeners = each(&object.value, "spec.listeners[]").into_iter();
            (object.reference.clone(), listeners.filter_map(|(_, listener)| protocol(listener)).collect())
        })
        .collect()
}
