//! A network namespace of the bed's own: the test runs itself again inside of it.
//!
//! Every address of 10.77.0.0/16 is local there (AnyIP), so a pod's address needs no interface. Nothing can leave the
//! namespace, and its first process takes all others with it when it ends.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Set in the process inside the namespace.
const INSIDE: &str = "SPINWAY_TRAFFIC_INSIDE";

static TURN: Mutex<()> = Mutex::new(());

/// What the bed needs of the machine, with what each of them is for.
const NEEDED: [(&str, &[&str], &str); 4] = [
    ("unshare", &["--version"], "unshare (util-linux)"),
    ("ip", &["-Version"], "ip (iproute2)"),
    ("python3", &["--version"], "python3"),
    ("python3", &["-m", "pip", "--version"], "pip for python3 (it downloads Traefik)"),
];

/// Runs a test inside a namespace of its own: outside it starts the same test there, and is as it was there.
pub fn within(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        end_with_the_outside();
        command("ip", &["link", "set", "lo", "up"]);
        command("ip", &["route", "add", "local", "10.77.0.0/16", "dev", "lo"]);
        body();
        return;
    }
    // One bed at a time: two would only measure each other.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    check_prerequisites();
    // What must be built or downloaded is so here: the namespace has no network.
    crate::control_plane::programs();
    crate::control_plane::gateway_api_crds();
    super::traefik::program();
    let this = std::env::current_exe().expect("this program");
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--"]);
    // All that is written inside is in one folder, which goes with the bed.
    let folder = tempfile::tempdir().expect("a temporary folder");
    inside.arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").env("TMPDIR", folder.path());
    inside.stdin(Stdio::piped());
    let mut inside = inside.spawn().expect("unshare runs");
    // `wait` would close it.
    let pipe = inside.stdin.take();
    let status = inside.wait().expect("it ended");
    drop(pipe);
    assert!(status.success(), "{test} failed inside its network namespace ({status}); its own output is above");
}

/// Ends this process, and with it the namespace, when the one outside is gone: its end of the pipe closes.
#[allow(clippy::exit)]
fn end_with_the_outside() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        // The other processes still write until this one, the namespace's first, has ended.
        let _ = (0..10).find(|_| std::fs::remove_dir_all(std::env::temp_dir()).is_ok());
        std::process::exit(101);
    });
}

/// Fails naming everything that is missing at once.
fn check_prerequisites() {
    let runs = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let mut missing = crate::control_plane::missing_prerequisites();
    missing.extend(NEEDED.iter().filter(|(program, arguments, _)| !runs(program, arguments)).map(|(_, _, name)| *name));
    let namespace = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--", "unshare", "--version"];
    if runs("unshare", &["--version"]) && !runs("unshare", &namespace) {
        missing.push("unprivileged user and network namespaces (sysctl kernel.unprivileged_userns_clone)");
    }
    assert!(missing.is_empty(), "the traffic bed needs {}, which this machine lacks", missing.join(", "));
}

fn command(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
