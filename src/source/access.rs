//! What a connection to a Git server needs: where it goes, who we are, whom we trust; and what came of it.

use git2::transport::{Service, SmartSubtransportStream};
use reqwest::Url;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest that all requests of one pull may take together.
const MAX: Duration = Duration::from_secs(120);
/// The most bytes that a pull may receive.
const MAX_BYTES: u64 = 512 << 20;

/// Why a Git server cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The URL is none that is used.
    #[error("the repository URL cannot be used: {0}")]
    Url(String),
    /// A file with a credential, a key or trust cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// The server does not know us.
    #[error("the Git server {0} refuses our credentials ({1})")]
    Unauthorized(String, String),
    /// The server's SSH key is in no line for it.
    #[error("the SSH host key of {host} is unknown: it shows {shown}, and known_hosts has none for it")]
    UnknownHost {
        /// The host, and its port when it is not 22.
        host: String,
        /// The fingerprint of the key it shows.
        shown: String,
    },
    /// The server's SSH key is not the one that is known.
    #[error("the SSH host key of {host} has changed or is revoked: it shows {shown}, known_hosts has {known}")]
    ChangedHost {
        /// The host, and its port when it is not 22.
        host: String,
        /// The fingerprint of the key it shows.
        shown: String,
        /// The fingerprints that are known.
        known: String,
    },
    /// The server sends us elsewhere.
    #[error("the Git server {0} redirects to another host, which is not followed: {1}")]
    Redirected(String, String),
    /// It answers too slowly or too much.
    #[error("the Git server {0} exceeds a limit: {1}")]
    Limit(String, String),
    /// The way to it fails.
    #[error("the Git server {0} cannot be reached: {1}")]
    Transport(String, String),
}

impl Unreachable {
    /// Whether trust is in question, rather than the network: then it is a refusal.
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::UnknownHost { .. } | Self::ChangedHost { .. } | Self::Redirected(..))
    }
}

/// Where credentials and trust are read from, anew for each pull, so that what is rotated is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// A folder, as a mounted Secret, with any of the files `username`, `password` or `token`, `ca.crt`, `identity` (an SSH
    /// key), `known_hosts`.
    pub folder: Option<PathBuf>,
    /// What the environment gives: user name and password or token; files win.
    pub username: Option<String>,
    /// See `username`.
    pub password: Option<String>,
    /// The proxy; `HTTPS_PROXY` and `NO_PROXY` of the environment count when there is none.
    pub proxy: Option<String>,
}

/// One pull's way to its server.
#[derive(Debug)]
pub struct Access {
    /// Where the repository is.
    pub(super) url: Url,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) authority: Option<Vec<u8>>,
    pub(super) identity: Option<PathBuf>,
    pub(super) known_hosts: Option<String>,
    pub(super) proxy: Option<String>,
    start: Instant,
    /// How long all requests may take together.
    limit: Duration,
    requests: AtomicU64,
    received: AtomicU64,
    failure: Mutex<Option<Unreachable>>,
}

impl Access {
    /// Reads what a connection to that URL needs.
    ///
    /// # Errors
    /// The URL is of another scheme or carries credentials; a file cannot be read.
    pub fn new(url: &str, secrets: &Secrets) -> Result<Self, Unreachable> {
        let url = parse(url)?;
        let bytes = |name: &str| read(secrets.folder.as_deref(), name);
        let text = |name: &str| -> Result<Option<String>, Unreachable> {
            Ok(bytes(name)?.map(|b| String::from_utf8_lossy(&b).trim().to_owned()).filter(|t| !t.is_empty()))
        };
        let password = text("password")?.or(text("token")?).or_else(|| secrets.password.clone());
        let identity = secrets.folder.as_ref().map(|folder| folder.join("identity")).filter(|path| path.is_file());
        Ok(Self {
            url,
            username: text("username")?.or_else(|| secrets.username.clone()),
            password,
            authority: bytes("ca.crt")?,
            identity,
            known_hosts: text("known_hosts")?,
            proxy: secrets.proxy.clone(),
            start: Instant::now(),
            limit: MAX,
            requests: AtomicU64::new(0),
            received: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    /// The same, for requests that may not take longer together.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The host, with its port where that is said.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL without anything secret: the identity of the repository.
    pub fn shown(&self) -> String {
        self.url.to_string()
    }

    /// How many requests were sent: for SSH, connections.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request.
    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what was received.
    pub(super) fn receive(&self, bytes: usize) -> Result<(), Unreachable> {
        let all = self.received.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if all > MAX_BYTES {
            return Err(Unreachable::Limit(self.host(), format!("more than {} MiB", MAX_BYTES >> 20)));
        }
        Ok(())
    }

    /// How long the pull may still take.
    pub(super) fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    /// Remembers why it failed; the first reason stays.
    pub(super) fn failed(&self, failure: Unreachable) {
        let mut known = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.get_or_insert(failure);
    }

    /// Whether the way to the server failed, rather than what was done with its answers.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
    }

    /// Why it failed, if it did.
    pub(super) fn take_failure(&self) -> Option<Unreachable> {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    /// An error of a stream, remembered.
    pub(super) fn broken(&self, failure: Unreachable) -> std::io::Error {
        let text = failure.to_string();
        self.failed(failure);
        std::io::Error::other(text)
    }
}

/// A way to a server.
pub(super) trait Way: Send + 'static {
    /// Makes one.
    fn of(access: Arc<Access>) -> Self;
    /// Opens the stream of a service.
    fn open(&self, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Unreachable>;
}

/// A file of the folder; none when it is not there.
fn read(folder: Option<&Path>, name: &str) -> Result<Option<Vec<u8>>, Unreachable> {
    let Some(path) = folder.map(|folder| folder.join(name)) else { return Ok(None) };
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unreachable::File(path, error.to_string())),
    }
}

/// Reads a repository URL: `https://…`, `ssh://…`, or `user@host:path` as SSH writes it. No other scheme is used, and no
/// credentials belong into it.
fn parse(text: &str) -> Result<Url, Unreachable> {
    let plain = |place: &str| place.bytes().all(|b| b.is_ascii_alphanumeric() || b"@.-_".contains(&b));
    let short = text.split_once(':').filter(|(place, path)| plain(place) && !path.starts_with("//"));
    let short = short.filter(|(_, path)| !path.starts_with(':'));
    let full = match short {
        Some((host, path)) => format!("ssh://{host}/{}", path.trim_start_matches('/')),
        None => text.to_owned(),
    };
    let refuse = |why: &str| Err(Unreachable::Url(why.to_owned()));
    let Ok(url) = Url::parse(&full) else { return refuse("it is no URL") };
    if !matches!(url.scheme(), "https" | "ssh") {
        return refuse("only https:// and ssh:// are used");
    }
    if url.password().is_some() || url.scheme() == "https" && !url.username().is_empty() {
        return refuse("it holds credentials; give them as files or in the environment");
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.starts_with('-') || url.username().starts_with('-') || url.path().starts_with("/-") {
        return refuse("host, user and path must not be empty or begin with `-`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("it has a query or a fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_that_mean_one_thing_are_used() {
        for (given, read) in [
            ("https://git.example/a/b.git", "https://git.example/a/b.git"),
            ("ssh://git@git.example:2222/a", "ssh://git@git.example:2222/a"),
            ("git@github.com:acme/shop.git", "ssh://git@github.com/acme/shop.git"),
        ] {
            assert_eq!(parse(given).map(|url| url.to_string()), Ok(read.to_owned()));
        }
        for refused in [
            "http://git.example/a",
            "file:///etc",
            "git://git.example/a",
            "ext::sh -c id",
            "https://user:pass@git.example/a",
            "https://token@git.example/a",
            "ssh://-oProxyCommand=id/a",
            "ssh://-oX@git.example/a",
            "ssh://git@git.example/-upload",
            "https://git.example/a?x=1",
            "/srv/git",
            "",
        ] {
            assert!(matches!(parse(refused), Err(Unreachable::Url(_))), "{refused}");
        }
    }
}
