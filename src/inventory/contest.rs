//! Fields that someone else writes back each time: after some rounds they are left alone, so that two controllers do not
//! write against each other for ever.

use std::collections::BTreeMap;

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
}

impl Corrections {
    /// Whether the field is contested.
    pub(super) fn is_contested(&self, now: i64) -> bool {
        let recent = self.at.iter().filter(|at| **at > now - WINDOW).count();
        recent >= ROUNDS || self.turns >= ROUNDS && self.at.last().is_some_and(|at| *at > now - 24 * WINDOW)
    }
}

/// Records which fields, by name, a turn corrected; those that it did not have to correct are no longer in a row.
pub(super) fn corrected(known: &mut BTreeMap<String, Corrections>, names: Vec<String>, now: i64) {
    known.retain(|name, found| names.contains(name) || found.at.iter().any(|at| *at > now - WINDOW));
    for found in known.values_mut() {
        found.at.retain(|at| *at > now - WINDOW);
    }
    for (name, found) in &mut *known {
        if !names.contains(name) {
            found.turns = 0;
        }
    }
    for name in names {
        if known.len() < MAX_FIELDS || known.contains_key(&name) {
            let found = known.entry(name).or_default();
            found.at.push(now);
            found.turns += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::inventory::State;
    use crate::object::ObjectRef;

    #[test]
    fn a_field_is_contested_after_three_rounds_and_free_again_later() {
        let object = ObjectRef::new("", "ConfigMap", "a", "b");
        let field = [(object.clone(), "data.k".to_owned())];
        let mut state = State::default();
        for now in [0, 60, 120] {
            assert!(!state.is_contested(&object, "data.k", now));
            state.corrected(&field, now);
        }
        assert!(state.is_contested(&object, "data.k", 130));
        assert!(!state.is_contested(&object, "data.other", 130));
        // Turns that had other work to do, and did not find it again.
        state.corrected(&[], 200);
        assert!(state.is_contested(&object, "data.k", 200), "three within the hour");
        assert!(!state.is_contested(&object, "data.k", 4000));
    }

    #[test]
    fn slow_rounds_count_too() {
        let object = ObjectRef::new("", "ConfigMap", "a", "b");
        let mut state = State::default();
        for turn in 0..3 {
            state.corrected(&[(object.clone(), "data.k".to_owned())], turn * 2 * 3600);
        }
        assert!(state.is_contested(&object, "data.k", 4 * 3600 + 60));
        assert!(!state.is_contested(&object, "data.k", 40 * 3600));
    }
}
