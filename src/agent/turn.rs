//! One turn: pull, plan, apply.

use super::{Agent, Interrupt};
use crate::cluster::{Cluster, LeaseError, Reading};
use crate::desired::{Desired, DriftRule, Tree};
use crate::inventory::{self, Parent};
use crate::object::{ObjectRef, Untrusted, meta};
use crate::ops::{self, Connected, Event, Given, Lock, Outcome, Place, Planned, REPLANS, Seconds, is_idle, lost};
use crate::plan::{Leave, Options, OwnDrift, drift_of_owned};
use crate::source::{PullError, Pulled, Repository};
use futures::FutureExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a turn came to.
#[derive(Default)]
pub struct Turn {
    /// What was pulled.
    pub pulled: Pulled,
    /// Whether it is another revision than the one that was applied last.
    pub is_new: bool,
    /// The plan; none when the repository cannot be read, not even as it was applied last.
    pub planned: Option<Planned>,
    /// What the cluster alone told of drift, when there is no plan.
    pub owned: Option<Owned>,
    /// What was done; none when nothing was to be done, or must not be.
    pub outcome: Option<Outcome>,
    /// Apps whose last healthy version was brought back, in words.
    pub brought_back: Vec<Untrusted>,
    /// Why nothing was applied, if so.
    pub trouble: Option<Trouble>,
}

/// What the cluster alone tells.
pub struct Owned {
    /// The connection.
    pub cluster: Cluster,
    /// What the inventories own.
    pub reading: Reading,
    /// What drifted of it.
    pub drift: Vec<OwnDrift>,
}

/// Why a turn applied nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The repository cannot be pulled, or must not be believed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The repository or the cluster cannot be read.
    #[error(transparent)]
    Read(#[from] ops::Error),
    /// Someone else writes.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Others wrote each time between planning and writing.
    #[error("other agents or people wrote in between, {REPLANS} times in a row")]
    Overtaken,
    /// The Lease was not renewed in time, so what was left of the plan was not done.
    #[error("the Lease of the environment was lost, so nothing more was written")]
    Lost,
    /// The agent was asked to end before anything was written.
    #[error("the agent was asked to end")]
    Interrupted,
}

impl Agent {
    /// Does one turn. `interrupt` resolves when it shall end.
    pub async fn turn(&self, interrupt: &Interrupt, tell: &mut (dyn FnMut(Event) + Send)) -> Turn {
        let turn = self.one_turn(interrupt, tell).await;
        let brought_back = bring_back(&turn, self.settings.deadline).await;
        if brought_back.is_empty() {
            return turn;
        }
        // What comes back is applied at once.
        Turn { brought_back, is_new: turn.is_new, ..self.one_turn(interrupt, tell).await }
    }

    async fn one_turn(&self, interrupt: &Interrupt, tell: &mut (dyn FnMut(Event) + Send)) -> Turn {
        let mut turn = Turn::default();
        for _ in 0..REPLANS {
            turn = Turn::default();
            match self.try_turn(&mut turn, interrupt, tell).await {
                Ok(()) => return turn,
                // Whoever wrote in between may have applied a newer revision: everything begins anew, with the pull.
                Err(Trouble::Overtaken) => turn.trouble = Some(Trouble::Overtaken),
                Err(trouble) => {
                    turn.trouble.get_or_insert(trouble);
                    return turn;
                }
            }
        }
        turn
    }

    async fn try_turn(
        &self,
        turn: &mut Turn,
        interrupt: &Interrupt,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), Trouble> {
        // Until something is written it can be left at any point.
        let planning = async {
            tokio::select! {
                biased;
                () = interrupt.clone() => Err(Trouble::Interrupted),
                planned = self.plan_turn(turn) => planned,
            }
        };
        match planning.await? {
            Some(options) if turn.trouble.is_none() => self.perform(turn, &options, interrupt, tell).await,
            _ => Ok(()),
        }
    }

    /// Pulls and plans; gives what altered the plan, or none when there is none.
    async fn plan_turn(&self, turn: &mut Turn) -> Result<Option<Options>, Trouble> {
        let mut seconds = Seconds::default();
        let start = Instant::now();
        let mut connected = Connected::new(self.kubeconfig.as_deref(), self.context.as_deref()).await?;
        connected.cluster = connected.cluster.sparing();
        let cluster = connected.cluster.clone();
        let namespace = self.inventory_namespace.as_str();
        let maps = cluster
            .inventories(Some(namespace), &connected.types.kinds)
            .await
            .map_err(|refused| unreadable(&refused))?;
        seconds.insert("discover", start.elapsed().as_secs_f64());
        let applied = self.applied(&maps);
        connected.maps = Some((namespace.to_owned(), Ok(maps)));
        let start = Instant::now();
        let pulled = self.pull(applied.as_ref()).await;
        seconds.insert("pull", start.elapsed().as_secs_f64());
        let start = Instant::now();
        let wanted = match pulled {
            Ok(pulled) => {
                turn.is_new = applied.as_ref().is_none_or(|applied| applied.revision != pulled.revision);
                turn.pulled = pulled;
                let given = self.given(&turn.pulled.revision, &self.remote.directory);
                let read = read(&given).await.map_err(Trouble::from);
                read.map(|read| (given, read))
            }
            Err(error) => Err(error.into()),
        };
        let (given, read) = match wanted {
            Ok(wanted) => wanted,
            Err(trouble) => {
                turn.trouble = Some(trouble);
                // What was applied last is read instead of what must not be applied, so that drift is reported all the
                // same; without it, what the cluster tells by itself.
                match self.read_applied(applied.as_ref()).await {
                    Some(applied) => applied,
                    None => {
                        turn.owned = self.owned(cluster).await;
                        return Ok(None);
                    }
                }
            }
        };
        seconds.insert("read", start.elapsed().as_secs_f64());
        let options = self.options(&read.1, applied.as_ref(), &turn.pulled.revision).await;
        turn.planned = Some(ops::plan_live(&given, read, connected, seconds, &options).await?);
        Ok(Some(options))
    }

    /// Takes the Lease if there is something to write, makes sure that nobody wrote since, and does the plan.
    async fn perform(
        &self,
        turn: &mut Turn,
        options: &Options,
        interrupt: &Interrupt,
        tell: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), Trouble> {
        let Some(mut planned) = turn.planned.take() else { return Ok(()) };
        let (Some(cluster), false) = (planned.cluster.clone(), is_idle(&planned)) else {
            turn.planned = Some(planned);
            return Ok(());
        };
        let locking = async {
            let mut unheard = |_: &str, _: &str| {};
            tokio::select! {
                biased;
                () = interrupt.clone() => Err(Trouble::Interrupted),
                lock = Lock::take(&cluster, &planned, &self.writer, &mut unheard) => lock.map_err(Trouble::from),
            }
        };
        let lock = match locking.await {
            Ok(lock) => lock,
            Err(error) => {
                turn.planned = Some(planned);
                return Err(error);
            }
        };
        // When that cannot be told, it may be so.
        let overtaken = lock.has_overtaken(&planned).await.unwrap_or(true);
        let ended = interrupt.clone().now_or_never().is_some();
        if overtaken || ended {
            lock.release().await;
            turn.planned = Some(planned);
            return Err(if ended { Trouble::Interrupted } else { Trouble::Overtaken });
        }
        planned.cluster = Some(cluster.fenced(lock.fence()));
        let settings = ops::Settings {
            now: options.now,
            superseded: turn.pulled.superseded.clone(),
            overtaken: Arc::default(),
            ..self.settings.clone()
        };
        let overtaken = Arc::clone(&settings.overtaken);
        let outcome = {
            let ended = async {
                tokio::select! {
                    () = interrupt.clone() => {}
                    () = lost(lock.fence()) => {}
                    () = self.notice_newer(&turn.pulled.revision, &overtaken) => {}
                }
            };
            ops::apply(&mut planned, settings, std::pin::pin!(ended), tell).await
        };
        // When it is lost in the end, and all was done and recorded before, nothing is missing.
        let lost = lock.fence().was_over() && !(outcome.complete && outcome.inventory.is_none());
        lock.release().await;
        planned.cluster = Some(cluster);
        turn.planned = Some(planned);
        turn.outcome = Some(outcome);
        if lost { Err(Trouble::Lost) } else { Ok(()) }
    }

    /// Asks the Git server while a plan is done, and says when there is something newer that can be planned. It never ends.
    async fn notice_newer(&self, revision: &str, overtaken: &AtomicBool) {
        while let Some(interval) = self.interval {
            tokio::time::sleep(interval).await;
            let Some(pulled) = self.pull_since(revision).await.filter(|pulled| pulled.revision != revision) else {
                continue;
            };
            let newer = read(&self.given(&pulled.revision, &self.remote.directory)).await;
            if newer.is_ok_and(|(_, desired)| !desired.objects.is_empty()) {
                overtaken.store(true, Ordering::Relaxed);
                break;
            }
        }
        std::future::pending::<()>().await;
    }

    fn given(&self, revision: &str, directory: &Path) -> Given {
        let remote = if directory == self.remote.directory {
            Arc::clone(&self.remote)
        } else {
            Arc::new(self.remote.at(directory))
        };
        let place = Place::Pulled { remote, revision: revision.to_owned() };
        Given { place, environment: self.environment.clone() }
    }

    /// The revision that this environment applied last from this repository, and the folder that it was read from; none when
    /// there was none.
    fn applied(&self, maps: &[Value]) -> Option<Applied> {
        let identity = self.remote.identity();
        let inventories = self.inventories(maps);
        let revision = inventory::last_revision(&inventories).to_owned();
        let directory = inventories.iter().find_map(|parent| folder(&parent.state.source, &identity))?;
        (!revision.is_empty()).then_some(Applied { revision, directory })
    }

    /// The revision that was applied last, as long as it is in the cache.
    async fn read_applied(&self, applied: Option<&Applied>) -> Option<(Given, (Repository, Desired))> {
        let applied = applied?;
        let given = self.given(&applied.revision, &applied.directory);
        let read = read(&given).await.ok()?;
        Some((given, read))
    }

    /// What the cluster alone tells of what this repository's inventories own.
    async fn owned(&self, cluster: Cluster) -> Option<Owned> {
        let ours = |maps: &[Value]| self.inventories(maps);
        match cluster.observe_owned(&self.inventory_namespace, ours).await {
            Ok(reading) => {
                let drift = drift_of_owned(&reading.live, &reading.parents);
                Some(Owned { cluster, reading, drift })
            }
            Err(error) => {
                tracing::warn!(%error, "drift cannot be told");
                None
            }
        }
    }

    /// The inventories of this environment and repository.
    fn inventories(&self, maps: &[Value]) -> Vec<Parent> {
        let identity = self.remote.identity();
        let mut found: Vec<Parent> = maps.iter().filter_map(|map| self.inventory(map, &identity)).collect();
        // Another folder of the repository may hold another Config, with an environment of the same name.
        let is_here =
            |parent: &Parent| folder(&parent.state.source, &identity).as_ref() == Some(&self.remote.directory);
        if found.iter().any(is_here) {
            found.retain(is_here);
        }
        found
    }

    /// An inventory of this environment and repository.
    fn inventory(&self, map: &Value, identity: &str) -> Option<Parent> {
        let (parent, _, environment) = Parent::named(meta(map, "name"), meta(map, "namespace"))?;
        let asked = self.environment.as_deref().is_none_or(|asked| asked == environment);
        let parent = parent.read(map).ok().filter(|_| asked)?;
        folder(&parent.state.source, identity).is_some().then_some(parent)
    }

    async fn pull(&self, applied: Option<&Applied>) -> Result<Pulled, PullError> {
        let (remote, applied) = (Arc::clone(&self.remote), applied.map(|applied| applied.revision.clone()));
        let pulling = tokio::task::spawn_blocking(move || remote.pull(applied.as_deref()));
        let ended = |error: tokio::task::JoinError| PullError::Git(self.remote.identity(), error.to_string());
        pulling.await.map_err(ended)?
    }

    /// Asks the Git server for what came after a revision; none when it cannot be told.
    pub(super) async fn pull_since(&self, revision: &str) -> Option<Pulled> {
        let applied = Applied { revision: revision.to_owned(), directory: self.remote.directory.clone() };
        self.pull(Some(&applied)).await.ok()
    }

    /// What alters the plan: whether drift is left, and what the repository itself changed since the last apply.
    async fn options(&self, desired: &Desired, applied: Option<&Applied>, revision: &str) -> Options {
        let now = jiff::Timestamp::now().as_second();
        let leave = match (desired.environment.drift, applied) {
            (DriftRule::Correct, _) => None,
            (DriftRule::Report, None) => Some(Leave::default()),
            (DriftRule::Report, Some(applied)) if applied.revision == revision => Some(Leave::default()),
            (DriftRule::Report, Some(applied)) => {
                let before = read(&self.given(&applied.revision, &applied.directory)).await;
                // When that cannot be read, what is missing counts as drift: nothing is made again by mistake.
                let renewed = before.map(|(_, before)| renewed(desired, &before)).unwrap_or_default();
                Some(Leave { renewed })
            }
        };
        Options { leave, now, ..self.options.clone() }
    }
}

/// Brings back apps that ask for it and did not become healthy; in words, what was done.
async fn bring_back(turn: &Turn, deadline: f64) -> Vec<Untrusted> {
    let Some(planned) = turn.planned.as_ref().filter(|_| turn.trouble.is_none()) else { return Vec::new() };
    let mut told = Vec::new();
    for comeback in ops::bring_back(planned, turn.outcome.as_ref(), deadline).await {
        match &comeback.held {
            Ok(_) => told.push(comeback.text()),
            Err(ops::Stays::Nowhere) => {}
            Err(error) => tracing::warn!(app = comeback.app, %error, "it could not be brought back"),
        }
    }
    told
}

/// What was applied last.
#[derive(Clone, PartialEq, Eq)]
struct Applied {
    revision: String,
    directory: PathBuf,
}

/// The folder of a source that is in that repository.
fn folder(source: &str, identity: &str) -> Option<PathBuf> {
    let rest = source.strip_prefix(identity)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| PathBuf::from(rest.trim_start_matches('/')))
}

/// The objects whose text is another one than before, with the text before.
fn renewed(desired: &Desired, before: &Desired) -> BTreeMap<ObjectRef, Option<Value>> {
    let pairs = desired.objects.iter().filter_map(|(reference, member)| {
        let old = before.objects.get(reference).map(|member| &member.object.value);
        (old != Some(&member.object.value)).then(|| (reference.clone(), old.cloned()))
    });
    pairs.collect()
}

/// Reads what a revision wants. The files themselves are let go of: nobody is shown a line of them here, and a turn of
/// thousands of objects has a limit.
async fn read(given: &Given) -> Result<(Repository, Desired), ops::Error> {
    let given = given.clone();
    let read = tokio::task::spawn_blocking(move || {
        let (repository, desired) = given.read()?;
        Ok((Repository { tree: Tree::default(), ..repository }, desired))
    });
    read.await.unwrap_or_else(|error| Err(ops::Error::Thread(error.to_string())))
}

fn unreadable(refused: &crate::api::Refused) -> Trouble {
    let text = format!("inventories cannot be read: {} {}", refused.code, refused.message.terminal());
    ops::Error::from(crate::cluster::Error::Server(text)).into()
}
