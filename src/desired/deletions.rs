//! How much may be deleted before it waits for approval (design law 6).

use super::notation::duration;
use super::{Config, Environment};
use schemars::JsonSchema;
use serde::Deserialize;

/// How much may be deleted before it waits for approval, as it is written. Renames and superseded versions of Apps do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Deletions {
    /// So many objects of a partition, whatever its size; default 3. A protected environment has at most 10.
    pub count: Option<u32>,
    /// So many of a hundred objects of a partition, where that is more; default 10. A protected environment has at most 25.
    pub percent: Option<u32>,
    /// So many objects of the whole environment; default 20. A protected environment has at most 50.
    pub total: Option<u32>,
    /// Within which time: `24h`, the default, which is the least in a protected environment; at most `720h`.
    pub window: Option<String>,
}

/// The budget of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Objects of a partition, whatever its size.
    pub count: usize,
    /// Of a hundred objects of a partition, where that is more.
    pub percent: usize,
    /// Objects of the environment.
    pub total: usize,
    /// The window in seconds.
    pub window: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { count: 3, percent: 10, total: 20, window: 24 * 3600 }
    }
}

/// The most that a protected environment may have; of the window it is the least.
const CEILING: Budget = Budget { count: 10, percent: 25, total: 50, window: 24 * 3600 };
/// The longest window in seconds: what is deleted is remembered that long.
const LONGEST: i64 = 720 * 3600;

impl Budget {
    /// How many objects of a partition of this size may go.
    pub fn of_partition(&self, size: usize) -> usize {
        (size.saturating_mul(self.percent) / 100).max(self.count)
    }
}

/// The seconds of a window as it is written; none for what is none.
fn window(text: &str) -> Option<i64> {
    let seconds = duration(text)?;
    // At most 99999h by its syntax, so that nothing is lost.
    let whole = seconds as i64;
    (60..=LONGEST).contains(&whole).then_some(whole)
}

impl Config {
    /// The budget of deletions of an environment.
    pub fn budget(&self, environment: &Environment) -> Budget {
        let (own, all, default) = (&environment.deletions, &self.deletions, Budget::default());
        let number = |own: Option<u32>, all: Option<u32>, default| {
            own.or(all).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
        };
        Budget {
            count: number(own.count, all.count, default.count),
            percent: number(own.percent, all.percent, default.percent),
            total: number(own.total, all.total, default.total),
            window: own.window.as_ref().or(all.window.as_ref()).and_then(|w| window(w)).unwrap_or(default.window),
        }
    }

    /// What is wrong with the budgets: where it is written, and what.
    pub(super) fn wrong_budgets(&self) -> Vec<(String, String)> {
        let own = |index: usize| format!("/spec/environments/{index}/deletions");
        let environments = self.environments.iter().enumerate();
        let written = environments.clone().map(|(index, environment)| (own(index), &environment.deletions));
        let mut wrong = Vec::new();
        for (pointer, deletions) in written.chain([("/spec/deletions".to_owned(), &self.deletions)]) {
            if deletions.percent.is_some_and(|percent| percent > 100) {
                wrong.push((format!("{pointer}/percent"), "`percent` is at most 100.".to_owned()));
            }
            if deletions.window.as_ref().is_some_and(|text| window(text).is_none()) {
                let message = "`window` is a duration from `1m` to `720h`: `24h`.".to_owned();
                wrong.push((format!("{pointer}/window"), message));
            }
        }
        for (index, environment) in environments.filter(|(_, environment)| environment.protected) {
            let budget = self.budget(environment);
            let deletions = &environment.deletions;
            let rows = [
                ("count", deletions.count.is_some(), budget.count > CEILING.count, "at most 10"),
                ("percent", deletions.percent.is_some(), budget.percent > CEILING.percent, "at most 25"),
                ("total", deletions.total.is_some(), budget.total > CEILING.total, "at most 50"),
                ("window", deletions.window.is_some(), budget.window < CEILING.window, "at least 24h"),
            ];
            for (field, is_own, _, bound) in rows.into_iter().filter(|(_, _, beyond, _)| *beyond) {
                let at = if is_own { own(index) } else { "/spec/deletions".to_owned() };
                let message =
                    format!("Environment `{}` is protected: its `deletions.{field}` is {bound}.", environment.name);
                wrong.push((format!("{at}/{field}"), message));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{Entry, ReadError, Tree, read};

    fn config(spec: &str) -> Result<Budget, Vec<String>> {
        let text = format!("apiVersion: spinway.dev/v1alpha1\nkind: Config\nmetadata: {{name: t}}\nspec:\n{spec}");
        let tree = Tree::of([("spinway.yaml".to_owned(), Entry::File(text.into_bytes()))].into());
        match read(&tree, Some("one")) {
            Ok(desired) => Ok(desired.rules().budget(&desired.environment)),
            Err(ReadError::Config(found, _)) => Err(found
                .iter()
                .map(|f| format!("{} {}", f.origin.as_ref().unwrap().position.line, f.message.raw()))
                .collect()),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn an_environment_has_the_budget_of_all_and_its_own() {
        assert_eq!(config("  environments: [{name: one}]\n"), Ok(Budget::default()));
        let spec =
            "  deletions: {count: 5, window: 48h}\n  environments: [{name: one, deletions: {count: 7, percent: 50}}]\n";
        assert_eq!(config(spec), Ok(Budget { count: 7, percent: 50, total: 20, window: 48 * 3600 }));
        assert_eq!(Budget { percent: 10, ..Budget::default() }.of_partition(45), 4);
        assert_eq!(Budget { count: 0, percent: 0, ..Budget::default() }.of_partition(1000), 0);
    }

    #[test]
    fn a_protected_environment_has_a_ceiling() {
        let protected = |deletions: &str| {
            format!(
                "  environments:\n    - name: one\n      protected: true\n      cluster: {{uid: u}}\n      deletions:\n        {deletions}\n"
            )
        };
        assert!(config(&protected("count: 10")).is_ok());
        for (deletions, expected) in [
            ("count: 11", "10 Environment `one` is protected: its `deletions.count` is at most 10."),
            ("percent: 26", "10 Environment `one` is protected: its `deletions.percent` is at most 25."),
            ("total: 51", "10 Environment `one` is protected: its `deletions.total` is at most 50."),
            ("window: 23h", "10 Environment `one` is protected: its `deletions.window` is at least 24h."),
            ("percent: 101", "10 `percent` is at most 100."),
            ("window: 1d", "10 `window` is a duration from `1m` to `720h`: `24h`."),
            ("window: 5s", "10 `window` is a duration from `1m` to `720h`: `24h`."),
        ] {
            let found = config(&protected(deletions)).unwrap_err();
            assert!(found.contains(&expected.to_owned()), "{deletions}: {found:?}");
        }
        // What is written for all is told where it stands, and is right for the others.
        let all = "  deletions: {count: 12}\n  environments:\n    - {name: one}\n    - {name: two, protected: true, cluster: {uid: u}}\n";
        assert_eq!(
            config(all),
            Err(vec!["5 Environment `two` is protected: its `deletions.count` is at most 10.".to_owned()])
        );
        assert!(config(&all.replace("{uid: u}", "{uid: u}, deletions: {count: 9}")).is_ok());
    }
}
