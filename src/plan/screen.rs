//! What is kept of an object that a LIST shows: of one that the repository wants exactly as it is, no more than what other
//! objects are judged by. So memory grows with what is wanted and what differs, and not with what is listed (law 5).

use crate::desired::Desired;
use crate::fields::{Wanted, is_unchanged};
use crate::inventory::{APPLIED, PART_OF, PAUSE, Parent, ids, parent_of};
use crate::live::{Packed, Stored};
use crate::object::{GroupKind, ObjectRef, split_api_version};
use crate::schema::{CRD_GROUP, Schemas};
use serde_json_borrow::Value as Listed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Looks at objects as they come off the wire.
pub struct Screen {
    desired: Arc<Desired>,
    schemas: Schemas,
    /// The id of each partition.
    ids: BTreeMap<String, String>,
    /// All ids that objects of this environment may carry.
    ours: BTreeSet<String>,
    /// Whether everything is kept as it is.
    everything: bool,
}

/// The type of the objects of a list, which they do not say themselves.
pub struct Listing {
    kind: GroupKind,
    version: String,
    api_version: String,
    custom: bool,
}

impl Screen {
    /// A screen for planning the desired objects; `everything` keeps each object as it is, for a snapshot.
    pub fn new(desired: &Arc<Desired>, parents: &[Parent], schemas: &Schemas, everything: bool) -> Self {
        let partitions: BTreeSet<&String> = desired.objects.values().map(|m| &m.partition).collect();
        let id = |partition: &&String| {
            let parent = parent_of(parents, &desired.name, &desired.environment.name, partition)?;
            Some(((*partition).clone(), parent.id.clone()))
        };
        Self {
            desired: Arc::clone(desired),
            schemas: schemas.clone(),
            ids: partitions.iter().filter_map(id).collect(),
            ours: ids(parents).into_iter().map(|(id, _)| id).collect(),
            everything,
        }
    }

    /// The type of a list's objects.
    pub fn listing(&self, kind: &GroupKind, api_version: &str) -> Listing {
        let version = split_api_version(api_version).1.to_owned();
        let custom = self.schemas.is_custom(kind, &version);
        Listing { kind: kind.clone(), version, api_version: api_version.to_owned(), custom }
    }

    /// What is kept of an object; none when it has no name.
    pub fn keep(&self, listing: &Listing, item: &Listed<'_>) -> Option<(ObjectRef, Stored)> {
        let (kind, api_version) = (&listing.kind, listing.api_version.as_str());
        let metadata = item.as_object()?.get("metadata")?.as_object()?;
        let text = |field: &str| metadata.get(field).and_then(Listed::as_str).unwrap_or_default();
        let reference = ObjectRef::new(&kind.group, &kind.kind, text("namespace"), text("name"));
        let label = metadata.get("labels").and_then(|l| l.as_object()?.get(PART_OF)?.as_str());
        let paused = metadata.get("annotations").is_some_and(|a| a.as_object().is_some_and(|a| a.contains_key(PAUSE)));
        let definition = reference.is(CRD_GROUP, "CustomResourceDefinition");
        let stored = match self.desired.objects.get(&reference) {
            _ if self.everything || definition || paused => Stored::whole(item, api_version, &kind.kind),
            Some(member) => {
                let id = self.ids.get(&member.partition).filter(|_| member.object.version == listing.version);
                let unchanged = id.is_some_and(|id| {
                    let wanted = Wanted {
                        text: &member.object.value,
                        label: (PART_OF, id),
                        annotation: APPLIED,
                        schema: self.schemas.of(kind, &listing.version),
                        custom: listing.custom,
                    };
                    is_unchanged(&wanted, item)
                });
                if unchanged {
                    Stored::Unchanged(Packed::of(item, api_version, &kind.kind))
                } else {
                    Stored::whole(item, api_version, &kind.kind)
                }
            }
            None if label.is_some_and(|label| self.ours.contains(label)) => {
                Stored::whole(item, api_version, &kind.kind)
            }
            None => Stored::Packed(Packed::of(item, api_version, &kind.kind)),
        };
        Some((reference, stored))
    }
}
