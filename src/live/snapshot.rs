//! Live state as a file: enough to plan without a cluster, and no secret value.

use super::{Coverage, Live, Served, Source, masked};
use crate::object::{GroupKind, ObjectRef};
use crate::schema::{CRD_GROUP, compact_crd};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json_borrow::Value as Borrowed;

/// The version of the format.
pub const SCHEMA: &str = "spinway.dev/snapshot/v1";

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no JSON of this form.
    #[error("not a snapshot: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("a snapshot of format `{0}`; this version reads `{SCHEMA}`")]
    Schema(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File {
    schema: String,
    cluster: String,
    time: String,
    kinds: Vec<KindRow>,
    absent: Vec<ObjectRef>,
    objects: Vec<Value>,
}

/// A file as it is read: its objects stay in its bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadFile<'a> {
    schema: String,
    cluster: String,
    time: String,
    kinds: Vec<KindRow>,
    absent: Vec<ObjectRef>,
    #[serde(borrow, deserialize_with = "objects")]
    objects: Vec<Borrowed<'a>>,
}

fn objects<'de: 'a, 'a, D: Deserializer<'de>>(reader: D) -> Result<Vec<Borrowed<'a>>, D::Error> {
    Vec::<Borrowed<'de>>::deserialize(reader)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KindRow {
    group: String,
    kind: String,
    versions: Vec<String>,
    plural: String,
    namespaced: bool,
    /// `all`, `labelled`, the reason why it is unknown, or null when it was not listed.
    #[serde(default)]
    listed: Option<String>,
}

impl Live {
    /// Writes the state as a snapshot; `public` says which literal values are in Git and so no secret.
    pub fn to_snapshot(&self, public: &dyn Fn(&str) -> bool) -> Value {
        let rows = self.kinds.iter().map(|(kind, served)| KindRow {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            versions: served.versions.clone(),
            plural: served.plural.clone(),
            namespaced: served.namespaced,
            listed: self.coverage.get(kind).map(|coverage| match coverage {
                Coverage::All => "all".to_owned(),
                Coverage::Labelled => "labelled".to_owned(),
                Coverage::Unknown(reason) => format!("unknown: {reason}"),
            }),
        });
        let objects = self.objects().map(|(reference, value)| {
            let is_crd = reference.is(CRD_GROUP, "CustomResourceDefinition");
            if is_crd { compact_crd(value) } else { masked(value, public) }
        });
        let file = File {
            schema: SCHEMA.to_owned(),
            cluster: self.cluster_uid.clone(),
            time: self.time.clone(),
            kinds: rows.collect(),
            absent: self.absent.iter().cloned().collect(),
            objects: objects.collect(),
        };
        serde_json::to_value(file).unwrap_or_default()
    }

    /// Reads a snapshot: what is known but for the objects, and these as they stand in the text.
    ///
    /// # Errors
    /// The text is no snapshot of this version.
    pub fn from_snapshot(text: &[u8]) -> Result<(Self, Vec<Borrowed<'_>>), SnapshotError> {
        let file: ReadFile<'_> = serde_json::from_slice(text)?;
        if file.schema != SCHEMA {
            return Err(SnapshotError::Schema(file.schema));
        }
        let mut live = Self { source: Source::Snapshot, cluster_uid: file.cluster, time: file.time, ..Self::default() };
        for row in file.kinds {
            let kind = GroupKind::new(&row.group, &row.kind);
            let coverage = match row.listed.as_deref() {
                Some("all") => Some(Coverage::All),
                Some("labelled") => Some(Coverage::Labelled),
                Some(reason) => Some(Coverage::Unknown(reason.trim_start_matches("unknown: ").to_owned())),
                None => None,
            };
            if let Some(coverage) = coverage {
                live.coverage.insert(kind.clone(), coverage);
            }
            live.kinds.insert(kind, Served { versions: row.versions, plural: row.plural, namespaced: row.namespaced });
        }
        live.absent = file.absent.into_iter().collect();
        Ok((live, file.objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Presence;
    use serde_json::json;

    #[test]
    fn a_snapshot_keeps_what_was_proven() {
        let mut live = Live::default();
        let kind = GroupKind::new("", "ConfigMap");
        live.kinds.insert(
            kind.clone(),
            Served { versions: vec!["v1".into()], plural: "configmaps".into(), namespaced: true },
        );
        live.coverage.insert(kind, Coverage::Labelled);
        live.insert(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"x": "1"}}));
        live.prove_absent(ObjectRef::new("", "ConfigMap", "n", "gone"));
        let text = live.to_snapshot(&|_| true).to_string();
        let read = Live::from_snapshot(text.as_bytes());
        let (mut read, objects) = read.unwrap_or_default();
        objects.iter().for_each(|object| read.insert(object.into()));
        assert!(matches!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "a")), Presence::Present(_)));
        assert_eq!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "gone")), Presence::Absent);
        assert!(matches!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "other")), Presence::Unseen));
        assert!(Live::from_snapshot(b"{}").is_err());
    }
}
