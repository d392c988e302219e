//! The verbs as functions with typed options; nothing here prints.

mod apply;
mod check;
mod comeback;
mod gates;
mod lock;
mod new;
mod owed;
mod people;
mod pin;
mod plan;
mod probes;
mod record;
mod snapshot;

pub use apply::{Event, Outcome, Settings, apply};
pub use check::{Beside, Checked, check, suggest_rules};
pub use comeback::{Comeback, Stays, bring_back};
pub use lock::{Lock, REPLANS, Writer, holder, is_current, is_idle, lost, machine};
pub use new::{Created, NewError, Opened, new_repository, vacant};
pub use owed::{Owed, owed};
pub use people::{Environment, Part, PeopleError};
pub use pin::{Mode, Outcome as PinOutcome, Pinned, Pinning, Verdict, pin};
pub use plan::{
    Connected, Given, LiveSource, Place, Planned, Seconds, findings_of, plan, plan_again, plan_live, plan_read,
};
pub use record::{ensure_namespace, is_unrecorded};
pub use snapshot::snapshot;

use crate::desired::ReadError;
use crate::live::SnapshotError;
use crate::{cluster, registry, source};
use std::path::PathBuf;

/// Why a verb could not do its job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The Config or the environment cannot be used.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No registry can be used.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The API server cannot be used.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// A thread ended before its work was done.
    #[error("a thread of this program ended early: {0}")]
    Thread(String),
    /// The snapshot cannot be read.
    #[error("{path}: {error}")]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: SnapshotError,
    },
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
}
