//! The inventory: which live objects are ours (design law 7). Labels decide; one parent ConfigMap per partition keeps
//! hints where to look and what happened.
//!
//! The convention is kubectl's ApplySet as its code has it: label `part-of` on members, label `id` and annotations on
//! the parent.

mod applied;
mod approval;
mod contest;
mod history;
mod owner;
mod parent;
mod stop;

pub use crate::desired::{MAX_PAUSE, Scope, Stop};
pub(crate) use applied::canonical_text;
pub use applied::{ANNOTATION as APPLIED, Applied};
pub use approval::{Destruction, Held, approved, names};
pub use contest::{Correction, Corrections};
pub use history::Entry;
pub use owner::{Owner, is_mark, keep_mark, owner};
pub use parent::{APPROVED_ANNOTATION as APPROVED, Deletion, Parent, State, StateError, TOOLING};
pub use stop::{PAUSE, Paused, STOPS, comes_back, paused};

use crate::desired::Desired;
use crate::object::meta;
pub use crate::object::seconds;
use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The label of members.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// The label of parents.
pub const ID: &str = "applyset.kubernetes.io/id";

/// The name of a partition's parent. Config, environment and partition are DNS labels, so the dots tell them apart.
pub fn parent_name(config: &str, environment: &str, partition: &str) -> String {
    format!("spinway.{config}.{environment}.{partition}")
}

/// The id of an ApplySet whose parent is a ConfigMap.
pub fn id(name: &str, namespace: &str) -> String {
    let digest = Sha256::digest(format!("{name}.{namespace}.ConfigMap."));
    format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest))
}

/// The inventory of an environment, from the ConfigMaps that carry an ApplySet id: the partitions of today's Config, and
/// those that it no longer has or that stand under a previous name, whose objects are still ours. The second value names
/// the partitions whose inventory cannot be read, and why. Without Config there is no inventory.
pub fn find<'a>(
    desired: &Desired,
    config_maps: impl Iterator<Item = &'a Value>,
) -> (Vec<Parent>, BTreeMap<String, String>) {
    let mut broken = BTreeMap::new();
    let Some(config) = &desired.config else { return (Vec::new(), broken) };
    let namespace = &config.inventory.namespace;
    let of = |partition: &&str| Parent::new(&desired.name, &desired.environment.name, partition, namespace);
    let mut parents: Vec<Parent> = config.partitions().iter().map(of).collect();
    for value in config_maps.filter(|value| meta(value, "namespace") == namespace) {
        let mut names = std::iter::once(&desired.name).chain(&config.inventory.previous_names);
        let found = names.find_map(|name| {
            meta(value, "name")
                .strip_prefix(&parent_name(name, &desired.environment.name, ""))
                .map(|partition| (name, partition))
        });
        let Some((name, partition)) = found else { continue };
        let parent = Parent::new(name, &desired.environment.name, partition, namespace);
        let read = parent.read(value).unwrap_or_else(|error| {
            broken.insert(partition.to_owned(), error.to_string());
            // What is stopped stays so, whatever else of it is damaged.
            Parent { stops: stop::read(value), ..parent }
        });
        match parents.iter_mut().find(|p| p.name == read.name) {
            Some(known) => *known = read,
            None => parents.push(read),
        }
    }
    (parents, broken)
}

/// The ids that members of an environment may carry, with their partitions.
pub fn ids(parents: &[Parent]) -> Vec<(String, String)> {
    parents.iter().map(|p| (p.id.clone(), p.partition.clone())).collect()
}

/// The inventory that new members of a partition belong to: the one under today's name.
pub fn parent_of<'a>(parents: &'a [Parent], config: &str, environment: &str, partition: &str) -> Option<&'a Parent> {
    let name = parent_name(config, environment, partition);
    parents.iter().find(|p| p.name == name)
}

/// The revision that was applied last in an environment, by any of its partitions; empty when none was.
pub fn last_revision(parents: &[Parent]) -> &str {
    let newest = parents.iter().filter_map(|parent| parent.state.newest()).max_by_key(|entry| entry.number);
    // Inventories from before there was a history have one revision each.
    let old = || parents.iter().map(|parent| parent.state.revision.as_str()).find(|revision| !revision.is_empty());
    newest.map(|entry| entry.revision.as_str()).or_else(old).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_apply_set_convention() {
        let id = id("spinway.shop.staging.platform", "spinway-system");
        assert!(id.starts_with("applyset-") && id.ends_with("-v1") && id.len() == 9 + 43 + 3, "{id}");
        assert!(id.len() <= 63);
    }
}
