//! Upgrades: on a cluster that an earlier version applied, this one deletes nothing and changes no request.
//!
//! `fixtures/upgrades/COMMIT/CASE/` holds what that version read (`repo/`), for each environment the snapshot of the
//! healthy cluster that it left behind, and the actions that it planned for the next commit (`next/`, files in place of
//! those of `repo/`). `before/` is the commit before `repo/`, so that there is a history. Nothing in it changes any more;
//! a new landed version gets a folder of its own:
//! `SPINWAY_RECORD_UPGRADE=COMMIT=BINARY cargo test --test it upgrade`.

use crate::cluster::Cluster;
use crate::repo::Repo;
use crate::run::{Ran, actions, code, json, run, stdout};
use crate::stand_in::StandIn;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The landed versions whose clusters are upgraded.
const VERSIONS: [&str; 1] = ["7eda23f"];

/// The cases and their environments.
const CASES: [(&str, &[&str]); 2] = [("shop", &["staging", "production"]), ("platform-team", &["live"])];

/// The fields that may be written when nothing in the repository changed, with the reason why no request depends on them.
const HARMLESS: [(&str, &str); 7] = [
    ("metadata.annotations[spinway.dev/applied]", "the record of what was applied; read by spinway alone"),
    ("metadata.annotations[spinway.dev/settle]", "how long an old version rests; read by spinway alone"),
    ("metadata.annotations[spinway.dev/on-failure]", "what follows a failed rollout; read by spinway alone"),
    ("metadata.annotations[spinway.dev/not-enforced]", "a note of what no controller enforces; read by people alone"),
    (
        "metadata.labels[spinway.dev/app]",
        "the App of an object; on the object itself, so no pod and no selector has it",
    ),
    ("metadata.labels[app.kubernetes.io/part-of]", "on the object itself; selectors of Services select pods"),
    (
        "metadata.labels[applyset.kubernetes.io/part-of]",
        "the inventory of an object; selectors of Services select pods",
    ),
];

/// A commit hash that depends on the files alone, since environments may hold plans to the history.
const DATE: &str = "2026-11-28T00:00:00Z";

fn folder(version: &str, case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/upgrades").join(version).join(case)
}

/// The recorded repository with the same history, which has the same commit hashes.
fn repository(case: &Path) -> Repo {
    let repo = Repo::empty();
    if case.join("before").exists() {
        before(&repo, case);
    }
    recorded(&repo, case);
    repo
}

fn before(repo: &Repo, case: &Path) {
    repo.copy_from(&case.join("repo"));
    repo.copy_from(&case.join("before"));
    commit(repo, "before");
}

fn recorded(repo: &Repo, case: &Path) {
    repo.copy_from(&case.join("repo"));
    commit(repo, "recorded");
}

fn commit(repo: &Repo, message: &str) {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]);
        command.args(arguments).current_dir(repo.path()).env("GIT_AUTHOR_DATE", DATE).env("GIT_COMMITTER_DATE", DATE);
        assert!(command.status().expect("git runs").success(), "git {arguments:?}");
    };
    if !repo.file(".git").exists() {
        git(&["init", "-q"]);
        // The inventory belongs to it, wherever its copies are.
        git(&["remote", "add", "origin", "https://git.example/acme/upgraded.git"]);
    }
    git(&["add", "-A"]);
    git(&["commit", "-q", "--allow-empty", "-m", message]);
}

/// Does what the errors of the first check after the upgrade ask of the platform team: the lists that keep what the files do, and
/// an account for each tenant where a protected environment requires one.
fn write_lists(repo: &Repo) {
    let suggested = stdout(&run(&["check", repo.dir(), "--suggest-rules"]));
    let mut config = fs::read_to_string(repo.file("spinway.yaml")).expect("a Config");
    let mut tenant = String::new();
    let (lists, accounts) = suggested.split_once("\n---\n").unwrap_or((&suggested, ""));
    for line in lists.lines().filter(|line| line.starts_with("    ")) {
        if let Some(name) = line.strip_prefix("    - name: ") {
            tenant = name.trim_matches('"').to_owned();
            continue;
        }
        let line = line.replace("# serviceAccount: NAMESPACE/NAME", &format!("serviceAccount: {tenant}/deployer"));
        let entry = format!("    - name: {tenant}\n");
        assert!(config.contains(&entry), "{config}");
        config = config.replace(&entry, &format!("{entry}{line}\n"));
    }
    repo.write("spinway.yaml", &config);
    if !accounts.is_empty() {
        repo.write("platform/accounts.yaml", accounts);
    }
    let again = run(&["check", repo.dir(), "-o", "json"]);
    let rules = ["SPW101", "SPW102", "SPW103", "SPW104", "SPW105", "SPW106", "SPW107", "SPW110", "SPW112"];
    let left: Vec<Value> = json(&again)["diagnostics"].as_array().expect("findings").clone();
    let left: Vec<&Value> = left.iter().filter(|d| rules.contains(&d["id"].as_str().expect("an id"))).collect();
    assert!(left.is_empty(), "{left:#?}");
    commit(repo, "the lists that the check suggests");
}

/// Whether a row is of an account that `write_lists` added.
fn is_account(row: &Value) -> bool {
    let kind = row["object"]["kind"].as_str().unwrap_or_default();
    row["action"] == "create" && ["ServiceAccount", "Role", "RoleBinding"].contains(&kind)
}

fn planned(repo: &Repo, environment: &str, snapshot: &Path) -> Value {
    let file = snapshot.to_str().expect("a plain path");
    let ran = run(&["plan", repo.dir(), "--env", environment, "-o", "json", "--snapshot", file]);
    assert_eq!(code(&ran), 0, "{}", Ran(&ran));
    let mut report = json(&ran);
    report["changes"].as_array_mut().expect("changes").retain(|row| !is_account(row));
    report
}

fn rows(report: &Value) -> &Vec<Value> {
    report["changes"].as_array().expect("changes")
}

/// What is wrong with a change of an object that the repository did not change; none when it is fine.
fn wrong(row: &Value) -> Option<String> {
    let harmless = |field: &Value| HARMLESS.iter().any(|(path, _)| field["path"] == *path);
    let fields = row["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    match row["action"].as_str() {
        Some("unchanged") => None,
        Some("update") if fields.iter().all(harmless) => None,
        _ => Some(format!("{row:#}")),
    }
}

fn each(mut then: impl FnMut(&str, &Path, &str)) {
    for version in VERSIONS {
        for (case, environments) in CASES {
            environments.iter().for_each(|environment| then(version, &folder(version, case), environment));
        }
    }
}

#[test]
fn an_upgrade_deletes_nothing_and_changes_no_request() {
    each(|version, case, environment| {
        let repo = repository(case);
        write_lists(&repo);
        let report = planned(&repo, environment, &case.join(environment).join("snapshot.json"));
        let found: Vec<String> = rows(&report).iter().filter_map(wrong).collect();
        assert!(found.is_empty(), "{version} {}: {}", case.display(), found.join("\n"));
        let expected = fs::read_to_string(case.join(environment).join("objects")).expect("the recorded count");
        assert_eq!(rows(&report).len().to_string(), expected.trim(), "every object is still one of the plan");
    });
}

#[test]
fn after_an_upgrade_the_next_commit_does_what_it_would_have_done() {
    each(|version, case, environment| {
        let repo = repository(case);
        write_lists(&repo);
        repo.copy_from(&case.join("next"));
        commit(&repo, "next");
        let report = planned(&repo, environment, &case.join(environment).join("snapshot.json"));
        let recorded = fs::read_to_string(case.join(environment).join("next.txt")).expect("the recorded actions");
        let now = actions(&report);
        assert!(rows(&report).iter().any(|row| wrong(row).is_some()), "the next commit changes requests");
        assert_eq!(now.join("\n"), recorded.trim(), "{version} {}", case.display());
    });
}

/// A landed version, run against the cluster.
struct Landed<'a> {
    cluster: &'a Cluster,
    binary: &'a str,
}

impl Landed<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.binary);
        command.args(arguments).env("KUBECONFIG", self.cluster.kubeconfig()).env("NO_COLOR", "1");
        let ran = command.output().expect("the landed version runs");
        assert_eq!(code(&ran), 0, "{}", Ran(&ran));
        ran
    }

    /// Applies what is committed, and lets it become healthy.
    fn apply(&self, repo: &Repo, environment: &str) {
        let arguments = ["apply", repo.dir(), "--env", environment, "--yes", "--adopt", "--timeout", "90"];
        self.run(&arguments);
        self.run(&arguments);
        let again = self.run(&["plan", repo.dir(), "--env", environment, "-o", "json"]);
        assert_eq!(actions(&json(&again)), Vec::<String>::new());
    }
}

#[test]
fn the_cluster_of_a_landed_version_can_be_recorded() {
    let Some(asked) = std::env::var("SPINWAY_RECORD_UPGRADE").ok() else { return };
    let (version, binary) = asked.split_once('=').expect("SPINWAY_RECORD_UPGRADE=COMMIT=BINARY");
    for (case, environments) in CASES {
        for environment in environments {
            record(version, binary, &folder(version, case), environment);
        }
    }
}

fn record(version: &str, binary: &str, case: &Path, environment: &str) {
    let cluster = Cluster::take();
    let _controller = StandIn::start(&cluster, Duration::from_millis(50));
    let landed = Landed { cluster: &cluster, binary };
    // A protected environment names its cluster: the recorded repository names the one of the recording.
    let uid = cluster.get("/api/v1/namespaces/kube-system").expect("the namespace")["metadata"]["uid"].clone();
    let config = case.join("repo/spinway.yaml");
    let text = fs::read_to_string(&config).expect("a Config");
    let lines = text.lines().map(|line| match line.trim_start().starts_with("cluster: {uid:") {
        true => format!("      cluster: {{uid: {}}}", uid.as_str().expect("a uid")),
        false => line.to_owned(),
    });
    fs::write(&config, lines.map(|line| line + "\n").collect::<String>()).expect("the Config can be written");
    let repo = Repo::empty();
    if case.join("before").exists() {
        before(&repo, case);
        landed.apply(&repo, environment);
    }
    recorded(&repo, case);
    landed.apply(&repo, environment);
    // What controllers say after the last write.
    std::thread::sleep(Duration::from_secs(2));
    let folder = case.join(environment);
    fs::create_dir_all(&folder).expect("a folder");
    let snapshot = folder.join("snapshot.json");
    landed.run(&["snapshot", repo.dir(), "--env", environment, "-o", snapshot.to_str().expect("a plain path")]);
    let by_file = |repo: &Repo| {
        let file = snapshot.to_str().expect("a plain path");
        json(&landed.run(&["plan", repo.dir(), "--env", environment, "-o", "json", "--snapshot", file]))
    };
    let same = by_file(&repo);
    assert_eq!(actions(&same), Vec::<String>::new(), "{version} sees no change by its own snapshot");
    fs::write(folder.join("objects"), format!("{}\n", rows(&same).len())).expect("a file");
    repo.copy_from(&case.join("next"));
    commit(&repo, "next");
    let next = by_file(&repo);
    fs::write(folder.join("next.txt"), format!("{}\n", actions(&next).join("\n"))).expect("a file");
    assert!(!actions(&next).is_empty(), "the next commit changes something");
}
