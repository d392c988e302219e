//! Signals that end a run.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::signal::unix::{SignalKind, signal};

/// Resolves when a signal asks the run to end, with the exit code for it; each who waits for it has a clone.
pub(super) type Interrupt = Shared<BoxFuture<'static, u8>>;

/// Listens for signals from now on, also while nobody waits.
pub(super) fn interrupt() -> Interrupt {
    let signalled = tokio::spawn(interrupted());
    let interrupt = async {
        match signalled.await {
            Ok(code) => code,
            Err(_) => std::future::pending().await,
        }
    };
    interrupt.boxed().shared()
}

/// Waits for Ctrl-C or SIGTERM; gives the exit code for it.
pub(super) async fn interrupted() -> u8 {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    }
}
