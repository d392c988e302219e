//! One writer at a time: two applies, or an apply and an agent, are one after the other, whichever comes when; what waited is
//! planned anew; an older revision does not undo a newer one.

use crate::agent::config_map;
use crate::cluster::Cluster;
use crate::git_server::GitServer;
use crate::proxy::{Proxy, Strike};
use crate::repo::Repo;
use crate::run::{Ran, code, json, row, stderr};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/spinway-system/leases/spinway.t.test";
const NAME: &str = "spinway-system/spinway.t.test";
const A: &str = "/api/v1/namespaces/default/configmaps/a";
/// Objects that every copy of the repository has.
const COUNT: usize = 16;

fn committed(value: &str) -> Repo {
    let repo = Repo::with_config();
    repo.write("platform/a.yaml", &config_map("a", value));
    repo.commit(value);
    repo
}

fn apply(cluster: &Cluster, repo: &Repo, more: &[&str]) -> Output {
    cluster.spinway(&[&["apply", repo.dir(), "--yes"], more].concat())
}

fn applied(cluster: &Cluster, repo: &Repo) {
    let ran = apply(cluster, repo, &[]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
}

/// Starts the program; what it says is read when it has ended.
fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spinway runs")
}

fn data(cluster: &Cluster) -> Value {
    cluster.get(A).map_or(Value::Null, |map| map["data"]["k"].clone())
}

fn holder(cluster: &Cluster) -> String {
    let lease = cluster.get(LEASE).unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// Someone holds the Lease, or nobody.
fn hold(cluster: &Cluster, by: &str) {
    cluster.edit(LEASE, "other", &json!({"spec": {"holderIdentity": by, "leaseDurationSeconds": 60}}));
}

/// Verbs of the requests about Leases since the mark.
fn of_lease(cluster: &Cluster) -> Vec<String> {
    let all = cluster.audit().into_iter().filter(|request| request.object == format!("leases {NAME}"));
    all.map(|request| request.verb).collect()
}

fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn send(child: &Child, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("an id")), signal);
}

#[test]
fn an_apply_takes_the_lease_when_it_writes_and_waits_for_it_when_another_holds_it() {
    let mut cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    assert_eq!(of_lease(&cluster), ["create", "update"], "taken and given back");
    assert_eq!(holder(&cluster), "");
    cluster.mark();
    applied(&cluster, &repo);
    assert_eq!(cluster.writes().len(), 0, "with nothing to do there is no Lease: {:?}", cluster.writes());
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    hold(&cluster, "alice@laptop");
    cluster.mark();
    let ran = apply(&cluster, &repo, &["--lock-timeout", "1"]);
    assert_eq!(code(&ran), 4, "{}", Ran(&ran));
    let told = stderr(&ran);
    assert!(told.contains(&format!("Waiting up to 1 s for Lease {NAME}, which alice@laptop holds.")), "{told}");
    assert!(told.contains(&format!("error: the lease {NAME} is held by alice@laptop")), "{told}");
    assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());
    // It is planned anew before it goes on: what others did meanwhile counts.
    let waiting = start(cluster.command(&["apply", repo.dir(), "--yes", "--lock-timeout", "60", "-o", "json"]));
    pause(2000);
    assert_eq!((data(&cluster), holder(&cluster)), (json!("v1"), "alice@laptop".to_owned()));
    cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "v2", "l": "edited"}}));
    hold(&cluster, "");
    let ran = waiting.wait_with_output().expect("it ends");
    assert_eq!((code(&ran), data(&cluster)), (0, json!("v2")), "{}", Ran(&ran));
    let fields = row(&json(&ran), "ConfigMap", "a")["fields"].clone();
    assert!(!fields.to_string().contains("data.k") && fields.to_string().contains("data.l"), "{fields:#}");
    assert_eq!(holder(&cluster), "");
}

#[test]
fn an_apply_that_is_interrupted_leaves_no_lease_behind() {
    let cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    // While it waits for the Lease.
    hold(&cluster, "alice@laptop");
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    let waiting = start(cluster.command(&["apply", repo.dir(), "--yes"]));
    pause(2000);
    send(&waiting, Signal::SIGINT);
    let ran = waiting.wait_with_output().expect("it ends");
    assert_eq!((code(&ran), holder(&cluster)), (130, "alice@laptop".to_owned()), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("Interrupted: nothing was done."), "{}", Ran(&ran));
    hold(&cluster, "");
    // While it waits for health.
    repo.write("platform/class.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: example.com/c}\n");
    let waiting = start(cluster.command(&["apply", repo.dir(), "--yes"]));
    cluster.wait("the first write", || data(&cluster) == "v2");
    pause(500);
    assert_ne!(holder(&cluster), "");
    send(&waiting, Signal::SIGTERM);
    let ran = waiting.wait_with_output().expect("it ends");
    assert_eq!((code(&ran), holder(&cluster)), (143, String::new()), "{}", Ran(&ran));
}

#[test]
fn without_the_right_to_leases_it_is_refused_or_told_to_go_on() {
    let mut cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    cluster.send(
        "POST",
        &format!("{rbac}/clusterroles"),
        "application/json",
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "limited"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["*"]}]}),
    );
    cluster.send("POST", &format!("{rbac}/clusterrolebindings"), "application/json", &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]}));
    let kubeconfig = cluster.kubeconfig_of("limited");
    let narrow = ["--kubeconfig", kubeconfig.to_str().expect("a path")];
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    cluster.mark();
    let ran = apply(&cluster, &repo, &narrow);
    assert_eq!(code(&ran), 3, "{}", Ran(&ran));
    for text in [NAME, "403", "get, create and update on leases", "coordination.k8s.io", "--no-lock"] {
        assert!(stderr(&ran).contains(text), "{text}: {}", Ran(&ran));
    }
    assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());
    let ran = apply(&cluster, &repo, &[&narrow[..], &["--no-lock"]].concat());
    assert_eq!((code(&ran), data(&cluster)), (0, json!("v2")), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("warning: the Lease of the environment is not taken (--no-lock)"), "{}", Ran(&ran));
}

#[test]
fn without_leases_in_the_server_it_is_refused_or_told_to_go_on() {
    let mut cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let request = http::Request::get("/apis").header("accept", accept).body(Vec::new()).expect("a request");
    let mut groups: Value = cluster.runtime().block_on(cluster.client().request(request)).expect("the groups");
    let items = groups["items"].as_array_mut().expect("groups");
    items.retain(|group| group["metadata"]["name"] != "coordination.k8s.io");
    let apis =
        move |head: &http::request::Parts| (head.uri.path() == "/apis").then(|| crate::proxy::answer(200, &groups));
    let proxy = Proxy::start(&cluster, apis, |_| {});
    let file = repo.file(".git/kubeconfig");
    std::fs::write(&file, proxy.kubeconfig()).expect("a file");
    let without = ["--kubeconfig", file.to_str().expect("a path")];
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    cluster.mark();
    let ran = apply(&cluster, &repo, &without);
    assert_eq!((code(&ran), cluster.writes().len()), (3, 0), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("serves no Leases") && stderr(&ran).contains("--no-lock"), "{}", Ran(&ran));
    let ran = apply(&cluster, &repo, &[&without[..], &["--no-lock"]].concat());
    assert_eq!((code(&ran), data(&cluster)), (0, json!("v2")), "{}", Ran(&ran));
}

#[test]
fn a_plan_that_was_overtaken_is_not_the_one_that_was_asked_for() {
    let mut cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    let digest = json(&cluster.spinway(&["plan", repo.dir(), "-o", "json"]))["digest"].as_str().unwrap().to_owned();
    for edited in [true, false] {
        hold(&cluster, "alice@laptop");
        cluster.mark();
        let waiting = start(cluster.command(&["apply", repo.dir(), "--yes", "--plan", &digest]));
        pause(2000);
        let value = if edited { "edited" } else { "v1" };
        cluster.edit(A, "kubectl-edit", &json!({"data": {"k": value, "l": value}}));
        hold(&cluster, "");
        let ran = waiting.wait_with_output().expect("it ends");
        if edited {
            assert_eq!(code(&ran), 3, "{}", Ran(&ran));
            assert!(stderr(&ran).contains("the plan is now sha256:"), "{}", Ran(&ran));
            assert_eq!((data(&cluster), holder(&cluster)), (json!("edited"), String::new()));
            cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "v1", "l": "v1"}}));
        } else {
            assert_eq!((code(&ran), data(&cluster)), (0, json!("v2")), "{}", Ran(&ran));
        }
    }
}

#[test]
fn on_a_terminal_a_plan_that_was_overtaken_is_asked_about_again() {
    let cluster = Cluster::take();
    let repo = committed("v1");
    applied(&cluster, &repo);
    for (edited, answer, then) in [(true, "n", "edited"), (true, "y", "v2"), (false, "", "v2")] {
        repo.write("platform/a.yaml", &config_map("a", "v1"));
        applied(&cluster, &repo);
        repo.write("platform/a.yaml", &config_map("a", "v2"));
        hold(&cluster, "alice@laptop");
        // `script` (util-linux) gives the program a terminal.
        let mut command = Command::new("script");
        let line = format!("{} apply {}", env!("CARGO_BIN_EXE_spinway"), repo.dir());
        command.args(["-qec", &line, "/dev/null"]).env("KUBECONFIG", cluster.kubeconfig()).env("TERM", "xterm");
        let mut child = start({
            command.stdin(Stdio::piped());
            command
        });
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"y\n").expect("an answer");
        pause(3000);
        if edited {
            cluster.edit(A, "kubectl-edit", &json!({"data": {"k": "edited", "l": "edited"}}));
        }
        hold(&cluster, "");
        if edited {
            // Nobody is kept waiting while a person thinks.
            pause(3000);
            assert_eq!(holder(&cluster), "");
            input.write_all(format!("{answer}\n").as_bytes()).expect("an answer");
        }
        let ran = child.wait_with_output().expect("it ends");
        let shown = crate::run::stdout(&ran);
        assert_eq!(shown.matches("Apply this plan?").count(), if edited { 2 } else { 1 }, "{shown}");
        assert_eq!((code(&ran), data(&cluster)), (0, json!(then)), "{shown}");
        assert_eq!(holder(&cluster), "");
    }
}

/// A copy of a repository in which every object has one value, and one object that no other copy has.
fn copy(value: &str, origin: &str) -> Repo {
    let repo = Repo::with_config();
    repo.edit("spinway.yaml", "{name: test}", "{name: test, drift: correct}");
    write_copy(&repo, value);
    repo.commit(value);
    repo.git(&["remote", "add", "origin", origin]);
    repo
}

fn write_copy(repo: &Repo, value: &str) {
    for n in 0..COUNT {
        repo.write(&format!("platform/c{n}.yaml"), &config_map(&format!("c{n}"), value));
    }
    repo.write("platform/own.yaml", &config_map(&format!("c-{value}"), value));
}

/// What the cluster has of the copies: the values, and how many objects.
fn state(cluster: &Cluster) -> (BTreeSet<String>, usize) {
    let list = cluster.get("/api/v1/namespaces/default/configmaps").expect("a list");
    let ours = |map: &&Value| map["metadata"]["name"].as_str().is_some_and(|name| name.starts_with('c'));
    let ours: Vec<&Value> = list["items"].as_array().expect("items").iter().filter(ours).collect();
    (ours.iter().map(|map| map["data"]["k"].as_str().unwrap_or_default().to_owned()).collect(), ours.len())
}

pub type Log = Arc<Mutex<Vec<&'static str>>>;

/// Holds writes up, and writes them down under a name.
pub fn written_down(name: &'static str, log: &Log) -> impl Fn(&http::request::Parts) -> Strike + Send + Sync + 'static {
    let log = Arc::clone(log);
    move |head| {
        let asks = head.uri.query().is_some_and(|query| query.contains("dryRun"));
        if head.method == "GET" || asks || head.uri.path().contains("/leases") {
            return Strike::Pass;
        }
        log.lock().unwrap().push(name);
        Strike::Hang(Duration::from_millis(100))
    }
}

/// A kubeconfig whose writes take long and are written down under a name.
fn slow(cluster: &Cluster, place: &Repo, name: &'static str, log: &Log) -> PathBuf {
    let proxy = Proxy::striking(cluster, written_down(name, log), |_| {});
    let path = place.file(&format!(".git/kubeconfig-{name}"));
    std::fs::write(&path, proxy.kubeconfig()).expect("a file");
    path
}

/// Offsets between two writers, from 0 to 4 s: twenty in the full campaign.
fn offsets() -> Vec<u64> {
    let full = std::env::var("SPINWAY_CAMPAIGN").is_ok_and(|c| c == "full");
    if full { twenty().collect() } else { vec![0, 600, 2500] }
}

/// Twenty offsets in milliseconds, from 0 to 4 s.
pub fn twenty() -> impl Iterator<Item = u64> {
    (0..20).map(|n| n * 4000 / 19)
}

/// Starts two commands at an offset, and waits for both.
pub fn race(first: Command, second: Command, offset: u64) -> (Output, Output) {
    let first = start(first);
    pause(offset);
    let second = start(second);
    (first.wait_with_output().expect("it ends"), second.wait_with_output().expect("it ends"))
}

/// Who wrote, in the order of the writes.
pub fn turns(log: &Log) -> Vec<&'static str> {
    let mut order = log.lock().unwrap().clone();
    order.dedup();
    order
}

fn through(cluster: &Cluster, kubeconfig: &PathBuf, repo: &Repo, more: &[&str]) -> Command {
    let mut command = cluster
        .command(&[&["apply", repo.dir(), "--yes", "--concurrency", "2", "--lock-timeout", "60"], more].concat());
    command.env("KUBECONFIG", kubeconfig);
    command
}

#[test]
fn two_applies_of_different_copies_are_one_after_the_other() {
    let mut cluster = Cluster::take();
    let origin = "https://git.example/shop.git";
    let (base, one, two) = (copy("base", origin), copy("one", origin), copy("two", origin));
    for offset in offsets() {
        cluster.again();
        applied(&cluster, &base);
        let log = Log::default();
        let by = [slow(&cluster, &one, "one", &log), slow(&cluster, &two, "two", &log)];
        let (first, second) = race(through(&cluster, &by[0], &one, &[]), through(&cluster, &by[1], &two, &[]), offset);
        assert_eq!((code(&first), code(&second)), (0, 0), "{offset} ms: {}\n{}", Ran(&first), Ran(&second));
        let turns = turns(&log);
        assert_eq!(turns.len(), 2, "{offset} ms: {turns:?}");
        let last = turns[1].to_owned();
        assert_eq!(state(&cluster), (BTreeSet::from([last]), COUNT + 1), "{offset} ms: {turns:?}");
    }
}

#[test]
fn an_older_revision_does_not_undo_a_newer_one_whichever_comes_when() {
    let mut cluster = Cluster::take();
    let repo = copy("older", "https://git.example/shop.git");
    let base = repo.git(&["rev-parse", "HEAD"]);
    repo.write("platform/own.yaml", &config_map("c-older", "more"));
    let older = repo.commit("older");
    write_copy(&repo, "newer");
    let newer = repo.commit("newer");
    for (n, offset) in offsets().into_iter().enumerate() {
        cluster.again();
        let ran = apply(&cluster, &repo, &["--ref", &base]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let log = Log::default();
        let by = [slow(&cluster, &repo, "newer", &log), slow(&cluster, &repo, "older", &log)];
        let new = through(&cluster, &by[0], &repo, &["--ref", &newer]);
        let old = through(&cluster, &by[1], &repo, &["--ref", &older]);
        let (new, old) = if n % 2 == 0 {
            race(new, old, offset)
        } else {
            let (old, new) = race(old, new, offset);
            (new, old)
        };
        assert_eq!(code(&new), 0, "{offset} ms: {}", Ran(&new));
        let turns = turns(&log);
        let told = stderr(&old) + &crate::run::stdout(&old);
        match code(&old) {
            3 => assert!(turns == ["newer"] && told.contains("is older than"), "{offset} ms: {turns:?} {}", Ran(&old)),
            0 => assert_eq!(turns, ["older", "newer"], "{offset} ms"),
            _ => panic!("{offset} ms: {}", Ran(&old)),
        }
        assert_eq!(state(&cluster), (BTreeSet::from(["newer".to_owned()]), COUNT + 1), "{offset} ms: {turns:?}");
    }
}

#[test]
fn an_apply_and_an_agent_are_one_after_the_other() {
    let mut cluster = Cluster::take();
    let repo = copy("base", "https://git.example/other.git");
    let server = GitServer::https(&repo);
    repo.git(&["remote", "set-url", "origin", &server.url]);
    let base = repo.git(&["rev-parse", "HEAD"]);
    write_copy(&repo, "agent");
    let newer = repo.commit("agent");
    let other = copy("apply", &server.url);
    let options = server.options();
    for (n, offset) in offsets().into_iter().enumerate() {
        cluster.again();
        repo.git(&["update-ref", "refs/heads/main", &base]);
        let cache = server.secret.path().join(format!("cache-{n}"));
        let mut arguments = vec!["agent", "--once", "--no-events", "--git-cache", cache.to_str().unwrap()];
        arguments.extend(options.iter().map(String::as_str));
        let agent = |kubeconfig: PathBuf| {
            let mut command = cluster.command(&arguments);
            command.env("KUBECONFIG", kubeconfig);
            command
        };
        let ran = agent(cluster.kubeconfig()).output().unwrap();
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        repo.git(&["update-ref", "refs/heads/main", &newer]);
        let log = Log::default();
        let by = [slow(&cluster, &other, "apply", &log), slow(&cluster, &repo, "agent", &log)];
        let (applying, turn) = (through(&cluster, &by[0], &other, &[]), agent(by[1].clone()));
        let (ran, turn) = if n % 2 == 0 {
            race(applying, turn, offset)
        } else {
            let (turn, ran) = race(turn, applying, offset);
            (ran, turn)
        };
        assert_eq!(code(&ran), 0, "{offset} ms: {}", Ran(&ran));
        let turns = turns(&log);
        match code(&turn) {
            // It comes again with its next turn.
            4 => assert_eq!(turns, ["apply"], "{offset} ms: {}", Ran(&turn)),
            0 => assert_eq!(turns.len(), 2, "{offset} ms: {turns:?} {}", Ran(&turn)),
            _ => panic!("{offset} ms: {}", Ran(&turn)),
        }
        let last = turns.last().copied().unwrap_or_default().to_owned();
        assert_eq!(state(&cluster), (BTreeSet::from([last]), COUNT + 1), "{offset} ms: {turns:?}");
        let ran = agent(cluster.kubeconfig()).output().unwrap();
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        assert_eq!(state(&cluster), (BTreeSet::from(["agent".to_owned()]), COUNT + 1), "{offset} ms");
    }
}

#[test]
fn two_agents_that_pull_different_revisions_are_one_after_the_other() {
    let mut cluster = Cluster::take();
    let repo = copy("base", "https://git.example/shop.git");
    write_copy(&repo, "older");
    let older = repo.commit("older");
    write_copy(&repo, "newer");
    let newer = repo.commit("newer");
    for (name, revision) in [("base", "main~2"), ("older", older.as_str()), ("newer", newer.as_str())] {
        repo.git(&["branch", name, revision]);
    }
    let server = GitServer::https(&repo);
    let options = server.options();
    for (n, offset) in offsets().into_iter().enumerate() {
        cluster.again();
        let agent = |branch: &str, kubeconfig: PathBuf| {
            let cache = server.secret.path().join(format!("cache-{branch}-{n}"));
            let mut arguments = vec!["agent", "--once", "--no-events", "--branch", branch];
            arguments.extend(["--git-cache", cache.to_str().unwrap()]);
            arguments.extend(options.iter().map(String::as_str));
            let mut command = cluster.command(&arguments);
            command.env("KUBECONFIG", kubeconfig);
            command
        };
        let ran = agent("base", cluster.kubeconfig()).output().unwrap();
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let log = Log::default();
        let new = agent("newer", slow(&cluster, &repo, "newer", &log));
        let old = agent("older", slow(&cluster, &repo, "older", &log));
        let (new, old) = if n % 2 == 0 {
            race(new, old, offset)
        } else {
            let (old, new) = race(old, new, offset);
            (new, old)
        };
        let turns = turns(&log);
        let expected: &[&str] = match (code(&new), code(&old)) {
            (0, 0) => &["older", "newer"],
            // One does nothing while the other writes; the older one is refused when the newer one has written.
            (0, 3 | 4) => &["newer"],
            (4, 0) => &["older"],
            _ => panic!("{offset} ms: {}\n{}", Ran(&new), Ran(&old)),
        };
        assert_eq!(turns, expected, "{offset} ms");
        let last = turns.last().copied().unwrap_or_default().to_owned();
        assert_eq!(state(&cluster), (BTreeSet::from([last]), COUNT + 1), "{offset} ms");
    }
}

#[test]
fn an_apply_whose_lease_is_taken_from_it_stops_writing() {
    let cluster = Cluster::take();
    let origin = "https://git.example/shop.git";
    let (base, next) = (copy("base", origin), copy("next", origin));
    applied(&cluster, &base);
    let log = Log::default();
    let kubeconfig = slow(&cluster, &next, "apply", &log);
    let writing = start(through(&cluster, &kubeconfig, &next, &["--lease", "6"]));
    cluster.wait("the first writes", || log.lock().unwrap().len() > 3);
    hold(&cluster, "thief");
    let ran = writing.wait_with_output().expect("it ends");
    assert_eq!((code(&ran), holder(&cluster)), (1, "thief".to_owned()), "{}", Ran(&ran));
    assert!(stderr(&ran).contains("the Lease of the environment was lost"), "{}", Ran(&ran));
    assert_eq!(state(&cluster).0.len(), 2, "it stopped among its writes: {:?}", state(&cluster));
    // The next apply completes it.
    hold(&cluster, "");
    applied(&cluster, &next);
    assert_eq!(state(&cluster), (BTreeSet::from(["next".to_owned()]), COUNT + 1));
}

#[test]
fn an_apply_that_was_killed_is_succeeded_when_its_lease_is_over() {
    let cluster = Cluster::take();
    let origin = "https://git.example/shop.git";
    let (base, next, last) = (copy("base", origin), copy("next", origin), copy("last", origin));
    applied(&cluster, &base);
    let log = Log::default();
    let kubeconfig = slow(&cluster, &next, "apply", &log);
    let mut writing = start(through(&cluster, &kubeconfig, &next, &["--lease", "4"]));
    cluster.wait("the first writes", || log.lock().unwrap().len() > 4);
    send(&writing, Signal::SIGKILL);
    let _ = writing.wait();
    let (begun, killed) = (Instant::now(), holder(&cluster));
    assert_ne!(killed, "");
    let ran = apply(&cluster, &last, &["--lease", "4"]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    assert!(stderr(&ran).contains(&format!("which {killed} holds")), "{}", Ran(&ran));
    assert!(begun.elapsed() > Duration::from_secs(4), "it took {:?}", begun.elapsed());
    assert_eq!(state(&cluster), (BTreeSet::from(["last".to_owned()]), COUNT + 1), "{}", Ran(&ran));
}

#[test]
fn going_back_in_history_is_refused_unless_it_is_asked_for() {
    let cluster = Cluster::take();
    let repo = committed("v1");
    let first = repo.git(&["rev-parse", "HEAD"]);
    let origin = repo.file(".git");
    repo.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
    let early = Repo::empty();
    early.git(&["clone", "-q", repo.dir(), "clone"]);
    let clone = early.file("clone");
    let mut git = Command::new("git");
    let set = git.args(["remote", "set-url", "origin", origin.to_str().unwrap()]).current_dir(&clone).status();
    assert!(set.expect("git runs").success());
    repo.write("platform/a.yaml", &config_map("a", "v2"));
    let second = repo.commit("second");
    repo.git(&["checkout", "-q", "-b", "aside", &first]);
    repo.write("platform/a.yaml", &config_map("a", "aside"));
    repo.commit("aside");
    let at = |revision: &str, more: &[&str], expected: i32, value: &str, text: &str| {
        let ran = apply(&cluster, &repo, &[&["--ref", revision], more].concat());
        assert_eq!((code(&ran), data(&cluster)), (expected, json!(value)), "{revision}: {}", Ran(&ran));
        assert!((stderr(&ran) + &crate::run::stdout(&ran)).contains(text), "{}", Ran(&ran));
    };
    at(&second, &[], 0, "v2", "");
    at(&first, &[], 3, "v2", "is older than");
    let ran = cluster.spinway(&["plan", repo.dir(), "--ref", &first]);
    assert_eq!(code(&ran), 3, "a plan says so too: {}", Ran(&ran));
    // A clone that does not know what was applied cannot tell.
    let stale = cluster.spinway(&["apply", clone.to_str().unwrap(), "--yes", "--ref", "HEAD"]);
    assert_eq!((code(&stale), data(&cluster)), (3, json!("v2")), "{}", Ran(&stale));
    at("aside", &[], 0, "aside", "");
    at(&second, &[], 0, "v2", "");
    at(&first, &["--rewrites", "allow"], 0, "v1", "");
    at(&second, &[], 0, "v2", "");
    // In a protected environment only what descends from it.
    let uid = cluster.get("/api/v1/namespaces/kube-system").expect("a namespace")["metadata"]["uid"].clone();
    repo.git(&["checkout", "-q", "main"]);
    repo.edit("spinway.yaml", "{name: test}", &format!("{{name: test, protected: true, cluster: {{uid: {uid}}}}}"));
    let main = repo.commit("protected");
    at(&main, &[], 0, "v2", "");
    repo.git(&["checkout", "-q", "-b", "beside", "main~1"]);
    repo.edit("spinway.yaml", "{name: test}", &format!("{{name: test, protected: true, cluster: {{uid: {uid}}}}}"));
    repo.write("platform/a.yaml", &config_map("a", "v3"));
    repo.commit("beside");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("platform/a.yaml", &config_map("a", "v4"));
    let ahead = repo.commit("ahead");
    at(&ahead, &[], 0, "v4", "");
    at("beside", &[], 3, "v4", "does not descend from");
}

#[test]
fn an_inventory_is_taken_over_as_a_whole() {
    let mut cluster = Cluster::take();
    let repo = committed("v1");
    repo.write("apps/one/b.yaml", &config_map("b", "v1"));
    repo.write("apps/two/c.yaml", &config_map("c", "v1"));
    repo.git(&["remote", "add", "origin", "https://git.example/before.git"]);
    applied(&cluster, &repo);
    for (origin, changed) in [("https://git.example/moved.git", true), ("https://git.example/again.git", false)] {
        repo.git(&["remote", "set-url", "origin", origin]);
        if changed {
            repo.write("apps/one/b.yaml", &config_map("b", "v2"));
        }
        let ran = apply(&cluster, &repo, &[]);
        assert_eq!(code(&ran), 3, "another source: {}", Ran(&ran));
        cluster.mark();
        let ran = apply(&cluster, &repo, &["--take-inventory"]);
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        let mut parents: Vec<String> = cluster.writes().into_iter().map(|write| write.object).collect();
        parents.retain(|object| object.starts_with("configmaps spinway-system/"));
        parents.sort();
        parents.dedup();
        let all = ["one", "platform", "two"].map(|name| format!("configmaps spinway-system/spinway.t.test.{name}"));
        assert_eq!(parents, all);
        cluster.mark();
        for more in [&["--take-inventory"][..], &[]] {
            let ran = apply(&cluster, &repo, more);
            assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        }
        assert_eq!(cluster.writes().len(), 0, "{:?}", cluster.writes());
    }
}
