//! A real etcd, kube-apiserver and kube-controller-manager on loopback, for the life of the test process.
//!
//! The programs are taken from `KUBEBUILDER_ASSETS` where they are there; what is missing is built once from the Go
//! modules pinned in `tests/controlplane/go.mod`, into a cache of the user.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

const PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "supervise", "kubectl"];
const KUBERNETES: (&str, &str) = ("1", "36");
const PATCH: &str = "v1.36.3";
/// The token of the administrator.
pub const TOKEN: &str = "spinway-test-administrator";

/// The running control plane. It ends when this process does, however it ends: the supervisor watches its input.
pub struct ControlPlane {
    _supervisor: Supervised,
    pub dir: PathBuf,
    pub apiserver: u16,
    pub etcd: u16,
    /// The program kubectl, of the same version.
    pub kubectl: PathBuf,
}

/// What differs between the control planes of the tests.
pub struct Options {
    /// Where its files are kept until it ends.
    pub dir: PathBuf,
    /// An address that endpoints may have, where no network interface has one.
    pub advertise: Option<&'static str>,
    /// The controllers that run; without them no controller manager is started.
    pub controllers: Option<&'static str>,
}

/// Programs that end with this process: their supervisor watches its input.
pub struct Supervised {
    _process: Child,
}

impl Supervised {
    /// Starts programs, each with its log in the folder; the folder is removed when they end.
    pub fn start(dir: &Path, processes: &serde_json::Value) -> Self {
        let mut supervisor = Command::new(&programs()[3])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the supervisor starts");
        let request = json!({"dir": dir, "processes": processes});
        writeln!(supervisor.stdin.as_mut().expect("a pipe"), "{request}").expect("the supervisor reads");
        let mut answer = String::new();
        BufReader::new(supervisor.stdout.take().expect("a pipe"))
            .read_line(&mut answer)
            .expect("the supervisor writes");
        assert_eq!(answer.trim(), "started");
        Self { _process: supervisor }
    }
}

/// The folder of the tests' own files.
pub fn tests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The folder of the Gateway API's custom resource definitions, standard channel, from its pinned Go module.
pub fn gateway_api_crds() -> PathBuf {
    let module = go(&tests_dir().join("gateway-api"), &["mod", "download", "-json", "sigs.k8s.io/gateway-api"]);
    let module: serde_json::Value = serde_json::from_str(&module).expect("go answers JSON");
    Path::new(module["Dir"].as_str().expect("the module has a folder")).join("config/crd/standard")
}

/// The folder of a Go module of which only files are read: it may ask for a newer Go than there is.
pub fn module_dir(module: &str, version: &str) -> PathBuf {
    let arguments = ["mod", "download", "-json", &format!("{module}@{version}")];
    let output = Command::new("go").args(arguments).current_dir(std::env::temp_dir()).output().expect("go runs");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let cache = go(&tests_dir().join("gateway-api"), &["env", "GOMODCACHE"]);
    let folder = Path::new(cache.trim()).join(format!("{module}@{version}"));
    assert!(
        folder.is_dir(),
        "{module} {version} cannot be downloaded: {answer} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder
}

fn go(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("go").args(arguments).current_dir(dir).env("CGO_ENABLED", "0").output().expect("go runs");
    assert!(output.status.success(), "go {arguments:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fails naming every missing prerequisite at once.
pub fn check_prerequisites() {
    let missing = missing_prerequisites();
    assert!(missing.is_empty(), "the tests need {}, which are not on the PATH", missing.join(" and "));
}

/// What the tests need and is not there.
pub fn missing_prerequisites() -> Vec<&'static str> {
    let wanted = [
        ("go", "version", "Go 1.26"),
        ("git", "--version", "git"),
        ("cc", "--version", "a C compiler"),
        ("script", "--version", "script (util-linux)"),
    ];
    wanted
        .iter()
        .filter(|(program, argument, _)| Command::new(program).arg(argument).output().is_err())
        .map(|(_, _, name)| *name)
        .collect()
}

/// The folders that hold the programs, built when no one has yet.
pub fn programs() -> Vec<PathBuf> {
    let given = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let find = |folder: &Path| {
        PROGRAMS.map(|program| {
            let given = given.as_ref().map(|dir| dir.join(program)).filter(|path| path.is_file());
            given.unwrap_or_else(|| folder.join(program))
        })
    };
    check_prerequisites();
    let source = tests_dir().join("controlplane");
    let mut hash = Sha256::new();
    hash.update(fs::read(source.join("go.mod")).expect("the module is complete"));
    hash.update(fs::read(source.join("go.sum")).expect("the module is complete"));
    for program in PROGRAMS {
        hash.update(fs::read(source.join(program).join("main.go")).expect("the module is complete"));
    }
    let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let cache = cache_dir().join(format!("controlplane-{digest}"));
    fs::create_dir_all(&cache).expect("the cache can be written");
    // One builder at a time; the others wait and then find everything there.
    let lock = fs::File::create(cache.join("lock")).expect("the cache can be written");
    lock.lock().expect("the cache can be locked");
    let missing: Vec<String> = PROGRAMS
        .iter()
        .zip(find(&cache))
        .filter(|(_, path)| !path.is_file())
        .map(|(program, _)| format!("./{program}"))
        .collect();
    if !missing.is_empty() {
        eprintln!("building {} from pinned Go modules (once; about 9 minutes on 2 cores)", missing.join(" "));
        let version = "k8s.io/component-base/version";
        let flags = format!(
            "-s -w -X {version}.gitVersion={PATCH} -X {version}.gitMajor={} -X {version}.gitMinor={}",
            KUBERNETES.0, KUBERNETES.1
        );
        let target = cache.join("building");
        fs::create_dir_all(&target).expect("the cache can be written");
        let out = format!("{}/", target.display());
        let mut arguments =
            vec!["build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags", &flags, "-o", &out];
        arguments.extend(missing.iter().map(String::as_str));
        go(&source, &arguments);
        for program in &missing {
            let program = program.trim_start_matches("./");
            fs::rename(target.join(program), cache.join(program)).expect("the cache can be written");
        }
    }
    find(&cache).to_vec()
}

/// Where the tests keep what they download or build.
pub fn cache_dir() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .expect("HOME is set")
        .join("spinway-tests")
}

/// Ports that nobody listens on.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"));
    listeners.map(|listener| listener.local_addr().expect("a bound port").port())
}

impl ControlPlane {
    /// Starts it for the tests that need no more than its API.
    pub fn start() -> Self {
        Self::start_with(Options {
            dir: std::env::temp_dir().join(format!("spinway-tests-{}", std::process::id())),
            advertise: None,
            controllers: Some("namespace-controller,garbage-collector-controller"),
        })
    }

    /// Starts it.
    pub fn start_with(options: Options) -> Self {
        let programs = programs();
        let dir = options.dir;
        fs::create_dir_all(&dir).expect("the temporary folder can be written");
        let [etcd, peer, apiserver] = free_ports();
        write_configuration(&dir, apiserver);
        let path = |file: &str| dir.join(file).display().to_string();
        let program = |index: usize| programs[index].display().to_string();
        let etcd_argv = [
            program(0),
            format!("--data-dir={}", path("etcd")),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=error".to_owned(),
            "--max-request-bytes=33554432".to_owned(),
            format!("--listen-client-urls=http://127.0.0.1:{etcd}"),
            format!("--advertise-client-urls=http://127.0.0.1:{etcd}"),
            format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
            format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        ];
        let mut apiserver_argv = vec![
            program(1),
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={apiserver}"),
            format!("--cert-dir={}", path("certs")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", path("sa.key")),
            format!("--service-account-signing-key-file={}", path("sa.key")),
            format!("--token-auth-file={}", path("tokens.csv")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--profiling=false".to_owned(),
            format!("--audit-policy-file={}", path("audit-policy.yaml")),
            format!("--audit-log-path={}", path("audit.log")),
            // One file, however long: it is read as a whole.
            "--audit-log-maxsize=8192".to_owned(),
        ];
        apiserver_argv.extend(options.advertise.map(|address| format!("--advertise-address={address}")));
        let mut processes =
            vec![json!({"name": "etcd", "argv": etcd_argv}), json!({"name": "kube-apiserver", "argv": apiserver_argv})];
        processes.extend(options.controllers.map(|controllers| manager(&dir, controllers)));
        let supervisor = Supervised::start(&dir, &json!(processes));
        Self { _supervisor: supervisor, dir, apiserver, etcd, kubectl: programs[4].clone() }
    }

    /// Waits for a condition, or ends the tests with the API server's log.
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            if start.elapsed() > Duration::from_secs(120) {
                let log = fs::read_to_string(self.dir.join("kube-apiserver.log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                panic!("{what}: still not so after 120 s\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A controller manager for the control plane whose files are there, once that has its certificate.
pub fn manager(dir: &Path, controllers: &str) -> serde_json::Value {
    let [port] = free_ports();
    let path = |file: &str| dir.join(file).display().to_string();
    let argv = [
        programs()[2].display().to_string(),
        format!("--kubeconfig={}", path("kubeconfig")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", path("manager-certs")),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        format!("--controllers={controllers}"),
    ];
    json!({"name": "kube-controller-manager", "argv": argv, "after": path("certs/apiserver.crt")})
}

fn write_configuration(dir: &Path, apiserver: u16) {
    let write =
        |file: &str, text: String| fs::write(dir.join(file), text).expect("the temporary folder can be written");
    // More identities for the tests of permissions: the token is also the user.
    let users = ["reader", "limited"].map(|user| format!("{user},{user},{user}\n")).concat();
    write("tokens.csv", format!("{TOKEN},administrator,1,\"system:masters\"\n{users}"));
    write(
        "audit-policy.yaml",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n\
         - {level: Metadata, userGroups: [\"system:serviceaccounts:spinway-system\"], verbs: [get, list, watch]}\n\
         - {level: None, verbs: [get, list, watch]}\n\
         - {level: None, users: [\"system:apiserver\"]}\n\
         - {level: Request}\n"
            .to_owned(),
    );
    write("kubeconfig", kubeconfig(dir, apiserver, TOKEN));
}

/// A kubeconfig with one context `test`.
pub fn kubeconfig(dir: &Path, apiserver: u16, token: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{apiserver}"), "certificate-authority": dir.join("certs/apiserver.crt")}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    })
    .to_string()
}
