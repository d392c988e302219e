//! The API server: connecting, reading live state, writing.
//!
//! **Invariant:** every request goes through [`Cluster::send`], which counts it, bounds it in time and takes secret values
//! out of what the server answers to a failure.

mod cache;
mod definitions;
mod discovery;
mod fence;
mod lease;
mod list;
mod listing;
mod lookup;
mod observe;
mod pace;
mod page;
mod stream;
mod watch;
mod write;

pub use discovery::Types;
pub use fence::Fence;
pub use lease::{Claim, Lease, LeaseError};
pub use listing::{Inventories, Reading};
pub use lookup::Look;
pub use observe::{Observer, Sought};
pub use watch::{Watches, watched};
pub use write::{Mode, NOT_THERE, is_other, with_identity};

use crate::api::{Fault, Invalid, Refused};
use crate::apply::{Asked, Monitor};
use crate::object::{ObjectRef, Untrusted};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use pace::{Pace, Slot};
use page::Page;
use serde_json::Value;
use serde_json_borrow::Value as Listed;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the server may let one wait: for an answer, and for each piece of it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests of one kind of work (dry-runs, look-ups, writes) under way at once, unless the server asks for fewer.
pub const CONCURRENCY: usize = 16;
/// The most requests under way at once.
const MOST: usize = 256;
/// The most times a request is sent again that the server was too busy to look at.
const BUSY_RETRIES: u32 = 6;
/// The most times a request that only reads is sent again when the way to the server fails.
const READ_RETRIES: u32 = 3;
/// The longest that one request waits for a busy server in all.
const MAX_WAITED: Duration = Duration::from_secs(60);
/// The most bytes of an answer that is held as a whole.
const MAX_BODY_BYTES: usize = 256 << 20;

/// Why the API server could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Config(String),
    /// The API server cannot be reached or does not answer as one.
    #[error("the API server cannot be used: {0}")]
    Server(String),
}

/// The namespace of a kubeconfig context, as kubectl takes it for objects that declare none; none where nothing says it, also since
/// the kubeconfig cannot be used, which connecting tells.
pub fn context_namespace(kubeconfig: Option<&Path>, context: Option<&str>) -> Option<String> {
    let file = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from).ok()?;
    let wanted = context.or(file.current_context.as_deref())?;
    let named = file.contexts.iter().find(|known| known.name == wanted)?;
    named.context.as_ref()?.namespace.clone().filter(|namespace| !namespace.is_empty())
}

/// A connection to an API server; clones share it.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    /// The kubeconfig context in use.
    pub context: String,
    /// The namespace of that context.
    pub namespace: String,
    /// The URL of the API server, by which what is kept on disk is told apart.
    server: String,
    shared: Arc<Shared>,
    /// Until when writes may be sent, when that is limited.
    fence: Option<Fence>,
    /// As whom writes are sent, when not as ourselves: the name of a user.
    identity: Option<Arc<str>>,
    /// What is asked for a tenant is held against this.
    monitor: Option<Arc<Monitor>>,
    /// Whether Secrets are read only in the namespaces whose repository declares them.
    sparing: bool,
}

struct Shared {
    traffic: Mutex<Traffic>,
    pace: Pace,
}

/// What was sent and received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests by verb.
    pub requests: BTreeMap<&'static str, u64>,
    /// Bytes of the bodies that were sent.
    pub sent: u64,
    /// Bytes of the bodies that were received, unpacked.
    pub received: u64,
}

impl Cluster {
    /// Connects by a kubeconfig, or from inside a cluster.
    ///
    /// # Errors
    /// The configuration cannot be read or used.
    pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::Config(error.to_string());
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let (mut config, context) = match kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from) {
            Ok(file) => {
                let context = context.map(str::to_owned).or_else(|| file.current_context.clone()).unwrap_or_default();
                let config = kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|e| wrong(&e))?;
                (config, context)
            }
            Err(error) if kubeconfig.is_some() || context.is_some() => return Err(wrong(&error)),
            Err(error) => (kube::Config::incluster().map_err(|_| wrong(&error))?, "in-cluster".to_owned()),
        };
        let agent = HeaderValue::from_static(concat!("spinway/", env!("CARGO_PKG_VERSION")));
        config.headers.push((header::USER_AGENT, agent));
        // Requests are repeated here, where each is counted and the pace is kept.
        config.default_retry = false;
        let (server, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
        let client = kube::Client::try_from(config).map_err(|e| wrong(&e))?;
        let shared = Shared { traffic: Mutex::default(), pace: Pace::new(MOST) };
        Ok(Self {
            client,
            context,
            namespace,
            server,
            shared: Arc::new(shared),
            fence: None,
            identity: None,
            monitor: None,
            sparing: false,
        })
    }

    /// The same connection, which reads Secrets only in the namespaces whose repository declares them: the agent's way, so
    /// that it needs no permission for others'.
    pub fn sparing(self) -> Self {
        Self { sparing: true, ..self }
    }

    /// The same connection, whose writes are sent only while a lease is held.
    pub fn fenced(&self, fence: &Fence) -> Self {
        Self { fence: Some(fence.clone()), ..self.clone() }
    }

    /// The same connection, whose writes and dry-runs are sent as another user (impersonation); as ourselves without one.
    pub fn acting_as(&self, user: Option<&str>) -> Self {
        Self { identity: user.map(Arc::from), ..self.clone() }
    }

    /// Whether it acts as somebody else.
    pub fn acts_for(&self) -> bool {
        self.identity.is_some()
    }

    /// The same connection, of which each write and dry-run is held against what a tenant may ask.
    pub fn watched_by(self, monitor: Option<Arc<Monitor>>) -> Self {
        Self { monitor, ..self }
    }

    /// Refuses what the monitor does not let through, and ends the turn: no further write is sent.
    fn check(&self, request: &Request<Bytes>) -> Result<(), Refused> {
        let Some(monitor) = self.monitor.as_ref().filter(|_| request.method() != Method::GET) else { return Ok(()) };
        let user = request.headers().get("impersonate-user").map(|user| user.to_str().unwrap_or_default());
        let (method, path) = (request.method().as_str(), request.uri().path());
        monitor.check(&Asked { method, path, user, body: request.body() }).map_err(|message| {
            tracing::error!(method, path, "{message}");
            if let Some(fence) = &self.fence {
                fence.close();
            }
            Refused {
                message: Untrusted::new(message),
                reason: "Breach".to_owned(),
                fault: Fault::Breach,
                ..Refused::default()
            }
        })
    }

    /// What was sent and received so far.
    pub fn traffic(&self) -> Traffic {
        self.shared.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, change: impl FnOnce(&mut Traffic)) {
        change(&mut self.shared.traffic.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sends one request, which counts under `verb`; the answer is JSON.
    async fn send(&self, verb: &'static str, request: Request<Bytes>) -> Result<Value, Refused> {
        let (body, _slot) = self.exchange(verb, request).await?;
        let bytes = self.all(body).await?;
        serde_json::from_slice(&bytes).map_err(|_| not_json(200))
    }

    /// One page of a LIST: shows each object, and gives the token of the next page.
    async fn page(
        &self,
        request: Request<Bytes>,
        each: &mut (dyn FnMut(&Listed<'_>) + Send),
    ) -> Result<String, Refused> {
        let (mut body, _slot) = self.exchange("LIST", request).await?;
        let mut page = Page::default();
        while let Some(piece) = self.piece(&mut body).await? {
            page.take(&piece, each)?;
        }
        page.end()
    }

    /// Sends one request, again while the server is too busy to look at it, and gives the body of a success, with the slot
    /// that is held until it is read.
    async fn exchange(&self, verb: &'static str, request: Request<Bytes>) -> Result<(Body, Slot<'_>), Refused> {
        let (parts, bytes) = request.into_parts();
        let (mut attempt, mut waited) = (0, Duration::ZERO);
        loop {
            let slot = self.shared.pace.slot().await;
            let answer = self.once(verb, Request::from_parts(parts.clone(), bytes.clone())).await;
            let code = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            let pause = match &answer {
                Ok(answer) => pause(verb, code, retry_after(answer.headers()), attempt),
                Err(_) => pause(verb, code, None, attempt),
            };
            if code == 429 {
                self.shared.pace.throttled();
            }
            if let Some(pause) = pause.filter(|pause| waited + *pause <= MAX_WAITED) {
                drop(slot);
                tokio::time::sleep(pause).await;
                waited += pause;
                attempt += 1;
                continue;
            }
            let answer = answer?;
            if code != 429 {
                self.shared.pace.answered();
            }
            if answer.status().is_success() {
                return Ok((answer.into_body(), slot));
            }
            let bytes = self.all(answer.into_body()).await?;
            let status: Value = serde_json::from_slice(&bytes).map_err(|_| not_json(code))?;
            return Err(Refused::of(code, &status));
        }
    }

    async fn once(&self, verb: &'static str, mut request: Request<Bytes>) -> Result<Response<Body>, Refused> {
        if let Some(user) = self.identity.as_ref().filter(|_| request.method() != Method::GET) {
            // Without the header the request would be our own, so one that cannot carry it is not sent.
            let value = HeaderValue::from_str(user).ok().filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| transport("the identity of the tenant is no name of a user".to_owned()))?;
            request.headers_mut().insert(HeaderName::from_static("impersonate-user"), value);
        }
        self.check(&request)?;
        // The last thing before it is sent, so that a process that was stopped for a while sends nothing it queued before.
        if let Some(fence) = self.fence.as_ref().filter(|_| is_write(verb)) {
            fence.check()?;
        }
        tracing::debug!(verb, path = %request.uri(), "request");
        self.count(|traffic| {
            *traffic.requests.entry(verb).or_default() += 1;
            traffic.sent += request.body().len() as u64;
        });
        in_time(self.client.send(request.map(Body::from))).await
    }

    /// The next piece of a body.
    async fn piece(&self, body: &mut Body) -> Result<Option<Bytes>, Refused> {
        let Some(frame) = in_time(async { body.frame().await.transpose() }).await? else { return Ok(None) };
        let piece = frame.into_data().unwrap_or_default();
        self.count(|traffic| traffic.received += piece.len() as u64);
        Ok(Some(piece))
    }

    async fn all(&self, mut body: Body) -> Result<Vec<u8>, Refused> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut body).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MAX_BODY_BYTES {
                return Err(transport("the answer is larger than 256 MiB".to_owned()));
            }
        }
        Ok(bytes)
    }

    async fn read(&self, verb: &'static str, path: &str, accept: &str) -> Result<Value, Refused> {
        self.send(verb, get(path, accept)?).await
    }
}

fn get(path: &str, accept: &str) -> Result<Request<Bytes>, Refused> {
    let request = Request::builder().method(Method::GET).uri(path).header(header::ACCEPT, accept);
    request
        .body(Bytes::new())
        .map_err(|error| Refused { message: Untrusted::new(error.to_string()), ..Refused::default() })
}

fn transport(message: String) -> Refused {
    Refused { message: Untrusted::new(message), reason: "Transport".to_owned(), ..Refused::default() }
}

fn not_json(code: u16) -> Refused {
    let message = Untrusted::new("the answer is not valid JSON");
    Refused { reason: "NotJson".to_owned(), message, ..Refused::of(code, &Value::Null) }
}

/// Bounds each wait for the server in time.
async fn in_time<T>(answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Refused> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, answer).await;
    answer.map_err(|_| transport("no answer within 30 s".to_owned()))?.map_err(|e| transport(e.to_string()))
}

/// How long to wait before a request is sent again; none when it is not. What the server did not look at is always sent
/// again, what only reads also when the way to it failed (code 0); the rest is judged where it is sent from.
fn pause(verb: &str, code: u16, said: Option<Duration>, attempt: u32) -> Option<Duration> {
    let reads = !is_write(verb);
    match code {
        // Without a word from the server: 0.5 s, then twice as long each time.
        429 if attempt < BUSY_RETRIES => Some(said.unwrap_or(Duration::from_millis(500 << attempt))),
        0 | 502..=504 if reads && attempt < READ_RETRIES => Some(said.unwrap_or(Duration::from_millis(200 << attempt))),
        _ => None,
    }
}

/// Whether a request of that verb changes something.
fn is_write(verb: &str) -> bool {
    matches!(verb, "PATCH" | "DELETE" | "POST" | "PUT")
}

/// What the server says of when to come back (RFC 9110 §10.2.3, in seconds).
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Takes secret values out of a refusal: the API server repeats them in messages about ill-typed Secrets. Of a Secret
/// only the fields are kept; of other objects the given values are struck out.
fn redact(object: &ObjectRef, body: &Value, refused: Refused) -> Refused {
    if object.is("", "Secret") {
        let fields: Vec<String> = refused.invalid.iter().map(|invalid| invalid.field.clone()).collect();
        let about = if fields.is_empty() { String::new() } else { format!(" about {}", fields.join(", ")) };
        let message = Untrusted::new(format!("the message{about} is withheld, since it may repeat a secret value"));
        let silent = |invalid: Invalid| Invalid { message: String::new(), ..invalid };
        return Refused { message, invalid: refused.invalid.into_iter().map(silent).collect(), ..refused };
    }
    let mut values = Vec::new();
    if object.is("core.spinkube.dev", "SpinApp") {
        for path in [
            "spec.variables[]",
            "spec.runtimeConfig.keyValueStores[].options[]",
            "spec.runtimeConfig.sqliteDatabases[].options[]",
        ] {
            values.extend(
                crate::kinds::each(body, path)
                    .into_iter()
                    .filter_map(|(_, v)| v.get("value"))
                    .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)),
            );
        }
    }
    let strike = |text: &str| {
        values
            .iter()
            .filter(|v| v.len() > 2)
            .fold(text.to_owned(), |text, value| text.replace(value.as_str(), "(value)"))
    };
    Refused {
        message: Untrusted::new(strike(refused.message.raw())),
        invalid: refused.invalid.iter().map(|i| Invalid { message: strike(&i.message), ..i.clone() }).collect(),
        ..refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_is_sent_again_and_not_for_ever() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(pause("PATCH", 429, seconds(7), 0), seconds(7));
        assert_eq!(pause("PATCH", 429, None, 1), seconds(1));
        assert_eq!(pause("PATCH", 429, None, BUSY_RETRIES), None);
        for code in [0, 502, 503, 504] {
            assert!(pause("LIST", code, None, 0).is_some());
            assert!(pause("dry-run", code, None, READ_RETRIES).is_none());
            assert!(pause("PATCH", code, None, 0).is_none() && pause("DELETE", code, None, 0).is_none());
        }
        assert!(pause("GET", 403, None, 0).is_none() && pause("GET", 500, None, 0).is_none());
    }
}
