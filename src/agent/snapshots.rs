//! Snapshots for pull requests: after a turn, what is live is written to a file or to a branch of its own, when it is another
//! than what stands there.

use super::Turn;
use crate::live::{content, taken};
use crate::object::hex;
use crate::ops::{self, Planned};
use crate::source::{Branch, PullError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One that says the same is written anew after so long: its age tells how old what it says may be.
const RENEW_SECONDS: i64 = 12 * 3600;

/// Keeping one may take so long.
const LIMIT: Duration = Duration::from_secs(30);
/// After a failure nothing is tried for so long: longer than what is under way then can last.
const PAUSE: Duration = Duration::from_secs(180);

/// Where snapshots are kept.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// A file.
    pub file: Option<PathBuf>,
    /// A branch, in which it is the file `ENVIRONMENT.json`.
    pub branch: Option<Branch>,
    /// Where what was written is remembered between processes, if it is.
    pub memory: Option<PathBuf>,
    /// What was written by this process.
    pub written: Option<Written>,
    /// When it could not be written.
    pub failed: Option<Instant>,
}

/// What was written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Where.
    place: String,
    /// The digest of the live state that it was made of.
    seen: String,
    /// The digest of what it says.
    content: String,
    /// When it was taken, in seconds since 1970.
    at: i64,
}

/// Why a snapshot was not kept.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    /// Live state cannot be read.
    #[error(transparent)]
    Read(#[from] ops::Error),
    /// The branch cannot be read or written.
    #[error(transparent)]
    Branch(#[from] PullError),
    /// The file cannot be written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// Not all of it could be read.
    #[error("live state could only be read in part")]
    Partial,
    /// It takes too long.
    #[error("it takes longer than {} seconds", LIMIT.as_secs())]
    Slow,
}

impl Snapshots {
    /// Keeps what is live after a turn. What cannot be written is logged, and tried again later: the age of the old one tells
    /// everybody else, and nothing waits for it for long.
    pub async fn keep(&mut self, turn: &Turn) {
        if self.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return;
        }
        let kept = tokio::time::timeout(LIMIT, self.try_to_keep(turn)).await.unwrap_or(Err(SnapshotError::Slow));
        self.failed = kept.is_err().then(Instant::now);
        if let Err(error) = kept {
            tracing::warn!(%error, "no snapshot was written");
        }
    }

    async fn try_to_keep(&mut self, turn: &Turn) -> Result<(), SnapshotError> {
        let Some(planned) = turn.planned.as_ref().filter(|_| self.is_wanted()) else { return Ok(()) };
        // What is refused may be another cluster.
        let Some(cluster) = planned.cluster.as_ref().filter(|_| planned.plan.refused.is_none()) else { return Ok(()) };
        let now = jiff::Timestamp::now().as_second();
        let seen = seen(planned);
        let written = self.written.clone().or_else(|| remembered(self.memory.as_deref()));
        let is_there = self.file.as_ref().is_none_or(|file| file.exists());
        let place = self.place();
        let is_young = |written: &Written| written.place == place && is_young(written.at, now);
        let written = written.filter(|written| is_there && is_young(written));
        if turn.outcome.is_none() && written.as_ref().is_some_and(|written| written.seen == seen) {
            return Ok(());
        }
        let live = ops::snapshot(cluster, &planned.desired).await?;
        if live.has_unknown() && !planned.reading.live.has_unknown() {
            return Err(SnapshotError::Partial);
        }
        let text = live.to_snapshot(&planned.desired);
        let same = hex(&Sha256::digest(content(&text)));
        let is_known = written.as_ref().is_some_and(|written| written.content == same);
        let at = match written.filter(|_| is_known) {
            Some(written) => written.at,
            None => self.write(&file_name(&planned.plan.environment), text, now).await?,
        };
        self.remember(Written { place, seen, content: same, at });
        Ok(())
    }

    /// Where it is written, in words.
    fn place(&self) -> String {
        let branch = self.branch.as_ref().map(|branch| format!("{} {}", branch.url, branch.name));
        format!("{:?} {branch:?}", self.file)
    }

    fn is_wanted(&self) -> bool {
        self.file.is_some() || self.branch.is_some()
    }

    /// Writes to each place where something else stands, or the same for too long; gives the time of the oldest.
    async fn write(&self, name: &str, text: String, now: i64) -> Result<i64, SnapshotError> {
        let mut at = now;
        if let Some(path) = &self.file {
            match std::fs::read(path).ok().and_then(|found| current(&found, &text, now)) {
                Some(taken) => at = taken,
                None => replace(path, &text).map_err(|error| SnapshotError::File(path.clone(), error))?,
            }
        }
        let Some(branch) = self.branch.clone() else { return Ok(at) };
        let name = name.to_owned();
        let pushing = tokio::task::spawn_blocking(move || {
            let found = branch.read(&name)?;
            match found.and_then(|found| current(&found, &text, now)) {
                Some(taken) => Ok(taken),
                None => branch.write(&name, text.as_bytes(), "What is live").map(|()| now),
            }
        });
        let ended = |error: tokio::task::JoinError| ops::Error::Thread(error.to_string());
        Ok(at.min(pushing.await.map_err(ended)??))
    }

    fn remember(&mut self, written: Written) {
        if let Some(path) = &self.memory
            && self.written.as_ref() != Some(&written)
            && let Ok(text) = serde_json::to_string(&written)
            && let Err(error) = replace(path, &text)
        {
            tracing::warn!(path = %path.display(), %error, "what was written cannot be remembered");
        }
        self.written = Some(written);
    }
}

/// A digest of what a turn saw: while it is the same, so is what would be written.
fn seen(planned: &Planned) -> String {
    let mut state = Sha256::new();
    state.update(planned.reading.live.fingerprint());
    state.update(planned.repository.revision.as_ref().map(|revision| revision.id.as_str()).unwrap_or_default());
    for parent in &planned.plan.parents {
        state.update(&parent.resource_version);
        state.update([0]);
    }
    hex(&state.finalize())
}

/// When what was found was taken, if it says what a snapshot says and is young enough.
fn current(found: &[u8], text: &str, now: i64) -> Option<i64> {
    let found = String::from_utf8_lossy(found);
    taken(&found).filter(|at| content(&found) == content(text) && is_young(*at, now))
}

/// Whether what was taken then need not be taken anew; what is dated ahead must.
fn is_young(at: i64, now: i64) -> bool {
    (0..RENEW_SECONDS).contains(&(now - at))
}

fn file_name(environment: &str) -> String {
    format!("{}.json", if environment.is_empty() { "default" } else { environment })
}

fn remembered(memory: Option<&Path>) -> Option<Written> {
    serde_json::from_slice(&std::fs::read(memory?).ok()?).ok()
}

/// Writes a file whole or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}
