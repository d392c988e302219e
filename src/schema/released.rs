//! Built-in tables of the kinds that Gateway API and SpinKube release: structural facts (field names, types, defaults, list
//! types, limits, patterns) of several releases and both channels, made from their definitions by `tests/it/released.rs`,
//! without prose and without rules in CEL.

use super::Schema;
use crate::object::GroupKind;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static TABLE: LazyLock<Table> = LazyLock::new(Table::load);

/// A release, by its first two numbers.
pub type Numbers = (u64, u64);

/// A release and channel of Gateway API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition {
    /// The release.
    pub release: Numbers,
    /// Whether it is the experimental channel, which has all of the standard one.
    pub experimental: bool,
}

impl std::fmt::Display for Edition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channel = if self.experimental { "experimental" } else { "standard" };
        write!(f, "Gateway API {}.{} ({channel} channel)", self.release.0, self.release.1)
    }
}

/// The releases and channels in which a kind is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The release of Gateway API; none is not known, so the newest one judges.
    pub release: Option<Numbers>,
    /// Whether its experimental channel is installed; none is not known, so its fields may be there.
    pub experimental: Option<bool>,
}

impl Installed {
    /// The editions that judge: the one that is installed, of the newest release where none is named, in both channels where
    /// none is named; the one that has most is the last. Empty for a release that the tables do not have.
    pub fn editions(self) -> Vec<Edition> {
        let release = self.release.or_else(|| releases().last().copied());
        self.possible().into_iter().filter(|edition| Some(edition.release) == release).collect()
    }

    /// All editions of the tables that may be installed.
    pub fn possible(self) -> Vec<Edition> {
        let all = TABLE.rows.iter().filter_map(|row| row.edition).collect::<BTreeSet<Edition>>();
        let may_be = |edition: &Edition| {
            self.release.is_none_or(|release| release == edition.release)
                && self.experimental.is_none_or(|experimental| experimental == edition.experimental)
        };
        all.into_iter().filter(may_be).collect()
    }
}

#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    definitions: Map<String, Value>,
}

struct Row {
    /// Of Gateway API; SpinKube has one release here, and no channels.
    edition: Option<Edition>,
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
        let rows = file.get("kinds").and_then(Value::as_array).into_iter().flatten().filter_map(|row| {
            let text = |index: usize| row.get(index).and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = GroupKind { group: text(2), kind: text(3) };
            let release = release_numbers(&text(0))?;
            let channel = text(1);
            let edition = (!channel.is_empty()).then(|| Edition { release, experimental: channel == "experimental" });
            Some(Row { edition, kind, version: text(4), definition: text(5) })
        });
        Self { rows: rows.collect(), definitions }
    }

    fn schema(&'static self, row: &Row) -> Option<Schema<'static>> {
        let node = self.definitions.get(&row.definition)?.as_object()?;
        Some(Schema { node, definitions: Some(&self.definitions) })
    }

    fn of_kind(&'static self, kind: &GroupKind) -> impl Iterator<Item = &'static Row> {
        self.rows.iter().filter(move |row| row.kind == *kind)
    }
}

/// The releases of Gateway API that the tables have, oldest first.
pub fn releases() -> Vec<Numbers> {
    let all: BTreeSet<Numbers> = TABLE.rows.iter().filter_map(|row| Some(row.edition?.release)).collect();
    all.into_iter().collect()
}

/// The first two numbers of a release, which are all that its types depend on: `1.6`, `v1.6` and `1.6.1` mean 1.6.
pub fn release_numbers(text: &str) -> Option<Numbers> {
    let plain = text.strip_prefix('v').unwrap_or(text).split(['-', '+']).next()?;
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten();
    let numbers: Vec<u64> = plain.split('.').map(number).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [major, minor] | [major, minor, _] => Some((*major, *minor)),
        _ => None,
    }
}

/// Whether some release of the tables has a kind.
pub fn is_released(kind: &GroupKind) -> bool {
    TABLE.of_kind(kind).next().is_some()
}

/// Whether a kind has other types in other releases.
pub fn has_editions(kind: &GroupKind) -> bool {
    TABLE.of_kind(kind).any(|row| row.edition.is_some())
}

/// The schema of a kind in a version as an edition has it; of a kind without editions the only one.
pub fn released(kind: &GroupKind, version: &str, edition: Edition) -> Option<Schema<'static>> {
    let mut rows = TABLE.of_kind(kind).filter(|row| row.version == version);
    let row = rows.find(|row| row.edition.is_none_or(|of_row| of_row == edition))?;
    TABLE.schema(row)
}

/// The versions in which an edition serves a kind, newest first.
pub fn versions_in(kind: &GroupKind, edition: Edition) -> Vec<&'static str> {
    let mut versions: Vec<&str> =
        TABLE.of_kind(kind).filter(|row| row.edition == Some(edition)).map(|row| row.version.as_str()).collect();
    // `v1`, `v1beta1`, `v1alpha3`, `v1alpha2`.
    versions.sort_by_key(|version| (version.contains("alpha"), version.contains("beta"), std::cmp::Reverse(*version)));
    versions
}

/// The kinds of a group that any release has.
pub(super) fn kinds_of(group: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    TABLE.rows.iter().filter(move |row| row.kind.group == group).map(|row| row.kind.kind.as_str())
}

/// Which releases have the node at a pointer of a kind, for people: `the experimental channel of Gateway API 1.6`.
pub fn who_has(kind: &GroupKind, version: &str, pointer: &str) -> Option<String> {
    let rows = TABLE.of_kind(kind).filter(|row| row.version == version);
    let having = rows.filter(|row| TABLE.schema(row).is_some_and(|schema| schema.at(pointer).is_some()));
    let first = having
        .filter_map(|row| row.edition)
        .max_by_key(|edition| (!edition.experimental, std::cmp::Reverse(edition.release)))?;
    let (major, minor) = first.release;
    Some(if first.experimental {
        format!("the experimental channel of Gateway API {major}.{minor}")
    } else {
        format!("Gateway API {major}.{minor} and newer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(kind: &str) -> GroupKind {
        GroupKind::new("gateway.networking.k8s.io", kind)
    }

    fn edition(minor: u64, experimental: bool) -> Edition {
        Edition { release: (1, minor), experimental }
    }

    #[test]
    fn releases_and_channels_are_told_apart() {
        let has = |kind: &str, pointer: &str, edition: Edition| {
            released(&gateway(kind), "v1", edition).is_some_and(|schema| schema.at(pointer).is_some())
        };
        let session = "/spec/rules/0/sessionPersistence/type";
        assert!(has("HTTPRoute", "/spec/rules/0/matches/0/path/value", edition(7, false)));
        assert!(has("HTTPRoute", session, edition(7, true)) && has("HTTPRoute", session, edition(6, true)));
        assert!(!has("HTTPRoute", session, edition(7, false)));
        let retry = "/spec/rules/0/retry";
        assert!(has("HTTPRoute", retry, edition(7, false)) && !has("HTTPRoute", retry, edition(6, false)));
        assert!(!is_released(&gateway("Nothing")) && is_released(&gateway("HTTPRoute")));
        assert!(released(&gateway("HTTPRoute"), "v7", edition(7, true)).is_none());
        let spin = GroupKind::new("core.spinkube.dev", "SpinApp");
        assert!(released(&spin, "v1alpha1", edition(7, true)).is_some() && !has_editions(&spin));
        assert_eq!(who_has(&gateway("HTTPRoute"), "v1", retry).as_deref(), Some("Gateway API 1.7 and newer"));
        assert_eq!(
            who_has(&gateway("HTTPRoute"), "v1", session).as_deref(),
            Some("the experimental channel of Gateway API 1.5")
        );
        assert_eq!(who_has(&gateway("HTTPRoute"), "v1", "/spec/nothing"), None);
    }

    #[test]
    fn what_is_installed_says_which_editions_judge() {
        let editions = |release, experimental| Installed { release, experimental }.editions();
        assert_eq!(editions(None, None), [edition(7, false), edition(7, true)]);
        assert_eq!(editions(Some((1, 5)), Some(false)), [edition(5, false)]);
        assert_eq!(editions(Some((1, 4)), None), []);
        let any = Installed { experimental: Some(true), ..Installed::default() }.possible();
        assert_eq!(any, [edition(5, true), edition(6, true), edition(7, true)]);
        assert_eq!(versions_in(&gateway("TLSRoute"), edition(6, true)), ["v1", "v1alpha3", "v1alpha2"]);
        assert_eq!(versions_in(&gateway("TCPRoute"), edition(5, false)), [""; 0]);
    }

    #[test]
    fn a_release_is_known_by_its_first_two_numbers() {
        for (text, expected) in [
            ("1.6", Some((1, 6))),
            ("v1.6", Some((1, 6))),
            ("v1.6.1", Some((1, 6))),
            ("1.6.0-rc.1", Some((1, 6))),
            ("1.10", Some((1, 10))),
            ("1", None),
            ("vv1.6", None),
            ("1.6.x", None),
            ("1..6", None),
            ("1.6.1.2", None),
            ("latest", None),
            ("", None),
        ] {
            assert_eq!(release_numbers(text), expected, "{text}");
        }
    }
}
