//! Real Git servers on loopback: git's own `http-backend` over TLS, and `git-upload-pack` over SSH. Both serve the `.git` of
//! a test repository, so a commit is published when it is made.

use crate::repo::Repo;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio_rustls::rustls;

/// A server; it ends with the test.
pub struct GitServer {
    pub url: String,
    /// Requests, or connections, so far.
    pub requests: Arc<AtomicUsize>,
    /// The password that is asked for; none for everybody.
    pub password: Arc<Mutex<Option<String>>>,
    /// The password that may push; it may read too.
    pub push_password: Arc<Mutex<Option<String>>>,
    /// A redirect that is answered instead.
    pub redirect: Arc<Mutex<Option<String>>>,
    /// The repository that is served.
    pub root: PathBuf,
    /// The kubeconfig of its installed agent.
    pub installed: std::sync::OnceLock<PathBuf>,
    /// The folder of credentials and trust, as an agent has it.
    pub secret: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl GitServer {
    /// Serves a repository over HTTPS, with a certificate of an authority that only `ca.crt` of the secret knows.
    pub fn https(repo: &Repo) -> Self {
        repo.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
        Self::https_at(repo.path())
    }

    /// The same of any folder with a Git repository.
    pub fn https_at(root: &Path) -> Self {
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let secret = tempfile::tempdir().expect("a folder");
        fs::write(secret.path().join("ca.crt"), certified.cert.pem()).expect("a file");
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        let config = config.with_single_cert(vec![certified.cert.der().clone()], key).expect("a configuration");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (server, listener) = Self::new("https", root, secret);
        let state = Arc::new(Backend {
            root: root.to_owned(),
            password: Arc::clone(&server.password),
            push_password: Arc::clone(&server.push_password),
            redirect: Arc::clone(&server.redirect),
            requests: Arc::clone(&server.requests),
        });
        server._runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { state.answer(request).await }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        server
    }

    /// Serves a repository over SSH to one key, which is `identity` of the secret.
    pub fn ssh(repo: &Repo) -> Self {
        let secret = tempfile::tempdir().expect("a folder");
        let (host, user) = (key(1), key(2));
        fs::write(secret.path().join("identity"), user.to_openssh(Default::default()).expect("a key").as_bytes())
            .expect("a file");
        let (mut server, listener) = Self::new("ssh", repo.path(), secret);
        server.url = format!("ssh://git@127.0.0.1:{}{}/.git", server.port(), repo.dir());
        server.trust(host.public_key());
        let config = Arc::new(russh::server::Config {
            auth_rejection_time: std::time::Duration::from_millis(10),
            keys: vec![host],
            ..Default::default()
        });
        let (requests, allowed) = (Arc::clone(&server.requests), user.public_key().clone());
        server._runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            while let Ok((stream, _)) = listener.accept().await {
                requests.fetch_add(1, Ordering::SeqCst);
                let shell = Shell { allowed: allowed.clone(), channel: None };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, shell).await {
                        let _ = session.await;
                    }
                });
            }
        });
        server
    }

    fn new(scheme: &str, root: &Path, secret: tempfile::TempDir) -> (Self, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().expect("a port").port();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let server = Self {
            url: format!("{scheme}://127.0.0.1:{port}/.git"),
            requests: Arc::default(),
            password: Arc::default(),
            push_password: Arc::default(),
            redirect: Arc::default(),
            root: root.to_owned(),
            installed: std::sync::OnceLock::new(),
            secret,
            _runtime: runtime.expect("a runtime"),
        };
        (server, listener)
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|rest| rest.split('/').next()?.parse().ok()).expect("a port")
    }

    /// Makes a key the one that is known for the host.
    pub fn trust(&self, key: &PublicKey) {
        let line = format!("[127.0.0.1]:{} {}\n", self.port(), key.to_openssh().expect("a key"));
        fs::write(self.secret.path().join("known_hosts"), line).expect("a file");
    }

    /// What an agent's options say of it.
    pub fn options(&self) -> Vec<String> {
        let secret = self.secret.path().to_str().expect("a path").to_owned();
        ["--repository", &self.url, "--git-secret", &secret].map(str::to_owned).to_vec()
    }

    /// How many requests came since it was asked last.
    pub fn taken(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

/// A key pair that is the same each time.
pub fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

struct Backend {
    root: PathBuf,
    password: Arc<Mutex<Option<String>>>,
    push_password: Arc<Mutex<Option<String>>>,
    redirect: Arc<Mutex<Option<String>>>,
    requests: Arc<AtomicUsize>,
}

type Answer = http::Response<Full<Bytes>>;

impl Backend {
    async fn answer(&self, request: http::Request<Incoming>) -> Result<Answer, hyper::Error> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let plain = |code: u16| http::Response::builder().status(code);
        if let Some(to) = self.redirect.lock().expect("a lock").clone() {
            return Ok(plain(302).header("location", to).body(Full::default()).expect("an answer"));
        }
        if let Some(password) = self.password.lock().expect("a lock").clone() {
            use base64::Engine as _;
            let given = head.headers.get("authorization").and_then(|h| h.to_str().ok()?.strip_prefix("Basic "));
            let given = given.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
            let given = given.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            let given = given.split_once(':').map(|(_, found)| found.to_owned());
            let may_push = self.push_password.lock().expect("a lock").clone();
            let pushes = head.uri.to_string().contains("git-receive-pack");
            if given.is_none() || given != may_push && (pushes || given != Some(password)) {
                return Ok(plain(401).header("www-authenticate", "Basic").body(Full::default()).expect("an answer"));
            }
        }
        Ok(cgi(&self.root, &head, &body).await)
    }
}

/// Runs git's own server program for a request (RFC 3875).
async fn cgi(root: &Path, head: &http::request::Parts, body: &[u8]) -> Answer {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path())
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_USER", "test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("git runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let body = body.to_vec();
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    let output = child.wait_with_output().await.expect("git ends").stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").expect("headers");
    let mut answer = http::Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        answer = if name == "Status" { answer.status(&value[..3]) } else { answer.header(name, value) };
    }
    answer.body(Full::new(Bytes::copy_from_slice(&output[end + 4..]))).expect("an answer")
}

/// One connection over SSH.
struct Shell {
    allowed: PublicKey,
    channel: Option<Channel<Msg>>,
}

impl Handler for Shell {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = key.public_key.key_data() == self.allowed.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(data).into_owned();
        let (program, path) = line.split_once(' ').expect("a program and a path");
        let (program, path) = (program.to_owned(), path.trim_matches('\'').to_owned());
        let Some(channel) = self.channel.take() else { return Ok(()) };
        session.channel_success(id)?;
        let handle = session.handle();
        tokio::spawn(async move {
            let mut child = Command::new(program)
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("git runs");
            let (mut stdin, mut stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
            let (mut reader, writer) = tokio::io::split(channel.into_stream());
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut reader, &mut stdin).await;
            });
            let mut writer = writer;
            let mut buffer = vec![0; 32 << 10];
            while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
                if writer.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
            let code = child.wait().await.ok().and_then(|status| status.code()).unwrap_or(1);
            let _ = handle.exit_status_request(id, u32::try_from(code).unwrap_or(1)).await;
            let _ = writer.shutdown().await;
            let _ = handle.close(id).await;
        });
        Ok(())
    }
}
