//! Until when writes may be sent. Kubernetes cannot refuse a write because of who held a lease, so each write is held
//! against this clock right before it is sent.

use crate::apply::LEASE_LOST;
use crate::object::Untrusted;
use crate::plan::Refused;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A limit in time, on the monotonic clock: it goes on while the process is stopped, and nobody can set it.
#[derive(Clone, Debug)]
pub struct Fence {
    base: Instant,
    /// Milliseconds after `base`.
    until: Arc<AtomicU64>,
}

impl Fence {
    /// Writes may be sent until then.
    pub(super) fn until(limit: Instant) -> Self {
        let fence = Self { base: Instant::now(), until: Arc::new(AtomicU64::new(0)) };
        fence.extend(limit);
        fence
    }

    /// Writes may be sent until a later time.
    pub(super) fn extend(&self, limit: Instant) {
        let milliseconds = limit.saturating_duration_since(self.base).as_millis();
        self.until.store(u64::try_from(milliseconds).unwrap_or(0), Ordering::Release);
    }

    /// No further write may be sent.
    pub fn close(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Whether it was closed, as opposed to having ended by itself.
    pub fn is_closed(&self) -> bool {
        self.until.load(Ordering::Acquire) == 0
    }

    /// How long writes may still be sent.
    pub fn remaining(&self) -> Duration {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        until.saturating_sub(self.base.elapsed())
    }

    /// Refuses when the time is over.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if !self.remaining().is_zero() {
            return Ok(());
        }
        let message = Untrusted::new("the lease of this environment is not held any more, so nothing is written");
        Err(Refused { reason: LEASE_LOST.to_owned(), message, ..Refused::default() })
    }
}
