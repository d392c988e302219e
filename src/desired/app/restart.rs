//! Restarts: the pods of an App carry a digest of what they refer to, so that they are replaced when it changes.

use super::Template;
use super::spec::RestartOn;
use crate::desired::Member;
use crate::kinds;
use crate::object::{ObjectRef, Origin, Traced, hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The annotation of pods with the digest of what they refer to.
const RESTART: &str = "spinway.dev/restart-on";

/// That the pods of a SpinApp follow what it refers to.
pub struct Restart {
    app: ObjectRef,
    on: BTreeSet<RestartOn>,
    place: Origin,
}

impl Template<'_> {
    pub(super) fn restarts(&self) -> Vec<Restart> {
        let on: BTreeSet<RestartOn> = self.app.restart_on.iter().copied().collect();
        let versions = [Some(self.stable()), self.canary()].into_iter().flatten().filter(|_| !on.is_empty());
        let app = |name: &str| ObjectRef::new(kinds::SPIN, "SpinApp", self.reference.namespace(), name);
        let place = self.at("/restartOn");
        versions.map(|version| Restart { app: app(&version.name), on: on.clone(), place: place.clone() }).collect()
    }
}

/// Writes the digest of everything that SpinApps refer to into the annotations of their pods.
pub fn stamp(restarts: &[Restart], members: &mut [Member]) {
    let stamps: Vec<(usize, &Restart, String)> = {
        let texts: BTreeMap<&ObjectRef, (usize, &Value)> = members
            .iter()
            .enumerate()
            .map(|(index, member)| (&member.object.reference, (index, &member.object.value)))
            .collect();
        let made = members.iter().map(|member| &member.object).filter(|object| object.reference.group != kinds::SPIN);
        let makers: BTreeMap<ObjectRef, &Value> = made
            .flat_map(|object| {
                kinds::provides(&object.reference, &object.value).into_iter().zip(std::iter::repeat(&object.value))
            })
            .collect();
        let text_of = |reference: &ObjectRef| {
            texts.get(reference).map(|(_, text)| *text).or_else(|| makers.get(reference).copied())
        };
        restarts
            .iter()
            .filter_map(|restart| {
                let (index, text) = texts.get(&restart.app)?;
                Some((*index, restart, digest(&restart.app, text, &restart.on, &text_of)?))
            })
            .collect()
    };
    for (index, restart, stamp) in stamps {
        let object = &mut members[index].object;
        let mut text = Traced::read(object.value.clone(), &object.positions, &object.origin.file, &object.origin);
        text.merge(Traced::whole(&restart.place, json!({"spec": {"podAnnotations": {RESTART: stamp}}})));
        object.value = text.value();
        object.positions = Arc::new(text.positions());
    }
}

/// The digest of what an app refers to and the repository holds; none when that is nothing.
fn digest<'a>(
    app: &ObjectRef,
    text: &Value,
    on: &BTreeSet<RestartOn>,
    text_of: &dyn Fn(&ObjectRef) -> Option<&'a Value>,
) -> Option<String> {
    let follows = |to: &ObjectRef| {
        on.iter().any(|on| match on {
            RestartOn::Secrets => to.is("", "Secret"),
            RestartOn::ConfigMaps => to.is("", "ConfigMap"),
        })
    };
    let referred: BTreeSet<ObjectRef> =
        kinds::references(app, text).into_iter().map(|reference| reference.to).filter(follows).collect();
    let mut digest = Sha256::new();
    let mut any = false;
    for (reference, text) in referred.iter().filter_map(|reference| Some((reference, text_of(reference)?))) {
        let said = |field: &str| text.get(field).unwrap_or(&Value::Null).to_string();
        digest.update(format!("{reference}\n{}\n{}\n{}\n", said("spec"), said("data"), said("binaryData")));
        any = true;
    }
    // Short: it tells changes apart, and is no handle for guessing what a Secret holds.
    any.then(|| hex(&digest.finalize()[..4]))
}
