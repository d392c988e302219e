//! Built-in tables of the kinds that Gateway API and SpinKube release: structural facts (field names, types, defaults, list
//! types, limits, patterns) of several releases and both channels, made from their definitions by `tests/it/released.rs`,
//! without prose and without rules in CEL.

use super::Schema;
use crate::object::GroupKind;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static TABLE: LazyLock<Table> = LazyLock::new(Table::load);

/// The releases and channels in which a kind is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Installed<'a> {
    /// The release of Gateway API, without `v`: `1.6`; none is the newest.
    pub release: Option<&'a str>,
    /// Whether its experimental channel is installed; none is not known, so its fields may be there.
    pub experimental: Option<bool>,
}

/// What a release says of a kind.
#[derive(Clone, Copy, Debug)]
pub enum Released<'a> {
    /// Its schema.
    Schema(Schema<'a>),
    /// The release does not have the kind in this version; another one, or the other channel, has.
    Elsewhere,
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    definitions: Map<String, Value>,
}

struct Row {
    release: String,
    /// Empty where there are no channels.
    channel: String,
    kind: GroupKind,
    version: String,
    definition: String,
}

impl Table {
    /// Reads the file. It is part of the binary and a test reads it, so an unreadable one is an empty table.
    fn load() -> Self {
        let Ok(Value::Object(mut file)) = serde_json::from_str(include_str!("released.json")) else {
            return Self::default();
        };
        let definitions = match file.remove("definitions") {
            Some(Value::Object(definitions)) => definitions,
            _ => Map::new(),
        };
        let rows = file.get("kinds").and_then(Value::as_array).into_iter().flatten().map(|row| {
            let text = |index: usize| row.get(index).and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = GroupKind { group: text(2), kind: text(3) };
            Row { release: text(0), channel: text(1), kind, version: text(4), definition: text(5) }
        });
        Self { rows: rows.collect(), definitions }
    }

    fn schema(&'static self, row: &Row) -> Option<Schema<'static>> {
        let node = self.definitions.get(&row.definition)?.as_object()?;
        Some(Schema { node, definitions: Some(&self.definitions) })
    }
}

/// The schema of a kind as a release has it; none where no release has the kind.
pub fn released(kind: &GroupKind, version: &str, installed: Installed<'_>) -> Option<Released<'static>> {
    let of_kind: Vec<&Row> = TABLE.rows.iter().filter(|row| row.kind == *kind).collect();
    let newest = of_kind.last().map(|row| row.release.as_str())?;
    let release = |row: &&Row| match installed.release {
        _ if row.channel.is_empty() => true,
        Some(wanted) => {
            row.release[1..].strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        None => row.release == newest,
    };
    let channel = |row: &&Row| row.channel != "experimental" || installed.experimental != Some(false);
    // The experimental channel has all of the standard one, and stands after it.
    let found = of_kind.iter().copied().filter(|row| row.version == version).filter(release).rfind(channel);
    Some(found.and_then(|row| TABLE.schema(row)).map_or(Released::Elsewhere, Released::Schema))
}

/// The kinds of a group that any release has.
pub(super) fn kinds_of(group: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    TABLE.rows.iter().filter(move |row| row.kind.group == group).map(|row| row.kind.kind.as_str())
}

/// Which releases have the node at a pointer of a kind, for people: `the experimental channel of Gateway API 1.6`.
pub fn who_has(kind: &GroupKind, version: &str, pointer: &str) -> Option<String> {
    let rows = TABLE.rows.iter().filter(|row| row.kind == *kind && row.version == version && !row.channel.is_empty());
    let first = rows
        .filter(|row| TABLE.schema(row).is_some_and(|schema| schema.at(pointer).is_some()))
        .max_by_key(|row| (row.channel == "standard", std::cmp::Reverse(row.release.clone())))?;
    let release = first.release[1..].rsplit_once('.').map_or("", |(release, _)| release);
    Some(match first.channel.as_str() {
        "standard" => format!("Gateway API {release} and newer"),
        channel => format!("the {channel} channel of Gateway API {release}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(kind: &str) -> GroupKind {
        GroupKind::new("gateway.networking.k8s.io", kind)
    }

    #[test]
    fn releases_and_channels_are_told_apart() {
        let has = |kind: &str, pointer: &str, release: Option<&'static str>, experimental: Option<bool>| {
            let found = released(&gateway(kind), "v1", Installed { release, experimental });
            matches!(found, Some(Released::Schema(schema)) if schema.at(pointer).is_some())
        };
        let session = "/spec/rules/0/sessionPersistence/type";
        assert!(has("HTTPRoute", "/spec/rules/0/matches/0/path/value", None, Some(false)));
        assert!(has("HTTPRoute", session, None, None) && has("HTTPRoute", session, Some("1.6"), Some(true)));
        assert!(!has("HTTPRoute", session, None, Some(false)));
        let retry = "/spec/rules/0/retry";
        assert!(
            has("HTTPRoute", retry, Some("1.7"), Some(false)) && !has("HTTPRoute", retry, Some("1.6"), Some(false))
        );
        assert!(released(&gateway("Nothing"), "v1", Installed::default()).is_none());
        let elsewhere = released(&gateway("HTTPRoute"), "v7", Installed::default());
        assert!(matches!(elsewhere, Some(Released::Elsewhere)));
        assert!(released(&GroupKind::new("core.spinkube.dev", "SpinApp"), "v1alpha1", Installed::default()).is_some());
        assert_eq!(who_has(&gateway("HTTPRoute"), "v1", retry).as_deref(), Some("Gateway API 1.7 and newer"));
        assert_eq!(
            who_has(&gateway("HTTPRoute"), "v1", session).as_deref(),
            Some("the experimental channel of Gateway API 1.5")
        );
        assert_eq!(who_has(&gateway("HTTPRoute"), "v1", "/spec/nothing"), None);
    }
}
