//! Fields that someone else writes back each time: after some rounds they are left alone, so that two controllers do not
//! write against each other for ever.

use std::collections::{BTreeMap, BTreeSet};

/// So many corrections make a field contested: within [`WINDOW`], or in consecutive turns that wrote.
const ROUNDS: usize = 3;
/// The window, in seconds.
const WINDOW: i64 = 3600;
/// The most fields that are remembered.
const MAX_FIELDS: usize = 1000;

/// The corrections of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Corrections {
    /// When it was corrected last, the newest at the end, in seconds since 1970.
    pub at: Vec<i64>,
    /// In how many turns that wrote, one after the other.
    pub turns: usize,
    /// A digest of what it was corrected to; empty when that is not recorded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wanted: String,
    /// Who had written it last; empty when that is not recorded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// One field that a turn corrected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// The field, as it is shown.
    pub path: String,
    /// A digest of what it was corrected to.
    pub wanted: String,
    /// Who had written it; empty when that is not recorded.
    pub by: String,
}

impl Corrections {
    /// Whether the field is contested.
    pub(super) fn is_contested(&self, now: i64) -> bool {
        let recent = self.at.iter().filter(|at| **at > now - WINDOW).count();
        recent >= ROUNDS || self.turns >= ROUNDS && self.at.last().is_some_and(|at| *at > now - 24 * WINDOW)
    }

    /// Whether it was corrected to this; of old records that is not known.
    pub(super) fn is_of(&self, wanted: &str) -> bool {
        self.wanted.is_empty() || self.wanted == wanted
    }
}

/// Records which fields, by name, a turn corrected; those that it did not have to correct are no longer in a row. One that is
/// corrected to something new begins anew.
pub(super) fn corrected(known: &mut BTreeMap<String, Corrections>, fields: Vec<(String, Correction)>, now: i64) {
    let names: BTreeSet<&String> = fields.iter().map(|(name, _)| name).collect();
    known.retain(|name, found| names.contains(name) || found.at.iter().any(|at| *at > now - WINDOW));
    for found in known.values_mut() {
        found.at.retain(|at| *at > now - WINDOW);
    }
    for (name, found) in &mut *known {
        if !names.contains(name) {
            found.turns = 0;
        }
    }
    for (name, field) in fields {
        if known.len() < MAX_FIELDS || known.contains_key(&name) {
            let found = known.entry(name).or_default();
            if !found.is_of(&field.wanted) {
                *found = Corrections::default();
            }
            found.at.push(now);
            found.turns += 1;
            found.wanted = field.wanted;
            found.by = field.by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Correction;
    use crate::inventory::State;
    use crate::object::ObjectRef;

    fn object() -> ObjectRef {
        ObjectRef::new("", "ConfigMap", "a", "b")
    }

    fn to(wanted: &str) -> Vec<(ObjectRef, Correction)> {
        vec![(object(), Correction { path: "data.k".to_owned(), wanted: wanted.to_owned(), by: "other".to_owned() })]
    }

    fn contested<'a>(state: &'a State, path: &str, wanted: &str, now: i64) -> Option<&'a str> {
        state.contested(&object(), path, wanted, now).map(|found| found.by.as_str())
    }

    #[test]
    fn a_field_is_contested_after_three_rounds_and_free_again_later() {
        let mut state = State::default();
        for now in [0, 60, 120] {
            assert_eq!(contested(&state, "data.k", "v1", now), None);
            state.corrected(to("v1"), now);
        }
        assert_eq!(contested(&state, "data.k", "v1", 130), Some("other"));
        assert_eq!(contested(&state, "data.other", "v1", 130), None);
        // Turns that had other work to do, and did not find it again.
        state.corrected(Vec::new(), 200);
        assert_eq!(contested(&state, "data.k", "v1", 200), Some("other"), "three within the hour");
        assert_eq!(contested(&state, "data.k", "v1", 4000), None);
    }

    #[test]
    fn slow_rounds_count_too() {
        let mut state = State::default();
        for turn in 0..3 {
            state.corrected(to("v1"), turn * 2 * 3600);
        }
        assert_eq!(contested(&state, "data.k", "v1", 4 * 3600 + 60), Some("other"));
        assert_eq!(contested(&state, "data.k", "v1", 40 * 3600), None);
    }

    #[test]
    fn what_the_repository_wants_anew_is_not_contested_and_begins_anew() {
        let mut state = State::default();
        (0..3).for_each(|now| state.corrected(to("v1"), now));
        assert_eq!(contested(&state, "data.k", "v2", 10), None);
        for now in 11..13 {
            state.corrected(to("v2"), now);
            assert_eq!(contested(&state, "data.k", "v2", now), None);
        }
        state.corrected(to("v2"), 13);
        assert_eq!(contested(&state, "data.k", "v2", 13), Some("other"));
    }

    #[test]
    fn what_was_wanted_in_between_ends_the_contest() {
        let mut state = State::default();
        (0..3).for_each(|now| state.corrected(to("v1"), now));
        state.renewed(&[(object(), "data.k".to_owned())]);
        assert_eq!(contested(&state, "data.k", "v1", 10), None);
    }

    #[test]
    fn records_of_before_say_not_what_was_wanted() {
        let old = r#"{"corrections": {"ConfigMap|a|b data.k": {"at": [1, 2, 3], "turns": 3}}}"#;
        let state: State = serde_json::from_str(old).unwrap();
        assert_eq!(contested(&state, "data.k", "v2", 10), Some(""));
    }
}
