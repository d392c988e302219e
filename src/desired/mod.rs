//! From the bytes of a repository to the objects that it wants in one environment.
//!
//! **Invariants:** bad input is a [`Diagnostic`] with a position, never an error or a panic; the same tree gives the same
//! [`Desired`]; nothing here knows a cluster.

mod app;
mod canonical;
mod config;
mod deletions;
mod json_schema;
mod kustomization;
mod local;
mod manifest;
mod marks;
mod notation;
pub(crate) mod parallel;
mod patch;
pub mod pin;
mod place;
mod releases;
mod rules;
mod settle;
mod shape;
mod shares;
mod signs;
mod source;
mod spelling;
mod stop;
mod templates;
mod tree;
mod values;
pub mod yaml;

pub use app::{App, OPEN_EGRESS};
pub(crate) use app::{MAX_NAME as MAX_APP_NAME, network};
pub use canonical::canonical;
pub use config::{
    APP_KINDS, Approval, Channel, ClusterRule, Config, ConflictAction, Conflicts, DriftRule, Environment, FileOwner,
    GROUP, IgnoreRule, OWN_KINDS, PLATFORM, Selector, Suppression, Tenant, allows_all,
};
pub(crate) use config::{is_dns_label, is_service_account};
pub use deletions::{Budget, Deletions};
pub use json_schema::{LOCAL_KINDS, json_schema};
pub use rules::{changed_rules, under_the_rules_of};
pub use settle::{MAX_SETTLE, Settle};
pub use shares::{Amount, Shares};
pub use source::Source;
pub use stop::{MAX_PAUSE, Scope, Stop};
pub use tree::{Entry, MAX_FILE_BYTES, MAX_TREE_BYTES, Pattern, Tree, below, glob, glob_within};

use crate::kinds;
use crate::object::{
    Diagnostic, Object, ObjectRef, Origin, Position, Positions, Severity, Traced, did_you_mean, nearest,
};
use crate::schema::Schemas;
use kustomization::Used;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// The file that a repository is configured by.
pub const CONFIG_FILE: &str = "spinway.yaml";

/// An object of the repository and the partition whose inventory it belongs to.
#[derive(Clone, Debug)]
pub struct Member {
    /// The object.
    pub object: Object,
    /// The partition: a tenant's name, or [`PLATFORM`].
    pub partition: String,
    /// The files of patches that took part in it.
    pub by: Vec<Arc<str>>,
}

/// What a repository wants in one environment.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The Config; none where the repository has no `spinway.yaml`, and then nothing is ever pruned.
    pub config: Option<Config>,
    /// The environment; its name is empty without Config.
    pub environment: Environment,
    /// The name of the Config, part of the identity of the inventory.
    pub name: String,
    /// The Config as it was written, with the values of the environment.
    config_text: Option<Arc<Traced>>,
    /// The objects by identity.
    pub objects: BTreeMap<ObjectRef, Member>,
    /// Objects that are not as the repository has them today, since people hold them at a revision.
    pub held_back: BTreeMap<ObjectRef, Stop>,
    /// Comments that ask not to be told of a finding.
    pub asides: Vec<yaml::Aside>,
    /// The approvals that the repository holds for this environment.
    pub approvals: Vec<Approval>,
    /// Findings.
    pub diagnostics: Vec<Diagnostic>,
    /// Partitions of which a part could not be read: what they want is unknown, so nothing of theirs is pruned.
    pub unread: BTreeSet<String>,
    /// What stands in files that nobody owns, and where.
    pub unowned: BTreeMap<ObjectRef, Origin>,
}

/// Why a repository cannot be read at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The Config is wrong; the findings say where in its text.
    #[error("spinway.yaml cannot be used")]
    Config(Vec<Diagnostic>, String),
    /// The Config is gone, and what the change is based on has one.
    #[error("spinway.yaml is gone, and the revision that this is compared with has one")]
    Gone,
    /// No environment was chosen and there are several.
    #[error("choose an environment with --env: {}", .0.join(", "))]
    NoEnvironment(Vec<String>),
    /// The chosen environment does not exist.
    #[error("there is no environment `{asked}`{}; the Config has: {}", meant(.asked, .known), .known.join(", "))]
    UnknownEnvironment {
        /// What was asked for.
        asked: String,
        /// The names there are.
        known: Vec<String>,
    },
}

/// What may have been meant by a name that is not there, in brackets.
fn meant(asked: &str, known: &[String]) -> String {
    let meant = did_you_mean(asked, known.iter().map(String::as_str));
    meant.map_or_else(String::new, |meant| format!(" ({meant})"))
}

/// The namespace of objects that declare none, where neither a Config nor a kubeconfig context says which.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Reads what a tree wants in an environment.
///
/// # Errors
/// The Config cannot be used, or the environment is not one of its.
pub fn read(tree: &Tree, environment: Option<&str>) -> Result<Desired, ReadError> {
    read_in(tree, environment, DEFAULT_NAMESPACE)
}

/// As [`read`]; `plain` is the namespace of the objects that declare none in a tree without Config.
///
/// # Errors
/// The Config cannot be used, or the environment is not one of its.
pub fn read_in(tree: &Tree, environment: Option<&str>, plain: &str) -> Result<Desired, ReadError> {
    let mut desired = match read_config(tree)? {
        Some(written) => {
            let environment = choose(&written.config, environment)?.clone();
            let (config, text) = written.within(&environment)?;
            let config_text = Some(Arc::new(text));
            let asides = written.asides;
            Desired { config: Some(config), environment, name: written.name, config_text, asides, ..Desired::default() }
        }
        None => Desired::default(),
    };
    let shares = Shares::new(desired.config.clone());
    let mut paths = tree.manifests(desired.rules());
    paths.retain(|path| *path != CONFIG_FILE && desired.reads(tree, path) && !tree.exceeds(shares.owner(path)));
    let used = Used::by(tree, &paths, |path| desired.partition_of(path));
    paths.retain(|path| !used.takes(path));
    let parts = parallel::by_parts(
        &paths,
        |path| tree.size(path),
        |paths| {
            let mut found = manifest::Found::default();
            paths.iter().for_each(|path| manifest::read_file(tree, path, &desired, &shares, &used, &mut found));
            found
        },
    );
    let mut parts = parts.into_iter();
    let mut found = parts.next().unwrap_or_default();
    parts.for_each(|part| found.join(part));
    missing_sources(tree, &desired, &mut found);
    missing_tenant_paths(tree, &desired, &mut found);
    exceeded(tree, &desired, &shares, &mut found);
    place::place(&desired, plain, &mut found)?;
    templates::expand(&desired, &shares, &mut found);
    exceeded(tree, &desired, &shares, &mut found);
    settle(&mut desired, found);
    Ok(desired)
}

/// The names of the environments of a tree's Config; none without one.
///
/// # Errors
/// The Config cannot be used.
pub fn environments(tree: &Tree) -> Result<Vec<String>, ReadError> {
    let config = config(tree)?;
    Ok(config.iter().flat_map(|config| &config.environments).map(|environment| environment.name.clone()).collect())
}

/// The Config of a tree as it was written: no values are replaced in it. None where there is none.
///
/// # Errors
/// The Config cannot be used.
pub fn config(tree: &Tree) -> Result<Option<Config>, ReadError> {
    Ok(read_config(tree)?.map(|written| written.config))
}

/// Refuses a change after which nothing can be read any more: its Config cannot be used in one of its environments, or is gone
/// though the base has one. The rules of the base may judge the change, and would not see it.
///
/// # Errors
/// The Config of the change cannot be used, or is gone.
pub fn check_rules(base: &Tree, tree: &Tree) -> Result<(), ReadError> {
    let Some(written) = read_config(tree)? else {
        return if base.entries.contains_key(CONFIG_FILE) { Err(ReadError::Gone) } else { Ok(()) };
    };
    let mut environments = written.config.environments.iter();
    environments.try_for_each(|environment| written.within(environment).map(drop))
}

/// A text with the values of an environment; names that have none stay as they are.
pub fn with_values(text: &str, environment: &Environment) -> String {
    let mut value = serde_json::Value::String(text.to_owned());
    values::substitute(&mut value, &environment.values, "", &mut |_, _| {});
    value.as_str().unwrap_or(text).to_owned()
}

/// The Config of a tree as it was written.
struct Written {
    name: String,
    config: Config,
    value: serde_json::Value,
    positions: Positions,
    start: Origin,
    asides: Vec<yaml::Aside>,
    /// The text of the file.
    text: String,
}

/// Reads the Config of a tree, if there is one.
fn read_config(tree: &Tree) -> Result<Option<Written>, ReadError> {
    let Some(entry) = tree.entries.get(CONFIG_FILE) else { return no_config(tree) };
    let file: Arc<str> = Arc::from(CONFIG_FILE);
    let start = Origin { file: Arc::clone(&file), position: Position { line: 1, column: 1 } };
    let fail = |message: &str| {
        Err(ReadError::Config(
            vec![Diagnostic::error("config", message).at(start.clone())],
            tree.text(CONFIG_FILE).unwrap_or_default().to_owned(),
        ))
    };
    let Some(text) = tree.text(CONFIG_FILE) else {
        return fail(if matches!(entry, Entry::File(_)) {
            "Not UTF-8."
        } else {
            "Not a regular file of at most 8 MiB."
        });
    };
    let (mut documents, mut diagnostics) = yaml::read(&file, text);
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        diagnostics
            .push(Diagnostic::error("config", "spinway.yaml must hold exactly one document, the Config.").at(start));
        return Err(ReadError::Config(diagnostics, text.to_owned()));
    };
    for (field, right) in [("apiVersion", "spinway.dev/v1alpha1"), ("kind", "Config")] {
        let written = document.value.get(field);
        if written.is_some_and(|written| written == right) {
            continue;
        }
        let written = written
            .map_or_else(|| "not set".to_owned(), |written| format!("`{}`", written.as_str().unwrap_or("no text")));
        let position = document.positions.nearest(&format!("/{field}")).unwrap_or(start.position);
        let origin = Origin { file: Arc::clone(&file), position };
        let wrong = Diagnostic::error("config", format!("`{field}` of spinway.yaml is {written}.")).at(origin);
        diagnostics.push(wrong.help(format!("Write `{field}: {right}`.")));
        return Err(ReadError::Config(diagnostics, text.to_owned()));
    }
    let name = document.value.pointer("/metadata/name").and_then(|n| n.as_str()).unwrap_or_default().to_owned();
    let is_named = is_dns_label(&name);
    let mut written = Written {
        name,
        config: Config::default(),
        value: document.value,
        positions: document.positions,
        start,
        asides: document.asides,
        text: text.to_owned(),
    };
    if !is_named {
        let message = "The Config needs a metadata.name of lower-case letters, digits and `-`: it is part of the identity of its inventory.";
        diagnostics.push(Diagnostic::error("config", message).at(written.origin_of("/metadata/name")));
    }
    written.config = written.typed(&written.value, diagnostics)?;
    Ok(Some(written))
}

/// A tree without Config: none, unless a file at the root is one by its name and cannot be anything else.
fn no_config(tree: &Tree) -> Result<Option<Written>, ReadError> {
    const STEM: &str = "spinway";
    let is_near = |path: &&String| {
        let stem = path.trim_start_matches('.').split('.').next().unwrap_or_default();
        !path.contains('/') && Tree::wants(path) && nearest(stem, [STEM]).is_some()
    };
    let is_other = |path: &str| {
        let Some(text) = tree.text(path) else { return false };
        let (documents, _) = yaml::read(&Arc::from(path), text);
        let group = |document: &yaml::Document| {
            let version = document.value.get("apiVersion").and_then(|version| version.as_str())?;
            Some(crate::object::split_api_version(version).0.to_owned())
        };
        let foreign = |group: String| group != GROUP && !spelling::resembles_ours(&group);
        !documents.is_empty() && documents.iter().all(|document| group(document).is_some_and(foreign))
    };
    let Some(path) = tree.entries.keys().filter(is_near).find(|path| !is_other(path)) else { return Ok(None) };
    let origin = Origin { file: Arc::from(path.as_str()), position: Position { line: 1, column: 1 } };
    let message = format!("The Config is read from `{CONFIG_FILE}`, and there is only `{path}`.");
    let finding = Diagnostic::error("config", message).at(origin).help(format!("Rename the file to `{CONFIG_FILE}`."));
    Err(ReadError::Config(vec![finding], String::new()))
}

impl Written {
    /// Reads the spec of the Config.
    fn typed(&self, value: &serde_json::Value, mut diagnostics: Vec<Diagnostic>) -> Result<Config, ReadError> {
        let spec = value.get("spec").unwrap_or(&serde_json::Value::Null);
        let (config, mut flaws) = shape::read::<Config>(spec, "/spec");
        flaws.extend(shape::unknown_around(value, "Config"));
        for pointer in config::defaults_of(spec) {
            let defaults = value.pointer(&pointer).unwrap_or(&serde_json::Value::Null);
            flaws.extend(shape::unknown::<App>(defaults, &pointer));
        }
        flaws.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        flaws.dedup();
        for flaw in flaws {
            let mut wrong = Diagnostic::error("config", format!("{}.", flaw.message)).at(self.origin_of(&flaw.pointer));
            wrong.help = flaw.help.map(crate::object::Untrusted::new);
            diagnostics.push(wrong);
        }
        if let Some(config) = config {
            diagnostics.extend(config.check(&self.start));
            let wrong = config.wrong_budgets().into_iter().chain(config.wrong_releases());
            let wrong = wrong.map(|(at, text)| (at, text, String::new()));
            for (at, text, help) in wrong.chain(config.misspelt_kinds()) {
                let wrong = Diagnostic::error("config", text).at(self.origin_of(&at));
                diagnostics.push(if help.is_empty() { wrong } else { wrong.help(help) });
            }
            if !diagnostics.iter().any(|d| d.severity == Severity::Error) {
                return Ok(config);
            }
        }
        Err(ReadError::Config(diagnostics, self.text.clone()))
    }

    fn origin_of(&self, pointer: &str) -> Origin {
        let position = self.positions.nearest(pointer).unwrap_or(self.start.position);
        Origin { file: Arc::clone(&self.start.file), position }
    }

    /// The Config with the values of an environment, and where each part of it stands.
    fn within(&self, environment: &Environment) -> Result<(Config, Traced), ReadError> {
        let mut value = self.value.clone();
        let mut unknown = Vec::new();
        if let Some(spec) = value.get_mut("spec").and_then(|spec| spec.as_object_mut()) {
            for (key, part) in spec.iter_mut().filter(|(key, _)| *key != "environments") {
                let pointer = format!("/spec/{}", crate::object::escape(key));
                values::substitute(part, &environment.values, &pointer, &mut |pointer, name| {
                    unknown.push((pointer.to_owned(), name.to_owned()));
                });
            }
        }
        if !unknown.is_empty() {
            let wrong =
                unknown.iter().map(|(pointer, name)| values::is_unknown(name, environment).at(self.origin_of(pointer)));
            return Err(ReadError::Config(wrong.collect(), self.text.clone()));
        }
        let config = self.typed(&value, Vec::new())?;
        let text = Traced::read(value, &self.positions, &self.start.file, &self.start);
        Ok((config, text))
    }
}

fn choose<'a>(config: &'a Config, asked: Option<&str>) -> Result<&'a Environment, ReadError> {
    let known = || config.environments.iter().map(|e| e.name.clone()).collect();
    match (asked, config.environments.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(ReadError::NoEnvironment(known())),
        (Some(asked), all) => all
            .iter()
            .find(|e| e.name == asked)
            .ok_or_else(|| ReadError::UnknownEnvironment { asked: asked.to_owned(), known: known() }),
    }
}

impl Desired {
    /// Whether this environment reads a path. Folders whose name begins with a dot belong to tools, unless a source names them.
    fn reads(&self, tree: &Tree, path: &str) -> bool {
        let is_file = tree.is_file(path);
        let Some(config) = &self.config else { return !tree::is_hidden(path, is_file) };
        let sources = config.sources.iter().chain(&self.environment.sources).map(|source| &source.path);
        let mut sources = sources.chain(&config.approvals.paths);
        let inside =
            |source| below(path, source).is_some_and(|rest| rest.is_empty() || !tree::is_hidden(rest, is_file));
        // A link or submodule above a source hides it.
        sources.any(|source| inside(source) || below(source, path).is_some())
    }

    /// Where a part of the Config stands, by its JSON pointer.
    pub fn config_place(&self, pointer: &str) -> Option<Origin> {
        Some(self.config_text.as_ref()?.origin_of(pointer).clone())
    }

    /// The Config's rules, or the rules that hold without one.
    pub fn rules(&self) -> &Config {
        static NONE: LazyLock<Config> = LazyLock::new(Config::default);
        self.config.as_ref().unwrap_or(&NONE)
    }

    /// The objects of a kind, in one namespace or (with none) wherever.
    pub fn of_kind<'a, 'b>(
        &'a self,
        group: &'b str,
        kind: &'b str,
        namespace: Option<&'b str>,
    ) -> impl Iterator<Item = (&'a ObjectRef, &'a Member)> {
        let first = ObjectRef::new(group, kind, namespace.unwrap_or_default(), "");
        self.objects
            .range(first..)
            .take_while(move |(r, _)| r.is(group, kind) && namespace.is_none_or(|namespace| r.namespace() == namespace))
    }

    /// For each partition that is done as a service account: the objects of other partitions without which it may do nothing,
    /// the account and what binds it to roles.
    pub fn enablers(&self) -> BTreeMap<&str, Vec<&ObjectRef>> {
        let partitions = self.rules().tenants.iter().map(|tenant| tenant.name.as_str());
        let of = |partition: &'_ str| {
            let (namespace, name) = self.rules().account_of(partition)?;
            let account = ObjectRef::new("", "ServiceAccount", namespace, name);
            let enables = |reference: &ObjectRef, member: &Member| {
                let value = &member.object.value;
                let binds = reference.group == "rbac.authorization.k8s.io" && reference.kind.ends_with("Binding");
                member.partition != partition
                    && (*reference == account
                        || (binds && kinds::references(reference, value).iter().any(|found| found.to == account)))
            };
            let found = self.objects.iter().filter(|(reference, member)| enables(reference, member));
            Some(found.map(|(reference, _)| reference).collect())
        };
        partitions.filter_map(|partition| Some((partition, of(partition)?))).collect()
    }

    /// The partition of a file.
    pub fn partition_of(&self, file: &str) -> String {
        self.config.as_ref().map_or(PLATFORM, |config| config.partition_of(file)).to_owned()
    }

    /// The partitions that a path belongs to or that have paths below it.
    pub fn partitions_at(&self, path: &str) -> BTreeSet<String> {
        let tenants = self.config.iter().flat_map(|config| &config.tenants);
        let inside = tenants.filter(|tenant| tenant.paths.iter().any(|p| below(p, path).is_some()));
        inside.map(|tenant| tenant.name.clone()).chain([self.partition_of(path)]).collect()
    }

    /// The objects that an error diagnostic is about: they are not applied.
    pub fn erroneous(&self) -> BTreeSet<&ObjectRef> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).filter_map(|d| d.object.as_ref()).collect()
    }
}

/// Of an owner that has more than its share nothing counts; what is of nobody might be anybody's.
fn exceeded(tree: &Tree, desired: &Desired, shares: &Shares, found: &mut manifest::Found) {
    let Some(config) = &desired.config else { return };
    let all = tree.exceeded.iter().map(|(owner, amount)| (owner.clone(), *amount)).chain(shares.exceeded());
    for (owner, amount) in all.collect::<BTreeMap<_, _>>() {
        if !found.exceeded.insert(owner.clone()) {
            continue;
        }
        if owner.is_empty() {
            found.unread.extend(config.tenants.iter().map(|tenant| tenant.name.clone()).chain([PLATFORM.to_owned()]));
        } else {
            found.leave_out(&owner);
        }
        let place = config.tenants.iter().position(|tenant| tenant.name == owner);
        let place = place.and_then(|at| desired.config_place(&format!("/spec/tenants/{at}")));
        let message = if owner.is_empty() {
            format!("More than {amount} belong to no tenant: none of them is read, and nothing is pruned.")
        } else {
            format!("Tenant `{owner}` has more than {amount}: none of its files is read, and nothing of it is pruned.")
        };
        let mut diagnostic = Diagnostic::error("tenant-size", message)
            .help("Remove files, or split the folder between two tenants in spinway.yaml.");
        diagnostic.origin = place;
        found.diagnostics.push(diagnostic);
    }
}

/// A source that matches nothing is a mistake: what should be there must not count as removed.
fn missing_sources(tree: &Tree, desired: &Desired, found: &mut manifest::Found) {
    let Some(config) = &desired.config else { return };
    for source in config.sources.iter().chain(&desired.environment.sources).map(|source| &source.path) {
        if tree.entries.keys().any(|path| below(path, source).is_some()) {
            continue;
        }
        let start = Origin { file: Arc::from(CONFIG_FILE), position: Position { line: 1, column: 1 } };
        let message = format!("The source `{source}` matches no file; nothing of its partitions is deleted.");
        found.diagnostics.push(
            Diagnostic::error("source-missing", message).at(start).help("Mend the path, or remove it from `sources`."),
        );
        found.unread.extend(desired.partitions_at(source));
    }
}

/// A path of a tenant that no file can be in is a mistake: the files that it is meant for are in another folder, under other rules.
fn missing_tenant_paths(tree: &Tree, desired: &Desired, found: &mut manifest::Found) {
    let Some(config) = &desired.config else { return };
    let elsewhere = config.environments.iter().flat_map(|environment| &environment.sources);
    let sources = config.sources.iter().chain(&desired.environment.sources).chain(elsewhere);
    let sources: Vec<&String> = sources.map(|source| &source.path).collect();
    let is_read = |path: &str| sources.iter().any(|s| below(path, s).is_some() || below(s, path).is_some());
    for (tenant, at) in config.tenants.iter().zip(0..).filter(|(tenant, _)| !tree.exceeded.contains_key(&tenant.name)) {
        for (path, index) in tenant.paths.iter().zip(0..) {
            let name = &tenant.name;
            let (message, help) = if !tree.has(path) {
                (
                    format!("The path `{path}` of tenant `{name}` does not exist in the repository."),
                    "Correct `paths` of the tenant in spinway.yaml, or add a file to the folder.",
                )
            } else if !is_read(path) {
                (
                    format!(
                        "No entry of `sources` covers the path `{path}` of tenant `{name}`, so its files are not read."
                    ),
                    "Add the folder to `sources` in spinway.yaml, or remove it from `paths` of the tenant.",
                )
            } else {
                continue;
            };
            let mut diagnostic = Diagnostic::warning("tenant-path-missing", message).help(help);
            diagnostic.origin = desired.config_place(&format!("/spec/tenants/{at}/paths/{index}"));
            found.diagnostics.push(diagnostic);
        }
    }
}

/// Whether a definition says what a kind is: one of the platform does, and of a tenant that may declare definitions. Any other
/// is refused, and must not decide over the objects of others.
fn may_define(config: &Config, member: &Member) -> bool {
    const NAMES: [&str; 2] = ["CustomResourceDefinition", "CustomResourceDefinition.apiextensions.k8s.io"];
    let tenant = config.tenants.iter().find(|tenant| tenant.name == member.partition);
    let named = |kind: &String| NAMES.iter().any(|name| glob(kind, name));
    let may = |tenant: &Tenant| {
        tenant.kinds.as_ref().is_some_and(|kinds| kinds.iter().any(named)) && tenant.cluster_kinds.iter().any(named)
    };
    tenant.is_none_or(may)
}

impl Desired {
    /// Whether what a member says counts for objects of others: that of the platform does, and what a tenant may declare where it
    /// stands. Anything else is refused, and must not stand for what is there.
    pub fn counts(&self, member: &Member) -> bool {
        let rules = self.rules();
        let reference = &member.object.reference;
        let in_its = |tenant: &Tenant| {
            let has = |namespace: &String| *namespace != rules.inventory.namespace && tenant.has_namespace(namespace);
            reference.namespace.as_ref().is_none_or(has)
        };
        let tenant = rules.tenants.iter().find(|tenant| tenant.name == member.partition);
        tenant.is_none_or(|tenant| in_its(tenant) && tenant.may_declare(reference))
    }

    /// What the repository says of an object, where it counts ([`Desired::counts`]).
    pub fn counting(&self, reference: &ObjectRef) -> Option<&Member> {
        self.objects.get(reference).filter(|member| self.counts(member))
    }

    /// The schemas of the definitions that the repository holds.
    pub fn schemas(&self) -> Schemas {
        let rules = self.rules();
        let definitions = self.objects.values().filter(|member| may_define(rules, member));
        Schemas::with_crds(definitions.map(|member| &member.object.value))
    }
}

/// Finds duplicates, and moves all into the result.
fn settle(desired: &mut Desired, found: manifest::Found) {
    desired.diagnostics = found.diagnostics;
    desired.approvals = found.approvals;
    desired.asides.extend(found.asides);
    desired.unread = found.unread;
    desired.unowned = found.unowned;
    let members = found.members.into_iter().map(|member| (member.object.reference.clone(), member));
    let mut members: Vec<(ObjectRef, Member)> = members.collect();
    // The first of several is kept, before all one whose tenant has the namespace: nobody stops another team by declaring
    // its objects. The sort leaves equals in the order of the files.
    let config = desired.config.clone().unwrap_or_default();
    members.sort_by(|(a, first), (b, second)| {
        a.cmp(b).then_with(|| config.has(second, a.namespace()).cmp(&config.has(first, b.namespace())))
    });
    members.dedup_by(|(reference, later), (first, kept)| {
        let twice = reference == first;
        if twice {
            let namespace = reference.namespace();
            let mut diagnostic = Diagnostic::error("duplicate-object", format!("{reference} is declared twice."))
                .at(later.object.origin.clone())
                .and(kept.object.origin.clone(), "first here");
            if config.has(kept, namespace) && !config.has(later, namespace) {
                diagnostic = diagnostic.help("The other is of the tenant that has the namespace, and counts alone.");
            } else {
                diagnostic = diagnostic.about(reference).help("Keep one of them; until then neither is applied.");
            }
            desired.diagnostics.push(diagnostic);
        }
        twice
    });
    desired.objects = members.into_iter().collect();
    desired.diagnostics.sort_by(|a, b| (&a.origin, a.id).cmp(&(&b.origin, b.id)));
}
