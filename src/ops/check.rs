//! Checking a repository without a cluster.

use super::{Error, Given};
use crate::check;
use crate::desired::{self, ReadError, Tree};
use crate::object::{Diagnostic, Severity, Untrusted};
use crate::schema::{Release, Schemas};
use crate::source::Repository;

/// What was found.
pub struct Checked {
    /// The repository.
    pub repository: Repository,
    /// The environments that were checked; none without Config.
    pub environments: Vec<String>,
    /// What is to be said first: how the rules change.
    pub notices: Vec<Untrusted>,
    /// The findings, each once, by place.
    pub found: Vec<Diagnostic>,
}

impl Checked {
    /// How many findings are this bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Checks a repository: the environment that is asked for, or all of them; with a base, under the rules of that revision.
///
/// # Errors
/// The repository or its Config cannot be read.
pub fn check(given: &Given, base: Option<&str>, controller: Option<&Release>) -> Result<Checked, Error> {
    let mut repository = given.place.read()?;
    let notices = match base {
        Some(base) => {
            let before = given.at(base).place.read()?;
            desired::under_the_rules_of(&before.tree, &mut repository.tree)
        }
        None => Vec::new(),
    };
    let environments = match &given.environment {
        Some(asked) => vec![asked.clone()],
        None => desired::environments(&repository.tree)?,
    };
    let found = find(&repository.tree, &environments, controller)?;
    Ok(Checked { repository, environments, notices, found })
}

/// What all checks find in these environments of a tree, each once, by place.
pub(super) fn find(
    tree: &Tree,
    environments: &[String],
    controller: Option<&Release>,
) -> Result<Vec<Diagnostic>, ReadError> {
    let mut read = Vec::new();
    let each: Vec<Option<&str>> = if environments.is_empty() {
        vec![None]
    } else {
        environments.iter().map(|name| Some(name.as_str())).collect()
    };
    for environment in each {
        read.push(desired::read(tree, environment)?);
    }
    let mut found = check::all(&read, controller, &Schemas::default());
    found.sort_by(|a, b| (&a.origin, a.severity, a.id, &a.message).cmp(&(&b.origin, b.severity, b.id, &b.message)));
    found.dedup_by(|a, b| (&a.origin, a.id, &a.message) == (&b.origin, b.id, &b.message));
    Ok(found)
}
