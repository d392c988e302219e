//! Until when writes may be sent. Kubernetes cannot refuse a write because of who held a lease, so each write is held
//! against this clock right before it is sent.

use crate::api::{Fault, Refused};
use crate::object::Untrusted;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A limit in time, on the monotonic clock: it goes on while the process is stopped, and nobody can set it. It stands still
/// while the machine sleeps, as laptops do, so the clock on the wall may end it earlier, and never makes it longer.
#[derive(Clone, Debug)]
pub struct Fence {
    base: Instant,
    /// Milliseconds after `base`.
    until: Arc<AtomicU64>,
    /// Milliseconds since 1970.
    on_the_wall: Arc<AtomicU64>,
    /// Whether someone has seen that the time was over.
    over: Arc<AtomicBool>,
}

impl Fence {
    /// Writes may be sent until then.
    pub(super) fn until(limit: Instant) -> Self {
        let fence =
            Self { base: Instant::now(), until: Arc::default(), on_the_wall: Arc::default(), over: Arc::default() };
        fence.extend(limit);
        fence
    }

    /// Writes may be sent until a later time.
    pub(super) fn extend(&self, limit: Instant) {
        let on_the_wall = wall().saturating_add(limit.saturating_duration_since(Instant::now()));
        self.on_the_wall.store(milliseconds(on_the_wall), Ordering::Release);
        self.until.store(milliseconds(limit.saturating_duration_since(self.base)), Ordering::Release);
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
        let on_the_wall = Duration::from_millis(self.on_the_wall.load(Ordering::Acquire));
        let remaining = until.saturating_sub(self.base.elapsed()).min(on_the_wall.saturating_sub(wall()));
        if remaining.is_zero() {
            self.over.store(true, Ordering::Release);
        }
        remaining
    }

    /// Whether the time was over whenever someone asked. A run has stopped by it then, and a renewal that came late does not
    /// make what was left undone done.
    pub fn was_over(&self) -> bool {
        self.remaining().is_zero() || self.over.load(Ordering::Acquire)
    }

    /// Refuses when the time is over.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if !self.remaining().is_zero() {
            return Ok(());
        }
        let message = Untrusted::new("the lease of this environment is not held any more, so nothing is written");
        Err(Refused { reason: "LeaseLost".to_owned(), fault: Fault::LeaseLost, message, ..Refused::default() })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or_default()
}

/// The time since 1970.
fn wall() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_either_clock_and_for_good_when_it_is_closed() {
        let fence = Fence::until(Instant::now() + Duration::from_secs(30));
        assert!(fence.remaining() > Duration::from_secs(29) && fence.check().is_ok() && !fence.was_over());
        // The machine slept: the clock on the wall went on alone.
        fence.on_the_wall.store(milliseconds(wall().saturating_sub(Duration::from_secs(1))), Ordering::Release);
        assert!(fence.remaining().is_zero() && fence.check().is_err() && !fence.is_closed());
        fence.extend(Instant::now() + Duration::from_secs(30));
        assert!(fence.check().is_ok());
        assert!(fence.was_over(), "whoever stopped by it has stopped, although it was renewed later");
        // The clock on the wall was set back.
        fence.on_the_wall.store(milliseconds(wall() + Duration::from_secs(3600)), Ordering::Release);
        assert!(fence.remaining() <= Duration::from_secs(30));
        fence.close();
        assert!(fence.is_closed() && fence.check().is_err());
    }
}
