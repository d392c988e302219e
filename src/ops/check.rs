//! Checking a repository without a cluster.

use super::{Error, Given};
use crate::check::{self, AtApply};
use crate::desired::{self, Desired, ReadError, Tenant, Tree};
use crate::live::Live;
use crate::object::{Diagnostic, Severity, Untrusted};
use crate::scaffold::{self, Known};
use crate::schema::Release;
use crate::source::Repository;
use std::collections::BTreeMap;
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
    let (repository, notices) = given.read_under(beside.base.as_deref())?;
    let environments = environments(given, &repository.tree)?;
    let live = match &beside.snapshot {
        Some(_) if environments.len() > 1 => return Err(ReadError::NoEnvironment(environments).into()),
        Some(path) => Some(snapshot(path)?),
        None => None,
    };
    let plain = live.as_ref().map(|live| live.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let read = read_in(&repository.tree, &environments, plain.unwrap_or(desired::DEFAULT_NAMESPACE))?;
    let found = find(&read, beside.controller.as_ref(), live.as_ref());
    let at_apply = check::at_apply(&read, live.as_ref());
    Ok(Checked { repository, environments, notices, found, at_apply })
}

/// The lists that would allow each tenant what its files use now, where it has none, in YAML; empty when nothing is missing.
///
/// # Errors
/// The repository or its Config cannot be read.
pub fn suggest_rules(given: &Given, base: Option<&str>) -> Result<String, Error> {
    let (repository, _) = given.read_under(base)?;
    let read = read(&repository.tree, &environments(given, &repository.tree)?)?;
    Ok(check::suggest_rules(&read) + &accounts(&repository.tree, &read)?)
}

/// The accounts that tenants need and do not have, as documents behind the lists.
fn accounts(tree: &Tree, environments: &[Desired]) -> Result<String, Error> {
    let Some(known) = Known::read(tree)? else { return Ok(String::new()) };
    let lacking = |desired: &'_ Desired| -> Vec<Tenant> {
        let declaring = check::declaring(desired);
        let tenants = desired.rules().tenants.iter().filter(|tenant| declaring.contains(tenant.name.as_str()));
        tenants.cloned().collect()
    };
    let tenants: BTreeMap<String, Tenant> =
        environments.iter().flat_map(lacking).map(|tenant| (tenant.name.clone(), tenant)).collect();
    let written = tenants.values().filter_map(|tenant| {
        let (account, text) = (scaffold::account_for(tenant)?, scaffold::account_of(tenant, &known)?);
        let name = &tenant.name;
        Some(format!("---\n# For a platform folder; an administrator applies it. Then write `serviceAccount: {account}` for tenant {name}.\n{text}"))
    });
    Ok(written.collect())
}

/// The environment that is asked for, or all of them.
fn environments(given: &Given, tree: &Tree) -> Result<Vec<String>, ReadError> {
    match &given.environment {
        Some(asked) => Ok(vec![asked.clone()]),
        None => desired::environments(tree),
    }
}

/// What these environments of a tree want; of a tree without Config all that it has.
pub(super) fn read(tree: &Tree, environments: &[String]) -> Result<Vec<Desired>, ReadError> {
    read_in(tree, environments, desired::DEFAULT_NAMESPACE)
}

/// As [`read`]; `plain` is the namespace of objects that declare none in a tree without Config.
fn read_in(tree: &Tree, environments: &[String], plain: &str) -> Result<Vec<Desired>, ReadError> {
    if environments.is_empty() {
        return Ok(vec![desired::read_in(tree, None, plain)?]);
    }
    environments.iter().map(|environment| desired::read(tree, Some(environment))).collect()
}

/// What all checks find, each once, by place.
pub(super) fn find(read: &[Desired], controller: Option<&Release>, live: Option<&Live>) -> Vec<Diagnostic> {
    let mut found = check::all(read, controller, live);
    found.sort_by(|a, b| (&a.origin, a.severity, a.id, &a.message).cmp(&(&b.origin, b.severity, b.id, &b.message)));
    found.dedup_by(|a, b| (&a.origin, a.id, &a.message) == (&b.origin, b.id, &b.message));
    found
}

/// The live state that a snapshot file holds.
fn snapshot(path: &Path) -> Result<Live, Error> {
    let text = std::fs::read(path).map_err(|error| Error::File { path: path.to_owned(), error })?;
    let read = Live::from_snapshot(&text).map_err(|error| Error::Snapshot { path: path.to_owned(), error });
    let (mut live, objects) = read?;
    objects.iter().for_each(|object| live.insert(object.into()));
    Ok(live)
}
