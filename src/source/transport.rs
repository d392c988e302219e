//! How libgit2 reaches a server: over HTTPS and SSH of our own, so that there is one TLS stack, no OpenSSH program and no
//! configuration of the machine in the way. The only file with `unsafe`: libgit2 keeps transports and options globally.

use super::access::{Access, Way};
use super::{https, ssh};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{ConfigLevel, Remote};
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

thread_local! {
    /// How the connection that this thread is about to make is made: libgit2 hands nothing through.
    static ACCESS: RefCell<Option<Arc<Access>>> = const { RefCell::new(None) };
}

/// Runs something that connects, with the access that its connections have.
pub(super) fn with<T>(access: &Arc<Access>, work: impl FnOnce() -> T) -> Result<T, git2::Error> {
    install()?;
    ACCESS.set(Some(Arc::clone(access)));
    let done = work();
    ACCESS.set(None);
    Ok(done)
}

/// Makes libgit2 ours, once in a process.
#[allow(unsafe_code)]
fn install() -> Result<(), git2::Error> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        // SAFETY: both write global state of libgit2 and must not run beside other users of it. They run once, before the
        // first connection of the process, and nothing else of this program registers transports or sets search paths.
        let done: Result<(), git2::Error> = unsafe {
            (|| {
                for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
                    git2::opts::set_search_path(level, "")?;
                }
                git2::transport::register("https", |remote| made::<https::Https>(remote, true))?;
                git2::transport::register("ssh", |remote| made::<ssh::Ssh>(remote, false))
            })()
        };
        done.map_err(|error| error.message().to_owned())
    });
    done.as_ref().map_err(|message| git2::Error::from_str(message)).copied()
}

/// A way, with the access to which failures are told: of an error only its text passes through libgit2.
struct Told<W> {
    way: W,
    access: Arc<Access>,
}

impl<W: Way> SmartSubtransport for Told<W> {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        self.way.open(service).map_err(|failure| {
            let text = failure.to_string();
            self.access.failed(failure);
            git2::Error::from_str(&text)
        })
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

fn made<W: Way + Sync>(remote: &Remote<'_>, rpc: bool) -> Result<Transport, git2::Error> {
    let Some(access) = ACCESS.with_borrow(Clone::clone) else {
        return Err(git2::Error::from_str("this connection was not asked for"));
    };
    Transport::smart(remote, rpc, Told { way: W::of(Arc::clone(&access)), access })
}
