//! Live state as a file: enough to plan without a cluster, and no secret value.

use super::allowed::Allowed;
use super::{Coverage, Live, Served, Source};
use crate::desired::Desired;
use crate::object::{GroupKind, ObjectRef, Untrusted};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use serde_json_borrow::{ObjectAsVec, Value as Borrowed};

use std::fmt::Write as _;

/// The version of the format.
pub const SCHEMA: &str = "spinway.dev/snapshot/v1";

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is no JSON of this form. Its own words are not repeated: a file that was named by mistake may hold a secret.
    #[error("not a snapshot: line {}, column {} is not as `spinway snapshot` writes it", .0.line(), .0.column())]
    Form(serde_json::Error),
    /// It is of another version.
    #[error("a snapshot of format `{0}`; this version reads `{SCHEMA}`")]
    Schema(String),
    /// A field of an object stands twice, so that readers do not agree which one counts.
    #[error("not a snapshot: field `{0}` of an object stands twice")]
    Twice(String),
}

/// A file as it is read: its objects stay in its bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadFile<'a> {
    schema: String,
    cluster: String,
    #[serde(default)]
    namespace: String,
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

/// How old live state is that was read from a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Age {
    /// When it was taken (RFC 3339), as the file says.
    pub time: Untrusted,
    /// Whole hours since then; none when the time cannot be read.
    pub hours: Option<i64>,
    /// Whether it is too old to issue approvals: what stands there now may be something else.
    pub stale: bool,
}

/// A snapshot of so many hours is too old to issue approvals.
const STALE_HOURS: i64 = 24;

/// A snapshot that is dated further ahead is of an unknown age.
const MAX_AHEAD_SECONDS: i64 = 600;

/// A list, an item a line.
fn lines(text: &mut String, items: impl Iterator<Item = Value>) {
    text.push('[');
    for (index, item) in items.enumerate() {
        let _ = write!(text, "{}\n{item}", if index == 0 { "" } else { "," });
    }
    text.push(']');
}

/// What a snapshot says beside when it was taken.
pub fn content(snapshot: &str) -> &str {
    snapshot.split_once('\n').map_or("", |(_, content)| content)
}

/// When a snapshot was taken, in seconds since 1970, as its first line says; none when it is no snapshot.
pub fn taken(snapshot: &str) -> Option<i64> {
    let first = snapshot.lines().next()?.trim_end_matches(',');
    let head: Value = serde_json::from_str(&format!("{first}}}")).ok()?;
    seconds(head.get("time")?.as_str()?)
}

fn seconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

impl Live {
    /// Writes the state as a snapshot: what planning this repository needs of it (`allowed.rs`). The first line alone holds
    /// the time, and each object is a line, so that what stays the same is the same text.
    pub fn to_snapshot(&self, desired: &Desired) -> String {
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
        let allowed = Allowed::new(desired, &self.schemas);
        let objects = self.objects().map(|(reference, value)| allowed.copy(reference, value));
        let mut text = format!("{{\"schema\":{},\"time\":{},\n", json!(SCHEMA), json!(self.time));
        let _ = writeln!(text, "\"cluster\":{},", json!(self.cluster_uid));
        if !self.namespace.is_empty() {
            let _ = writeln!(text, "\"namespace\":{},", json!(self.namespace));
        }
        text.push_str("\"kinds\":");
        lines(&mut text, rows.map(|row| json!(row)));
        text.push_str(",\n\"absent\":");
        lines(&mut text, self.absent.iter().map(|reference| json!(reference)));
        text.push_str(",\n\"objects\":");
        lines(&mut text, objects);
        text.push_str("}\n");
        text
    }

    /// The age at a time in seconds since 1970; none when this is no snapshot.
    pub fn age(&self, now: i64) -> Option<Age> {
        if self.source != Source::Snapshot {
            return None;
        }
        // No clock is that wrong.
        let hours = seconds(&self.time)
            .filter(|taken| *taken <= now + MAX_AHEAD_SECONDS)
            .map(|taken| (now - taken).max(0) / 3600);
        let stale = hours.is_none_or(|hours| hours >= STALE_HOURS);
        Some(Age { time: Untrusted::new(self.time.as_str()), hours, stale })
    }

    /// Reads a snapshot: what is known but for the objects, and these as they stand in the text.
    ///
    /// # Errors
    /// The text is no snapshot of this version.
    pub fn from_snapshot(text: &[u8]) -> Result<(Self, Vec<Borrowed<'_>>), SnapshotError> {
        let file: ReadFile<'_> = serde_json::from_slice(text).map_err(SnapshotError::Form)?;
        if file.schema != SCHEMA {
            return Err(SnapshotError::Schema(file.schema));
        }
        let mut live = Self {
            source: Source::Snapshot,
            cluster_uid: file.cluster,
            time: file.time,
            namespace: file.namespace,
            ..Self::default()
        };
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
        match file.objects.iter().find_map(twice) {
            Some(field) => Err(SnapshotError::Twice(field)),
            None => Ok((live, file.objects)),
        }
    }
}

/// A field that stands twice where it says which object it is: at the top or in the metadata.
fn twice(object: &Borrowed<'_>) -> Option<String> {
    let among = |map: &ObjectAsVec<'_>| {
        let fields: Vec<&str> = map.iter().map(|(field, _)| field).collect();
        let is_again = |(at, field): &(usize, &&str)| fields[..*at].contains(field);
        fields.iter().enumerate().find(is_again).map(|(_, field)| (*field).to_owned())
    };
    let object = object.as_object()?;
    among(object).or_else(|| among(object.get("metadata")?.as_object()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Presence;

    #[test]
    fn a_snapshot_in_which_a_field_stands_twice_is_refused() {
        let with = |object: &str| {
            format!(
                "{{\"schema\": \"{SCHEMA}\", \"time\": \"\", \"cluster\": \"\", \"kinds\": [], \"absent\": [], \"objects\": [{object}]}}"
            )
        };
        let of = |metadata: &str, rest: &str| {
            let text = with(&format!(
                "{{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {{\"name\": \"a\"{metadata}}}{rest}}}"
            ));
            Live::from_snapshot(text.as_bytes()).err().map(|error| error.to_string())
        };
        assert_eq!(of("", ""), None);
        assert!(of(", \"name\": \"b\"", "").is_some_and(|error| error.contains("`name`")));
        assert!(of("", ", \"metadata\": {\"name\": \"b\"}").is_some_and(|error| error.contains("`metadata`")));
    }

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
        let text = live.to_snapshot(&Desired::default());
        let read = Live::from_snapshot(text.as_bytes());
        let (mut read, objects) = read.unwrap_or_default();
        objects.iter().for_each(|object| read.insert(object.into()));
        assert!(matches!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "a")), Presence::Present(_)));
        assert_eq!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "gone")), Presence::Absent);
        assert!(matches!(read.presence(&ObjectRef::new("", "ConfigMap", "n", "other")), Presence::Unseen));
        assert!(Live::from_snapshot(b"{}").is_err());
        // A later one of the same state differs in its first line alone.
        live.time = "later".to_owned();
        let later = live.to_snapshot(&Desired::default());
        assert!(later != text && content(&later) == content(&text) && taken(&later).is_none());
        live.time = "1970-01-01T01:00:00Z".to_owned();
        assert_eq!(taken(&live.to_snapshot(&Desired::default())), Some(3600));
    }
}
