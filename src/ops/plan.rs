//! Reading a repository and live state, and planning.

use super::Error;
use crate::cluster::{Cluster, Mode, Reading, with_identity};
use crate::desired::{self, Desired};
use crate::inventory;
use crate::live::{Live, Source};
use crate::object::{ObjectRef, label};
use crate::plan::{self, Action, Answer, Assessed, Change, Options, Plan, Refused};
use crate::source::{self, Repository};
use futures::stream::{self, StreamExt as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Dry-runs under way at once.
const CONCURRENCY: usize = 8;

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

/// A plan with all that it was made of.
pub struct Planned {
    /// The repository.
    pub repository: Repository,
    /// What it wants.
    pub desired: Desired,
    /// Live state and inventory.
    pub reading: Reading,
    /// The plan.
    pub plan: Plan,
    /// The connection, when there is one.
    pub cluster: Option<Cluster>,
    /// Seconds by phase.
    pub seconds: BTreeMap<&'static str, f64>,
}

/// Reads a repository and what it wants.
///
/// # Errors
/// The repository or its Config cannot be read.
pub fn read_desired(
    directory: &Path,
    revision: Option<&str>,
    environment: Option<&str>,
) -> Result<(Repository, Desired), Error> {
    let repository = source::read(directory, revision)?;
    let desired = desired::read(&repository.tree, environment)?;
    Ok((repository, desired))
}

/// Plans.
///
/// # Errors
/// The repository, its Config or the live state cannot be read at all.
pub async fn plan(
    directory: &Path,
    revision: Option<&str>,
    environment: Option<&str>,
    from: &LiveSource,
    options: &Options,
) -> Result<Planned, Error> {
    let start = Instant::now();
    let (repository, desired) = read_desired(directory, revision, environment)?;
    let read = start.elapsed().as_secs_f64();
    let (reading, cluster) = observe(directory, environment, from, &desired).await?;
    let list = start.elapsed().as_secs_f64() - read;
    let options = Options {
        context: cluster.as_ref().map(|c| c.context.clone()).unwrap_or_default(),
        source: repository.source.clone(),
        revision: repository.revision.as_ref().map(|r| r.id.clone()).unwrap_or_default(),
        ..options.clone()
    };
    let assessed = plan::assess(&desired, &reading.live, &reading.parents, &options);
    let compare = start.elapsed().as_secs_f64() - read - list;
    let answers = match &cluster {
        Some(cluster) => probe(cluster, &reading.live, &assessed).await,
        None => BTreeMap::new(),
    };
    let dry_run = start.elapsed().as_secs_f64() - read - list - compare;
    let plan =
        plan::conclude(&desired, &reading.live, assessed, &answers, reading.parents.clone(), &reading.broken, &options);
    let seconds = BTreeMap::from([("read", read), ("list", list), ("compare", compare), ("dry-run", dry_run)]);
    Ok(Planned { repository, desired, reading, plan, cluster, seconds })
}

async fn observe(
    directory: &Path,
    environment: Option<&str>,
    from: &LiveSource,
    desired: &Desired,
) -> Result<(Reading, Option<Cluster>), Error> {
    match from {
        LiveSource::Cluster { kubeconfig, context } => {
            let cluster = Cluster::connect(kubeconfig.as_deref(), context.as_deref()).await?;
            Ok((cluster.observe(desired).await?, Some(cluster)))
        }
        LiveSource::Snapshot(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Error::File { path: path.clone(), error })?;
            let live = Live::from_snapshot(&text).map_err(|error| Error::Snapshot { path: path.clone(), error })?;
            Ok((offline(live, desired), None))
        }
        LiveSource::Revision(revision) => {
            let (_, other) = read_desired(directory, Some(revision), environment)?;
            Ok((offline(Live::of_desired(&other), desired), None))
        }
    }
}

/// Live state from a file or a revision, with the inventory that it holds.
fn offline(mut live: Live, desired: &Desired) -> Reading {
    let mut reading = Reading::default();
    if live.source == Source::Snapshot {
        let maps =
            live.objects().iter().filter(|(r, value)| r.is("", "ConfigMap") && label(value, inventory::ID).is_some());
        (reading.parents, reading.broken) = inventory::find(desired, maps.map(|(_, value)| value));
    }
    live.learn(desired);
    reading.live = live;
    reading
}

/// Lets the API server answer, as dry-runs, for the objects that need it.
async fn probe(cluster: &Cluster, live: &Live, assessed: &[Assessed]) -> BTreeMap<ObjectRef, Answer> {
    let wanted = assessed.iter().filter(|a| a.probe && a.change.action != Action::Blocked);
    let requests = wanted.map(|a| async move { (a.change.object.clone(), ask(cluster, live, &a.change).await) });
    stream::iter(requests).buffer_unordered(CONCURRENCY).collect().await
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
