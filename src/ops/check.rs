//! Checking a repository without a cluster.

use super::{Error, Given};
use crate::check::{self, AtApply};
use crate::desired::{self, ReadError};
use crate::live::Live;
use crate::object::{Diagnostic, Severity, Untrusted};
use crate::schema::Release;
use crate::source::Repository;
use std::path::{Path, PathBuf};

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
    /// What only the API server can say.
    pub at_apply: AtApply,
}

impl Checked {
    /// How many findings are this bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// What a repository is checked by, beside itself.
#[derive(Default)]
pub struct Beside {
    /// The revision whose rules judge.
    pub base: Option<String>,
    /// The release that every Gateway is taken to be served by.
    pub controller: Option<Release>,
    /// A snapshot of the cluster of the one environment that is checked.
    pub snapshot: Option<PathBuf>,
}

/// Checks a repository: the environment that is asked for, or all of them.
///
/// # Errors
/// The repository, its Config or the snapshot cannot be read, or a snapshot is given for several environments.
pub fn check(given: &Given, beside: &Beside) -> Result<Checked, Error> {
    let mut repository = given.place.read()?;
    let notices = match &beside.base {
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
    let live = match &beside.snapshot {
        Some(_) if environments.len() > 1 => return Err(ReadError::NoEnvironment(environments).into()),
        Some(path) => Some(snapshot(path)?),
        None => None,
    };
    let mut read = Vec::new();
    let each: Vec<Option<&str>> = if environments.is_empty() {
        vec![None]
    } else {
        environments.iter().map(|name| Some(name.as_str())).collect()
    };
    for environment in each {
        read.push(desired::read(&repository.tree, environment)?);
    }
    let mut found = check::all(&read, beside.controller.as_ref(), live.as_ref());
    found.sort_by(|a, b| (&a.origin, a.severity, a.id, &a.message).cmp(&(&b.origin, b.severity, b.id, &b.message)));
    found.dedup_by(|a, b| (&a.origin, a.id, &a.message) == (&b.origin, b.id, &b.message));
    let at_apply = check::at_apply(&read, live.as_ref());
    Ok(Checked { repository, environments, notices, found, at_apply })
}

/// The live state that a snapshot file holds.
fn snapshot(path: &Path) -> Result<Live, Error> {
    let text = std::fs::read(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
    let read = Live::from_snapshot(&text).map_err(|error| Error::Snapshot { path: path.to_owned(), error });
    let (mut live, objects) = read?;
    objects.iter().for_each(|object| live.insert(object.into()));
    Ok(live)
}
