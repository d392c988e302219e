//! A real registry on loopback: Debian's `docker-registry`, from PATH or from its package, which is unpacked into the cache of
//! the tests. And one that answers as a test wants.

use crate::control_plane::{cache_dir, free_ports};
use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// `reader:secret`, for the registry's htpasswd file (bcrypt).
const HTPASSWD: &str = "reader:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry; it ends with the test, however that ends.
pub struct Registry {
    /// `HOST:PORT`.
    pub name: String,
    /// Its authority, where it has TLS.
    pub authority: PathBuf,
    process: Child,
    data: Arc<tempfile::TempDir>,
    _dir: tempfile::TempDir,
    authorization: String,
}

impl Registry {
    /// One that everybody may read and write.
    pub fn open() -> Self {
        Self::start("", "", |_| {})
    }

    /// One for `reader` with the password `secret`.
    pub fn closed() -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode("reader:secret");
        let auth = "auth:\n  htpasswd: {realm: tests, path: DIR/htpasswd}\n";
        Self::start(auth, &format!("authorization: Basic {pair}\r\n"), |dir| {
            fs::write(dir.join("htpasswd"), HTPASSWD).expect("a file");
        })
    }

    /// One with what another one holds that is spoken to with TLS, by a certificate of an authority that nobody knows.
    pub fn with_tls(other: &Self) -> Self {
        let tls = "  tls: {certificate: DIR/tls.crt, key: DIR/tls.key}\n";
        Self::start_on(Arc::clone(&other.data), tls, "", |dir| {
            let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
            fs::write(dir.join("tls.crt"), certified.cert.pem()).expect("a file");
            fs::write(dir.join("tls.key"), certified.signing_key.serialize_pem()).expect("a file");
        })
    }

    fn start(more: &str, authorization: &str, prepare: impl Fn(&Path)) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().expect("a folder")), more, authorization, prepare)
    }

    fn start_on(data: Arc<tempfile::TempDir>, more: &str, authorization: &str, prepare: impl Fn(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        prepare(dir.path());
        let [port] = free_ports();
        let name = format!("127.0.0.1:{port}");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  delete: {{enabled: true}}\n  \
             filesystem: {{rootdirectory: DATA}}\nhttp:\n  addr: {name}\n{more}"
        );
        let config = dir.path().join("config.yml");
        let path = |dir: &tempfile::TempDir| dir.path().to_str().expect("a plain path").to_owned();
        fs::write(&config, text.replace("DIR", &path(&dir)).replace("DATA", &path(&data))).expect("a file");
        // It ends when its input does: with this process, or when the test drops it.
        let process = Command::new("sh")
            .args(["-c", "\"$0\" serve \"$1\" >\"$1.log\" 2>&1 & read -r _; kill $!; wait"])
            .arg(program())
            .arg(&config)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let authority = dir.path().join("tls.crt");
        let registry = Self { name, authority, process, data, _dir: dir, authorization: authorization.to_owned() };
        let start = Instant::now();
        while TcpStream::connect(&registry.name).is_err() {
            let log = || fs::read_to_string(config.with_extension("yml.log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(30), "docker-registry does not listen:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// Puts a Spin app there, under a tag; what it does makes it this one. The digest.
    pub fn push(&self, repository: &str, tag: &str, what: &str) -> String {
        let app = format!("{{\"spin_lock_version\":1,\"metadata\":{{\"name\":\"{what}\"}}}}");
        let config = "{\"architecture\":\"wasm\",\"os\":\"Wasip1\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
        let blob = |media: &str, content: &str| {
            let digest = digest(content);
            let begun = self.call("POST", &format!("/v2/{repository}/blobs/uploads/"), "", "");
            let place = header(&begun, "location");
            let place = place.split_once(&self.name).map_or(place.as_str(), |(_, path)| path).to_owned();
            self.call("PUT", &format!("{place}&digest={digest}"), "application/octet-stream", content);
            format!("{{\"mediaType\":\"{media}\",\"digest\":\"{digest}\",\"size\":{}}}", content.len())
        };
        let config = blob("application/vnd.oci.image.config.v1+json", config);
        let wasm = blob("application/vnd.wasm.content.layer.v1+wasm", "\0asm");
        let app = blob("application/vnd.fermyon.spin.application.v1+config", &app);
        let media = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            format!("{{\"schemaVersion\":2,\"mediaType\":\"{media}\",\"config\":{config},\"layers\":[{wasm},{app}]}}");
        self.call("PUT", &format!("/v2/{repository}/manifests/{tag}"), media, &manifest);
        digest(&manifest)
    }

    /// Puts an index under a tag that leads to a manifest. The digest.
    pub fn push_index(&self, repository: &str, tag: &str, manifest: &str) -> String {
        let (media, of) = ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json");
        let found = self.call("GET", &format!("/v2/{repository}/manifests/{manifest}"), "", "");
        let size = header(&found, "content-length");
        let index = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{media}\",\"manifests\":[{{\"mediaType\":\"{of}\",\"digest\":\"{manifest}\",\"size\":{size}}}]}}"
        );
        self.call("PUT", &format!("/v2/{repository}/manifests/{tag}"), media, &index);
        digest(&index)
    }

    /// One request in the clear; the answer, which is a good one.
    fn call(&self, method: &str, path: &str, media: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.name).expect("the registry listens");
        let accept = "application/vnd.oci.image.manifest.v1+json";
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nhost: {}\r\naccept: {accept}\r\ncontent-type: {media}\r\n{}content-length: {}\r\n\r\n{body}",
            self.name,
            self.authorization,
            body.len()
        )
        .expect("the registry reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the registry writes");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.split(' ').nth(1).is_some_and(|code| code.starts_with('2')), "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The digest of a text.
pub fn digest(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn header(answer: &str, name: &str) -> String {
    let lines = answer.lines().take_while(|line| !line.is_empty());
    let mut found = lines.filter_map(|line| line.split_once(": ")).filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map_or_else(|| panic!("no {name} in {answer}"), |(_, value)| value.to_owned())
}

/// The program: from PATH, from the cache, or from the package.
fn program() -> PathBuf {
    let runs = Command::new("docker-registry").arg("--version").output().is_ok_and(|output| output.status.success());
    if runs {
        return PathBuf::from("docker-registry");
    }
    let cache = cache_dir().join("docker-registry");
    fs::create_dir_all(&cache).expect("the cache can be written");
    // Other test processes wait here.
    let lock = fs::File::create(cache.join("lock")).expect("the cache can be written");
    lock.lock().expect("the cache can be locked");
    let program = cache.join("usr/bin/docker-registry");
    if !program.exists() {
        unpack(&cache);
    }
    program
}

/// Downloads the package and unpacks it.
fn unpack(cache: &Path) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(cache).output();
        output.unwrap_or_else(|error| panic!("{program} does not run: {error}; {NEEDED}"))
    };
    let download = || run("apt-get", &["-q", "download", "docker-registry"]);
    let mut downloaded = download();
    if !downloaded.status.success() {
        // The lists may be missing or old. Only root may fetch them.
        let updated = run("apt-get", &["-q", "update"]);
        if !updated.status.success() {
            let _ = Command::new("sudo").args(["-n", "apt-get", "-q", "update"]).output();
        }
        downloaded = download();
    }
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(downloaded.status.success(), "{NEEDED}\n{}", said(&downloaded));
    let packages = fs::read_dir(cache).expect("the cache").flatten().map(|entry| entry.path());
    let package = packages.filter(|path| path.extension().is_some_and(|e| e == "deb")).max().expect("a package");
    // Beside, then moved: what is there is whole.
    let unpacked = run("dpkg", &["-x", package.to_str().expect("a plain path"), "unpacked"]);
    assert!(unpacked.status.success(), "{NEEDED}\n{}", said(&unpacked));
    fs::rename(cache.join("unpacked/usr"), cache.join("usr")).expect("the cache can be written");
}

const NEEDED: &str = "the tests of `pin` need Debian's docker-registry: on PATH, or by `apt-get download docker-registry` \
                      and `dpkg -x`";

type Answer = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// A server that answers as a test wants; it ends with the tests.
pub struct Scripted {
    /// `HOST:PORT`.
    pub name: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers a request (`METHOD PATH`) with its credentials by an HTTP answer in full. Its own name is what `answer` is made
    /// with.
    pub fn start<F: Fn(&str, &str) -> String + Send + Sync + 'static>(answer: impl FnOnce(&str) -> F) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let name = listener.local_addr().expect("a port").to_string();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (log, answer): (_, Answer) = (Arc::clone(&asked), Arc::new(answer(&name)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || respond(stream, &log, &answer));
            }
        });
        Self { name, asked }
    }

    /// What was asked so far: `METHOD PATH`, with credentials where there were some.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").clone()
    }
}

fn respond(mut stream: TcpStream, asked: &Mutex<Vec<String>>, answer: &Answer) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let request = first.rsplit_once(' ').map_or(first.as_str(), |(request, _)| request).to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let authorization = headers.iter().filter_map(|line| line.split_once(": "));
    let mut authorization = authorization.filter(|(key, _)| key.eq_ignore_ascii_case("authorization"));
    let authorization = authorization.next().map(|(_, value)| value.to_owned()).unwrap_or_default();
    asked.lock().expect("a lock").push(format!("{request} {authorization}").trim().to_owned());
    // Who asked may have gone.
    let _ = stream.write_all(answer(&request, &authorization).as_bytes());
}

/// An HTTP answer.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
