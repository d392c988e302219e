//! Reading a repository and live state, and planning.

use super::Error;
use crate::api::Refused;
use crate::apply::Monitor;
use crate::check::{self, KnownFindings};
use crate::cluster::{self, CONCURRENCY, Cluster, Inventories, Mode, Reading, Types, with_identity};
use crate::desired::{self, CONFIG_FILE, Desired, Entry, ReadError, Tree};
use crate::inventory;
use crate::live::Live;
use crate::object::{Diagnostic, GroupKind, ObjectRef, Origin, Position, Untrusted, label, split_api_version};
use crate::plan::{self, Action, Answer, AsApplied, Assessed, Change, Options, Plan, Prepared, Refusal, Screen};
use crate::source::{self, Remote, Repository, Standing};
use futures::stream::{self, StreamExt as _};
use serde_json_borrow::Value as Listed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Where live state is read from.
#[derive(Clone, Debug)]
pub enum LiveSource {
    /// An API server.
    Cluster {
        /// The kubeconfig file; none for the usual places.
        kubeconfig: Option<PathBuf>,
        /// The context; none for the current one.
        context: Option<String>,
    },
    /// A snapshot file.
    Snapshot(PathBuf),
    /// Another revision of the repository.
    Revision(String),
}

/// Seconds by phase: `read` (the repository), `discover` (connecting and the kinds that are served, while the repository is
/// read), `list`, `compare`, `dry-run`, `apply`, `wait`.
pub type Seconds = BTreeMap<&'static str, f64>;

/// A plan with all that it was made of.
pub struct Planned {
    /// The repository.
    pub repository: Repository,
    /// What it wants.
    pub desired: Arc<Desired>,
    /// Live state and inventory.
    pub reading: Reading,
    /// The plan.
    pub plan: Plan,
    /// The connection, when there is one.
    pub cluster: Option<Cluster>,
    /// What is found in the revision that this is compared with; nothing when there is none.
    pub known: KnownFindings,
    /// Seconds by phase.
    pub seconds: Seconds,
}

impl Planned {
    /// Leaves it to the end of the process: giving back thousands of objects one by one takes a tenth of a plan's time.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}

/// Where a repository is read from.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory: its files as they are, or a revision of the Git repository around it.
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The revision, if one was asked for.
        revision: Option<String>,
    },
    /// A revision that was pulled from a server.
    Pulled {
        /// The repository on the server.
        remote: Arc<Remote>,
        /// The revision.
        revision: String,
    },
}

impl Place {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Repository, source::Error> {
        match self.clone() {
            Self::Directory { directory, revision } => {
                source::in_time(move || source::read(&directory, revision.as_deref()))
            }
            Self::Pulled { remote, revision } => source::in_time(move || remote.read(&revision)),
        }
    }

    /// Reads a revision of it that another one is compared with: one without files where it does not have the folder yet.
    fn read_base(&self, revision: &str) -> Result<Repository, source::Error> {
        match self {
            Self::Directory { directory, .. } => {
                let (directory, revision) = (directory.clone(), revision.to_owned());
                source::in_time(move || source::read_base(&directory, &revision))
            }
            Self::Pulled { .. } => self.at(revision).read(),
        }
    }

    /// The same place at another revision.
    fn at(&self, revision: &str) -> Self {
        match self.clone() {
            Self::Directory { directory, .. } => Self::Directory { directory, revision: Some(revision.to_owned()) },
            Self::Pulled { remote, .. } => Self::Pulled { remote, revision: revision.to_owned() },
        }
    }
}

/// A repository and an environment of it, as they were asked for.
#[derive(Clone, Debug)]
pub struct Given {
    /// The repository.
    pub place: Place,
    /// The environment; needed when there are several.
    pub environment: Option<String>,
}

impl LiveSource {
    /// The namespace of objects that declare none, without a Config: as kubectl takes it.
    fn namespace(&self) -> String {
        let named = match self {
            Self::Cluster { kubeconfig, context } => {
                cluster::context_namespace(kubeconfig.as_deref(), context.as_deref())
            }
            Self::Snapshot(path) => {
                let read = std::fs::read(path).ok();
                read.and_then(|text| Some(Live::from_snapshot(&text).ok()?.0.namespace))
            }
            Self::Revision(_) => None,
        };
        named.filter(|name| !name.is_empty()).unwrap_or_else(usual_namespace)
    }
}

fn usual_namespace() -> String {
    desired::DEFAULT_NAMESPACE.to_owned()
}

impl Given {
    /// Reads the repository and what it wants.
    ///
    /// # Errors
    /// The repository or its Config cannot be read.
    pub fn read(&self) -> Result<(Repository, Desired), Error> {
        self.read_in(usual_namespace)
    }

    /// As [`Given::read`]; `plain` is asked for the namespace of objects that declare none where there is no Config.
    ///
    /// # Errors
    /// The repository or its Config cannot be read.
    pub fn read_in(&self, plain: impl FnOnce() -> String) -> Result<(Repository, Desired), Error> {
        let repository = self.place.read()?;
        let has_config = repository.tree.entries.contains_key(CONFIG_FILE);
        let plain = if has_config { usual_namespace() } else { plain() };
        let desired = desired::read_in(&repository.tree, self.environment.as_deref(), &plain)?;
        Ok((repository, desired))
    }

    /// Reads it, judged by the rules of a revision where one is given; and what is to be said of that first.
    ///
    /// # Errors
    /// One of both cannot be read, or the rules of this one cannot be used.
    pub fn read_under(&self, base: Option<&str>) -> Result<(Repository, Vec<Untrusted>), Error> {
        let mut repository = self.place.read()?;
        let Some(base) = base else { return Ok((repository, Vec::new())) };
        let before = self.place.read_base(base)?;
        desired::check_rules(&before.tree, &repository.tree)?;
        let said = desired::under_the_rules_of(&before.tree, &mut repository.tree);
        Ok((repository, said))
    }

    /// What the revision wanted that this is compared with: nothing where it does not have the folder or the environment yet.
    /// Its Config may not be gone since. With it, in words, which rules differ from those of the head.
    fn read_base(&self, revision: &str, head: Option<&Entry>) -> Result<(Desired, Option<String>), Error> {
        let base = self.place.read_base(revision)?;
        if base.tree.entries.contains_key(CONFIG_FILE) && head.is_none() {
            return Err(ReadError::Gone.into());
        }
        let changed = desired::changed_rules(base.tree.entries.get(CONFIG_FILE), head);
        match desired::read(&base.tree, self.environment.as_deref()) {
            Err(ReadError::UnknownEnvironment { .. } | ReadError::NoEnvironment(_)) => {
                Ok((Desired::default(), changed))
            }
            read => Ok((read?, changed)),
        }
    }

    /// The same at another revision.
    pub fn at(&self, revision: &str) -> Self {
        Self { place: self.place.at(revision), environment: self.environment.clone() }
    }

    /// What an earlier revision wanted.
    async fn read_earlier(&self, revision: &str) -> Result<Desired, Error> {
        let Place::Pulled { remote, .. } = &self.place else {
            return self.at(revision).read_aside(usual_namespace).await.map(|(_, desired, _)| desired);
        };
        let (remote, revision, environment) = (Arc::clone(remote), revision.to_owned(), self.environment.clone());
        let read = tokio::task::spawn_blocking(move || {
            let repository = remote.read_earlier(&revision)?;
            Ok(desired::read(&repository.tree, environment.as_deref())?)
        });
        read.await.unwrap_or_else(|error| Err(Error::Thread(error.to_string())))
    }

    /// Reads it on a thread of its own, so that the API server can be asked meanwhile; with the seconds it took.
    async fn read_aside(
        &self,
        plain: impl FnOnce() -> String + Send + 'static,
    ) -> Result<(Repository, Desired, f64), Error> {
        let given = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            let (repository, desired) = given.read_in(plain)?;
            Ok((repository, desired, start.elapsed().as_secs_f64()))
        });
        read.await.unwrap_or_else(|error| Err(Error::Thread(error.to_string())))
    }
}

/// A connection, with what the API server told of its types and, where they were asked for already, the inventories.
pub struct Connected {
    /// The connection.
    pub cluster: Cluster,
    /// The types.
    pub types: Types,
    /// The namespace whose inventories were read, with them.
    pub maps: Option<(String, Inventories)>,
}

impl Connected {
    /// Connects, and reads what the API server knows of types.
    ///
    /// # Errors
    /// The API server cannot be used.
    pub async fn new(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        let cluster = Cluster::connect(kubeconfig, context).await?;
        let types = cluster.types().await?;
        Ok(Self { cluster, types, maps: None })
    }
}

/// Plans.
///
/// # Errors
/// The repository, its Config or the live state cannot be read at all.
pub async fn plan(given: &Given, from: &LiveSource, options: &Options) -> Result<Planned, Error> {
    let source = from.clone();
    let plain = move || source.namespace();
    let LiveSource::Cluster { kubeconfig, context } = from else {
        let (repository, desired, read) = given.read_aside(plain).await?;
        let mut planned = plan_read(given, (repository, desired), from, options).await?;
        *planned.seconds.entry("read").or_default() += read;
        return Ok(planned);
    };
    let (kubeconfig, context) = (kubeconfig.clone(), context.clone());
    // The API server is asked meanwhile; what is wrong with the repository is said first.
    let connecting = tokio::spawn(async move {
        let start = Instant::now();
        let connected = Connected::new(kubeconfig.as_deref(), context.as_deref()).await?;
        Ok::<_, Error>((connected, start.elapsed().as_secs_f64()))
    });
    let (repository, desired, read) = given.read_aside(plain).await?;
    let (connected, discover) = connecting.await.map_err(|error| Error::Thread(error.to_string()))??;
    let seconds = Seconds::from([("read", read), ("discover", discover)]);
    plan_live(given, (repository, desired), connected, seconds, options).await
}

/// Plans what was read already.
///
/// # Errors
/// The live state cannot be read at all.
pub async fn plan_read(
    given: &Given,
    (repository, desired): (Repository, Desired),
    from: &LiveSource,
    options: &Options,
) -> Result<Planned, Error> {
    let mut seconds = Seconds::default();
    let mut known = KnownFindings::default();
    let start = Instant::now();
    let mut desired = desired;
    if !matches!(from, LiveSource::Cluster { .. }) {
        guard(&mut desired);
    }
    let (phase, desired, reading) = match from {
        LiveSource::Cluster { kubeconfig, context } => {
            let connected = Connected::new(kubeconfig.as_deref(), context.as_deref()).await?;
            return plan_live(given, (repository, desired), connected, seconds, options).await;
        }
        LiveSource::Snapshot(path) => {
            let text = std::fs::read(path).map_err(|error| Error::File { path: path.clone(), error })?;
            let read = Live::from_snapshot(&text).map_err(|error| Error::Snapshot { path: path.clone(), error });
            let (live, objects) = read?;
            let desired = Arc::new(desired);
            let reading = from_snapshot(live, &objects, &desired);
            ("list", desired, reading)
        }
        LiveSource::Revision(other) => {
            let (base, changed) = read_base_aside(given, other, config_of(&repository.tree)).await?;
            desired.diagnostics.extend(changed.map(|changed| rules_change(&changed, other)));
            let AsApplied { live, found } = AsApplied::of(&base, options.now);
            known = KnownFindings::of(&found);
            let reading = from_revision(live, &desired);
            ("read", Arc::new(desired), reading)
        }
    };
    seconds.insert(phase, start.elapsed().as_secs_f64());
    let prepared = prepare(&desired).await?;
    let planned = Planned { repository, desired, reading, plan: Plan::default(), cluster: None, known, seconds };
    Ok(conclude(planned, prepared, options).await)
}

/// Plans against an API server what was read already.
///
/// # Errors
/// Live state cannot be read at all.
pub async fn plan_live(
    given: &Given,
    (repository, mut desired): (Repository, Desired),
    connected: Connected,
    mut seconds: Seconds,
    options: &Options,
) -> Result<Planned, Error> {
    let Connected { cluster, types, maps } = connected;
    let start = Instant::now();
    let namespace = desired.config.as_ref().map(|config| config.inventory.namespace.as_str());
    let maps = match maps {
        Some((read, maps)) if namespace == Some(read.as_str()) => maps,
        _ => cluster.inventories(namespace, &types.kinds).await,
    };
    hold_back(given, &mut desired, &maps, options.now).await?;
    guard(&mut desired);
    let desired = Arc::new(desired);
    let (prepared, reading) = tokio::join!(prepare(&desired), cluster.observe(&desired, types, maps, false));
    let (prepared, mut reading) = (prepared?, reading?);
    cluster.look_up_references(&desired, prepared.graph(), &mut reading).await;
    seconds.insert("list", start.elapsed().as_secs_f64());
    let (plan, known) = (Plan::default(), KnownFindings::default());
    let planned = Planned { repository, desired, reading, plan, cluster: Some(cluster), known, seconds };
    let mut planned = conclude(planned, prepared, options).await;
    if planned.plan.refused.is_none() && !options.rewrites {
        planned.plan.refused = refuse_older(given, &planned).await;
    }
    Ok(planned)
}

/// Plans anew what was planned before, by the same connection.
///
/// # Errors
/// The repository, its Config or the live state cannot be read at all.
pub async fn plan_again(given: &Given, cluster: Cluster, options: &Options) -> Result<Planned, Error> {
    let namespace = cluster.namespace.clone();
    let (repository, desired, read) = given.read_aside(move || namespace).await?;
    let start = Instant::now();
    let types = cluster.types().await?;
    let seconds = Seconds::from([("read", read), ("discover", start.elapsed().as_secs_f64())]);
    plan_live(given, (repository, desired), Connected { cluster, types, maps: None }, seconds, options).await
}

/// Refuses a revision of a local repository that does not have the revision in its history that was applied last: nowhere
/// one that is older, or may be; in protected environments also one of another branch. The agent judges by what it pulls.
async fn refuse_older(given: &Given, planned: &Planned) -> Option<Refusal> {
    let Place::Directory { directory, revision: Some(_) } = &given.place else { return None };
    let parents = &planned.plan.parents;
    let is_moved = |parent: &inventory::Parent| parent.state.source != planned.repository.source;
    let applied = inventory::last_revision(parents).to_owned();
    let ours = planned.repository.revision.as_ref()?.id.clone();
    if applied.is_empty() || parents.iter().any(|parent| !parent.state.source.is_empty() && is_moved(parent)) {
        return None;
    }
    let (directory, short) = (directory.clone(), |id: &str| id.chars().take(12).collect::<String>());
    let (this, last) = (short(&ours), short(&applied));
    let standing = tokio::task::spawn_blocking(move || source::standing(&directory, &ours, &applied)).await;
    let (message, help) = match standing.ok()?.ok()? {
        Standing::Newer => return None,
        Standing::Aside if !planned.desired.environment.protected => return None,
        Standing::Aside => (
            format!(
                "Revision {this} does not descend from {last}, which was applied last to protected environment `{}`.",
                planned.plan.environment
            ),
            "Merge the applied revision first. `--rewrites allow` applies this one all the same.",
        ),
        Standing::Older => (
            format!("Revision {this} is older than {last}, which was applied last."),
            "Apply a newer revision. To go back: `spinway rollback`, a commit that reverts, or `--rewrites allow`.",
        ),
        Standing::Unknown => (
            format!(
                "Revision {last}, which was applied last, is not in the history of this clone, so {this} may be older."
            ),
            "Fetch the history (`git fetch --unshallow` in a shallow clone). `--rewrites allow` applies this revision all the same.",
        ),
    };
    Some(Refusal { message: message.into(), help })
}

/// Holds what is wanted, wherever it comes from, against the rules for tenants and protected environments.
fn guard(desired: &mut Desired) {
    let found = check::guard(desired);
    desired.diagnostics.extend(found);
}

/// Puts what people hold at an older revision in the place of what the repository wants now.
async fn hold_back(given: &Given, desired: &mut Desired, maps: &Inventories, now: i64) -> Result<(), Error> {
    let parents = inventory::find(desired, maps.iter().flatten()).0;
    for (partition, stop) in plan::holds(desired, &parents, now) {
        let Some(revision) = &stop.revision else { continue };
        match given.read_earlier(revision).await {
            Ok(older) => plan::hold_back(desired, &older, &partition, &stop),
            // Nothing newer may take its place, so nothing of it is done.
            Err(error) => plan::hold_unread(desired, &partition, &stop, &error.to_string()),
        }
    }
    Ok(())
}

/// Makes the plan of what was read.
async fn conclude(mut planned: Planned, prepared: Prepared, options: &Options) -> Planned {
    let Planned { repository, desired, reading, plan, cluster, seconds, known: _ } = &mut planned;
    let options = Options {
        context: cluster.as_ref().map(|c| c.context.clone()).unwrap_or_default(),
        source: repository.source.clone(),
        revision: repository.revision.as_ref().map(|r| r.id.clone()).unwrap_or_default(),
        ..options.clone()
    };
    let start = Instant::now();
    let assessed = plan::assess(desired, &reading.live, &reading.parents, &options);
    let assess = start.elapsed().as_secs_f64();
    let answers = match cluster {
        Some(cluster) => probe(cluster, desired, &reading.live, &assessed).await,
        None => BTreeMap::new(),
    };
    let dry_run = start.elapsed().as_secs_f64() - assess;
    // They are part of the plan from here on.
    let parents = std::mem::take(&mut reading.parents);
    *plan = plan::conclude(desired, &reading.live, prepared, assessed, &answers, parents, &reading.broken, &options);
    let compare = start.elapsed().as_secs_f64() - dry_run;
    seconds.extend([("compare", compare), ("dry-run", dry_run)]);
    planned
}

/// Links the objects on a thread of its own, while live state is read.
async fn prepare(desired: &Arc<Desired>) -> Result<Prepared, Error> {
    let desired = Arc::clone(desired);
    let prepared = tokio::task::spawn_blocking(move || Prepared::of(&desired)).await;
    prepared.map_err(|error| Error::Thread(error.to_string()))
}

/// Live state from a file, with the inventory that it holds. What others are judged by comes first.
fn from_snapshot(mut live: Live, objects: &[Listed<'_>], desired: &Arc<Desired>) -> Reading {
    let text = |item: &'_ Listed<'_>, field: &str| {
        item.as_object().and_then(|item| item.get(field)?.as_str()).unwrap_or_default().to_owned()
    };
    let is_inventory = |item: &Listed<'_>| {
        let labels = item.as_object().and_then(|item| item.get("metadata")?.as_object()?.get("labels")?.as_object());
        labels.is_some_and(|labels| labels.contains_key(inventory::ID))
    };
    let (first, rest): (Vec<_>, Vec<_>) =
        objects.iter().partition(|item| is_inventory(item) || text(item, "kind") == "CustomResourceDefinition");
    first.into_iter().for_each(|item| live.insert(item.into()));
    let maps = live.of_kind("", "ConfigMap", None).filter(|(_, value)| label(value, inventory::ID).is_some());
    let (parents, broken) = inventory::find(desired, maps.map(|(_, value)| value));
    live.learn(desired);
    let screen = Screen::new(desired, &parents, &live.schemas, false);
    let mut listings = BTreeMap::new();
    for item in rest {
        let (api_version, kind) = (text(item, "apiVersion"), text(item, "kind"));
        let listing = listings
            .entry((api_version.clone(), kind.clone()))
            .or_insert_with(|| screen.listing(&GroupKind::new(split_api_version(&api_version).0, &kind), &api_version));
        if let Some((reference, stored)) = screen.keep(listing, item) {
            live.keep(reference, stored);
        }
    }
    Reading { live, parents, broken }
}

/// What a revision wanted that another one is compared with, held against its own rules.
async fn read_base_aside(
    given: &Given,
    revision: &str,
    head: Option<&Entry>,
) -> Result<(Desired, Option<String>), Error> {
    let (given, revision, head) = (given.clone(), revision.to_owned(), head.cloned());
    let read = tokio::task::spawn_blocking(move || {
        let (mut base, changed) = given.read_base(&revision, head.as_ref())?;
        guard(&mut base);
        Ok((base, changed))
    });
    read.await.unwrap_or_else(|error| Err(Error::Thread(error.to_string())))
}

fn config_of(tree: &Tree) -> Option<&Entry> {
    tree.entries.get(CONFIG_FILE)
}

/// The rules of the head judge a plan between revisions, as they judge the apply after the merge; whoever reads it has to know
/// that they are others than before.
fn rules_change(changed: &str, base: &str) -> Diagnostic {
    let message =
        format!("The rules change: {changed}. This plan is judged by the new ones, as the apply after the merge is.");
    let help = format!("`spinway check --base {base}` judges by those of the base, and so does the Action.");
    let origin = Origin { file: CONFIG_FILE.into(), position: Position { line: 1, column: 1 } };
    Diagnostic::warning("rules-change", message).at(origin).help(help)
}

/// What is found in the revision that a change is based on, beside the live state by which the change was planned.
///
/// # Errors
/// The revision or its Config cannot be read.
pub fn findings_of(given: &Given, revision: &str, planned: &Planned) -> Result<KnownFindings, Error> {
    let (mut base, _) = given.read_base(revision, config_of(&planned.repository.tree))?;
    guard(&mut base);
    let mut found = base.diagnostics.clone();
    check::add_findings(&base, &planned.reading.live, &mut found);
    Ok(KnownFindings::of(&found))
}

/// Live state as an apply of another revision leaves it, with the inventory that it holds.
fn from_revision(mut live: Live, desired: &Desired) -> Reading {
    let maps = live.of_kind("", "ConfigMap", None).filter(|(_, value)| label(value, inventory::ID).is_some());
    let (parents, broken) = inventory::find(desired, maps.map(|(_, value)| value));
    plan::take_for_granted(&mut live, desired);
    Reading { live, parents, broken }
}

/// Lets the API server answer, as dry-runs, for the objects that need it.
async fn probe(
    cluster: &Cluster,
    desired: &Desired,
    live: &Live,
    assessed: &[Assessed],
) -> BTreeMap<ObjectRef, Answer> {
    // Nobody may ask for a tenant that has to be someone and is not.
    let lacking = check::without_account(desired);
    let wanted = assessed.iter().filter(|a| a.probe && a.change.action != Action::Blocked);
    let wanted = wanted.filter(|a| !lacking.contains(a.change.partition.as_str()));
    let monitors = &monitors(desired, live);
    let requests = wanted.map(|a| async move {
        let partition = &a.change.partition;
        let cluster = cluster.acting_as(desired.rules().identity_of(partition).as_deref());
        let cluster = cluster.watched_by(monitors.get(partition).cloned());
        (a.change.object.clone(), ask(&cluster, live, &a.change).await)
    });
    stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await
}

/// What holds the requests for each tenant against its rules.
pub(super) fn monitors(desired: &Desired, live: &Live) -> BTreeMap<String, Arc<Monitor>> {
    let rules = desired.rules();
    let tenants = rules.tenants.iter().map(|tenant| &tenant.name);
    let made = tenants.filter_map(|name| {
        Some((name.clone(), Arc::new(Monitor::of(rules, &desired.environment, name, &live.kinds)?)))
    });
    made.collect()
}

async fn ask(cluster: &Cluster, live: &Live, change: &Change) -> Answer {
    let refused = |message: &str| Answer::Refused(Refused { message: message.into(), ..Refused::default() });
    let (Some(served), Some(body)) = (live.kinds.get(&change.object.group_kind()), &change.body) else {
        return refused("its kind is not served");
    };
    // Statuses are written all the time, so only the apply itself carries the judged resourceVersion.
    let body = with_identity(body, &change.uid, "");
    let mode = Mode { dry_run: true, force: change.is_forced() };
    match cluster.apply(&change.object, &change.version, served, &body, mode).await {
        Ok(value) => Answer::Accepted(value),
        Err(mut refused) => {
            if refused.code == 422 {
                refused.proved = prove(cluster, live, change).await;
            }
            Answer::Refused(refused)
        }
    }
}

/// Whether the object would be accepted as a new one, under another name.
async fn prove(cluster: &Cluster, live: &Live, change: &Change) -> Option<bool> {
    let body = plan::proof_body(change)?;
    let served = live.kinds.get(&change.object.group_kind())?;
    let object = ObjectRef::of(&body)?;
    let mode = Mode { dry_run: true, force: false };
    Some(cluster.apply(&object, &change.version, served, &body, mode).await.is_ok())
}
