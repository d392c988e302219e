//! The inventory: which live objects are ours (design law 7). Labels decide; one parent ConfigMap per partition keeps
//! hints where to look and what happened.
//!
//! The convention is kubectl's ApplySet as its code has it: label `part-of` on members, label `id` and annotations on
//! the parent.

mod applied;
mod approval;
mod owner;
mod parent;

pub use applied::{ANNOTATION as APPLIED, Applied};
pub use approval::{Destruction, Held, approved, seconds};
pub use owner::{Owner, keep_mark, owner};
pub use parent::{Deletion, Parent, State, StateError, TOOLING};

use crate::desired::Desired;
use base64::Engine as _;
use sha2::{Digest, Sha256};

/// The label of members.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// The label of parents.
pub const ID: &str = "applyset.kubernetes.io/id";

/// The name of a partition's parent.
pub fn parent_name(config: &str, environment: &str, partition: &str) -> String {
    format!("spinway-{config}-{environment}-{partition}")
}

/// The id of an ApplySet whose parent is a ConfigMap.
pub fn id(name: &str, namespace: &str) -> String {
    let digest = Sha256::digest(format!("{name}.{namespace}.ConfigMap."));
    format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest))
}

/// The partitions of an environment: name, parent's name and id. Without Config there is no inventory.
pub fn partitions(desired: &Desired) -> Vec<Parent> {
    let Some(config) = &desired.config else { return Vec::new() };
    let of = |partition: &&str| {
        Parent::new(&desired.name, &desired.environment.name, partition, &config.inventory.namespace)
    };
    config.partitions().iter().map(of).collect()
}

/// The ids that members of this environment may carry: today's and those of previous names.
pub fn ids(desired: &Desired) -> Vec<(String, String)> {
    let Some(config) = &desired.config else { return Vec::new() };
    let names = std::iter::once(&desired.name).chain(&config.inventory.previous_names);
    let mut found = Vec::new();
    for name in names {
        for partition in config.partitions() {
            let parent = parent_name(name, &desired.environment.name, partition);
            found.push((id(&parent, &config.inventory.namespace), partition.to_owned()));
        }
    }
    found
}

/// The hex text of a digest.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_apply_set_convention() {
        let id = id("spinway-shop-staging-platform", "spinway-system");
        assert!(id.starts_with("applyset-") && id.ends_with("-v1") && id.len() == 9 + 43 + 3, "{id}");
        assert!(id.len() <= 63);
    }
}
