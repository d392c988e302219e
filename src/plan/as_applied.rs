//! What an apply of a revision leaves on a cluster that had nothing before: the live state by which another revision is
//! planned where there is no cluster (design law 12).
//!
//! **Invariant:** it has all that planning reads of a cluster (labels, records, managers, inventories, defaults), so that no
//! stage needs to know where live state comes from. What only a cluster knows (uids, health, objects of others) is not in it.

use super::{Action, Change, Options, Prepared, assess, conclude};
use crate::desired::Desired;
use crate::fields::{MANAGER, declare};
use crate::inventory::{self, Parent};
use crate::kinds;
use crate::live::{Live, Source};
use crate::object::{Diagnostic, ObjectRef, api_version};
use crate::schema::{CRD_GROUP, is_set, version_names, with_defaults};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A revision as an apply of it leaves a cluster.
pub struct AsApplied {
    /// Live state, the ConfigMaps of the inventories included.
    pub live: Live,
    /// What is found in the revision itself.
    pub found: Vec<Diagnostic>,
}

impl AsApplied {
    /// Applies what a revision wants, in thought: what its plan refuses or blocks is not there.
    pub fn of(base: &Desired, now: i64) -> Self {
        let options = Options { now, ..Options::default() };
        let mut live = Live::default();
        live.source = Source::Revision;
        take_for_granted(&mut live, base);
        let (parents, broken) = inventory::find(base, std::iter::empty());
        let assessed = assess(base, &live, &parents, &options);
        let prepared = Prepared::of(base);
        let plan = conclude(base, &live, prepared, assessed, &BTreeMap::new(), parents, &broken, &options);
        if plan.refused.is_none() {
            let made = plan.changes.iter().filter(|change| change.action == Action::Create);
            record(&mut live, base, plan.parents, &made.collect::<Vec<_>>());
        }
        Self { live, found: plan.diagnostics }
    }
}

/// Where no definition is at hand, the kinds of Gateway API are those of the release that the Config names.
pub fn take_for_granted(live: &mut Live, desired: &Desired) {
    live.schemas.assume(desired.rules().gateway_api.installed());
    live.learn(desired);
}

/// Adds what was made, and the inventories that list it.
fn record(live: &mut Live, base: &Desired, mut parents: Vec<Parent>, made: &[&Change]) {
    let namespace = &base.rules().inventory.namespace;
    if base.config.is_some() {
        // An apply makes it before anything else, also where the repository does not have it.
        let labels = json!({"app.kubernetes.io/managed-by": MANAGER});
        let own = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        let own = held(live, "v1", own);
        live.insert(own);
    }
    for change in made {
        let Some(body) = &change.body else { continue };
        let made = held(live, &change.version, body.clone());
        live.insert(made);
        for parent in parents.iter_mut().filter(|parent| parent.partition == change.partition) {
            parent.record(&change.object, "");
        }
    }
    for parent in &parents {
        let map = held(live, "v1", parent.render());
        live.insert(map);
    }
}

/// An object as the API server keeps it: with defaults, and our entry for all that was sent.
fn held(live: &Live, version: &str, body: Value) -> Value {
    let Some(object) = ObjectRef::of(&body) else { return body };
    let schema = live.schemas.of(&object.group_kind(), version);
    let fields = declare(&body, schema).set.to_json();
    let mut kept = schema.map_or_else(|| body.clone(), |schema| with_defaults(&body, schema));
    kinds::fill_in(&object.group_kind(), &mut kept);
    let row = json!({"manager": MANAGER, "operation": "Apply", "apiVersion": api_version(&object.group, version),
        "fieldsType": "FieldsV1", "fieldsV1": fields});
    if let Some(metadata) = kept.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("managedFields".to_owned(), json!([row]));
    }
    if object.is(CRD_GROUP, "CustomResourceDefinition") {
        kept["status"] = json!({"storedVersions": version_names(&body, |version| is_set(version, "storage"))});
    }
    kept
}

#[cfg(test)]
mod tests;
