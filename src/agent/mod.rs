//! The agent: turns of pulling, planning, applying and telling, one or many.
//!
//! **Invariants:** nothing is written without the Lease of the environment; a turn with nothing to write takes none; what a
//! server says that must not be believed changes nothing, and drift is reported all the same.

mod fleet;
mod interval;
mod snapshots;
mod tell;
mod turn;

pub use fleet::{Fleet, Member, Shard};
pub use snapshots::Snapshots;
pub use tell::Tellers;
pub use turn::{Owned, Trouble, Turn};

use crate::ops::{Settings, Writer};
use crate::source::Remote;
use futures::future::{BoxFuture, Shared};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Resolves when the agent shall end; each who waits for it has a clone.
pub type Interrupt = Shared<BoxFuture<'static, ()>>;

/// What the agent of one environment is told.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The repository.
    pub remote: Arc<Remote>,
    /// The environment; needed when there are several.
    pub environment: Option<String>,
    /// The kubeconfig file; none for the usual places.
    pub kubeconfig: Option<PathBuf>,
    /// The context; none for the current one.
    pub context: Option<String>,
    /// Where inventories are looked for before the repository is read.
    pub inventory_namespace: String,
    /// What alters its plans.
    pub options: crate::plan::Options,
    /// How plans are done.
    pub settings: Settings,
    /// As whom it takes the Lease.
    pub writer: Writer,
    /// How often the Git server is asked; none for a single turn.
    pub interval: Option<Duration>,
}
