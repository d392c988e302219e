//! Git's smart protocol over HTTPS (gitprotocol-http): a GET for the references, a POST for each round of a fetch or push.

use super::access::{Access, Unreachable, Way};
use git2::transport::{Service, SmartSubtransportStream};
use reqwest::blocking::{Client, Request, Response};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Method, Proxy, StatusCode, Url};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How many redirects are followed, on the same host only.
const MAX_REDIRECTS: usize = 3;

/// The way over HTTPS.
pub(super) struct Https {
    access: Arc<Access>,
}

impl Way for Https {
    fn of(access: Arc<Access>) -> Self {
        Self { access }
    }

    fn open(&self, service: Service) -> Result<Box<dyn SmartSubtransportStream>, Unreachable> {
        let (program, lists) = match service {
            Service::UploadPackLs => ("git-upload-pack", true),
            Service::UploadPack => ("git-upload-pack", false),
            Service::ReceivePackLs => ("git-receive-pack", true),
            Service::ReceivePack => ("git-receive-pack", false),
        };
        let (access, client) = (Arc::clone(&self.access), client(&self.access)?);
        Ok(Box::new(Exchange { access, client, program, lists, body: Vec::new(), answer: None }))
    }
}

/// A client for one request. It is made anew each time: its files may have been rotated, and a turn makes one or three.
fn client(access: &Access) -> Result<Client, Unreachable> {
    let wrong = |error: reqwest::Error| Unreachable::Transport(access.host(), chain(&error));
    let mut builder = Client::builder()
        .user_agent(concat!("spinway/", env!("CARGO_PKG_VERSION")))
        .https_only(true)
        .connect_timeout(CONNECT)
        .timeout(access.remaining())
        .redirect(Policy::custom(same_host));
    if let Some(pem) = &access.authority {
        for certificate in Certificate::from_pem_bundle(pem).map_err(wrong)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if let Some(proxy) = &access.proxy {
        builder = builder.proxy(Proxy::all(proxy).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// A redirect is followed on the same host and port alone, so that credentials and trust stay where they were given.
pub(crate) fn same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let place = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    let first = attempt.previous().first().map(place);
    if attempt.previous().len() <= MAX_REDIRECTS && first == Some(place(attempt.url())) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// One request: what libgit2 writes is its body, what it reads the answer.
struct Exchange {
    access: Arc<Access>,
    client: Client,
    program: &'static str,
    /// Whether references are asked for.
    lists: bool,
    body: Vec<u8>,
    answer: Option<Response>,
}

impl Exchange {
    fn send(&mut self) -> Result<Response, Unreachable> {
        let host = self.access.host();
        let failed = |error: reqwest::Error| Unreachable::Transport(host.clone(), chain(&error));
        let base = self.access.url.as_str().trim_end_matches('/');
        let (method, address) = if self.lists {
            (Method::GET, format!("{base}/info/refs?service={}", self.program))
        } else {
            (Method::POST, format!("{base}/{}", self.program))
        };
        let address = Url::parse(&address).map_err(|error| Unreachable::Url(error.to_string()))?;
        let mut request = self.client.request(method, address);
        if !self.lists {
            request = request
                .header("content-type", format!("application/x-{}-request", self.program))
                .header("accept", format!("application/x-{}-result", self.program))
                .body(std::mem::take(&mut self.body));
        }
        if let Some(password) = &self.access.password {
            // Hosts that know tokens take any name with them.
            let username = self.access.username.as_deref().unwrap_or("x-access-token");
            request = request.basic_auth(username, Some(password));
        }
        let request: Request = request.build().map_err(failed)?;
        tracing::debug!(verb = "GIT", method = %request.method(), path = request.url().path(), "request");
        self.access.count();
        let answer = self.client.execute(request).map_err(failed)?;
        self.judge(answer)
    }

    fn judge(&self, answer: Response) -> Result<Response, Unreachable> {
        let (host, status) = (self.access.host(), answer.status());
        if status.is_redirection() {
            let to = answer.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
            return Err(Unreachable::Redirected(host, to.to_owned()));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Unreachable::Unauthorized(host, status.to_string()));
        }
        if !status.is_success() {
            return Err(Unreachable::Transport(host, format!("it answers {status}")));
        }
        let expected =
            format!("application/x-{}-{}", self.program, if self.lists { "advertisement" } else { "result" });
        let found = answer.headers().get("content-type").and_then(|t| t.to_str().ok()).unwrap_or_default();
        if found != expected {
            return Err(Unreachable::Transport(host, format!("it answers with `{found}`, which is no Git server's")));
        }
        Ok(answer)
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.answer.is_none() {
            let answer = self.send().map_err(|failure| self.access.broken(failure))?;
            self.answer = Some(answer);
        }
        let Some(answer) = &mut self.answer else { return Ok(0) };
        let host = self.access.host();
        let read = answer.read(buffer);
        let read = read.map_err(|e| self.access.broken(Unreachable::Transport(host, e.to_string())))?;
        self.access.receive(read).map_err(|failure| self.access.broken(failure))?;
        Ok(read)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An error with what caused it; reqwest's own text alone says little.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
